//! The call frames of a transaction, as geth's native tracers see them: what callTracer, flatCallTracer and 4byteTracer
//! are rendered from.

use crate::{
    destruction::Left,
    outcome::{OPERAND_WORDS, name, protection_words, stack_words},
    watch::{Stop, Watched},
};
use alloy_primitives::{Address, Bytes, Log, U256};
use revm::{
    Inspector,
    bytecode::opcode,
    context_interface::{ContextTr, CreateScheme, JournalTr, Transaction, result::ExecutionResult},
    interpreter::{
        CallInputs, CallOutcome, CallScheme, CreateInputs, CreateOutcome, Gas, InstructionResult, Interpreter,
        interpreter::EthInterpreter, interpreter_types::Jumps,
    },
};

/// What a frame takes in an answer besides its data, at least.
const FRAME_SIZE: usize = 512;

/// What a byte of a new contract's code costs.
const CODE_BYTE_GAS: u64 = 200;

/// A log, and how many calls its frame had made.
#[derive(Debug, Clone)]
pub struct FrameLog {
    pub log: Log,
    /// Counts the block's logs.
    pub index: usize,
    pub position: usize,
}

/// A call, a creation, or a SELFDESTRUCT.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    /// The opcode's name.
    pub kind: &'static str,
    pub from: Address,
    /// None for a creation that failed.
    pub to: Option<Address>,
    /// Where a creation puts its contract if it succeeds.
    pub aim: Option<Address>,
    pub input: Bytes,
    pub output: Bytes,
    pub gas: u64,
    pub gas_used: u64,
    /// STATICCALL has none.
    pub value: Option<U256>,
    /// geth's words.
    pub error: Option<String>,
    pub logs: Vec<FrameLog>,
    /// Places of the frames that it has opened, in order.
    pub calls: Vec<usize>,
}

/// A frame that has not ended.
#[derive(Debug)]
struct Open {
    place: usize,
    /// Logs that counted when it began.
    logs: usize,
    /// Its last instruction, and the stack's size before it.
    last: (u8, usize),
}

/// Notes the frames of a run.
#[derive(Debug)]
pub struct Recorder {
    /// The outermost first; parents before children.
    pub frames: Vec<Frame>,
    open: Vec<Open>,
    /// Logs of the block that count so far.
    logs: usize,
    /// Bytes that the answer will have at least, and may have at most.
    size: usize,
    size_max: usize,
}

impl Recorder {
    /// Stops the run at a size; `first_log` is the number of the block's logs before it.
    pub fn new(first_log: usize, size_max: usize) -> Self {
        Self { frames: Vec::new(), open: Vec::new(), logs: first_log, size: 0, size_max }
    }

    /// Notes a transaction that failed before it had a frame, as only a deposit can.
    pub fn refused(&mut self, tx: &impl Transaction, error: &str) {
        let to = tx.kind().to().copied();
        self.frames.push(Frame {
            kind: if to.is_some() { "CALL" } else { "CREATE" },
            from: tx.caller(),
            to,
            input: tx.input().clone(),
            gas: tx.gas_limit(),
            value: Some(tx.value()),
            error: Some(error.into()),
            ..Frame::default()
        });
    }

    /// Notes a SELFDESTRUCT.
    pub fn destroyed(&mut self, (from, to, value): Left) {
        let place = self.frames.len();
        if let Some(open) = self.open.last() {
            self.frames[open.place].calls.push(place);
            let (kind, to, value) = ("SELFDESTRUCT", Some(to), Some(value));
            self.frames.push(Frame { kind, from, to, value, ..Default::default() });
        }
    }

    /// Fills in what only the end tells.
    pub fn finish(&mut self, result: &ExecutionResult) {
        if let Some(outermost) = self.frames.first_mut() {
            outermost.gas_used = result.tx_gas_used();
        }
    }

    fn count(&mut self, data: usize, context: &mut impl ContextTr<Db = Watched>) {
        self.size += FRAME_SIZE + 2 * data;
        if self.size > self.size_max {
            context.db_mut().watch.stop(Stop::Size);
        }
    }

    fn begin(&mut self, mut frame: Frame, context: &mut impl ContextTr<Db = Watched>) {
        // flatCallTracer writes every frame's way from the outermost.
        self.count(frame.input.len() + 4 * self.open.len(), context);
        let place = self.frames.len();
        match self.open.last() {
            Some(parent) => self.frames[parent.place].calls.push(place),
            None => frame.gas = context.tx().gas_limit(),
        }
        self.frames.push(frame);
        self.open.push(Open { place, logs: self.logs, last: (opcode::STOP, 0) });
    }

    /// Gives the frame that has ended.
    fn end(
        &mut self,
        result: InstructionResult,
        gas: &Gas,
        output: &Bytes,
        context: &mut impl ContextTr<Db = Watched>,
    ) -> Option<&mut Frame> {
        let open = self.open.pop()?;
        let frame = &mut self.frames[open.place];
        frame.gas_used = if result.is_ok_or_revert() { gas.total_gas_spent() } else { frame.gas };
        let is_paid = gas.remaining() >= CODE_BYTE_GAS * output.len() as u64;
        frame.error = words(result, open.last, frame.kind, is_paid);
        if frame.error.is_some() {
            self.logs = open.logs;
        }
        if frame.error.is_none() || result == InstructionResult::Revert {
            frame.output = output.clone();
            let data = frame.output.len();
            self.count(data, context);
        }
        Some(&mut self.frames[open.place])
    }
}

