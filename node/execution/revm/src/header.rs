//! The rules that a header obeys before anything is executed, and the header that follows another.

use crate::{
    block::Block,
    dao,
    errors::{Error, Result},
    spec::L1Spec,
};
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header, proofs};
use alloy_eips::{
    eip1559::{BaseFeeParams, INITIAL_BASE_FEE, calc_next_block_base_fee},
    eip4895::Withdrawal,
    eip7685::EMPTY_REQUESTS_HASH,
};
use alloy_hardforks::{EthereumHardfork, EthereumHardforks};
use alloy_primitives::{Address, B64, B256, Bytes, U256};
use alloy_trie::{EMPTY_ROOT_HASH, root::ordered_trie_root_encoded};
use std::fmt::Display;

/// Longest `extra_data`.
pub const EXTRA_DATA_MAX: usize = 32;

/// Least gas limit (Yellow Paper).
const GAS_LIMIT_MIN: u64 = 5_000;

/// Greatest gas limit (geth: the highest that fits a signed word).
const GAS_LIMIT_MAX: u64 = i64::MAX as u64;

/// A gas limit moves by less than this part of its parent's (Yellow Paper).
const GAS_LIMIT_DIVISOR: u64 = 1_024;

/// Least difficulty (Yellow Paper).
const DIFFICULTY_MIN: u64 = 131_072;

/// A difficulty moves by multiples of this part of its parent's (Yellow Paper).
const DIFFICULTY_DIVISOR: u64 = 2_048;

/// It falls by at most so many of them (EIP-2).
const DIFFICULTY_STEPS_MAX: u64 = 99;

/// Blocks after which the bomb doubles (Yellow Paper).
const DIFFICULTY_BOMB_PERIOD: u64 = 100_000;

/// EIP-7934: 10 MiB less 2 MiB for the consensus layer's part.
pub const BLOCK_BYTES_MAX: usize = (10 << 20) - (2 << 20);

fn must<T: PartialEq + Display>(field: &'static str, want: T, got: T) -> Result<()> {
    if want == got { Ok(()) } else { Err(Error::invalid(field, want, got)) }
}

/// A field that its fork brings.
fn must_maybe<T: PartialEq + Display>(field: &'static str, want: Option<T>, got: Option<T>) -> Result<()> {
    if want == got {
        return Ok(());
    }
    let show = |value: Option<T>| value.map_or_else(|| "none".to_owned(), |value| value.to_string());
    Err(Error::Invalid { field, want: show(want), got: show(got) })
}

/// Judges a block's header against its parent's, and what of its body needs no execution.
///
/// The seal of proof-of-work blocks is not judged: such a chain is only ever given by the node's owner.
pub fn check(spec: &L1Spec, parent: &Header, block: &Block) -> Result<()> {
    let header = &block.header;
    check_header(spec, parent, header)?;
    check_ommers(spec, block)?;
    if spec.is_osaka_active_at_timestamp(header.timestamp) && block.rlp.len() > BLOCK_BYTES_MAX {
        let got = format!("{} bytes", block.rlp.len());
        return Err(Error::invalid("block_size", format!("at most {BLOCK_BYTES_MAX} bytes"), got));
    }
    check_lists(block)
}

/// Judges whether a body is its header's.
pub fn check_body(block: &Block) -> Result<()> {
    check_ommers_hash(block)?;
    check_lists(block)
}

fn check_lists(block: &Block) -> Result<()> {
    let header = &block.header;
    must("transactions_root", transactions_root(&block.transactions), header.transactions_root)?;
    let withdrawals_root = block.withdrawals.as_deref().map(proofs::calculate_withdrawals_root);
    must_maybe("withdrawals_root", withdrawals_root, header.withdrawals_root)
}

/// EIP-3675: none since the merge; before it they are what the header says, and `ommers` judges them.
fn check_ommers(spec: &L1Spec, block: &Block) -> Result<()> {
    if spec.is_paris_active_at_block(block.header.number) {
        must("ommers_hash", EMPTY_OMMER_ROOT_HASH, block.header.ommers_hash)?;
        return must("ommers", 0, block.ommers.len());
    }
    check_ommers_hash(block)
}

fn check_ommers_hash(block: &Block) -> Result<()> {
    let ommers_hash = match &block.ommers[..] {
        [] => EMPTY_OMMER_ROOT_HASH,
        ommers => proofs::calculate_ommers_root(ommers),
    };
    must("ommers_hash", ommers_hash, block.header.ommers_hash)
}

