//! A list of blocks, each on the one before: judged, executed and stored in one crossing.
//!
//!     [block] > decoded > senders on all cores > merged yet? > ommers > Judge > store, one after the other
//!
//! It is how a chain of others is taken in: here difficulty is counted, so that the merge is where it happened.

use crate::{
    block::Block,
    edge::{self, Ancestors, detached},
    engine::{Engine, NativeEngine},
    errors::{Error, Result},
    header,
    ommers::Lineage,
    result::BlockResult,
    transactions,
};
use alloy_primitives::{Bytes, U256};
use pyo3::{exceptions::PyBaseException, prelude::*, pybacked::PyBackedBytes, types::PyBytes};

/// Hashes that `BLOCKHASH` reaches.
const ANCESTORS_MAX: usize = 256;

/// Where a list begins.
struct Tip {
    lineage: Lineage,
    /// Hashes of the newest block and those below it, the newest first.
    hashes: Vec<u8>,
    total_difficulty: U256,
}

impl Engine {
    /// Takes blocks in until one is refused; gives what was taken in, and why the next was not.
    fn import_chain(&self, mut tip: Tip, blocks: Vec<Bytes>) -> Result<(Vec<BlockResult>, Option<Error>)> {
        let mut results = Vec::with_capacity(blocks.len());
        let mut decoded = Vec::with_capacity(blocks.len());
        let mut refused = None;
        for block in blocks {
            match Block::decode(block) {
                Ok(block) => decoded.push(block),
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        let raws: Vec<Bytes> = decoded.iter().flat_map(|block| block.transactions.iter().cloned()).collect();
        transactions::recover_all(&raws, &self.senders);
        for block in &decoded {
            match self.import_next(&mut tip, block) {
                Ok(result) => results.push(result),
                Err(error @ Error::Invalid { .. }) => return Ok((results, Some(error))),
                Err(error) => return Err(error),
            }
        }
        Ok((results, refused))
    }

    fn import_next(&self, tip: &mut Tip, block: &Block) -> Result<BlockResult> {
        let parent = tip.lineage.parent().ok_or_else(|| Error::Argument("recent: want at least the parent".into()))?;
        let number = parent.number.saturating_add(1);
        let merged = self.spec.terminal_difficulty().is_some_and(|terminal| tip.total_difficulty >= terminal);
        if merged && !parent.difficulty.is_zero() {
            self.spec.merge_at(Some(number));
        }
        tip.lineage.check(&self.spec, block)?;
        let ancestors = Ancestors::new(parent.number, &tip.hashes)?;
        let mut result = self.judge(parent, block, ancestors.clone(), false)?;
        result.origin = Some((alloy_rlp::encode(parent).into(), ancestors));
        self.commit(&result)?;
        tip.lineage.push(block);
        tip.hashes.splice(0..0, block.hash.0);
        tip.hashes.truncate(32 * ANCESTORS_MAX);
        tip.total_difficulty = tip.total_difficulty.saturating_add(block.header.difficulty);
        Ok(result)
    }
}

#[pymethods]
impl NativeEngine {
    /// Judges and stores blocks, each on the one before, until one is refused: (those taken in, InvalidBlock or None).
    ///
    /// `recent` are the blocks below the first, the oldest first: seven, or all; `ancestors` the hashes from the last of
    /// them down. `total_difficulty` is that of the last, 32 bytes.
    fn import_chain(
        &self,
        py: Python<'_>,
        recent: Vec<PyBackedBytes>,
        blocks: Vec<PyBackedBytes>,
        ancestors: &[u8],
        total_difficulty: [u8; 32],
    ) -> Result<(Vec<BlockResult>, Option<Py<PyBaseException>>)> {
        let copied = |items: &[PyBackedBytes]| items.iter().map(|item| Bytes::copy_from_slice(item)).collect();
        let (recent, blocks): (Vec<Bytes>, Vec<Bytes>) = (copied(&recent), copied(&blocks));
        let hashes = ancestors.to_vec();
        let (results, refused) = detached(py, || {
            let mut lineage = Lineage::default();
            for block in recent {
                lineage.push(&Block::decode(block)?);
            }
            let total_difficulty = U256::from_be_bytes(total_difficulty);
            self.engine.import_chain(Tip { lineage, hashes, total_difficulty }, blocks)
        })?;
        Ok((results, refused.map(|error| PyErr::from(error).into_value(py))))
    }

    /// The first block of proof of stake, where difficulty has been counted; `None` before.
    fn merge_at(&self, number: Option<u64>) {
        self.engine.spec.merge_at(number);
    }

    /// The header of an empty block on a parent; its roots are not final.
    fn following_header<'py>(
        &self,
        py: Python<'py>,
        parent_header: &[u8],
        timestamp: u64,
    ) -> Result<Bound<'py, PyBytes>> {
        let parent = edge::header(parent_header)?;
        let following = header::following(&self.engine.spec, &parent, timestamp)?;
        Ok(PyBytes::new(py, &alloy_rlp::encode(following)))
    }
}
