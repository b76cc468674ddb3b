//! Codes that simulations have run lately, analysed: finding the jump destinations of a token's code takes longer than
//! running its balanceOf.
//!
//! Deliberately absent: blocks. A witness must see every code that a block reads, so blocks ask the store.

use alloy_primitives::{B256, Bytes};
use lru::LruCache;
use revm::{bytecode::Bytecode, primitives::eip170::MAX_CODE_SIZE};
use std::{num::NonZeroUsize, sync::Mutex};

/// How the code of an account that has delegated itself begins (EIP-7702).
const DELEGATION: [u8; 3] = [0xef, 0x01, 0x00];

/// A code as revm runs it. What begins like a delegation is code like any other where there are none yet (`delegations`),
/// and with any other length: before London a contract's code could begin with 0xef, and an override's always can.
pub fn analysed(code: Bytes, delegations: bool) -> Bytecode {
    if delegations && code.starts_with(&DELEGATION) {
        return Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code));
    }
    Bytecode::new_legacy(code)
}

/// Codes kept, at most 28 MiB with their jump tables.
const CODES_MAX: usize = 1 << 10;

/// See the module. By hash, so what is kept is never stale.
#[derive(Debug)]
pub struct Codes(Mutex<LruCache<B256, Bytecode>>);

impl Default for Codes {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(NonZeroUsize::new(CODES_MAX).expect("not zero"))))
    }
}

impl Codes {
    /// The code with this hash, from `read` if it is not kept.
    pub fn get<E>(&self, hash: B256, read: impl FnOnce() -> Result<Bytecode, E>) -> Result<Bytecode, E> {
        if let Some(code) = self.0.lock().unwrap().get(&hash) {
            return Ok(code.clone());
        }
        let code = read()?;
        // An override's code may be longer than any that is deployed; what a delegation is depends on the block.
        if code.len() <= MAX_CODE_SIZE && !code.original_byte_slice().starts_with(&DELEGATION) {
            self.0.lock().unwrap().put(hash, code.clone());
        }
        Ok(code)
    }
}
