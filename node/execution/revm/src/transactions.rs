//! Raw transactions: decoding, recovery of senders on all cores, and the memory of both.

use alloy_consensus::{
    EthereumTxEnvelope, Transaction, TxEip4844,
    transaction::{Recovered, SignerRecoverable},
};
use alloy_eips::eip2718::{Decodable2718, Eip2718Error, Encodable2718, WithEncoded};
use alloy_primitives::{Address, B256, Bytes};
use lru::LruCache;
use rayon::prelude::*;
use revm::{context_interface::cfg::gas::calculate_initial_tx_gas, primitives::hardfork::SpecId};
use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex},
};

/// A transaction as a block holds it: blobs without their sidecar (the pool's form does not decode).
pub type L1Tx = EthereumTxEnvelope<TxEip4844>;

/// With its sender and its bytes: the executor then neither encodes nor hashes it again.
pub type Prepared = Arc<WithEncoded<Recovered<L1Tx>>>;

/// EIP-4844's type.
const BLOB: u8 = 3;

/// Senders kept: a pool and several blocks' worth, about 8 MiB.
const SENDERS_MAX: usize = 1 << 16;

/// Pooled transactions kept decoded: two full blocks of transfers, about 12 MiB.
const DECODED_MAX: usize = 1 << 14;

/// Longer transactions are not kept decoded: they are few, and what they do costs more than reading them.
const DECODED_BYTES_MAX: usize = 1 << 10;

/// Least work for a second core: below it the threads that look for work cost more than they do.
const PARALLEL_MIN: usize = 64;

/// Why bytes are no transaction of this chain: a stable code, and geth's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: &'static str,
    pub message: String,
}

impl Refusal {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// What was seen lately: transaction hash → sender, and pooled transactions by their bytes.
#[derive(Debug)]
pub struct Senders {
    recovered: Mutex<LruCache<B256, Address>>,
    decoded: Mutex<LruCache<Bytes, Prepared>>,
}

impl Default for Senders {
    fn default() -> Self {
        let size = |entries| NonZeroUsize::new(entries).expect("not zero");
        Self {
            recovered: Mutex::new(LruCache::new(size(SENDERS_MAX))),
            decoded: Mutex::new(LruCache::new(size(DECODED_MAX))),
        }
    }
}

impl Senders {
    fn get(&self, hash: &B256) -> Option<Address> {
        self.recovered.lock().unwrap().get(hash).copied()
    }
    fn put(&self, hash: B256, sender: Address) {
        self.recovered.lock().unwrap().put(hash, sender);
    }
    /// Those of some transactions that are kept decoded.
    fn known(&self, raws: &[Bytes]) -> Vec<Option<Prepared>> {
        let mut decoded = self.decoded.lock().unwrap();
        raws.iter().map(|raw| decoded.get(raw).cloned()).collect()
    }
    /// Keeps a pooled transaction. One from a block shares the whole block's bytes, and is not kept.
    fn keep(&self, transactions: &[Result<Prepared, Refusal>]) {
        let mut decoded = self.decoded.lock().unwrap();
        let short = |tx: &&Prepared| tx.encoded_bytes().len() <= DECODED_BYTES_MAX;
        for tx in transactions.iter().flatten().filter(short) {
            decoded.put(tx.encoded_bytes().clone(), tx.clone());
        }
    }
    /// Lets go of what a block has settled.
    pub fn settle(&self, raws: &[Bytes]) {
        let mut decoded = self.decoded.lock().unwrap();
        raws.iter().for_each(|raw| drop(decoded.pop(raw)));
    }
}

/// Which signatures a block may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signing {
    /// The chain's id, where EIP-155 lets a transaction name it.
    pub chain_id: u64,
    /// EIP-2 (Homestead): s lies in the lower half.
    pub low_s: bool,
    /// EIP-155 (Spurious Dragon).
    pub protected: bool,
}

impl Signing {
    /// Since Spurious Dragon.
    pub fn of_today(chain_id: u64) -> Self {
        Self { chain_id, low_s: true, protected: true }
    }
}

/// Decodes one; `senders` may be left out where nothing may be remembered.
pub fn prepare(raw: Bytes, chain_id: u64, senders: Option<&Senders>) -> Result<Prepared, Refusal> {
    prepare_by(raw, Signing::of_today(chain_id), senders)
}

/// As [`prepare`], by the rules of a block.
pub fn prepare_by(raw: Bytes, signing: Signing, senders: Option<&Senders>) -> Result<Prepared, Refusal> {
    let tx = decode(&raw)?;
    let chain_id = signing.chain_id;
    let invalid = || Refusal::new("signature", "invalid sender: invalid transaction v, r, s values");
    if signing.low_s && tx.signature().normalize_s().is_some() || !signing.protected && tx.chain_id().is_some() {
        return Err(invalid());
    }
    if let Some(id) = tx.chain_id().filter(|id| *id != chain_id) {
        let message = format!("invalid sender: invalid chain id for signer: have {id} want {chain_id}");
        return Err(Refusal::new("chain_id", message));
    }
    let hash = *tx.tx_hash();
    let sender = match senders.and_then(|senders| senders.get(&hash)) {
        Some(sender) => sender,
        None => {
            let sender = tx.recover_signer_unchecked().map_err(|_| invalid())?;
            if let Some(senders) = senders {
                senders.put(hash, sender);
            }
            sender
        }
    };
    Ok(Arc::new(WithEncoded::new(raw, Recovered::new_unchecked(tx, sender))))
}

