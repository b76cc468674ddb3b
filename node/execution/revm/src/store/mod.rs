//! The persistent store: an append-only log of trie nodes, and a small redb file that indexes it.
//!
//! A node is kept once, in the batch of the block that made it, and names its children by *place* (see
//! [`Link`](crate::mpt::Link)) besides by hash. So there is no index from hash to node, which is what makes random keys
//! expensive; a block is one sequential write. Every node that is read from the file is hashed: a wrong one is an error.
//!
//! * [`Store::append`] hands a block's batch to the operating system before it returns: it can be read, and outlives the
//!   process. A thread syncs all that was written every [`Options::sync`]: from then on it outlives a power loss.
//! * redb holds the places of the roots, the codes, and up to where the log has been indexed. It is written every
//!   [`Options::checkpoint`]; [`Store::open`] reads the batches after that and cuts a torn one off.
//! * Blocks that are dropped leave garbage. [`Store::prune`] forgets roots, and when garbage is most of the log, copies
//!   what the others reach into a new file (`compaction`).
//!
//! Places are offsets in the log's whole life: a new file starts where the old one ends, so none is used twice.

mod cache;
mod compaction;
mod index;
mod reader;
mod segment;
mod syncing;
#[cfg(test)]
mod tests;

use crate::{
    mpt::{LINK, LOCAL, Link, Loaded, NewNode, Ref, TrieError},
    state::{StateError, Update},
};
use alloy_primitives::{B256, Bytes, map::B256Set};
use alloy_trie::EMPTY_ROOT_HASH;
use cache::Cache;
use index::{Index, Roots};
pub use reader::Reader;
use segment::{FILE_HEAD, FIXED, HEAD, Kind, NODE_HEAD, Segment, Segments};
use std::{
    collections::HashMap,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, OnceLock, RwLock,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread::JoinHandle,
    time::Duration,
};

/// Why the store refuses.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The disk or the file system.
    #[error("store: {0}")]
    Io(String),
    /// What is there is not what was written.
    #[error("store is damaged: {0}")]
    Damaged(String),
    /// The update was made on places that compaction has since removed: execute the block again.
    #[error("the update is older than the last compaction")]
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

type Result<T> = std::result::Result<T, StoreError>;

/// The largest buffer that is kept: a full block's batch fits.
const BUFFER_BYTES: usize = 4 << 20;

/// How a store works.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Longest time between a block and its sync.
    pub sync: Duration,
    /// Longest time between a block and its entry in the index.
    pub checkpoint: Duration,
    /// Bytes of nodes kept in memory.
    pub cache: usize,
    /// Bytes of garbage that are left alone besides as many as there are live ones.
    pub slack: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { sync: Duration::from_millis(50), checkpoint: Duration::from_secs(1), cache: 64 << 20, slack: 64 << 20 }
    }
}

/// What is not yet in the index.
#[derive(Debug, Default)]
struct Recent {
    roots: Roots,
    codes: HashMap<B256, Bytes>,
    /// After compaction: once the log is synced up to here, the index shall hold these roots and nothing else.
    replace: Option<u64>,
}

impl Recent {
    /// Notes a root. The same state again, on a lower fork, lives as long as the higher block's.
    fn add_root(&mut self, root: B256, place: u64, number: u64) {
        let known = self.roots.get(&root).map_or(0, |(_, number)| *number);
        self.roots.insert(root, (place, number.max(known)));
    }
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
    /// Kept from batch to batch.
    buffer: Vec<u8>,
    /// Roots appended since compaction began: root, place, number.
    since: Option<Vec<(B256, u64, u64)>>,
}

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    options: Options,
    index: Index,
    segments: RwLock<Segments>,
    recent: RwLock<Recent>,
    tail: Mutex<Tail>,
    wake: Condvar,
    done: Condvar,
    /// Batches of this run that are synced.
    durable: AtomicU64,
    synced_end: AtomicU64,
    generation: AtomicU64,
    /// Bytes of the log after the last compaction; 0 if there was none in this run.
    compacted: AtomicU64,
    /// Why the thread has stopped.
    failed: OnceLock<StoreError>,
    cache: Cache,
    /// Held while the index is brought up to date, and while roots are forgotten.
    indexing: Mutex<()>,
    pruning: Mutex<()>,
}

