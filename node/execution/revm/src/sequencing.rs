//! A rollup's blocks as Python asks for them: derived, sequenced, from a witness.

use crate::{
    backing::View,
    builder::Outcome,
    deposits::Deposit,
    deriving::Context,
    edge::{self, Ancestors, detached},
    engine::{Engine, NativeEngine},
    errors::{Error, Result},
    l2::Open,
    memory::MemoryStore,
    result::BlockResult,
    rollup::Attributes,
    stateless::insufficient,
    transactions::{Senders, prepare_sequenced},
};
use alloy_consensus::Header;
use alloy_primitives::Bytes;
use pyo3::{prelude::*, pybacked::PyBackedBytes};
use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Instant,
};

/// Inputs of a block as Python gives them.
struct Inputs {
    parent_rlp: Bytes,
    parent: Header,
    attributes: Attributes,
    deposits: Vec<Deposit>,
}

impl Inputs {
    fn new(
        parent_header: &[u8],
        timestamp: u64,
        mix_hash: [u8; 32],
        parent_beacon_block_root: [u8; 32],
        deposits: &[PyBackedBytes],
    ) -> Result<Self> {
        let parent_rlp = Bytes::copy_from_slice(parent_header);
        let attributes = Attributes {
            timestamp,
            mix_hash: mix_hash.into(),
            parent_beacon_block_root: parent_beacon_block_root.into(),
        };
        Ok(Self {
            parent: edge::header(&parent_rlp)?,
            parent_rlp,
            attributes,
            deposits: deposits.iter().map(|raw| Deposit::decode(Bytes::copy_from_slice(raw))).collect::<Result<_>>()?,
        })
    }

    /// What executes the block again if pruning came between.
    fn origin(&self) -> (Bytes, Ancestors) {
        (self.parent_rlp.clone(), Ancestors::default())
    }
}

fn copied(items: &[PyBackedBytes]) -> Vec<Bytes> {
    items.iter().map(|item| Bytes::copy_from_slice(item)).collect()
}

fn derive(engine: &Engine, inputs: &Inputs, raws: &[Bytes], record_witness: bool) -> Result<(BlockResult, bool)> {
    let context = Context { spec: engine.rollup()?, parent: &inputs.parent, senders: Some(&engine.senders) };
    let (attributes, deposits, view) = (&inputs.attributes, &inputs.deposits[..], engine.backing()?.view());
    let (mut result, is_full) = if record_witness {
        context.derive_with_witness(attributes, deposits, raws, view)?
    } else {
        context.derive(attributes, deposits, raws, view)?
    };
    result.origin = Some(inputs.origin());
    Ok((result, is_full))
}

/// A rollup block under construction as Python holds it. Not to be used from two threads at once.
#[pyclass(frozen)]
pub struct NativeL2Builder {
    building: Mutex<Option<Building>>,
    senders: Arc<Senders>,
    chain_id: u64,
    origin: (Bytes, Ancestors),
}

/// An open block, and how long recovery and execution took.
struct Building {
    open: Open<View>,
    seconds: (f64, f64),
}

impl Building {
    fn push(&mut self, raws: &[Bytes], chain_id: u64, senders: &Senders) -> Result<Vec<Outcome>> {
        let start = Instant::now();
        let prepared = prepare_sequenced(raws, chain_id, senders);
        self.seconds.0 += start.elapsed().as_secs_f64();
        let start = Instant::now();
        let outcomes = self.open.offer(prepared.iter())?;
        self.seconds.1 += start.elapsed().as_secs_f64();
        Ok(outcomes)
    }
}

impl NativeL2Builder {
    fn lock(&self) -> Result<MutexGuard<'_, Option<Building>>> {
        self.building.try_lock().map_err(|_| Error::Fatal("the builder is in use by another thread".into()))
    }

    /// Takes the block out; it is put back unless something fails.
    fn take(&self) -> Result<Building> {
        self.lock()?.take().ok_or_else(spent)
    }

    fn look<T>(&self, at: impl FnOnce(&Open<View>) -> T) -> Result<T> {
        self.lock()?.as_ref().map(|building| at(&building.open)).ok_or_else(spent)
    }
}

fn spent() -> Error {
    Error::Fatal("the builder is spent".into())
}

