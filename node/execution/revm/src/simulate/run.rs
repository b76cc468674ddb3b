//! The run of simulated blocks, one after another on one state:
//!
//!     overrides > EIP-4788, EIP-2935 > calls > withdrawals > requests > reward > roots
//!
//! What a block is given beyond its header is as in a real one; nobody has signed its calls, and without validation
//! nobody pays for them unless they say so. After overrides and after every block the tries are written and revm's cache
//! of accounts is emptied: it remembers what was destroyed, and the next block must not destroy it again.

use super::{
    answer::{Called, Sealed},
    logs::Logs,
    request::{Mode, Planned},
    unsigned::Unsigned,
};
use crate::{
    arguments::{CallArguments, Message},
    block::Block,
    engine::Engine,
    errors::{Error, Result},
    header::Following,
    hex::Hex,
    json,
    l1::add_portal_request,
    outcome::Outcome,
    record::Entry,
    rollup::{BASE_FEE_VAULT, MESSAGE_PASSER},
    scene::{Flaw, Machine, Place, Refusal, Scene, Setting, watched},
    watch::{Stop, Watched},
};
use alloy_consensus::{Header, Transaction, Typed2718, proofs};
use alloy_eips::{
    eip4844::DATA_GAS_PER_BLOB, eip4895::Withdrawal, eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, eip7685::Requests,
};
use alloy_evm::{
    Evm,
    block::{SystemCaller, calc::base_block_reward_pre_merge},
    eth::{eip6110, spec::EthExecutorSpec},
};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, B256, Bytes, Log, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, root::ordered_trie_root_encoded};
use revm::{
    DatabaseCommit,
    context_interface::result::{ExecutionResult, HaltReason, ResultAndState},
    database::TransitionState,
    database_interface::DatabaseCommitExt,
    primitives::hardfork::SpecId,
};
use std::{cmp::Ordering, time::Duration};

/// What a call takes in an answer besides its data, at least; with its transaction, and besides what that holds.
const CALL_SIZE: usize = 256;
const TRANSACTION_SIZE: usize = 1_024;

/// What a block takes.
const BLOCK_SIZE: usize = 2_048;

/// Wei of a gwei: withdrawals count in gwei.
const GWEI: u128 = 1_000_000_000;

/// geth's code for a call that wants more gas than its block has left.
const BLOCK_GAS: i64 = -38015;

type Stage = Scene<Machine<Logs>>;

/// The state between blocks, and what is left of what a request may use.
pub struct Simulation<'a> {
    engine: &'a Engine,
    mode: Mode,
    patience: Option<Duration>,
    parent: Header,
    parent_hash: B256,
    /// There between blocks.
    db: Option<Watched>,
    /// Gas of all calls together.
    gas: u64,
    /// Bytes of the answer.
    room: usize,
}

/// What a block's calls leave behind.
#[derive(Default)]
struct Body {
    transactions: Vec<Unsigned>,
    calls: Vec<Called>,
    entries: Vec<Entry>,
    gas_used: u64,
    blob_gas_used: u64,
}

impl<'a> Simulation<'a> {
    /// On top of a block.
    pub fn open(engine: &'a Engine, place: Place<'_>, base: Header, mode: Mode, gas: u64) -> Result<Self> {
        let hash = keccak256(place.header);
        let known = &place.ancestors[..place.ancestors.len().min(255 * 32)];
        let ancestors = [&hash[..], known].concat();
        let place = Place { ancestors: &ancestors, ..place };
        let mut db = watched(engine, place, base.number + 1, hash)?;
        db.state.transition_state = Some(TransitionState::default());
        let (patience, db) = (place.patience, Some(db));
        Ok(Self { engine, mode, patience, parent: base, parent_hash: hash, db, gas, room: json::SIZE_MAX })
    }

