//! The DAO fork (EIP-779): a block that moves ether, and ten that say on which side their miner stands.

use crate::spec::L1Spec;
use alloy_consensus::Header;
use alloy_evm::eth::dao_fork::{DAO_HARDFORK_ACCOUNTS, DAO_HARDFORK_BENEFICIARY};
use alloy_primitives::{Address, U256, map::AddressMap};
use revm::{Database, DatabaseCommit, state::Account};

/// `extra_data` of the first blocks on the side that moved the ether; the other side must not have it.
const EXTRA_DATA: &[u8] = b"dao-hard-fork";

/// How many blocks from the fork on are told apart by it.
const MARKED_BLOCKS: u64 = 10;

/// What `extra_data` has to be, or not to be (`false`), in a header; `None` where it is free.
pub fn wants_mark(spec: &L1Spec, header: &Header) -> Option<bool> {
    let fork = spec.dao_fork_block()?;
    (fork..fork.saturating_add(MARKED_BLOCKS)).contains(&header.number).then(|| spec.moves_dao_ether())
}

/// Whether a header bears the mark.
pub fn has_mark(header: &Header) -> bool {
    header.extra_data[..] == *EXTRA_DATA
}

/// Moves the ether of the DAO and its children to the contract that gives it back, before any transaction of the block.
///
/// As in geth, every account of the list is there afterwards, if empty: empty ones are cleared only from EIP-161 on.
pub fn move_ether<DB: Database + DatabaseCommit>(state: &mut DB) -> Result<(), DB::Error> {
    let mut moved = U256::ZERO;
    let mut changed = AddressMap::default();
    for address in DAO_HARDFORK_ACCOUNTS {
        let mut account = account_of(state, address)?;
        moved += std::mem::take(&mut account.info.balance);
        changed.insert(address, account);
    }
    let mut account = account_of(state, DAO_HARDFORK_BENEFICIARY)?;
    account.info.balance += moved;
    changed.insert(DAO_HARDFORK_BENEFICIARY, account);
    for account in changed.values_mut() {
        account.mark_touch();
        if account.is_empty() {
            account.mark_created(); // A touched empty account would be taken for a cleared one.
        }
    }
    state.commit(changed);
    Ok(())
}

fn account_of<DB: Database>(state: &mut DB, address: Address) -> Result<Account, DB::Error> {
    Ok(state.basic(address)?.map_or_else(|| Account::new_not_existing(0), Account::from))
}
