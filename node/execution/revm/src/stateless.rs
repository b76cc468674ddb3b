//! Execution from a witness alone: no disk, no threads, nothing remembered, re-entrant.

use crate::{
    block::Block,
    deriving::Context,
    edge::{self, Ancestors},
    errors::{Error, Result},
    import::Judge,
    memory::MemoryStore,
    precompile::Step,
    result::BlockResult,
    rollup::L2Spec,
    spec::L1Spec,
    state::StateError,
};
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, keccak256};
use std::sync::Arc;

/// Judges a block. `headers` are those of its ancestors, the parent's first, as many as `BLOCKHASH` reads.
///
/// A witness that lacks something, or holds a node that is none, is [`StateError::MissingCode`] or a missing node:
/// it proves nothing.
pub fn execute(
    spec: &Arc<L1Spec>,
    parent: &Header,
    block: Bytes,
    nodes: Vec<Bytes>,
    codes: Vec<Bytes>,
    headers: &[Bytes],
    step: Option<Step>,
) -> Result<BlockResult> {
    let block = Block::decode(block)?;
    let ancestors = ancestors(parent, headers)?;
    let judge = Judge { spec, parent, ancestors, step, senders: None };
    judge.judge(&block, Arc::new(MemoryStore::from_witness(nodes, codes))).map_err(insufficient)
}

/// Judges a rollup's block; its ancestors are in its parent's state.
pub fn execute_rollup(
    spec: &Arc<L2Spec>,
    parent: &Header,
    block: Bytes,
    nodes: Vec<Bytes>,
    codes: Vec<Bytes>,
) -> Result<BlockResult> {
    let block = Block::decode(block)?;
    let context = Context { spec, parent, senders: None };
    context.judge(&block, Arc::new(MemoryStore::from_witness(nodes, codes))).map_err(insufficient)
}

/// In a witness nothing is damage: what is wrong is not there.
pub fn insufficient(error: Error) -> Error {
    use crate::mpt::TrieError;
    match error {
        Error::State(StateError::Trie(TrieError::Corrupt)) => {
            Error::State(StateError::Insufficient("a node is no trie node".into()))
        }
        Error::State(StateError::MissingCode(hash)) => {
            Error::State(StateError::Insufficient(format!("no code {hash}")))
        }
        error => error,
    }
}

/// Hashes of a chain of headers that ends in the parent.
fn ancestors(parent: &Header, headers: &[Bytes]) -> Result<Ancestors> {
    let (mut want, mut hashes) = (parent.hash_slow(), Vec::with_capacity(32 * headers.len()));
    for (place, rlp) in headers.iter().enumerate() {
        let hash: B256 = keccak256(rlp);
        if hash != want {
            return Err(Error::Argument(format!("headers: the one at {place} is not the ancestor {want}")));
        }
        hashes.extend_from_slice(hash.as_slice());
        want = edge::header(rlp)?.parent_hash;
    }
    Ancestors::new(parent.number, &hashes)
}
