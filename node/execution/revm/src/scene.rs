//! What a simulation runs in: a watched state with its overrides, the environment of its block, and the checks that
//! geth makes before it runs a message (`core/state_transition.go`: preCheck, buyGas, IntrinsicGas, FloorDataGas).

use crate::{
    arguments::Message,
    edge::{self, Ancestors},
    engine::Engine,
    errors::{Error, Result},
    json,
    outcome::Halt,
    overrides::{self, BlockArguments, StateArguments},
    precompile::Step,
    rollup::L2Spec,
    spec::Chain,
    state::{Failure, StateDb},
    watch::{self, Stop, Watch, Watched},
};
use alloy_consensus::Header;
use alloy_eips::{
    eip2930::AccessList,
    eip4844::{DATA_GAS_PER_BLOB, VERSIONED_HASH_VERSION_KZG},
};
use alloy_evm::{
    Evm, EvmFactory,
    eth::{EthEvm, EthEvmBuilder, EthEvmContext},
    precompiles::PrecompilesMap,
};
use alloy_op_evm::{OpEvm, OpEvmContext, OpEvmFactory, OpTx};
use alloy_primitives::{Address, B256, TxKind, U256};
use pyo3::exceptions::PyTimeoutError;
use revm::{
    Database, Inspector,
    context::{TxEnv, either::Either, result::ResultAndState},
    context_interface::{JournalTr, block::BlobExcessGasAndPrice, cfg::gas::calculate_initial_tx_gas},
    database::State,
    precompile::{PrecompileSpecId, Precompiles},
    primitives::{eip3860, hardfork::SpecId},
    state::AccountInfo,
};
use std::{
    fmt::Display,
    time::{Duration, Instant},
};

/// An EVM of a simulation.
pub type Machine<I> = EthEvm<Watched, I, PrecompilesMap>;

/// An EVM that runs a rollup's blocks again.
pub type RollupMachine<I> = OpEvm<Watched, I, PrecompilesMap>;

/// EIP-7594: most blobs of one transaction.
const BLOBS_MAX: usize = 6;

/// Where a simulation looks: every part is the caller's.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub root: B256,
    /// RLP of the header whose environment counts.
    pub header: &'a [u8],
    /// Hashes, the parent's first.
    pub ancestors: &'a [u8],
    /// How long it may take.
    pub patience: Option<Duration>,
}

impl<'a> Place<'a> {
    /// From the arguments of a method.
    pub fn new(root: &[u8], header: &'a [u8], ancestors: &'a [u8], deadline_us: Option<u64>) -> Result<Self> {
        Ok(Self { root: edge::word(root)?, header, ancestors, patience: deadline_us.map(Duration::from_micros) })
    }
}

/// What kind of thing is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    NonceTooLow,
    NonceTooHigh,
    TipAboveFeeCap,
    FeeCapTooLow,
    InitCodeTooLarge,
    Funds,
    /// More gas would help.
    IntrinsicGas,
    /// One that geth has no code for.
    Other,
}

/// Why a message is not run, in geth's words.
#[derive(Debug)]
pub struct Refusal {
    pub flaw: Flaw,
    pub words: String,
}

impl Refusal {
    /// Puts both together.
    pub fn new(flaw: Flaw, words: impl Display) -> Self {
        Self { flaw, words: words.to_string() }
    }
}

/// Whether a message may run.
type Checked = std::result::Result<(), Refusal>;

/// See the module; `E` is an EVM.
pub struct Scene<E> {
    pub header: Header,
    pub chain_id: u64,
    pub evm: E,
    /// Whether a message without fees is checked like any other.
    pub strict: bool,
    failure: Failure,
    step: Option<Step>,
    patience: Option<Duration>,
}

