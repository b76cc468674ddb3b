//! The files of the log, and the batches in them.
//!
//!     file  = head(16), batch, batch, ...
//!     batch = magic(4) kind(1) 0(3) length(8) checksum(8) | number(8) root(32) place(8) nodes(4) codes(4) | codes | nodes
//!     code  = length(4) bytes
//!     node  = length(2) links(1) link(6) * links bytes
//!
//! Integers are little-endian. The checksum tells torn batches; that nodes are right is told by their hashes.

use super::{Recent, Result, StoreError};
use crate::mpt::LINK;
use alloy_primitives::{B256, Bytes, keccak256};
use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

/// The layout of the store.
pub const VERSION: u64 = 1;

const MAGIC: u32 = 0x6e6f_6465;

/// Bytes of a batch's head.
pub const HEAD: usize = 24;

/// Bytes of a batch between its head and its codes.
pub const FIXED: usize = 8 + 32 + 8 + 8;

/// Bytes of a node before its links.
pub const NODE_HEAD: usize = 3;

/// The longest node with all its links: read in one go.
pub const LONGEST: usize = NODE_HEAD + 16 * LINK + 640;

/// A file's first bytes; also keeps place 0 from ever being used.
pub const FILE_HEAD: u64 = 16;

/// A file that holds the places from `first` on.
#[derive(Debug)]
pub struct Segment {
    pub first: u64,
    /// The first place after it; `MAX` while it is the last one.
    pub end: AtomicU64,
    pub file: File,
    pub path: PathBuf,
}

/// The files in use, in the order of their places.
pub type Segments = Arc<Vec<Arc<Segment>>>;

impl Segment {
    /// Where the file with these places lies.
    pub fn path(dir: &Path, first: u64) -> PathBuf {
        dir.join(format!("nodes-{first:016x}.log"))
    }

    /// A new file, synced.
    pub fn create(dir: &Path, first: u64) -> Result<Self> {
        let path = Self::path(dir, first);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        file.write_all_at(&[&MAGIC.to_le_bytes()[..], &[VERSION as u8; 4], &first.to_le_bytes()].concat(), 0)?;
        file.sync_all()?;
        File::open(dir)?.sync_all()?;
        Ok(Self { first, end: u64::MAX.into(), file, path })
    }

    /// A file that the index names; `end` is 0 for the last one.
    pub fn open(dir: &Path, first: u64, end: u64) -> Result<Self> {
        let path = Self::path(dir, first);
        let damaged = |what: &str| StoreError::Damaged(format!("{}: {what}", path.display()));
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(|e| damaged(&e.to_string()))?;
        let mut head = [0; FILE_HEAD as usize];
        file.read_exact_at(&mut head, 0).map_err(|_| damaged("too short"))?;
        if head[..4] != MAGIC.to_le_bytes() || head[4..8] != [VERSION as u8; 4] || head[8..] != first.to_le_bytes() {
            return Err(damaged("not a node log of this version"));
        }
        let end = if end == 0 { u64::MAX } else { end };
        if end != u64::MAX && file.metadata()?.len() < end - first {
            return Err(damaged("cut off"));
        }
        Ok(Self { first, end: end.into(), file, path })
    }

    /// Whether a place lies in it.
    pub fn holds(&self, place: u64) -> bool {
        self.first <= place && place < self.end.load(SeqCst)
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.file.metadata().map_or(0, |meta| meta.len())
    }

    /// Reads the batches from a place on into `recent`; gives their end. A bad one ends the log, as no sync reached it.
    pub fn replay(&self, mut at: u64, recent: &mut Recent) -> Result<u64> {
        let length = self.file.metadata()?.len();
        if at < self.first || length < at - self.first {
            let synced = at.saturating_sub(self.first);
            let what = format!("{}: cut off at {length}, {synced} were synced", self.path.display());
            return Err(StoreError::Damaged(what));
        }
        let mut head = [0; HEAD];
        while self.file.read_exact_at(&mut head, at - self.first).is_ok() {
            let size = u64_at(&head, 8);
            let left = length - (at - self.first) - HEAD as u64;
            if u32_at(&head, 0) != MAGIC || (size as usize) < FIXED || size > left {
                break;
            }
            let mut body = vec![0; size as usize];
            self.file.read_exact_at(&mut body, at - self.first + HEAD as u64)?;
            if checksum(&body, at) != u64_at(&head, 16) {
                break;
            }
            if head[4] == Kind::Block as u8 {
                note(&body, recent);
            }
            at += HEAD as u64 + size;
        }
        self.file.set_len(at - self.first)?; // a torn batch
        self.file.sync_all()?;
        Ok(at)
    }
}

/// Roots and codes of a block's batch.
fn note(body: &[u8], recent: &mut Recent) {
    let (number, root, place) = (u64_at(body, 0), B256::from_slice(&body[8..40]), u64_at(body, 40));
    recent.add_root(root, place, number);
    let mut rest = &body[FIXED..];
    for _ in 0..u32_at(body, 52) {
        let (code, tail) = rest[4..].split_at(u32_at(rest, 0) as usize);
        recent.codes.insert(keccak256(code), Bytes::copy_from_slice(code));
        rest = tail;
    }
}

/// What a batch holds.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// What a block has written.
    Block = 1,
    /// Nodes that compaction has moved.
    Copy = 2,
}

/// Fills in the head of a batch that will lie at a place.
pub fn seal(data: &mut [u8], kind: Kind, place: u64) {
    let sum = checksum(&data[HEAD..], place);
    let size = (data.len() - HEAD) as u64;
    data[..4].copy_from_slice(&MAGIC.to_le_bytes());
    data[4] = kind as u8;
    data[8..16].copy_from_slice(&size.to_le_bytes());
    data[16..24].copy_from_slice(&sum.to_le_bytes());
}

fn u32_at(data: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(data[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(data: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(data[at..at + 8].try_into().expect("eight bytes"))
}

/// Tells torn batches, at the speed of memory.
fn checksum(data: &[u8], seed: u64) -> u64 {
    let mix = |state: u64, word: u64| {
        let product = u128::from(state ^ word) * 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
        (product as u64) ^ (product >> 64) as u64
    };
    let mut lanes = [seed ^ 1, seed ^ 2, seed ^ 3, seed ^ 4];
    let mut chunks = data.chunks_exact(32);
    for chunk in &mut chunks {
        for (i, lane) in lanes.iter_mut().enumerate() {
            *lane = mix(*lane, u64_at(chunk, 8 * i)).wrapping_add(0xa076_1d64_78bd_642f);
        }
    }
    let rest =
        chunks.remainder().iter().fold(data.len() as u64, |state, byte| mix(state.wrapping_add(1), *byte as u64));
    lanes.iter().fold(rest, |state, lane| mix(state.rotate_left(7), *lane))
}
