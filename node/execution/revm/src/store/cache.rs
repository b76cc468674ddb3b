//! Nodes that were read, by place.

use crate::mpt::{Loaded, Ref};
use alloy_primitives::{B256, map::FbBuildHasher};
use std::{collections::HashMap, sync::Mutex};

/// Nodes by place. Two ages per shard: what is asked for again moves to the young one; when that is full, the old one is
/// dropped.
#[derive(Debug)]
pub struct Cache {
    shards: Vec<Mutex<[Shard; 2]>>,
    limit: usize,
}

#[derive(Debug, Default)]
struct Shard {
    nodes: HashMap<u64, (B256, Loaded), FbBuildHasher<8>>,
    bytes: usize,
}

impl Cache {
    /// What an entry costs besides its bytes.
    const ENTRY: usize = 160;

    /// A cache of at most these bytes.
    pub fn new(bytes: usize) -> Self {
        Self { shards: (0..16).map(|_| Mutex::default()).collect(), limit: bytes / 32 }
    }
    fn shard(&self, place: u64) -> &Mutex<[Shard; 2]> {
        &self.shards[(place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) as usize]
    }
    /// A node that was kept.
    pub fn get(&self, at: &Ref) -> Option<Loaded> {
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
    /// Keeps a node.
    pub fn put(&self, at: &Ref, node: &Loaded) {
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
