//! The persistent store: an append-only log of trie nodes, and a small redb file that indexes it.
//!
//! A node is kept once, in the batch of the block that made it, and names its children by *place* (see
//! [`Link`](crate::mpt::Link)) besides by hash. So there is no index from hash to node, which is what makes random keys
//! expensive; a block is one sequential write. Every node that is read from the file is hashed: a wrong one is an error.
//!
//! * [`Store::append`] makes a block readable at once (memory); a thread writes it at once (from then on it outlives the
//!   process), and syncs all that was written every [`Options::sync`] (from then on it outlives a power loss).
//!   [`Store::written`] and [`Store::durable`] tell how far that is.
//! * redb holds the places of the roots, the codes, and up to where the log has been indexed. It is written every
//!   [`Options::checkpoint`]; [`Store::open`] reads the batches after that and cuts a torn one off.
//! * Blocks that are dropped leave garbage. [`Store::prune`] copies what live roots reach into a new file.
//!
//! Places are offsets in the log's whole life: a new file starts where the old one ends, so none is used twice.

use crate::{
    mpt::{LINK, LOCAL, Link, Loaded, NewNode, NodeSource, Ref, TrieError},
    state::{Source, StateError, Update, below},
};
use alloy_primitives::{B256, Bytes, KECCAK256_EMPTY, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, OnceLock, RwLock,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// State root → place, number of the last block that had it.
const ROOTS: TableDefinition<&[u8; 32], (u64, u64)> = TableDefinition::new("roots");
const CODES: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("codes");
/// First place → end, or 0 for the file that is written to.
const FILES: TableDefinition<u64, u64> = TableDefinition::new("files");
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// The layout of this module.
const VERSION: u64 = 1;

const MAGIC: u32 = 0x6e6f_6465;
/// magic, kind, length of the rest, checksum of all but these 24 bytes.
const HEAD: usize = 24;
/// number, root, its place, counts of nodes and codes, length of `extra`.
const FIXED: usize = 8 + 32 + 8 + 12;
/// The longest node with all its links: read in one go.
const LONGEST: usize = 3 + 16 * LINK + 640;
/// A file's first bytes; also keeps place 0 from ever being used.
const FILE_HEAD: u64 = 16;

/// Why the store refuses.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The disk or the file system.
    #[error("store: {0}")]
    Io(String),
    /// What is there is not what was written.
    #[error("store is damaged: {0}")]
    Damaged(String),
    /// The update was made on places that pruning has since removed: execute the block again.
    #[error("the update is older than the last pruning")]
    Stale,
    /// A child of a node has no place: the update was not made on this store.
    #[error("the update does not stem from this store")]
    Foreign,
    /// A root that is to be kept is not there.
    #[error("the root {0} that is to be kept is not there")]
    Unknown(B256),
}

impl StoreError {
    /// A node that is not what it must be.
    pub fn damaged(error: impl std::fmt::Display) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

/// redb reports damage and failures of the disk through many types; it may also panic on damage.
fn redb_error(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Corrupted(message) => StoreError::Damaged(format!("index: {message}")),
        error => StoreError::Io(format!("index: {error}")),
    }
}

type Result<T> = std::result::Result<T, StoreError>;

/// How a store works.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Longest time between a block and its sync.
    pub sync: Duration,
    /// Longest time between a block and its entry in the index.
    pub checkpoint: Duration,
    /// Bytes of nodes kept in memory.
    pub cache: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { sync: Duration::from_millis(50), checkpoint: Duration::from_secs(1), cache: 64 << 20 }
    }
}

/// A block that was found after the last checkpoint: its number, root, and what came with it.
#[derive(Debug, Clone)]
pub struct Recovered {
    pub number: u64,
    pub root: B256,
    pub extra: Vec<u8>,
}

#[derive(Debug)]
struct Segment {
    first: u64,
    /// The first place after it; `MAX` while it is the last one.
    end: AtomicU64,
    file: File,
    path: PathBuf,
}

impl Segment {
    fn path(dir: &Path, first: u64) -> PathBuf {
        dir.join(format!("nodes-{first:016x}.log"))
    }
    fn create(dir: &Path, first: u64) -> Result<Self> {
        let path = Self::path(dir, first);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        file.write_all_at(&[&MAGIC.to_le_bytes()[..], &[VERSION as u8; 4], &first.to_le_bytes()].concat(), 0)?;
        file.sync_all()?;
        File::open(dir)?.sync_all()?;
        Ok(Self { first, end: u64::MAX.into(), file, path })
    }
    fn open(dir: &Path, first: u64, end: u64) -> Result<Self> {
        let path = Self::path(dir, first);
        let damaged = |what: &str| StoreError::Damaged(format!("{}: {what}", path.display()));
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(|e| damaged(&e.to_string()))?;
        let mut head = [0; FILE_HEAD as usize];
        file.read_exact_at(&mut head, 0).map_err(|_| damaged("too short"))?;
        if head[..4] != MAGIC.to_le_bytes() || head[4..8] != [VERSION as u8; 4] || head[8..] != first.to_le_bytes() {
            return Err(damaged("not a node log of this version"));
        }
        let end = if end == 0 { u64::MAX } else { end };
        if end != u64::MAX && file.metadata()?.len() < end - first {
            return Err(damaged("cut off"));
        }
        Ok(Self { first, end: end.into(), file, path })
    }
    fn holds(&self, place: u64) -> bool {
        self.first <= place && place < self.end.load(SeqCst)
    }
}

