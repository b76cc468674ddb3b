//! Blobs: whether they are what their commitments say (EIP-4844, EIP-7594).
//!
//! The trusted setup is loaded at the first call, without tables for faster multiplication: a chain without blobs pays
//! nothing for it.

use alloy_eips::eip4844::{BYTES_PER_BLOB, BYTES_PER_COMMITMENT};
use c_kzg::{Blob, Bytes48, CELLS_PER_EXT_BLOB, KzgSettings, ethereum_kzg_settings};
use rayon::prelude::*;
use std::sync::Arc;

/// Bytes of the proofs of one blob's cells.
const PROOFS_BYTES: usize = CELLS_PER_EXT_BLOB * BYTES_PER_COMMITMENT;

/// Loads in a fraction of the time and of the memory that faster multiplication would take (96 MiB at 8).
const PRECOMPUTE: u64 = 0;

fn settings() -> &'static KzgSettings {
    ethereum_kzg_settings(PRECOMPUTE)
}

/// Whether each (blob, commitment, proofs of its 128 cells) holds together; malformed ones do not.
pub fn verify_all<B: AsRef<[u8]> + Sync>(items: &[(B, B, B)]) -> Vec<bool> {
    let one = |(blob, commitment, proofs): &(B, B, B)| {
        verify(blob.as_ref(), commitment.as_ref(), proofs.as_ref()).unwrap_or(false)
    };
    items.par_iter().with_max_len(1).map(one).collect()
}

fn verify(blob: &[u8], commitment: &[u8], proofs: &[u8]) -> Option<bool> {
    if proofs.len() != PROOFS_BYTES {
        return None;
    }
    let blob = read_blob(blob)?;
    let commitment = Bytes48::from_bytes(commitment).ok()?;
    let proofs: Vec<Bytes48> =
        proofs.chunks_exact(BYTES_PER_COMMITMENT).map(Bytes48::from_bytes).collect::<Result<_, _>>().ok()?;
    let cells = settings().compute_cells(&blob).ok()?;
    let places: Vec<u64> = (0..CELLS_PER_EXT_BLOB as u64).collect();
    let commitments = vec![commitment; CELLS_PER_EXT_BLOB];
    settings().verify_cell_kzg_proof_batch(&commitments, &places, &cells[..], &proofs).ok()
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
