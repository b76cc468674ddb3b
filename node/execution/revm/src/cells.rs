//! Whether a blob, its commitment and the proofs of its 128 cells hold together (EIP-7594), with 65 points of the trusted setup.
//!
//!     blob -> coefficients of its polynomial P -> for each cell k: P mod (X^64 - a_k), which the cell's values are those of
//!     e(sum r^k proof_k, [s^64]) = e((sum r^k) commitment - [sum r^k (P mod (X^64 - a_k))](s) + sum r^k a_k proof_k, [1])
//!
//! One pairing for all cells, weighed by powers of a number r that nobody can choose: it is a hash of what is checked.
//! c-kzg does the same, but loads 8,192 points and prepares them for making proofs, which takes seconds and which only who makes
//! some needs (`kzg`).
//! Source: consensus-specs, fulu/polynomial-commitments-sampling.md, `verify_cell_kzg_proof_batch`.

use alloy_eips::eip4844::{BYTES_PER_BLOB, BYTES_PER_COMMITMENT, FIELD_ELEMENTS_PER_BLOB};
use ark_bls12_381::{Bls12_381, Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::{AffineRepr, CurveGroup, VariableBaseMSM, pairing::Pairing};
use ark_ff::{BigInt, FftField, Field, One, PrimeField, Zero};
use ark_serialize::CanonicalDeserialize;
use revm::precompile::{Crypto, DefaultCrypto};
use std::{iter::successors, sync::OnceLock};

/// Cells of an extended blob.
pub const CELLS: usize = 128;
/// Field elements of a cell.
const CELL_ELEMENTS: usize = 64;
/// Field elements of a blob, as many as its polynomial has coefficients.
const ELEMENTS: usize = FIELD_ELEMENTS_PER_BLOB as usize;
/// Bytes of a field element.
const ELEMENT_BYTES: usize = 32;
/// Bytes of a point of G1, compressed.
const POINT_BYTES: usize = BYTES_PER_COMMITMENT;

/// [1], [s], ... [s^63] in G1, then [s^64] in G2, compressed, as Ethereum's ceremony ended: the first powers of its setup.
const CEREMONY: &[u8] = include_bytes!("ceremony.bin");

/// What every check needs.
struct Setup {
    /// [s^m] in G1.
    powers: Vec<G1Affine>,
    /// [s^64] in G2.
    cell_power: G2Affine,
    /// a_k of each cell: the 64th power of each of its points.
    shifts: Vec<Fr>,
    /// Inverse root of unity of order 4,096, to the power of each place below half of it.
    roots: Vec<Fr>,
}

/// The setup, read at the first call in a few milliseconds.
fn setup() -> &'static Setup {
    static SETUP: OnceLock<Setup> = OnceLock::new();
    SETUP.get_or_init(|| {
        let (first, last) = CEREMONY.split_at(CELL_ELEMENTS * POINT_BYTES);
        let read = |bytes| G1Affine::deserialize_compressed_unchecked(bytes).expect("a point of the ceremony");
        let cell_power = G2Affine::deserialize_compressed_unchecked(last).expect("a point of the ceremony");
        let root = |order| Fr::get_root_of_unity(order).expect("the field has roots of every power of two");
        let of_cells: Vec<Fr> = powers_of(root(CELLS as u64)).take(CELLS).collect();
        let inverse = root(ELEMENTS as u64).inverse().expect("a root is not zero");
        Setup {
            powers: first.chunks_exact(POINT_BYTES).map(read).collect(),
            cell_power,
            shifts: (0..CELLS).map(|cell| of_cells[reversed(cell, CELLS)]).collect(),
            roots: powers_of(inverse).take(ELEMENTS / 2).collect(),
        }
    })
}

/// Whether they hold together; malformed ones do not.
pub fn hold(blob: &[u8], commitment: &[u8], proofs: &[u8]) -> bool {
    check(blob, commitment, proofs).unwrap_or(false)
}