/// The state of a place, watched, for a block with this number and parent.
pub fn watched(engine: &Engine, place: Place<'_>, number: u64, parent_hash: B256) -> Result<Watched> {
    let parent = number.saturating_sub(1);
    let db = match engine.rollup() {
        Ok(_) => StateDb::of_rollup(place.root, engine.backing()?.view(), parent, parent_hash),
        Err(_) => engine.state(place.root, Ancestors::new(parent, place.ancestors)?)?,
    };
    let deadline = place.patience.map(|patience| Instant::now() + patience);
    Ok(Watched {
        state: State::builder().with_database(db).build(),
        watch: Watch::new(deadline),
        codes: engine.codes.clone(),
        number,
        ahead: Vec::new(),
    })
}

/// A block as calls see it: its header, and what no header holds.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    pub header: &'a Header,
    /// Replaces what follows from the header.
    pub block: &'a BlockArguments,
    /// Replaces the rules that follow from the header.
    pub rules: Option<SpecId>,
    pub patience: Option<Duration>,
}

impl<I: Inspector<EthEvmContext<Watched>>> Scene<Machine<I>> {
    /// Opens a state, with its overrides. The inspector is idle until `Evm::enable_inspector`.
    ///
    /// A call on a rollup pays no fees of L1, so this EVM serves it as well.
    pub fn open(
        engine: &Engine,
        place: Place<'_>,
        accounts: Option<StateArguments>,
        block: Option<BlockArguments>,
        inspector: I,
    ) -> Result<Self> {
        let header = edge::header(place.header)?;
        let db = watched(engine, place, header.number, header.parent_hash)?;
        Self::open_on(engine, db, (header, place.patience), (accounts, block), inspector)
    }

    /// As [`Self::open`], on a state that is open.
    pub fn open_on(
        engine: &Engine,
        db: Watched,
        (mut header, patience): (Header, Option<Duration>),
        (accounts, block): (Option<StateArguments>, Option<BlockArguments>),
        inspector: I,
    ) -> Result<Self> {
        let block = block.unwrap_or_default();
        block.apply(&mut header)?;
        let merged = header.difficulty.is_zero() || block.prev_randao.is_some();
        let moved = || engine.spec.moved_rules(header.number, header.timestamp, merged);
        let rules = block.moves().then(moved);
        let setting = Setting { header: &header, block: &block, rules, patience };
        Self::stage(engine, db, setting, accounts, inspector)
    }

    /// Sets a block up on a state that is open, with overrides.
    pub fn stage(
        engine: &Engine,
        mut db: Watched,
        setting: Setting<'_>,
        accounts: Option<StateArguments>,
        inspector: I,
    ) -> Result<Self> {
        let Setting { header, block, rules, patience } = setting;
        let failure = db.state.database.failure();
        let mut env = engine.spec.env(header);
        if let Some(rules) = rules {
            env.cfg_env.set_spec_and_mainnet_gas_params(rules);
        }
        let rules = env.cfg_env.spec;
        db.state.database.set_delegations(rules.is_enabled_in(SpecId::PRAGUE));
        // A block may be moved behind a fork whose fields its header has not.
        if header.difficulty.is_zero() || rules.is_enabled_in(SpecId::MERGE) {
            env.block_env.prevrandao = Some(header.mix_hash);
        }
        if rules.is_enabled_in(SpecId::CANCUN) {
            let free = BlobExcessGasAndPrice { excess_blob_gas: 0, blob_gasprice: 0 };
            env.block_env.blob_excess_gas_and_price.get_or_insert(free);
        }
        block.apply_to_environment(&mut env.block_env)?;
        let rules = PrecompileSpecId::from_spec_id(rules);
        let named = engine.rollup().map_or_else(|_| Precompiles::new(rules), |_| L2Spec::precompiles());
        let mut precompiles = PrecompilesMap::from_static(named);
        let step = engine.step();
        if let Some(step) = &step {
            step.install(&mut precompiles);
        }
        let warm = precompiles.addresses().copied().collect();
        if let Some(accounts) = accounts {
            let outcome = overrides::apply(accounts, &mut db, &mut precompiles);
            outcome.map_err(|error| failure.get().map_or(error, |failure| failure.clone().into()))?;
        }
        let builder = EthEvmBuilder::new(db, env).precompiles(precompiles).inspector(inspector);
        let mut inner = builder.build().into_inner();
        watch::install(&mut inner.instruction);
        // As in geth, what is warm follows from the rules: no override changes it.
        inner.ctx.journaled_state.warm_precompiles(warm);
        let (chain_id, header) = (engine.spec.chain_id, header.clone());
        let evm = EthEvm::new(inner, false);
        Ok(Self { header, chain_id, evm, strict: false, failure, step, patience })
    }

