//! Building: a block that takes transactions until it is sealed.
//!
//!     open (system calls) > push, push, ... (what does not execute is left out) > seal (requests, withdrawals, roots)

use crate::{
    block::{Block, transaction_length},
    edge::{Ancestors, detached},
    errors::{Error, Result},
    header::{BLOCK_BYTES_MAX, EXTRA_DATA_MAX, transactions_root},
    l1::Open,
    precompile::Step,
    result::BlockResult,
    spec::L1Spec,
    state::Source,
    transactions::{Prepared, Refusal, Senders, prepare_pooled},
};
use alloy_consensus::Transaction;
use alloy_eips::eip4844::DATA_GAS_PER_BLOB;
use alloy_evm::block::{BlockExecutionError, BlockValidationError};
use alloy_primitives::{B256, Bytes, keccak256};
use pyo3::{prelude::*, pybacked::PyBackedBytes};
use revm::context_interface::result::InvalidTransaction;
use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Instant,
};

/// Most bytes of a block that this node makes: what its network carries, and less than EIP-7934 allows.
pub const BUILT_BYTES_MAX: usize = 4 << 20;
const _: () = assert!(BUILT_BYTES_MAX < BLOCK_BYTES_MAX);

/// Room for the header and the heads of the lists.
const FRAME_BYTES: usize = 1_024;

/// Most bytes of a withdrawal.
const WITHDRAWAL_BYTES: usize = 50;

/// Gas of the cheapest transaction: with less left nothing fits.
pub const GAS_MIN: u64 = 21_000;

/// What became of an offered transaction: a stable reason and a detail, both empty if it is in the block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    pub reason: &'static str,
    pub message: String,
}

impl Outcome {
    /// Left out.
    pub fn refused(reason: &'static str, message: impl ToString) -> Self {
        Self { reason, message: message.to_string() }
    }
}

/// A block under construction.
#[derive(Debug)]
pub struct Builder<S: Source> {
    open: Open<S>,
    spec: Arc<L1Spec>,
    step: Option<Step>,
    raws: Vec<Bytes>,
    hashes: Vec<B256>,
    bytes: usize,
    seconds: (f64, f64, f64),
}

impl<S: Source> Builder<S> {
    /// Goes on with an opened block.
    pub fn new(spec: Arc<L1Spec>, open: Open<S>, step: Option<Step>) -> Self {
        let withdrawals = open.frame().withdrawals.as_ref().map_or(0, Vec::len);
        let bytes = FRAME_BYTES + WITHDRAWAL_BYTES * withdrawals;
        Self { open, spec, step, raws: Vec::new(), hashes: Vec::new(), bytes, seconds: (0.0, 0.0, 0.0) }
    }

    /// Bytes that further transactions may take.
    pub fn bytes_left(&self) -> usize {
        BUILT_BYTES_MAX.saturating_sub(self.bytes)
    }

    /// Blobs that further transactions may carry: alloy-evm adds their gas up but has no limit on it.
    pub fn blobs_left(&self) -> u64 {
        let most = self.spec.blob_params(self.open.frame().header.timestamp).map_or(0, |params| params.max_blob_count);
        most - self.open.blob_gas_used() / DATA_GAS_PER_BLOB
    }

    /// Price of blob gas, wei a unit.
    pub fn blob_base_fee(&self) -> Option<u128> {
        let header = &self.open.frame().header;
        self.spec.blob_params(header.timestamp).and_then(|params| header.blob_fee(params))
    }

