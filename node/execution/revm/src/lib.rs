//! `node._engine`: execution for the Python node.
//!
//!     engine, builder, result, tables      what Python sees of blocks, states, look-ups and tables
//!     calls, traces, render, receipts      what RPC sees: simulations, traces, JSON
//!     import > header > block > transactions > l1 > state > mpt       a block's way to its roots
//!     backing > memory | store > database  where states live
//!     genesis, spec, precompile, stateless, witness, record, signatures
//!     edge, errors                         how Python calls in, and what it gets when something is wrong
//!
//! Every method releases the interpreter for all of its work; only `precompile` takes it back, for one call. No lock is
//! held across execution. Deliberately absent: consensus, the clock, the network.

mod access_list;
mod arguments;
mod backing;
mod block;
mod builder;
mod calls;
mod codes;
mod database;
mod edge;
mod engine;
mod errors;
mod frames;
mod frames_json;
mod genesis;
mod header;
mod hex;
mod import;
mod json;
mod l1;
mod memory;
mod mpt;
mod outcome;
mod overrides;
mod precompile;
mod prestate;
mod receipts;
mod record;
mod render;
mod result;
mod reverts;
mod scene;
mod signatures;
mod spec;
mod state;
mod stateless;
mod store;
mod struct_logs;
mod tables;
mod tracers;
mod traces;
mod transactions;
mod watch;
mod witness;

use pyo3::{prelude::*, pybacked::PyBackedBytes};

#[pymodule]
mod _engine {
    use super::*;

    #[pymodule_export]
    use crate::{
        builder::NativeBuilder,
        engine::{NativeEngine, NativeTransaction},
        result::BlockResult,
        tables::NativeTables,
    };

    /// keccak-256.
    #[pyfunction]
    fn keccak256(data: &[u8]) -> [u8; 32] {
        alloy_primitives::keccak256(data).0
    }

    /// Whether each (public key, message, signature) verifies strictly; malformed ones do not.
    #[pyfunction]
    fn verify_ed25519(
        py: Python<'_>,
        items: Vec<(PyBackedBytes, PyBackedBytes, PyBackedBytes)>,
    ) -> errors::Result<Vec<bool>> {
        edge::detached(py, || Ok(signatures::verify_all(&items)))
    }
}
