//! `debug_trace*`: blocks run again, from their system calls on.

mod roots;

use crate::{
    arguments::{self, CallArguments},
    block::Block,
    deposits::{DEPOSIT, Deposit, message},
    deriving::Context,
    edge::{self, detached},
    engine::{Engine, NativeEngine},
    errors::{Error, Result},
    frames_json::Position,
    json,
    l2::Stopped,
    outcome::Halt,
    overrides::{BlockArguments, StateArguments},
    scene::{Machine, Place, RollupMachine, Scene},
    tracers::{Plan, Run, TraceArguments, Tracer},
    transactions::{Prepared, Refusal, prepare_all_by},
    watch::{Stop, Watch, Watched},
};
use alloy_consensus::Header;
use alloy_evm::{Evm, IntoTxEnv, block::SystemCaller, precompiles::PrecompilesMap};
use alloy_op_evm::OpTx;
use alloy_primitives::{B256, Bytes, U256, hex, keccak256};
use pyo3::{prelude::*, types::PyBytes};
use revm::{
    DatabaseCommit,
    context::{Transaction, TxEnv, result::ResultAndState},
    database::TransitionState,
};
use std::{
    borrow::Cow,
    fmt::Display,
    time::{Duration, Instant},
};

/// An EVM that can be traced, of either layer.
trait Stage:
    Evm<
        DB = Watched,
        Inspector = Tracer,
        Precompiles = PrecompilesMap,
        Tx: Transaction + Clone,
        Error: Display,
        HaltReason: Halt,
    >
{
}

impl<E> Stage for E where
    E: Evm<
            DB = Watched,
            Inspector = Tracer,
            Precompiles = PrecompilesMap,
            Tx: Transaction + Clone,
            Error: Display,
            HaltReason: Halt,
        >
{
}

/// A transaction that is run again; a deposit that was stopped by a rule of the rollup's is not.
#[derive(Clone)]
struct Message<T> {
    tx: T,
    stopped: Option<Stopped>,
}

impl<T> From<T> for Message<T> {
    fn from(tx: T) -> Self {
        Self { tx, stopped: None }
    }
}

/// Runs a message; its changes are given, not kept.
fn run<E: Stage>(scene: &mut Scene<E>, message: Message<E::Tx>) -> Result<ResultAndState> {
    let Some(stopped) = message.stopped else { return scene.run(message.tx) };
    let ResultAndState { result, state } = stopped.outcome(scene.evm.db_mut())?;
    Ok(ResultAndState { result: result.map_haltreason(Halt::common), state })
}

/// A block that is run again.
struct Replay<E: Evm> {
    scene: Scene<E>,
    hash: B256,
    /// Hash and message of each transaction.
    transactions: Vec<(B256, Message<E::Tx>)>,
    plan: Plan,
    /// Logs of the block so far.
    logs: usize,
    /// When all of it must be over.
    deadline: Option<Instant>,
}

/// What is to be run again, and how.
struct Request<'a> {
    root: B256,
    block: Block,
    header: Bytes,
    ancestors: &'a [u8],
    plan: Plan,
    patience: Option<Duration>,
    /// Whether the tries are written between transactions.
    writes: bool,
}

impl<'a> Request<'a> {
    /// With the options of a caller.
    fn new(root: &[u8], block: &[u8], ancestors: &'a [u8], options: &[u8], deadline_us: Option<u64>) -> Result<Self> {
        let plan = Plan::new(&trace_arguments(1, options)?)?;
        Self::planned(root, block, ancestors, plan, deadline_us)
    }

    fn planned(root: &[u8], block: &[u8], ancestors: &'a [u8], plan: Plan, deadline_us: Option<u64>) -> Result<Self> {
        let block = Block::decode(Bytes::copy_from_slice(block))?;
        if block.header.number == 0 {
            return Err(Error::call("genesis is not traceable"));
        }
        Ok(Self {
            root: edge::word(root)?,
            header: alloy_rlp::encode(&block.header).into(),
            block,
            ancestors,
            plan,
            patience: deadline_us.map(Duration::from_micros),
            writes: false,
        })
    }

