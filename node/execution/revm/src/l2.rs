//! The run of one rollup block over op-revm: opened on a state, given its deposits, offered transactions, closed.
//!
//!     system calls > deposits (whatever they are) > transactions (each in full or not at all) > roots
//!
//! Building, judging and deriving are this one run, from a store or from a witness. The loop is our own and not
//! alloy-op-evm's block executor: it must stop a transaction at a limit of ours and let a deposit fail by a rule of ours,
//! and a block of a few transactions must cost little beside them.

use crate::{
    block::Block,
    builder::{GAS_MIN, Outcome, reason},
    deposits::{ATTRIBUTES_DEPOSITOR, DEPOSIT, Deposit, message},
    errors::{Error, Result},
    l1_cost::{LEAST_SIZE_BYTES, least_l1_cost},
    meter::{Base, Meter, Metered, Payer},
    record::{self, Entry, Fees},
    result::{BlockResult, Contents},
    rollup::{L2Spec, MESSAGE_PASSER},
    state::{Failure, Source, StateDb, StateError, Update},
    transactions::Prepared,
};
use alloy_consensus::{Header, Transaction, Typed2718};
use alloy_evm::{Evm, EvmFactory, InvalidTxError, block::SystemCaller, precompiles::PrecompilesMap};
use alloy_op_evm::{OpEvm, OpEvmFactory, OpTx, OpTxError};
use alloy_primitives::{Address, B256, Bloom, Bytes, U256, keccak256, map::AddressMap};
use alloy_trie::{EMPTY_ROOT_HASH, root::ordered_trie_root_encoded};
use op_revm::OpHaltReason;
use revm::{
    Database, DatabaseCommit,
    context_interface::{
        ContextTr,
        result::{EVMError, ExecutionResult, ResultAndState, ResultGas},
    },
    database::{State, states::bundle_state::BundleRetention},
    database_interface::bal::EvmDatabaseError,
    inspector::NoOpInspector,
    state::Account,
};
use std::{fmt::Display, sync::Arc, time::Instant};

/// A block's EVM.
type Machine<'a, S> = OpEvm<Metered<'a, S>, NoOpInspector, PrecompilesMap>;

/// Why an EVM does not run a transaction.
type Refused = EVMError<EvmDatabaseError<StateError>, OpTxError>;

/// A rollup block under construction. It holds no EVM (which could not leave its thread), only what an EVM works on.
#[derive(Debug)]
pub struct Open<S: Source> {
    spec: Arc<L2Spec>,
    header: Header,
    state: State<StateDb<S>>,
    /// Counts the block's witness.
    meter: Meter<S>,
    failure: Failure,
    body: Body,
}

/// What is in the block.
#[derive(Debug, Default)]
struct Body {
    entries: Vec<Entry>,
    raws: Vec<Bytes>,
    hashes: Vec<B256>,
    fees: Option<Fees>,
    gas_used: u64,
    /// Raw bytes of the user transactions.
    bytes: usize,
    /// Deposits that failed by a rule of ours.
    stopped: Vec<Stopped>,
}

/// A deposit that no EVM has failed: it wants more gas or witness than the block has for it.
#[derive(Debug, Clone, Copy)]
pub struct Stopped {
    /// Its place in the block.
    pub place: usize,
    pub from: Address,
    pub mint: u128,
    pub gas_used: u64,
}

impl Stopped {
    /// The outcome op-revm gives a deposit that fails: the mint stays, the nonce moves, gas is used.
    pub fn outcome<D: Database<Error: Display>>(&self, db: &mut D) -> Result<ResultAndState<OpHaltReason>> {
        let info = db.basic(self.from).map_err(fatal)?.unwrap_or_default();
        let mut account = Account::from(info);
        account.info.nonce = account.info.nonce.saturating_add(1);
        account.info.balance = account.info.balance.saturating_add(U256::from(self.mint));
        account.mark_touch();
        let result = ExecutionResult::Halt {
            reason: OpHaltReason::FailedDeposit,
            gas: ResultGas::default().with_total_gas_spent(self.gas_used),
            logs: Vec::new(),
        };
        Ok(ResultAndState { result, state: AddressMap::from_iter([(self.from, account)]) })
    }
}

/// What a transaction that ran has left.
struct Ran {
    kind: u8,
    sender: Address,
    raw: Bytes,
    hash: B256,
    deposit_nonce: Option<u64>,
    outcome: ResultAndState<OpHaltReason>,
}

