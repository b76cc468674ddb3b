//! Blocks, headers and transactions as geth prints them (`internal/ethapi`: RPCMarshalBlock, newRPCTransaction).

use crate::{
    block::Block,
    deposits::{BlockTx, DEPOSIT, Deposit},
    edge::{self, detached},
    engine::NativeEngine,
    errors::{Error, Result},
    json::{self, Quantity, wide},
    record::{self, DEPOSIT_RECEIPT_VERSION, Entry, Fees, Record},
    result::bytes_list,
    transactions::{self, L1Tx},
};
use alloy_consensus::{Header, Transaction, Typed2718};
use alloy_eips::{eip2930::AccessList, eip4895::Withdrawal, eip7702::SignedAuthorization};
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256, keccak256};
use pyo3::{prelude::*, pybacked::PyBackedBytes, types::PyBytes};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeaderJson<'a> {
    number: Quantity,
    hash: B256,
    parent_hash: B256,
    nonce: B64,
    mix_hash: B256,
    sha3_uncles: B256,
    logs_bloom: &'a Bloom,
    state_root: B256,
    miner: Address,
    difficulty: U256,
    extra_data: &'a Bytes,
    gas_limit: Quantity,
    gas_used: Quantity,
    timestamp: Quantity,
    transactions_root: B256,
    receipts_root: B256,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_fee_per_gas: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    withdrawals_root: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob_gas_used: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    excess_blob_gas: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_beacon_block_root: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_hash: Option<B256>,
}

impl<'a> HeaderJson<'a> {
    /// A header's.
    pub fn new(header: &'a Header, hash: B256) -> Self {
        Self {
            number: Quantity(header.number),
            hash,
            parent_hash: header.parent_hash,
            nonce: header.nonce,
            mix_hash: header.mix_hash,
            sha3_uncles: header.ommers_hash,
            logs_bloom: &header.logs_bloom,
            state_root: header.state_root,
            miner: header.beneficiary,
            difficulty: header.difficulty,
            extra_data: &header.extra_data,
            gas_limit: Quantity(header.gas_limit),
            gas_used: Quantity(header.gas_used),
            timestamp: Quantity(header.timestamp),
            transactions_root: header.transactions_root,
            receipts_root: header.receipts_root,
            base_fee_per_gas: header.base_fee_per_gas.map(Quantity),
            withdrawals_root: header.withdrawals_root,
            blob_gas_used: header.blob_gas_used.map(Quantity),
            excess_blob_gas: header.excess_blob_gas.map(Quantity),
            parent_beacon_block_root: header.parent_beacon_block_root,
            requests_hash: header.requests_hash,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WithdrawalJson {
    index: Quantity,
    validator_index: Quantity,
    address: Address,
    amount: Quantity,
}

impl From<&Withdrawal> for WithdrawalJson {
    fn from(withdrawal: &Withdrawal) -> Self {
        Self {
            index: Quantity(withdrawal.index),
            validator_index: Quantity(withdrawal.validator_index),
            address: withdrawal.address,
            amount: Quantity(withdrawal.amount),
        }
    }
}

/// Hashes, or whole transactions.
#[derive(Serialize)]
#[serde(untagged)]
pub enum TransactionsJson {
    Hashes(Vec<B256>),
    Full(Vec<TransactionJson>),
}

#[derive(Serialize)]
pub struct BlockJson<'a> {
    #[serde(flatten)]
    pub header: HeaderJson<'a>,
    pub size: Quantity,
    pub transactions: TransactionsJson,
    pub uncles: Vec<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withdrawals: Option<Vec<WithdrawalJson>>,
}

impl<'a> BlockJson<'a> {
    /// A block's, with its transactions in either form.
    pub fn new(block: &'a Block, transactions: TransactionsJson) -> Self {
        Self {
            header: HeaderJson::new(&block.header, block.hash),
            size: block.rlp.len().into(),
            transactions,
            uncles: block.ommers.iter().map(Header::hash_slow).collect(),
            withdrawals: block.withdrawals.as_ref().map(|list| list.iter().map(Into::into).collect()),
        }
    }
}

/// Where a transaction stands.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub hash: B256,
    pub header: &'a Header,
    pub index: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizationJson {
    chain_id: U256,
    address: Address,
    nonce: Quantity,
    y_parity: Quantity,
    r: U256,
    s: U256,
}

impl From<&SignedAuthorization> for AuthorizationJson {
    fn from(authorization: &SignedAuthorization) -> Self {
        Self {
            chain_id: authorization.chain_id,
            address: authorization.address,
            nonce: Quantity(authorization.nonce),
            y_parity: Quantity(authorization.y_parity().into()),
            r: authorization.r(),
            s: authorization.s(),
        }
    }
}

/// In geth's order; what a type lacks is left out.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TransactionJson {
    block_hash: Option<B256>,
    block_number: Option<Quantity>,
    block_timestamp: Option<Quantity>,
    from: Address,
    gas: Quantity,
    gas_price: U256,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_fee_per_gas: Option<U256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_priority_fee_per_gas: Option<U256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_fee_per_blob_gas: Option<U256>,
    pub hash: B256,
    input: Bytes,
    nonce: Quantity,
    to: Option<Address>,
    transaction_index: Option<Quantity>,
    value: U256,
    #[serde(rename = "type")]
    kind: Quantity,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_list: Option<AccessList>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob_versioned_hashes: Option<Vec<B256>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_list: Option<Vec<AuthorizationJson>>,
    pub v: U256,
    r: U256,
    s: U256,
    #[serde(skip_serializing_if = "Option::is_none")]
    y_parity: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_hash: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mint: Option<U256>,
    /// op-geth prints it only where it is true.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_system_tx: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deposit_receipt_version: Option<Quantity>,
}

impl TransactionJson {
    /// A deposit: unsigned, with the nonce that its sender had.
    fn deposit(deposit: &Deposit, nonce: u64, place: Place<'_>) -> Self {
        let tx = &deposit.tx;
        Self {
            block_hash: Some(place.hash),
            block_number: Some(Quantity(place.header.number)),
            block_timestamp: Some(Quantity(place.header.timestamp)),
            from: tx.from,
            gas: Quantity(tx.gas_limit),
            hash: deposit.hash,
            input: tx.input.clone(),
            nonce: Quantity(nonce),
            to: tx.to.to().copied(),
            transaction_index: Some(place.index.into()),
            value: tx.value,
            kind: Quantity(DEPOSIT.into()),
            source_hash: Some(tx.source_hash),
            mint: (tx.mint > 0).then(|| wide(tx.mint)),
            is_system_tx: tx.is_system_transaction.then_some(true),
            deposit_receipt_version: Some(Quantity(DEPOSIT_RECEIPT_VERSION)),
            ..Default::default()
        }
    }