/// geth's words for how a frame failed; `is_paid` says whether a code that it returned could be paid for.
fn words(result: InstructionResult, (opcode, stack): (u8, usize), kind: &str, is_paid: bool) -> Option<String> {
    use InstructionResult::*;
    // geth asks for the gas of a code before it looks at its length.
    let result = if result == CreateContractSizeLimit && !is_paid { OutOfGas } else { result };
    let words = match result {
        Stop | Return | SelfDestruct => return None,
        Revert => "execution reverted",
        CallTooDeep => "max call depth exceeded",
        OutOfFunds => "insufficient balance for transfer",
        OutOfGas if opcode == opcode::RETURN && kind.starts_with("CREATE") => {
            "contract creation code storage out of gas"
        }
        OutOfGas | MemoryOOG | MemoryLimitOOG | PrecompileOOG => "out of gas",
        InvalidOperandOOG => OPERAND_WORDS,
        ReentrancySentryOOG => "out of gas: not enough gas for reentrancy sentry",
        OpcodeNotFound | NotActivated | InvalidFEOpcode => return Some(format!("invalid opcode: {}", name(opcode))),
        StackUnderflow | StackOverflow => return Some(stack_words(opcode, stack)),
        CallNotAllowedInsideStatic | StateChangeDuringStaticCall => protection_words(opcode),
        InvalidJump => "invalid jump destination",
        OutOfOffset => "return data out of bounds",
        CreateCollision => "contract address collision",
        NonceOverflow => "nonce uint64 overflow",
        CreateContractSizeLimit => "max code size exceeded",
        CreateContractStartingWithEF | CreateInitCodeStartingEF00 => "invalid code: must not begin with 0xef",
        CreateInitCodeSizeLimit => "max initcode size exceeded",
        PrecompileError => "precompile failed",
        _ => "execution failed",
    };
    Some(words.into())
}

impl<C: ContextTr<Db = Watched>> Inspector<C, EthInterpreter> for Recorder {
    fn step(&mut self, interpreter: &mut Interpreter, _: &mut C) {
        if let Some(open) = self.open.last_mut() {
            open.last = (interpreter.bytecode.opcode(), interpreter.stack.len());
        }
    }

    fn log(&mut self, context: &mut C, log: Log) {
        self.count(log.data.data.len(), context);
        if let Some(open) = self.open.last() {
            let frame = &mut self.frames[open.place];
            frame.logs.push(FrameLog { log, index: self.logs, position: frame.calls.len() });
            self.logs += 1;
        }
    }

    fn call(&mut self, context: &mut C, inputs: &mut CallInputs) -> Option<CallOutcome> {
        let (kind, from, to) = match inputs.scheme {
            CallScheme::Call => ("CALL", inputs.caller, inputs.target_address),
            CallScheme::CallCode => ("CALLCODE", inputs.caller, inputs.bytecode_address),
            CallScheme::DelegateCall => ("DELEGATECALL", inputs.target_address, inputs.bytecode_address),
            CallScheme::StaticCall => ("STATICCALL", inputs.caller, inputs.target_address),
        };
        let frame = Frame {
            kind,
            from,
            to: Some(to),
            input: inputs.input.bytes(context),
            gas: inputs.gas_limit,
            value: (inputs.scheme != CallScheme::StaticCall).then(|| inputs.value.get()),
            ..Default::default()
        };
        self.begin(frame, context);
        None
    }

    fn call_end(&mut self, context: &mut C, _: &CallInputs, outcome: &mut CallOutcome) {
        let result = &outcome.result;
        self.end(result.result, &result.gas, &result.output, context);
    }

    fn create(&mut self, context: &mut C, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        let frame = Frame {
            kind: if matches!(inputs.scheme(), CreateScheme::Create2 { .. }) { "CREATE2" } else { "CREATE" },
            from: inputs.caller(),
            aim: aim(context, inputs),
            input: inputs.init_code().clone(),
            gas: inputs.gas_limit(),
            value: Some(inputs.value()),
            ..Default::default()
        };
        self.begin(frame, context);
        None
    }

    fn create_end(&mut self, context: &mut C, _: &CreateInputs, outcome: &mut CreateOutcome) {
        let (result, address) = (&outcome.result, outcome.address);
        if let Some(frame) = self.end(result.result, &result.gas, &result.output, context) {
            frame.to = address.filter(|_| frame.error.is_none());
        }
    }
}

/// Where a creation would put its contract, before it runs.
pub fn aim(context: &mut impl ContextTr, inputs: &CreateInputs) -> Option<Address> {
    let nonce = context.journal_mut().load_account(inputs.caller()).ok()?.data.info.nonce;
    Some(inputs.created_address(nonce))
}
