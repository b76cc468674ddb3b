//! `node._engine`: execution for the Python node.
//!
//!     engine, builder, result, tables      what Python sees of blocks, states, look-ups and tables
//!     calls, simulate, traces, render, receipts    what RPC sees: simulations, traces, JSON
//!     chain > ommers                       a list of blocks, proof of work included
//!     import > header > dao > block > transactions > l1 > state > mpt       a block's way to its roots
//!     backing > memory | store > database  where states live
//!     sequencing, deriving > rollup > deposits > l2, l1_cost > state > mpt     a rollup's block's
//!     codec                                batches of rollup blocks
//!     genesis, spec, precompile, stateless, witness, record, signatures, kzg, cells
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
mod cells;
mod chain;
mod codec;
mod codes;
mod dao;
mod database;
mod deposits;
mod deriving;
mod destruction;
mod edge;
mod engine;
mod errors;
mod execution_witness;
mod frames;
mod frames_json;
mod genesis;
mod header;
mod hex;
mod import;
mod json;
mod keys;
mod kzg;
mod l1;
mod l1_cost;
mod l2;
mod memory;
mod meter;
mod mpt;
mod ommers;
mod opcodes;
mod otterscan;
mod outcome;
mod overrides;
mod parts;
mod precompile;
mod preimages;
mod prestate;
mod receipts;
mod record;
mod refused;
mod render;
mod result;
mod reverts;
mod rollup;
mod scene;
mod sequencing;
mod signatures;
mod simulate;
mod spec;
mod state;
mod stateless;
mod store;
mod struct_logs;
mod tables;
mod tracers;
mod traces;
mod transactions;
mod validation;
mod watch;
mod witness;

use pyo3::{prelude::*, pybacked::PyBackedBytes, types::PyBytes};

/// A block of a batch.
type PackedOut<'py> = (u64, bool, Vec<Bound<'py, PyBytes>>);

#[pymodule]
mod _engine {
    use super::*;

    #[pymodule_export]
    use crate::{
        builder::NativeBuilder,
        engine::{NativeEngine, NativeTransaction},
        result::BlockResult,
        sequencing::NativeL2Builder,
        tables::NativeTables,
    };

    /// keccak-256.
    #[pyfunction]
    fn keccak256(data: &[u8]) -> [u8; 32] {
        alloy_primitives::keccak256(data).0
    }

    /// (timestamp, advances origin, raw transactions) of each block of a batch, or None if its shape is wrong.
    #[pyfunction]
    fn decode_batch<'py>(
        py: Python<'py>,
        data: PyBackedBytes,
        decompressed_limit: usize,
        block_count: usize,
    ) -> errors::Result<Option<Vec<PackedOut<'py>>>> {
        let decoded = edge::detached(py, || Ok(codec::decode(&data, decompressed_limit, block_count)))?;
        let Some((bytes, blocks)) = decoded else { return Ok(None) };
        let block = |block: codec::PackedBlock| {
            let raws = block.transactions.into_iter().map(|place| PyBytes::new(py, &bytes[place])).collect();
            (block.timestamp, block.advances_origin, raws)
        };
        Ok(Some(blocks.into_iter().map(block).collect()))
    }

    /// A batch of (timestamp, advances origin, raw transactions) of each block; brotli quality 0 to 11.
    #[pyfunction]
    fn encode_batch<'py>(
        py: Python<'py>,
        blocks: Vec<(u64, bool, Vec<PyBackedBytes>)>,
        quality: u32,
    ) -> errors::Result<Bound<'py, PyBytes>> {
        let batch = edge::detached(py, || codec::encode(&blocks, quality))?;
        Ok(PyBytes::new(py, &batch))
    }

    /// Whether each (public key, message, signature) verifies strictly; malformed ones do not.
    #[pyfunction]
    fn verify_ed25519(
        py: Python<'_>,
        items: Vec<(PyBackedBytes, PyBackedBytes, PyBackedBytes)>,
    ) -> errors::Result<Vec<bool>> {
        edge::detached(py, || Ok(signatures::verify_all(&items)))
    }

    /// Whether each (blob, commitment, proofs of its 128 cells) holds together; malformed ones do not.
    #[pyfunction]
    fn verify_blobs(
        py: Python<'_>,
        items: Vec<(PyBackedBytes, PyBackedBytes, PyBackedBytes)>,
    ) -> errors::Result<Vec<bool>> {
        edge::detached(py, || Ok(kzg::verify_all(&items)))
    }

    /// The proofs of the cells of each (blob, commitment, proof of the whole blob); None where that proof is wrong.
    #[pyfunction]
    fn prove_blobs<'py>(
        py: Python<'py>,
        items: Vec<(PyBackedBytes, PyBackedBytes, PyBackedBytes)>,
    ) -> errors::Result<Vec<Option<Bound<'py, PyBytes>>>> {
        let proofs = edge::detached(py, || Ok(kzg::prove_all(&items)))?;
        Ok(proofs.into_iter().map(|one| one.map(|bytes| PyBytes::new(py, &bytes))).collect())
    }

    /// (commitment, proofs of the cells) of a blob; None if it is none.
    #[pyfunction]
    fn commit_blob<'py>(
        py: Python<'py>,
        blob: PyBackedBytes,
    ) -> errors::Result<Option<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>> {
        let committed = edge::detached(py, || Ok(kzg::commit(&blob)))?;
        Ok(committed.map(|(commitment, proofs)| (PyBytes::new(py, &commitment), PyBytes::new(py, &proofs))))
    }
}