    /// A signed transaction, in a block or in none.
    pub fn new(tx: &L1Tx, from: Address, place: Option<Place<'_>>) -> Self {
        let legacy = tx.is_legacy();
        let dynamic = tx.max_priority_fee_per_gas().is_some();
        let base_fee = place.and_then(|place| place.header.base_fee_per_gas);
        let gas_price = match tx.gas_price() {
            Some(price) => price,
            None if base_fee.is_some() => tx.effective_gas_price(base_fee),
            None => tx.max_fee_per_gas(),
        };
        let signature = tx.signature();
        let parity = u64::from(signature.v());
        // Before EIP-155 a signature says 27 or 28; with it, which chain it is for.
        let v = match (legacy, tx.chain_id()) {
            (false, _) => U256::from(parity),
            (true, None) => U256::from(27 + parity),
            (true, Some(id)) => U256::from(id) * U256::from(2) + U256::from(35 + parity),
        };
        Self {
            block_hash: place.map(|place| place.hash),
            block_number: place.map(|place| Quantity(place.header.number)),
            block_timestamp: place.map(|place| Quantity(place.header.timestamp)),
            from,
            gas: Quantity(tx.gas_limit()),
            gas_price: wide(gas_price),
            max_fee_per_gas: dynamic.then(|| wide(tx.max_fee_per_gas())),
            max_priority_fee_per_gas: tx.max_priority_fee_per_gas().map(wide),
            max_fee_per_blob_gas: tx.max_fee_per_blob_gas().map(wide),
            hash: *tx.tx_hash(),
            input: tx.input().clone(),
            nonce: Quantity(tx.nonce()),
            to: tx.to(),
            transaction_index: place.map(|place| place.index.into()),
            value: tx.value(),
            kind: Quantity(tx.ty().into()),
            access_list: tx.access_list().cloned(),
            // geth leaves chain id 0 out of a legacy transaction.
            chain_id: tx.chain_id().filter(|id| !legacy || *id != 0).map(Quantity),
            blob_versioned_hashes: tx.blob_versioned_hashes().map(<[B256]>::to_vec),
            authorization_list: tx.authorization_list().map(|list| list.iter().map(Into::into).collect()),
            v,
            r: signature.r(),
            s: signature.s(),
            y_parity: (!legacy).then_some(Quantity(parity)),
            ..Default::default()
        }
    }
}

/// A stored block and its record, which must fit each other.
pub struct Stored {
    pub block: Block,
    pub entries: Vec<Entry>,
    /// What the block charges for L1, if it is a rollup's and charges anything.
    pub fees: Option<Fees>,
}

impl Stored {
    /// Decodes both.
    pub fn new(block: &[u8], receipts: &[u8]) -> Result<Self> {
        let Record { entries, fees } = record::decode(receipts)?;
        let stored = Self { block: Block::decode(Bytes::copy_from_slice(block))?, entries, fees };
        if stored.block.transactions.len() == stored.entries.len() {
            return Ok(stored);
        }
        let (want, got) = (stored.block.transactions.len(), stored.entries.len());
        Err(record::damaged(format_args!("want {want} entries, got {got}")))
    }

