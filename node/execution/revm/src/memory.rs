//! Nodes and codes in memory: the store of a chain without a folder, and what a witness holds.
//!
//! Locks are held for one look-up only, never across execution, so that a precompile may use the engine again.

use crate::{
    mpt::{Loaded, NodeSource, Ref, TrieError},
    state::{Source, StateError, Update, below},
    store::StoreError,
};
use alloy_primitives::{
    B256, Bytes, KECCAK256_EMPTY, keccak256,
    map::{B256Map, B256Set},
};
use alloy_trie::EMPTY_ROOT_HASH;
use std::sync::RwLock;

/// See the module.
#[derive(Debug, Default)]
pub struct MemoryStore {
    content: RwLock<Content>,
}

#[derive(Debug, Default)]
struct Content {
    nodes: B256Map<Bytes>,
    codes: B256Map<Bytes>,
    /// State root → number of the last block that had it.
    roots: B256Map<u64>,
    /// How often this store was pruned.
    generation: u64,
}

impl MemoryStore {
    /// A store that holds exactly these.
    pub fn from_witness(nodes: Vec<Bytes>, codes: Vec<Bytes>) -> Self {
        let by_hash = |items: Vec<Bytes>| items.into_iter().map(|item| (keccak256(&item), item)).collect();
        let content = Content { nodes: by_hash(nodes), codes: by_hash(codes), ..Default::default() };
        Self { content: RwLock::new(content) }
    }

    /// Adds what a block has written.
    pub fn add(&self, update: &Update, number: u64) -> Result<(), StoreError> {
        let mut content = self.content.write().unwrap();
        if update.built_on.is_some_and(|generation| generation != content.generation) {
            return Err(StoreError::Stale);
        }
        content.nodes.extend(update.nodes.iter().map(|node| (node.hash, node.rlp.clone())));
        content.codes.extend(update.codes.iter().map(|(hash, code)| (*hash, code.clone())));
        content.roots.insert(update.root, number);
        Ok(())
    }

    /// Whether a state with this root was added and kept.
    pub fn holds(&self, root: &B256) -> bool {
        self.content.read().unwrap().roots.contains_key(root)
    }

    /// Keeps the states of these roots and of the blocks from a number on; gives the bytes of nodes that went.
    pub fn prune(&self, live: &[B256], from: u64) -> Result<u64, StoreError> {
        let mut content = self.content.write().unwrap();
        if let Some(root) = live.iter().find(|root| !content.roots.contains_key(*root)) {
            return Err(StoreError::Unknown(*root));
        }
        let live: B256Set = live.iter().copied().collect();
        content.roots.retain(|root, number| *number >= from || live.contains(root));
        let (mut nodes, mut codes) = (B256Set::default(), B256Set::default());
        let mut stack: Vec<B256> = content.roots.keys().copied().collect();
        while let Some(hash) = stack.pop() {
            if hash == EMPTY_ROOT_HASH || !nodes.insert(hash) {
                continue;
            }
            let rlp = content.nodes.get(&hash).cloned().ok_or(StoreError::Damaged(format!("no node {hash}")))?;
            let (children, account) = below(&Loaded { rlp, links: Bytes::new() }).map_err(StoreError::damaged)?;
            stack.extend(children.iter().map(|child| child.hash));
            codes.extend(account.map(|account| account.code_hash).filter(|hash| *hash != KECCAK256_EMPTY));
        }
        let before: usize = content.nodes.values().map(|node| node.len()).sum();
        content.nodes.retain(|hash, _| nodes.contains(hash));
        content.codes.retain(|hash, _| codes.contains(hash));
        content.generation += 1;
        let after: usize = content.nodes.values().map(|node| node.len()).sum();
        Ok((before - after) as u64)
    }
}

impl NodeSource for MemoryStore {
    fn node(&self, at: &Ref) -> Result<Loaded, TrieError> {
        let rlp = self.content.read().unwrap().nodes.get(&at.hash).cloned().ok_or(TrieError::Missing(at.hash))?;
        Ok(Loaded { rlp, links: Bytes::new() })
    }
}

impl Source for MemoryStore {
    fn code(&self, hash: &B256) -> Result<Bytes, StateError> {
        self.content.read().unwrap().codes.get(hash).cloned().ok_or(StateError::MissingCode(*hash))
    }
    fn generation(&self) -> u64 {
        self.content.read().unwrap().generation
    }
}