fn check(blob: &[u8], commitment: &[u8], proofs: &[u8]) -> Option<bool> {
    if blob.len() != BYTES_PER_BLOB || proofs.len() != CELLS * POINT_BYTES {
        return None;
    }
    let coefficients = interpolated(blob.chunks_exact(ELEMENT_BYTES).map(read_element).collect::<Option<_>>()?);
    let setup = setup();
    let weights: Vec<Fr> = powers_of(challenge(blob, commitment, proofs)).take(CELLS).collect();
    let commitment = read_point(commitment)?;
    let proofs: Vec<G1Affine> = proofs.chunks_exact(POINT_BYTES).map(read_point).collect::<Option<_>>()?;
    let shifted: Vec<Fr> = weights.iter().zip(&setup.shifts).map(|(weight, shift)| *weight * shift).collect();
    let remainder = weighed_remainder(&coefficients, &weights, &setup.shifts);
    let left = G1Projective::msm(&proofs, &weights).ok()?;
    let right = commitment * weights.iter().sum::<Fr>() - G1Projective::msm(&setup.powers, &remainder).ok()?
        + G1Projective::msm(&proofs, &shifted).ok()?;
    let points = [left.into_affine(), (-right).into_affine()];
    Some(Bls12_381::multi_pairing(points, [setup.cell_power, G2Affine::generator()]).is_zero())
}

/// The sum over all cells of weight times P mod (X^64 - a): its 64 coefficients.
///
/// X^64 is a there, so the coefficient of X^(64 j + m) adds to that of X^m, a^j times.
fn weighed_remainder(coefficients: &[Fr], weights: &[Fr], shifts: &[Fr]) -> Vec<Fr> {
    let mut terms = weights.to_vec();
    let mut remainder = vec![Fr::zero(); CELL_ELEMENTS];
    for chunk in coefficients.chunks_exact(CELL_ELEMENTS) {
        let weight: Fr = terms.iter().sum();
        for (sum, coefficient) in remainder.iter_mut().zip(chunk) {
            *sum += weight * coefficient;
        }
        for (term, shift) in terms.iter_mut().zip(shifts) {
            *term *= shift;
        }
    }
    remainder
}

/// The coefficients of the polynomial with these values at the roots of unity, whose places are bit-reversed as in a blob.
fn interpolated(mut values: Vec<Fr>) -> Vec<Fr> {
    let roots = &setup().roots;
    let mut half = 1;
    while half < ELEMENTS {
        let stride = ELEMENTS / 2 / half;
        for pair in values.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (place, (low, high)) in low.iter_mut().zip(high).enumerate() {
                let turned = *high * roots[place * stride];
                (*low, *high) = (*low + turned, *low - turned);
            }
        }
        half *= 2;
    }
    let scale = Fr::from(ELEMENTS as u64).inverse().expect("not zero");
    values.iter_mut().for_each(|value| *value *= scale);
    values
}

/// A number that depends on everything that is checked.
fn challenge(blob: &[u8], commitment: &[u8], proofs: &[u8]) -> Fr {
    let digest = DefaultCrypto.sha256(&[blob, commitment, proofs].concat());
    Fr::from_be_bytes_mod_order(&digest)
}

fn powers_of(base: Fr) -> impl Iterator<Item = Fr> {
    successors(Some(Fr::one()), move |last| Some(*last * base))
}

/// The bits of a place below `count`, a power of two, in the other order.
fn reversed(place: usize, count: usize) -> usize {
    place.reverse_bits() >> (usize::BITS - count.trailing_zeros())
}

/// A big-endian number below the field's order.
fn read_element(bytes: &[u8]) -> Option<Fr> {
    let mut limbs = [0; 4];
    for (limb, bytes) in limbs.iter_mut().rev().zip(bytes.chunks_exact(8)) {
        *limb = u64::from_be_bytes(bytes.try_into().ok()?);
    }
    Fr::from_bigint(BigInt::new(limbs))
}

/// A point of the right group, in its one form.
fn read_point(bytes: &[u8]) -> Option<G1Affine> {
    if bytes.len() != POINT_BYTES {
        return None;
    }
    G1Affine::deserialize_compressed(bytes).ok()
}