impl Body {
    /// Takes a transaction in; gives its changes to the state.
    fn take(&mut self, ran: Ran) -> AddressMap<Account> {
        let ResultAndState { result, state } = ran.outcome;
        self.gas_used += result.tx_gas_used();
        self.entries.push(Entry {
            kind: ran.kind,
            outcome: Bytes::from_static(if result.is_success() { &[1] } else { &[0] }),
            cumulative_gas_used: self.gas_used,
            sender: ran.sender,
            logs: result.into_logs(),
            depositor: ran.deposit_nonce.map(Into::into),
        });
        self.raws.push(ran.raw);
        self.hashes.push(ran.hash);
        state
    }
}

impl<S: Source + Clone> Open<S> {
    /// Opens a block on its parent's state: EIP-2935, EIP-4788, then its deposits.
    pub fn new(spec: Arc<L2Spec>, parent: &Header, source: S, header: Header, deposits: &[Deposit]) -> Result<Self> {
        let (limit, lengths) = (spec.limits.witness_limit_bytes, spec.code_lengths.clone());
        let mut meter = Meter::new(source.clone(), parent.state_root, limit, lengths);
        meter.charge(&Base {
            number: header.number,
            timestamp: header.timestamp,
            depositors: deposits.iter().map(|deposit| deposit.tx.from).collect(),
        })?;
        let db = StateDb::of_rollup(parent.state_root, source, parent.number, header.parent_hash);
        check_system(&spec, &db)?;
        let failure = db.failure();
        let state = State::builder().with_database(db).with_bundle_update().build();
        let mut open = Self { spec, header, state, meter, failure, body: Body::default() };
        open.session(|session| {
            session.system_calls()?;
            deposits.iter().try_for_each(|deposit| session.deposit(deposit))
        })?;
        Ok(open)
    }
}

impl<S: Source> Open<S> {
    /// Gas that is left.
    pub fn gas_left(&self) -> u64 {
        self.header.gas_limit - self.body.gas_used
    }

    /// Bytes that further raw transactions may take.
    pub fn bytes_left(&self) -> usize {
        self.spec.limits.transactions_limit_bytes.saturating_sub(self.body.bytes)
    }

    /// Bytes that further transactions may add to the witness.
    pub fn witness_left(&self) -> usize {
        self.meter.left()
    }

    /// Deposits that failed by a rule of ours.
    pub fn stopped(&self) -> &[Stopped] {
        &self.body.stopped
    }

    /// Offers transactions in order: what became of each. What does not execute leaves nothing behind.
    pub fn offer<'a>(&mut self, transactions: impl Iterator<Item = Offered<'a>>) -> Result<Vec<Outcome>> {
        self.session(|session| transactions.map(|tx| session.offer(tx)).collect())
    }

    /// Runs all transactions; gives the first that does not execute in full, at which it stops.
    pub fn run<'a>(&mut self, transactions: impl Iterator<Item = Offered<'a>>) -> Result<Option<(usize, Outcome)>> {
        self.session(|session| {
            for (place, tx) in transactions.enumerate() {
                let outcome = session.offer(tx)?;
                if !outcome.reason.is_empty() {
                    return Ok(Some((place, outcome)));
                }
            }
            Ok(None)
        })
    }

    /// Works on the block with one EVM. A read that failed is the true cause of whatever else was wrong.
    fn session<T>(&mut self, work: impl FnOnce(&mut Session<'_, S>) -> Result<T>) -> Result<T> {
        let db = Metered {
            state: &mut self.state,
            meter: &mut self.meter,
            parent: self.header.number.saturating_sub(1),
            failure: self.failure.clone(),
        };
        let mut evm = OpEvmFactory::<OpTx>::default().create_evm(db, self.spec.env(&self.header));
        *evm.precompiles_mut() = PrecompilesMap::from_static(L2Spec::precompiles());
        let (spec, header, body) = (&self.spec, &self.header, &mut self.body);
        let mut session = Session { evm, spec, header, body, least_l1_cost: None };
        let outcome = work(&mut session);
        match self.failure.get() {
            Some(failure) => Err(failure.clone().into()),
            None => outcome,
        }
    }

    /// Closes the block: the roots, and the header that holds them. `seconds` is what it took so far.
    pub fn close(self, (recovery, execution): (f64, f64)) -> Result<(BlockResult, Header)> {
        let start = Instant::now();
        let Self { mut state, mut header, body, meter, .. } = self;
        state.merge_transitions(BundleRetention::PlainState);
        let bundle = state.take_bundle();
        let mut update = Update::default();
        state.database.apply(&bundle, true, &mut update)?;
        let passer = state.database.account(&MESSAGE_PASSER)?;
        let root = start.elapsed().as_secs_f64();
        let (receipts_root, bloom) = receipts(&body.entries)?;
        header.state_root = update.root;
        header.withdrawals_root = Some(passer.map_or(EMPTY_ROOT_HASH, |account| account.storage_root));
        header.transactions_root = ordered_trie_root_encoded(&body.raws);
        header.receipts_root = receipts_root;
        header.logs_bloom = bloom;
        header.gas_used = body.gas_used;
        let rlp = Block::encode(&header, &body.raws, Some(&[]));
        let hash = keccak256(alloy_rlp::encode(&header));
        let block =
            Block { rlp, header, hash, transactions: body.raws, ommers: Vec::new(), withdrawals: Some(Vec::new()) };
        let contents = Contents {
            transactions: body.hashes,
            senders: body.entries.iter().map(|entry| entry.sender).collect(),
            gas_used: body.gas_used,
            record: record::encode(&body.entries, body.fees.as_ref()),
            update,
            witness: meter.size(),
            ..Default::default()
        };
        let seconds = (recovery, execution + start.elapsed().as_secs_f64() - root, root);
        Ok((BlockResult::new(&block, contents, seconds), block.header))
    }
}

