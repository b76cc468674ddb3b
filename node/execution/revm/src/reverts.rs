//! Solidity's revert reasons (geth's `abi.UnpackRevert`).

use alloy_primitives::U256;

/// The selector of Error(string).
const ERROR: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];

/// The selector of Panic(uint256).
const PANIC: [u8; 4] = [0x4e, 0x48, 0x7b, 0x71];

/// What revert data says, if it is one of the two.
pub fn reason(data: &[u8]) -> Option<String> {
    let (selector, arguments) = data.split_first_chunk::<4>()?;
    match *selector {
        ERROR => string(arguments),
        PANIC => Some(panic(word(arguments, 0)?)),
        _ => None,
    }
}

fn word(data: &[u8], offset: usize) -> Option<U256> {
    data.get(offset..offset.checked_add(32)?).map(U256::from_be_slice)
}

/// The one string of an argument list: an offset, and there a length and bytes.
fn string(arguments: &[u8]) -> Option<String> {
    let offset = usize::try_from(word(arguments, 0)?).ok()?;
    let length = usize::try_from(word(arguments, offset)?).ok()?;
    let start = offset.checked_add(32)?;
    let bytes = arguments.get(start..start.checked_add(length)?)?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}

fn panic(code: U256) -> String {
    let words = match u64::try_from(code) {
        Ok(0x00) => "generic panic",
        Ok(0x01) => "assert(false)",
        Ok(0x11) => "arithmetic underflow or overflow",
        Ok(0x12) => "division or modulo by zero",
        Ok(0x21) => "enum overflow",
        Ok(0x22) => "invalid encoded storage byte array accessed",
        Ok(0x31) => "out-of-bounds array access; popping on an empty array",
        Ok(0x32) => "out-of-bounds access of an array or bytesN",
        Ok(0x41) => "out of memory",
        Ok(0x51) => "uninitialized function",
        _ => return format!("unknown panic code: {code:#x}"),
    };
    words.into()
}
