//! Where a chain keeps its states: in memory, or in a [`Store`] on disk.

use crate::{
    memory::MemoryStore,
    mpt::{Loaded, NodeSource, Ref, TrieError},
    state::{Source, StateError, Update},
    store::{Reader, Store, StoreError},
};
use alloy_primitives::{B256, Bytes};
use std::sync::Arc;

/// Takes what blocks write.
#[derive(Debug, Clone)]
pub enum Backing {
    Memory(Arc<MemoryStore>),
    Disk(Arc<Store>),
}

impl Backing {
    /// A view to read: made anew for every block and call, so that pruning can free what it replaces.
    pub fn view(&self) -> View {
        match self {
            Self::Memory(store) => View::Memory(store.clone()),
            Self::Disk(store) => View::Disk(store.reader()),
        }
    }

    /// Adds what the block with a number has written.
    pub fn add(&self, update: &Update, number: u64) -> Result<(), StoreError> {
        match self {
            Self::Memory(store) => store.add(update, number),
            Self::Disk(store) => store.append(update, number),
        }
    }

    /// Whether a state can be read.
    pub fn holds(&self, root: &B256) -> Result<bool, StoreError> {
        match self {
            Self::Memory(store) => Ok(store.holds(root)),
            Self::Disk(store) => store.holds(root),
        }
    }

    /// Keeps the states of these roots and of the blocks from a number on; gives the bytes that were freed.
    pub fn prune(&self, live: &[B256], from: u64) -> Result<u64, StoreError> {
        match self {
            Self::Memory(store) => store.prune(live, from),
            Self::Disk(store) => store.prune(live, from),
        }
    }

    /// Waits until everything outlives a power loss.
    pub fn flush(&self) -> Result<(), StoreError> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Disk(store) => store.flush(),
        }
    }
}

/// Gives what blocks read.
#[derive(Debug, Clone)]
pub enum View {
    Memory(Arc<MemoryStore>),
    Disk(Arc<Reader>),
}

impl NodeSource for View {
    fn node(&self, at: &Ref) -> Result<Loaded, TrieError> {
        match self {
            Self::Memory(source) => source.node(at),
            Self::Disk(source) => source.node(at),
        }
    }
}

impl Source for View {
    fn code(&self, hash: &B256) -> Result<Bytes, StateError> {
        match self {
            Self::Memory(source) => source.code(hash),
            Self::Disk(source) => source.code(hash),
        }
    }
    fn root(&self, hash: B256) -> Ref {
        match self {
            Self::Memory(source) => source.root(hash),
            Self::Disk(source) => source.root(hash),
        }
    }
    fn generation(&self) -> u64 {
        match self {
            Self::Memory(source) => source.generation(),
            Self::Disk(source) => source.generation(),
        }
    }
}
