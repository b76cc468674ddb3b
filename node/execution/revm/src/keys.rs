//! Keys of the tries: hashes of addresses and slots.
//!
//! Within a block the same few are asked for again and again, by the meter, by the state, and when the tries are
//! written. Each thread remembers the last ones; who chooses keys that displace each other only hashes more often.

use alloy_primitives::{Address, B256, U256, keccak256};
use std::cell::RefCell;

/// Keys that a thread remembers of each kind: 128 KiB.
const REMEMBERED: usize = 1 << 11;

/// What was hashed, by the last bits of what it is.
struct Table<const LENGTH: usize>(Vec<([u8; LENGTH], B256)>);

impl<const LENGTH: usize> Table<LENGTH> {
    fn new() -> Self {
        Self(vec![([0; LENGTH], keccak256([0; LENGTH])); REMEMBERED])
    }

    fn hash(&mut self, bytes: [u8; LENGTH]) -> B256 {
        let tail = [bytes[LENGTH - 2] ^ bytes[0], bytes[LENGTH - 1] ^ bytes[1]];
        let entry = &mut self.0[usize::from(u16::from_be_bytes(tail)) % REMEMBERED];
        if entry.0 != bytes {
            *entry = (bytes, keccak256(bytes));
        }
        entry.1
    }
}

thread_local! {
    static ADDRESSES: RefCell<Table<20>> = RefCell::new(Table::new());
    static SLOTS: RefCell<Table<32>> = RefCell::new(Table::new());
}

/// Where an account is in the state's trie.
pub fn of_account(address: &Address) -> B256 {
    ADDRESSES.with_borrow_mut(|table| table.hash(address.into_array()))
}

/// Where a slot is in its storage's trie.
pub fn of_slot(slot: &U256) -> B256 {
    SLOTS.with_borrow_mut(|table| table.hash(slot.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembered_keys_are_the_hashes() {
        for number in (0..5_000u64).chain(0..5_000) {
            let slot = U256::from(number);
            let address = Address::left_padding_from(&number.to_be_bytes());
            assert_eq!(of_slot(&slot), keccak256(slot.to_be_bytes::<32>()));
            assert_eq!(of_account(&address), keccak256(address));
        }
    }
}
