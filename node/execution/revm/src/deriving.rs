//! Rollup blocks from their inputs: derived (total: whatever the transactions are), and sealed ones judged.
//!
//! `Inputs` says where states come from: the store, with remembered senders, or a witness, with nothing.

use crate::{
    block::Block,
    deposits::{DEPOSIT, Deposit},
    errors::{Error, Result},
    l2::Open,
    result::BlockResult,
    rollup::{Attributes, L2Spec},
    state::Source,
    transactions::{Prepared, Refusal, Senders, prepare, prepare_all},
    witness::Recorder,
};
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{B64, Bytes};
use std::{fmt::Debug, sync::Arc, time::Instant};

/// What every block of a chain is made with.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub spec: &'a Arc<L2Spec>,
    pub parent: &'a Header,
    /// Remembered senders; without them everything happens on this thread.
    pub senders: Option<&'a Senders>,
}

type Decoded = Vec<std::result::Result<Prepared, Refusal>>;

impl Context<'_> {
    /// Opens the block of a header on the parent's state.
    pub fn open<S: Source + Clone>(&self, source: S, header: Header, deposits: &[Deposit]) -> Result<Open<S>> {
        Open::new(self.spec.clone(), self.parent, source, header, deposits)
    }

    fn prepare(&self, raws: &[Bytes]) -> Decoded {
        match self.senders {
            Some(senders) => prepare_all(raws, self.spec.chain_id, senders),
            None => raws.iter().map(|raw| prepare(raw.clone(), self.spec.chain_id, None)).collect(),
        }
    }

    /// The block that inputs give, and whether it holds the transactions: if they are not executable in full, or cross
    /// a limit, it holds its deposits only.
    pub fn derive<S: Source + Clone>(
        &self,
        attributes: &Attributes,
        deposits: &[Deposit],
        raws: &[Bytes],
        source: S,
    ) -> Result<(BlockResult, bool)> {
        let header = attributes.header(self.spec, self.parent)?;
        let bytes: usize = raws.iter().map(|raw| raw.len()).sum();
        let mut seconds = (0.0, 0.0);
        if bytes <= self.spec.limits.transactions_limit_bytes {
            let start = Instant::now();
            let decoded = self.prepare(raws);
            seconds.0 = start.elapsed().as_secs_f64();
            if decoded.iter().all(std::result::Result::is_ok) {
                let start = Instant::now();
                let mut open = self.open(source.clone(), header.clone(), deposits)?;
                let refused = open.run(decoded.iter())?;
                seconds.1 = start.elapsed().as_secs_f64();
                if refused.is_none() {
                    return Ok((open.close(seconds)?.0, true));
                }
            }
        }
        let start = Instant::now();
        let open = self.open(source, header, deposits)?;
        seconds.1 += start.elapsed().as_secs_f64();
        Ok((open.close(seconds)?.0, false))
    }

    /// As [`Self::derive`], with what was read: also by a run whose block does not hold its transactions.
    pub fn derive_with_witness<S: Source>(
        &self,
        attributes: &Attributes,
        deposits: &[Deposit],
        raws: &[Bytes],
        source: S,
    ) -> Result<(BlockResult, bool)> {
        let recorder = Arc::new(Recorder::new(source));
        let (mut result, is_full) = self.derive(attributes, deposits, raws, recorder.clone())?;
        result.witness = Some(recorder.take());
        Ok((result, is_full))
    }

    /// Judges a sealed block: what follows from parent and contents must be what its header says. Whether its deposits
    /// are L1's is not judged.
    pub fn judge<S: Source + Clone>(&self, block: &Block, source: S) -> Result<BlockResult> {
        let header = &block.header;
        if header.timestamp < self.parent.timestamp {
            let want = format!("at least {}", self.parent.timestamp);
            return Err(Error::invalid("timestamp", want, header.timestamp));
        }
        let frame = Attributes::of(header).header(self.spec, self.parent)?;
        check_frame(&frame, block)?;
        let deposits = block.transactions.iter().take_while(|raw| raw.first() == Some(&DEPOSIT)).count();
        let (deposits, raws) = block.transactions.split_at(deposits);
        let bytes: usize = raws.iter().map(|raw| raw.len()).sum();
        let bytes_max = self.spec.limits.transactions_limit_bytes;
        if bytes > bytes_max {
            return Err(Error::invalid("transactions", format!("at most {bytes_max} bytes"), bytes));
        }
        let refused = |place: usize, words: &str| {
            Error::invalid("transaction", "an executable transaction", format!("{place}: {words}"))
        };
        let decode = |(place, raw): (usize, &Bytes)| {
            Deposit::decode(raw.clone()).map_err(|error| refused(place, &error.to_string()))
        };
        let deposits = deposits.iter().enumerate().map(decode).collect::<Result<Vec<_>>>()?;
        let start = Instant::now();
        let decoded = self.prepare(raws);
        let recovery = start.elapsed().as_secs_f64();
        if let Some((place, Err(refusal))) = decoded.iter().enumerate().find(|(_, tx)| tx.is_err()) {
            return Err(refused(deposits.len() + place, &refusal.message));
        }
        let start = Instant::now();
        let mut open = self.open(source, frame, &deposits)?;
        if let Some((place, outcome)) = open.run(decoded.iter())? {
            return Err(refused(deposits.len() + place, &outcome.message));
        }
        let (result, sealed) = open.close((recovery, start.elapsed().as_secs_f64()))?;
        check_roots(&sealed, header)?;
        Ok(result)
    }

    /// As [`Self::judge`], with what was read.
    pub fn judge_with_witness<S: Source>(&self, block: &Block, source: S) -> Result<BlockResult> {
        let recorder = Arc::new(Recorder::new(source));
        let mut result = self.judge(block, recorder.clone())?;
        result.witness = Some(recorder.take());
        Ok(result)
    }
}

