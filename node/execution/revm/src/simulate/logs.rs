//! The logs of a simulated block's calls, with transfers of ether among them if they are wanted (geth's
//! `internal/ethapi/logtracer.go`): value that calls, creations and SELFDESTRUCT move, in a log of the address that
//! ERC-7528 gives to ether. They are shown with the call and are in no receipt.

use crate::{
    destruction::Destruction,
    outcome::LastStep,
    watch::{Stop, Watched},
};
use alloy_primitives::{Address, B256, Log, LogData, U256, address, b256};
use revm::{
    Inspector,
    context_interface::{ContextTr, JournalTr},
    interpreter::{
        CallInputs, CallOutcome, CallScheme, CreateInputs, CreateOutcome, InstructionResult, Interpreter,
        interpreter::EthInterpreter,
    },
};

/// keccak("Transfer(address,address,uint256)")
const TRANSFER: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

/// ERC-7528.
const ETHER: Address = address!("EeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE");

/// What a log takes in an answer besides its data, at least.
const LOG_SIZE: usize = 640;

/// A log and its number in the block.
#[derive(Debug, Clone)]
pub struct NumberedLog {
    pub index: usize,
    pub log: Log,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Logs {
    trace_transfers: bool,
    /// Of the call that runs.
    logs: Vec<NumberedLog>,
    /// How many there were when each open frame began.
    open: Vec<usize>,
    /// Logs of the block so far. Undone ones count, as they do in geth.
    count: usize,
    /// Bytes that the answer may still grow by.
    room: usize,
    last: LastStep,
    destruction: Destruction,
}

impl Logs {
    /// Those of a block; the run stops when they need more room than this.
    pub fn new(trace_transfers: bool, room: usize) -> Self {
        Self { trace_transfers, room, ..Default::default() }
    }

    /// Makes ready for the block's next call.
    pub fn begin(&mut self) {
        self.open.clear();
        self.logs.clear();
        self.last = LastStep::default();
        self.destruction = Destruction::default();
    }

    /// The logs of the call that has run; none if it has failed.
    pub fn take(&mut self) -> Vec<NumberedLog> {
        std::mem::take(&mut self.logs)
    }

    /// What a halt does not say.
    pub fn last(&self) -> &LastStep {
        &self.last
    }

    /// Bytes that are left.
    pub fn room(&self) -> usize {
        self.room
    }

    /// Takes bytes of the answer; false if there are not so many left.
    pub fn spend(&mut self, bytes: usize) -> bool {
        let left = self.room.checked_sub(bytes);
        self.room = left.unwrap_or_default();
        left.is_some()
    }

    fn add(&mut self, log: Log, context: &mut impl ContextTr<Db = Watched>) {
        if !self.spend(LOG_SIZE + 2 * log.data.data.len()) {
            context.db_mut().watch.stop(Stop::Size);
        }
        self.logs.push(NumberedLog { index: self.count, log });
        self.count += 1;
    }

    fn transfer(&mut self, from: Address, to: Address, value: U256, context: &mut impl ContextTr<Db = Watched>) {
        if self.trace_transfers && !value.is_zero() {
            let topics = vec![TRANSFER, from.into_word(), to.into_word()];
            let data = LogData::new_unchecked(topics, value.to_be_bytes::<32>().into());
            self.add(Log { address: ETHER, data }, context);
        }
    }

    fn end(&mut self, result: InstructionResult) {
        let before = self.open.pop().unwrap_or_default();
        if !result.is_ok() {
            self.logs.truncate(before);
        }
    }
}

impl<C: ContextTr<Db = Watched>> Inspector<C, EthInterpreter> for Logs {
    fn step(&mut self, interpreter: &mut Interpreter, context: &mut C) {
        self.last.step(interpreter, context);
        if self.trace_transfers {
            self.destruction.begin(interpreter, context);
        }
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, context: &mut C) {
        if let Some((from, to, value)) = self.destruction.end(interpreter) {
            self.transfer(from, to, value, context);
        }
    }

    fn log(&mut self, context: &mut C, log: Log) {
        self.add(log, context);
    }

    fn call(&mut self, context: &mut C, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.last.call(context, inputs);
        self.open.push(self.logs.len());
        if inputs.scheme == CallScheme::Call {
            self.transfer(inputs.caller, inputs.target_address, inputs.value.get(), context);
        }
        None
    }

    fn call_end(&mut self, context: &mut C, inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.last.call_end(context, inputs, outcome);
        self.end(outcome.result.result);
    }

    fn create(&mut self, context: &mut C, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.last.create(context, inputs);
        self.open.push(self.logs.len());
        if self.trace_transfers && !inputs.value().is_zero() {
            let from = inputs.caller();
            let nonce = context.journal_mut().load_account(from).map(|account| account.data.info.nonce);
            let to = inputs.created_address(nonce.unwrap_or_default());
            self.transfer(from, to, inputs.value(), context);
        }
        None
    }

    fn create_end(&mut self, context: &mut C, inputs: &CreateInputs, outcome: &mut CreateOutcome) {
        self.last.create_end(context, inputs, outcome);
        self.end(outcome.result.result);
    }
}
