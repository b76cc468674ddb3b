//! Transactions of type 0x7E: what L1 deposits. Nobody signs them, and a block must execute them whatever they are.

use crate::errors::{Error, Result};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_evm::FromTxWithEncoded;
use alloy_op_evm::OpTx;
use alloy_primitives::{B256, Bytes, keccak256};
use op_alloy_consensus::TxDeposit;

/// Their EIP-2718 type.
pub const DEPOSIT: u8 = 0x7e;

/// A deposit and its bytes.
#[derive(Debug, Clone)]
pub struct Deposit {
    pub raw: Bytes,
    pub hash: B256,
    pub tx: TxDeposit,
}

impl Deposit {
    /// Decodes one strictly: what does not encode to itself is none.
    pub fn decode(raw: Bytes) -> Result<Self> {
        let refused = |words: &str| Error::Argument(format!("deposit: {words}"));
        if raw.first() != Some(&DEPOSIT) {
            return Err(refused("not of type 0x7e"));
        }
        let tx = TxDeposit::decode_2718_exact(&raw).map_err(|error| refused(&error.to_string()))?;
        if tx.encoded_2718() != *raw {
            return Err(refused("a non-canonical encoding"));
        }
        Ok(Self { hash: keccak256(&raw), raw, tx })
    }

    /// The deposit as op-revm takes it.
    pub fn env(&self) -> OpTx {
        OpTx::from_encoded_tx(&self.tx, self.tx.from, self.raw.clone())
    }
}