#[pymethods]
impl NativeL2Builder {
    /// Offers raw transactions in order: (reason, message) of each, empty for those that are in the block now.
    fn push(&self, py: Python<'_>, transactions: Vec<PyBackedBytes>) -> Result<Vec<(&'static str, String)>> {
        detached(py, || {
            let raws = copied(&transactions);
            let mut building = self.take()?;
            let outcomes = building.push(&raws, self.chain_id, &self.senders)?;
            *self.lock()? = Some(building);
            Ok(outcomes.into_iter().map(|outcome| (outcome.reason, outcome.message)).collect())
        })
    }

    #[getter]
    fn gas_left(&self) -> Result<u64> {
        self.look(Open::gas_left)
    }

    #[getter]
    fn bytes_left(&self) -> Result<usize> {
        self.look(Open::bytes_left)
    }

    #[getter]
    fn witness_left(&self) -> Result<usize> {
        self.look(Open::witness_left)
    }

    /// Closes the block.
    fn seal(&self, py: Python<'_>) -> Result<BlockResult> {
        detached(py, || {
            let Building { open, seconds } = self.take()?;
            let (mut result, _) = open.close(seconds)?;
            result.origin = Some(self.origin.clone());
            Ok(result)
        })
    }
}

#[pymethods]
impl NativeEngine {
    /// The block that inputs give, and whether it holds the transactions.
    #[pyo3(signature = (
        parent_header, timestamp, mix_hash, parent_beacon_block_root, deposits, transactions, ancestors, *,
        record_witness=false
    ))]
    #[allow(clippy::too_many_arguments)]
    fn derive(
        &self,
        py: Python<'_>,
        parent_header: &[u8],
        timestamp: u64,
        mix_hash: [u8; 32],
        parent_beacon_block_root: [u8; 32],
        deposits: Vec<PyBackedBytes>,
        transactions: Vec<PyBackedBytes>,
        ancestors: &[u8],
        record_witness: bool,
    ) -> Result<(BlockResult, bool)> {
        let _ = ancestors; // the state holds them
        let inputs = Inputs::new(parent_header, timestamp, mix_hash, parent_beacon_block_root, &deposits)?;
        detached(py, || self::derive(&self.engine, &inputs, &copied(&transactions), record_witness))
    }

    /// As `derive`, from a witness alone: no disk, no threads, nothing remembered.
    #[allow(clippy::too_many_arguments)]
    fn derive_stateless(
        &self,
        py: Python<'_>,
        parent_header: &[u8],
        timestamp: u64,
        mix_hash: [u8; 32],
        parent_beacon_block_root: [u8; 32],
        deposits: Vec<PyBackedBytes>,
        transactions: Vec<PyBackedBytes>,
        nodes: Vec<PyBackedBytes>,
        codes: Vec<PyBackedBytes>,
    ) -> Result<(BlockResult, bool)> {
        let inputs = Inputs::new(parent_header, timestamp, mix_hash, parent_beacon_block_root, &deposits)?;
        detached(py, || {
            let source = Arc::new(MemoryStore::from_witness(copied(&nodes), copied(&codes)));
            let context = Context { spec: self.engine.rollup()?, parent: &inputs.parent, senders: None };
            context.derive(&inputs.attributes, &inputs.deposits, &copied(&transactions), source).map_err(insufficient)
        })
    }

    /// Opens a block on the parent's state; its deposits are in it.
    #[allow(clippy::too_many_arguments)]
    fn sequence(
        &self,
        py: Python<'_>,
        parent_header: &[u8],
        timestamp: u64,
        mix_hash: [u8; 32],
        parent_beacon_block_root: [u8; 32],
        deposits: Vec<PyBackedBytes>,
        ancestors: &[u8],
    ) -> Result<NativeL2Builder> {
        let _ = ancestors; // the state holds them
        let inputs = Inputs::new(parent_header, timestamp, mix_hash, parent_beacon_block_root, &deposits)?;
        detached(py, || {
            let engine = &self.engine;
            let spec = engine.rollup()?;
            let start = Instant::now();
            let context = Context { spec, parent: &inputs.parent, senders: Some(&engine.senders) };
            let header = inputs.attributes.header(spec, &inputs.parent)?;
            let open = context.open(engine.backing()?.view(), header, &inputs.deposits)?;
            let building = Building { open, seconds: (0.0, start.elapsed().as_secs_f64()) };
            Ok(NativeL2Builder {
                building: Mutex::new(Some(building)),
                senders: engine.senders.clone(),
                chain_id: spec.chain_id,
                origin: inputs.origin(),
            })
        })
    }
}
