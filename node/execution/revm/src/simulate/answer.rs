//! Simulated blocks as geth prints them: the block, and what each call has given.

use super::{logs::NumberedLog, request::Mode, unsigned::Unsigned};
use crate::{
    block::Block,
    errors::Result,
    json::{self, Quantity},
    outcome::Outcome,
    receipts::{LogJson, LogPlace},
    render::{BlockJson, HeaderJson, Place, TransactionsJson},
    reverts,
};
use alloy_primitives::Bytes;
use serde::Serialize;

/// geth's codes for a call that has failed: reverted, or halted.
const REVERTED: i64 = 3;
const HALTED: i64 = -32015;

/// What a call has given.
#[derive(Debug)]
pub struct Called {
    pub outcome: Outcome,
    pub gas_used: u64,
    /// Before refunds.
    pub gas_used_max: u64,
    /// None if it has failed.
    pub logs: Vec<NumberedLog>,
    /// Whether it had less gas than it wanted because all calls together had no more.
    pub capped: bool,
}

/// A block that has run.
#[derive(Debug)]
pub struct Sealed {
    pub block: Block,
    pub transactions: Vec<Unsigned>,
    pub calls: Vec<Called>,
}

#[derive(Serialize)]
struct ErrorJson {
    message: String,
    code: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Bytes>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallJson<'a> {
    return_data: Bytes,
    logs: Vec<LogJson<'a>>,
    gas_used: Quantity,
    max_used_gas: Quantity,
    status: Quantity,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorJson>,
}

#[derive(Serialize)]
struct SealedJson<'a> {
    #[serde(flatten)]
    block: BlockJson<'a>,
    calls: Vec<CallJson<'a>>,
}

impl Sealed {
    fn call_json(&self, place: usize) -> CallJson<'_> {
        let called = &self.calls[place];
        let log = |numbered: &'_ NumberedLog| LogPlace {
            header: &self.block.header,
            block_hash: self.block.hash,
            transaction_hash: self.transactions[place].hash,
            transaction_index: place,
            index: numbered.index,
            removed: false,
        };
        let (return_data, error) = match &called.outcome {
            Outcome::Success(data) => (data.clone(), None),
            Outcome::Revert(data) => {
                let message = match reverts::reason(data) {
                    Some(reason) => format!("execution reverted: {reason}"),
                    None => "execution reverted".into(),
                };
                (Bytes::new(), Some(ErrorJson { message, code: REVERTED, data: Some(data.clone()) }))
            }
            Outcome::Halt(words) => {
                let capped =
                    if called.capped { " (gas limit was capped by the RPC server's global gas cap)" } else { "" };
                (Bytes::new(), Some(ErrorJson { message: format!("{words}{capped}"), code: HALTED, data: None }))
            }
        };
        CallJson {
            return_data,
            logs: called.logs.iter().map(|numbered| LogJson::new(&numbered.log, log(numbered))).collect(),
            gas_used: Quantity(called.gas_used),
            max_used_gas: Quantity(called.gas_used_max),
            status: Quantity(error.is_none().into()),
            error,
        }
    }

    fn json(&self, mode: Mode) -> SealedJson<'_> {
        let Block { header, hash, rlp, withdrawals, .. } = &self.block;
        let transactions = if mode.full_transactions {
            let one = |(index, tx): (usize, &Unsigned)| tx.json(Place { hash: *hash, header, index });
            TransactionsJson::Full(self.transactions.iter().enumerate().map(one).collect())
        } else {
            TransactionsJson::Hashes(self.transactions.iter().map(|tx| tx.hash).collect())
        };
        let block = BlockJson {
            header: HeaderJson::new(header, *hash),
            size: rlp.len().into(),
            transactions,
            uncles: Vec::new(),
            withdrawals: withdrawals.as_ref().map(|list| list.iter().map(Into::into).collect()),
        };
        SealedJson { block, calls: (0..self.calls.len()).map(|place| self.call_json(place)).collect() }
    }
}

/// The answer, unless it is larger than one may be.
pub fn json(sealed: &[Sealed], mode: Mode) -> Result<Vec<u8>> {
    json::bytes_within(&sealed.iter().map(|block| block.json(mode)).collect::<Vec<_>>(), json::SIZE_MAX)
}
