//! Receipts and logs as geth prints them (`MarshalReceipt`, `types.Log`), the filter of `eth_getLogs`, and the reward
//! percentiles of `eth_feeHistory`.

use crate::{
    edge::{self, detached},
    engine::NativeEngine,
    errors::{Error, Result},
    json::{self, Quantity, wide},
    record::{self, DEPOSIT_RECEIPT_VERSION, Entry, Fees},
    render::Stored,
    result::bytes_list,
    spec::L1Spec,
};
use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bloom, BloomInput, Bytes, Log, U256, keccak256, logs_bloom};
use alloy_rlp::Decodable;
use op_revm::OpSpecId;
use pyo3::{prelude::*, pybacked::PyBackedBytes, types::PyBytes};
use serde::Serialize;

/// A log's index, topics and data.
type LogOut<'py> = (usize, Vec<Bound<'py, PyBytes>>, Bound<'py, PyBytes>);

/// Most percentiles of one request (geth's limit).
const PERCENTILES_MAX: usize = 100;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogJson<'a> {
    address: Address,
    topics: &'a [B256],
    data: &'a Bytes,
    block_number: Quantity,
    transaction_hash: B256,
    transaction_index: Quantity,
    block_hash: B256,
    block_timestamp: Quantity,
    log_index: Quantity,
    removed: bool,
}

/// Where a log stands.
#[derive(Clone, Copy)]
pub struct LogPlace<'a> {
    pub header: &'a Header,
    pub block_hash: B256,
    pub transaction_hash: B256,
    pub transaction_index: usize,
    /// Counts the block's logs.
    pub index: usize,
    /// Whether its block is no longer canonical.
    pub removed: bool,
}

impl<'a> LogJson<'a> {
    /// A log where it stands.
    pub fn new(log: &'a Log, place: LogPlace<'a>) -> Self {
        Self {
            address: log.address,
            topics: log.topics(),
            data: &log.data.data,
            block_number: Quantity(place.header.number),
            transaction_hash: place.transaction_hash,
            transaction_index: place.transaction_index.into(),
            block_hash: place.block_hash,
            block_timestamp: Quantity(place.header.timestamp),
            log_index: place.index.into(),
            removed: place.removed,
        }
    }
}

/// What a signed transaction of a rollup has paid besides its gas, as op-geth prints it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct L1FeeJson {
    l1_gas_price: U256,
    l1_gas_used: U256,
    l1_fee: U256,
    l1_blob_base_fee: U256,
    l1_base_fee_scalar: Quantity,
    l1_blob_base_fee_scalar: Quantity,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator_fee_scalar: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator_fee_constant: Option<Quantity>,
}

impl L1FeeJson {
    /// Computed by op-revm, as it was charged.
    fn new(fees: &Fees, raw: &[u8]) -> Self {
        let mut info = fees.info();
        let operator = fees.operator_fee_scalar != 0 || fees.operator_fee_constant != 0;
        Self {
            l1_gas_price: fees.l1_base_fee,
            l1_gas_used: info.data_gas(raw, OpSpecId::ISTHMUS),
            l1_fee: info.calculate_tx_l1_cost(raw, OpSpecId::ISTHMUS),
            l1_blob_base_fee: fees.l1_blob_base_fee,
            l1_base_fee_scalar: Quantity(fees.l1_base_fee_scalar.into()),
            l1_blob_base_fee_scalar: Quantity(fees.l1_blob_base_fee_scalar.into()),
            operator_fee_scalar: operator.then_some(Quantity(fees.operator_fee_scalar.into())),
            operator_fee_constant: operator.then_some(Quantity(fees.operator_fee_constant)),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    blob_gas_price: Option<U256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob_gas_used: Option<Quantity>,
    block_hash: B256,
    block_number: Quantity,
    contract_address: Option<Address>,
    cumulative_gas_used: Quantity,
    effective_gas_price: U256,
    from: Address,
    gas_used: Quantity,
    logs: Vec<LogJson<'a>>,
    logs_bloom: Bloom,
    /// The state's root after the transaction, before Byzantium.
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<&'a Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Quantity>,
    to: Option<Address>,
    transaction_hash: B256,
    transaction_index: Quantity,
    #[serde(rename = "type")]
    kind: Quantity,
    #[serde(flatten)]
    l1_fee: Option<L1FeeJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deposit_nonce: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deposit_receipt_version: Option<Quantity>,
}

impl Stored {
    fn receipt_json(&self, spec: &L1Spec, index: usize, first_log: usize) -> Result<ReceiptJson<'_>> {
        let (entry, tx) = (self.entry(index)?, self.transaction(index)?);
        let header = &self.block.header;
        let transaction_hash = tx.hash();
        let price = spec.blob_params(header.timestamp).and_then(|params| header.blob_fee(params));
        let logs = entry.logs.iter().enumerate().map(|(offset, log)| {
            let place = LogPlace {
                header,
                block_hash: self.block.hash,
                transaction_hash,
                transaction_index: index,
                index: first_log + offset,
                removed: false,
            };
            LogJson::new(log, place)
        });
        let fees = self.fees.as_ref().filter(|_| entry.deposit_nonce().is_none());
        Ok(ReceiptJson {
            blob_gas_price: tx.blob_gas_used().and(price).map(wide),
            blob_gas_used: tx.blob_gas_used().map(Quantity),
            block_hash: self.block.hash,
            block_number: Quantity(header.number),
            contract_address: tx.to().is_none().then(|| entry.sender.create(tx.nonce(entry.deposit_nonce()))),
            cumulative_gas_used: Quantity(entry.cumulative_gas_used),
            effective_gas_price: wide(tx.effective_gas_price(header.base_fee_per_gas)),
            from: entry.sender,
            gas_used: Quantity(self.gas_used(index)?),
            logs: logs.collect(),
            logs_bloom: logs_bloom(&entry.logs),
            root: entry.success().is_none().then_some(&entry.outcome),
            status: entry.success().map(|success| Quantity(success.into())),
            to: tx.to(),
            transaction_hash,
            transaction_index: index.into(),
            kind: Quantity(entry.kind.into()),
            l1_fee: fees.map(|fees| L1FeeJson::new(fees, &self.block.transactions[index])),
            deposit_nonce: entry.deposit_nonce().map(Quantity),
            deposit_receipt_version: entry.deposit_nonce().map(|_| Quantity(DEPOSIT_RECEIPT_VERSION)),
        })
    }

    fn receipts_json(&self, spec: &L1Spec) -> Result<Vec<ReceiptJson<'_>>> {
        let mut first_log = 0;
        let render = |(index, entry): (usize, &Entry)| {
            let receipt = self.receipt_json(spec, index, first_log);
            first_log += entry.logs.len();
            receipt
        };
        self.entries.iter().enumerate().map(render).collect()
    }