    /// To run a call within the place's block.
    fn within(place: Place<'a>, block: &[u8]) -> Result<Self> {
        let block = Block::decode(Bytes::copy_from_slice(block))?;
        if block.header.number == 0 {
            return Err(Error::call("no transaction in genesis"));
        }
        let (root, ancestors, patience) = (place.root, place.ancestors, place.patience);
        let header = alloy_rlp::encode(&block.header).into();
        Ok(Self { root, block, header, ancestors, plan: Plan::entries(), patience, writes: false })
    }

    fn place(&self) -> Place<'_> {
        Place { root: self.root, header: &self.header, ancestors: self.ancestors, patience: self.patience }
    }

    /// Runs the block, of whichever layer the chain is; `index` is the transaction that is traced, none traces all.
    fn run(self, engine: &Engine, index: Option<usize>) -> Result<Vec<u8>> {
        if engine.rollup().is_ok() { self.rollup(engine)?.answer(index) } else { self.l1(engine)?.answer(index) }
    }

    /// The state before a transaction of the block.
    fn before(self, engine: &Engine, index: u64) -> Result<Watched> {
        if engine.rollup().is_ok() { self.rollup(engine)?.before(index) } else { self.l1(engine)?.before(index) }
    }

    fn rollup(self, engine: &Engine) -> Result<Replay<RollupMachine<Tracer>>> {
        let scene = Scene::open_rollup(engine, self.place(), Tracer::Idle)?;
        let transactions = rollup_messages(engine, self.root, &self.block)?;
        Replay::open(self, engine, scene, transactions)
    }

    fn l1(self, engine: &Engine) -> Result<Replay<Machine<Tracer>>> {
        let scene = Scene::open(engine, self.place(), None, None, Tracer::Idle)?;
        let messages = signed(engine, &self.block.transactions, self.block.header.number)?.into_iter();
        let message = |tx: Prepared| {
            let env: TxEnv = (&*tx).into_tx_env();
            (*tx.1.inner().tx_hash(), env.into())
        };
        let transactions = messages.map(message).collect();
        Replay::open(self, engine, scene, transactions)
    }
}

/// Signed transactions of a block.
fn signed(engine: &Engine, raws: &[Bytes], number: u64) -> Result<Vec<Prepared>> {
    let transactions = prepare_all_by(raws, engine.spec.signing(number), &engine.senders).into_iter();
    let refused = |refusal: Refusal| Error::invalid("transaction", "a transaction of this chain", refusal.message);
    transactions.map(|tx| tx.map_err(refused)).collect()
}

/// A rollup's: deposits, then signed ones. Which deposits were stopped only their own run tells.
fn rollup_messages(engine: &Engine, root: B256, block: &Block) -> Result<Vec<(B256, Message<OpTx>)>> {
    let deposits = block.transactions.iter().take_while(|raw| raw.first() == Some(&DEPOSIT)).count();
    let (deposits, raws) = block.transactions.split_at(deposits);
    let deposits = deposits.iter().map(|raw| Deposit::decode(raw.clone())).collect::<Result<Vec<_>>>()?;
    let parent = Header { number: block.header.number - 1, state_root: root, ..Default::default() };
    let context = Context { spec: engine.rollup()?, parent: &parent, senders: Some(&engine.senders) };
    let open = context.open(engine.backing()?.view(), block.header.clone(), &deposits)?;
    let mut messages: Vec<_> = deposits.iter().map(|deposit| (deposit.hash, Message::from(deposit.env()))).collect();
    for stopped in open.stopped() {
        messages[stopped.place].1.stopped = Some(*stopped);
    }
    let signed = signed(engine, raws, block.header.number)?.into_iter();
    messages.extend(signed.map(|tx| (*tx.1.inner().tx_hash(), message(&tx).into())));
    Ok(messages)
}

