//! The run of one L1 block over alloy-evm's `EthBlockExecutor`: opened on a state, given transactions, closed.
//!
//! Import and building are the same run; they differ in what a transaction that does not execute means.

use crate::{
    dao,
    errors::{Error, Result},
    precompile::Step,
    record,
    result::Contents,
    spec::{Chain, L1Spec},
    state::{Failure, Source, StateDb, Update},
    transactions::{L1Tx, Prepared},
};
use alloy_consensus::{
    Eip658Value, Header, Receipt, ReceiptEnvelope, Transaction, TransactionEnvelope, TxReceipt, TxType, proofs,
};
use alloy_eips::{eip4895::Withdrawal, eip7685::Requests};
use alloy_evm::{
    Evm, EvmFactory,
    block::{BlockExecutionError, BlockExecutionResult, BlockExecutor},
    eth::{
        EthBlockExecutionCtx, EthBlockExecutor, EthEvmFactory,
        receipt_builder::{ReceiptBuilder, ReceiptBuilderCtx},
    },
};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, B256, Bloom, Log, b256};
use alloy_rlp::Encodable;
use revm::{
    database::{State, states::bundle_state::BundleRetention},
    inspector::NoOpInspector,
};
use std::{borrow::Cow, sync::Arc, time::Instant};

/// Our EIP-7685 request type. Above 0, 1 and 2: requests are ordered by type.
pub const PORTAL_REQUEST_TYPE: u8 = 0x7e;
/// Bytes of a block's last request, if it is another one's: a STEP carries the last one in full, since what a digest stands
/// for cannot be told. Where a longer one would be the last, ours follows it, although nobody has deposited.
const LAST_REQUEST_BYTES_MAX: usize = 16 << 10;
/// The item of such a request: the empty byte string, which is no log.
const NO_DEPOSIT: u8 = 0x80;

/// keccak("TransactionDeposited(address,address,uint256,bytes)")
const TRANSACTION_DEPOSITED: B256 = b256!("b3813568d9991fc951961fcb4c784893574240a28925604d09fc577c55bb7c32");

/// Receipts for [`L1Tx`]; alloy's own builder wants the envelope with sidecars.
#[derive(Debug, Clone, Copy, Default)]
pub struct Receipts;

impl ReceiptBuilder for Receipts {
    type Transaction = L1Tx;
    type Receipt = ReceiptEnvelope;

    fn build_receipt<E: Evm>(
        &self,
        ctx: ReceiptBuilderCtx<'_, <L1Tx as TransactionEnvelope>::TxType, E>,
    ) -> ReceiptEnvelope {
        let kind: TxType = ctx.tx_type;
        let receipt = Receipt {
            status: Eip658Value::Eip658(ctx.result.is_success()),
            cumulative_gas_used: ctx.cumulative_gas_used,
            logs: ctx.result.into_logs(),
        };
        ReceiptEnvelope::from_typed(kind, receipt)
    }
}

/// What a block gives.
#[derive(Debug, Default)]
pub struct Executed {
    pub update: Update,
    pub receipts: Vec<ReceiptEnvelope>,
    pub senders: Vec<Address>,
    pub receipts_root: B256,
    pub bloom: Bloom,
    pub gas_used: u64,
    pub blob_gas_used: u64,
    pub requests: Requests,
    /// Hashes of the ancestors down to the oldest that was asked for.
    pub hashes: Vec<B256>,
    /// How long the tries took.
    pub root_seconds: f64,
}

impl Executed {
    /// As a result holds it; `transactions` are the hashes.
    pub fn contents(self, transactions: Vec<B256>) -> Contents {
        Contents {
            transactions,
            record: record::encode(&record::entries(&self.receipts, &self.senders), None),
            senders: self.senders,
            gas_used: self.gas_used,
            requests: self.requests,
            update: self.update,
            ancestors: self.hashes,
            ..Default::default()
        }
    }
}

/// What a block is executed in.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Its roots may still be missing.
    pub header: Header,
    pub ommers: Vec<Header>,
    pub withdrawals: Option<Vec<Withdrawal>>,
}

/// A block under construction. It holds no EVM (which could not leave its thread), only what an EVM works on.
#[derive(Debug)]
pub struct Open<S: Source> {
    spec: Arc<L1Spec>,
    frame: Frame,
    step: Option<Step>,
    state: State<StateDb<S>>,
    failure: Failure,
    receipts: Vec<ReceiptEnvelope>,
    executed: Executed,
}

/// Executes a transaction of a block under construction; gives the gas that is left.
pub type Offer<'a> = dyn FnMut(&Prepared) -> std::result::Result<u64, BlockExecutionError> + 'a;

/// The executor in use.
type Executor<'a, S> = EthBlockExecutor<
    'a,
    <EthEvmFactory as EvmFactory>::Evm<&'a mut State<StateDb<S>>, NoOpInspector>,
    Arc<L1Spec>,
    Receipts,
>;

