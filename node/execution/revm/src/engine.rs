//! The L1 chain as Python holds it: blocks, states, look-ups.
//!
//! RPC's part of the class stands in `calls`, `traces` and `render`.

use crate::{
    backing::{Backing, View},
    block::Block,
    builder::{Builder, NativeBuilder},
    codes::Codes,
    deriving::Context,
    edge::{self, Ancestors, detached},
    errors::{Error, Result},
    genesis,
    header::Attributes,
    import::Judge,
    l1::{Frame, Open},
    memory::MemoryStore,
    precompile::{Callable, Step},
    record,
    result::{BlockResult, Contents, bytes_list, int},
    rollup::{L2Spec, MESSAGE_PASSER, Role},
    spec::L1Spec,
    state::{StateDb, StateError, walk},
    store::{Options, Store, StoreError},
    transactions::{self, Prepared, Senders, prepare_pooled, prepare_sequenced},
};
use alloy_consensus::{Header, Transaction, Typed2718};
use alloy_eips::eip4895::Withdrawal;
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use pyo3::{prelude::*, pybacked::PyBackedBytes, types::PyBytes};
use std::{
    path::PathBuf,
    sync::{Arc, RwLock},
};

/// How often a block is executed again because pruning came between.
const STALE_MAX: usize = 8;

/// (index, validator index, address, gwei) of a withdrawal.
type WithdrawalIn = (u64, u64, [u8; 20], u64);

/// (nonce, balance, code hash, storage root) of an account.
type AccountOut<'py> = (u64, Bound<'py, PyAny>, Bound<'py, PyBytes>, Bound<'py, PyBytes>);

/// An EIP-1186 proof: account, its nodes, (value, nodes) of each slot.
type ProofOut<'py> = (AccountOut<'py>, Vec<Bound<'py, PyBytes>>, Vec<(Bound<'py, PyBytes>, Vec<Bound<'py, PyBytes>>)>);

/// What the class works on; RPC's files use it too.
pub struct Engine {
    pub spec: Arc<L1Spec>,
    pub senders: Arc<Senders>,
    pub codes: Arc<Codes>,
    /// The rollup that this chain is, if it is one; `spec` then serves calls.
    rollup: Option<Arc<L2Spec>>,
    genesis: Genesis,
    step: Option<Callable>,
    /// Gas limit of the rollup's blocks, on its L1.
    hosted_gas: Option<u64>,
    backing: RwLock<Option<Backing>>,
}

impl Engine {
    /// The store, unless the engine is closed.
    pub fn backing(&self) -> Result<Backing> {
        self.backing.read().unwrap().clone().ok_or_else(|| Error::Fatal("the engine is closed".into()))
    }

    /// The rollup that this chain is.
    pub fn rollup(&self) -> Result<&Arc<L2Spec>> {
        self.rollup.as_ref().ok_or_else(|| Error::Argument("this chain is no rollup".into()))
    }

    /// A state to read; `ancestors` answer `BLOCKHASH`.
    pub fn state(&self, root: B256, ancestors: Ancestors) -> Result<StateDb<View>> {
        Ok(StateDb::at(root, self.backing()?.view(), ancestors))
    }

    /// The precompile for one run.
    pub fn step(&self) -> Option<Step> {
        self.step.as_ref().map(|callable| Step::new(callable, self.hosted_gas))
    }

    /// The genesis block; its state is stored.
    fn genesis(&self) -> Result<BlockResult> {
        let update = genesis::state(&self.genesis.alloc)?;
        let mut header = genesis::header(&self.genesis, &self.spec, update.root);
        self.backing()?.add(&update, header.number)?;
        if let Some(rollup) = &self.rollup {
            let passer = self.state(update.root, Ancestors::default())?.account(&MESSAGE_PASSER)?.unwrap_or_default();
            header = rollup.genesis_header(&self.genesis, update.root, passer.storage_root);
        }
        let withdrawals = header.withdrawals_root.map(|_| Vec::new());
        let rlp = Block::encode(&header, &[], withdrawals.as_deref());
        let hash = keccak256(alloy_rlp::encode(&header));
        let block = Block { rlp, header, hash, transactions: Vec::new(), ommers: Vec::new(), withdrawals };
        let contents = Contents { update, record: record::encode(&[], None), ..Default::default() };
        Ok(BlockResult::new(&block, contents, (0.0, 0.0, 0.0)))
    }

