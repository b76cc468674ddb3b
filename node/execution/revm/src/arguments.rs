//! Calls as wallets write them: geth's `TransactionArgs`, its defaults, and the message they become.

use crate::{
    errors::{Error, Result},
    hex::Hex,
};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{
    Deserialize,
    de::{DeserializeOwned, Error as _, MapAccess},
};

/// JSON-RPC's code for parameters of the wrong shape.
const INVALID_PARAMS: i64 = -32602;

/// Reads the parameter at a place of the request; what is wrong names the field.
pub fn parameter<T: DeserializeOwned>(place: usize, json: &[u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|error| {
        let message = format!("invalid argument {place}: {}", without_position(&error.to_string()));
        Error::Call { message, code: INVALID_PARAMS }
    })
}

/// An optional parameter; `null` is none.
pub fn optional<T: DeserializeOwned>(place: usize, json: Option<&[u8]>) -> Result<Option<T>> {
    json.map_or(Ok(None), |json| parameter::<Option<T>>(place, json))
}

fn without_position(message: &str) -> &str {
    message.find(" at line ").map_or(message, |end| &message[..end])
}

/// Takes an object's value; an error is given the field's name.
pub fn value<'de, T: Deserialize<'de>, A: MapAccess<'de>>(map: &mut A, name: &str) -> std::result::Result<T, A::Error> {
    map.next_value().map_err(|error| A::Error::custom(format_args!("{name}: {}", without_position(&error.to_string()))))
}

/// Declares an object whose fields are all optional; other fields are passed over, as geth does.
macro_rules! object {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $kind:ty = $json:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default)]
        pub struct $name { $($(#[$field_meta])* pub $field: Option<$kind>),* }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                struct Fields;
                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $name;
                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        formatter.write_str("an object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> std::result::Result<$name, A::Error> {
                        let mut object = $name::default();
                        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                            match &*key {
                                $($json => object.$field = $crate::arguments::value(&mut map, $json)?,)*
                                _ => drop(map.next_value::<serde::de::IgnoredAny>()?),
                            }
                        }
                        Ok(object)
                    }
                }
                deserializer.deserialize_map(Fields)
            }
        }
    };
}
pub(crate) use object;

object! {
    /// An item of an access list.
    AccessArguments {
        address: Hex<Address> = "address",
        storage_keys: Vec<Hex<B256>> = "storageKeys",
    }
}

object! {
    /// A signed EIP-7702 authorisation.
    AuthorizationArguments {
        chain_id: Hex<U256> = "chainId",
        address: Hex<Address> = "address",
        nonce: Hex<u64> = "nonce",
        y_parity: Hex<u64> = "yParity",
        r: Hex<U256> = "r",
        s: Hex<U256> = "s",
    }
}

object! {
    /// The arguments of a call.
    CallArguments {
        from: Hex<Address> = "from",
        to: Hex<Address> = "to",
        gas: Hex<u64> = "gas",
        gas_price: Hex<U256> = "gasPrice",
        max_fee_per_gas: Hex<U256> = "maxFeePerGas",
        max_priority_fee_per_gas: Hex<U256> = "maxPriorityFeePerGas",
        value: Hex<U256> = "value",
        nonce: Hex<u64> = "nonce",
        data: Hex<Bytes> = "data",
        /// The newer name of `data`; it counts if both are there.
        input: Hex<Bytes> = "input",
        access_list: Vec<AccessArguments> = "accessList",
        chain_id: Hex<U256> = "chainId",
        max_fee_per_blob_gas: Hex<U256> = "maxFeePerBlobGas",
        blob_versioned_hashes: Vec<Hex<B256>> = "blobVersionedHashes",
        authorization_list: Vec<AuthorizationArguments> = "authorizationList",
    }
}

/// A call with every default filled in: geth's `core.Message`.
#[derive(Debug, Clone, Default)]
pub struct Message {
    pub from: Address,
    /// None creates a contract.
    pub to: Option<Address>,
    pub gas: u64,
    /// What a unit of gas costs; zero runs without a base fee.
    pub gas_price: U256,
    pub fee_cap: U256,
    pub tip_cap: U256,
    pub value: U256,
    pub data: Bytes,
    /// None is not the same as none of its items: before Berlin there is no list at all.
    pub access_list: Option<AccessList>,
    pub blob_fee_cap: Option<U256>,
    pub blob_hashes: Option<Vec<B256>>,
    pub authorizations: Option<Vec<SignedAuthorization>>,
}

