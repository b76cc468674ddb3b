//! geth's default tracer: every instruction with its stack, memory and storage, written as JSON while it runs.
//!
//! It is our own because a trace that is first gathered and then printed holds all stacks of a hostile loop in memory.

use crate::{
    outcome::{OPERAND_WORDS, name, protection_words, stack_words},
    watch::{Stop, Watched},
};
use alloy_primitives::{Address, B256, U256, hex};
use revm::{
    Inspector,
    bytecode::opcode,
    context_interface::{ContextTr, result::ExecutionResult},
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, InstructionResult, Interpreter,
        interpreter::EthInterpreter,
        interpreter_types::{InputsTr, Jumps, LegacyBytecode, LoopControl, MemoryTr, ReturnData},
    },
};
use std::{
    collections::{BTreeMap, HashMap},
    io::Write,
};

/// What is written of each instruction.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    pub memory: bool,
    pub no_stack: bool,
    pub no_storage: bool,
    pub return_data: bool,
    /// Bytes after which nothing more is written; 0 is no limit.
    pub limit: usize,
}

/// The instruction that is about to run.
#[derive(Debug, Default)]
struct Step {
    pc: usize,
    opcode: u8,
    gas: u64,
    refund: i64,
    stack: usize,
    /// Slot, and value for SSTORE, of an instruction that shows storage.
    slot: Option<(U256, U256)>,
    /// Whether it is written.
    shown: bool,
}

/// See the module.
#[derive(Debug)]
pub struct StructLogger {
    options: Options,
    /// Most bytes it may hold.
    size_max: usize,
    logs: Vec<u8>,
    /// What of the step's JSON is known before it runs.
    before: Vec<u8>,
    step: Step,
    /// The refund counter of each open frame.
    refunds: Vec<i64>,
    storage: HashMap<Address, BTreeMap<B256, B256>>,
}

impl StructLogger {
    /// A logger that stops the run at a size.
    pub fn new(options: Options, size_max: usize) -> Self {
        Self {
            options,
            size_max,
            logs: Vec::new(),
            before: Vec::new(),
            step: Step::default(),
            refunds: Vec::new(),
            storage: HashMap::new(),
        }
    }

    /// The whole answer.
    pub fn finish(self, result: &ExecutionResult) -> Vec<u8> {
        // Revert data too, but nothing of a halt.
        let output = result.output().map(|output| &output[..]).unwrap_or_default();
        let mut json = Vec::with_capacity(self.logs.len() + 2 * output.len() + 100);
        let (gas, failed) = (result.tx_gas_used(), !result.is_success());
        put(&mut json, format_args!("{{\"gas\":{gas},\"failed\":{failed},\"returnValue\":\"0x"));
        put_hex(&mut json, output);
        json.extend_from_slice(b"\",\"structLogs\":[");
        json.extend_from_slice(&self.logs);
        json.extend_from_slice(b"]}");
        json
    }

    fn write_before(&mut self, interpreter: &Interpreter) {
        let out = &mut self.before;
        out.clear();
        if !self.options.no_stack {
            out.extend_from_slice(b",\"stack\":[");
            for (place, word) in interpreter.stack.data().iter().enumerate() {
                put(out, format_args!("{}\"{word:#x}\"", if place == 0 { "" } else { "," }));
            }
            out.push(b']');
        }
        let returned = interpreter.return_data.buffer();
        if self.options.return_data && !returned.is_empty() {
            out.extend_from_slice(b",\"returnData\":\"0x");
            put_hex(out, returned);
            out.push(b'"');
        }
        let size = interpreter.memory.size();
        if self.options.memory && size > 0 {
            out.extend_from_slice(b",\"memory\":[");
            for (place, word) in interpreter.memory.slice(0..size).chunks(32).enumerate() {
                out.extend_from_slice(if place == 0 { b"\"0x" } else { b",\"0x" });
                put_hex(out, word);
                out.push(b'"');
            }
            out.push(b']');
        }
    }