    fn execute(&self, parent_rlp: Bytes, block: Bytes, ancestors: Ancestors, witness: bool) -> Result<BlockResult> {
        let parent = edge::header(&parent_rlp)?;
        let mut result = self.judge(&parent, &Block::decode(block)?, ancestors.clone(), witness)?;
        result.origin = Some((parent_rlp, ancestors));
        Ok(result)
    }

    /// Judges a block of either layer.
    pub fn judge(&self, parent: &Header, block: &Block, ancestors: Ancestors, witness: bool) -> Result<BlockResult> {
        let view = self.backing()?.view();
        if let Some(spec) = &self.rollup {
            let context = Context { spec, parent, senders: Some(&self.senders) };
            return if witness { context.judge_with_witness(block, view) } else { context.judge(block, view) };
        }
        let (step, senders) = (self.step(), Some(&*self.senders));
        let judge = Judge { spec: &self.spec, parent, ancestors, step, senders };
        if witness { judge.judge_with_witness(block, view) } else { judge.judge(block, view) }
    }

    /// Stores a result's state; executes it again if its places are gone.
    pub fn commit(&self, result: &BlockResult) -> Result<()> {
        self.senders.settle(&result.raws);
        let backing = self.backing()?;
        let mut outcome = backing.add(result.update(), result.number);
        for _ in 0..STALE_MAX {
            let (Err(StoreError::Stale), Some((parent, ancestors))) = (&outcome, &result.origin) else { break };
            let again = self.execute(parent.clone(), result.rlp.clone(), ancestors.clone(), false)?;
            outcome = backing.add(again.update(), again.number);
        }
        Ok(outcome?)
    }
}

/// Execution of one chain over one store of states.
#[pyclass(frozen)]
pub struct NativeEngine {
    pub engine: Engine,
}