/// The store of one chain. One process may have it open.
#[derive(Debug)]
pub struct Store {
    inner: Arc<Inner>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    /// Opens or creates the store in a folder.
    pub fn open(dir: &Path, options: Options) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let (index, opened) = Index::open(dir)?;
        let open = |(first, end): (&u64, &u64)| Segment::open(dir, *first, *end).map(Arc::new);
        let segments = opened.files.iter().map(open).collect::<Result<Vec<_>>>()?;
        for entry in std::fs::read_dir(dir)?.flatten() {
            // Left by a compaction that was killed: after its commit the old files, before it the new one.
            if entry.path().extension() == Some("log".as_ref()) && segments.iter().all(|s| s.path != entry.path()) {
                std::fs::remove_file(entry.path())?;
            }
        }
        let (mut recent, mut end) = (Recent::default(), opened.end);
        let first = segments.iter().rposition(|segment| segment.first <= end);
        let first = first.ok_or_else(|| StoreError::Damaged(format!("{}: no file holds {end}", dir.display())))?;
        for (number, segment) in segments.iter().enumerate().skip(first) {
            end = segment.replay(end.max(segment.first + FILE_HEAD), &mut recent)?;
            if number + 1 < segments.len() {
                segment.end.store(end, SeqCst);
            }
        }
        let tail = Tail { end, count: 0, stop: false, flush: false, buffer: Vec::new(), since: None };
        let inner = Arc::new(Inner {
            dir: dir.into(),
            options,
            index,
            segments: RwLock::new(Arc::new(segments)),
            recent: RwLock::new(recent),
            tail: Mutex::new(tail),
            wake: Condvar::new(),
            done: Condvar::new(),
            durable: 0.into(),
            synced_end: end.into(),
            generation: opened.generation.into(),
            compacted: 0.into(),
            failed: OnceLock::new(),
            cache: Cache::new(options.cache),
            indexing: Mutex::new(()),
            pruning: Mutex::new(()),
        });
        let run = inner.clone();
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || run.work())?;
        Ok(Self { inner, thread: Mutex::new(Some(thread)) })
    }

    /// A view for execution.
    pub fn reader(&self) -> Arc<Reader> {
        // Under the lock under which compaction changes them all.
        let _lock = self.inner.recent.read().unwrap();
        let generation = self.inner.generation.load(SeqCst);
        let segments = self.inner.segments.read().unwrap().clone();
        Arc::new(Reader { inner: self.inner.clone(), segments, generation })
    }

    /// Stores what a block has written: when this returns, it can be read and outlives the process.
    pub fn append(&self, update: &Update, number: u64) -> Result<()> {
        self.inner.append(update, number)
    }

    /// Syncs, writes the index, and waits for both.
    pub fn flush(&self) -> Result<()> {
        self.inner.flush()
    }

    /// Whether a state can be read.
    pub fn holds(&self, root: &B256) -> Result<bool> {
        Ok(self.inner.find_root(root)?.is_some())
    }

    /// Forgets every root but the given ones and those of the blocks from a number on. Blocks go on meanwhile; updates
    /// that were begun before a compaction are [`StoreError::Stale`] after it. Gives the bytes that compaction freed.
    pub fn prune(&self, live: &[B256], from: u64) -> Result<u64> {
        self.inner.prune(live, from)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.inner.tail.lock().unwrap().stop = true;
        self.inner.wake.notify_all();
        if let Some(thread) = self.thread.lock().unwrap().take() {
            // It has caught its own panics.
            let _ = thread.join();
        }
    }
}

