//! The store under forks, compaction, kills (copies of its files) and damage.

use super::*;
use crate::{
    memory::MemoryStore,
    mpt::Trie,
    state::{Source, StoredAccount, walk},
};
use alloy_primitives::{B256, KECCAK256_EMPTY, U256, keccak256};
use std::{fs, thread::yield_now};

/// Gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("store-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Prunes, and compacts however little garbage there is.
fn prune(store: &Store, live: &[B256], from: u64) {
    store.inner.compacted.store(0, SeqCst);
    store.prune(live, from).unwrap();
}

/// A store that reads nearly everything from its files.
fn open(dir: &Path) -> Store {
    Store::open(dir, Options { cache: 1 << 14, slack: 0, ..Default::default() }).unwrap()
}

fn key(n: u64) -> B256 {
    keccak256(n.to_be_bytes())
}

fn account(nonce: u64, storage_root: B256, code_hash: B256) -> StoredAccount {
    StoredAccount { nonce, balance: U256::from(nonce + 1), storage_root, code_hash }
}

/// A state of accounts that all have storage, every third one a code.
fn first(accounts: u64) -> Update {
    let nothing = MemoryStore::default();
    let (mut update, mut trie) = (Update::default(), Trie::default());
    for n in 0..accounts {
        let mut storage = Trie::default();
        for k in 1..1 + n % 40 {
            storage.insert(&key(k), alloy_rlp::encode(U256::from_be_bytes(key(n ^ k).0)), &nothing).unwrap();
        }
        let storage = storage.commit(&mut update.nodes);
        let code = if n.is_multiple_of(3) { n.to_be_bytes().to_vec().into() } else { Bytes::new() };
        let hash = keccak256(&code);
        if !code.is_empty() {
            update.codes.insert(hash, code);
        }
        trie.insert(&keccak256(key(n)), account(n, storage.hash, hash).value(storage), &nothing).unwrap();
    }
    Ref { hash: update.root, link: update.link } = trie.commit(&mut update.nodes);
    update
}

