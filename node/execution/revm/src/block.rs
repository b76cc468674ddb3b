//! A block's RLP, read strictly: what does not encode to itself is refused, so that one block has one form.

use crate::{
    errors::{Error, Result},
    header,
    transactions::decode,
};
use alloy_consensus::{Header, Transaction, constants::EIP4844_TX_TYPE_ID};
use alloy_eips::{
    eip4844::{DATA_GAS_PER_BLOB, VERSIONED_HASH_VERSION_KZG},
    eip4895::Withdrawal,
};
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::{Decodable, Encodable, Header as Head};

/// A decoded block; its transactions are still raw.
#[derive(Debug, Clone)]
pub struct Block {
    pub rlp: Bytes,
    pub header: Header,
    pub hash: B256,
    /// EIP-2718 bytes of each.
    pub transactions: Vec<Bytes>,
    pub ommers: Vec<Header>,
    /// EIP-4895 list, from Shanghai on.
    pub withdrawals: Option<Vec<Withdrawal>>,
}

/// Why bytes are no block.
fn refused(what: &str, error: impl std::fmt::Display) -> Error {
    Error::invalid("rlp", format!("a canonical {what}"), error)
}

impl Block {
    /// Decodes a whole block.
    pub fn decode(rlp: Bytes) -> Result<Self> {
        let mut rest = &rlp[..];
        let mut body = list(&mut rest, "block")?;
        if !rest.is_empty() {
            return Err(refused("block", format!("{} bytes left over", rest.len())));
        }
        let header_rlp = item(&mut body, "header")?;
        let header = strict::<Header>(header_rlp, "header")?;
        let mut items = list(&mut body, "list of transactions")?;
        let mut transactions = Vec::with_capacity(items.len() / 110);
        while !items.is_empty() {
            transactions.push(rlp.slice_ref(transaction(&mut items)?));
        }
        let mut items = list(&mut body, "list of ommers")?;
        let mut ommers = Vec::new();
        while !items.is_empty() {
            ommers.push(strict(item(&mut items, "ommer")?, "ommer")?);
        }
        let withdrawals = if body.is_empty() {
            None
        } else {
            let mut items = list(&mut body, "list of withdrawals")?;
            let mut withdrawals = Vec::new();
            while !items.is_empty() {
                withdrawals.push(strict(item(&mut items, "withdrawal")?, "withdrawal")?);
            }
            Some(withdrawals)
        };
        if !body.is_empty() {
            return Err(refused("block", "an item too many"));
        }
        let hash = keccak256(header_rlp);
        Ok(Self { header, hash, transactions, ommers, withdrawals, rlp })
    }

    /// (index, hash, versioned hashes) of each blob transaction; refused if the body is not the header's, or if there
    /// are other blobs than the header says, or more than `most`.
    ///
    /// So what is waited for on behalf of a block hash is what that hash stands for, and no proposer makes others wait
    /// for more than a block may hold, or for what no blob can be called.
    pub fn blob_transactions(&self, most: u64) -> Result<Vec<(usize, B256, Vec<B256>)>> {
        header::check_body(self)?;
        let (gas, gas_max) = (self.header.blob_gas_used.unwrap_or_default(), most * DATA_GAS_PER_BLOB);
        if gas > gas_max {
            return Err(Error::invalid("blob_gas_used", format!("at most {gas_max}"), gas));
        }
        let is_blob = |raw: &Bytes| raw.first() == Some(&EIP4844_TX_TYPE_ID);
        let places = self.transactions.iter().enumerate().filter(|(_, raw)| is_blob(raw));
        let one = |(place, raw): (usize, &Bytes)| {
            let tx = decode(raw).map_err(|refusal| Error::invalid("transaction", "a transaction", refusal.message))?;
            let hashes = tx.blob_versioned_hashes().unwrap_or_default().to_vec();
            if hashes.iter().any(|hash| hash[0] != VERSIONED_HASH_VERSION_KZG) {
                return Err(Error::invalid("blob_versioned_hashes", "version 1", "another"));
            }
            Ok((place, *tx.tx_hash(), hashes))
        };
        let found = places.map(one).collect::<Result<Vec<_>>>()?;
        let named = found.iter().map(|(_, _, hashes)| hashes.len() as u64).sum::<u64>() * DATA_GAS_PER_BLOB;
        if named != gas {
            return Err(Error::invalid("blob_gas_used", named, gas));
        }
        Ok(found)
    }

    /// Puts a block together.
    pub fn encode(header: &Header, transactions: &[Bytes], withdrawals: Option<&[Withdrawal]>) -> Bytes {
        let items: usize = transactions.iter().map(|raw| transaction_length(raw)).sum();
        let mut body = Vec::with_capacity(items + 1024);
        header.encode(&mut body);
        Head { list: true, payload_length: items }.encode(&mut body);
        for raw in transactions {
            if raw[0] < 0x80 {
                Head { list: false, payload_length: raw.len() }.encode(&mut body);
            }
            body.extend_from_slice(raw);
        }
        body.push(alloy_rlp::EMPTY_LIST_CODE);
        if let Some(withdrawals) = withdrawals {
            alloy_rlp::encode_list(withdrawals, &mut body);
        }
        let mut out = Vec::with_capacity(body.len() + 5);
        Head { list: true, payload_length: body.len() }.encode(&mut out);
        out.extend_from_slice(&body);
        out.into()
    }
}

/// Bytes that a transaction takes in a block: typed ones are wrapped in a string.
pub fn transaction_length(raw: &[u8]) -> usize {
    let wrapped = raw.first().is_some_and(|first| *first < 0x80);
    raw.len() + if wrapped { Head { list: false, payload_length: raw.len() }.length() } else { 0 }
}

/// Takes a list off and gives its payload.
fn list<'a>(rest: &mut &'a [u8], what: &str) -> Result<&'a [u8]> {
    Head::decode_bytes(rest, true).map_err(|error| refused(what, error))
}

/// Takes one item off, its head included.
fn item<'a>(rest: &mut &'a [u8], what: &str) -> Result<&'a [u8]> {
    let start = *rest;
    let head = Head::decode(rest).map_err(|error| refused(what, error))?;
    *rest = &rest[head.payload_length..];
    Ok(&start[..start.len() - rest.len()])
}

/// Takes a transaction off: a list if it is a legacy one, else a string that holds its type and body.
fn transaction<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8]> {
    if rest.first().is_some_and(|first| *first >= 0xc0) {
        return item(rest, "transaction");
    }
    let raw = Head::decode_bytes(rest, false).map_err(|error| refused("transaction", error))?;
    match raw.first() {
        Some(..0x80) => Ok(raw),
        _ => Err(refused("transaction", "a string without a transaction type")),
    }
}

/// Decodes an item that must encode to itself.
fn strict<T: Decodable + Encodable>(raw: &[u8], what: &str) -> Result<T> {
    let mut rest = raw;
    let value = T::decode(&mut rest).map_err(|error| refused(what, error))?;
    if !rest.is_empty() || alloy_rlp::encode(&value) != raw {
        return Err(refused(what, "another encoding of it"));
    }
    Ok(value)
}