    /// Runs a block and seals it.
    pub fn block(&mut self, planned: Planned) -> Result<Sealed> {
        let Planned { mut header, block, accounts, calls, withdrawals } = planned;
        self.inherit(&mut header);
        let db = self.db.take().ok_or_else(|| Error::Fatal("a simulation without its state".into()))?;
        let logs = Logs::new(self.mode.trace_transfers, self.room);
        let setting = Setting { header: &header, block: &block, rules: None, patience: self.patience };
        let mut stage = Scene::stage(self.engine, db, setting, accounts, logs)?;
        stage.unsigned();
        stage.strict = self.mode.validation;
        stage.evm.enable_inspector();
        stage.evm.db_mut().write(false)?;
        self.system_calls(&mut stage, &header)?;
        let body = self.calls(&mut stage, calls)?;
        spend(&mut stage, BLOCK_SIZE)?;
        header.gas_used = body.gas_used;
        header.blob_gas_used = header.blob_gas_used.map(|_| body.blob_gas_used);
        header.requests_hash = self.finish(&mut stage, &header, withdrawals.as_deref(), &body)?;
        let clear_empty = self.engine.spec.is_spurious_dragon_active_at_block(header.number);
        self.room = stage.evm.inspector().room();
        let (mut db, _) = stage.evm.finish();
        header.state_root = db.write(clear_empty)?;
        header.withdrawals_root = match self.engine.rollup() {
            Ok(_) => Some(db.state.database.account(&MESSAGE_PASSER)?.map_or(EMPTY_ROOT_HASH, |it| it.storage_root)),
            Err(_) => withdrawals.as_deref().map(proofs::calculate_withdrawals_root),
        };
        let sealed = body.seal(header, withdrawals)?;
        db.ahead.push(sealed.block.hash);
        (self.parent, self.parent_hash, self.db) = (sealed.block.header.clone(), sealed.block.hash, Some(db));
        Ok(sealed)
    }

    /// What follows from the parent.
    fn inherit(&self, header: &mut Header) {
        let (spec, validation) = (&self.engine.spec, self.mode.validation);
        let mut next = Following::new(spec, &self.parent, header.timestamp);
        if let Ok(rollup) = self.engine.rollup() {
            next = Following { base_fee: Some(rollup.limits.base_fee_wei), excess_blob_gas: Some(0) };
        }
        header.parent_hash = self.parent_hash;
        // Without validation there is no base fee unless one is asked for: calls without fees could not pay it.
        let base_fee = next.base_fee.map(|fee| if validation { fee } else { 0 });
        header.base_fee_per_gas = header.base_fee_per_gas.or(base_fee);
        header.excess_blob_gas = next.excess_blob_gas;
        header.blob_gas_used = next.excess_blob_gas.map(|_| 0);
    }

    /// EIP-4788 and EIP-2935.
    fn system_calls(&self, stage: &mut Stage, header: &Header) -> Result<()> {
        let outcome = SystemCaller::new(&*self.engine.spec).apply_pre_execution_changes(header, &mut stage.evm);
        stage.go_on()?;
        outcome.map_err(|error| stage.explain(error))
    }

    fn calls(&mut self, stage: &mut Stage, calls: Vec<CallArguments>) -> Result<Body> {
        let mut body = Body::default();
        stage.evm.db_mut().watch.look();
        stage.go_on()?;
        for call in calls {
            stage.evm.db_mut().watch.look();
            self.call(stage, call, &mut body)?;
        }
        Ok(body)
    }

    /// Runs a call and takes it into the block.
    fn call(&mut self, stage: &mut Stage, mut arguments: CallArguments, body: &mut Body) -> Result<()> {
        let left = stage.header.gas_limit - body.gas_used;
        let wanted = arguments.gas.map_or(left, |gas| gas.0);
        if wanted > left {
            let message = format!("block gas limit reached: remaining: {left}, required: {wanted}");
            return Err(Error::Call { message, code: BLOCK_GAS });
        }
        let gas = wanted.min(self.gas);
        arguments.gas = Some(Hex(gas));
        let state_nonce = stage.account(arguments.from.map_or(Address::ZERO, |from| from.0))?.nonce;
        let nonce = arguments.nonce.map_or(state_nonce, |nonce| nonce.0);
        let base_fee = stage.header.base_fee_per_gas;
        let legacy = arguments.gas_price.is_some() || base_fee.is_none();
        let message = arguments.message(u64::MAX, base_fee, stage.chain_id)?;
        self.check(stage, &message, (nonce, state_nonce))?;
        let transaction = Unsigned::new(&message, nonce, stage.chain_id, legacy)?;
        stage.evm.inspector_mut().begin();
        let mut ran = stage.run(stage.transaction(&message)?)?;
        if state_nonce == u64::MAX {
            overflow(&mut ran, &message);
        }
        let ResultAndState { result, state } = ran;
        stage.evm.db_mut().commit(state);
        self.gas -= result.tx_gas_used();
        self.credit_base_fee(stage, &message, result.tx_gas_used())?;
        let data = result.output().map_or(0, |output| output.len());
        let shown = if self.mode.full_transactions { TRANSACTION_SIZE + 2 * message.data.len() } else { 0 };
        spend(stage, CALL_SIZE + 2 * data + shown)?;
        self.take(stage, body, (transaction, result, gas < wanted))
    }

