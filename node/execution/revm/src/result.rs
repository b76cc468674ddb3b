//! What executing or building a block gives, as Python sees it.

use crate::{block::Block, edge::Ancestors, l1::Executed, record, state::Update, witness::Witness};
use alloy_primitives::{B256, Bytes, U256};
use pyo3::{
    prelude::*,
    types::{PyBytes, PyInt},
};

/// Trie nodes, codes, hashes of ancestors.
type WitnessOut<'py> = (Vec<Bound<'py, PyBytes>>, Vec<Bound<'py, PyBytes>>, Vec<Bound<'py, PyBytes>>);

/// A block and what its execution gave. It holds the state's changes until `commit` stores them.
#[pyclass(frozen)]
pub struct BlockResult {
    pub rlp: Bytes,
    pub hash: B256,
    pub number: u64,
    /// Hashes of its transactions.
    pub transactions: Vec<B256>,
    /// Their bytes; they share the block's, or the pool's.
    pub raws: Vec<Bytes>,
    pub executed: Executed,
    pub record: Vec<u8>,
    pub witness: Option<Witness>,
    /// What executes it again if pruning came between: parent's header, ancestors.
    pub origin: Option<(Bytes, Ancestors)>,
    /// Decoding with recovery, execution, state root.
    pub seconds: (f64, f64, f64),
}

impl BlockResult {
    /// Puts together what a run gave.
    pub fn new(block: &Block, transactions: Vec<B256>, executed: Executed, seconds: (f64, f64, f64)) -> Self {
        Self {
            rlp: block.rlp.clone(),
            hash: block.hash,
            number: block.header.number,
            transactions,
            raws: block.transactions.clone(),
            record: record::encode(&executed.receipts, &executed.senders),
            executed,
            witness: None,
            origin: None,
            seconds,
        }
    }

    /// What the block changes in the store.
    pub fn update(&self) -> &Update {
        &self.executed.update
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
        self.executed.gas_used
    }
    #[getter]
    fn requests<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        bytes_list(py, self.executed.requests.iter())
    }
    #[getter]
    fn receipts(&self) -> &[u8] {
        &self.record
    }
    #[getter]
    fn transaction_hashes<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        bytes_list(py, &self.transactions)
    }
    #[getter]
    fn senders<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        bytes_list(py, &self.executed.senders)
    }
    #[getter]
    fn witness<'py>(&self, py: Python<'py>) -> Option<WitnessOut<'py>> {
        let witness = self.witness.as_ref()?;
        let hashes = bytes_list(py, &self.executed.hashes);
        Some((bytes_list(py, witness.nodes.values()), bytes_list(py, witness.codes.values()), hashes))
    }
    #[getter]
    fn seconds(&self) -> (f64, f64, f64) {
        self.seconds
    }
}