type Segments = Arc<Vec<Arc<Segment>>>;

/// What is not yet in the index.
#[derive(Debug, Default)]
struct Recent {
    roots: HashMap<B256, (u64, u64)>,
    codes: HashMap<B256, Bytes>,
    /// Not yet written to the file: place, bytes.
    chunks: VecDeque<(u64, Arc<Vec<u8>>)>,
    /// After pruning: once the log is synced up to here, the index shall hold these roots and nothing else.
    replace: Option<u64>,
}

/// The end of the log. Its lock orders the appends.
#[derive(Debug)]
struct Tail {
    end: u64,
    /// Batches appended in this run.
    count: u64,
    /// Whether the thread shall stop, and whether it shall sync and checkpoint now.
    stop: bool,
    flush: bool,
    /// Roots appended since pruning began.
    since: Option<Vec<(B256, u64, u64)>>,
}

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    options: Options,
    index: Database,
    segments: RwLock<Segments>,
    recent: RwLock<Recent>,
    tail: Mutex<Tail>,
    wake: Condvar,
    done: Condvar,
    /// Batches of this run that are in the file, and that are synced.
    written: AtomicU64,
    durable: AtomicU64,
    written_end: AtomicU64,
    synced_end: AtomicU64,
    generation: AtomicU64,
    /// Why the thread has stopped.
    failed: OnceLock<StoreError>,
    cache: Cache,
    pruning: Mutex<()>,
}

/// The store of one chain. One process may have it open.
#[derive(Debug)]
pub struct Store {
    inner: Arc<Inner>,
    thread: Mutex<Option<JoinHandle<()>>>,
    recovered: Vec<Recovered>,
}

impl Store {
    /// Opens or creates the store in a folder.
    pub fn open(dir: &Path, options: Options) -> Result<Self> {
        // redb asserts where it should refuse: a damaged index must not unwind into the caller.
        std::panic::catch_unwind(|| Self::try_open(dir, options))
            .unwrap_or_else(|_| Err(StoreError::Damaged("the index cannot be opened".into())))
    }