    /// geth's checks; nonces only with validation.
    fn check(&self, stage: &mut Stage, message: &Message, (nonce, state_nonce): (u64, u64)) -> Result<()> {
        if self.engine.rollup().is_ok() && message.blob_hashes.is_some() {
            return Err(Error::call("transaction type not supported: blob tx on a rollup"));
        }
        let checked = match check_nonce(message.from, nonce, state_nonce) {
            Err(refusal) if self.mode.validation => Err(refusal),
            _ => stage.check(message)?,
        };
        checked.map_err(|Refusal { flaw, words }| Error::Call {
            message: format!("err: {words} (supplied gas {})", message.gas),
            code: code(flaw),
        })
    }

    /// On a rollup a vault is given what elsewhere is burnt.
    fn credit_base_fee(&self, stage: &mut Stage, message: &Message, gas_used: u64) -> Result<()> {
        let paid = !message.gas_price.is_zero();
        let base_fee = stage.header.base_fee_per_gas.unwrap_or_default();
        if self.engine.rollup().is_err() || !paid || base_fee == 0 {
            return Ok(());
        }
        let fee = u128::from(base_fee) * u128::from(gas_used);
        let credited = stage.evm.db_mut().increment_balances([(BASE_FEE_VAULT, fee)]);
        credited.map_err(|error| stage.explain(error))
    }

    fn take(
        &self,
        stage: &mut Stage,
        body: &mut Body,
        (transaction, result, capped): (Unsigned, ExecutionResult, bool),
    ) -> Result<()> {
        let success = result.is_success();
        let gas_used_max = result.gas().total_gas_spent().max(result.gas().floor_gas());
        body.gas_used += result.tx_gas_used();
        if let Some(hashes) = transaction.tx().blob_versioned_hashes() {
            body.blob_gas_used += hashes.len() as u64 * DATA_GAS_PER_BLOB;
        }
        let root = if stage.rules().is_enabled_in(SpecId::BYZANTIUM) {
            None // receipts hold the outcome, not the state
        } else {
            let clear_empty = stage.rules().is_enabled_in(SpecId::SPURIOUS_DRAGON);
            Some(stage.evm.db_mut().write(clear_empty)?)
        };
        let logs = stage.evm.inspector_mut().take();
        body.entries.push(Entry {
            kind: transaction.tx().ty(),
            outcome: root.map_or(Bytes::from(vec![u8::from(success)]), |root| root.into()),
            cumulative_gas_used: body.gas_used,
            sender: transaction.sender,
            logs: result.logs().to_vec(),
            depositor: None,
        });
        body.calls.push(Called {
            gas_used: result.tx_gas_used(),
            gas_used_max,
            logs,
            capped,
            outcome: Outcome::new(result, stage.evm.inspector().last()),
        });
        body.transactions.push(transaction);
        Ok(())
    }

    /// Withdrawals, requests and a miner's reward; gives the requests' hash.
    fn finish(
        &self,
        stage: &mut Stage,
        header: &Header,
        withdrawals: Option<&[Withdrawal]>,
        body: &Body,
    ) -> Result<Option<B256>> {
        let spec = &self.engine.spec;
        // One of nothing still touches its account, which goes if it is empty (EIP-161).
        let paid = withdrawals.unwrap_or_default().iter();
        let mut paid: Vec<_> = paid.map(|it| (it.address, u128::from(it.amount) * GWEI)).collect();
        if !header.difficulty.is_zero() {
            paid.push((header.beneficiary, base_block_reward_pre_merge(&**spec, header.number)));
        }
        for (address, amount) in paid {
            let credited = stage.evm.db_mut().increment_balances([(address, amount)]);
            credited.map_err(|error| stage.explain(error))?;
        }
        if !spec.is_prague_active_at_timestamp(header.timestamp) {
            return Ok(None);
        }
        let logs = || body.entries.iter().flat_map(|entry| &entry.logs);
        let mut requests = Requests::default();
        if self.engine.rollup().is_err() {
            self.requests(stage, logs(), &mut requests)?;
            if let Some(portal) = spec.portal {
                add_portal_request(portal, logs(), &mut requests);
            }
        }
        Ok(Some(requests.requests_hash()))
    }

