//! JSON-RPC's hex strings, read as strictly as geth's `hexutil`, with its words for what is wrong.

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use std::{fmt, marker::PhantomData};

/// What a hex string may stand for.
pub trait Parse: Sized {
    /// Reads the digits behind 0x; the whole string is there for byte strings, which may be empty.
    fn parse(text: &str) -> Result<Self, String>;
}

/// A value written as a hex string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hex<T>(pub T);

impl<'de, T: Parse> Deserialize<'de> for Hex<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(PhantomData))
    }
}

struct Text<T>(PhantomData<T>);

impl<T: Parse> Visitor<'_> for Text<T> {
    type Value = Hex<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a hex string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        T::parse(text).map(Hex).map_err(E::custom)
    }
}

fn prefixed(text: &str) -> Result<&str, String> {
    if text.is_empty() {
        return Err("empty hex string".into());
    }
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    digits.ok_or_else(|| "hex string without 0x prefix".into())
}

impl Parse for U256 {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::ZERO); // as geth's hexutil
        }
        let digits = prefixed(text)?;
        if digits.is_empty() {
            return Err("hex string \"0x\"".into());
        }
        if digits.len() > 1 && digits.starts_with('0') {
            return Err("hex number with leading zero digits".into());
        }
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err("invalid hex string".into());
        }
        if digits.len() > 64 {
            return Err("hex number > 256 bits".into());
        }
        Self::from_str_radix(digits, 16).map_err(|_| "invalid hex string".into())
    }
}

impl Parse for u64 {
    fn parse(text: &str) -> Result<Self, String> {
        let wide = U256::parse(text).map_err(|error| error.replace("256 bits", "64 bits"))?;
        Self::try_from(wide).map_err(|_| "hex number > 64 bits".into())
    }
}

impl Parse for Bytes {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::new());
        }
        let digits = prefixed(text)?;
        if !digits.len().is_multiple_of(2) {
            return Err("hex string of odd length".into());
        }
        alloy_primitives::hex::decode(digits).map(Into::into).map_err(|_| "invalid hex string".into())
    }
}

fn fixed<const N: usize>(text: &str) -> Result<[u8; N], String> {
    let digits = if text.is_empty() { text } else { prefixed(text)? };
    if digits.len() != 2 * N {
        return Err(format!("hex string has length {}, want {}", digits.len(), 2 * N));
    }
    let mut bytes = [0; N];
    alloy_primitives::hex::decode_to_slice(digits, &mut bytes).map_err(|_| "invalid hex string".to_owned())?;
    Ok(bytes)
}

impl Parse for Address {
    fn parse(text: &str) -> Result<Self, String> {
        fixed(text).map(Self::new)
    }
}

impl Parse for B256 {
    fn parse(text: &str) -> Result<Self, String> {
        fixed(text).map(Self::new)
    }
}
