//! The database of an L2 block's EVM: revm's `State` with the meter in front.

use super::{Meter, history_slot};
use crate::{
    rollup::HISTORY,
    state::{Failure, Source, StateDb, StateError},
};
use alloy_primitives::{Address, B256, U256, map::AddressMap};
use revm::{
    Database, DatabaseCommit,
    bytecode::Bytecode,
    database::State,
    database_interface::bal::EvmDatabaseError,
    state::{Account, AccountInfo},
};

type DbError = EvmDatabaseError<StateError>;

/// See the module. Whatever is asked of it is metered first; what is not metered is not read.
#[derive(Debug)]
pub struct Metered<'a, S: Source> {
    pub state: &'a mut State<StateDb<S>>,
    pub meter: &'a mut Meter<S>,
    /// The parent's number: its hash is known without a proof.
    pub parent: u64,
    /// Where a read that failed is noted, as [`StateDb`] does.
    pub failure: Failure,
}

impl<S: Source> Metered<'_, S> {
    fn note<T>(&self, result: Result<T, StateError>) -> Result<T, DbError> {
        result.map_err(|error| {
            if error != StateError::WitnessLimit {
                let _ = self.failure.set(error.clone()); // the first one counts
            }
            EvmDatabaseError::Database(error)
        })
    }
}

impl<S: Source> Database for Metered<'_, S> {
    type Error = DbError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, DbError> {
        let metered = self.meter.account(address);
        self.note(metered)?;
        self.state.basic(address)
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, DbError> {
        let read = || self.state.code_by_hash(hash).map_err(Asked);
        let code = self.meter.code(hash, read, |code| code.original_byte_slice().len());
        code.map_err(|Asked(error)| error)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, DbError> {
        let metered = self.meter.slot(address, slot);
        self.note(metered)?;
        self.state.storage(address, slot)
    }

    /// From EIP-2935's contract, except the parent's: a witness has no list of ancestors.
    fn block_hash(&mut self, number: u64) -> Result<B256, DbError> {
        if number != self.parent {
            let metered = self.meter.slot(HISTORY, history_slot(number));
            self.note(metered)?;
        }
        self.state.block_hash(number)
    }
}

impl<S: Source> DatabaseCommit for Metered<'_, S> {
    fn commit(&mut self, changes: AddressMap<Account>) {
        self.state.commit(changes);
    }
}

/// An error of either side.
struct Asked(DbError);

impl From<StateError> for Asked {
    fn from(error: StateError) -> Self {
        Self(EvmDatabaseError::Database(error))
    }
}