    /// EIP-6110, EIP-7002 and EIP-7251.
    fn requests<'l>(
        &self,
        stage: &mut Stage,
        logs: impl Iterator<Item = &'l Log>,
        requests: &mut Requests,
    ) -> Result<()> {
        let contract = self.engine.spec.deposit_contract_address().unwrap_or_default();
        let mut deposits = Vec::new();
        eip6110::accumulate_deposits_from_logs(contract, logs, &mut deposits)
            .map_err(|error| Error::call(format_args!("failed to parse deposit logs: {error}")))?;
        if !deposits.is_empty() {
            requests.push_request_with_type(eip6110::DEPOSIT_REQUEST_TYPE, deposits);
        }
        for address in [WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS] {
            if stage.account(address)?.is_empty_code_hash() {
                return Err(Error::call(format_args!("empty system contract: no code at {address}")));
            }
        }
        let outcome = SystemCaller::new(&*self.engine.spec).append_post_execution_changes(&mut stage.evm, requests);
        stage.go_on()?;
        outcome.map_err(|error| stage.explain(error))
    }
}

impl Body {
    /// Puts the block together; its header lacks what follows from the calls.
    fn seal(self, mut header: Header, withdrawals: Option<Vec<Withdrawal>>) -> Result<Sealed> {
        let Self { transactions, calls, entries, .. } = self;
        let mut receipts = Vec::with_capacity(entries.len());
        for entry in &entries {
            let (receipt, bloom) = entry.encoded()?;
            receipts.push(receipt);
            header.logs_bloom |= bloom;
        }
        let raws: Vec<Bytes> = transactions.iter().map(|tx| tx.raw.clone()).collect();
        header.transactions_root = ordered_trie_root_encoded(&raws);
        header.receipts_root = ordered_trie_root_encoded(&receipts);
        let rlp = Block::encode(&header, &raws, withdrawals.as_deref());
        let hash = header.hash_slow();
        let block = Block { rlp, header, hash, transactions: raws, ommers: Vec::new(), withdrawals };
        Ok(Sealed { block, transactions, calls })
    }
}

/// Takes bytes of the answer.
fn spend(stage: &mut Stage, bytes: usize) -> Result<()> {
    if !stage.evm.inspector_mut().spend(bytes) {
        stage.evm.db_mut().watch.stop(Stop::Size);
    }
    stage.go_on()
}

/// What geth makes of the last nonce where nobody checks it: a call counts on from zero, a creation halts.
fn overflow(ran: &mut ResultAndState, message: &Message) {
    if message.to.is_none() {
        let (reason, gas) = (HaltReason::NonceOverflow, *ran.result.gas());
        ran.result = ExecutionResult::Halt { reason, gas, logs: Vec::new() };
    } else if let Some(sender) = ran.state.get_mut(&message.from) {
        sender.info.nonce = 0;
    }
}

/// The nonce must be the sender's, and not the last one.
fn check_nonce(from: Address, nonce: u64, state: u64) -> std::result::Result<(), Refusal> {
    let place = format_args!("address {from}, tx: {nonce} state: {state}");
    match nonce.cmp(&state) {
        Ordering::Greater => Err(Refusal::new(Flaw::NonceTooHigh, format_args!("nonce too high: {place}"))),
        Ordering::Less => Err(Refusal::new(Flaw::NonceTooLow, format_args!("nonce too low: {place}"))),
        Ordering::Equal if state == u64::MAX => {
            Err(Refusal::new(Flaw::Other, format_args!("nonce has max value: address {from}, nonce: {state}")))
        }
        Ordering::Equal => Ok(()),
    }
}

/// geth's code for a message that may not run.
fn code(flaw: Flaw) -> i64 {
    match flaw {
        Flaw::NonceTooLow => -38010,
        Flaw::NonceTooHigh => -38011,
        Flaw::FeeCapTooLow => -38012,
        Flaw::IntrinsicGas => -38013,
        Flaw::Funds => -38014,
        Flaw::InitCodeTooLarge => -38025,
        Flaw::TipAboveFeeCap => -32602,
        Flaw::Other => -32603,
    }
}