    /// Gas of one transaction.
    fn gas_used(&self, index: usize) -> Result<u64> {
        let before = match index.checked_sub(1) {
            Some(before) => self.entry(before)?.cumulative_gas_used,
            None => 0,
        };
        let used = self.entry(index)?.cumulative_gas_used.checked_sub(before);
        used.ok_or_else(|| record::damaged("cumulative gas falls"))
    }

    /// geth's `processBlock`: the priority fee at each percentile of the gas used, transactions by ascending fee.
    fn fee_percentiles(&self, percentiles: &[f64]) -> Result<Vec<u128>> {
        if self.entries.is_empty() {
            return Ok(vec![0; percentiles.len()]);
        }
        let base_fee = self.block.header.base_fee_per_gas.unwrap_or_default();
        let pair = |index| Ok((self.transaction(index)?.tip(base_fee), self.gas_used(index)?));
        let mut fees = (0..self.entries.len()).map(pair).collect::<Result<Vec<(u128, u64)>>>()?;
        fees.sort_by_key(|(fee, _)| *fee); // stable, as geth's
        let (mut place, mut sum) = (0, fees[0].1);
        let at = |percentile: &f64| {
            let threshold = (self.block.header.gas_used as f64 * percentile / 100.0) as u64;
            while sum < threshold && place < fees.len() - 1 {
                place += 1;
                sum += fees[place].1;
            }
            fees[place].0
        };
        Ok(percentiles.iter().map(at).collect())
    }
}

/// What `eth_getLogs` looks for: any of the addresses, and in each position any of the topics; an empty list is
/// anything.
struct Filter {
    addresses: Vec<Address>,
    topics: Vec<Vec<B256>>,
}

impl Filter {
    /// Whether a block's bloom leaves a match possible.
    fn may_match(&self, bloom: &Bloom) -> bool {
        let holds = |item: &[u8]| bloom.contains_input(BloomInput::Raw(item));
        let position = |topics: &Vec<B256>| topics.is_empty() || topics.iter().any(|topic| holds(&topic[..]));
        (self.addresses.is_empty() || self.addresses.iter().any(|address| holds(&address[..])))
            && self.topics.iter().all(position)
    }

    fn matches(&self, log: &Log) -> bool {
        let topics = log.topics();
        (self.addresses.is_empty() || self.addresses.contains(&log.address))
            && self.topics.len() <= topics.len()
            && self.topics.iter().zip(topics).all(|(wanted, topic)| wanted.is_empty() || wanted.contains(topic))
    }

