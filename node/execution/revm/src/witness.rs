//! What a run has read.

use crate::{
    mpt::{Loaded, NodeSource, Ref, TrieError},
    state::{Source, StateError},
};
use alloy_primitives::{B256, Bytes};
use std::{collections::BTreeMap, sync::Mutex};

/// Nodes and codes by hash; ordered, hence the same on every machine.
#[derive(Debug, Default, Clone)]
pub struct Witness {
    pub nodes: BTreeMap<B256, Bytes>,
    pub codes: BTreeMap<B256, Bytes>,
}

/// A source that notes every read. It sits *below* every cache and stays on during the root update, because a
/// collapsing branch reads its last sibling there.
#[derive(Debug)]
pub struct Recorder<S> {
    inner: S,
    witness: Mutex<Witness>,
}

impl<S: Source> Recorder<S> {
    /// A recorder that has noted nothing.
    pub fn new(inner: S) -> Self {
        Self { inner, witness: Mutex::default() }
    }

    /// What was noted so far; it is forgotten here.
    pub fn take(&self) -> Witness {
        std::mem::take(&mut self.witness.lock().unwrap())
    }
}

impl<S: Source> NodeSource for Recorder<S> {
    fn node(&self, at: &Ref) -> Result<Loaded, TrieError> {
        let node = self.inner.node(at)?;
        self.witness.lock().unwrap().nodes.insert(at.hash, node.rlp.clone());
        Ok(node)
    }
}

impl<S: Source> Source for Recorder<S> {
    fn code(&self, hash: &B256) -> Result<Bytes, StateError> {
        let code = self.inner.code(hash)?;
        self.witness.lock().unwrap().codes.insert(*hash, code.clone());
        Ok(code)
    }
    fn root(&self, hash: B256) -> Ref {
        self.inner.root(hash)
    }
    fn generation(&self) -> u64 {
        self.inner.generation()
    }
}
