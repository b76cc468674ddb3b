//! The transaction that a simulated call is in its block: complete but for its signature, whose numbers are zero
//! (geth's `TransactionArgs.ToTransaction`).

use crate::{
    arguments::Message,
    errors::{Error, Result},
    json::Quantity,
    render::{Place, TransactionJson},
    transactions::L1Tx,
};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use alloy_rlp::Encodable;

/// What geth's `deriveChainId` makes of a legacy transaction whose v is zero: (0 - 35) / 2 in 64 bits.
const LEGACY_CHAIN_ID: u64 = 0u64.wrapping_sub(35) / 2;

/// See the module.
#[derive(Debug)]
pub struct Unsigned {
    tx: L1Tx,
    pub sender: Address,
    /// EIP-2718 bytes.
    pub raw: Bytes,
    pub hash: B256,
}

impl Unsigned {
    /// `legacy` where the call names a gas price, and before London.
    pub fn new(message: &Message, nonce: u64, chain_id: u64, legacy: bool) -> Result<Self> {
        let kind = message.to.map_or(TxKind::Create, TxKind::Call);
        let fees = Fees::new(message)?;
        let signature = Signature::new(U256::ZERO, U256::ZERO, false);
        if legacy {
            let (gas_limit, value, input) = (message.gas, message.value, message.data.clone());
            let tx = TxLegacy { chain_id: None, nonce, gas_price: fees.cap, gas_limit, to: kind, value, input };
            let raw = encode_legacy(&tx);
            let tx = tx.into_signed(signature).into();
            return Ok(Self { tx, sender: message.from, hash: keccak256(&raw), raw });
        }
        let tx: L1Tx = match (message.to, &message.authorizations, &message.blob_hashes) {
            (Some(to), Some(authorizations), _) => TxEip7702 {
                chain_id,
                nonce,
                gas_limit: message.gas,
                max_fee_per_gas: fees.cap,
                max_priority_fee_per_gas: fees.tip,
                to,
                value: message.value,
                access_list: message.access_list.clone().unwrap_or_default(),
                authorization_list: authorizations.clone(),
                input: message.data.clone(),
            }
            .into_signed(signature)
            .into(),
            (Some(to), None, Some(hashes)) => TxEip4844 {
                chain_id,
                nonce,
                gas_limit: message.gas,
                max_fee_per_gas: fees.cap,
                max_priority_fee_per_gas: fees.tip,
                to,
                value: message.value,
                access_list: message.access_list.clone().unwrap_or_default(),
                blob_versioned_hashes: hashes.clone(),
                max_fee_per_blob_gas: fees.blob,
                input: message.data.clone(),
            }
            .into_signed(signature)
            .into(),
            _ => TxEip1559 {
                chain_id,
                nonce,
                gas_limit: message.gas,
                max_fee_per_gas: fees.cap,
                max_priority_fee_per_gas: fees.tip,
                to: kind,
                value: message.value,
                access_list: message.access_list.clone().unwrap_or_default(),
                input: message.data.clone(),
            }
            .into_signed(signature)
            .into(),
        };
        let raw = tx.encoded_2718().into();
        Ok(Self { hash: *tx.tx_hash(), tx, sender: message.from, raw })
    }

    /// The transaction itself.
    pub fn tx(&self) -> &L1Tx {
        &self.tx
    }

    /// As geth prints it.
    pub fn json(&self, place: Place<'_>) -> TransactionJson {
        let mut json = TransactionJson::new(&self.tx, self.sender, Some(place));
        if self.tx.is_legacy() {
            json.hash = self.hash;
            json.chain_id = Some(Quantity(LEGACY_CHAIN_ID));
            json.v = U256::ZERO;
        }
        json
    }
}

/// What a call offers.
struct Fees {
    cap: u128,
    tip: u128,
    blob: u128,
}

impl Fees {
    fn new(message: &Message) -> Result<Self> {
        let narrow = |price: U256| {
            u128::try_from(price)
                .map_err(|_| Error::call(format_args!("a price above 2^128 wei cannot be paid: {price}")))
        };
        let blob = narrow(message.blob_fee_cap.filter(|_| message.blob_hashes.is_some()).unwrap_or_default())?;
        Ok(Self { cap: narrow(message.fee_cap)?, tip: narrow(message.tip_cap)?, blob })
    }
}

/// RLP with v = r = s = 0, which no signature of a legacy transaction has.
fn encode_legacy(tx: &TxLegacy) -> Bytes {
    let zero = 0u64;
    let fields: [&dyn Encodable; 9] =
        [&tx.nonce, &tx.gas_price, &tx.gas_limit, &tx.to, &tx.value, &tx.input, &zero, &zero, &zero];
    let mut raw = Vec::new();
    alloy_rlp::encode_list::<_, dyn Encodable>(&fields, &mut raw);
    raw.into()
}