    /// Turns off what is checked here, or not at all for a message that nobody has signed.
    pub fn unsigned(&mut self) {
        let cfg = &mut self.evm.ctx_mut().cfg;
        cfg.disable_nonce_check = true;
        cfg.disable_eip3607 = true; // the sender may be a contract
        cfg.disable_base_fee = true;
        cfg.disable_block_gas_limit = true;
        cfg.tx_gas_limit_cap = Some(u64::MAX); // EIP-7825 is for transactions
    }

    /// Makes ready for a call alone in its block: without fees it runs without a base fee.
    pub fn relax(&mut self, message: &Message) {
        self.unsigned();
        let context = self.evm.ctx_mut();
        if message.gas_price.is_zero() {
            context.block.basefee = 0;
        }
        if message.blob_fee_cap == Some(U256::ZERO)
            && let Some(blob) = &mut context.block.blob_excess_gas_and_price
        {
            blob.blob_gasprice = 0;
        }
    }

    /// The message as revm takes it.
    pub fn transaction(&self, message: &Message) -> Result<TxEnv> {
        let price = |price: U256| {
            u128::try_from(price)
                .map_err(|_| Error::call(format_args!("a price above 2^128 wei cannot be paid: {price}")))
        };
        let rules = self.rules();
        let kind = match message {
            Message { authorizations: Some(_), .. } => 4,
            Message { blob_hashes: Some(_), .. } => 3,
            _ if rules.is_enabled_in(SpecId::LONDON) => 2,
            _ => u8::from(rules.is_enabled_in(SpecId::BERLIN)),
        };
        let authorizations = message.authorizations.clone().unwrap_or_default();
        // A call that offers nothing for its blobs is charged what they cost, as geth does.
        let blob_price = self.evm.ctx().block.blob_excess_gas_and_price.map_or(0, |blob| blob.blob_gasprice);
        // Without blobs nobody reads what they may cost.
        let blob_fee_cap = match message.blob_hashes {
            Some(_) => price(message.blob_fee_cap.unwrap_or_default())?.max(blob_price),
            None => 0,
        };
        Ok(TxEnv {
            tx_type: kind,
            caller: message.from,
            gas_limit: message.gas,
            gas_price: price(message.fee_cap)?,
            kind: message.to.map_or(TxKind::Create, TxKind::Call),
            value: message.value,
            data: message.data.clone(),
            nonce: 0,
            chain_id: Some(self.chain_id),
            access_list: message.access_list.clone().unwrap_or_default(),
            gas_priority_fee: if kind >= 2 { Some(price(message.tip_cap)?) } else { None },
            blob_hashes: message.blob_hashes.clone().unwrap_or_default(),
            max_fee_per_blob_gas: blob_fee_cap,
            authorization_list: authorizations.into_iter().map(Either::Left).collect(),
        })
    }

    /// The rules in force.
    pub fn rules(&self) -> SpecId {
        self.evm.ctx().cfg.spec
    }

    /// An account; read once, then cached.
    pub fn account(&mut self, address: Address) -> Result<AccountInfo> {
        let account = self.evm.db_mut().basic(address).map_err(|error| self.explain(error))?;
        Ok(account.unwrap_or_default())
    }

    /// geth's checks, in its order and words.
    pub fn check(&mut self, message: &Message) -> Result<Checked> {
        let first = self.check_fees(message).and_then(|()| self.check_access_list(message));
        if let Err(refusal) = first.and_then(|()| self.check_blobs(message)).and_then(|()| self.check_shape(message)) {
            return Ok(Err(refusal));
        }
        let balance = self.account(message.from)?.balance;
        if let Err(words) = check_funds(message, balance) {
            return Ok(Err(Refusal::new(Flaw::Funds, words)));
        }
        Ok(self.check_gas(message))
    }