impl<S: Source> Open<S> {
    /// Opens a block: EIP-2935, EIP-4788.
    pub fn new(spec: Arc<L1Spec>, mut db: StateDb<S>, frame: Frame, step: Option<Step>) -> Result<Self> {
        db.set_delegations(spec.is_prague_active_at_timestamp(frame.header.timestamp));
        let failure = db.failure();
        let state = State::builder().with_database(db).with_bundle_update().build();
        let mut open = Self { spec, frame, step, state, failure, receipts: Vec::new(), executed: Executed::default() };
        open.move_dao_ether()?;
        let outcome = open.executor().apply_pre_execution_changes().map_err(Error::from);
        open.explain(outcome)?;
        Ok(open)
    }

    fn move_dao_ether(&mut self) -> Result<()> {
        if !self.spec.moves_dao_ether() || self.spec.dao_fork_block() != Some(self.frame.header.number) {
            return Ok(());
        }
        let outcome = dao::move_ether(&mut self.state).map_err(|error| Error::Fatal(error.to_string()));
        self.explain(outcome)
    }

    /// Gas that is left.
    pub fn gas_left(&self) -> u64 {
        self.frame.header.gas_limit - self.executed.gas_used
    }

    /// Blob gas of the transactions so far.
    pub fn blob_gas_used(&self) -> u64 {
        self.executed.blob_gas_used
    }