/// Judges a header against its parent's; an ommer's is judged so too.
pub fn check_header(spec: &L1Spec, parent: &Header, header: &Header) -> Result<()> {
    if header.number.checked_sub(1) != Some(parent.number) {
        return Err(Error::invalid("number", parent.number.saturating_add(1), header.number));
    }
    must("parent_hash", parent.hash_slow(), header.parent_hash)?;
    if header.timestamp <= parent.timestamp {
        return Err(Error::invalid("timestamp", format!("more than {}", parent.timestamp), header.timestamp));
    }
    if header.extra_data.len() > EXTRA_DATA_MAX {
        let got = format!("{} bytes", header.extra_data.len());
        return Err(Error::invalid("extra_data", "at most 32 bytes", got));
    }
    if let Some(wanted) = dao::wants_mark(spec, header).filter(|wanted| *wanted != dao::has_mark(header)) {
        let want = if wanted { "the mark of the DAO fork" } else { "anything but the mark of the DAO fork" };
        return Err(Error::invalid("extra_data", want, &header.extra_data));
    }
    check_gas(spec, parent, header)?;
    if spec.is_paris_active_at_block(header.number) {
        must("difficulty", U256::ZERO, header.difficulty)?;
        must("nonce", B64::ZERO, header.nonce)?;
    } else {
        must("difficulty", difficulty(spec, parent, header.number, header.timestamp), header.difficulty)?;
    }
    let next = Following::new(spec, parent, header.timestamp);
    must_maybe("base_fee_per_gas", next.base_fee, header.base_fee_per_gas)?;
    must_maybe("excess_blob_gas", next.excess_blob_gas, header.excess_blob_gas)?;
    check_presence(spec, header)
}

fn check_gas(spec: &L1Spec, parent: &Header, header: &Header) -> Result<()> {
    let base = gas_limit_base(spec, parent, header.number);
    let span = base / GAS_LIMIT_DIVISOR;
    if header.gas_limit.abs_diff(base) >= span || !(GAS_LIMIT_MIN..=GAS_LIMIT_MAX).contains(&header.gas_limit) {
        let want = format!("less than {span} from {base}, at least {GAS_LIMIT_MIN}");
        return Err(Error::invalid("gas_limit", want, header.gas_limit));
    }
    if header.gas_used > header.gas_limit {
        return Err(Error::invalid("gas_used", format!("at most {}", header.gas_limit), header.gas_used));
    }
    Ok(())
}

/// The difficulty of a block of proof of work.
///
/// Source: geth's `CalcDifficulty`; EIP-2, EIP-100, and the delays of the bomb in EIP-649, 1234, 2384, 3554, 4345 and 5133.
fn difficulty(spec: &L1Spec, parent: &Header, number: u64, timestamp: u64) -> U256 {
    use EthereumHardfork::*;
    let passed = timestamp - parent.timestamp; // A child is younger.
    let (raise, lower) = if spec.is_byzantium_active_at_block(number) {
        let raise = if parent.ommers_hash == EMPTY_OMMER_ROOT_HASH { 1 } else { 2 };
        (raise, (passed / 9).min(DIFFICULTY_STEPS_MAX + raise))
    } else if spec.is_homestead_active_at_block(number) {
        (1, (passed / 10).min(DIFFICULTY_STEPS_MAX + 1))
    } else {
        (1, if passed < 13 { 0 } else { 2 })
    };
    let step = parent.difficulty / U256::from(DIFFICULTY_DIVISOR);
    let moved = parent.difficulty + step * U256::from(raise);
    let base = moved.saturating_sub(step * U256::from(lower)).max(U256::from(DIFFICULTY_MIN));
    let delays = [
        (GrayGlacier, 11_400_000),
        (ArrowGlacier, 10_700_000),
        (London, 9_700_000),
        (MuirGlacier, 9_000_000),
        (Constantinople, 5_000_000),
        (Byzantium, 3_000_000),
    ];
    let delay = delays.iter().find(|(fork, _)| spec.is_active(*fork, number)).map_or(0, |(_, delay)| *delay);
    let periods = number.saturating_sub(delay) / DIFFICULTY_BOMB_PERIOD;
    let bomb = if periods > 1 { U256::ONE << (periods - 2).min(200) } else { U256::ZERO };
    base + bomb
}

/// A field stands in a header exactly from its fork on.
fn check_presence(spec: &L1Spec, header: &Header) -> Result<()> {
    let shanghai = spec.is_shanghai_active_at_timestamp(header.timestamp);
    let cancun = spec.is_cancun_active_at_timestamp(header.timestamp);
    let prague = spec.is_prague_active_at_timestamp(header.timestamp);
    for (field, want, there) in [
        ("withdrawals_root", shanghai, header.withdrawals_root.is_some()),
        ("blob_gas_used", cancun, header.blob_gas_used.is_some()),
        ("parent_beacon_block_root", cancun, header.parent_beacon_block_root.is_some()),
        ("requests_hash", prague, header.requests_hash.is_some()),
        ("block_access_list_hash", false, header.block_access_list_hash.is_some()),
        ("slot_number", false, header.slot_number.is_some()),
    ] {
        let show = |there| if there { "present" } else { "absent" };
        must(field, show(want), show(there))?;
    }
    Ok(())
}

