//! What a simulation may change before it runs: accounts, and fields of the block (geth's `internal/ethapi/override`).

use crate::{
    arguments::object,
    errors::{Error, Result},
    hex::Hex,
};
use alloy_consensus::Header;
use alloy_evm::{
    overrides::{StateOverrideError, apply_state_overrides},
    precompiles::{DynPrecompile, PrecompilesMap},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types_eth::state::AccountOverride;
use revm::{Database, DatabaseCommit, context::BlockEnv, context_interface::block::BlobExcessGasAndPrice};
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, BTreeSet};

object! {
    /// What of an account is replaced.
    AccountArguments {
        nonce: Hex<u64> = "nonce",
        code: Hex<Bytes> = "code",
        balance: Hex<U256> = "balance",
        /// Its whole storage.
        state: BTreeMap<Hex<B256>, Hex<B256>> = "state",
        /// Single slots.
        state_diff: BTreeMap<Hex<B256>, Hex<B256>> = "stateDiff",
        move_precompile_to: Hex<Address> = "movePrecompileToAddress",
    }
}

object! {
    /// Fields of the block that are replaced.
    BlockArguments {
        number: Hex<U256> = "number",
        difficulty: Hex<U256> = "difficulty",
        time: Hex<u64> = "time",
        gas_limit: Hex<u64> = "gasLimit",
        fee_recipient: Hex<Address> = "feeRecipient",
        prev_randao: Hex<B256> = "prevRandao",
        base_fee_per_gas: Hex<U256> = "baseFeePerGas",
        blob_base_fee: Hex<U256> = "blobBaseFee",
        beacon_root: IgnoredAny = "beaconRoot",
        withdrawals: IgnoredAny = "withdrawals",
    }
}

/// Accounts to replace; ordered, so that the first error is always the same.
pub type StateArguments = BTreeMap<Hex<Address>, AccountArguments>;

impl BlockArguments {
    /// Replaces fields of the header, from which the rules and the environment follow.
    pub fn apply(&self, header: &mut Header) -> Result<()> {
        for (given, name) in [(self.beacon_root, "beaconRoot"), (self.withdrawals, "withdrawals")] {
            if given.is_some() {
                return Err(Error::call(format_args!(
                    "block override \"{name}\" is not supported for this RPC method"
                )));
            }
        }
        if let Some(Hex(number)) = self.number {
            header.number = number.saturating_to();
        }
        if let Some(Hex(time)) = self.time {
            header.timestamp = time;
        }
        if let Some(Hex(gas_limit)) = self.gas_limit {
            header.gas_limit = gas_limit;
        }
        if let Some(Hex(recipient)) = self.fee_recipient {
            header.beneficiary = recipient;
        }
        if let Some(Hex(randao)) = self.prev_randao {
            header.mix_hash = randao;
        }
        if let Some(Hex(difficulty)) = self.difficulty.filter(|_| !header.difficulty.is_zero()) {
            header.difficulty = difficulty; // after the merge there is none
        }
        if let Some(Hex(base_fee)) = self.base_fee_per_gas.filter(|_| header.base_fee_per_gas.is_some()) {
            header.base_fee_per_gas = Some(narrow(base_fee, "baseFeePerGas")?);
        }
        Ok(())
    }

    /// Replaces what no header holds.
    pub fn apply_to_environment(&self, block: &mut BlockEnv) -> Result<()> {
        if let Some(Hex(number)) = self.number {
            block.number = number;
        }
        if let (Some(Hex(fee)), Some(blob)) = (self.blob_base_fee, block.blob_excess_gas_and_price) {
            let blob_gasprice = narrow(fee, "blobBaseFee")?;
            block.blob_excess_gas_and_price = Some(BlobExcessGasAndPrice { blob_gasprice, ..blob });
        }
        Ok(())
    }
}

fn narrow<T: TryFrom<U256>>(value: U256, name: &str) -> Result<T> {
    T::try_from(value).map_err(|_| Error::call(format_args!("block override \"{name}\" is too large: {value}")))
}

/// Applies the overrides to a state and to the precompiles; one that is overridden becomes an ordinary account.
pub fn apply<DB>(accounts: StateArguments, state: &mut DB, precompiles: &mut PrecompilesMap) -> Result<()>
where
    DB: Database<Error: std::fmt::Display> + DatabaseCommit,
{
    let overridden: BTreeSet<Address> = accounts.keys().map(|address| address.0).collect();
    let mut moved = BTreeSet::new();
    for (Hex(address), account) in accounts {
        if moved.contains(&address) {
            return Err(Error::call(format_args!("account {address} has already been overridden by a precompile")));
        }
        let mut precompile: Option<DynPrecompile> = None;
        precompiles.apply_precompile(&address, |found| {
            precompile = found;
            None
        });
        if let Some(Hex(target)) = account.move_precompile_to {
            let Some(precompile) = precompile else {
                return Err(Error::call(format_args!("account {address} is not a precompile")));
            };
            if overridden.contains(&target) {
                return Err(Error::call(format_args!("account {target} is already overridden")));
            }
            precompiles.apply_precompile(&target, |_| Some(precompile));
            moved.insert(target);
        }
        apply_account(address, account, state)?;
    }
    Ok(())
}

fn apply_account<DB>(address: Address, account: AccountArguments, state: &mut DB) -> Result<()>
where
    DB: Database<Error: std::fmt::Display> + DatabaseCommit,
{
    let slots =
        |slots: BTreeMap<Hex<B256>, Hex<B256>>| slots.into_iter().map(|(key, value)| (key.0, value.0)).collect();
    let account = AccountOverride {
        balance: account.balance.map(|balance| balance.0),
        nonce: account.nonce.map(|nonce| nonce.0),
        code: account.code.map(|code| code.0),
        state: account.state.map(slots),
        state_diff: account.state_diff.map(slots),
        move_precompile_to: None,
    };
    let accounts = std::iter::once((address, account)).collect();
    apply_state_overrides(accounts, state).map_err(|error| match error {
        StateOverrideError::BothStateAndStateDiff(address) => {
            Error::call(format_args!("account {address} has both 'state' and 'stateDiff'"))
        }
        error => Error::call(error),
    })
}