    fn logs_json(&self, block: &[u8], receipts: &[u8], removed: bool, out: &mut Vec<Vec<u8>>) -> Result<()> {
        if !self.may_match(&bloom(block)?) {
            return Ok(());
        }
        let stored = Stored::new(block, receipts)?;
        let mut index = 0;
        for (transaction_index, entry) in stored.entries.iter().enumerate() {
            let mut transaction_hash = None;
            for log in &entry.logs {
                if self.matches(log) {
                    let raw = &stored.block.transactions[transaction_index];
                    let place = LogPlace {
                        header: &stored.block.header,
                        block_hash: stored.block.hash,
                        transaction_hash: *transaction_hash.get_or_insert_with(|| keccak256(raw)),
                        transaction_index,
                        index,
                        removed,
                    };
                    out.push(json::bytes(&LogJson::new(log, place))?);
                }
                index += 1;
            }
        }
        Ok(())
    }
}

/// A block's bloom; its body is not looked at.
fn bloom(block: &[u8]) -> Result<Bloom> {
    let damaged = |error| Error::invalid("rlp", "a block", error);
    let mut rest = alloy_rlp::Header::decode_bytes(&mut &block[..], true).map_err(damaged)?;
    Ok(Header::decode(&mut rest).map_err(damaged)?.logs_bloom)
}

#[pymethods]
impl NativeEngine {
    /// All receipts of a block, a JSON list.
    fn receipts_json<'py>(&self, py: Python<'py>, block: &[u8], receipts: &[u8]) -> Result<Bound<'py, PyBytes>> {
        let spec = &self.engine.spec;
        let json = detached(py, || json::bytes(&Stored::new(block, receipts)?.receipts_json(spec)?))?;
        Ok(PyBytes::new(py, &json))
    }

    /// One receipt.
    fn receipt_json<'py>(
        &self,
        py: Python<'py>,
        block: &[u8],
        receipts: &[u8],
        index: usize,
    ) -> Result<Bound<'py, PyBytes>> {
        let json = detached(py, || {
            let stored = Stored::new(block, receipts)?;
            let first_log = stored.entries.iter().take(index).map(|entry| entry.logs.len()).sum();
            json::bytes(&stored.receipt_json(&self.engine.spec, index, first_log)?)
        })?;
        Ok(PyBytes::new(py, &json))
    }

    /// The logs of (block, receipts) pairs that match, one JSON object each.
    #[pyo3(signature = (blocks, addresses, topics, *, removed=false))]
    fn logs_json<'py>(
        &self,
        py: Python<'py>,
        blocks: Vec<(PyBackedBytes, PyBackedBytes)>,
        addresses: Vec<[u8; 20]>,
        topics: Vec<Vec<[u8; 32]>>,
        removed: bool,
    ) -> Result<Vec<Bound<'py, PyBytes>>> {
        let filter = Filter {
            addresses: addresses.into_iter().map(Into::into).collect(),
            topics: topics.into_iter().map(|position| position.into_iter().map(Into::into).collect()).collect(),
        };
        let logs = detached(py, || {
            let mut out = Vec::new();
            for (block, receipts) in &blocks {
                filter.logs_json(block, receipts, removed, &mut out)?;
            }
            Ok(out)
        })?;
        Ok(bytes_list(py, logs))
    }

    /// (log index in the block, topics, data) of one contract's logs with a first topic.
    fn logs<'py>(&self, py: Python<'py>, receipts: &[u8], address: &[u8], topic: &[u8]) -> Result<Vec<LogOut<'py>>> {
        let (address, topic) = (edge::address(address)?, edge::word(topic)?);
        let entries = detached(py, || record::decode(receipts))?.entries;
        let logs = entries.iter().flat_map(|entry| &entry.logs).enumerate();
        let wanted = logs.filter(|(_, log)| log.address == address && log.topics().first() == Some(&topic));
        let out = |(index, log): (usize, &Log)| (index, bytes_list(py, log.topics()), PyBytes::new(py, &log.data.data));
        Ok(wanted.map(out).collect())
    }

    /// EIP-2718 receipts.
    fn raw_receipts<'py>(&self, py: Python<'py>, receipts: &[u8]) -> Result<Vec<Bound<'py, PyBytes>>> {
        let raws = detached(py, || {
            let entries = record::decode(receipts)?.entries;
            entries.iter().map(|entry| Ok(entry.encoded()?.0)).collect::<Result<Vec<_>>>()
        })?;
        Ok(bytes_list(py, raws))
    }

    /// Effective priority fees at these percentiles of the gas used, wei.
    fn fee_percentiles(
        &self,
        py: Python<'_>,
        block: &[u8],
        receipts: &[u8],
        percentiles: Vec<f64>,
    ) -> Result<Vec<u128>> {
        if percentiles.len() > PERCENTILES_MAX || !percentiles.iter().all(|it| (0.0..=100.0).contains(it)) {
            return Err(Error::Argument(format!("percentiles: want up to {PERCENTILES_MAX} from 0 to 100")));
        }
        detached(py, || Stored::new(block, receipts)?.fee_percentiles(&percentiles))
    }
}
