//! How often instructions ran, alone or after each other: what geth's tracers opcountTracer, unigramTracer, bigramTracer
//! and trigramTracer answer, which are scripts there.

use crate::{
    errors::Result,
    json,
    outcome::name,
    watch::{Stop, Watched},
};
use alloy_primitives::map::HashMap;
use revm::{
    Inspector,
    context_interface::ContextTr,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, Interpreter,
        interpreter::EthInterpreter,
        interpreter_types::{Jumps, LegacyBytecode},
    },
};
use std::collections::BTreeMap;

/// What a name takes in an answer, with its count, at most.
const ENTRY_SIZE: usize = 64;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// All instructions together.
    All,
    /// Each instruction.
    Single,
    /// Each with the one before it.
    Pairs,
    /// Each with the two before it.
    Triples,
}

/// An instruction and those before it, the oldest first; none where nothing was remembered.
type Gram = [Option<u8>; 3];

/// Counts instructions.
#[derive(Debug)]
pub struct Opcodes {
    pub counting: Counting,
    counts: HashMap<Gram, u64>,
    /// The last two.
    before: [Option<u8>; 2],
    /// Frames that are open, and when the last instruction ran.
    depth: usize,
    last_depth: usize,
}

impl Opcodes {
    /// Nothing has run.
    pub fn new(counting: Counting) -> Self {
        Self { counting, counts: HashMap::default(), before: [None; 2], depth: 0, last_depth: 0 }
    }

    /// The answer: a number, or counts by name.
    pub fn finish(&self) -> Result<Vec<u8>> {
        if self.counting == Counting::All {
            return json::bytes(&self.counts.values().sum::<u64>());
        }
        let length = match self.counting {
            Counting::All | Counting::Single => 1,
            Counting::Pairs => 2,
            Counting::Triples => 3,
        };
        let word = |opcode: &Option<u8>| opcode.map(name).unwrap_or_default();
        let words = |gram: &Gram| gram[3 - length..].iter().map(word).collect::<Vec<_>>().join("-");
        let named: BTreeMap<_, _> = self.counts.iter().map(|(gram, count)| (words(gram), count)).collect();
        json::bytes_within(&named, json::SIZE_MAX)
    }

    /// The gram that an instruction ends, if it ends one, as geth's scripts see it.
    fn gram(&mut self, opcode: u8) -> Option<Gram> {
        let moved = std::mem::replace(&mut self.last_depth, self.depth) != self.depth;
        let [oldest, newest] = self.before;
        let gram = match self.counting {
            Counting::All | Counting::Single => return Some([None, None, Some(opcode)]),
            Counting::Pairs => (!moved).then_some([None, newest, Some(opcode)]),
            // After a change of frames the script forgets all, the instruction too.
            Counting::Triples if moved => {
                self.before = [None; 2];
                return None;
            }
            Counting::Triples => Some([oldest, newest, Some(opcode)]),
        };
        self.before = [newest, Some(opcode)];
        gram
    }
}

impl<C: ContextTr<Db = Watched>> Inspector<C, EthInterpreter> for Opcodes {
    fn step(&mut self, interpreter: &mut Interpreter, context: &mut C) {
        // Where there is no code revm runs the STOP behind it, geth nothing.
        if interpreter.bytecode.bytecode_len() == 0 {
            return;
        }
        let Some(gram) = self.gram(interpreter.bytecode.opcode()) else { return };
        *self.counts.entry(gram).or_default() += 1;
        if self.counts.len() * ENTRY_SIZE > json::SIZE_MAX {
            context.db_mut().watch.stop(Stop::Size);
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