/// The contracts of the system calls must be what they were in the genesis file; only a forged witness says otherwise.
fn check_system<S: Source>(spec: &L2Spec, db: &StateDb<S>) -> Result<()> {
    for (address, want) in &spec.system_codes {
        if db.account(address)?.unwrap_or_default().code_hash != *want {
            return Err(StateError::Insufficient(format!("{address} has a code that it never had")).into());
        }
    }
    Ok(())
}

/// The receipts' root, and the bloom of all logs.
fn receipts(entries: &[Entry]) -> Result<(B256, Bloom)> {
    let mut bloom = Bloom::ZERO;
    let mut encoded = Vec::with_capacity(entries.len());
    for entry in entries {
        let (receipt, logs_bloom) = entry.encoded()?;
        encoded.push(receipt);
        bloom |= logs_bloom;
    }
    Ok((ordered_trie_root_encoded(&encoded), bloom))
}

/// A decoded transaction, or why it is none.
pub type Offered<'a> = &'a std::result::Result<Prepared, crate::transactions::Refusal>;

/// Work on a block with one EVM.
struct Session<'a, S: Source> {
    evm: Machine<'a, S>,
    spec: &'a L2Spec,
    header: &'a Header,
    body: &'a mut Body,
    /// What a transaction of the least size pays L1, once op-revm has read the fees.
    least_l1_cost: Option<U256>,
}

