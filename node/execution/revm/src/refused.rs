//! A block that execution refused, as geth's `debug_getBadBlocks` prints it: nothing is known of it but its own bytes.

use crate::{
    block::Block,
    edge::detached,
    engine::NativeEngine,
    errors::{Error, Result},
    header, json,
    render::{BlockJson, Place, TransactionJson, TransactionsJson},
    transactions::{self, prepare_all_by},
};
use alloy_primitives::Bytes;
use pyo3::{prelude::*, types::PyBytes};

#[pymethods]
impl NativeEngine {
    /// A whole block that no receipts are known of, with its transactions. Raises InvalidBlock if the bytes are none, or
    /// if the body is not the header's: such a copy says nothing about the block with that hash.
    ///
    /// Where a signature is none the sender is zero, as in geth.
    fn refused_block_json<'py>(&self, py: Python<'py>, block: &[u8]) -> Result<Bound<'py, PyBytes>> {
        let json = detached(py, || {
            let block = Block::decode(Bytes::copy_from_slice(block))?;
            header::check_body(&block)?;
            let signing = self.engine.spec.signing(block.header.number);
            let senders = prepare_all_by(&block.transactions, signing, &self.engine.senders)
                .into_iter()
                .map(|prepared| prepared.map(|tx| tx.1.signer()).unwrap_or_default());
            let render = |(index, (raw, sender)): (usize, (&Bytes, _))| {
                let tx = transactions::decode(raw)
                    .map_err(|refusal| Error::invalid("transaction", "a transaction", refusal.message))?;
                let place = Place { hash: block.hash, header: &block.header, index };
                Ok(TransactionJson::new(&tx, sender, Some(place)))
            };
            let all = block.transactions.iter().zip(senders).enumerate().map(render);
            let transactions = TransactionsJson::Full(all.collect::<Result<_>>()?);
            json::bytes_within(&BlockJson::new(&block, transactions), json::SIZE_MAX)
        })?;
        Ok(PyBytes::new(py, &json))
    }
}
