//! `eth_simulateV1`: blocks of calls on top of a state, each sealed like a real one (geth's `internal/ethapi/simulate.go`).
//!
//!     JSON > request (bounds, numbers and times in order, gaps filled) > run (a block: overrides, system calls, calls,
//!     withdrawals, requests, roots) > ... > answer (JSON)
//!
//! `logs` watches a block's calls, `unsigned` makes transactions of them. Nothing is stored; the next block runs on what
//! the last one has left. Bounded: blocks, calls, the gas of all calls together, the time, the bytes of the answer.

mod answer;
mod logs;
mod request;
mod run;
mod unsigned;

use crate::{
    edge::{self, detached},
    engine::{Engine, NativeEngine},
    errors::Result,
    scene::Place,
};
use pyo3::{prelude::*, types::PyBytes};
use request::Request;
use run::Simulation;

/// The answer's JSON array. `place` is the block to build on: its header, its state, and the hashes below it.
fn simulate(engine: &Engine, place: Place<'_>, request: &[u8], gas_cap: u64) -> Result<Vec<u8>> {
    let request = Request::parse(request)?;
    let base = edge::header(place.header)?;
    let mode = request.mode;
    let blocks = request.plan(engine, &base)?;
    let mut simulation = Simulation::open(engine, place, base, mode, gas_cap)?;
    let sealed = blocks.into_iter().map(|block| simulation.block(block)).collect::<Result<Vec<_>>>()?;
    answer::json(&sealed, mode)
}

#[pymethods]
impl NativeEngine {
    /// `eth_simulateV1`: the answer's JSON array. TimeoutError if `deadline_us` has passed.
    #[pyo3(signature = (root, header, ancestors, request, *, gas_cap, deadline_us=None))]
    #[allow(clippy::too_many_arguments)]
    fn simulate<'py>(
        &self,
        py: Python<'py>,
        root: &[u8],
        header: &[u8],
        ancestors: &[u8],
        request: &[u8],
        gas_cap: u64,
        deadline_us: Option<u64>,
    ) -> Result<Bound<'py, PyBytes>> {
        let place = Place::new(root, header, ancestors, deadline_us)?;
        let json = detached(py, || self::simulate(&self.engine, place, request, gas_cap))?;
        Ok(PyBytes::new(py, &json))
    }
}
