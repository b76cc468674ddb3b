//! Import: the whole judgement of the execution layer over a block that somebody else has made.
//!
//!     header rules > transactions decoded > executed on the parent's state > every root compared

use crate::{
    block::Block,
    edge::Ancestors,
    errors::{Error, Result},
    header,
    l1::{Executed, Frame, Open},
    precompile::Step,
    result::BlockResult,
    spec::L1Spec,
    state::{Source, StateDb},
    transactions::{Prepared, Senders, prepare_all_by, prepare_by},
    witness::{Recorder, Witness},
};
use alloy_consensus::Header;
use alloy_hardforks::EthereumHardforks;
use std::{fmt::LowerHex, sync::Arc, time::Instant};

/// What a block is judged with.
#[derive(Debug)]
pub struct Judge<'a> {
    pub spec: &'a Arc<L1Spec>,
    pub parent: &'a Header,
    pub ancestors: Ancestors,
    pub step: Option<Step>,
    /// Remembered senders; without them everything happens on this thread.
    pub senders: Option<&'a Senders>,
}

impl Judge<'_> {
    /// Judges a block on its parent's state.
    pub fn judge<S: Source>(&self, block: &Block, source: S) -> Result<BlockResult> {
        let (result, _) = self.run(block, source)?;
        Ok(result)
    }

    /// Judges a block and keeps what it has read.
    pub fn judge_with_witness<S: Source>(&self, block: &Block, source: S) -> Result<BlockResult> {
        let (mut result, db) = self.run(block, Recorder::new(source))?;
        let witness: Witness = db.source().take();
        result.witness = Some(witness);
        Ok(result)
    }

    fn run<S: Source>(&self, block: &Block, source: S) -> Result<(BlockResult, StateDb<S>)> {
        header::check(self.spec, self.parent, block)?;
        let start = Instant::now();
        let transactions = self.prepare(block)?;
        let recovery = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let frame = Frame {
            header: block.header.clone(),
            ommers: block.ommers.clone(),
            withdrawals: block.withdrawals.clone(),
        };
        let db = StateDb::at(self.parent.state_root, source, self.ancestors.clone());
        let mut open = Open::new(self.spec.clone(), db, frame, self.step.clone())?;
        open.import(&transactions)?;
        let (executed, db) = open.close()?;
        self.compare(block, &executed)?;
        let execution = start.elapsed().as_secs_f64() - executed.root_seconds;
        let hashes = transactions.iter().map(|tx| *tx.1.inner().tx_hash()).collect();
        let seconds = (recovery, execution, executed.root_seconds);
        Ok((BlockResult::new(block, executed.contents(hashes), seconds), db))
    }

    fn prepare(&self, block: &Block) -> Result<Vec<Prepared>> {
        let signing = self.spec.signing(block.header.number);
        let prepared = match self.senders {
            Some(senders) => prepare_all_by(&block.transactions, signing, senders),
            None => block.transactions.iter().map(|raw| prepare_by(raw.clone(), signing, None)).collect(),
        };
        let refused = |(place, refusal): (usize, crate::transactions::Refusal)| {
            Error::invalid("transaction", "a transaction of this chain", format!("{place}: {}", refusal.message))
        };
        let places = prepared.into_iter().enumerate();
        places.map(|(place, tx)| tx.map_err(|refusal| refused((place, refusal)))).collect()
    }

    /// What execution gave against what the header says.
    fn compare(&self, block: &Block, executed: &Executed) -> Result<()> {
        let header = &block.header;
        if header.gas_used != executed.gas_used {
            return Err(Error::invalid("gas_used", executed.gas_used, header.gas_used));
        }
        if let Some(got) = header.blob_gas_used.filter(|got| *got != executed.blob_gas_used) {
            return Err(Error::invalid("blob_gas_used", executed.blob_gas_used, got));
        }
        hex("logs_bloom", executed.bloom, header.logs_bloom)?;
        hex("receipts_root", executed.receipts_root, header.receipts_root)?;
        if self.spec.is_prague_active_at_timestamp(header.timestamp) {
            hex("requests_hash", executed.requests.requests_hash(), header.requests_hash.unwrap_or_default())?;
        }
        hex("state_root", executed.update.root, header.state_root)
    }
}

fn hex<T: PartialEq + LowerHex>(field: &'static str, want: T, got: T) -> Result<()> {
    if want == got { Ok(()) } else { Err(Error::invalid(field, format!("{want:#x}"), format!("{got:#x}"))) }
}