    /// A decoded transaction.
    pub fn transaction(&self, index: usize) -> Result<BlockTx> {
        let raw = self.block.transactions.get(index).ok_or_else(|| self.beyond(index))?;
        BlockTx::decode(raw)
            .map_err(|words| Error::invalid("transaction", "a transaction", format!("{index}: {words}")))
    }

    /// An entry of the record.
    pub fn entry(&self, index: usize) -> Result<&Entry> {
        self.entries.get(index).ok_or_else(|| self.beyond(index))
    }

    fn beyond(&self, index: usize) -> Error {
        Error::Argument(format!("index: {index} of {}", self.entries.len()))
    }

    fn transaction_json(&self, index: usize) -> Result<TransactionJson> {
        let place = Place { hash: self.block.hash, header: &self.block.header, index };
        let entry = self.entry(index)?;
        Ok(match self.transaction(index)? {
            BlockTx::Signed(tx) => TransactionJson::new(&tx, entry.sender, Some(place)),
            BlockTx::Deposit(deposit) => {
                TransactionJson::deposit(&deposit, entry.deposit_nonce().unwrap_or_default(), place)
            }
        })
    }

    fn block_json(&self, full: bool) -> Result<BlockJson<'_>> {
        let block = &self.block;
        let transactions = if full {
            let all = (0..block.transactions.len()).map(|index| self.transaction_json(index));
            TransactionsJson::Full(all.collect::<Result<_>>()?)
        } else {
            TransactionsJson::Hashes(block.transactions.iter().map(keccak256).collect())
        };
        Ok(BlockJson::new(block, transactions))
    }
}

#[pymethods]
impl NativeEngine {
    /// A block with transaction hashes or full transactions.
    #[pyo3(signature = (block, receipts, *, full))]
    fn block_json<'py>(
        &self,
        py: Python<'py>,
        block: &[u8],
        receipts: &[u8],
        full: bool,
    ) -> Result<Bound<'py, PyBytes>> {
        let json = detached(py, || json::bytes(&Stored::new(block, receipts)?.block_json(full)?))?;
        Ok(PyBytes::new(py, &json))
    }

    /// A header, as `eth_subscribe("newHeads")` sends it.
    fn header_json<'py>(&self, py: Python<'py>, header: &[u8]) -> Result<Bound<'py, PyBytes>> {
        let json = detached(py, || json::bytes(&HeaderJson::new(&edge::header(header)?, keccak256(header))))?;
        Ok(PyBytes::new(py, &json))
    }

    /// A mined transaction.
    fn transaction_json<'py>(
        &self,
        py: Python<'py>,
        block: &[u8],
        receipts: &[u8],
        index: usize,
    ) -> Result<Bound<'py, PyBytes>> {
        let json = detached(py, || json::bytes(&Stored::new(block, receipts)?.transaction_json(index)?))?;
        Ok(PyBytes::new(py, &json))
    }

    /// Transactions that are in no block.
    fn pending_json<'py>(&self, py: Python<'py>, transactions: Vec<PyBackedBytes>) -> Result<Vec<Bound<'py, PyBytes>>> {
        let all = detached(py, || {
            let raws: Vec<Bytes> = transactions.iter().map(|raw| Bytes::copy_from_slice(raw)).collect();
            let prepared = transactions::prepare_all(&raws, self.engine.spec.chain_id, &self.engine.senders);
            let render = |tx: std::result::Result<transactions::Prepared, transactions::Refusal>| {
                let tx = tx.map_err(|refusal| Error::Argument(format!("transaction: {}", refusal.message)))?;
                json::bytes(&TransactionJson::new(tx.1.inner(), tx.1.signer(), None))
            };
            prepared.into_iter().map(render).collect::<Result<Vec<_>>>()
        })?;
        Ok(bytes_list(py, all))
    }

    /// EIP-2718 transactions.
    fn raw_transactions<'py>(&self, py: Python<'py>, block: &[u8]) -> Result<Vec<Bound<'py, PyBytes>>> {
        let block = detached(py, || Block::decode(Bytes::copy_from_slice(block)))?;
        Ok(bytes_list(py, block.transactions))
    }
}