#[pymethods]
impl NativeEngine {
    /// Opens a chain's states: in a folder, or in memory without one.
    #[new]
    #[pyo3(signature = (genesis, *, path=None, portal=None, step=None, cache_mb=64, slack_mb=64))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        genesis: &[u8],
        path: Option<PathBuf>,
        portal: Option<[u8; 20]>,
        step: Option<Py<PyAny>>,
        cache_mb: usize,
        slack_mb: u64,
    ) -> Result<Self> {
        let (json, genesis) = (genesis, genesis::parse(genesis)?);
        let (spec, rollup, hosted_gas) = match Role::parse(json, &genesis)? {
            Role::Rollup(rollup) => {
                let spec = L1Spec::new(L2Spec::config(rollup.chain_id), None)?;
                (spec, Some(Arc::new(rollup)), None)
            }
            Role::Host(named) => {
                let portal = portal.map(Address::from).or(named.and_then(|named| named.portal));
                let gas = named.and_then(|named| named.gas_limit);
                (L1Spec::new(genesis.config.clone(), portal)?, None, gas)
            }
        };
        let backing = match path {
            None => Backing::Memory(Arc::new(MemoryStore::default())),
            Some(path) => detached(py, || {
                let options = Options { cache: cache_mb << 20, slack: slack_mb << 20, ..Default::default() };
                Ok(Backing::Disk(Arc::new(Store::open(&path, options)?)))
            })?,
        };
        let engine = Engine {
            spec: Arc::new(spec),
            senders: Arc::default(),
            codes: Arc::default(),
            rollup,
            genesis,
            step: step.map(Arc::new),
            hosted_gas,
            backing: RwLock::new(Some(backing)),
        };
        Ok(Self { engine })
    }

    // -- blocks

    fn genesis(&self, py: Python<'_>) -> Result<BlockResult> {
        detached(py, || self.engine.genesis())
    }

    fn has_state(&self, py: Python<'_>, root: &[u8]) -> Result<bool> {
        let root = edge::word(root)?;
        detached(py, || Ok(self.engine.backing()?.holds(&root)?))
    }

    /// A transaction, or (code, message) of why it is none.
    fn decode(&self, py: Python<'_>, transactions: Vec<PyBackedBytes>) -> Result<Vec<DecodeOut>> {
        detached(py, || {
            let raws: Vec<Bytes> = transactions.iter().map(|raw| Bytes::copy_from_slice(raw)).collect();
            let rules = self.engine.spec.newest_rules();
            let prepare = if self.engine.rollup.is_some() { prepare_sequenced } else { prepare_pooled };
            let prepared = prepare(&raws, self.engine.spec.chain_id, &self.engine.senders);
            let out = prepared.into_iter().map(|tx| match tx {
                Ok(tx) => DecodeOut::Accepted(NativeTransaction::new(tx, rules)),
                Err(refusal) => DecodeOut::Refused((refusal.code, refusal.message)),
            });
            Ok(out.collect())
        })
    }

    #[pyo3(signature = (parent_header, block, ancestors, *, record_witness=false))]
    fn execute(
        &self,
        py: Python<'_>,
        parent_header: &[u8],
        block: &[u8],
        ancestors: &[u8],
        record_witness: bool,
    ) -> Result<BlockResult> {
        let (parent, block) = (Bytes::copy_from_slice(parent_header), Bytes::copy_from_slice(block));
        let ancestors = Ancestors::new(edge::header(&parent)?.number, ancestors)?;
        detached(py, || self.engine.execute(parent, block, ancestors, record_witness))
    }

    #[pyo3(signature = (
        parent_header, timestamp, fee_recipient, prev_randao, gas_limit, parent_beacon_block_root, withdrawals, ancestors
    ))]
    #[allow(clippy::too_many_arguments)]
    fn builder(
        &self,
        py: Python<'_>,
        parent_header: &[u8],
        timestamp: u64,
        fee_recipient: [u8; 20],
        prev_randao: [u8; 32],
        gas_limit: u64,
        parent_beacon_block_root: [u8; 32],
        withdrawals: Vec<WithdrawalIn>,
        ancestors: &[u8],
    ) -> Result<NativeBuilder> {
        let parent_rlp = Bytes::copy_from_slice(parent_header);
        let parent = edge::header(&parent_rlp)?;
        let ancestors = Ancestors::new(parent.number, ancestors)?;
        let withdrawal = |(index, validator_index, address, amount): WithdrawalIn| Withdrawal {
            index,
            validator_index,
            address: address.into(),
            amount,
        };
        let attributes = Attributes {
            timestamp,
            fee_recipient: fee_recipient.into(),
            prev_randao: prev_randao.into(),
            gas_limit,
            parent_beacon_block_root: parent_beacon_block_root.into(),
            withdrawals: withdrawals.into_iter().map(withdrawal).collect(),
        };
        detached(py, || {
            let engine = &self.engine;
            if engine.rollup.is_some() {
                return Err(Error::Argument("a rollup's blocks are sequenced or derived".into()));
            }
            let header = attributes.header(&engine.spec, &parent)?;
            let db = engine.state(parent.state_root, ancestors.clone())?;
            let frame = Frame { header, ommers: Vec::new(), withdrawals: Some(attributes.withdrawals) };
            let step = engine.step();
            let open = Open::new(engine.spec.clone(), db, frame, step.clone())?;
            let builder = Builder::new(engine.spec.clone(), open, step);
            Ok(NativeBuilder::new(builder, engine.senders.clone(), (parent_rlp, ancestors)))
        })
    }

    fn commit(&self, py: Python<'_>, result: &Bound<'_, BlockResult>) -> Result<()> {
        let result = result.get();
        detached(py, || self.engine.commit(result))
    }

    fn prune(&self, py: Python<'_>, live: Vec<[u8; 32]>, from_number: u64) -> Result<u64> {
        let live: Vec<B256> = live.into_iter().map(B256::from).collect();
        detached(py, || Ok(self.engine.backing()?.prune(&live, from_number)?))
    }

    /// Reads a whole state; gives the number of its nodes.
    fn walk(&self, py: Python<'_>, root: &[u8]) -> Result<usize> {
        let root = edge::word(root)?;
        detached(py, || Ok(walk(&self.engine.backing()?.view(), root)?))
    }

    fn flush(&self, py: Python<'_>) -> Result<()> {
        detached(py, || Ok(self.engine.backing()?.flush()?))
    }

    fn close(&self, py: Python<'_>) -> Result<()> {
        detached(py, || {
            let backing = self.engine.backing.write().unwrap().take();
            backing.map_or(Ok(()), |backing| Ok(backing.flush()?))
        })
    }

    // -- look-ups

    fn account<'py>(&self, py: Python<'py>, root: &[u8], address: &[u8]) -> PyResult<Option<AccountOut<'py>>> {
        let (root, address) = (edge::word(root)?, edge::address(address)?);
        let account = detached(py, || Ok(self.engine.state(root, Ancestors::default())?.account(&address)?))?;
        account.map(|account| account_out(py, &account)).transpose()
    }

    fn accounts<'py>(
        &self,
        py: Python<'py>,
        root: &[u8],
        addresses: Vec<[u8; 20]>,
    ) -> PyResult<Vec<(u64, Bound<'py, PyAny>)>> {
        let root = edge::word(root)?;
        let pairs = detached(py, || {
            let state = self.engine.state(root, Ancestors::default())?;
            let pair = |address: &[u8; 20]| {
                let account = state.account(&Address::from(address))?;
                Ok(account.map_or((0, U256::ZERO), |account| (account.nonce, account.balance)))
            };
            addresses.iter().map(pair).collect::<std::result::Result<Vec<_>, StateError>>().map_err(Error::from)
        })?;
        pairs.into_iter().map(|(nonce, balance)| Ok((nonce, int(py, balance)?))).collect()
    }

    fn storage(&self, py: Python<'_>, root: &[u8], address: &[u8], slot: &[u8]) -> Result<[u8; 32]> {
        let (root, address, slot) = (edge::word(root)?, edge::address(address)?, edge::word(slot)?);
        detached(py, || {
            let state = self.engine.state(root, Ancestors::default())?;
            Ok(revm::DatabaseRef::storage_ref(&state, address, slot.into())?.to_be_bytes())
        })
    }

    fn code<'py>(&self, py: Python<'py>, root: &[u8], address: &[u8]) -> Result<Bound<'py, PyBytes>> {
        let (root, address) = (edge::word(root)?, edge::address(address)?);
        let code = detached(py, || {
            let state = self.engine.state(root, Ancestors::default())?;
            let Some(account) = state.account(&address)? else { return Ok(Bytes::new()) };
            Ok(state.code(&account.code_hash)?)
        })?;
        Ok(PyBytes::new(py, &code))
    }

    fn proof<'py>(
        &self,
        py: Python<'py>,
        root: &[u8],
        address: &[u8],
        slots: Vec<[u8; 32]>,
    ) -> PyResult<ProofOut<'py>> {
        let (root, address) = (edge::word(root)?, edge::address(address)?);
        let slots: Vec<U256> = slots.into_iter().map(U256::from_be_bytes).collect();
        let (account, nodes, slots) = detached(py, || {
            let state = self.engine.state(root, Ancestors::default())?;
            let account = state.account(&address)?.unwrap_or_default();
            let (nodes, proofs) = state.proof(&address, &slots)?;
            let value = |slot| Ok(revm::DatabaseRef::storage_ref(&state, address, slot)?.to_be_bytes::<32>());
            let values = slots.into_iter().map(value).collect::<Result<Vec<_>>>()?;
            Ok((account, nodes, values.into_iter().zip(proofs).collect::<Vec<_>>()))
        })?;
        let slots = slots.into_iter().map(|(value, nodes)| (PyBytes::new(py, &value), bytes_list(py, nodes)));
        Ok((account_out(py, &account)?, bytes_list(py, nodes), slots.collect()))
    }

    // -- without a state

    /// Judges a block from a witness alone: no disk, no threads, nothing remembered.
    fn stateless(
        &self,
        py: Python<'_>,
        parent_header: &[u8],
        block: &[u8],
        nodes: Vec<PyBackedBytes>,
        codes: Vec<PyBackedBytes>,
        headers: Vec<PyBackedBytes>,
    ) -> Result<BlockResult> {
        let (parent, block) = (edge::header(parent_header)?, Bytes::copy_from_slice(block));
        detached(py, || {
            let bytes = |items: &[PyBackedBytes]| items.iter().map(|item| Bytes::copy_from_slice(item)).collect();
            if let Some(spec) = &self.engine.rollup {
                return crate::stateless::execute_rollup(spec, &parent, block, bytes(&nodes), bytes(&codes));
            }
            let headers: Vec<Bytes> = bytes(&headers);
            crate::stateless::execute(
                &self.engine.spec,
                &parent,
                block,
                bytes(&nodes),
                bytes(&codes),
                &headers,
                self.engine.step(),
            )
        })
    }
}