impl<E: Stage> Replay<E> {
    /// Runs the system calls.
    fn open(
        request: Request<'_>,
        engine: &Engine,
        mut scene: Scene<E>,
        transactions: Vec<(B256, Message<E::Tx>)>,
    ) -> Result<Self> {
        scene.evm.db_mut().state.transition_state = request.writes.then(TransitionState::default);
        let outcome =
            SystemCaller::new(&*engine.spec).apply_pre_execution_changes(&request.block.header, &mut scene.evm);
        outcome.map_err(|error| scene.explain(error))?;
        let deadline = request.patience.map(|patience| Instant::now() + patience);
        Ok(Self { scene, hash: request.block.hash, transactions, plan: request.plan, logs: 0, deadline })
    }

    /// Runs a transaction and keeps its changes.
    fn advance(&mut self, index: usize) -> Result<()> {
        let result = run(&mut self.scene, self.transactions[index].1.clone())?;
        self.logs += result.result.logs().len();
        self.scene.evm.db_mut().commit(result.state);
        Ok(())
    }

    /// Runs a transaction, keeps its changes and gives its trace.
    fn trace(&mut self, index: usize) -> Result<Vec<u8>> {
        let (hash, message) = self.transactions[index].clone();
        let position = Position {
            block_hash: Some(self.hash),
            block_number: Some(self.scene.header.number),
            transaction_hash: Some(hash),
            transaction_index: index,
        };
        let tracer = self.plan.tracer(self.logs, &message.tx);
        let (json, logs) = traced(&mut self.scene, &self.plan, tracer, message, position, self.deadline)?;
        self.logs += logs;
        Ok(json)
    }

    /// `debug_traceTransaction` or `debug_traceBlockBy*`.
    fn answer(mut self, index: Option<usize>) -> Result<Vec<u8>> {
        let Some(index) = index else { return self.trace_all() };
        if index >= self.transactions.len() {
            return Err(Error::Argument(format!("index: {index} of {}", self.transactions.len())));
        }
        for before in 0..index {
            self.advance(before)?;
        }
        self.trace(index)
    }

    /// The state before a transaction, in geth's words if there is none; the first of an empty block has one.
    fn before(mut self, index: u64) -> Result<Watched> {
        let count = self.transactions.len();
        let Some(index) = usize::try_from(index).ok().filter(|index| *index < count.max(1)) else {
            let words = format_args!("transaction index {index} out of range for block {}", self.hash);
            return Err(Error::call(words));
        };
        for before in 0..index {
            self.advance(before)?;
        }
        Ok(self.scene.evm.finish().0)
    }

    fn trace_all(&mut self) -> Result<Vec<u8>> {
        let mut json = vec![b'['];
        for index in 0..self.transactions.len() {
            let trace = self.trace(index)?;
            let hash = hex::encode(self.transactions[index].0);
            let comma = if index == 0 { "" } else { "," };
            json.extend_from_slice(format!("{comma}{{\"txHash\":\"0x{hash}\",\"result\":").as_bytes());
            json.extend_from_slice(&trace);
            json.push(b'}');
            if json.len() > json::SIZE_MAX {
                return Err(json::too_large(json::SIZE_MAX));
            }
        }
        json.push(b']');
        Ok(json)
    }
}

fn trace_arguments(place: usize, options: &[u8]) -> Result<TraceArguments> {
    let options = if options.is_empty() { None } else { Some(options) };
    Ok(arguments::optional::<TraceArguments>(place, options)?.unwrap_or_default())
}