fn must<T: PartialEq + Debug>(field: &'static str, want: &T, got: &T) -> Result<()> {
    if want == got { Ok(()) } else { Err(Error::invalid(field, format!("{want:?}"), format!("{got:?}"))) }
}

/// What a header owes its parent and the chain.
fn check_frame(want: &Header, block: &Block) -> Result<()> {
    let got = &block.header;
    must("number", &want.number, &got.number)?;
    must("parent_hash", &want.parent_hash, &got.parent_hash)?;
    must("ommers_hash", &EMPTY_OMMER_ROOT_HASH, &got.ommers_hash)?;
    must("fee_recipient", &want.beneficiary, &got.beneficiary)?;
    must("difficulty", &want.difficulty, &got.difficulty)?;
    must("nonce", &B64::ZERO, &got.nonce)?;
    must("gas_limit", &want.gas_limit, &got.gas_limit)?;
    must("extra_data", &want.extra_data, &got.extra_data)?;
    must("base_fee_per_gas", &want.base_fee_per_gas, &got.base_fee_per_gas)?;
    must("blob_gas_used", &want.blob_gas_used, &got.blob_gas_used)?;
    must("excess_blob_gas", &want.excess_blob_gas, &got.excess_blob_gas)?;
    must("parent_beacon_block_root", &want.parent_beacon_block_root, &got.parent_beacon_block_root)?;
    must("requests_hash", &Some(EMPTY_REQUESTS_HASH), &got.requests_hash)?;
    must("block_access_list_hash", &None, &got.block_access_list_hash)?;
    must("slot_number", &None, &got.slot_number)?;
    must("ommers", &0, &block.ommers.len())?;
    must("withdrawals", &Some(0), &block.withdrawals.as_ref().map(Vec::len))
}

/// What execution gave against what the header says.
fn check_roots(want: &Header, got: &Header) -> Result<()> {
    must("transactions_root", &want.transactions_root, &got.transactions_root)?;
    must("gas_used", &want.gas_used, &got.gas_used)?;
    must("logs_bloom", &want.logs_bloom, &got.logs_bloom)?;
    must("receipts_root", &want.receipts_root, &got.receipts_root)?;
    must("withdrawals_root", &want.withdrawals_root, &got.withdrawals_root)?;
    must("state_root", &want.state_root, &got.state_root)?;
    must("hash", &want.hash_slow(), &got.hash_slow())
}
