//! Ommers: which headers a block of proof of work may name beside its ancestors.
//!
//!     Lineage (the last seven blocks) + block > check > rewards are alloy-evm's
//!
//! Source: Yellow Paper 11.1; geth's `VerifyUncles`; EELS's `validate_ommers`.

use crate::{
    block::Block,
    errors::{Error, Result},
    header,
    spec::L1Spec,
};
use alloy_consensus::Header;
use alloy_primitives::B256;
use std::collections::VecDeque;

/// A block names at most so many.
const OMMERS_MAX: usize = 2;

/// Ancestors that count, the parent included: an ommer is a child of one of them but not of the first.
const GENERATIONS: usize = 7;

/// What of an ancestor counts.
#[derive(Debug)]
struct Ancestor {
    hash: B256,
    header: Header,
    ommers: Vec<B256>,
}

/// The blocks below the next one, the oldest first.
#[derive(Debug, Default)]
pub struct Lineage {
    ancestors: VecDeque<Ancestor>,
}

impl Lineage {
    /// One more block; the oldest that counts no more is forgotten.
    pub fn push(&mut self, block: &Block) {
        if self.ancestors.len() == GENERATIONS {
            self.ancestors.pop_front();
        }
        let ommers = block.ommers.iter().map(Header::hash_slow).collect();
        self.ancestors.push_back(Ancestor { hash: block.hash, header: block.header.clone(), ommers });
    }

    /// The newest block's header.
    pub fn parent(&self) -> Option<&Header> {
        self.ancestors.back().map(|ancestor| &ancestor.header)
    }

    /// Judges the ommers of a block on the newest one.
    pub fn check(&self, spec: &L1Spec, block: &Block) -> Result<()> {
        if block.ommers.len() > OMMERS_MAX {
            return Err(Error::invalid("ommers", format!("at most {OMMERS_MAX}"), block.ommers.len()));
        }
        let hashes: Vec<B256> = block.ommers.iter().map(Header::hash_slow).collect();
        for (place, (ommer, hash)) in block.ommers.iter().zip(&hashes).enumerate() {
            let known = |ancestor: &Ancestor| ancestor.hash == *hash || ancestor.ommers.contains(hash);
            if *hash == block.hash || hashes[..place].contains(hash) || self.ancestors.iter().any(known) {
                return Err(Error::invalid("ommers", "headers that the chain has not named yet", hash));
            }
            let mut older = self.ancestors.iter().rev().skip(1);
            let Some(parent) = older.find(|ancestor| ancestor.hash == ommer.parent_hash) else {
                let want = format!("children of the {GENERATIONS} blocks below, not of the last");
                return Err(Error::invalid("ommers", want, hash));
            };
            header::check_header(spec, &parent.header, ommer).map_err(|error| match error {
                Error::Invalid { field, want, got } => {
                    Error::invalid("ommers", format!("{field} {want}"), format!("{got} in {hash}"))
                }
                error => error,
            })?;
        }
        Ok(())
    }
}
