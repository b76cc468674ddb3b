//! The STEP precompile at 0x0101: Rust charges gas and checks the call, the configured Python callable computes.
//!
//! `callable(input, caller, is_static) -> bytes`. What it raises as `node.errors.Rejected` reverts the call with the exception's
//! text as data; every other exception is a bug, stops the block and is raised again, as it was, where the block was
//! asked for. No lock is held while it runs: it may use the engine again.

use crate::errors::{Error, Rejected};
use alloy_evm::precompiles::{DynPrecompile, PrecompileInput, PrecompilesMap};
use alloy_primitives::{Address, Bytes, address};
use pyo3::{prelude::*, types::PyBytes};
use revm::precompile::{PrecompileError, PrecompileHalt, PrecompileId, PrecompileOutput, PrecompileResult};
use std::sync::{Arc, Mutex};

/// Where it lives.
pub const ADDRESS: Address = address!("0000000000000000000000000000000000000101");
/// Gas of a call, besides its bytes and what the rollup's block may use.
const BASE_GAS: u64 = 1_000_000;
/// Gas of a byte of input.
const BYTE_GAS: u64 = 2;
/// Longest input that is looked at: no legal block needs more.
const INPUT_BYTES_MAX: usize = 352 << 10;
/// Gas limit of the rollup's blocks where the genesis file names no rollup.
const BLOCK_GAS: u64 = 7_000_000;

/// The callable of an engine. `Arc`, because cloning a `Py` needs the interpreter.
pub type Callable = Arc<Py<PyAny>>;

/// The precompile within one run. It keeps the Python exception that stopped the run: revm can only carry a string.
#[derive(Debug, Clone)]
pub struct Step {
    callable: Callable,
    /// Gas of a call, besides its bytes.
    gas: u64,
    failure: Arc<Mutex<Option<PyErr>>>,
}

impl Step {
    /// A run's precompile; `block_gas` is the gas limit of the rollup's blocks, which it executes again.
    pub fn new(callable: &Callable, block_gas: Option<u64>) -> Self {
        let gas = BASE_GAS.saturating_add(block_gas.unwrap_or(BLOCK_GAS));
        Self { callable: callable.clone(), gas, failure: Arc::default() }
    }

    /// Adds the precompile to an EVM. Stateful: no cache may ever answer for it.
    pub fn install(&self, precompiles: &mut PrecompilesMap) {
        let step = self.clone();
        let run = move |input: PrecompileInput<'_>| step.run(input);
        precompiles.apply_precompile(&ADDRESS, |_| {
            Some(DynPrecompile::new_stateful(PrecompileId::Custom("step".into()), run))
        });
    }

    /// Puts the exception back, if one stopped the run.
    pub fn explain(&self, error: Error) -> Error {
        self.take_failure().map_or(error, Error::Python)
    }

    /// The exception that stopped the run, if one did.
    pub fn take_failure(&self) -> Option<PyErr> {
        self.failure.lock().unwrap().take()
    }

    fn run(&self, input: PrecompileInput<'_>) -> PrecompileResult {
        // Called with DELEGATECALL or CALLCODE, or with value: refused, all gas of the call is gone.
        if !input.is_direct_call() || !input.value.is_zero() {
            return Ok(PrecompileOutput::halt(PrecompileHalt::other_static("step: bad call"), input.reservoir));
        }
        // In full before any work: who gives less gets no other answer.
        let gas = self.gas.saturating_add(BYTE_GAS * input.data.len() as u64);
        if gas > input.gas {
            return Ok(PrecompileOutput::halt(PrecompileHalt::OutOfGas, input.reservoir));
        }
        if input.data.len() > INPUT_BYTES_MAX {
            let reason = Bytes::from_static(b"input_too_long");
            return Ok(PrecompileOutput::revert(gas, reason, input.reservoir));
        }
        let answer = Python::attach(|py| {
            let data = PyBytes::new(py, input.data);
            let caller = PyBytes::new(py, input.caller.as_slice());
            self.callable.call1(py, (data, caller, input.is_static))?.extract::<Vec<u8>>(py)
        });
        match answer {
            Ok(output) => Ok(PrecompileOutput::new(gas, output.into(), input.reservoir)),
            Err(error) => {
                if let Some(reason) = declared(&error) {
                    return Ok(PrecompileOutput::revert(gas, reason, input.reservoir));
                }
                let message = error.to_string();
                *self.failure.lock().unwrap() = Some(error);
                Err(PrecompileError::Fatal(message))
            }
        }
    }
}

/// The revert data of the one declared exception. `None` for every other: a bug, not an answer.
fn declared(error: &PyErr) -> Option<Bytes> {
    Python::attach(|py| error.is_instance_of::<Rejected>(py).then(|| error.value(py).to_string().into_bytes().into()))
}