    fn try_open(dir: &Path, options: Options) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let path = dir.join("index.redb");
        let (new, logs) =
            (!path.exists(), std::fs::read_dir(dir)?.flatten().any(|e| e.path().extension() == Some("log".as_ref())));
        if new && logs {
            return Err(StoreError::Damaged("there are nodes but no index".into()));
        }
        let index = Database::builder().set_cache_size(16 << 20).create(&path).map_err(redb_error)?;
        let read = index.begin_read().map_err(redb_error)?;
        let (mut files, mut meta) = (BTreeMap::new(), HashMap::new());
        match read.open_table(FILES) {
            Ok(table) => {
                for entry in table.iter().map_err(redb_error)? {
                    let (first, end) = entry.map_err(redb_error)?;
                    files.insert(first.value(), end.value());
                }
                for entry in read.open_table(META).map_err(redb_error)?.iter().map_err(redb_error)? {
                    let (key, value) = entry.map_err(redb_error)?;
                    meta.insert(key.value().to_string(), value.value());
                }
            }
            // Created, but killed before its first commit. There can be no block then.
            Err(redb::TableError::TableDoesNotExist(_)) => {
                Segment::create(dir, FILE_HEAD)?;
                files.insert(FILE_HEAD, 0);
                meta.extend([("version".into(), VERSION), ("end".into(), 2 * FILE_HEAD), ("generation".into(), 1)]);
                let txn = begin(&index)?;
                txn.open_table(ROOTS).map_err(redb_error)?;
                txn.open_table(CODES).map_err(redb_error)?;
                txn.open_table(FILES).map_err(redb_error)?.insert(FILE_HEAD, 0).map_err(redb_error)?;
                for (key, value) in &meta {
                    txn.open_table(META).map_err(redb_error)?.insert(key.as_str(), value).map_err(redb_error)?;
                }
                txn.commit().map_err(redb_error)?;
            }
            Err(error) => return Err(redb_error(error)),
        }
        let get =
            |key: &str| meta.get(key).copied().ok_or_else(|| StoreError::Damaged(format!("no {key} in the index")));
        if get("version")? != VERSION {
            return Err(StoreError::Damaged(format!("layout {} is not {VERSION}", get("version")?)));
        }
        let segments: Vec<_> =
            files.iter().map(|(first, end)| Segment::open(dir, *first, *end).map(Arc::new)).collect::<Result<_>>()?;
        for entry in std::fs::read_dir(dir)?.flatten() {
            // Left by a pruning that was killed: after its commit the old files, before it the new one.
            if entry.path().extension() == Some("log".as_ref()) && segments.iter().all(|s| s.path != entry.path()) {
                std::fs::remove_file(entry.path())?;
            }
        }
        let (mut recent, mut recovered, mut end) = (Recent::default(), Vec::new(), get("end")?);
        let open = segments.iter().rposition(|segment| segment.first <= end);
        let open = open.ok_or_else(|| StoreError::Damaged("the index names no file".into()))?;
        for (number, segment) in segments.iter().enumerate().skip(open) {
            end = replay(segment, end.max(segment.first + FILE_HEAD), &mut recent, &mut recovered)?;
            if number + 1 < segments.len() {
                segment.end.store(end, SeqCst);
            }
        }
        let tail = Tail { end, count: 0, stop: false, flush: false, since: None };
        let inner = Arc::new(Inner {
            dir: dir.into(),
            options,
            index,
            segments: RwLock::new(Arc::new(segments)),
            recent: RwLock::new(recent),
            tail: Mutex::new(tail),
            wake: Condvar::new(),
            done: Condvar::new(),
            written: 0.into(),
            durable: 0.into(),
            written_end: end.into(),
            synced_end: end.into(),
            generation: get("generation")?.into(),
            failed: OnceLock::new(),
            cache: Cache::new(options.cache),
            pruning: Mutex::new(()),
        });
        let run = inner.clone();
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || run.work())?;
        Ok(Self { inner, thread: Mutex::new(Some(thread)), recovered })
    }

    /// The blocks after the last checkpoint, in order: what the node's own tables may lack.
    pub fn recovered(&self) -> &[Recovered] {
        &self.recovered
    }

    /// A view for execution. It keeps files open that pruning has removed.
    pub fn reader(&self) -> Arc<Reader> {
        // Under the lock under which pruning changes them all.
        let _lock = self.inner.recent.read().unwrap();
        let generation = self.inner.generation.load(SeqCst);
        let segments = self.inner.segments.read().unwrap().clone();
        Arc::new(Reader { inner: self.inner.clone(), segments, generation })
    }

    /// Stores a block; it can be read when this returns. Gives the count to compare with [`Self::written`] and
    /// [`Self::durable`]. `extra` is given back by [`Self::recovered`]: the raw block.
    pub fn append(&self, update: &Update, number: u64, extra: &[u8]) -> Result<u64> {
        self.inner.append(update, number, extra)
    }

    /// How many batches outlive the process.
    pub fn written(&self) -> u64 {
        self.inner.written.load(SeqCst)
    }

    /// How many batches outlive a power loss.
    pub fn durable(&self) -> u64 {
        self.inner.durable.load(SeqCst)
    }

    /// Syncs, writes the index, and waits for both.
    pub fn flush(&self) -> Result<()> {
        self.inner.flush()
    }

    /// Whether a state can be read.
    pub fn holds(&self, root: &B256) -> Result<bool> {
        self.inner.holds(root)
    }

    /// The roots that can be read, with the number of the last block of each.
    pub fn roots(&self) -> Result<Vec<(B256, u64)>> {
        Ok(self.inner.roots()?.into_iter().map(|(root, (_, number))| (root, number)).collect())
    }

    /// Copies what the given roots and those of the blocks from a number on reach, forks and blocks that come meanwhile
    /// included; removes the rest. Meant to be called
    /// from a thread of its own: blocks go on, and are held up only for the last step. Updates that were begun before
    /// that are [`StoreError::Stale`]. Gives (nodes kept, bytes before, bytes after, pause).
    pub fn prune(&self, live: &[B256], from: u64) -> Result<Pruned> {
        self.inner.prune(live, from)
    }

    /// Reads every node of a state, storages and codes included; gives their number.
    pub fn walk(&self, root: B256) -> std::result::Result<usize, TrieError> {
        let (reader, mut seen) = (self.reader(), HashSet::new());
        let mut stack = vec![reader.root(root)];
        while let Some(at) = stack.pop() {
            if at.hash == EMPTY_ROOT_HASH || !seen.insert(at.hash) {
                continue;
            }
            let (named, account) = below(&reader.read(&at)?)?;
            stack.extend(named);
            if let Some(hash) = account.map(|account| account.code_hash).filter(|hash| *hash != KECCAK256_EMPTY) {
                reader.code(&hash).map_err(|error| TrieError::Unreadable(hash, error.to_string()))?;
            }
        }
        Ok(seen.len())
    }

    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
        let segments = self.inner.segments.read().unwrap();
        segments.iter().map(|segment| size(&segment.path)).sum::<u64>() + size(&self.inner.dir.join("index.redb"))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.inner.tail.lock().unwrap().stop = true;
        self.inner.wake.notify_all();
        if let Some(thread) = self.thread.lock().unwrap().take() {
            let _ = thread.join();
        }
    }
}

/// Reads the batches from a place on. A bad one ends the log, as the sync never reached it.
fn replay(segment: &Segment, mut at: u64, recent: &mut Recent, found: &mut Vec<Recovered>) -> Result<u64> {
    let length = segment.file.metadata()?.len();
    if at < segment.first || length < at - segment.first {
        let path = segment.path.display();
        return Err(StoreError::Damaged(format!("{path}: cut off at {length}, {} were synced", at - segment.first)));
    }
    let mut head = [0; HEAD];
    while segment.file.read_exact_at(&mut head, at - segment.first).is_ok() {
        let size = u64_at(&head, 8);
        if u32_at(&head, 0) != MAGIC || (size as usize) < FIXED || size > length - (at - segment.first) - HEAD as u64 {
            break;
        }
        let mut body = vec![0; size as usize];
        segment.file.read_exact_at(&mut body, at - segment.first + HEAD as u64)?;
        if checksum(&body, at) != u64_at(&head, 16) {
            break;
        }
        if head[4] == Kind::Block as u8 {
            let (number, root, place) = (u64_at(&body, 0), B256::from_slice(&body[8..40]), u64_at(&body, 40));
            let (codes, extra) = (u32_at(&body, 52), u32_at(&body, 56) as usize);
            recent.roots.insert(root, (place, number));
            found.push(Recovered { number, root, extra: body[FIXED..FIXED + extra].to_vec() });
            let mut rest = &body[FIXED + extra..];
            for _ in 0..codes {
                let (code, tail) = rest[4..].split_at(u32_at(rest, 0) as usize);
                recent.codes.insert(keccak256(code), Bytes::copy_from_slice(code));
                rest = tail;
            }
        }
        at += HEAD as u64 + size;
    }
    segment.file.set_len(at - segment.first)?; // a torn batch
    segment.file.sync_all()?;
    Ok(at)
}

