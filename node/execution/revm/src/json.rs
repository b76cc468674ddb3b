//! Numbers as JSON-RPC writes them, and objects as bytes.

use crate::errors::{Error, Result};
use alloy_primitives::U256;
use serde::{Serialize, Serializer};
use std::io;

/// Most bytes of an answer: what RPC may send.
pub const SIZE_MAX: usize = 64 << 20;

/// A number as JSON-RPC writes it: hex, no leading zeros.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Quantity(pub u64);

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'0'; 18];
        let (mut rest, mut start) = (self.0, text.len());
        while rest != 0 || start == text.len() {
            start -= 1;
            text[start] = DIGITS[(rest & 0xf) as usize];
            rest >>= 4;
        }
        start -= 2;
        text[start + 1] = b'x';
        serializer.serialize_str(std::str::from_utf8(&text[start..]).expect("hex digits"))
    }
}

impl From<usize> for Quantity {
    fn from(value: usize) -> Self {
        Self(value as u64)
    }
}

/// A number that may exceed 64 bits.
pub fn wide(value: u128) -> U256 {
    U256::from(value)
}

/// An object's JSON.
pub fn bytes<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::Fatal(format!("no JSON: {error}")))
}

/// Memory that takes so many bytes and no more.
struct Bounded {
    bytes: Vec<u8>,
    size_max: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.size_max {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An object's JSON, unless it is larger.
pub fn bytes_within<T: Serialize>(value: &T, size_max: usize) -> Result<Vec<u8>> {
    let mut bounded = Bounded { bytes: Vec::new(), size_max };
    serde_json::to_writer(&mut bounded, value)
        .map_err(|error| if error.is_io() { too_large(size_max) } else { Error::Fatal(format!("no JSON: {error}")) })?;
    Ok(bounded.bytes)
}

/// An answer that nobody could be sent.
pub fn too_large(size_max: usize) -> Error {
    Error::call(format_args!("the answer is larger than {} MiB", size_max >> 20))
}