impl<S: Source> Session<'_, S> {
    fn gas_left(&self) -> u64 {
        self.header.gas_limit - self.body.gas_used
    }

    fn meter(&mut self) -> &mut Meter<S> {
        self.evm.db_mut().meter
    }

    /// Runs a transaction whose bytes of witness somebody pays; `None` if it was stopped because they might not fit.
    ///
    /// What does not run leaves nothing in the EVM; what it touched is counted until the meter is told to forget it.
    fn run(&mut self, payer: Payer, env: OpTx) -> std::result::Result<Option<ResultAndState<OpHaltReason>>, Refused> {
        self.meter().begin(payer);
        // Empties the journal after an error too: what stayed would be warm for the next one, and unseen by the meter.
        let outcome = self.evm.transact(env);
        if let Ok(outcome) = &outcome {
            // Its outcome is in what the meter says.
            let _ = self.meter().clear(&outcome.state);
        }
        if self.meter().crossed() { Ok(None) } else { outcome.map(Some) }
    }

    /// EIP-2935 and EIP-4788.
    fn system_calls(&mut self) -> Result<()> {
        SystemCaller::new(self.spec).apply_pre_execution_changes(self.header, &mut self.evm)?;
        Ok(())
    }

    /// Executes a deposit, which is in the block whatever becomes of it.
    ///
    /// One that wants more gas than the block has fails with what is left; the portal's limits prevent it. One that
    /// crosses its share of the witness fails as well, and what it touched stays counted: it is needed to see that.
    fn deposit(&mut self, deposit: &Deposit) -> Result<()> {
        let tx = &deposit.tx;
        let nonce = self.evm.db_mut().basic(tx.from).map_err(fatal)?.unwrap_or_default().nonce;
        let payer = if tx.from == ATTRIBUTES_DEPOSITOR { Payer::Common } else { Payer::Deposit(tx.gas_limit) };
        let outcome =
            if tx.gas_limit > self.gas_left() { None } else { self.run(payer, deposit.env()).map_err(fatal)? };
        let outcome = outcome.map_or_else(|| self.stop(deposit), Ok)?;
        let ran = Ran {
            kind: DEPOSIT,
            sender: tx.from,
            raw: deposit.raw.clone(),
            hash: deposit.hash,
            deposit_nonce: Some(nonce),
            outcome,
        };
        let state = self.body.take(ran);
        self.evm.db_mut().commit(state);
        Ok(())
    }

    /// A deposit that fails by a rule of ours: all its gas is used, as far as the block has it.
    fn stop(&mut self, deposit: &Deposit) -> Result<ResultAndState<OpHaltReason>> {
        let tx = &deposit.tx;
        let gas_used = tx.gas_limit.min(self.gas_left());
        let stopped = Stopped { place: self.body.raws.len(), from: tx.from, mint: tx.mint, gas_used };
        self.body.stopped.push(stopped);
        stopped.outcome(self.evm.db_mut())
    }

    /// Executes a transaction, if all of it fits into the block.
    fn offer(&mut self, tx: Offered<'_>) -> Result<Outcome> {
        let tx = match self.admissible(tx) {
            Ok(tx) => tx,
            Err(outcome) => return Ok(outcome),
        };
        let raw = tx.encoded_bytes();
        if raw.len() <= LEAST_SIZE_BYTES {
            // op-revm would clear 32 KiB to find the same.
            self.evm.ctx_mut().chain_mut().tx_l1_cost = self.least_l1_cost;
        }
        let outcome = match self.run(Payer::Common, message(tx)) {
            Ok(Some(outcome)) => outcome,
            Ok(None) => return Ok(self.too_much_witness()),
            Err(error) => {
                self.meter().forget();
                return refusal(error);
            }
        };
        let chain = self.evm.ctx().chain();
        if self.body.fees.is_none() {
            self.body.fees = Some(Fees::new(chain));
        }
        if self.least_l1_cost.is_none() {
            self.least_l1_cost = Some(least_l1_cost(chain));
        }
        let ran = Ran {
            kind: tx.1.inner().ty(),
            sender: tx.1.signer(),
            raw: raw.clone(),
            hash: *tx.1.inner().tx_hash(),
            deposit_nonce: None,
            outcome,
        };
        self.body.bytes += raw.len();
        let state = self.body.take(ran);
        self.evm.db_mut().commit(state);
        Ok(Outcome::default())
    }

    /// Why a transaction that was stopped by the meter is left out; what it touched is forgotten.
    fn too_much_witness(&mut self) -> Outcome {
        let meter = self.meter();
        let alone = meter.alone();
        meter.forget();
        if alone {
            let limit = self.spec.limits.witness_limit_bytes;
            return Outcome::refused(
                "never_fits",
                format!("touches more than a block's witness of {limit} bytes holds"),
            );
        }
        Outcome::refused(
            "witness_limit",
            format!("touches more than the {} bytes of witness that are left", meter.left()),
        )
    }

    /// What may be tried at all.
    fn admissible<'t>(&self, tx: Offered<'t>) -> std::result::Result<&'t Prepared, Outcome> {
        let tx = tx.as_ref().map_err(|refusal| Outcome::refused("invalid", &refusal.message))?;
        if tx.1.inner().is_eip4844() {
            return Err(Outcome::refused("invalid", "transaction type not supported"));
        }
        let (length, limits) = (tx.encoded_bytes().len(), self.spec.limits);
        if length > limits.transactions_limit_bytes {
            let words = format!("{length} bytes, a block holds {}", limits.transactions_limit_bytes);
            return Err(Outcome::refused("never_fits", words));
        }
        let bytes_left = limits.transactions_limit_bytes.saturating_sub(self.body.bytes);
        if length > bytes_left {
            return Err(Outcome::refused("block_full", format!("{length} bytes, {bytes_left} are left")));
        }
        let (gas, gas_left) = (tx.1.inner().gas_limit(), self.gas_left());
        if gas > self.header.gas_limit {
            let words = format!("gas {gas}, a block has {}", self.header.gas_limit);
            return Err(Outcome::refused("never_fits", words));
        }
        if gas > gas_left || gas_left < GAS_MIN {
            return Err(Outcome::refused("block_full", format!("gas {gas}, {gas_left} is left")));
        }
        Ok(tx)
    }
}

/// Why a transaction was left out, or the error that must stop the run.
fn refusal<E: Display, T: InvalidTxError>(error: EVMError<E, T>) -> Result<Outcome> {
    match error {
        EVMError::Transaction(error) => {
            Ok(Outcome::refused(error.as_invalid_tx_err().map_or("invalid", reason), error))
        }
        error => Err(fatal(error)),
    }
}

/// What no input may cause; a read that failed explains it.
fn fatal(error: impl Display) -> Error {
    Error::Fatal(error.to_string())
}
