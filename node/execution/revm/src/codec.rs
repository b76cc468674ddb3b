//! Batches: brotli(rlp[version, [[timestamp, advances origin (0 or 1), [raw transaction, ...]], ...]]).
//!
//! Anybody may put any bytes where batches are read, and every node must read the same of them: decoding is total. It
//! decompresses by the chunk and stops at the limit (brotli's own notion of a size is soft: 316 bytes may become
//! 200 MB), it walks RLP without recursion through exactly four levels, and it accepts one encoding of each value.
//! Deliberately absent: any judgement of what a block holds.

use crate::errors::{Error, Result};
use alloy_rlp::{Encodable, Header};
use brotli::enc::BrotliEncoderParams;
use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use std::ops::Range;

/// The only version.
const VERSION: u64 = 1;

/// What is decompressed at a time.
const CHUNK: usize = 1 << 14;

/// Window of what we compress: 256 KiB, as much as any batch may be.
const WINDOW_BITS: i32 = 18;

/// Best brotli quality.
pub const QUALITY_MAX: u32 = 11;

/// A block of a batch: where its transactions lie in the decompressed bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedBlock {
    pub timestamp: u64,
    pub advances_origin: bool,
    pub transactions: Vec<Range<usize>>,
}

/// Decompresses a whole stream, nothing before and nothing behind it, into at most `limit` bytes.
fn decompress(data: &[u8], limit: usize) -> Option<Vec<u8>> {
    // Strict: windows above 16 MiB are an extension that not every decoder has.
    let mut state =
        BrotliState::new_strict(StandardAlloc::default(), StandardAlloc::default(), StandardAlloc::default());
    let (mut left, mut read, mut total) = (data.len(), 0, 0);
    let mut out = Vec::new();
    let mut chunk = [0; CHUNK];
    loop {
        let (mut room, mut written) = (CHUNK, 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut read,
            data,
            &mut room,
            &mut written,
            &mut chunk,
            &mut total,
            &mut state,
        );
        if out.len() + written > limit {
            return None;
        }
        out.extend_from_slice(&chunk[..written]);
        match result {
            BrotliResult::ResultSuccess => return (left == 0).then_some(out),
            BrotliResult::NeedsMoreOutput => {}
            BrotliResult::NeedsMoreInput | BrotliResult::ResultFailure => return None,
        }
    }
}

/// Takes an item's payload off; `alloy_rlp` refuses heads that are not canonical or reach beyond the end.
fn take<'a>(rest: &mut &'a [u8], list: bool) -> Option<&'a [u8]> {
    Header::decode_bytes(rest, list).ok()
}

/// Takes an unsigned number off: big-endian, no leading zero.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let payload = take(rest, false)?;
    if payload.len() > 8 || payload.first() == Some(&0) {
        return None;
    }
    Some(payload.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// The blocks of decompressed bytes.
fn blocks(bytes: &[u8], block_count: usize) -> Option<Vec<PackedBlock>> {
    let at = |part: &[u8]| {
        let start = part.as_ptr() as usize - bytes.as_ptr() as usize;
        start..start + part.len()
    };
    let mut rest = bytes;
    let mut body = take(&mut rest, true)?;
    let version = number(&mut body)?;
    let mut items = take(&mut body, true)?;
    if version != VERSION || !rest.is_empty() || !body.is_empty() {
        return None;
    }
    let mut blocks = Vec::new();
    while !items.is_empty() {
        if blocks.len() == block_count {
            return None;
        }
        let mut block = take(&mut items, true)?;
        let timestamp = number(&mut block)?;
        let advances_origin = match number(&mut block)? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let mut raws = take(&mut block, true)?;
        if !block.is_empty() {
            return None;
        }
        let mut transactions = Vec::new();
        while !raws.is_empty() {
            transactions.push(at(take(&mut raws, false)?));
        }
        blocks.push(PackedBlock { timestamp, advances_origin, transactions });
    }
    (blocks.len() == block_count).then_some(blocks)
}

/// Decodes a batch: the decompressed bytes and its blocks, or nothing if its shape is wrong in any way.
pub fn decode(data: &[u8], limit: usize, block_count: usize) -> Option<(Vec<u8>, Vec<PackedBlock>)> {
    let bytes = decompress(data, limit)?;
    let blocks = blocks(&bytes, block_count)?;
    Some((bytes, blocks))
}

/// A list of items that are encoded already.
fn list(payload: &[u8], out: &mut Vec<u8>) {
    Header { list: true, payload_length: payload.len() }.encode(out);
    out.extend_from_slice(payload);
}

/// Encodes a batch: (timestamp, advances origin, raw transactions) of each block.
pub fn encode<B: AsRef<[u8]>>(blocks: &[(u64, bool, Vec<B>)], quality: u32) -> Result<Vec<u8>> {
    if quality > QUALITY_MAX {
        return Err(Error::Argument(format!("quality: {quality}, at most {QUALITY_MAX}")));
    }
    let (mut items, mut block, mut raws) = (Vec::new(), Vec::new(), Vec::new());
    for (timestamp, advances_origin, transactions) in blocks {
        raws.clear();
        block.clear();
        transactions.iter().for_each(|raw| raw.as_ref().encode(&mut raws));
        timestamp.encode(&mut block);
        advances_origin.encode(&mut block);
        list(&raws, &mut block);
        list(&block, &mut items);
    }
    let (mut body, mut bytes) = (Vec::new(), Vec::new());
    VERSION.encode(&mut body);
    list(&items, &mut body);
    list(&body, &mut bytes);
    let params = BrotliEncoderParams {
        quality: quality as i32,
        lgwin: WINDOW_BITS,
        size_hint: bytes.len(),
        ..Default::default()
    };
    let mut out = Vec::new();
    brotli::BrotliCompress(&mut &bytes[..], &mut out, &params)
        .map_err(|error| Error::Fatal(format!("no batch: {error}")))?;
    Ok(out)
}
