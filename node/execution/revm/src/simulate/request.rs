//! What `eth_simulateV1` is asked for: its bounds, and the blocks with what is known of their headers before they run.

use crate::{
    arguments::{self, CallArguments, object},
    engine::Engine,
    errors::{Error, Result},
    hex::Hex,
    overrides::{BlockArguments, StateArguments},
    rollup::L2Spec,
    spec::L1Spec,
};
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, Header};
use alloy_eips::eip4895::Withdrawal;
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::U256;
use std::collections::VecDeque;

/// Blocks of one request, those that fill gaps included (geth's `maxSimulateBlocks`).
const BLOCKS_MAX: usize = 256;

/// Calls of one block, and of all (geth's `maxSimulateCallsPerBlock` and `maxSimulateTotalCalls`).
const BLOCK_CALLS_MAX: usize = 5_000;
const CALLS_MAX: usize = 10_000;

/// Seconds from a block to the next that names no time (geth's `timestampIncrement`).
const STEP_SECONDS: u64 = 12;

/// geth's codes.
const INVALID_PARAMS: i64 = -32602;
const BLOCK_NUMBER: i64 = -38020;
const BLOCK_TIMESTAMP: i64 = -38021;
const LIMIT: i64 = -38026;

object! {
    /// geth's `simBlock`.
    BlockCalls {
        block: BlockArguments = "blockOverrides",
        accounts: StateArguments = "stateOverrides",
        calls: Vec<CallArguments> = "calls",
    }
}

object! {
    /// geth's `simOpts`.
    Arguments {
        blocks: Vec<BlockCalls> = "blockStateCalls",
        trace_transfers: bool = "traceTransfers",
        validation: bool = "validation",
        full_transactions: bool = "returnFullTransactions",
    }
}

/// How the blocks are run and shown.
#[derive(Debug, Clone, Copy)]
pub struct Mode {
    /// Whether transfers of ether are shown as logs (ERC-7528).
    pub trace_transfers: bool,
    /// Whether nonces and fees are checked as a block's are, and the base fee follows from the parent.
    pub validation: bool,
    pub full_transactions: bool,
}

/// A request within its bounds.
#[derive(Debug)]
pub struct Request {
    pub mode: Mode,
    blocks: Vec<BlockCalls>,
}

/// A block to run.
#[derive(Debug)]
pub struct Planned {
    /// What follows from its parent or its body is still missing.
    pub header: Header,
    pub block: BlockArguments,
    pub accounts: Option<StateArguments>,
    pub calls: Vec<CallArguments>,
    /// From Shanghai on.
    pub withdrawals: Option<Vec<Withdrawal>>,
}

fn refused(code: i64, message: impl ToString) -> Error {
    Error::Call { message: message.to_string(), code }
}

impl Request {
    /// Reads it and counts.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let arguments: Arguments = arguments::parameter(0, json)?;
        let blocks = arguments.blocks.unwrap_or_default();
        if blocks.is_empty() {
            return Err(refused(INVALID_PARAMS, "empty input"));
        }
        if blocks.len() > BLOCKS_MAX {
            return Err(refused(LIMIT, "too many blocks"));
        }
        let mut total = 0;
        for block in &blocks {
            let calls = block.calls.as_ref().map_or(0, Vec::len);
            total += calls;
            if calls > BLOCK_CALLS_MAX {
                return Err(refused(LIMIT, format_args!("too many calls in block: {calls} > {BLOCK_CALLS_MAX}")));
            }
            if total > CALLS_MAX {
                return Err(refused(LIMIT, format_args!("too many calls: {total} > {CALLS_MAX}")));
            }
        }
        let mode = Mode {
            trace_transfers: arguments.trace_transfers.unwrap_or_default(),
            validation: arguments.validation.unwrap_or_default(),
            full_transactions: arguments.full_transactions.unwrap_or_default(),
        };
        Ok(Self { mode, blocks })
    }

    /// The blocks in order, gaps filled, with their headers as far as they are known.
    pub fn plan(self, engine: &Engine, base: &Header) -> Result<VecDeque<Planned>> {
        let rollup = engine.rollup().ok().map(|spec| &**spec);
        let mut planned: VecDeque<Planned> = VecDeque::new();
        for asked in self.blocks {
            let previous = |planned: &VecDeque<Planned>| planned.back().map_or(base, |last| &last.header).clone();
            let number = number(&asked, &previous(&planned), base)?;
            while previous(&planned).number + 1 < number {
                let filler = plan_block(&engine.spec, rollup, &previous(&planned), BlockCalls::default())?;
                planned.push_back(filler);
            }
            planned.push_back(plan_block(&engine.spec, rollup, &previous(&planned), asked)?);
        }
        Ok(planned)
    }
}

/// A block's number, if it may have it.
fn number(asked: &BlockCalls, previous: &Header, base: &Header) -> Result<u64> {
    let next = U256::from(previous.number) + U256::ONE;
    let number = asked.block.as_ref().and_then(|block| block.number).map_or(next, |number| number.0);
    if number < next {
        let words = format_args!("block numbers must be in order: {number} <= {}", previous.number);
        return Err(refused(BLOCK_NUMBER, words));
    }
    if number > U256::from(base.number) + U256::from(BLOCKS_MAX) {
        return Err(refused(LIMIT, "too many blocks"));
    }
    u64::try_from(number).map_err(|_| refused(BLOCK_NUMBER, "block number is above 2^64"))
}

/// The block after another, with a time of its own or twelve seconds later.
fn plan_block(spec: &L1Spec, rollup: Option<&L2Spec>, previous: &Header, asked: BlockCalls) -> Result<Planned> {
    let mut block = asked.block.unwrap_or_default();
    let least = previous.timestamp;
    let time = match block.time {
        Some(Hex(time)) => Some(time).filter(|time| *time > least),
        None => least.checked_add(STEP_SECONDS),
    };
    let Some(timestamp) = time else {
        let got = block.time.map_or(least, |time| time.0);
        return Err(refused(BLOCK_TIMESTAMP, format_args!("block timestamps must be in order: {got} <= {least}")));
    };
    let number = previous.number + 1;
    if rollup.is_some() && block.withdrawals.is_some() {
        return Err(refused(INVALID_PARAMS, "block override \"withdrawals\" is not supported on a rollup"));
    }
    let withdrawals = block.withdrawals.take().unwrap_or_default().into_iter().map(Into::into).collect();
    let merged = spec.is_paris_active_at_block(number) || spec.is_shanghai_active_at_timestamp(timestamp);
    let mut header = Header {
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        beneficiary: previous.beneficiary,
        difficulty: if merged { U256::ZERO } else { previous.difficulty },
        number,
        timestamp,
        gas_limit: previous.gas_limit,
        parent_beacon_block_root: spec
            .is_cancun_active_at_timestamp(timestamp)
            .then(|| block.beacon_root.map(|root| root.0).unwrap_or_default()),
        ..Default::default()
    };
    // Its number and its time are judged.
    (block.number, block.time) = (None, None);
    block.replace(&mut header)?;
    let withdrawals = spec.is_shanghai_active_at_timestamp(timestamp).then_some(withdrawals);
    Ok(Planned { header, block, accounts: asked.accounts, calls: asked.calls.unwrap_or_default(), withdrawals })
}