    /// Offers transactions in order. After an error the block must be dropped.
    pub fn push(&mut self, raws: &[Bytes], senders: &Senders) -> Result<Vec<Outcome>> {
        let start = Instant::now();
        let prepared = prepare_pooled(raws, self.spec.chain_id, senders);
        self.seconds.0 += start.elapsed().as_secs_f64();
        let start = Instant::now();
        let step = self.step.clone();
        let (mut bytes_left, mut gas_left) = (self.bytes_left(), self.open.gas_left());
        let mut blobs_left = self.blobs_left();
        let outcomes = self.open.offer(prepared.iter(), |tx, execute| {
            let tx = match admissible(tx, bytes_left, gas_left, blobs_left) {
                Ok(tx) => tx,
                Err(outcome) => return Ok(outcome),
            };
            match execute(tx) {
                Ok(left) => {
                    bytes_left -= transaction_length(tx.encoded_bytes());
                    gas_left = left;
                    blobs_left -= blobs(tx);
                    Ok(Outcome::default())
                }
                Err(error) => refusal(error, step.as_ref()),
            }
        })?;
        for (tx, _) in prepared.iter().zip(&outcomes).filter(|(_, outcome)| outcome.reason.is_empty()) {
            let Ok(tx) = tx else { continue };
            self.open.sent(tx.1.signer());
            self.bytes += transaction_length(tx.encoded_bytes());
            self.hashes.push(*tx.1.inner().tx_hash());
            self.raws.push(tx.encoded_bytes().clone());
        }
        self.seconds.1 += start.elapsed().as_secs_f64();
        Ok(outcomes)
    }

    /// Closes the block.
    pub fn seal(self, extra_data: Bytes) -> Result<BlockResult> {
        if extra_data.len() > EXTRA_DATA_MAX {
            return Err(Error::Argument(format!("extra_data: {} bytes, at most {EXTRA_DATA_MAX}", extra_data.len())));
        }
        let start = Instant::now();
        let mut header = self.open.frame().header.clone();
        let withdrawals = self.open.frame().withdrawals.clone();
        let (executed, _) = self.open.close()?;
        header.extra_data = extra_data;
        header.state_root = executed.update.root;
        header.transactions_root = transactions_root(&self.raws);
        header.receipts_root = executed.receipts_root;
        header.logs_bloom = executed.bloom;
        header.gas_used = executed.gas_used;
        header.blob_gas_used = Some(executed.blob_gas_used);
        header.requests_hash = Some(executed.requests.requests_hash());
        let rlp = Block::encode(&header, &self.raws, withdrawals.as_deref());
        let hash = keccak256(alloy_rlp::encode(&header));
        let block = Block { rlp, header, hash, transactions: self.raws, ommers: Vec::new(), withdrawals };
        let execution = self.seconds.1 + start.elapsed().as_secs_f64() - executed.root_seconds;
        let seconds = (self.seconds.0, execution, executed.root_seconds);
        Ok(BlockResult::new(&block, executed.contents(self.hashes), seconds))
    }
}

/// What may be tried at all.
fn admissible(
    tx: &std::result::Result<Prepared, Refusal>,
    bytes_left: usize,
    gas_left: u64,
    blobs_left: u64,
) -> std::result::Result<&Prepared, Outcome> {
    let tx = tx.as_ref().map_err(|refusal| Outcome::refused("invalid", &refusal.message))?;
    let length = transaction_length(tx.encoded_bytes());
    if length > bytes_left {
        return Err(Outcome::refused("block_full", format!("{length} bytes, {bytes_left} are left")));
    }
    let gas = tx.1.inner().gas_limit();
    if gas_left < GAS_MIN {
        return Err(Outcome::refused("block_full", format!("gas {gas}, {gas_left} is left")));
    }
    if blobs(tx) > blobs_left {
        return Err(Outcome::refused("block_full", format!("{} blobs, {blobs_left} are left", blobs(tx))));
    }
    Ok(tx)
}

/// How many blobs a transaction carries.
fn blobs(tx: &Prepared) -> u64 {
    tx.1.inner().blob_versioned_hashes().map_or(0, <[_]>::len) as u64
}

/// Why a transaction was left out, or the error that must stop the building.
fn refusal(error: BlockExecutionError, step: Option<&Step>) -> Result<Outcome> {
    match error {
        BlockExecutionError::Validation(BlockValidationError::InvalidTx { error, .. }) => {
            let reason = error.as_invalid_tx_err().map_or("invalid", reason);
            Ok(Outcome::refused(reason, error))
        }
        BlockExecutionError::Validation(
            error @ BlockValidationError::TransactionGasLimitMoreThanAvailableBlockGas { .. },
        ) => Ok(Outcome::refused("block_full", error)),
        BlockExecutionError::Validation(error) => Ok(Outcome::refused("invalid", error)),
        // A bug behind the precompile must not halt the chain's production: the transaction stays out.
        BlockExecutionError::Internal(error) => match step.and_then(Step::take_failure) {
            Some(exception) => Ok(Outcome::refused("fault", exception)),
            None => Err(Error::Fatal(error.to_string())),
        },
    }
}