    /// The block's frame.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// An executor that goes on where the last one has stopped.
    fn executor(&mut self) -> Executor<'_, S> {
        let header = &self.frame.header;
        let mut evm = EthEvmFactory::default().create_evm(&mut self.state, self.spec.env(header));
        if let Some(step) = &self.step {
            step.install(evm.precompiles_mut());
        }
        let ctx = EthBlockExecutionCtx {
            parent_hash: header.parent_hash,
            parent_beacon_block_root: header.parent_beacon_block_root,
            ommers: &self.frame.ommers,
            withdrawals: self.frame.withdrawals.as_deref().map(Cow::Borrowed),
            extra_data: Default::default(),
            tx_count_hint: None,
            slot_number: None,
        };
        let mut executor = EthBlockExecutor::new(evm, ctx, self.spec.clone(), Receipts);
        executor.receipts = std::mem::take(&mut self.receipts);
        executor.cumulative_tx_gas_used = self.executed.gas_used;
        executor.block_regular_gas_used = self.executed.gas_used; // counted apart only from Amsterdam on
        executor.blob_gas_used = self.executed.blob_gas_used;
        executor
    }

    /// Executes the transactions of a given block: the first that does not execute makes it invalid.
    pub fn import(&mut self, transactions: &[Prepared]) -> Result<()> {
        if !self.spec.is_byzantium_active_at_block(self.frame.header.number) {
            return self.import_with_roots(transactions);
        }
        let blob_gas_max =
            self.spec.blob_params(self.frame.header.timestamp).map_or(0, |params| params.max_blob_gas_per_block());
        self.make_room(transactions.len());
        let mut executor = self.executor();
        let outcome = transactions.iter().try_for_each(|tx| {
            // alloy-evm adds blob gas up but has no limit on it.
            let blob_gas = executor.blob_gas_used.saturating_add(tx.1.blob_gas_used().unwrap_or_default());
            if blob_gas > blob_gas_max {
                return Err(Error::invalid("blob_gas_used", format!("at most {blob_gas_max}"), blob_gas));
            }
            let result = executor.execute_transaction_without_commit(&**tx)?;
            executor.commit_transaction(result)?;
            Ok(())
        });
        let EthBlockExecutor { receipts, cumulative_tx_gas_used, blob_gas_used, .. } = executor;
        self.put_back(receipts, cumulative_tx_gas_used, blob_gas_used);
        self.executed.senders.extend(transactions.iter().map(|tx| tx.1.signer()));
        self.explain(outcome)
    }

    /// Room for what transfers touch: tables that grow copy themselves again and again.
    fn make_room(&mut self, transactions: usize) {
        self.receipts.reserve(transactions);
        self.state.cache.accounts.reserve(2 * transactions);
        if let Some(state) = &mut self.state.transition_state {
            state.transitions.reserve(2 * transactions);
        }
    }

    /// Before Byzantium every receipt holds the state's root after its transaction.
    fn import_with_roots(&mut self, transactions: &[Prepared]) -> Result<()> {
        for tx in transactions {
            let mut executor = self.executor();
            let outcome = executor
                .execute_transaction_without_commit(&**tx)
                .and_then(|result| executor.commit_transaction(result))
                .map_err(Error::from);
            let EthBlockExecutor { receipts, cumulative_tx_gas_used, blob_gas_used, .. } = executor;
            self.put_back(receipts, cumulative_tx_gas_used, blob_gas_used);
            self.explain(outcome)?;
            self.write()?;
            let root = self.executed.update.root;
            let receipt = self.receipts.pop().and_then(|receipt| receipt.as_receipt().cloned());
            let receipt = receipt.ok_or_else(|| Error::Fatal("a transaction without a receipt".into()))?;
            let receipt = Receipt { status: Eip658Value::PostState(root), ..receipt };
            self.receipts.push(ReceiptEnvelope::from_typed(tx.1.inner().tx_type(), receipt));
            self.executed.senders.push(tx.1.signer());
        }
        Ok(())
    }

    /// Calls `one` for each item with a function that executes a transaction and gives the gas that is left; what
    /// does not execute leaves nothing behind.
    pub fn offer<I, T>(
        &mut self,
        items: impl Iterator<Item = I>,
        mut one: impl FnMut(I, &mut Offer<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let gas_limit = self.frame.header.gas_limit;
        let mut executor = self.executor();
        let mut execute = |tx: &Prepared| {
            let result = executor.execute_transaction_without_commit(&**tx)?;
            executor.commit_transaction(result)?;
            Ok(gas_limit - executor.cumulative_tx_gas_used)
        };
        let outcomes = items.map(|item| one(item, &mut execute)).collect();
        let EthBlockExecutor { receipts, cumulative_tx_gas_used, blob_gas_used, .. } = executor;
        self.put_back(receipts, cumulative_tx_gas_used, blob_gas_used);
        match self.failure.get() {
            Some(failure) => Err(failure.clone().into()),
            None => outcomes,
        }
    }

    /// Notes the sender of a transaction that was executed by [`Self::offer`].
    pub fn sent(&mut self, sender: Address) {
        self.executed.senders.push(sender);
    }

    fn put_back(&mut self, receipts: Vec<ReceiptEnvelope>, gas_used: u64, blob_gas_used: u64) {
        self.receipts = receipts;
        (self.executed.gas_used, self.executed.blob_gas_used) = (gas_used, blob_gas_used);
    }

    /// Closes the block: EIP-6110, 7002 and 7251 requests, withdrawals, ours, the roots.
    pub fn close(mut self) -> Result<(Executed, StateDb<S>)> {
        let outcome = self.executor().finish().map(|(_, result)| result).map_err(Error::from);
        let BlockExecutionResult { receipts, mut requests, gas_used, blob_gas_used } = self.explain(outcome)?;
        if let Some(portal) = self.spec.portal.filter(|_| self.prague()) {
            add_portal_request(portal, receipts.iter().flat_map(|receipt| receipt.logs()), &mut requests);
        }
        let start = Instant::now();
        self.write()?;
        let root_seconds = start.elapsed().as_secs_f64();
        let hashes = self.state.database.hashes_read();
        let executed = Executed {
            receipts_root: proofs::calculate_receipt_root(&receipts),
            bloom: receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.bloom()),
            receipts,
            gas_used,
            blob_gas_used,
            requests,
            hashes,
            root_seconds,
            ..self.executed
        };
        Ok((executed, self.state.database))
    }

    fn prague(&self) -> bool {
        self.spec.is_prague_active_at_timestamp(self.frame.header.timestamp)
    }

    /// Writes what has changed into the tries.
    fn write(&mut self) -> Result<()> {
        self.state.merge_transitions(BundleRetention::PlainState);
        let bundle = self.state.take_bundle();
        let clear_empty = self.spec.is_spurious_dragon_active_at_block(self.frame.header.number);
        self.state.database.apply(&bundle, clear_empty, &mut self.executed.update)?;
        Ok(())
    }

    /// The true cause of an error: a read that failed, or the exception of the precompile's callable.
    fn explain<T>(&self, outcome: Result<T>) -> Result<T> {
        outcome.map_err(|error| match (self.failure.get(), &self.step) {
            (Some(failure), _) => failure.clone().into(),
            (None, Some(step)) => step.explain(error),
            (None, None) => error,
        })
    }
}

/// Adds the portal's deposits among a block's logs to its requests, if there are any or they are to be the last.
pub fn add_portal_request<'a>(portal: Address, logs: impl Iterator<Item = &'a Log>, requests: &mut Requests) {
    let mut deposits = portal_deposits(portal, logs);
    let longest = requests.iter().map(|request| request.len()).max().unwrap_or_default();
    if deposits.is_empty() && longest > LAST_REQUEST_BYTES_MAX {
        deposits.push(NO_DEPOSIT);
    }
    if !deposits.is_empty() {
        requests.push_request_with_type(PORTAL_REQUEST_TYPE, deposits);
    }
}

/// The portal's deposits: RLP items [log index in the block, topics, data], one after the other.
fn portal_deposits<'a>(portal: Address, logs: impl Iterator<Item = &'a Log>) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, log) in logs.enumerate() {
        if log.address == portal && log.topics().first() == Some(&TRANSACTION_DEPOSITED) {
            let fields: [&dyn Encodable; 3] = [&(index as u64), &log.topics().to_vec(), &log.data.data];
            alloy_rlp::encode_list::<_, dyn Encodable>(&fields, &mut out);
        }
    }
    out
}
