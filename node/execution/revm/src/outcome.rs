//! How a call ended, in geth's words.

use alloy_primitives::Bytes;
use op_revm::OpHaltReason;
use revm::{
    Inspector,
    bytecode::opcode::{self, OpCode},
    context_interface::result::{ExecutionResult, HaltReason, OutOfGasError},
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, Interpreter, interpreter::EthInterpreter,
        interpreter_types::Jumps,
    },
};

/// A halt of either layer's EVM.
pub trait Halt {
    /// As the L1 names it.
    fn common(self) -> HaltReason;
}

impl Halt for HaltReason {
    fn common(self) -> HaltReason {
        self
    }
}

impl Halt for OpHaltReason {
    fn common(self) -> HaltReason {
        match self {
            Self::Base(reason) => reason,
            Self::FailedDeposit => HaltReason::PrecompileErrorWithContext("failed deposit".into()),
        }
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Success(Bytes),
    Revert(Bytes),
    /// geth's words for what was wrong.
    Halt(String),
}

impl Outcome {
    /// `last` names what a halt without it does not.
    pub fn new(result: ExecutionResult, last: &LastStep) -> Self {
        match result {
            ExecutionResult::Success { output, .. } => Self::Success(output.into_data()),
            ExecutionResult::Revert { output, .. } => Self::Revert(output),
            ExecutionResult::Halt { reason, .. } => Self::Halt(last.words(&reason)),
        }
    }

    /// Its name, and its data.
    pub fn parts(self) -> (&'static str, Bytes) {
        match self {
            Self::Success(data) => ("success", data),
            Self::Revert(data) => ("revert", data),
            Self::Halt(words) => ("halt", words.into_bytes().into()),
        }
    }
}

/// Whether only the last step tells what was wrong.
pub fn needs_last_step(result: &ExecutionResult) -> bool {
    use HaltReason::*;
    let ExecutionResult::Halt { reason, .. } = result else { return false };
    matches!(reason, OpcodeNotFound | NotActivated | StackUnderflow | StackOverflow)
}

/// Names that geth has for instructions of the EVM object format, which no fork has brought.
const PLANNED: [(u8, &str); 16] = [
    (0xd0, "DATALOAD"),
    (0xd1, "DATALOADN"),
    (0xd2, "DATASIZE"),
    (0xd3, "DATACOPY"),
    (0xe0, "RJUMP"),
    (0xe1, "RJUMPI"),
    (0xe2, "RJUMPV"),
    (0xe3, "CALLF"),
    (0xe4, "RETF"),
    (0xe5, "JUMPF"),
    (0xec, "EOFCREATE"),
    (0xee, "RETURNCONTRACT"),
    (0xf7, "RETURNDATALOAD"),
    (0xf8, "EXTCALL"),
    (0xf9, "EXTDELEGATECALL"),
    (0xfb, "EXTSTATICCALL"),
];

/// geth's name of an opcode.
pub fn name(opcode: u8) -> String {
    let planned = || PLANNED.iter().find(|(number, _)| *number == opcode).map(|(_, name)| *name);
    match OpCode::new(opcode).map(|opcode| opcode.as_str()).or_else(planned) {
        Some(name) => name.into(),
        None => format!("opcode {opcode:#x} not defined"),
    }
}

/// geth's words for a change where none is allowed: most are found out while their gas is counted.
pub fn protection_words(opcode: u8) -> &'static str {
    match opcode {
        opcode::LOG0..=opcode::LOG4 | opcode::TSTORE => "write protection",
        _ => "out of gas: write protection",
    }
}

/// geth's words for a place in memory that no number of 64 bits names.
pub const OPERAND_WORDS: &str = "gas uint64 overflow";

/// geth's words for an instruction that finds too little or too much on the stack.
pub fn stack_words(opcode: u8, size: usize) -> String {
    let (inputs, outputs) = OpCode::new(opcode).map_or((0, 0), |opcode| {
        let info = opcode.info();
        (usize::from(info.inputs()), usize::from(info.outputs()))
    });
    if size < inputs {
        format!("stack underflow ({size} <=> {inputs})")
    } else {
        format!("stack limit reached {size} ({})", 1024 + inputs - outputs)
    }
}

/// Notes the last instruction of the outermost frame.
#[derive(Debug, Clone, Default)]
pub struct LastStep {
    /// Frames that are open.
    depth: usize,
    opcode: u8,
    stack: usize,
}

impl LastStep {
    /// geth's words for a halt.
    pub fn words(&self, reason: &HaltReason) -> String {
        use HaltReason::*;
        match reason {
            OutOfGas(OutOfGasError::InvalidOperand) => OPERAND_WORDS.into(),
            OutOfGas(_) => "out of gas".into(),
            OpcodeNotFound | NotActivated => format!("invalid opcode: {}", name(self.opcode)),
            InvalidFEOpcode => "invalid opcode: INVALID".into(),
            StackUnderflow | StackOverflow => stack_words(self.opcode, self.stack),
            InvalidJump => "invalid jump destination".into(),
            OutOfOffset => "return data out of bounds".into(),
            CreateCollision => "contract address collision".into(),
            NonceOverflow => "nonce uint64 overflow".into(),
            CreateContractSizeLimit => "max code size exceeded".into(),
            CreateContractStartingWithEF => "invalid code: must not begin with 0xef".into(),
            CreateInitCodeSizeLimit => "max initcode size exceeded".into(),
            StateChangeDuringStaticCall | CallNotAllowedInsideStatic => "write protection".into(),
            OutOfFunds => "insufficient balance for transfer".into(),
            CallTooDeep => "max call depth exceeded".into(),
            OverflowPayment => "gas uint64 overflow".into(),
            PrecompileErrorWithContext(words) => words.clone(),
            PrecompileError => "precompile error".into(),
        }
    }
}

impl<C> Inspector<C, EthInterpreter> for LastStep {
    fn step(&mut self, interpreter: &mut Interpreter, _: &mut C) {
        if self.depth == 1 {
            (self.opcode, self.stack) = (interpreter.bytecode.opcode(), interpreter.stack.len());
        }
    }
    fn call(&mut self, _: &mut C, _: &mut CallInputs) -> Option<CallOutcome> {
        self.depth += 1;
        None
    }
    fn call_end(&mut self, _: &mut C, _: &CallInputs, _: &mut CallOutcome) {
        self.depth -= 1;
    }
    fn create(&mut self, _: &mut C, _: &mut CreateInputs) -> Option<CreateOutcome> {
        self.depth += 1;
        None
    }
    fn create_end(&mut self, _: &mut C, _: &CreateInputs, _: &mut CreateOutcome) {
        self.depth -= 1;
    }
}