/// Runs a transaction under a tracer and keeps its changes: its trace, and how many logs it has left.
fn traced<E: Stage>(
    scene: &mut Scene<E>,
    plan: &Plan,
    tracer: Tracer,
    message: Message<E::Tx>,
    position: Position,
    deadline: Option<Instant>,
) -> Result<(Vec<u8>, usize)> {
    let own = Instant::now().checked_add(plan.timeout);
    let first = [own, deadline].into_iter().flatten().min();
    scene.evm.db_mut().watch = Watch::new(first);
    *scene.evm.inspector_mut() = tracer;
    scene.evm.enable_inspector();
    let (tx, stopped) = (message.tx.clone(), message.stopped.is_some());
    let outcome = run(scene, message);
    scene.evm.disable_inspector();
    if scene.evm.db().watch.stopped() == Some(Stop::Deadline) && first != deadline {
        return Err(Error::call("execution timeout"));
    }
    let result = outcome?;
    let mut tracer = std::mem::replace(scene.evm.inspector_mut(), Tracer::Idle);
    if let Tracer::Parts(parts) = &mut tracer {
        parts.ran(&tx, if stopped { "crosses a limit of the block" } else { "failed deposit" });
    }
    let precompiles = scene.evm.precompiles().addresses().copied().collect();
    let run = Run { result: &result, position, db: scene.evm.db(), precompiles: &precompiles };
    let json = plan.finish(tracer, &run)?;
    if json.len() > json::SIZE_MAX {
        return Err(json::too_large(json::SIZE_MAX));
    }
    let logs = result.result.logs().len();
    scene.evm.db_mut().commit(result.state);
    Ok((json, logs))
}

/// `debug_traceCall`; within a block, before one of its transactions, the place's state is the parent's.
fn trace_call(
    engine: &Engine,
    place: Place<'_>,
    (call, options): (&[u8], &[u8]),
    within: Option<(&[u8], u64)>,
    gas_cap: u64,
) -> Result<Vec<u8>> {
    let arguments: CallArguments = arguments::parameter(0, call)?;
    let mut options = trace_arguments(2, options)?;
    let plan = Plan::new(&options)?;
    let overrides = (options.state_overrides.take(), options.block_overrides.take());
    let deadline = place.patience.map(|patience| Instant::now() + patience);
    let mut scene = match within {
        None => open_call(engine, place, overrides)?,
        Some((block, index)) => open_call_within(engine, Request::within(place, block)?, index, overrides)?,
    };
    let message = arguments.message(gas_cap, scene.header.base_fee_per_gas, scene.chain_id)?;
    scene.relax(&message);
    scene.check(&message)?.map_err(|refusal| Error::call(format_args!("tracing failed: {}", refusal.words)))?;
    let transaction = scene.transaction(&message)?;
    let tracer = plan.tracer(0, &transaction);
    let (json, _) = traced(&mut scene, &plan, tracer, transaction.into(), Position::default(), deadline)?;
    Ok(json)
}

/// What a call may change before it runs.
type Overrides = (Option<StateArguments>, Option<BlockArguments>);

/// A call's scene behind a block.
fn open_call(engine: &Engine, place: Place<'_>, (accounts, block): Overrides) -> Result<Scene<Machine<Tracer>>> {
    let (header, ancestors) = moved_ahead(place, block.as_ref())?;
    let place = Place { header: &header, ancestors: &ancestors, ..place };
    Scene::open(engine, place, accounts, block, Tracer::Idle)
}

/// A call's scene within a block, before one of its transactions.
fn open_call_within(
    engine: &Engine,
    request: Request<'_>,
    index: u64,
    overrides: Overrides,
) -> Result<Scene<Machine<Tracer>>> {
    let (header, hash, patience) = (request.block.header.clone(), request.block.hash, request.patience);
    let mut db = request.before(engine, index)?;
    if moves_ahead(&header, overrides.1.as_ref()) {
        db.ahead.push(hash);
    }
    Scene::open_on(engine, db, (header, patience), overrides, Tracer::Idle)
}

/// A header's RLP and the hashes below it, as they came or made anew.
type Surroundings<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// A call that is moved to the next block sees this one's hash, as geth lets it: contracts could tell it otherwise.
fn moved_ahead<'a>(place: Place<'a>, block: Option<&BlockArguments>) -> Result<Surroundings<'a>> {
    let mut header = edge::header(place.header)?;
    if !moves_ahead(&header, block) {
        return Ok((place.header.into(), place.ancestors.into()));
    }
    let hash = keccak256(place.header);
    let known = &place.ancestors[..place.ancestors.len().min(255 * 32)];
    header.number += 1;
    header.parent_hash = hash;
    Ok((alloy_rlp::encode(&header).into(), [&hash[..], known].concat().into()))
}

