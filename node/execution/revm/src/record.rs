//! The receipts record: what rendering needs of a block besides its RLP, so that nothing is executed or recovered again.
//!
//! RLP: a list of entries in block order. Blooms are left out (they follow from the logs).

use crate::{
    errors::{Error, Result},
    store::StoreError,
};
use alloy_consensus::{Eip658Value, Receipt, ReceiptEnvelope, TxType};
use alloy_primitives::{Address, B256, Bytes, Log};
use alloy_rlp::{Decodable, RlpDecodable, RlpEncodable};

/// One transaction's receipt, and its sender.
#[derive(Debug, Clone, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Entry {
    /// EIP-2718 type.
    pub kind: u8,
    /// One byte, 0 or 1; before Byzantium the state's root after the transaction.
    pub outcome: Bytes,
    /// Gas of the block up to here.
    pub cumulative_gas_used: u64,
    /// Who signed.
    pub sender: Address,
    /// In order.
    pub logs: Vec<Log>,
}

impl Entry {
    /// An entry from a receipt.
    pub fn new(receipt: &ReceiptEnvelope, sender: Address) -> Self {
        let plain = receipt.as_receipt().expect("every kind has one");
        let outcome = match plain.status {
            Eip658Value::Eip658(success) => Bytes::from(vec![u8::from(success)]),
            Eip658Value::PostState(root) => Bytes::copy_from_slice(root.as_slice()),
        };
        Self {
            kind: receipt.tx_type() as u8,
            outcome,
            cumulative_gas_used: plain.cumulative_gas_used,
            sender,
            logs: plain.logs.clone(),
        }
    }

    /// The receipt, its bloom computed.
    pub fn receipt(&self) -> Result<ReceiptEnvelope> {
        let kind = TxType::try_from(self.kind).map_err(|_| damaged("a type"))?;
        let status = match &self.outcome[..] {
            [status @ (0 | 1)] => Eip658Value::Eip658(*status == 1),
            root => Eip658Value::PostState(B256::try_from(root).map_err(|_| damaged("an outcome"))?),
        };
        let receipt = Receipt { status, cumulative_gas_used: self.cumulative_gas_used, logs: self.logs.clone() };
        Ok(ReceiptEnvelope::from_typed(kind, receipt))
    }

    /// Whether it succeeded; `None` before Byzantium.
    pub fn success(&self) -> Option<bool> {
        (self.outcome.len() == 1).then(|| self.outcome[0] == 1)
    }
}

/// Encodes a block's entries.
pub fn encode(receipts: &[ReceiptEnvelope], senders: &[Address]) -> Vec<u8> {
    let entries: Vec<Entry> =
        receipts.iter().zip(senders).map(|(receipt, sender)| Entry::new(receipt, *sender)).collect();
    alloy_rlp::encode(&entries)
}

/// Decodes what [`encode`] gave.
pub fn decode(mut record: &[u8]) -> Result<Vec<Entry>> {
    let entries = Vec::<Entry>::decode(&mut record).map_err(damaged)?;
    if record.is_empty() { Ok(entries) } else { Err(damaged("bytes left over")) }
}

/// Records come from our own tables: what is wrong with one is damage.
pub fn damaged(what: impl std::fmt::Display) -> Error {
    Error::Store(StoreError::Damaged(format!("receipts record: {what}")))
}
