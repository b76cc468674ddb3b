//! The genesis block: geth's JSON in, a header and a state out.

use crate::{
    errors::{Error, Result},
    memory::MemoryStore,
    mpt::{Ref, Trie},
    spec::L1Spec,
    state::{StateError, StoredAccount, Update},
};
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_eips::{eip1559::INITIAL_BASE_FEE, eip7685::EMPTY_REQUESTS_HASH};
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use std::collections::BTreeMap;

/// Parses a genesis file. Keys that are not geth's, such as `consensus`, are left to others.
pub fn parse(json: &[u8]) -> Result<Genesis> {
    serde_json::from_slice(json).map_err(|error| Error::Argument(format!("genesis: {error}")))
}

/// The header over a state, with the fields of the forks that are active at it.
pub fn header(genesis: &Genesis, spec: &L1Spec, state_root: B256) -> Header {
    let (number, timestamp) = (genesis.number.unwrap_or_default(), genesis.timestamp);
    let london = spec.is_london_active_at_block(number);
    let shanghai = spec.is_shanghai_active_at_timestamp(timestamp);
    let cancun = spec.is_cancun_active_at_timestamp(timestamp);
    let prague = spec.is_prague_active_at_timestamp(timestamp);
    let base_fee = genesis.base_fee_per_gas.map_or(INITIAL_BASE_FEE, |fee| fee as u64);
    Header {
        parent_hash: genesis.parent_hash.unwrap_or_default(),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: genesis.coinbase,
        state_root,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        difficulty: genesis.difficulty,
        number,
        gas_limit: genesis.gas_limit,
        timestamp,
        extra_data: genesis.extra_data.clone(),
        mix_hash: genesis.mix_hash,
        nonce: genesis.nonce.into(),
        base_fee_per_gas: london.then_some(base_fee),
        withdrawals_root: shanghai.then_some(EMPTY_ROOT_HASH),
        blob_gas_used: cancun.then(|| genesis.blob_gas_used.unwrap_or_default()),
        excess_blob_gas: cancun.then(|| genesis.excess_blob_gas.unwrap_or_default()),
        parent_beacon_block_root: cancun.then_some(B256::ZERO),
        requests_hash: prague.then_some(EMPTY_REQUESTS_HASH),
        ..Default::default()
    }
}

/// The nodes and codes of an allocation.
pub fn state(alloc: &BTreeMap<Address, GenesisAccount>) -> std::result::Result<Update, StateError> {
    let nothing = MemoryStore::default();
    let mut update = Update::default();
    let mut accounts = Trie::default();
    for (address, account) in alloc {
        let mut storage = Trie::default();
        for (slot, value) in account.storage.iter().flatten().filter(|(_, value)| !value.is_zero()) {
            storage.insert(&keccak256(slot), alloy_rlp::encode(U256::from_be_bytes(value.0)), &nothing)?;
        }
        let storage = storage.commit(&mut update.nodes);
        let code = account.code.clone().unwrap_or_default();
        let stored = StoredAccount {
            nonce: account.nonce.unwrap_or_default(),
            balance: account.balance,
            storage_root: storage.hash,
            code_hash: keccak256(&code),
        };
        if !code.is_empty() {
            update.codes.insert(stored.code_hash, code);
        }
        accounts.insert(&keccak256(address), stored.value(storage), &nothing)?;
    }
    Ref { hash: update.root, link: update.link } = accounts.commit(&mut update.nodes);
    Ok(update)
}
