//! What one run is watched by for any number of tracers: each part notes something, and tracers that print it share it.

use crate::{
    destruction::Destruction,
    errors::{Error, Result},
    frames::{Frame, Recorder},
    json,
    opcodes::{Counting, Opcodes},
    preimages::Preimages,
    tracers::Kind,
    validation::Validation,
    watch::Watched,
};
use alloy_primitives::Log;
use revm::{
    Inspector,
    context::{ContextTr, Transaction, result::ExecutionResult},
    inspector::JournalExt,
    interpreter::{CallInputs, CallOutcome, CreateInputs, CreateOutcome, Interpreter, interpreter::EthInterpreter},
};

/// What some tracers need; what none needs is not there and costs nothing.
#[derive(Debug, Default)]
pub struct Parts {
    recorder: Option<Recorder>,
    validation: Option<Validation>,
    /// Empty unless it is needed.
    pub preimages: Preimages,
    notes_preimages: bool,
    opcodes: Vec<Opcodes>,
    destruction: Destruction,
}

impl Parts {
    /// What these tracers need; `first_log` is the number of the block's logs before the run.
    pub fn new(first_log: usize, kinds: &[Kind]) -> Self {
        let mut parts = Self::default();
        for kind in kinds {
            match kind {
                Kind::Calls(_) | Kind::FlatCalls(_) | Kind::Selectors => parts.record(first_log),
                Kind::Validation(options) => {
                    parts.record(first_log);
                    parts.validation = Some(Validation::new(*options));
                    parts.notes_preimages = true;
                }
                Kind::Preimages => parts.notes_preimages = true,
                Kind::Opcodes(counting) => parts.opcodes.push(Opcodes::new(*counting)),
                Kind::Prestate(_) | Kind::Noop => {}
            }
        }
        parts
    }

    fn record(&mut self, first_log: usize) {
        self.recorder.get_or_insert_with(|| Recorder::new(first_log, json::SIZE_MAX));
    }

    /// Notes that the transaction is over; one without a frame failed with these words.
    pub fn ran(&mut self, tx: &impl Transaction, words: &str) {
        if let Some(recorder) = self.recorder.as_mut().filter(|recorder| recorder.frames.is_empty()) {
            recorder.refused(tx, words);
        }
    }

    /// Fills in what only the end tells.
    pub fn finish(&mut self, result: &ExecutionResult) {
        if let Some(recorder) = &mut self.recorder {
            recorder.finish(result);
        }
    }

    /// The call frames, none unless a tracer asked for them.
    pub fn frames(&self) -> &[Frame] {
        self.recorder.as_ref().map(|recorder| &recorder.frames[..]).unwrap_or_default()
    }

    /// erc7562Tracer's answer.
    pub fn validation(&self) -> Result<Vec<u8>> {
        let part = self.validation.as_ref().ok_or_else(missing)?;
        part.finish(self.frames(), &self.preimages)
    }

    /// The answer of a tracer that counts.
    pub fn counted(&self, counting: Counting) -> Result<Vec<u8>> {
        self.opcodes.iter().find(|part| part.counting == counting).ok_or_else(missing)?.finish()
    }
}

fn missing() -> Error {
    Error::Fatal("a trace without its tracer".into())
}

/// The same for every part that there is.
macro_rules! each {
    ($parts:ident, $part:ident => $call:expr) => {
        if let Some($part) = &mut $parts.recorder {
            $call;
        }
        if let Some($part) = &mut $parts.validation {
            $call;
        }
        for $part in &mut $parts.opcodes {
            $call;
        }
    };
}

impl<C: ContextTr<Db = Watched, Journal: JournalExt>> Inspector<C, EthInterpreter> for Parts {
    fn step(&mut self, interpreter: &mut Interpreter, context: &mut C) {
        each!(self, part => part.step(interpreter, context));
        if self.notes_preimages {
            self.preimages.step(interpreter, context);
        }
        if self.recorder.is_some() {
            self.destruction.begin(interpreter, context);
        }
    }
    fn step_end(&mut self, interpreter: &mut Interpreter, _: &mut C) {
        let Some(left) = self.destruction.end(interpreter) else { return };
        if let Some(recorder) = &mut self.recorder {
            recorder.destroyed(left);
        }
        if let Some(validation) = &mut self.validation {
            validation.destroyed();
        }
    }
    fn log(&mut self, context: &mut C, log: Log) {
        if let Some(recorder) = &mut self.recorder {
            recorder.log(context, log);
        }
    }
    fn call(&mut self, context: &mut C, inputs: &mut CallInputs) -> Option<CallOutcome> {
        each!(self, part => part.call(context, inputs));
        None
    }
    fn call_end(&mut self, context: &mut C, inputs: &CallInputs, outcome: &mut CallOutcome) {
        each!(self, part => part.call_end(context, inputs, outcome));
    }
    fn create(&mut self, context: &mut C, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        each!(self, part => part.create(context, inputs));
        None
    }
    fn create_end(&mut self, context: &mut C, inputs: &CreateInputs, outcome: &mut CreateOutcome) {
        each!(self, part => part.create_end(context, inputs, outcome));
    }
}
