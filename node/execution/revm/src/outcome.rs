//! How a call ended, in geth's words.

use alloy_primitives::Bytes;
use op_revm::OpHaltReason;
use revm::{
    Inspector,
    bytecode::opcode::OpCode,
    context_interface::result::{ExecutionResult, HaltReason},
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

/// geth's name of an opcode.
pub fn name(opcode: u8) -> String {
    OpCode::new(opcode).map_or_else(|| format!("opcode {opcode:#x} not defined"), |opcode| opcode.as_str().to_owned())
}

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
