//! What Otterscan asks of a run: its calls as one list, and who had a part in it.
//!
//! Both are answers of the engine's own, not tracers that a caller of `debug_trace*` could name.

use crate::{
    destruction::Destruction,
    errors::Result,
    frames::{self, Frame},
    json,
    watch::Watched,
};
use alloy_primitives::{Address, Bytes, U256};
use revm::{
    Inspector,
    context_interface::{ContextTr, Transaction},
    interpreter::{
        CallInputs, CallOutcome, CallScheme, CreateInputs, CreateOutcome, Interpreter, interpreter::EthInterpreter,
    },
};
use serde::Serialize;
use std::collections::BTreeSet;

/// erigon's `TraceEntry`, and whether what it did was undone.
#[derive(Serialize)]
struct EntryJson<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    depth: usize,
    from: Address,
    /// Of a creation that failed, where it would have been.
    to: Option<Address>,
    /// Calls that cannot send any have none.
    value: Option<U256>,
    input: &'a Bytes,
    output: &'a Bytes,
    failed: bool,
}

/// The calls, creations and destructions of a transaction as they began; precompiles are left out.
pub fn entries(frames: &[Frame], precompiles: &BTreeSet<Address>) -> Result<Vec<u8>> {
    // Parents stand before their children.
    let mut places = vec![(0, false); frames.len()];
    let mut out = Vec::new();
    for (place, frame) in frames.iter().enumerate() {
        let (depth, failed) = (places[place].0, places[place].1 || frame.error.is_some());
        for call in &frame.calls {
            places[*call] = (depth + 1, failed);
        }
        if depth > 0 && frame.kind.contains("CALL") && frame.to.is_some_and(|to| precompiles.contains(&to)) {
            continue;
        }
        out.push(EntryJson {
            kind: frame.kind,
            depth,
            from: frame.from,
            to: frame.to.or(frame.aim),
            value: frame.value.filter(|_| frame.kind != "DELEGATECALL"),
            input: &frame.input,
            output: &frame.output,
            failed,
        });
    }
    json::bytes_within(&out, json::SIZE_MAX)
}

/// Notes who called, was called, created, was created or destroyed, or was left something: no data, so a hostile
/// transaction makes it no larger than its gas buys addresses.
#[derive(Debug, Default)]
pub struct Parties {
    met: BTreeSet<Address>,
    destruction: Destruction,
}

impl Parties {
    /// The sender and the callee, who take part whatever becomes of it.
    pub fn of(tx: &impl Transaction) -> Self {
        Self {
            met: [tx.caller()].into_iter().chain(tx.kind().to().copied()).collect(),
            destruction: Destruction::default(),
        }
    }

    /// The answer: a JSON list.
    pub fn finish(&self) -> Result<Vec<u8>> {
        json::bytes_within(&self.met, json::SIZE_MAX)
    }
}

impl<C: ContextTr<Db = Watched>> Inspector<C, EthInterpreter> for Parties {
    fn call(&mut self, _: &mut C, inputs: &mut CallInputs) -> Option<CallOutcome> {
        let (from, to) = match inputs.scheme {
            CallScheme::Call | CallScheme::StaticCall => (inputs.caller, inputs.target_address),
            CallScheme::CallCode => (inputs.caller, inputs.bytecode_address),
            CallScheme::DelegateCall => (inputs.target_address, inputs.bytecode_address),
        };
        self.met.extend([from, to]);
        None
    }

    fn create(&mut self, context: &mut C, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.met.insert(inputs.caller());
        self.met.extend(frames::aim(context, inputs));
        None
    }

    fn step(&mut self, interpreter: &mut Interpreter, context: &mut C) {
        self.destruction.begin(interpreter, context);
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, _: &mut C) {
        if let Some((contract, target, _)) = self.destruction.end(interpreter) {
            self.met.extend([contract, target]);
        }
    }
}
