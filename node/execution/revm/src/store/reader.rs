//! A view of the store for execution and look-ups.

use super::{
    Inner,
    segment::{LONGEST, NODE_HEAD, Segments},
};
use crate::{
    mpt::{LINK, LOCAL, Link, Loaded, NodeSource, Ref, TrieError},
    state::{Source, StateError},
};
use alloy_primitives::{B256, Bytes, keccak256};
use std::{os::unix::fs::FileExt, sync::Arc};

/// The place of a root that a damaged index cannot give: reading there fails as reading a damaged node does.
const UNREADABLE: Link = LOCAL - 1;

/// Reads nodes by place. It keeps files open that compaction has removed.
#[derive(Debug)]
pub struct Reader {
    pub(super) inner: Arc<Inner>,
    pub(super) segments: Segments,
    pub(super) generation: u64,
}

impl Reader {
    fn read(&self, at: &Ref) -> Result<Loaded, TrieError> {
        if at.link == 0 || at.link & LOCAL != 0 {
            return Err(TrieError::Missing(at.hash));
        }
        if let Some(node) = self.inner.cache.get(at) {
            return Ok(node);
        }
        let node = self.fetch(at)?;
        self.inner.cache.put(at, &node);
        Ok(node)
    }

    /// Reads past the cache; what is read is compared with its hash.
    pub(super) fn fetch(&self, at: &Ref) -> Result<Loaded, TrieError> {
        let place = at.link;
        let current;
        let segment = match self.segments.iter().find(|segment| segment.holds(place)) {
            Some(segment) => segment,
            // Begun since this view was made.
            None => {
                current = self.inner.segments.read().unwrap().clone();
                let segment = current.iter().find(|segment| segment.holds(place)).cloned();
                &segment.ok_or_else(|| TrieError::Unreadable(at.hash, format!("no file holds place {place}")))?
            }
        };
        let bad =
            |what: &str| TrieError::Unreadable(at.hash, format!("{}: {what} at place {place}", segment.path.display()));
        let mut raw = [0; LONGEST];
        let mut got = 0;
        while got < LONGEST {
            match segment.file.read_at(&mut raw[got..], place - segment.first + got as u64) {
                Ok(0) => break,
                Ok(n) => got += n,
                Err(error) => return Err(bad(&error.to_string())),
            }
        }
        let start = NODE_HEAD + LINK * raw[2] as usize;
        let end = start + u16::from_le_bytes([raw[0], raw[1]]) as usize;
        if got < NODE_HEAD || end > got {
            return Err(bad("the log ends"));
        }
        // Keep only the node: it may stay in the cache.
        let node = Bytes::copy_from_slice(&raw[NODE_HEAD..end]);
        let (links, rlp) = (node.slice(..start - NODE_HEAD), node.slice(start - NODE_HEAD..));
        if keccak256(&rlp) == at.hash { Ok(Loaded { rlp, links }) } else { Err(bad("another node")) }
    }
}

impl NodeSource for Reader {
    fn node(&self, at: &Ref) -> Result<Loaded, TrieError> {
        self.read(at)
    }
}

impl Source for Reader {
    fn code(&self, hash: &B256) -> Result<Bytes, StateError> {
        self.inner.code(hash)
    }
    fn root(&self, hash: B256) -> Ref {
        let link = self.inner.find_root(&hash).map_or(UNREADABLE, |found| found.map_or(0, |(place, _)| place));
        Ref { hash, link }
    }
    fn generation(&self) -> u64 {
        self.generation
    }
}