/// The stable name of why revm refuses a transaction.
pub fn reason(error: &InvalidTransaction) -> &'static str {
    use InvalidTransaction::*;
    match error {
        NonceTooLow { .. } | NonceOverflowInTransaction => "nonce_too_low",
        NonceTooHigh { .. } => "nonce_too_high",
        LackOfFundForMaxFee { .. } | OverflowPaymentInTransaction => "balance",
        CallerGasLimitMoreThanBlock => "block_full",
        CallGasCostMoreThanGasLimit { .. } | GasFloorMoreThanGasLimit { .. } | TxGasLimitGreaterThanCap { .. } => {
            "gas_limit"
        }
        GasPriceLessThanBasefee | PriorityFeeGreaterThanMaxFee | BlobGasPriceGreaterThanMax { .. } => "fee",
        _ => "invalid",
    }
}

/// The builder as Python holds it. Not to be used from two threads at once.
#[pyclass(frozen)]
pub struct NativeBuilder {
    building: Mutex<Option<Builder<crate::backing::View>>>,
    senders: Arc<Senders>,
    origin: (Bytes, Ancestors),
}

impl NativeBuilder {
    /// Hands a builder to Python; `origin` is the parent's header and the ancestors.
    pub fn new(builder: Builder<crate::backing::View>, senders: Arc<Senders>, origin: (Bytes, Ancestors)) -> Self {
        Self { building: Mutex::new(Some(builder)), senders, origin }
    }

    fn lock(&self) -> Result<MutexGuard<'_, Option<Builder<crate::backing::View>>>> {
        self.building.try_lock().map_err(|_| Error::Fatal("the builder is in use by another thread".into()))
    }

    /// Takes the block out; it is put back unless something fails.
    fn take(&self) -> Result<Builder<crate::backing::View>> {
        self.lock()?.take().ok_or_else(|| Error::Fatal("the builder is spent".into()))
    }
}

#[pymethods]
impl NativeBuilder {
    /// Offers raw transactions in order: (reason, message) of each, empty for those that are in the block now.
    fn push(&self, py: Python<'_>, transactions: Vec<PyBackedBytes>) -> Result<Vec<(&'static str, String)>> {
        detached(py, || {
            let raws: Vec<Bytes> = transactions.iter().map(|raw| Bytes::copy_from_slice(raw)).collect();
            let mut builder = self.take()?;
            let outcomes = builder.push(&raws, &self.senders)?;
            *self.lock()? = Some(builder);
            Ok(outcomes.into_iter().map(|outcome| (outcome.reason, outcome.message)).collect())
        })
    }

    #[getter]
    fn gas_left(&self) -> Result<u64> {
        self.lock()?.as_ref().map(|builder| builder.open.gas_left()).ok_or(Error::Fatal("the builder is spent".into()))
    }

    #[getter]
    fn bytes_left(&self) -> Result<usize> {
        self.lock()?.as_ref().map(Builder::bytes_left).ok_or(Error::Fatal("the builder is spent".into()))
    }

    #[getter]
    fn blobs_left(&self) -> Result<u64> {
        self.lock()?.as_ref().map(Builder::blobs_left).ok_or(Error::Fatal("the builder is spent".into()))
    }

    #[getter]
    fn blob_base_fee(&self) -> Result<u128> {
        let spent = Error::Fatal("the builder is spent".into());
        self.lock()?.as_ref().map(|builder| builder.blob_base_fee().unwrap_or_default()).ok_or(spent)
    }

    /// Closes the block.
    fn seal(&self, py: Python<'_>, extra_data: &[u8]) -> Result<BlockResult> {
        let extra_data = Bytes::copy_from_slice(extra_data);
        detached(py, || {
            let mut result = self.take()?.seal(extra_data)?;
            result.origin = Some(self.origin.clone());
            Ok(result)
        })
    }
}