    fn check_fees(&self, message: &Message) -> Checked {
        let Message { from, fee_cap, tip_cap, .. } = message;
        let free = fee_cap.is_zero() && tip_cap.is_zero() && !self.strict;
        if !self.rules().is_enabled_in(SpecId::LONDON) || free {
            return Ok(());
        }
        if fee_cap < tip_cap {
            let words = format_args!(
                "max priority fee per gas higher than max fee per gas: address {from}, \
                 maxPriorityFeePerGas: {tip_cap}, maxFeePerGas: {fee_cap}"
            );
            return Err(Refusal::new(Flaw::TipAboveFeeCap, words));
        }
        let base_fee = self.evm.ctx().block.basefee;
        if *fee_cap < U256::from(base_fee) {
            let words = format_args!(
                "max fee per gas less than block base fee: address {from}, \
                 maxFeePerGas: {fee_cap}, baseFee: {base_fee}"
            );
            return Err(Refusal::new(Flaw::FeeCapTooLow, words));
        }
        Ok(())
    }

    fn check_access_list(&self, message: &Message) -> Checked {
        if message.access_list.is_none() || self.rules().is_enabled_in(SpecId::BERLIN) {
            return Ok(());
        }
        let words = format_args!("transaction type not supported: access list tx (sender {})", message.from);
        Err(Refusal::new(Flaw::Other, words))
    }

    fn check_blobs(&self, message: &Message) -> Checked {
        let Some(hashes) = &message.blob_hashes else { return Ok(()) };
        let (from, refused) = (message.from, |words: &str| Err(Refusal::new(Flaw::Other, words)));
        if !self.rules().is_enabled_in(SpecId::CANCUN) {
            return refused(&format!("transaction type not supported: blob tx (sender {from})"));
        }
        if hashes.is_empty() {
            return refused("blob transaction missing blob hashes");
        }
        if self.rules().is_enabled_in(SpecId::OSAKA) && hashes.len() > BLOBS_MAX {
            return refused("blob transaction has too many blobs");
        }
        if let Some(place) = hashes.iter().position(|hash| hash[0] != VERSIONED_HASH_VERSION_KZG) {
            return refused(&format!("blob {place} has invalid hash version"));
        }
        let price = self.evm.ctx().block.blob_excess_gas_and_price.map_or(0, |blob| blob.blob_gasprice);
        let cap = message.blob_fee_cap.unwrap_or_default();
        if cap < U256::from(price) && (self.strict || !cap.is_zero()) {
            return refused(&format!(
                "max fee per blob gas less than block blob gas fee: address {from} \
                 blobGasFeeCap: {cap}, blobBaseFee: {price}"
            ));
        }
        Ok(())
    }

    fn check_shape(&self, message: &Message) -> Checked {
        let from = message.from;
        let refused = |words: String| Err(Refusal::new(Flaw::Other, words));
        if let Some(authorizations) = &message.authorizations {
            if !self.rules().is_enabled_in(SpecId::PRAGUE) {
                return refused(format!("transaction type not supported: setcode tx (sender {from})"));
            }
            if authorizations.is_empty() {
                return refused(format!("EIP-7702 transaction with empty auth list (sender {from})"));
            }
        }
        let (size, limit) = (message.data.len(), eip3860::MAX_INITCODE_SIZE);
        if message.to.is_none() && self.rules().is_enabled_in(SpecId::SHANGHAI) && size > limit {
            let words = format_args!("max initcode size exceeded: code size {size} limit {limit}");
            return Err(Refusal::new(Flaw::InitCodeTooLarge, words));
        }
        Ok(())
    }

