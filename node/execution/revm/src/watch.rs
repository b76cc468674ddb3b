//! The state that simulations run on, watched: a hostile call stops at its deadline, a trace at its size.
//!
//! No loop and no recursion goes on without a jump, a call or a creation, so these instructions ask the watch first;
//! once it has run out every frame halts at its next one. The clock is read at every 32nd question: with nothing else
//! to do between two of them, that is every few microseconds.
//! Deliberately absent: a second thread. Execution is deterministic, so one who has waited long enough gives up and
//! asks again, from where waiting harms nobody.

use crate::{
    backing::View,
    codes::Codes,
    state::{StateDb, StateError, Update},
};
use alloy_primitives::{Address, B256, U256, map::AddressMap};
use revm::{
    Database, DatabaseCommit, DatabaseRef,
    bytecode::{Bytecode, opcode},
    context_interface::{ContextTr, Host},
    database::{State, states::bundle_state::BundleRetention},
    database_interface::bal::EvmDatabaseError,
    handler::instructions::EthInstructions,
    interpreter::{
        Instruction, InstructionContext, InstructionResult,
        instructions::{contract, control},
        interpreter::EthInterpreter,
    },
    state::{Account, AccountInfo},
};
use std::{sync::Arc, time::Instant};

/// Questions between two looks at the clock.
const INTERVAL: u32 = 32;

/// Why a run was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Its time is over.
    Deadline,
    /// What it would answer is too large.
    Size,
    /// An inspector could not read the state; the state knows why.
    Read,
}

/// See the module.
#[derive(Debug)]
pub struct Watch {
    deadline: Option<Instant>,
    countdown: u32,
    stopped: Option<Stop>,
}

impl Watch {
    /// Stops at a time, if ever.
    pub fn new(deadline: Option<Instant>) -> Self {
        Self { deadline, countdown: INTERVAL, stopped: None }
    }

    /// Stops the run.
    pub fn stop(&mut self, why: Stop) {
        self.stopped.get_or_insert(why);
    }

    /// Why the run was stopped, if it was.
    pub fn stopped(&self) -> Option<Stop> {
        self.stopped
    }

    /// Looks at the clock now, between two runs.
    pub fn look(&mut self) {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            self.stop(Stop::Deadline);
        }
    }

    /// Whether the run must stop.
    fn over(&mut self) -> bool {
        self.countdown -= 1;
        if self.countdown == 0 {
            self.countdown = INTERVAL;
            self.look();
        }
        self.stopped.is_some()
    }
}

/// A read that failed, as revm's cache gives it.
pub type ReadError = EvmDatabaseError<StateError>;

/// A state under a watch. Overrides and a run's changes stay in its cache: nothing is ever stored.
#[derive(Debug)]
pub struct Watched {
    pub state: State<StateDb<View>>,
    pub watch: Watch,
    pub codes: Arc<Codes>,
    /// The number of the block that the state's ancestors belong to; from here on hashes are those of simulated blocks,
    /// and zero where there are none, as geth's are when an override moves a call ahead.
    pub number: u64,
    /// Hashes of simulated blocks, from that number on.
    pub ahead: Vec<B256>,
}

impl Watched {
    /// Writes what has changed into the tries, in memory; gives the root.
    pub fn write(&mut self, clear_empty: bool) -> std::result::Result<B256, StateError> {
        let state = &mut self.state;
        state.merge_transitions(BundleRetention::PlainState);
        let bundle = state.take_bundle();
        let mut update = Update::default();
        state.database.apply(&bundle, clear_empty, &mut update)?;
        state.cache.accounts.clear();
        state.cache.contracts.extend(bundle.contracts);
        Ok(update.root)
    }

    /// The hash of a block that is not among the ancestors.
    fn hash_ahead(&self, number: u64) -> Option<B256> {
        let place = usize::try_from(number.checked_sub(self.number)?).ok();
        Some(place.and_then(|place| self.ahead.get(place)).copied().unwrap_or_default())
    }
}

impl Database for Watched {
    type Error = ReadError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, ReadError> {
        self.state.basic(address)
    }
    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, ReadError> {
        self.codes.get(hash, || self.state.code_by_hash(hash))
    }
    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, ReadError> {
        self.state.storage(address, slot)
    }
    fn block_hash(&mut self, number: u64) -> Result<B256, ReadError> {
        self.hash_ahead(number).map_or_else(|| self.state.block_hash(number), Ok)
    }
}

impl DatabaseRef for Watched {
    type Error = ReadError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, ReadError> {
        self.state.basic_ref(address)
    }
    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, ReadError> {
        self.codes.get(hash, || self.state.code_by_hash_ref(hash))
    }
    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, ReadError> {
        self.state.storage_ref(address, slot)
    }
    fn block_hash_ref(&self, number: u64) -> Result<B256, ReadError> {
        self.hash_ahead(number).map_or_else(|| self.state.block_hash_ref(number), Ok)
    }
}

impl DatabaseCommit for Watched {
    fn commit(&mut self, changes: AddressMap<Account>) {
        self.state.commit(changes);
    }
}

/// An instruction that asks the watch before it does its work.
macro_rules! watched {
    ($host:ident, $work:expr) => {{
        fn instruction<$host: Host + ContextTr<Db = Watched>>(context: InstructionContext<'_, $host, EthInterpreter>) {
            if context.host.db_mut().watch.over() {
                context.interpreter.halt(InstructionResult::OutOfGas);
            } else {
                $work(context);
            }
        }
        instruction::<$host>
    }};
}

/// An instruction's work.
type Work<C> = fn(InstructionContext<'_, C, EthInterpreter>);

/// Puts the watch into an EVM's instructions; what they cost stays.
pub fn install<C: Host + ContextTr<Db = Watched>>(instructions: &mut EthInstructions<EthInterpreter, C>) {
    let watched: [(u8, Work<C>); 8] = [
        (opcode::JUMP, watched!(C, control::jump)),
        (opcode::JUMPI, watched!(C, control::jumpi)),
        (opcode::CALL, watched!(C, contract::call)),
        (opcode::CALLCODE, watched!(C, contract::call_code)),
        (opcode::DELEGATECALL, watched!(C, contract::delegate_call)),
        (opcode::STATICCALL, watched!(C, contract::static_call)),
        (opcode::CREATE, watched!(C, contract::create::<_, false, _>)),
        (opcode::CREATE2, watched!(C, contract::create::<_, true, _>)),
    ];
    for (opcode, work) in watched {
        let gas = instructions.instruction_table[usize::from(opcode)].static_gas();
        instructions.insert_instruction(opcode, Instruction::new(work, gas));
    }
}