/// Decodes many, in order: what is not known, on all cores.
pub fn prepare_all(raws: &[Bytes], chain_id: u64, senders: &Senders) -> Vec<Result<Prepared, Refusal>> {
    prepare_all_by(raws, Signing::of_today(chain_id), senders)
}

/// As [`prepare_all`], by the rules of a block.
pub fn prepare_all_by(raws: &[Bytes], signing: Signing, senders: &Senders) -> Vec<Result<Prepared, Refusal>> {
    unless_known(raws, senders, |raw| prepare_by(raw.clone(), signing, Some(senders)))
}

/// As [`prepare_all`], for what is to get into a block here.
pub fn prepare_pooled(raws: &[Bytes], chain_id: u64, senders: &Senders) -> Vec<Result<Prepared, Refusal>> {
    let prepared = prepare_all(raws, chain_id, senders);
    senders.keep(&prepared);
    prepared
}

/// As [`prepare_pooled`], on a rollup: blobs have no network there.
pub fn prepare_sequenced(raws: &[Bytes], chain_id: u64, senders: &Senders) -> Vec<Result<Prepared, Refusal>> {
    let prepared = unless_known(raws, senders, |raw| match raw.first() {
        Some(&BLOB) => {
            let message = "transaction type not supported: tx type 3 not supported by this pool";
            Err(Refusal::new("blob", message))
        }
        _ => prepare(raw.clone(), chain_id, Some(senders)),
    });
    senders.keep(&prepared);
    prepared
}

/// Recovers the senders of many blocks' transactions on all cores, for a judgement that follows: nothing is refused here.
pub fn recover_all(raws: &[Bytes], senders: &Senders) {
    raws.par_iter().with_min_len(PARALLEL_MIN).for_each(|raw| {
        let Ok(tx) = decode(raw) else { return };
        let hash = *tx.tx_hash();
        if senders.get(&hash).is_none()
            && let Ok(sender) = tx.recover_signer_unchecked()
        {
            senders.put(hash, sender);
        }
    });
}

fn unless_known(
    raws: &[Bytes],
    senders: &Senders,
    one: impl Fn(&Bytes) -> Result<Prepared, Refusal> + Sync,
) -> Vec<Result<Prepared, Refusal>> {
    let mut known = senders.known(raws);
    let missing: Vec<usize> = (0..raws.len()).filter(|place| known[*place].is_none()).collect();
    if missing.is_empty() {
        return known.into_iter().flatten().map(Ok).collect();
    }
    let fresh: Vec<_> = if missing.len() < 2 * PARALLEL_MIN {
        missing.iter().map(|place| one(&raws[*place])).collect()
    } else {
        missing.par_iter().with_min_len(PARALLEL_MIN).map(|place| one(&raws[*place])).collect()
    };
    let mut fresh = fresh.into_iter();
    let next = |tx: Option<Prepared>| tx.map_or_else(|| fresh.next().expect("one for each that is missing"), Ok);
    known.drain(..).map(next).collect()
}

/// Decodes one strictly, without its sender.
pub fn decode(raw: &Bytes) -> Result<L1Tx, Refusal> {
    match raw.first() {
        Some(0..=0x7f) | None if raw.len() <= 1 => {
            return Err(Refusal::new("undecodable", "typed transaction too short"));
        }
        Some(0 | 5..=0x7f) => return Err(Refusal::new("type", "transaction type not supported")),
        _ => {}
    }
    let tx = L1Tx::decode_2718_exact(raw).map_err(|error| {
        let words = match &error {
            Eip2718Error::RlpError(error) => rlp_words(error),
            _ => "rlp: input is no transaction",
        };
        Refusal::new("undecodable", words)
    })?;
    // One transaction, one form: what does not encode to itself would have two hashes.
    if tx.encode_2718_len() != raw.len() || tx.encoded_2718() != **raw {
        return Err(Refusal::new("undecodable", "rlp: non-canonical encoding"));
    }
    Ok(tx)
}

/// geth's words for what is wrong with RLP.
fn rlp_words(error: &alloy_rlp::Error) -> &'static str {
    use alloy_rlp::Error::*;
    match error {
        InputTooShort => "rlp: value size exceeds available input length",
        Overflow => "rlp: input string too long for integer",
        LeadingZero => "rlp: non-canonical integer (leading zero bytes)",
        NonCanonicalSingleByte | NonCanonicalSize => "rlp: non-canonical size information",
        UnexpectedLength => "rlp: input string has the wrong length",
        UnexpectedString => "rlp: expected input list",
        UnexpectedList => "rlp: expected input string or byte",
        ListLengthMismatch { .. } => "rlp: input list has the wrong number of elements",
        _ => "rlp: input is no transaction",
    }
}

/// Least gas limit that a transaction may have; EIP-7623's floor included.
pub fn intrinsic_gas(tx: &L1Tx, rules: SpecId) -> u64 {
    let (accounts, slots) = tx.access_list().map_or((0, 0), |list| (list.len(), list.storage_keys_count()));
    let gas = calculate_initial_tx_gas(
        rules,
        tx.input(),
        tx.is_create(),
        accounts as u64,
        slots as u64,
        tx.authorization_list().map_or(0, <[_]>::len) as u64,
    );
    gas.initial_total_gas.max(gas.floor_gas)
}

/// The signers of a transaction's EIP-7702 authorisations; those that do not recover are left out.
pub fn authorities(tx: &L1Tx) -> Vec<Address> {
    tx.authorization_list().iter().flat_map(|list| list.iter()).filter_map(|it| it.recover_authority().ok()).collect()
}