    fn check_gas(&self, message: &Message) -> Checked {
        let list = message.access_list.as_ref();
        let want = calculate_initial_tx_gas(
            self.rules(),
            &message.data,
            message.to.is_none(),
            list.map_or(0, |list| list.len()) as u64,
            list.map_or(0, AccessList::storage_keys_count) as u64,
            message.authorizations.as_ref().map_or(0, Vec::len) as u64,
        );
        let have = message.gas;
        if have < want.initial_total_gas {
            let want = want.initial_total_gas;
            let words = format_args!("intrinsic gas too low: have {have}, want {want}");
            return Err(Refusal::new(Flaw::IntrinsicGas, words));
        }
        if self.rules().is_enabled_in(SpecId::PRAGUE) && have < want.floor_gas {
            let words = format_args!("insufficient gas for floor data gas cost: have {have}, want {}", want.floor_gas);
            return Err(Refusal::new(Flaw::Other, words));
        }
        Ok(())
    }
}

impl<I: Inspector<OpEvmContext<Watched>>> Scene<RollupMachine<I>> {
    /// Opens a state for a block of a rollup that is run again, deposits and fees included.
    pub fn open_rollup(engine: &Engine, place: Place<'_>, inspector: I) -> Result<Self> {
        let (spec, header) = (engine.rollup()?, edge::header(place.header)?);
        let db = watched(engine, place, header.number, header.parent_hash)?;
        let failure = db.state.database.failure();
        let evm = OpEvmFactory::<OpTx>::default().create_evm_with_inspector(db, spec.env(&header), inspector);
        let mut inner = evm.into_inner();
        watch::install(&mut inner.0.instruction);
        let mut evm = OpEvm::new(inner, false);
        *evm.precompiles_mut() = PrecompilesMap::from_static(L2Spec::precompiles());
        let (chain_id, patience) = (spec.chain_id, place.patience);
        Ok(Self { header, chain_id, evm, strict: true, failure, step: None, patience })
    }
}

impl<E: Evm<DB = Watched, Error: Display, HaltReason: Halt>> Scene<E> {
    /// Runs a checked message; its changes are given, not kept.
    pub fn run(&mut self, transaction: E::Tx) -> Result<ResultAndState> {
        let outcome = self.evm.transact(transaction);
        self.go_on()?;
        let ResultAndState { result, state } = outcome.map_err(|error| self.explain(error))?;
        Ok(ResultAndState { result: result.map_haltreason(Halt::common), state })
    }

    /// Whether the watch lets it go on.
    pub fn go_on(&self) -> Result<()> {
        match self.evm.db().watch.stopped() {
            Some(Stop::Deadline) => {
                let patience = self.patience.unwrap_or_default();
                let message = format!("execution aborted (timeout = {patience:?})");
                Err(Error::Python(PyTimeoutError::new_err(message)))
            }
            Some(Stop::Size) => Err(json::too_large(json::SIZE_MAX)),
            Some(Stop::Read) => Err(self.explain("the state cannot be read")),
            None => Ok(()),
        }
    }

    /// The true cause of an error: a read that failed, or the exception of the precompile's callable.
    pub fn explain(&self, error: impl Display) -> Error {
        match (self.failure.get(), &self.step) {
            (Some(failure), _) => failure.clone().into(),
            (None, Some(step)) => step.explain(Error::call(error)),
            (None, None) => Error::call(error),
        }
    }
}

/// geth's `buyGas`: the sender must own what the message may cost at most.
fn check_funds(message: &Message, have: U256) -> std::result::Result<(), String> {
    let from = message.from;
    let blobs = message.blob_hashes.as_ref().map_or(0, Vec::len) as u64;
    let want = U256::from(message.gas)
        .checked_mul(message.fee_cap)
        .and_then(|gas| gas.checked_add(message.value))
        .zip(U256::from(blobs * DATA_GAS_PER_BLOB).checked_mul(message.blob_fee_cap.unwrap_or_default()))
        .and_then(|(gas, blobs)| gas.checked_add(blobs));
    match want {
        Some(want) if have >= want => Ok(()),
        Some(want) => {
            Err(format!("insufficient funds for gas * price + value: address {from} have {have} want {want}"))
        }
        None => {
            Err(format!("insufficient funds for gas * price + value: address {from} required balance exceeds 256 bits"))
        }
    }
}