/// Whether overrides move a call to the next block.
fn moves_ahead(header: &Header, block: Option<&BlockArguments>) -> bool {
    let next = U256::from(header.number) + U256::ONE;
    block.and_then(|block| block.number).is_some_and(|number| number.0 == next)
}

#[pymethods]
impl NativeEngine {
    /// `debug_traceBlockBy*`: the answer's JSON list. TimeoutError if `deadline_us` has passed.
    #[pyo3(signature = (parent_root, block, ancestors, options, *, deadline_us=None))]
    fn trace_block<'py>(
        &self,
        py: Python<'py>,
        parent_root: &[u8],
        block: &[u8],
        ancestors: &[u8],
        options: &[u8],
        deadline_us: Option<u64>,
    ) -> Result<Bound<'py, PyBytes>> {
        let json = detached(py, || {
            Request::new(parent_root, block, ancestors, options, deadline_us)?.run(&self.engine, None)
        })?;
        Ok(PyBytes::new(py, &json))
    }

    /// `debug_traceTransaction`: the answer's JSON. TimeoutError if `deadline_us` has passed.
    #[pyo3(signature = (parent_root, block, ancestors, index, options, *, deadline_us=None))]
    #[allow(clippy::too_many_arguments)]
    fn trace_transaction<'py>(
        &self,
        py: Python<'py>,
        parent_root: &[u8],
        block: &[u8],
        ancestors: &[u8],
        index: usize,
        options: &[u8],
        deadline_us: Option<u64>,
    ) -> Result<Bound<'py, PyBytes>> {
        let json = detached(py, || {
            Request::new(parent_root, block, ancestors, options, deadline_us)?.run(&self.engine, Some(index))
        })?;
        Ok(PyBytes::new(py, &json))
    }

    /// `debug_traceCall`: the answer's JSON. TimeoutError if `deadline_us` has passed.
    ///
    /// With a `block` the call runs within it, before its transaction `index`; `root` is then its parent's.
    #[pyo3(signature = (
        root, header, ancestors, call, options, *, gas_cap=50_000_000, block=None, index=0, deadline_us=None
    ))]
    #[allow(clippy::too_many_arguments)]
    fn trace_call<'py>(
        &self,
        py: Python<'py>,
        root: &[u8],
        header: &[u8],
        ancestors: &[u8],
        call: &[u8],
        options: &[u8],
        gas_cap: u64,
        block: Option<&[u8]>,
        index: u64,
        deadline_us: Option<u64>,
    ) -> Result<Bound<'py, PyBytes>> {
        let place = Place::new(root, header, ancestors, deadline_us)?;
        let within = block.map(|block| (block, index));
        let json = detached(py, || self::trace_call(&self.engine, place, (call, options), within, gas_cap))?;
        Ok(PyBytes::new(py, &json))
    }

    /// Otterscan's list of a transaction's calls, JSON. TimeoutError if `deadline_us` has passed.
    #[pyo3(signature = (parent_root, block, ancestors, index, *, deadline_us=None))]
    fn trace_entries<'py>(
        &self,
        py: Python<'py>,
        parent_root: &[u8],
        block: &[u8],
        ancestors: &[u8],
        index: usize,
        deadline_us: Option<u64>,
    ) -> Result<Bound<'py, PyBytes>> {
        let json = detached(py, || {
            Request::planned(parent_root, block, ancestors, Plan::entries(), deadline_us)?
                .run(&self.engine, Some(index))
        })?;
        Ok(PyBytes::new(py, &json))
    }

    /// Who had a part in each transaction of a block, JSON. TimeoutError if `deadline_us` has passed.
    #[pyo3(signature = (parent_root, block, ancestors, *, deadline_us=None))]
    fn trace_parties<'py>(
        &self,
        py: Python<'py>,
        parent_root: &[u8],
        block: &[u8],
        ancestors: &[u8],
        deadline_us: Option<u64>,
    ) -> Result<Bound<'py, PyBytes>> {
        let json = detached(py, || {
            Request::planned(parent_root, block, ancestors, Plan::parties(), deadline_us)?.run(&self.engine, None)
        })?;
        Ok(PyBytes::new(py, &json))
    }
}
