//! Blobs: which ones a block names, and whether they are what their commitments say (EIP-4844, EIP-7594).
//!
//! Checking needs a few points of the trusted setup (`cells`). All of it is loaded by who makes proofs, at the first one and
//! without tables for faster multiplication. The EVM's precompile 0x0A needs one point only and loads none (revm's `blst`,
//! not its `c-kzg`: that one would load a setup of its own, 96 MiB and seconds in the middle of a block).

use crate::{block::Block, cells, edge::detached, engine::NativeEngine, errors::Result, result::bytes_list};
use alloy_eips::eip4844::BYTES_PER_BLOB;
use alloy_primitives::{B256, Bytes};
use c_kzg::{Blob, Bytes48, KzgSettings, ethereum_kzg_settings};
use pyo3::{prelude::*, types::PyBytes};
use rayon::prelude::*;
use std::sync::Arc;

/// Loads in a fraction of the time and of the memory that faster multiplication would take (96 MiB at 8).
const PRECOMPUTE: u64 = 0;

/// (index, hash, versioned hashes) of a blob transaction.
type BlobTransactionOut<'py> = (usize, Bound<'py, PyBytes>, Vec<Bound<'py, PyBytes>>);

#[pymethods]
impl NativeEngine {
    /// (index, hash, versioned hashes) of each blob transaction of an RLP block whose body is its header's.
    fn blob_transactions<'py>(&self, py: Python<'py>, block: &[u8]) -> Result<Vec<BlobTransactionOut<'py>>> {
        let block = Bytes::copy_from_slice(block);
        let found = detached(py, || {
            let block = Block::decode(block)?;
            let most = self.engine.spec.blob_params(block.header.timestamp).map_or(0, |params| params.max_blob_count);
            block.blob_transactions(most)
        })?;
        let one = |(index, hash, hashes): (usize, B256, Vec<B256>)| {
            (index, PyBytes::new(py, hash.as_slice()), bytes_list(py, &hashes))
        };
        Ok(found.into_iter().map(one).collect())
    }
}

fn settings() -> &'static KzgSettings {
    ethereum_kzg_settings(PRECOMPUTE)
}

/// Whether each (blob, commitment, proofs of its 128 cells) holds together; malformed ones do not.
pub fn verify_all<B: AsRef<[u8]> + Sync>(items: &[(B, B, B)]) -> Vec<bool> {
    let one = |(blob, commitment, proofs): &(B, B, B)| cells::hold(blob.as_ref(), commitment.as_ref(), proofs.as_ref());
    items.par_iter().with_max_len(1).map(one).collect()
}

/// The proofs of the cells of each (blob, commitment, proof of the whole blob), 6,144 bytes; none where that one is wrong.
pub fn prove_all<B: AsRef<[u8]> + Sync>(items: &[(B, B, B)]) -> Vec<Option<Vec<u8>>> {
    let one = |(blob, commitment, proof): &(B, B, B)| prove(blob.as_ref(), commitment.as_ref(), proof.as_ref());
    items.par_iter().with_max_len(1).map(one).collect()
}

fn prove(blob: &[u8], commitment: &[u8], proof: &[u8]) -> Option<Vec<u8>> {
    let blob = read_blob(blob)?;
    let (commitment, proof) = (Bytes48::from_bytes(commitment).ok()?, Bytes48::from_bytes(proof).ok()?);
    if !settings().verify_blob_kzg_proof(&blob, &commitment, &proof).ok()? {
        return None;
    }
    let (_, proofs) = settings().compute_cells_and_kzg_proofs(&blob).ok()?;
    Some(proofs.iter().flat_map(|proof| proof.to_bytes().into_inner()).collect())
}

/// A commitment to a blob and the proofs of its cells; none where 32 of its bytes are no field element.
pub fn commit(blob: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let blob = read_blob(blob)?;
    let commitment = settings().blob_to_kzg_commitment(&blob).ok()?;
    let (_, proofs) = settings().compute_cells_and_kzg_proofs(&blob).ok()?;
    let proofs = proofs.iter().flat_map(|proof| proof.to_bytes().into_inner()).collect();
    Some((commitment.to_bytes().into_inner().to_vec(), proofs))
}

/// A copy on the heap: 128 KiB are much for the stack of a thread.
fn read_blob(bytes: &[u8]) -> Option<Arc<Blob>> {
    (bytes.len() == BYTES_PER_BLOB).then(|| Blob::from_bytes(bytes).ok().map(Arc::new))?
}