    fn write(&mut self, gas_after: u64, error: Option<String>, account: Address) {
        let Step { pc, opcode, gas, refund, .. } = self.step;
        let (cost, depth) = (gas.saturating_sub(gas_after), self.refunds.len());
        let out = &mut self.logs;
        if !out.is_empty() {
            out.push(b',');
        }
        let op = name(opcode);
        put(out, format_args!("{{\"pc\":{pc},\"op\":\"{op}\",\"gas\":{gas},\"gasCost\":{cost},\"depth\":{depth}"));
        if let Some(error) = error {
            put(out, format_args!(",\"error\":\"{error}\""));
        }
        out.extend_from_slice(&self.before);
        if let Some((slot, value)) = self.step.slot {
            let slots = self.storage.entry(account).or_default();
            slots.insert(slot.into(), value.into());
            out.extend_from_slice(b",\"storage\":{");
            for (place, (slot, value)) in slots.iter().enumerate() {
                put(out, format_args!("{}\"{slot}\":\"{value}\"", if place == 0 { "" } else { "," }));
            }
            out.push(b'}');
        }
        if refund > 0 {
            put(out, format_args!(",\"refund\":{refund}"));
        }
        out.push(b'}');
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("memory takes all");
}

fn put_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + 2 * bytes.len(), 0);
    hex::encode_to_slice(bytes, &mut out[start..]).expect("room for two digits a byte");
}

/// geth's words for what stops an instruction before it runs; what it does wrong later is not the log's.
fn error(result: Option<InstructionResult>, opcode: u8, stack: usize) -> Option<String> {
    use InstructionResult::*;
    match result? {
        OutOfGas | MemoryOOG | MemoryLimitOOG => Some("out of gas".into()),
        InvalidOperandOOG => Some(OPERAND_WORDS.into()),
        ReentrancySentryOOG => Some("out of gas: not enough gas for reentrancy sentry".into()),
        StackUnderflow | StackOverflow => Some(stack_words(opcode, stack)),
        CallNotAllowedInsideStatic | StateChangeDuringStaticCall => {
            Some(protection_words(opcode).into()).filter(|words: &String| words.starts_with("out of gas"))
        }
        _ => None,
    }
}

impl<C: ContextTr<Db = Watched>> Inspector<C, EthInterpreter> for StructLogger {
    fn step(&mut self, interpreter: &mut Interpreter, _: &mut C) {
        let limit = self.options.limit;
        // Where there is no code revm runs the STOP behind it, geth nothing.
        let empty = interpreter.bytecode.bytecode_len() == 0;
        self.step.shown = !empty && (limit == 0 || self.logs.len() <= limit);
        if let Some(refund) = self.refunds.last_mut() {
            *refund = interpreter.gas.refunded();
        }
        if !self.step.shown {
            return;
        }
        let opcode = interpreter.bytecode.opcode();
        let top = |place| interpreter.stack.peek(place).ok();
        let slot = match opcode {
            _ if self.options.no_storage => None,
            opcode::SLOAD => top(0).map(|slot| (slot, U256::ZERO)),
            opcode::SSTORE => top(0).zip(top(1)),
            _ => None,
        };
        self.step = Step {
            pc: interpreter.bytecode.pc(),
            opcode,
            gas: interpreter.gas.remaining(),
            refund: self.refunds.iter().sum(),
            stack: interpreter.stack.len(),
            slot,
            shown: true,
        };
        self.write_before(interpreter);
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, context: &mut C) {
        if !self.step.shown {
            return;
        }
        let result = interpreter.bytecode.instruction_result();
        let error = error(result, self.step.opcode, self.step.stack);
        match (&mut self.step.slot, &error) {
            (slot, Some(_)) => *slot = None,
            (Some((_, value)), None) if self.step.opcode == opcode::SLOAD => {
                *value = interpreter.stack.peek(0).unwrap_or_default();
            }
            _ => {}
        }
        // revm takes the gas of an instruction before it sees that there is none yet.
        let unknown = result == Some(InstructionResult::NotActivated);
        let gas_after = if unknown { self.step.gas } else { interpreter.gas.remaining() };
        self.write(gas_after, error, interpreter.input.target_address());
        if self.logs.len() > self.size_max {
            context.db_mut().watch.stop(Stop::Size);
        }
    }

    fn call(&mut self, _: &mut C, _: &mut CallInputs) -> Option<CallOutcome> {
        self.refunds.push(0);
        None
    }

    fn call_end(&mut self, _: &mut C, _: &CallInputs, _: &mut CallOutcome) {
        self.refunds.pop();
    }

    fn create(&mut self, _: &mut C, _: &mut CreateInputs) -> Option<CreateOutcome> {
        self.refunds.push(0);
        None
    }

    fn create_end(&mut self, _: &mut C, _: &CreateInputs, _: &mut CreateOutcome) {
        self.refunds.pop();
    }
}