/// A block on any source: sets twenty accounts, removes some others.
fn next(source: &impl Source, root: B256, seed: u64) -> Update {
    let mut trie = Trie::at(source.root(root));
    for n in 0..20 {
        let account = account(seed, EMPTY_ROOT_HASH, KECCAK256_EMPTY);
        trie.insert(&key(1_000 + n * seed % 500), alloy_rlp::encode(&account), source).unwrap();
        trie.remove(&key(1_000 + n * (seed + 7) % 300), source).unwrap();
    }
    let mut update = Update { built_on: Some(source.generation()), ..Default::default() };
    Ref { hash: update.root, link: update.link } = trie.commit(&mut update.nodes);
    update
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn what_append_returned_for_survives_a_kill() {
    let (dir, copy) = (Folder::new("kill"), Folder::new("kill-copy"));
    let store = open(&dir.0);
    let genesis = first(300);
    store.append(&genesis, 0).unwrap();
    store.flush().unwrap();
    let mut roots = vec![genesis.root];
    for number in 1..40 {
        let update = next(&store.reader(), roots[number as usize / 2], number); // forks
        store.append(&update, number).unwrap();
        roots.push(update.root);
    }
    // What a killed process leaves: everything written, nothing flushed; and the start of a batch.
    copy_files(&dir.0, &copy.0);
    let log = Segment::path(&copy.0, FILE_HEAD);
    let torn = [fs::read(&log).unwrap(), vec![0x65, 0x64, 0x6f, 0x6e, 1, 0, 0]].concat();
    fs::write(log, torn).unwrap();
    let again = open(&copy.0);
    for root in &roots {
        assert_eq!(walk(&again.reader(), *root).unwrap(), walk(&store.reader(), *root).unwrap());
    }
    let update = next(&again.reader(), roots[39], 99);
    again.append(&update, 40).unwrap();
    assert!(walk(&again.reader(), update.root).is_ok());
}

/// Blocks that come while the log is compacted: where cores are scarce they come faster than it is done, without end.
const BLOCKS_MEANWHILE: usize = 500;

#[test]
fn compacts_while_blocks_come() {
    let dir = Folder::new("compacts");
    let store = Arc::new(open(&dir.0));
    let genesis = first(2_000);
    store.append(&genesis, 0).unwrap();
    let mut roots = vec![genesis.root];
    for number in 1..60 {
        let update = next(&store.reader(), *roots.last().unwrap(), number);
        store.append(&update, number).unwrap();
        roots.push(update.root);
    }
    for round in 0..4 {
        let keep = roots[roots.len() - 5..].to_vec();
        let counts: Vec<usize> = keep.iter().map(|root| walk(&store.reader(), *root).unwrap()).collect();
        let old = store.reader();
        let at = old.root(keep[0]);
        let stale = next(&store.reader(), keep[0], 999 + round);
        let (other, live) = (store.clone(), keep.clone());
        let thread = std::thread::spawn(move || prune(&other, &live, u64::MAX));
        let most = roots.len() + BLOCKS_MEANWHILE;
        while !thread.is_finished() {
            if roots.len() == most {
                yield_now();
                continue;
            }
            let head = *roots.last().unwrap();
            let view = store.reader();
            if view.root(head).link == 0 {
                roots.truncate(roots.len() - 1); // it came before pruning looked, and was not to be kept
                continue;
            }
            let update = next(&view, head, 100 + roots.len() as u64);
            match store.append(&update, u64::MAX) {
                Err(StoreError::Stale) => continue,
                done => done.unwrap(),
            };
            roots.push(update.root);
            yield_now();
        }
        thread.join().unwrap();
        assert!(matches!(store.append(&stale, 1), Err(StoreError::Stale)));
        assert!(old.fetch(&at).is_ok(), "an old view still reads");
        assert!(!store.holds(&genesis.root).unwrap());
        for (root, count) in keep.iter().zip(counts) {
            assert_eq!(walk(&store.reader(), *root).unwrap(), count);
        }
    }
    let head = *roots.last().unwrap();
    let count = walk(&store.reader(), head).unwrap();
    drop(store);
    assert_eq!(walk(&open(&dir.0).reader(), head).unwrap(), count);
}

/// Forks of the same chain on disk and in memory, pruned alike: what is kept reads the same, what went is gone, and
/// the log holds no more than mark and sweep leaves.
#[test]
fn pruning_equals_mark_and_sweep() {
    let dir = Folder::new("sweep");
    let (store, memory) = (open(&dir.0), Arc::new(MemoryStore::default()));
    let genesis = first(200);
    store.append(&genesis, 0).unwrap();
    memory.add(&genesis, 0).unwrap();
    let mut states = vec![(genesis.root, 0u64)];
    let mut seed = B256::ZERO;
    for round in 0..12 {
        for _ in 0..10 {
            seed = keccak256(seed);
            // Mostly on a recent block, now and then on an older one; sometimes what a fork has done already.
            let back = if seed[0] < 60 { seed[1] as usize % states.len().min(8) } else { 0 };
            let (parent, height) = states[states.len() - 1 - back];
            let change = 1 + u64::from(seed[2] % 5) + height % 3;
            let update = next(&store.reader(), parent, change);
            let twin = next(&memory, parent, change);
            assert_eq!(update.root, twin.root);
            store.append(&update, height + 1).unwrap();
            memory.add(&twin, height + 1).unwrap();
            states.push((update.root, height + 1));
        }
        let head = states.last().unwrap().1;
        let live = [states[states.len() / 2].0];
        let from = head.saturating_sub(3);
        prune(&store, &live, from);
        memory.prune(&live, from).unwrap();
        let mut nodes = std::collections::HashSet::new();
        states.retain(|(root, _)| {
            assert_eq!(store.holds(root).unwrap(), memory.holds(root), "round {round}");
            if !memory.holds(root) {
                return false;
            }
            assert_eq!(walk(&store.reader(), *root).unwrap(), walk(&memory, *root).unwrap());
            reach(&memory, *root, &mut nodes);
            true
        });
        let kept: usize = nodes.iter().map(|(_, length, links)| NODE_HEAD + LINK * links + length).sum();
        let size: u64 = store.inner.segments.read().unwrap().iter().map(|segment| segment.size()).sum();
        // Forks make some nodes twice, and a place is not shared.
        assert!(size as usize <= kept + kept / 10 + 4_096, "round {round}: {size} bytes for {kept}");
    }
}

/// Hash, length and number of links of every node of a state.
fn reach(source: &impl Source, root: B256, nodes: &mut std::collections::HashSet<(B256, usize, usize)>) {
    let mut stack = vec![source.root(root)];
    while let Some(at) = stack.pop().filter(|at| at.hash != EMPTY_ROOT_HASH) {
        let node = source.node(&at).unwrap();
        let (named, _) = crate::state::below(&node).unwrap();
        if nodes.insert((at.hash, node.rlp.len(), named.len())) {
            stack.extend(named);
        }
    }
}

#[test]
fn garbage_is_left_alone_until_it_is_worth_a_compaction() {
    let dir = Folder::new("slack");
    let store = Store::open(&dir.0, Options { slack: 1 << 30, ..Default::default() }).unwrap();
    let genesis = first(50);
    store.append(&genesis, 0).unwrap();
    let update = next(&store.reader(), genesis.root, 1);
    store.append(&update, 1).unwrap();
    assert_eq!(store.prune(&[], 1).unwrap(), 0);
    assert!(!store.holds(&genesis.root).unwrap());
    assert!(matches!(walk(&store.reader(), genesis.root), Err(StateError::Trie(TrieError::Missing(_)))));
    drop(store);
    let store = open(&dir.0);
    assert!(!store.holds(&genesis.root).unwrap());
    assert!(walk(&store.reader(), update.root).is_ok());
    assert!(matches!(store.prune(&[key(1)], 9), Err(StoreError::Unknown(root)) if root == key(1)));
}

#[test]
fn refuses_what_is_not_its_own() {
    let dir = Folder::new("foreign");
    let store = open(&dir.0);
    let (memory, genesis) = (MemoryStore::default(), first(50));
    memory.add(&genesis, 0).unwrap();
    let mut trie = Trie::at(genesis.root);
    trie.insert(&key(7), vec![1; 80], &memory).unwrap();
    let mut update = Update::default();
    Ref { hash: update.root, link: update.link } = trie.commit(&mut update.nodes);
    assert!(matches!(store.append(&update, 1), Err(StoreError::Foreign)));
    assert!(walk(&store.reader(), update.root).is_err());
}

#[test]
fn a_damaged_log_is_named_and_never_misread() {
    let dir = Folder::new("damage");
    let store = open(&dir.0);
    let genesis = first(500);
    store.append(&genesis, 0).unwrap();
    drop(store);
    let log = Segment::path(&dir.0, FILE_HEAD);
    let name = log.display().to_string();
    let good = fs::read(&log).unwrap();
    // The batch's own head and counts, and its codes, are not needed once they are in the index.
    let needed = good.len()
        - genesis.nodes.iter().map(|node| NODE_HEAD + LINK * node.links.len() + node.rlp.len()).sum::<usize>();
    for at in (0..good.len()).step_by(good.len() / 60) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&log, &bad).unwrap();
        let outcome = Store::open(&dir.0, Options::default())
            .map_err(|error| error.to_string())
            .and_then(|store| walk(&store.reader(), genesis.root).map_err(|error| error.to_string()));
        match outcome {
            Ok(_) => assert!(at >= FILE_HEAD as usize && at < needed, "at {at}"),
            Err(message) => assert!(message.contains(&name) || message.contains("corrupt"), "at {at}: {message}"),
        }
        fs::write(&log, &good[..at]).unwrap();
        let message = Store::open(&dir.0, Options::default()).unwrap_err().to_string();
        assert!(message.contains(&name), "cut at {at}: {message}");
    }
}