/// The parent's gas limit as its child may move it: EIP-1559 doubles it once.
fn gas_limit_base(spec: &L1Spec, parent: &Header, number: u64) -> u64 {
    let london_begins = spec.is_london_active_at_block(number) && !spec.is_london_active_at_block(parent.number);
    if london_begins { parent.gas_limit.saturating_mul(2) } else { parent.gas_limit }
}

/// What a block inherits from its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Following {
    pub base_fee: Option<u64>,
    pub excess_blob_gas: Option<u64>,
}

impl Following {
    /// EIP-1559, EIP-4844, EIP-7918.
    pub fn new(spec: &L1Spec, parent: &Header, timestamp: u64) -> Self {
        let base_fee = spec.is_london_active_at_block(parent.number.saturating_add(1)).then(|| {
            parent
                .base_fee_per_gas
                .filter(|_| spec.is_london_active_at_block(parent.number))
                .map_or(INITIAL_BASE_FEE, |fee| {
                    calc_next_block_base_fee(parent.gas_used, parent.gas_limit, fee, BaseFeeParams::ethereum())
                })
        });
        // The parameters in force at the child's time, its parent's price.
        let excess_blob_gas = spec.blob_params(timestamp).map(|params| {
            params.next_block_excess_blob_gas_osaka(
                parent.excess_blob_gas.unwrap_or_default(),
                parent.blob_gas_used.unwrap_or_default(),
                parent.base_fee_per_gas.unwrap_or_default(),
            )
        });
        Self { base_fee, excess_blob_gas }
    }
}

/// The header of an empty block on a parent, exact but for its roots: what a chain without a builder calls pending.
pub fn following(spec: &L1Spec, parent: &Header, timestamp: u64) -> Result<Header> {
    let number = parent.number.checked_add(1).ok_or(Error::Argument("the parent has the last number".into()))?;
    if timestamp <= parent.timestamp {
        return Err(Error::Argument(format!("timestamp: {timestamp} is not above {}", parent.timestamp)));
    }
    let next = Following::new(spec, parent, timestamp);
    let proof_of_stake = spec.is_paris_active_at_block(number);
    let cancun = spec.is_cancun_active_at_timestamp(timestamp);
    Ok(Header {
        parent_hash: parent.hash_slow(),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        state_root: parent.state_root,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        difficulty: if proof_of_stake { U256::ZERO } else { difficulty(spec, parent, number, timestamp) },
        number,
        gas_limit: gas_limit_base(spec, parent, number),
        timestamp,
        mix_hash: parent.mix_hash,
        base_fee_per_gas: next.base_fee,
        withdrawals_root: spec.is_shanghai_active_at_timestamp(timestamp).then_some(EMPTY_ROOT_HASH),
        blob_gas_used: cancun.then_some(0),
        excess_blob_gas: next.excess_blob_gas,
        parent_beacon_block_root: cancun.then_some(B256::ZERO),
        requests_hash: spec.is_prague_active_at_timestamp(timestamp).then_some(EMPTY_REQUESTS_HASH),
        ..Default::default()
    })
}

/// What a builder is told of its block.
#[derive(Debug, Clone)]
pub struct Attributes {
    pub timestamp: u64,
    pub fee_recipient: Address,
    pub prev_randao: B256,
    /// To be approached as far as the parent's allows.
    pub gas_limit: u64,
    pub parent_beacon_block_root: B256,
    pub withdrawals: Vec<Withdrawal>,
}

impl Attributes {
    /// The header so far: its environment is complete, its roots are not.
    pub fn header(&self, spec: &L1Spec, parent: &Header) -> Result<Header> {
        let number = parent.number.checked_add(1).ok_or(Error::Argument("the parent has the last number".into()))?;
        if self.timestamp <= parent.timestamp {
            return Err(Error::Argument(format!("timestamp: {} is not above {}", self.timestamp, parent.timestamp)));
        }
        if !spec.is_prague_active_at_timestamp(self.timestamp) {
            return Err(Error::Argument("building needs a chain with Prague active".into()));
        }
        let next = Following::new(spec, parent, self.timestamp);
        let span = (parent.gas_limit / GAS_LIMIT_DIVISOR).saturating_sub(1);
        let (low, high) = (parent.gas_limit - span, parent.gas_limit.saturating_add(span));
        Ok(Header {
            parent_hash: parent.hash_slow(),
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: self.fee_recipient,
            number,
            gas_limit: self.gas_limit.clamp(low.max(GAS_LIMIT_MIN), high.min(GAS_LIMIT_MAX)),
            timestamp: self.timestamp,
            mix_hash: self.prev_randao,
            base_fee_per_gas: next.base_fee,
            withdrawals_root: Some(proofs::calculate_withdrawals_root(&self.withdrawals)),
            excess_blob_gas: next.excess_blob_gas,
            parent_beacon_block_root: Some(self.parent_beacon_block_root),
            ..Default::default()
        })
    }
}

/// The root of the transactions' trie.
pub fn transactions_root(raws: &[Bytes]) -> B256 {
    ordered_trie_root_encoded(raws)
}
