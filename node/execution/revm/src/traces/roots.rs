//! `debug_intermediateRoots`: the state's root after each transaction of a block, where two nodes begin to differ.

use super::{Replay, Request, Stage};
use crate::{
    edge::detached,
    engine::NativeEngine,
    errors::{Error, Result},
    tracers::Plan,
};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::B256;
use pyo3::{prelude::*, types::PyBytes};

impl<E: Stage> Replay<E> {
    /// The roots as far as the block goes: one that was refused may hold what cannot be executed.
    fn roots(mut self, clear_empty: bool) -> Result<Vec<B256>> {
        let mut roots = Vec::new();
        for index in 0..self.transactions.len() {
            self.scene.evm.db_mut().watch.look();
            match self.advance(index) {
                Ok(()) => roots.push(self.scene.evm.db_mut().write(clear_empty)?),
                Err(Error::Call { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(roots)
    }
}

#[pymethods]
impl NativeEngine {
    /// The state's root after each transaction, 32 bytes each. TimeoutError if `deadline_us` has passed.
    #[pyo3(signature = (parent_root, block, ancestors, *, deadline_us=None))]
    fn intermediate_roots<'py>(
        &self,
        py: Python<'py>,
        parent_root: &[u8],
        block: &[u8],
        ancestors: &[u8],
        deadline_us: Option<u64>,
    ) -> Result<Vec<Bound<'py, PyBytes>>> {
        let roots = detached(py, || {
            let mut request = Request::planned(parent_root, block, ancestors, Plan::parties(), deadline_us)?;
            request.writes = true;
            let engine = &self.engine;
            let clear_empty = engine.spec.is_spurious_dragon_active_at_block(request.block.header.number);
            if engine.rollup().is_ok() {
                request.rollup(engine)?.roots(clear_empty)
            } else {
                request.l1(engine)?.roots(clear_empty)
            }
        })?;
        Ok(roots.iter().map(|root| PyBytes::new(py, &root[..])).collect())
    }
}