#[test]
fn a_damaged_index_is_named_and_never_misread() {
    let dir = Folder::new("index");
    let store = open(&dir.0);
    let genesis = first(300);
    store.append(&genesis, 0).unwrap();
    let nodes = walk(&store.reader(), genesis.root).unwrap();
    drop(store);
    let path = dir.0.join("index.redb");
    let good = fs::read(&path).unwrap();
    let mut refused = 0;
    for at in (0..good.len()).step_by(good.len() / 60) {
        let mut bad = good.clone();
        bad[at..(at + 64).min(good.len())].iter_mut().for_each(|byte| *byte ^= 0xff);
        fs::write(&path, &bad).unwrap();
        let outcome = Store::open(&dir.0, Options::default()).map_err(|error| error.to_string()).and_then(|store| {
            let root = store.holds(&genesis.root).map_err(|error| error.to_string())?;
            let walked = walk(&store.reader(), genesis.root).map_err(|error| error.to_string());
            if root { walked } else { Err("index.redb: the root is not there".into()) }
        });
        match outcome {
            Ok(walked) => assert_eq!(walked, nodes, "at {at}"),
            Err(message) => {
                refused += 1;
                assert!(message.contains("index.redb") || message.contains("nodes-"), "at {at}: {message}");
            }
        }
    }
    assert!(refused > 5, "{refused}");
}

#[test]
fn a_second_opening_is_refused() {
    let dir = Folder::new("lock");
    let store = open(&dir.0);
    let message = Store::open(&dir.0, Options::default()).unwrap_err().to_string();
    assert!(message.contains("index.redb: it is in use by another process"), "{message}");
    drop(store);
    open(&dir.0);
}