fn account_out<'py>(py: Python<'py>, account: &crate::state::StoredAccount) -> PyResult<AccountOut<'py>> {
    let hash = |hash: &B256| PyBytes::new(py, hash.as_slice());
    Ok((account.nonce, int(py, account.balance)?, hash(&account.code_hash), hash(&account.storage_root)))
}

/// What decoding gives.
#[derive(IntoPyObject)]
enum DecodeOut {
    Accepted(NativeTransaction),
    Refused((&'static str, String)),
}

/// A decoded transaction with its recovered sender.
#[pyclass(frozen)]
pub struct NativeTransaction {
    tx: Prepared,
    authorities: Vec<Address>,
    intrinsic_gas: u64,
}

impl NativeTransaction {
    fn new(tx: Prepared, rules: revm::primitives::hardfork::SpecId) -> Self {
        let authorities = transactions::authorities(tx.1.inner());
        let intrinsic_gas = transactions::intrinsic_gas(tx.1.inner(), rules);
        Self { tx, authorities, intrinsic_gas }
    }
}

#[pymethods]
impl NativeTransaction {
    #[getter]
    fn hash(&self) -> &[u8] {
        self.tx.1.inner().tx_hash().as_slice()
    }
    #[getter]
    fn sender(&self) -> &[u8] {
        self.tx.1.signer_ref().as_slice()
    }
    #[getter]
    fn to(&self) -> Option<[u8; 20]> {
        self.tx.1.inner().to().map(Address::into_array)
    }
    #[getter]
    fn kind(&self) -> u8 {
        self.tx.1.inner().ty()
    }
    #[getter]
    fn nonce(&self) -> u64 {
        self.tx.1.inner().nonce()
    }
    #[getter]
    fn gas_limit(&self) -> u64 {
        self.tx.1.inner().gas_limit()
    }
    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        int(py, self.tx.1.inner().value())
    }
    #[getter]
    fn max_fee_per_gas(&self) -> u128 {
        self.tx.1.inner().max_fee_per_gas()
    }
    #[getter]
    fn max_priority_fee_per_gas(&self) -> u128 {
        self.tx.1.inner().max_priority_fee_per_gas().unwrap_or_else(|| self.tx.1.inner().max_fee_per_gas())
    }
    #[getter]
    fn max_fee_per_blob_gas(&self) -> u128 {
        self.tx.1.inner().max_fee_per_blob_gas().unwrap_or_default()
    }
    #[getter]
    fn blob_hashes<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        bytes_list(py, self.tx.1.inner().blob_versioned_hashes().unwrap_or_default())
    }
    #[getter]
    fn authorities<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        bytes_list(py, &self.authorities)
    }
    #[getter]
    fn intrinsic_gas(&self) -> u64 {
        self.intrinsic_gas
    }
    #[getter]
    fn size(&self) -> usize {
        self.tx.encoded_bytes().len()
    }
    #[getter]
    fn raw(&self) -> &[u8] {
        self.tx.encoded_bytes()
    }
}
