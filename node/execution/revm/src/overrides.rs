//! What a simulation may change before it runs: accounts, and fields of the block (geth's `internal/ethapi/override`).

use crate::{
    arguments::object,
    errors::{Error, Result},
    hex::Hex,
    watch::Watched,
};
use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use alloy_evm::precompiles::{DynPrecompile, PrecompilesMap};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use revm::{
    Database, context::BlockEnv, context_interface::block::BlobExcessGasAndPrice, database::states::StorageSlot,
};
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
        beacon_root: Hex<B256> = "beaconRoot",
        withdrawals: Vec<WithdrawalArguments> = "withdrawals",
    }
}

object! {
    /// A withdrawal of a simulated block.
    WithdrawalArguments {
        index: Hex<u64> = "index",
        validator_index: Hex<u64> = "validatorIndex",
        address: Hex<Address> = "address",
        /// In gwei.
        amount: Hex<u64> = "amount",
    }
}

impl From<WithdrawalArguments> for Withdrawal {
    fn from(given: WithdrawalArguments) -> Self {
        Self {
            index: given.index.map_or(0, |index| index.0),
            validator_index: given.validator_index.map_or(0, |index| index.0),
            address: given.address.map_or(Address::ZERO, |address| address.0),
            amount: given.amount.map_or(0, |amount| amount.0),
        }
    }
}

/// Accounts to replace; ordered, so that the first error is always the same.
pub type StateArguments = BTreeMap<Hex<Address>, AccountArguments>;

impl BlockArguments {
    /// Whether other rules may be in force behind it.
    pub fn moves(&self) -> bool {
        self.number.is_some() || self.time.is_some() || self.prev_randao.is_some()
    }

    /// Replaces fields of the header a call runs in.
    pub fn apply(&self, header: &mut Header) -> Result<()> {
        for (given, name) in [(self.beacon_root.is_some(), "beaconRoot"), (self.withdrawals.is_some(), "withdrawals")] {
            if given {
                return Err(Error::call(format_args!(
                    "block override \"{name}\" is not supported for this RPC method"
                )));
            }
        }
        let base_fee = header.base_fee_per_gas.and(self.base_fee_per_gas);
        Self { base_fee_per_gas: base_fee, ..self.clone() }.replace(header)
    }

    /// Replaces fields of a header, from which the rules and the environment follow.
    pub fn replace(&self, header: &mut Header) -> Result<()> {
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
        if let Some(Hex(base_fee)) = self.base_fee_per_gas {
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
pub fn apply(accounts: StateArguments, state: &mut Watched, precompiles: &mut PrecompilesMap) -> Result<()> {
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

/// Replaces what is given of an account. It is there from then on, even if all of it is zero, until a run touches it.
fn apply_account(address: Address, account: AccountArguments, watched: &mut Watched) -> Result<()> {
    let state = &mut watched.state;
    let AccountArguments { nonce, code, balance, state: whole, state_diff, .. } = account;
    if whole.is_some() && state_diff.is_some() {
        return Err(Error::call(format_args!("account {address} has both 'state' and 'stateDiff'")));
    }
    let named = nonce.is_some() || code.is_some() || balance.is_some() || whole.is_some();
    if !named && state_diff.as_ref().is_none_or(BTreeMap::is_empty) {
        return Ok(()); // an empty difference makes no account
    }
    let mut info = state.basic(address).map_err(Error::call)?.unwrap_or_default();
    info.nonce = nonce.map_or(info.nonce, |nonce| nonce.0);
    info.balance = balance.map_or(info.balance, |balance| balance.0);
    if let Some(Hex(code)) = code {
        info.code_hash = keccak256(&code);
        let code = state.database.analysed(code);
        state.cache.contracts.insert(info.code_hash, code.clone());
        info.code = Some(code);
    }
    let replaced = whole.is_some();
    let slot = |(Hex(key), Hex(value)): (Hex<B256>, Hex<B256>)| {
        let (key, value) = (U256::from_be_bytes(key.0), U256::from_be_bytes(value.0));
        // What was there does not matter: a value unlike the new one makes it count as changed.
        (key, StorageSlot::new_changed(!value, value))
    };
    let storage = whole.or(state_diff).unwrap_or_default().into_iter().map(slot).collect();
    let cached = state.load_cache_account(address).map_err(Error::call)?;
    let mut transitions = Vec::new();
    if replaced {
        transitions.extend(cached.selfdestruct().map(|transition| (address, transition)));
        transitions.push((address, cached.newly_created(info, storage)));
    } else {
        transitions.push((address, cached.change(info, storage)));
    }
    if let Some(all) = &mut state.transition_state {
        all.add_transitions(transitions);
    }
    Ok(())
}