impl CallArguments {
    /// geth's `CallDefaults` and `ToMessage`. `base_fee` is that of the call's block, None before London.
    pub fn message(self, gas_cap: u64, base_fee: Option<u64>, chain_id: u64) -> Result<Message> {
        // What lacks a part is no call at all: that comes first, as where JSON is read.
        let access_list = self.access_list.map(access_list).transpose()?;
        let authorizations = self.authorization_list.map(authorizations).transpose()?;
        if self.gas_price.is_some() && (self.max_fee_per_gas.is_some() || self.max_priority_fee_per_gas.is_some()) {
            return Err(Error::call("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified"));
        }
        if self.to.is_none() && self.blob_versioned_hashes.is_some() {
            return Err(Error::call("blob transaction of type create"));
        }
        if self.to.is_none() && authorizations.is_some() {
            return Err(Error::call("EIP-7702 transaction cannot be used to create contract"));
        }
        if let Some(Hex(have)) = self.chain_id.filter(|id| id.0 != U256::from(chain_id)) {
            return Err(Error::call(format_args!("chainId does not match node's (have={have}, want={chain_id})")));
        }
        let number = |value: Option<Hex<U256>>| value.map_or(U256::ZERO, |value| value.0);
        let (fee_cap, tip_cap, gas_price) = match (self.gas_price, base_fee) {
            (Some(Hex(price)), _) => (price, price, price),
            (None, None) => Default::default(),
            (None, Some(base_fee)) => {
                let (cap, tip) = (number(self.max_fee_per_gas), number(self.max_priority_fee_per_gas));
                (cap, tip, tip.saturating_add(U256::from(base_fee)).min(cap))
            }
        };
        let blob_hashes = self.blob_versioned_hashes.map(|hashes| hashes.into_iter().map(|hash| hash.0).collect());
        let blob_fee_cap = self.max_fee_per_blob_gas.map(|cap| cap.0);
        Ok(Message {
            from: self.from.map_or(Address::ZERO, |from| from.0),
            to: self.to.map(|to| to.0),
            gas: self.gas.map_or(gas_cap, |gas| gas.0).min(gas_cap),
            gas_price,
            fee_cap,
            tip_cap,
            value: number(self.value),
            data: self.input.or(self.data).map(|data| data.0).unwrap_or_default(),
            access_list,
            blob_fee_cap: blob_fee_cap.or(blob_hashes.as_ref().map(|_: &Vec<B256>| U256::ZERO)),
            blob_hashes,
            authorizations,
        })
    }
}

/// A field that must be there.
fn required<T>(field: Option<T>, name: &str) -> Result<T> {
    field.ok_or_else(|| Error::Call {
        message: format!("invalid argument 0: {name}: missing required field"),
        code: INVALID_PARAMS,
    })
}

fn access_list(items: Vec<AccessArguments>) -> Result<AccessList> {
    let item = |item: AccessArguments| {
        Ok(AccessListItem {
            address: required(item.address, "accessList.address")?.0,
            storage_keys: item.storage_keys.unwrap_or_default().into_iter().map(|key| key.0).collect(),
        })
    };
    items.into_iter().map(item).collect::<Result<Vec<_>>>().map(AccessList)
}

fn authorizations(items: Vec<AuthorizationArguments>) -> Result<Vec<SignedAuthorization>> {
    let item = |item: AuthorizationArguments| {
        let authorization = Authorization {
            chain_id: required(item.chain_id, "authorizationList.chainId")?.0,
            address: required(item.address, "authorizationList.address")?.0,
            nonce: required(item.nonce, "authorizationList.nonce")?.0,
        };
        let parity = required(item.y_parity, "authorizationList.yParity")?.0;
        let (r, s) = (required(item.r, "authorizationList.r")?.0, required(item.s, "authorizationList.s")?.0);
        // A parity that fits no byte recovers nobody, as 255 does.
        Ok(SignedAuthorization::new_unchecked(authorization, parity.try_into().unwrap_or(u8::MAX), r, s))
    };
    items.into_iter().map(item).collect()
}