#[derive(Clone, Copy)]
enum Kind {
    Block = 1,
    Copy = 2,
}

fn u32_at(data: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(data[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(data: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(data[at..at + 8].try_into().expect("eight bytes"))
}

/// Tells torn batches; that nodes are right is told by their hashes.
fn checksum(data: &[u8], seed: u64) -> u64 {
    let mix = |state: u64, word: u64| {
        let product = u128::from(state ^ word) * 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
        (product as u64) ^ (product >> 64) as u64
    };
    let mut lanes = [seed ^ 1, seed ^ 2, seed ^ 3, seed ^ 4];
    let mut chunks = data.chunks_exact(32);
    for chunk in &mut chunks {
        for (i, lane) in lanes.iter_mut().enumerate() {
            *lane = mix(*lane, u64_at(chunk, 8 * i)).wrapping_add(0xa076_1d64_78bd_642f);
        }
    }
    let rest =
        chunks.remainder().iter().fold(data.len() as u64, |state, byte| mix(state.wrapping_add(1), *byte as u64));
    lanes.iter().fold(rest, |state, lane| mix(state.rotate_left(7), *lane))
}

/// A transaction that makes opening after a crash quick.
fn begin(index: &Database) -> Result<redb::WriteTransaction> {
    let mut txn = index.begin_write().map_err(redb_error)?;
    txn.set_quick_repair(true);
    Ok(txn)
}

/// What pruning did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pruned {
    pub nodes: usize,
    pub before: u64,
    pub after: u64,
    pub seconds: f64,
    /// How long appends were held up.
    pub pause: f64,
}

impl Inner {
    fn index_path(&self) -> PathBuf {
        self.dir.join("index.redb")
    }

    fn check(&self) -> Result<()> {
        self.failed.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    fn append(&self, update: &Update, number: u64, extra: &[u8]) -> Result<u64> {
        let mut tail = self.tail.lock().unwrap();
        while self.recent.read().unwrap().chunks.len() > 256 && self.failed.get().is_none() {
            tail = self.done.wait_timeout(tail, Duration::from_millis(100)).unwrap().0; // the disk is too slow
        }
        self.check()?;
        // A genesis has no old links.
        if update.built_on.is_some_and(|generation| generation != self.generation.load(SeqCst)) {
            return Err(StoreError::Stale);
        }
        let codes: Vec<&Bytes> = update.codes.values().collect();
        let root = Ref { hash: update.root, link: update.link };
        let (places, place) = self.push(&mut tail, Kind::Block, number, root, &update.nodes, &codes, extra)?;
        drop(places);
        let mut recent = self.recent.write().unwrap();
        recent.roots.insert(update.root, (place, number));
        recent.codes.extend(update.codes.iter().map(|(hash, code)| (*hash, code.clone())));
        drop(recent);
        if let Some(since) = &mut tail.since {
            since.push((update.root, place, number));
        }
        Ok(tail.count)
    }

    /// Adds a batch to the log. Gives the nodes' places and the root's.
    #[allow(clippy::too_many_arguments)]
    fn push(
        &self,
        tail: &mut Tail,
        kind: Kind,
        number: u64,
        root: Ref,
        nodes: &[NewNode],
        codes: &[&Bytes],
        extra: &[u8],
    ) -> Result<(Vec<u64>, u64)> {
        let mut at = tail.end + (HEAD + FIXED + extra.len()) as u64;
        at += codes.iter().map(|code| 4 + code.len() as u64).sum::<u64>();
        let mut places = Vec::with_capacity(nodes.len());
        for node in nodes {
            places.push(at);
            at += (3 + LINK * node.links.len() + node.rlp.len()) as u64;
        }
        let place = |link: Link| match link {
            0 => Err(StoreError::Foreign),
            link if link & LOCAL == 0 => Ok(link),
            link => places.get((link ^ LOCAL) as usize).copied().ok_or(StoreError::Foreign),
        };
        let root_place = if root.hash == EMPTY_ROOT_HASH { 0 } else { place(root.link)? };
        let mut data = vec![0; HEAD];
        data.reserve_exact((at - tail.end) as usize);
        data.extend(number.to_le_bytes());
        data.extend(root.hash);
        data.extend(root_place.to_le_bytes());
        for count in [nodes.len(), codes.len(), extra.len()] {
            data.extend((count as u32).to_le_bytes());
        }
        data.extend(extra);
        for code in codes {
            data.extend((code.len() as u32).to_le_bytes());
            data.extend_from_slice(code);
        }
        for node in nodes {
            data.extend((node.rlp.len() as u16).to_le_bytes());
            data.push(node.links.len() as u8);
            for link in &node.links {
                data.extend(&place(*link)?.to_le_bytes()[..LINK]);
            }
            data.extend_from_slice(&node.rlp);
        }
        let sum = checksum(&data[HEAD..], tail.end);
        data[..4].copy_from_slice(&MAGIC.to_le_bytes());
        data[4] = kind as u8;
        let size = (data.len() - HEAD) as u64;
        data[8..16].copy_from_slice(&size.to_le_bytes());
        data[16..24].copy_from_slice(&sum.to_le_bytes());
        self.recent.write().unwrap().chunks.push_back((tail.end, Arc::new(data)));
        tail.end = at;
        tail.count += 1;
        self.wake.notify_one();
        Ok((places, root_place))
    }

    /// The thread that writes.
    fn work(&self) {
        let run = std::panic::AssertUnwindSafe(|| self.run());
        let result = std::panic::catch_unwind(run);
        let result = result.unwrap_or_else(|_| Err(StoreError::Damaged("the index has failed".into())));
        if let Err(error) = result {
            let _ = self.failed.set(error); // after a failed sync nothing that was written may be trusted
        }
        self.done.notify_all();
    }

    fn run(&self) -> Result<()> {
        let (mut synced, mut indexed) = (Instant::now(), Instant::now());
        let mut stale_index = false;
        loop {
            let idle = |tail: &mut Tail| tail.count == self.written.load(SeqCst) && !tail.flush && !tail.stop;
            let wait = if self.written.load(SeqCst) > self.durable.load(SeqCst) {
                self.options.sync.saturating_sub(synced.elapsed())
            } else {
                self.options.checkpoint
            };
            let tail = self.wake.wait_timeout_while(self.tail.lock().unwrap(), wait, idle).unwrap().0;
            let (count, now, stop) = (tail.count, tail.flush || tail.stop, tail.stop);
            drop(tail);
            self.write()?;
            self.written.store(count, SeqCst);
            if self.durable.load(SeqCst) < count && (now || synced.elapsed() >= self.options.sync) {
                synced = Instant::now();
                self.sync()?;
                self.durable.store(count, SeqCst);
                stale_index = true;
            }
            if now || (stale_index && indexed.elapsed() >= self.options.checkpoint) {
                indexed = Instant::now();
                self.checkpoint()?;
                stale_index = false;
                let mut tail = self.tail.lock().unwrap();
                tail.flush &= tail.count != count;
            }
            self.done.notify_all();
            if stop {
                return Ok(());
            }
        }
    }

    fn write(&self) -> Result<()> {
        loop {
            let front = self.recent.read().unwrap().chunks.front().cloned();
            let Some((first, data)) = front else { return Ok(()) };
            let segments = self.segments.read().unwrap().clone();
            let segment = segments.iter().find(|segment| segment.holds(first)).expect("the last one has no end");
            segment.file.write_all_at(&data, first - segment.first)?;
            self.written_end.store(first + data.len() as u64, SeqCst);
            self.recent.write().unwrap().chunks.pop_front();
        }
    }

    fn sync(&self) -> Result<()> {
        let (from, end) = (self.synced_end.load(SeqCst), self.written_end.load(SeqCst));
        for segment in self.segments.read().unwrap().clone().iter() {
            if segment.end.load(SeqCst) > from {
                segment.file.sync_data()?;
            }
        }
        self.synced_end.store(end, SeqCst);
        Ok(())
    }

    /// Brings the index up to what is synced.
    fn checkpoint(&self) -> Result<()> {
        let end = self.synced_end.load(SeqCst);
        let recent = self.recent.read().unwrap();
        let segments = self.segments.read().unwrap().clone();
        let (replace, codes) = (recent.replace.is_some_and(|at| at <= end), recent.codes.clone());
        let roots: Vec<_> = recent.roots.iter().filter(|(_, (at, _))| *at < end).map(|(k, v)| (*k, *v)).collect();
        drop(recent);
        let txn = begin(&self.index)?;
        if replace {
            txn.delete_table(ROOTS).map_err(redb_error)?;
        }
        {
            let mut table = txn.open_table(ROOTS).map_err(redb_error)?;
            for (root, value) in &roots {
                table.insert(&root.0, value).map_err(redb_error)?;
            }
            let mut table = txn.open_table(CODES).map_err(redb_error)?;
            for (hash, code) in &codes {
                table.insert(&hash.0, &code[..]).map_err(redb_error)?;
            }
            let mut table = txn.open_table(FILES).map_err(redb_error)?;
            if replace {
                table.retain(|first, _| segments.iter().any(|segment| segment.first == first)).map_err(redb_error)?;
            }
            for segment in segments.iter() {
                let end = Some(segment.end.load(SeqCst)).filter(|end| *end != u64::MAX).unwrap_or(0);
                table.insert(segment.first, end).map_err(redb_error)?;
            }
            let mut table = txn.open_table(META).map_err(redb_error)?;
            table.insert("end", end).map_err(redb_error)?;
            table.insert("generation", self.generation.load(SeqCst)).map_err(redb_error)?;
        }
        txn.commit().map_err(redb_error)?;
        let mut recent = self.recent.write().unwrap();
        recent.replace = recent.replace.filter(|_| !replace);
        roots.iter().for_each(|(root, value)| {
            if recent.roots.get(root) == Some(value) {
                recent.roots.remove(root);
            }
        });
        codes.keys().for_each(|hash| drop(recent.codes.remove(hash)));
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        let mut tail = self.tail.lock().unwrap();
        let target = tail.count;
        tail.flush = true;
        self.wake.notify_one();
        while self.failed.get().is_none() && (tail.flush || self.durable.load(SeqCst) < target) {
            tail = self.done.wait_timeout(tail, Duration::from_millis(100)).unwrap().0;
            if self.durable.load(SeqCst) >= target && !tail.flush {
                break;
            }
        }
        self.check()
    }

    fn holds(&self, root: &B256) -> Result<bool> {
        let recent = self.recent.read().unwrap();
        if recent.roots.contains_key(root) {
            return Ok(true);
        }
        if recent.replace.is_some() {
            return Ok(false);
        }
        let table = self.index.begin_read().map_err(redb_error)?.open_table(ROOTS).map_err(redb_error)?;
        Ok(table.get(&root.0).map_err(redb_error)?.is_some())
    }

    fn roots(&self) -> Result<HashMap<B256, (u64, u64)>> {
        let recent = self.recent.read().unwrap();
        let mut roots = HashMap::new();
        if recent.replace.is_none() {
            let read = self.index.begin_read().map_err(redb_error)?;
            for entry in read.open_table(ROOTS).map_err(redb_error)?.iter().map_err(redb_error)? {
                let (root, value) = entry.map_err(redb_error)?;
                roots.insert(B256::from(root.value()), value.value());
            }
        }
        roots.extend(recent.roots.iter().map(|(root, value)| (*root, *value)));
        Ok(roots)
    }

    fn prune(self: &Arc<Self>, live: &[B256], from: u64) -> Result<Pruned> {
        let _one = self.pruning.lock().unwrap();
        let start = Instant::now();
        self.flush()?;
        let old = self.segments.read().unwrap().clone();
        let size = |list: &[Arc<Segment>]| list.iter().filter_map(|s| s.file.metadata().ok()).map(|m| m.len()).sum();
        let mut pruned = Pruned { before: size(&old), ..Default::default() };

        // Turn to a new file. Its name must be in the index before any block is in it. Blocks may come meanwhile: the
        // places between are never used.
        let first = self.tail.lock().unwrap().end + (1 << 30);
        let new = Arc::new(Segment::create(&self.dir, first)?);
        let txn = begin(&self.index)?;
        txn.open_table(FILES).map_err(redb_error)?.insert(first, 0).map_err(redb_error)?;
        txn.commit().map_err(redb_error)?;
        {
            let mut tail = self.tail.lock().unwrap();
            assert!(tail.end <= first, "a gigabyte was appended while a file was created");
            old.last().expect("never empty").end.store(tail.end, SeqCst);
            tail.end = first + FILE_HEAD;
            tail.since = Some(Vec::new());
            let both = old.iter().cloned().chain([new.clone()]).collect();
            *self.segments.write().unwrap() = Arc::new(both);
        }

        let reader = Reader { inner: self.clone(), segments: old.clone(), generation: 0 };
        let mut copy = Copy {
            inner: self,
            reader,
            moved: HashMap::new(),
            clean: Vec::new(),
            nodes: Vec::new(),
            from: Vec::new(),
            bytes: 0,
            count: 0,
        };
        // Read after the turn: what is not in here is in `since`.
        let known = self.roots()?;
        if let Some(root) = live.iter().find(|root| !known.contains_key(*root)) {
            self.tail.lock().unwrap().since = None;
            return Err(StoreError::Unknown(*root));
        }
        let live: HashSet<&B256> = live.iter().collect();
        let keep = known.iter().filter(|(root, (_, number))| *number >= from || live.contains(root));
        let mut work: Vec<_> = keep.map(|(root, (place, number))| (*root, *place, *number)).collect();
        let (mut kept, mut rounds) = (HashMap::new(), 0);
        let result = (|| {
            loop {
                work.sort_by_key(|(_, place, _)| *place);
                for (root, place, number) in work.drain(..) {
                    let place = copy.tree(Ref { hash: root, link: place }, None)?;
                    kept.insert(root, (place, number));
                }
                copy.write(None, &mut [])?;
                let mut tail = self.tail.lock().unwrap();
                work = std::mem::take(tail.since.as_mut().expect("set above"));
                rounds += 1;
                if work.len() > 2 && rounds < 8 {
                    continue; // catch up without holding blocks up, unless they come faster than they can be copied
                }
                let pause = Instant::now();
                for (root, place, number) in work.drain(..) {
                    let place = copy.tree(Ref { hash: root, link: place }, Some(&mut tail))?;
                    kept.insert(root, (place, number));
                }
                copy.write(Some(&mut tail), &mut [])?;
                // Roots made while nodes were still local.
                for (place, _) in kept.values_mut() {
                    *place = copy.moved.get(place).copied().unwrap_or(*place);
                }
                tail.since = None;
                let mut recent = self.recent.write().unwrap();
                *self.segments.write().unwrap() = Arc::new(vec![new.clone()]);
                self.generation.fetch_add(1, SeqCst);
                recent.roots = std::mem::take(&mut kept);
                recent.replace = Some(tail.end);
                drop(recent);
                pruned.pause = pause.elapsed().as_secs_f64();
                return Ok(());
            }
        })();
        if let Err(error) = result {
            self.tail.lock().unwrap().since = None; // both files stay; all that was there still is
            return Err(error);
        }
        pruned.nodes = copy.count;
        drop(copy);
        self.flush()?;
        for segment in old.iter() {
            std::fs::remove_file(&segment.path)?;
        }
        pruned.after = size(&[new]);
        pruned.seconds = start.elapsed().as_secs_f64();
        Ok(pruned)
    }
}

/// Copies states into the file that is written to.
struct Copy<'a> {
    inner: &'a Inner,
    reader: Reader,
    /// Old place → new one.
    moved: HashMap<u64, Link>,
    /// Where copies lie: first, end. In order.
    clean: Vec<(u64, u64)>,
    nodes: Vec<NewNode>,
    from: Vec<u64>,
    bytes: usize,
    count: usize,
}

/// A node being copied: name, itself, what it names, the new links of those that are done.
type Frame = (Ref, Loaded, Vec<Ref>, Vec<Link>);

impl Copy<'_> {
    /// Copies what is not yet copied below a root, which must be old; gives its old place if that is still to be
    /// written, else the new one.
    fn tree(&mut self, root: Ref, mut tail: Option<&mut Tail>) -> Result<u64> {
        if root.hash == EMPTY_ROOT_HASH {
            return Ok(0);
        }
        let mut stack: Vec<Frame> = Vec::new();
        if self.known(&root).is_none() {
            stack.push(self.frame(root)?);
        }
        while let Some(top) = stack.last_mut() {
            if let Some(child) = top.2.get(top.3.len()).copied() {
                match self.known(&child) {
                    Some(link) => top.3.push(link),
                    None => stack.push(self.frame(child)?),
                }
                continue;
            }
            let (at, node, _, links) = stack.pop().expect("just seen");
            self.moved.insert(at.link, LOCAL | self.nodes.len() as u64);
            self.bytes += node.rlp.len();
            self.nodes.push(NewNode { hash: at.hash, rlp: node.rlp, links });
            self.from.push(at.link);
            if self.bytes > 1 << 20 {
                self.write(tail.as_deref_mut(), &mut stack)?;
            }
        }
        Ok(root.link)
    }

    fn frame(&self, at: Ref) -> Result<Frame> {
        let damaged = |error: TrieError| StoreError::Damaged(error.to_string());
        let node = self.reader.fetch(&at).map_err(damaged)?;
        let (named, _) = below(&node).map_err(damaged)?;
        Ok((at, node, named, Vec::new()))
    }

    fn known(&self, at: &Ref) -> Option<Link> {
        let next = self.clean.partition_point(|(first, _)| *first <= at.link);
        let clean = next > 0 && at.link < self.clean[next - 1].1;
        if clean { Some(at.link) } else { self.moved.get(&at.link).copied() }
    }

    /// Appends what has been gathered.
    fn write(&mut self, tail: Option<&mut Tail>, stack: &mut [Frame]) -> Result<()> {
        if self.nodes.is_empty() {
            return Ok(());
        }
        let none = Ref { hash: EMPTY_ROOT_HASH, link: 0 };
        let mut guard = None;
        let tail = match tail {
            Some(tail) => tail,
            None => {
                for _ in 0..20 {
                    self.inner.check()?;
                    if self.inner.recent.read().unwrap().chunks.len() < 16 {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(1)); // blocks first, but not for ever
                }
                &mut **guard.insert(self.inner.tail.lock().unwrap())
            }
        };
        let first = tail.end;
        let (places, _) = self.inner.push(tail, Kind::Copy, 0, none, &self.nodes, &[], &[])?;
        self.clean.push((first, tail.end));
        drop(guard);
        for (from, place) in self.from.drain(..).zip(&places) {
            self.moved.insert(from, *place);
        }
        for link in stack.iter_mut().flat_map(|frame| &mut frame.3).filter(|link| **link & LOCAL != 0) {
            *link = places[(*link ^ LOCAL) as usize];
        }
        self.count += self.nodes.len();
        self.nodes.clear();
        self.bytes = 0;
        Ok(())
    }
}

/// See [`Store::reader`].
#[derive(Debug)]
pub struct Reader {
    inner: Arc<Inner>,
    segments: Segments,
    generation: u64,
}

impl Reader {
    fn read(&self, at: &Ref) -> std::result::Result<Loaded, TrieError> {
        if at.link == 0 || at.link & LOCAL != 0 {
            return Err(TrieError::Missing(at.hash));
        }
        if let Some(node) = self.inner.cache.get(at) {
            return Ok(node);
        }
        let node = self.fetch(at)?;
        self.inner.cache.put(at, &node);
        Ok(node)
    }

    /// Reads past the cache.
    fn fetch(&self, at: &Ref) -> std::result::Result<Loaded, TrieError> {
        let bad = |what: &str| TrieError::Unreadable(at.hash, format!("{what} at place {}", at.link));
        let raw = self.raw(at.link).map_err(|error| bad(&error.to_string()))?;
        if raw.len() < 3 {
            return Err(bad("the log ends"));
        }
        let start = 3 + LINK * raw[2] as usize;
        let end = start + u16::from_le_bytes([raw[0], raw[1]]) as usize;
        if end > raw.len() || keccak256(&raw[start..end]) != at.hash {
            return Err(bad("another node"));
        }
        Ok(Loaded { rlp: raw.slice(start..end), links: raw.slice(3..start) })
    }

    /// The bytes from a place on, at least the node there.
    fn raw(&self, place: u64) -> io::Result<Bytes> {
        if place >= self.inner.written_end.load(SeqCst) {
            let recent = self.inner.recent.read().unwrap();
            let after = recent.chunks.partition_point(|(first, _)| *first <= place);
            if let Some((first, data)) = after.checked_sub(1).and_then(|i| recent.chunks.get(i)) {
                let start = (place - first) as usize;
                if start < data.len() {
                    return Ok(Bytes::copy_from_slice(&data[start..data.len().min(start + LONGEST)]));
                }
            }
        }
        let current;
        let segment = match self.segments.iter().find(|segment| segment.holds(place)) {
            Some(segment) => segment,
            None => {
                current = self.inner.segments.read().unwrap().clone();
                let segment = current.iter().find(|segment| segment.holds(place));
                &segment.ok_or_else(|| io::Error::other("no file"))?.clone()
            }
        };
        let mut raw = [0; LONGEST];
        let mut got = 0;
        while got < LONGEST {
            match segment.file.read_at(&mut raw[got..], place - segment.first + got as u64)? {
                0 => break,
                n => got += n,
            }
        }
        // Keep only the node: it may stay in the cache.
        let need = 3 + LINK * raw[2] as usize + u16::from_le_bytes([raw[0], raw[1]]) as usize;
        Ok(Bytes::copy_from_slice(&raw[..got.min(need)]))
    }
}

impl NodeSource for Reader {
    fn node(&self, at: &Ref) -> std::result::Result<Loaded, TrieError> {
        self.read(at)
    }
}

impl Source for Reader {
    fn code(&self, hash: &B256) -> std::result::Result<Bytes, StateError> {
        if let Some(code) = self.inner.recent.read().unwrap().codes.get(hash) {
            return Ok(code.clone());
        }
        let read = || -> Result<Option<Bytes>> {
            let table = self.inner.index.begin_read().map_err(redb_error)?.open_table(CODES).map_err(redb_error)?;
            let code = table.get(&hash.0).map_err(redb_error)?;
            Ok(code.map(|code| Bytes::copy_from_slice(code.value())))
        };
        let code = read().map_err(|error| StateError::UnreadableCode(*hash, error.to_string()))?;
        let code = code.ok_or(StateError::MissingCode(*hash))?;
        if keccak256(&code) == *hash {
            Ok(code)
        } else {
            Err(StateError::UnreadableCode(*hash, format!("{}: another code", self.inner.index_path().display())))
        }
    }
    fn root(&self, hash: B256) -> Ref {
        let recent = self.inner.recent.read().unwrap();
        if let Some((link, _)) = recent.roots.get(&hash) {
            return Ref { hash, link: *link };
        }
        if recent.replace.is_some() {
            return hash.into();
        }
        let find =
            || self.inner.index.begin_read().ok()?.open_table(ROOTS).ok()?.get(&hash.0).ok()?.map(|v| v.value().0);
        Ref { hash, link: find().unwrap_or(0) }
    }
    fn generation(&self) -> u64 {
        self.generation
    }
}

/// Nodes by place. Two ages per shard: what is asked for again moves to the young one; when that is full, the old one is
/// dropped.
#[derive(Debug)]
struct Cache {
    shards: Vec<Mutex<[Shard; 2]>>,
    limit: usize,
}

#[derive(Debug, Default)]
struct Shard {
    nodes: HashMap<u64, (B256, Loaded), alloy_primitives::map::FbBuildHasher<8>>,
    bytes: usize,
}

impl Cache {
    /// What an entry costs besides its bytes.
    const ENTRY: usize = 160;

    fn new(bytes: usize) -> Self {
        Self { shards: (0..16).map(|_| Mutex::default()).collect(), limit: bytes / 32 }
    }
    fn shard(&self, place: u64) -> &Mutex<[Shard; 2]> {
        &self.shards[(place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) as usize]
    }
    fn get(&self, at: &Ref) -> Option<Loaded> {
        let mut shard = self.shard(at.link).lock().unwrap();
        // Links are not hashed: the hash that is asked for must be compared.
        if let Some((hash, node)) = shard[0].nodes.get(&at.link) {
            return (*hash == at.hash).then(|| node.clone());
        }
        let (hash, node) = shard[1].nodes.remove(&at.link)?;
        if hash != at.hash {
            return None;
        }
        self.keep(&mut shard, at, node.clone());
        Some(node)
    }
    fn put(&self, at: &Ref, node: &Loaded) {
        self.keep(&mut self.shard(at.link).lock().unwrap(), at, node.clone());
    }
    fn keep(&self, shard: &mut [Shard; 2], at: &Ref, node: Loaded) {
        shard[0].bytes += node.rlp.len() + node.links.len() + Self::ENTRY;
        shard[0].nodes.insert(at.link, (at.hash, node));
        if shard[0].bytes > self.limit {
            shard[1] = std::mem::take(&mut shard[0]);
        }
    }
}
