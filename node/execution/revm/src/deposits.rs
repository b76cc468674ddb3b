//! Transactions of a rollup's blocks: of type 0x7E, which L1 deposits (nobody signs them, and a block must execute them
//! whatever they are), and signed ones.

use crate::{
    errors::{Error, Result},
    transactions::{self, L1Tx, Prepared},
};
use alloy_consensus::Transaction;
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_evm::{FromTxWithEncoded, IntoTxEnv};
use alloy_op_evm::OpTx;
use alloy_primitives::{Address, B256, Bytes, address, keccak256};
use op_alloy_consensus::TxDeposit;
use op_revm::OpTransaction;

/// Their EIP-2718 type.
pub const DEPOSIT: u8 = 0x7e;

/// Who tells L1Block of a new origin; nobody has its key.
pub const ATTRIBUTES_DEPOSITOR: Address = address!("deaddeaddeaddeaddeaddeaddeaddeaddead0001");

/// A transaction of a block of either layer.
#[derive(Debug, Clone)]
pub enum BlockTx {
    Signed(L1Tx),
    Deposit(Deposit),
}

impl BlockTx {
    /// Decodes one from a stored block.
    pub fn decode(raw: &Bytes) -> std::result::Result<Self, String> {
        if raw.first() == Some(&DEPOSIT) {
            return Deposit::decode(raw.clone()).map(Self::Deposit).map_err(|error| error.to_string());
        }
        transactions::decode(raw).map(Self::Signed).map_err(|refusal| refusal.message)
    }

    /// keccak-256 of its bytes.
    pub fn hash(&self) -> B256 {
        match self {
            Self::Signed(tx) => *tx.tx_hash(),
            Self::Deposit(deposit) => deposit.hash,
        }
    }

    /// Its callee; none creates a contract.
    pub fn to(&self) -> Option<Address> {
        match self {
            Self::Signed(tx) => tx.to(),
            Self::Deposit(deposit) => deposit.tx.to.to().copied(),
        }
    }

    /// The nonce that a contract of its is named by; the record's for a deposit, which has none itself.
    pub fn nonce(&self, recorded: Option<u64>) -> u64 {
        match self {
            Self::Signed(tx) => tx.nonce(),
            Self::Deposit(_) => recorded.unwrap_or_default(),
        }
    }

    /// What a unit of gas cost; deposits have paid on L1.
    pub fn effective_gas_price(&self, base_fee: Option<u64>) -> u128 {
        match self {
            Self::Signed(tx) => tx.effective_gas_price(base_fee),
            Self::Deposit(_) => 0,
        }
    }

    /// What of it went to the proposer.
    pub fn tip(&self, base_fee: u64) -> u128 {
        match self {
            Self::Signed(tx) => tx.effective_tip_per_gas(base_fee).unwrap_or_default(),
            Self::Deposit(_) => 0,
        }
    }

    /// Blob gas, if it carries blobs.
    pub fn blob_gas_used(&self) -> Option<u64> {
        match self {
            Self::Signed(tx) => tx.blob_gas_used().filter(|_| tx.is_eip4844()),
            Self::Deposit(_) => None,
        }
    }
}

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

/// A signed transaction as op-revm takes it; its bytes are what L1 charges for.
pub fn message(tx: &Prepared) -> OpTx {
    let enveloped_tx = Some(tx.encoded_bytes().clone());
    OpTx(OpTransaction { base: (&**tx).into_tx_env(), enveloped_tx, deposit: Default::default() })
}
