//! Paths: up to 64 nibbles, in place.

use super::{Result, TrieError};
use alloy_primitives::B256;
use std::{fmt, ops::Deref};

/// Nibbles of a key: no path is longer.
pub const NIBBLES: usize = 64;

/// A part of a key's path. In place, because a block makes and drops tens of thousands of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Path {
    length: u8,
    nibbles: [u8; NIBBLES],
}

impl Path {
    /// The path of some nibbles; a forged node may hold too many.
    pub fn new(nibbles: &[u8]) -> Result<Self> {
        Self::concat(nibbles, &[])
    }

    /// One path after the other; under a forged root both may be long.
    pub fn concat(first: &[u8], second: &[u8]) -> Result<Self> {
        let mut path = Self { length: 0, nibbles: [0; NIBBLES] };
        let whole = path.nibbles.get_mut(..first.len() + second.len()).ok_or(TrieError::Corrupt)?;
        let (head, tail) = whole.split_at_mut(first.len());
        head.copy_from_slice(first);
        tail.copy_from_slice(second);
        path.length = (first.len() + second.len()) as u8;
        Ok(path)
    }

    /// The path that hex-prefix encoding `data` holds after its first nibble, or after its first byte.
    pub fn unpack(data: &[u8], odd: bool) -> Result<Self> {
        let (first, rest) = data.split_first().ok_or(TrieError::Corrupt)?;
        let length = 2 * rest.len() + usize::from(odd);
        if length > NIBBLES {
            return Err(TrieError::Corrupt);
        }
        let mut path = Self { length: length as u8, nibbles: [0; NIBBLES] };
        if odd {
            path.nibbles[0] = first & 15;
        }
        for (pair, byte) in path.nibbles[usize::from(odd)..].chunks_exact_mut(2).zip(rest) {
            (pair[0], pair[1]) = (byte >> 4, byte & 15);
        }
        Ok(path)
    }
}

impl Deref for Path {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.nibbles[..usize::from(self.length)]
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|nibble| write!(f, "{nibble:x}"))
    }
}

/// The path of a whole key.
pub fn nibbles(key: &B256) -> [u8; NIBBLES] {
    let mut nibbles = [0; NIBBLES];
    for (pair, byte) in nibbles.chunks_exact_mut(2).zip(key) {
        (pair[0], pair[1]) = (byte >> 4, byte & 15);
    }
    nibbles
}

/// How many nibbles two paths share at their start.
pub fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}
