//! Whether a blob, its commitment and the proofs of its 128 cells hold together (EIP-7594).
//!
//!     blob -> 4,096 values -> their polynomial -> 8,192 values -> 128 cells -> one pairing for all of them
//!
//! The arithmetic is rust-eth-kzg's: of its crates only what checks, which reads 65 points of the trusted setup. The whole
//! library, and c-kzg as well, prepares 8,192 points for making proofs first, which takes seconds and which only who makes some
//! needs (`kzg`).
//! Source: consensus-specs, fulu/polynomial-commitments-sampling.md, `compute_cells`, `verify_cell_kzg_proof_batch`.

use ekzg_multi_open::{Verifier, verification_key::VerificationKey};
use ekzg_polynomial::domain::Domain;
use ekzg_serialization::{
    constants::{
        BYTES_PER_COMMITMENT, CELLS_PER_EXT_BLOB, FIELD_ELEMENTS_PER_BLOB, FIELD_ELEMENTS_PER_CELL,
        FIELD_ELEMENTS_PER_EXT_BLOB,
    },
    deserialize_blob_to_scalars, deserialize_compressed_g1,
};
use ekzg_trusted_setup::TrustedSetup;
use std::sync::OnceLock;

/// What every check needs.
struct Checker {
    verifier: Verifier,
    /// Roots of unity of a blob's values.
    blob: Domain,
    /// Roots of unity of all cells' values.
    extended: Domain,
}

/// Made at the first call, in less than a tenth of a second.
fn checker() -> &'static Checker {
    static CHECKER: OnceLock<Checker> = OnceLock::new();
    CHECKER.get_or_init(|| {
        let TrustedSetup { mut g1_monomial, g2_monomial } = TrustedSetup::default();
        g1_monomial.truncate(g2_monomial.len());
        g1_monomial.shrink_to_fit();
        let key = VerificationKey::new(g1_monomial, g2_monomial, FIELD_ELEMENTS_PER_CELL, FIELD_ELEMENTS_PER_BLOB);
        Checker {
            verifier: Verifier::new(key, FIELD_ELEMENTS_PER_EXT_BLOB, CELLS_PER_EXT_BLOB),
            blob: Domain::new(FIELD_ELEMENTS_PER_BLOB),
            extended: Domain::new(FIELD_ELEMENTS_PER_EXT_BLOB),
        }
    })
}

/// Whether they hold together; malformed ones do not.
pub fn hold(blob: &[u8], commitment: &[u8], proofs: &[u8]) -> bool {
    check(blob, commitment, proofs).unwrap_or(false)
}

fn check(blob: &[u8], commitment: &[u8], proofs: &[u8]) -> Option<bool> {
    if proofs.len() != CELLS_PER_EXT_BLOB * BYTES_PER_COMMITMENT {
        return None;
    }
    let values = deserialize_blob_to_scalars(blob).ok()?;
    let commitment = deserialize_compressed_g1(commitment).ok()?;
    let point = |bytes| deserialize_compressed_g1(bytes).ok();
    let proofs: Vec<_> = proofs.chunks_exact(BYTES_PER_COMMITMENT).map(point).collect::<Option<_>>()?;
    let Checker { verifier, blob, extended } = checker();
    let polynomial = blob.ifft_scalars(bit_reversed(&values));
    let values = bit_reversed(&extended.fft_scalars(polynomial));
    let cells: Vec<_> = values.chunks_exact(FIELD_ELEMENTS_PER_CELL).map(<[_]>::to_vec).collect();
    let places: Vec<u64> = (0..).take(CELLS_PER_EXT_BLOB).collect();
    Some(verifier.verify_multi_opening(&[commitment], &[0; CELLS_PER_EXT_BLOB], &places, &cells, &proofs).is_ok())
}

/// The same items, each at its place with the bits in the other order; there are a power of two, and more than one.
fn bit_reversed<T: Copy>(items: &[T]) -> Vec<T> {
    let unused = usize::BITS - items.len().trailing_zeros();
    (0..items.len()).map(|place| items[place.reverse_bits() >> unused]).collect()
}
