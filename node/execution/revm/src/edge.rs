//! Where Python calls in: the interpreter is released, and no panic crosses.

use crate::{
    errors::{Error, Result},
    state::StateError,
};
use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes};
use alloy_rlp::Decodable;
use pyo3::Python;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `work` without the interpreter. A panic is a bug, and becomes an error like any other.
pub fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    py.detach(|| guarded(work))
}

/// Turns a panic into an error.
pub fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(Error::Fatal(format!("the engine panicked: {}", message.unwrap_or("no message"))))
    })
}

/// A 32-byte argument.
pub fn word(bytes: &[u8]) -> Result<B256> {
    B256::try_from(bytes).map_err(|_| Error::Argument(format!("want 32 bytes, got {}", bytes.len())))
}

/// A 20-byte argument.
pub fn address(bytes: &[u8]) -> Result<Address> {
    Address::try_from(bytes).map_err(|_| Error::Argument(format!("want 20 bytes, got {}", bytes.len())))
}

/// A header that the caller has stored itself.
pub fn header(mut rlp: &[u8]) -> Result<Header> {
    let header = Header::decode(&mut rlp).map_err(|error| Error::Argument(format!("header: {error}")))?;
    if rlp.is_empty() { Ok(header) } else { Err(Error::Argument("header: bytes left over".into())) }
}

/// The hashes of a block's ancestors, the parent's first.
#[derive(Debug, Clone, Default)]
pub struct Ancestors {
    parent: u64,
    hashes: Bytes,
}

impl Ancestors {
    /// Takes the concatenation of up to 256 hashes; `parent` is the number of the first.
    pub fn new(parent: u64, hashes: &[u8]) -> Result<Self> {
        if !hashes.len().is_multiple_of(32) || hashes.len() > 256 * 32 {
            return Err(Error::Argument(format!("ancestors: want up to 256 hashes, got {} bytes", hashes.len())));
        }
        Ok(Self { parent, hashes: Bytes::copy_from_slice(hashes) })
    }

    /// The parent's hash alone.
    pub fn parent(number: u64, hash: B256) -> Self {
        Self { parent: number, hashes: Bytes::copy_from_slice(hash.as_slice()) }
    }

    /// The hash of a block; revm asks for the last 256 only.
    pub fn hash(&self, number: u64) -> std::result::Result<B256, StateError> {
        let missing = StateError::MissingBlockHash(number);
        let place =
            self.parent.checked_sub(number).and_then(|back| usize::try_from(back).ok()).ok_or(missing.clone())?;
        let start = place.checked_mul(32).ok_or(missing.clone())?;
        self.hashes.get(start..start + 32).map(B256::from_slice).ok_or(missing)
    }

    /// The hashes from the parent's down to that of `oldest`.
    pub fn down_to(&self, oldest: u64) -> Vec<B256> {
        (oldest..=self.parent).rev().map_while(|number| self.hash(number).ok()).collect()
    }
}
