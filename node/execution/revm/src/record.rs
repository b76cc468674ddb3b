//! The receipts record: what rendering needs of a block besides its RLP, so that nothing is executed or recovered again.
//!
//! RLP: a list of entries in block order; behind it, if a rollup's block has charged any, the fees of L1.
//! Blooms are left out (they follow from the logs).

use crate::{
    errors::{Error, Result},
    store::StoreError,
};
use alloy_consensus::{Eip658Value, Receipt, ReceiptEnvelope, TxReceipt, TxType};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, Log, U256};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use op_alloy_consensus::{OpDepositReceipt, OpReceiptEnvelope};
use op_revm::L1BlockInfo;

/// Canyon's: a deposit's nonce and this are hashed with its receipt.
pub const DEPOSIT_RECEIPT_VERSION: u64 = 1;

/// One transaction's receipt, and its sender.
#[derive(Debug, Clone, PartialEq, Eq, RlpEncodable, RlpDecodable)]
#[rlp(trailing)]
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
    /// The depositor's nonce before a deposit, big-endian (a trailing number could not be told from none if it is 0).
    pub depositor: Option<B64>,
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
            depositor: None,
        }
    }

    /// The EIP-2718 receipt and its bloom.
    pub fn encoded(&self) -> Result<(Vec<u8>, Bloom)> {
        let receipt = self.receipt()?;
        let logs_bloom = receipt.bloom();
        let Some(nonce) = self.deposit_nonce() else {
            let kind = TxType::try_from(self.kind).map_err(|_| damaged("a type"))?;
            return Ok((ReceiptEnvelope::from_typed(kind, receipt).encoded_2718(), logs_bloom));
        };
        let receipt = OpDepositReceipt {
            inner: receipt,
            deposit_nonce: Some(nonce),
            deposit_receipt_version: Some(DEPOSIT_RECEIPT_VERSION),
        };
        Ok((OpReceiptEnvelope::Deposit(receipt.with_bloom_unchecked(logs_bloom)).encoded_2718(), logs_bloom))
    }

    fn receipt(&self) -> Result<Receipt> {
        let status = match &self.outcome[..] {
            [status @ (0 | 1)] => Eip658Value::Eip658(*status == 1),
            root => Eip658Value::PostState(B256::try_from(root).map_err(|_| damaged("an outcome"))?),
        };
        Ok(Receipt { status, cumulative_gas_used: self.cumulative_gas_used, logs: self.logs.clone() })
    }

    /// The depositor's nonce before a deposit; deposits alone have it.
    pub fn deposit_nonce(&self) -> Option<u64> {
        self.depositor.map(u64::from)
    }

    /// Whether it succeeded; `None` before Byzantium.
    pub fn success(&self) -> Option<bool> {
        (self.outcome.len() == 1).then(|| self.outcome[0] == 1)
    }
}

/// What a rollup's block charges for L1, and to its operator: what L1Block held when it ran.
#[derive(Debug, Clone, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Fees {
    pub l1_base_fee: U256,
    pub l1_base_fee_scalar: u32,
    pub l1_blob_base_fee: U256,
    pub l1_blob_base_fee_scalar: u32,
    pub operator_fee_scalar: u32,
    pub operator_fee_constant: u64,
}

impl Fees {
    /// As op-revm has read them.
    pub fn new(info: &L1BlockInfo) -> Self {
        Self {
            l1_base_fee: info.l1_base_fee,
            l1_base_fee_scalar: info.l1_base_fee_scalar.saturating_to(),
            l1_blob_base_fee: info.l1_blob_base_fee.unwrap_or_default(),
            l1_blob_base_fee_scalar: info.l1_blob_base_fee_scalar.unwrap_or_default().saturating_to(),
            operator_fee_scalar: info.operator_fee_scalar.unwrap_or_default().saturating_to(),
            operator_fee_constant: info.operator_fee_constant.unwrap_or_default().saturating_to(),
        }
    }

    /// As op-revm computes with them.
    pub fn info(&self) -> L1BlockInfo {
        L1BlockInfo {
            l1_base_fee: self.l1_base_fee,
            l1_base_fee_scalar: U256::from(self.l1_base_fee_scalar),
            l1_blob_base_fee: Some(self.l1_blob_base_fee),
            l1_blob_base_fee_scalar: Some(U256::from(self.l1_blob_base_fee_scalar)),
            operator_fee_scalar: Some(U256::from(self.operator_fee_scalar)),
            operator_fee_constant: Some(U256::from(self.operator_fee_constant)),
            ..Default::default()
        }
    }
}

/// A decoded record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub entries: Vec<Entry>,
    pub fees: Option<Fees>,
}

/// The entries of receipts.
pub fn entries(receipts: &[ReceiptEnvelope], senders: &[Address]) -> Vec<Entry> {
    receipts.iter().zip(senders).map(|(receipt, sender)| Entry::new(receipt, *sender)).collect()
}

/// Encodes a block's entries, and the fees of L1.
pub fn encode(entries: &[Entry], fees: Option<&Fees>) -> Vec<u8> {
    let mut record = Vec::new();
    alloy_rlp::encode_list(entries, &mut record);
    if let Some(fees) = fees {
        fees.encode(&mut record);
    }
    record
}

/// Decodes what [`encode`] gave.
pub fn decode(mut rest: &[u8]) -> Result<Record> {
    let entries = Vec::<Entry>::decode(&mut rest).map_err(damaged)?;
    let fees = if rest.is_empty() { None } else { Some(Fees::decode(&mut rest).map_err(damaged)?) };
    if rest.is_empty() { Ok(Record { entries, fees }) } else { Err(damaged("bytes left over")) }
}

/// Records come from our own tables: what is wrong with one is damage.
pub fn damaged(what: impl std::fmt::Display) -> Error {
    Error::Store(StoreError::Damaged(format!("receipts record: {what}")))
}