impl Inner {
    fn check(&self) -> Result<()> {
        self.failed.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    fn append(&self, update: &Update, number: u64) -> Result<()> {
        let mut tail = self.tail.lock().unwrap();
        self.check()?;
        if update.built_on.is_some_and(|generation| generation != self.generation.load(SeqCst)) {
            return Err(StoreError::Stale);
        }
        let codes: Vec<&Bytes> = update.codes.values().collect();
        let root = Ref { hash: update.root, link: update.link };
        let (places, place) = self.push(&mut tail, Kind::Block, number, root, &update.nodes, &codes)?;
        // The next block reads most of them; a genesis would only push itself out.
        if update.built_on.is_some() {
            self.remember(&update.nodes, &places);
        }
        let mut recent = self.recent.write().unwrap();
        recent.add_root(update.root, place, number);
        recent.codes.extend(update.codes.iter().map(|(hash, code)| (*hash, code.clone())));
        drop(recent);
        if let Some(since) = &mut tail.since {
            since.push((update.root, place, number));
        }
        Ok(())
    }

    /// Keeps new nodes in memory as if they had been read.
    fn remember(&self, nodes: &[NewNode], places: &[u64]) {
        for (node, place) in nodes.iter().zip(places) {
            let real = |link: &Link| if link & LOCAL == 0 { *link } else { places[(link ^ LOCAL) as usize] };
            let mut links = Vec::with_capacity(LINK * node.links.len());
            node.links.iter().for_each(|link| links.extend_from_slice(&real(link).to_le_bytes()[..LINK]));
            let at = Ref { hash: node.hash, link: *place };
            self.cache.put(&at, &Loaded { rlp: node.rlp.clone(), links: links.into() });
        }
    }

    /// Writes a batch at the end of the log. Gives the nodes' places and the root's.
    fn push(
        &self,
        tail: &mut Tail,
        kind: Kind,
        number: u64,
        root: Ref,
        nodes: &[NewNode],
        codes: &[&Bytes],
    ) -> Result<(Vec<u64>, u64)> {
        let mut at = tail.end + (HEAD + FIXED) as u64;
        at += codes.iter().map(|code| 4 + code.len() as u64).sum::<u64>();
        let mut places = Vec::with_capacity(nodes.len());
        for node in nodes {
            places.push(at);
            at += (NODE_HEAD + LINK * node.links.len() + node.rlp.len()) as u64;
        }
        let place = |link: Link| match link {
            0 => Err(StoreError::Foreign),
            link if link & LOCAL == 0 => Ok(link),
            link => places.get((link ^ LOCAL) as usize).copied().ok_or(StoreError::Foreign),
        };
        let root_place = if root.hash == EMPTY_ROOT_HASH { 0 } else { place(root.link)? };
        let mut data = std::mem::take(&mut tail.buffer);
        data.clear();
        data.reserve((at - tail.end) as usize);
        data.resize(HEAD, 0);
        data.extend(number.to_le_bytes());
        data.extend(root.hash);
        data.extend(root_place.to_le_bytes());
        for count in [nodes.len(), codes.len()] {
            data.extend((count as u32).to_le_bytes());
        }
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
        segment::seal(&mut data, kind, tail.end);
        let segments = self.segments.read().unwrap().clone();
        let segment = segments.last().expect("never empty");
        let written = segment.file.write_all_at(&data, tail.end - segment.first);
        written.map_err(|error| StoreError::Io(format!("{}: {error}", segment.path.display())))?;
        if data.capacity() <= BUFFER_BYTES {
            tail.buffer = data;
        }
        tail.end = at;
        tail.count += 1;
        self.wake.notify_one();
        Ok((places, root_place))
    }

    /// Place and number of a root that was not forgotten.
    fn find_root(&self, root: &B256) -> Result<Option<(u64, u64)>> {
        let recent = self.recent.read().unwrap();
        match recent.roots.get(root) {
            Some(found) => Ok(Some(*found)),
            None if recent.replace.is_some() => Ok(None),
            None => self.index.root(root),
        }
    }

    fn roots(&self) -> Result<Roots> {
        let recent = self.recent.read().unwrap();
        let mut roots = if recent.replace.is_none() { self.index.roots()? } else { Roots::new() };
        for (root, (place, number)) in &recent.roots {
            let known = roots.get(root).map_or(0, |(_, number)| *number);
            roots.insert(*root, (*place, *number.max(&known)));
        }
        Ok(roots)
    }

    fn code(&self, hash: &B256) -> std::result::Result<Bytes, StateError> {
        if let Some(code) = self.recent.read().unwrap().codes.get(hash) {
            return Ok(code.clone());
        }
        self.index.code(hash).map_err(|error| StateError::UnreadableCode(*hash, error.to_string()))
    }

    fn prune(self: &Arc<Self>, live: &[B256], from: u64) -> Result<u64> {
        let _one = self.pruning.lock().unwrap();
        let live: B256Set = live.iter().copied().collect();
        self.forget(&live, from)?;
        let size: u64 = self.segments.read().unwrap().iter().map(|segment| segment.size()).sum();
        let last = self.compacted.load(SeqCst);
        if size <= last.saturating_mul(2).saturating_add(self.options.slack) {
            return Ok(0);
        }
        self.compact()
    }

    fn forget(&self, live: &B256Set, from: u64) -> Result<()> {
        let _indexing = self.indexing.lock().unwrap();
        let known = self.roots()?;
        if let Some(root) = live.iter().find(|root| !known.contains_key(*root)) {
            return Err(StoreError::Unknown(*root));
        }
        let keep = |root: &B256, number: u64| number >= from || live.contains(root);
        self.index.drop_roots(keep)?;
        self.recent.write().unwrap().roots.retain(|root, (_, number)| keep(root, *number));
        Ok(())
    }
}

/// A node that cannot be copied.
fn unreadable(error: TrieError) -> StoreError {
    StoreError::Damaged(error.to_string())
}
