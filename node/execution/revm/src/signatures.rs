//! Ed25519, the signatures of consensus: one verifier for every node.
//!
//! `verify_strict` and nothing else: implementations disagree on malformed points, and batch verification accepts
//! what single verification refuses.

use ed25519_dalek::{Signature, VerifyingKey};
use rayon::prelude::*;

/// A list shorter than this is not worth a second core.
const PARALLEL_MIN: usize = 32;

/// Whether a signature is one; malformed input is none.
pub fn verify(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = <&[u8; 32]>::try_from(public_key).ok().and_then(|key| VerifyingKey::from_bytes(key).ok());
    let signature = Signature::from_slice(signature).ok();
    key.zip(signature).is_some_and(|(key, signature)| key.verify_strict(message, &signature).is_ok())
}

/// Verifies many, in order, on all cores.
pub fn verify_all<B: AsRef<[u8]> + Sync>(items: &[(B, B, B)]) -> Vec<bool> {
    let one = |(key, message, signature): &(B, B, B)| verify(key.as_ref(), message.as_ref(), signature.as_ref());
    if items.len() < 2 * PARALLEL_MIN {
        return items.iter().map(one).collect();
    }
    items.par_iter().with_min_len(PARALLEL_MIN).map(one).collect()
}
