//! What executing or building a block gives, as Python sees it.

use crate::{block::Block, edge::Ancestors, meter::Size, state::Update, witness::Witness};
use alloy_eips::eip7685::Requests;
use alloy_primitives::{Address, B256, Bytes, U256};
use pyo3::{
    prelude::*,
    types::{PyBytes, PyInt},
};

/// Trie nodes, codes, hashes of ancestors.
type WitnessOut<'py> = (Vec<Bound<'py, PyBytes>>, Vec<Bound<'py, PyBytes>>, Vec<Bound<'py, PyBytes>>);

/// What the execution of a block gives, besides the block.
#[derive(Debug, Default)]
pub struct Contents {
    /// Hashes of its transactions.
    pub transactions: Vec<B256>,
    pub senders: Vec<Address>,
    pub gas_used: u64,
    pub requests: Requests,
    /// What it changes in the store.
    pub update: Update,
    pub record: Vec<u8>,
    /// Its witness by the rule; zero on an L1, which has none.
    pub witness: Size,
    /// Hashes of the ancestors down to the oldest that was asked for.
    pub ancestors: Vec<B256>,
}

/// A block and what its execution gave. It holds the state's changes until `commit` stores them.
#[pyclass(frozen)]
pub struct BlockResult {
    pub rlp: Bytes,
    pub hash: B256,
    pub number: u64,
    /// Its transactions' bytes; they share the block's, or the pool's.
    pub raws: Vec<Bytes>,
    pub contents: Contents,
    pub witness: Option<Witness>,
    /// What executes it again if pruning came between: parent's header, ancestors.
    pub origin: Option<(Bytes, Ancestors)>,
    /// Decoding with recovery, execution, state root.
    pub seconds: (f64, f64, f64),
}

impl BlockResult {
    /// Puts together what a run gave.
    pub fn new(block: &Block, contents: Contents, seconds: (f64, f64, f64)) -> Self {
        Self {
            rlp: block.rlp.clone(),
            hash: block.hash,
            number: block.header.number,
            raws: block.transactions.clone(),
            contents,
            witness: None,
            origin: None,
            seconds,
        }
    }

    /// What the block changes in the store.
    pub fn update(&self) -> &Update {
        &self.contents.update
    }
}

/// A Python int.
pub fn int(py: Python<'_>, value: U256) -> PyResult<Bound<'_, PyAny>> {
    if let Ok(small) = u64::try_from(value) {
        return Ok(small.into_pyobject(py)?.into_any());
    }
    if let Ok(middle) = u128::try_from(value) {
        return Ok(middle.into_pyobject(py)?.into_any());
    }
    py.get_type::<PyInt>().call_method1("from_bytes", (PyBytes::new(py, &value.to_be_bytes::<32>()), "big"))
}

/// Python bytes of many items.
pub fn bytes_list<'py, T: AsRef<[u8]>>(
    py: Python<'py>,
    items: impl IntoIterator<Item = T>,
) -> Vec<Bound<'py, PyBytes>> {
    items.into_iter().map(|item| PyBytes::new(py, item.as_ref())).collect()
}

#[pymethods]
impl BlockResult {
    #[getter]
    fn block(&self) -> &[u8] {
        &self.rlp
    }
    #[getter]
    fn block_hash(&self) -> &[u8] {
        self.hash.as_slice()
    }
    #[getter]
    fn state_root(&self) -> &[u8] {
        self.update().root.as_slice()
    }
    #[getter]
    fn gas_used(&self) -> u64 {
        self.contents.gas_used
    }
    #[getter]
    fn requests<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        bytes_list(py, self.contents.requests.iter())
    }
    #[getter]
    fn receipts(&self) -> &[u8] {
        &self.contents.record
    }
    #[getter]
    fn transaction_hashes<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        bytes_list(py, &self.contents.transactions)
    }
    #[getter]
    fn senders<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        bytes_list(py, &self.contents.senders)
    }
    #[getter]
    fn witness<'py>(&self, py: Python<'py>) -> Option<WitnessOut<'py>> {
        let witness = self.witness.as_ref()?;
        let hashes = bytes_list(py, &self.contents.ancestors);
        Some((bytes_list(py, witness.nodes.values()), bytes_list(py, witness.codes.values()), hashes))
    }
    #[getter]
    fn witness_size(&self) -> (usize, usize, usize) {
        let Size { nodes, codes, siblings } = self.contents.witness;
        (nodes, codes, siblings)
    }
    #[getter]
    fn seconds(&self) -> (f64, f64, f64) {
        self.seconds
    }
}
