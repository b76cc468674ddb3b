//! Codes that simulations have run lately, analysed: finding the jump destinations of a token's code takes longer than
//! running its balanceOf.
//!
//! Deliberately absent: blocks. A witness must see every code that a block reads, so blocks ask the store.

use alloy_primitives::B256;
use lru::LruCache;
use revm::{bytecode::Bytecode, primitives::eip170::MAX_CODE_SIZE};
use std::{num::NonZeroUsize, sync::Mutex};

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
        // An override's code may be longer than any that is deployed.
        if code.len() <= MAX_CODE_SIZE {
            self.0.lock().unwrap().put(hash, code.clone());
        }
        Ok(code)
    }
}
