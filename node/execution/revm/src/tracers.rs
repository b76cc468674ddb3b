//! The tracers of `debug_trace*`, and their options as geth reads them.

use crate::{
    arguments::object,
    errors::{Error, Result},
    frames_json::{self, CallOptions, FlatOptions, Position},
    json,
    opcodes::Counting,
    otterscan::{self, Parties},
    overrides::{BlockArguments, StateArguments},
    parts::Parts,
    prestate::{self, Prestate},
    struct_logs::{self, StructLogger},
    validation,
    watch::Watched,
};
use alloy_primitives::{Address, Log};
use revm::{
    Inspector,
    context::{ContextTr, Transaction, result::ResultAndState},
    inspector::JournalExt,
    interpreter::{CallInputs, CallOutcome, CreateInputs, CreateOutcome, Interpreter, interpreter::EthInterpreter},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How long a transaction may be traced (geth's `defaultTraceTimeout`).
const TIMEOUT: Duration = Duration::from_secs(5);

/// geth's tracers that only a machine for JavaScript can run; all but the first have native successors.
const SCRIPTS: [&str; 5] =
    ["evmdisTracer", "callTracerLegacy", "prestateTracerLegacy", "4byteTracerLegacy", "noopTracerLegacy"];

object! {
    /// geth's `TraceConfig` and `TraceCallConfig`.
    TraceArguments {
        tracer: String = "tracer",
        tracer_config: Value = "tracerConfig",
        timeout: String = "timeout",
        enable_memory: bool = "enableMemory",
        disable_stack: bool = "disableStack",
        disable_storage: bool = "disableStorage",
        enable_return_data: bool = "enableReturnData",
        limit: i64 = "limit",
        state_overrides: StateArguments = "stateOverrides",
        block_overrides: BlockArguments = "blockOverrides",
    }
}

/// A tracer.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Calls(CallOptions),
    FlatCalls(FlatOptions),
    Selectors,
    Prestate(prestate::Options),
    Validation(validation::Options),
    Preimages,
    Opcodes(Counting),
    Noop,
}

#[derive(Debug, Clone)]
enum Wanted {
    Logs(struct_logs::Options),
    One(Kind),
    /// muxTracer's, by name.
    Many(BTreeMap<String, Kind>),
    /// Otterscan's list of calls.
    Entries,
    /// Who had a part in a transaction.
    Parties,
}

/// What is traced, and for how long.
#[derive(Debug, Clone)]
pub struct Plan {
    wanted: Wanted,
    pub timeout: Duration,
}

impl Plan {
    /// Reads the options.
    pub fn new(arguments: &TraceArguments) -> Result<Self> {
        let timeout = match &arguments.timeout {
            None => TIMEOUT,
            Some(text) => duration(text).map_err(Error::call)?,
        };
        let config = arguments.tracer_config.clone().unwrap_or_default();
        let wanted = match arguments.tracer.as_deref() {
            None => Wanted::Logs(struct_logs::Options {
                memory: arguments.enable_memory.unwrap_or_default(),
                no_stack: arguments.disable_stack.unwrap_or_default(),
                no_storage: arguments.disable_storage.unwrap_or_default(),
                return_data: arguments.enable_return_data.unwrap_or_default(),
                limit: usize::try_from(arguments.limit.unwrap_or_default()).unwrap_or_default(),
            }),
            Some("muxTracer") => {
                let kinds = options::<BTreeMap<String, Value>>(config)?.into_iter();
                let named = |(name, config): (String, Value)| kind(&name, config).map(|kind| (name, kind));
                Wanted::Many(kinds.map(named).collect::<Result<_>>()?)
            }
            Some(name) => Wanted::One(kind(name, config)?),
        };
        Ok(Self { wanted, timeout })
    }

    /// Otterscan's list of calls.
    pub fn entries() -> Self {
        Self { wanted: Wanted::Entries, timeout: Duration::MAX }
    }

    /// Who had a part in each transaction.
    pub fn parties() -> Self {
        Self { wanted: Wanted::Parties, timeout: Duration::MAX }
    }

    /// A tracer for one transaction; `first_log` is the number of the block's logs before it.
    pub fn tracer(&self, first_log: usize, tx: &impl Transaction) -> Tracer {
        let parts = |kinds: &[Kind]| Tracer::Parts(Parts::new(first_log, kinds));
        match &self.wanted {
            Wanted::Logs(options) => Tracer::Logs(StructLogger::new(*options, json::SIZE_MAX)),
            Wanted::One(kind) => parts(&[*kind]),
            Wanted::Many(kinds) => parts(&kinds.values().copied().collect::<Vec<_>>()),
            Wanted::Parties => Tracer::Parties(Parties::of(tx)),
            Wanted::Entries => parts(&[Kind::Calls(CallOptions::default())]),
        }
    }

    /// The answer.
    pub fn finish(&self, tracer: Tracer, run: &Run<'_>) -> Result<Vec<u8>> {
        let mut parts = match tracer {
            Tracer::Logs(logger) => return Ok(logger.finish(&run.result.result)),
            Tracer::Parties(parties) => return parties.finish(),
            Tracer::Idle => Parts::default(),
            Tracer::Parts(parts) => parts,
        };
        parts.finish(&run.result.result);
        match &self.wanted {
            Wanted::One(kind) => kind.finish(&parts, run),
            Wanted::Many(kinds) => {
                let mut out = vec![b'{'];
                for (place, (name, kind)) in kinds.iter().enumerate() {
                    // The names are those of tracers: nothing in them needs an escape.
                    out.extend_from_slice(format!("{}\"{name}\":", if place == 0 { "" } else { "," }).as_bytes());
                    out.extend_from_slice(&kind.finish(&parts, run)?);
                }
                out.push(b'}');
                Ok(out)
            }
            Wanted::Entries => otterscan::entries(parts.frames(), run.precompiles),
            Wanted::Logs(_) | Wanted::Parties => Err(Error::Fatal("a trace without its tracer".into())),
        }
    }
}

/// A run that has ended.
pub struct Run<'a> {
    pub result: &'a ResultAndState,
    pub position: Position,
    /// The state before it.
    pub db: &'a Watched,
    pub precompiles: &'a BTreeSet<Address>,
}

impl Kind {
    fn finish(&self, parts: &Parts, run: &Run<'_>) -> Result<Vec<u8>> {
        let frames = parts.frames();
        match *self {
            Self::Calls(options) => frames_json::nested(frames, options),
            Self::FlatCalls(options) => {
                json::bytes_within(&frames_json::flat(frames, options, run.position, run.precompiles), json::SIZE_MAX)
            }
            Self::Selectors => json::bytes(&frames_json::selectors(frames, run.precompiles)),
            Self::Prestate(options) => {
                let prestate = Prestate::new(&run.result.state, options, run.db);
                json::bytes_within(&prestate.map_err(|error| Error::Fatal(error.to_string()))?, json::SIZE_MAX)
            }
            Self::Validation(_) => parts.validation(),
            Self::Preimages => parts.preimages.finish(),
            Self::Opcodes(counting) => parts.counted(counting),
            Self::Noop => Ok(b"{}".to_vec()),
        }
    }
}

fn options<T: DeserializeOwned + Default>(config: Value) -> Result<T> {
    match config {
        Value::Null => return Ok(T::default()),
        Value::Array(_) => return Err(Error::call("tracerConfig: an array where an object of options belongs")),
        _ => {}
    }
    serde_json::from_value(config).map_err(|error| Error::call(format_args!("tracerConfig: {error}")))
}

fn kind(name: &str, config: Value) -> Result<Kind> {
    Ok(match name {
        "callTracer" => Kind::Calls(options(config)?),
        "flatCallTracer" => Kind::FlatCalls(options(config)?),
        "4byteTracer" => Kind::Selectors,
        "prestateTracer" => Kind::Prestate(options::<prestate::Options>(config)?.check().map_err(Error::call)?),
        "erc7562Tracer" => Kind::Validation(options::<validation::Given>(config)?.try_into()?),
        "keccak256PreimageTracer" => Kind::Preimages,
        "opcountTracer" => Kind::Opcodes(Counting::All),
        "unigramTracer" => Kind::Opcodes(Counting::Single),
        "bigramTracer" => Kind::Opcodes(Counting::Pairs),
        "trigramTracer" => Kind::Opcodes(Counting::Triples),
        "noopTracer" => Kind::Noop,
        name if SCRIPTS.contains(&name) => {
            return Err(Error::call(format_args!("{name} is written in JavaScript, which is not supported")));
        }
        // geth takes any other name for JavaScript, which it evaluates.
        name if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') => {
            return Err(Error::call(format_args!("ReferenceError: {name} is not defined at <eval>:1:2(0)")));
        }
        _ => return Err(Error::call("tracers written in JavaScript are not supported")),
    })
}

/// Reads Go's way to write a duration ("1m30s", "500ms"), or says what is wrong in its words. One below zero is over at once.
fn duration(text: &str) -> std::result::Result<Duration, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut sum) = (unsigned, 0.0);
    if rest.is_empty() {
        return Err(invalid());
    }
    while !rest.is_empty() {
        let number_end = rest.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(rest.len());
        let (number, behind) = rest.split_at(number_end);
        let number: f64 = number.parse().map_err(|_| invalid())?;
        let unit_end = behind.find(|it: char| it.is_ascii_digit() || it == '.').unwrap_or(behind.len());
        let (unit, next) = behind.split_at(unit_end);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "" => return Err(format!("time: missing unit in duration {text:?}")),
            _ => return Err(format!("time: unknown unit {unit:?} in duration {text:?}")),
        };
        sum += number * seconds;
        rest = next;
    }
    let given = Duration::try_from_secs_f64(sum).map_err(|_| invalid())?;
    Ok(if text.starts_with('-') { Duration::ZERO } else { given })
}

/// A tracer at work.
pub enum Tracer {
    /// Nothing is noted.
    Idle,
    Logs(StructLogger),
    Parts(Parts),
    Parties(Parties),
}

macro_rules! delegate {
    ($self:ident, $inspector:ident => $call:expr, $idle:expr) => {
        match $self {
            Self::Idle => $idle,
            Self::Logs($inspector) => $call,
            Self::Parts($inspector) => $call,
            Self::Parties($inspector) => $call,
        }
    };
}

impl<C: ContextTr<Db = Watched, Journal: JournalExt>> Inspector<C, EthInterpreter> for Tracer {
    fn step(&mut self, interpreter: &mut Interpreter, context: &mut C) {
        delegate!(self, it => it.step(interpreter, context), ());
    }
    fn step_end(&mut self, interpreter: &mut Interpreter, context: &mut C) {
        delegate!(self, it => it.step_end(interpreter, context), ());
    }
    fn log(&mut self, context: &mut C, log: Log) {
        delegate!(self, it => it.log(context, log), ());
    }
    fn call(&mut self, context: &mut C, inputs: &mut CallInputs) -> Option<CallOutcome> {
        delegate!(self, it => it.call(context, inputs), None)
    }
    fn call_end(&mut self, context: &mut C, inputs: &CallInputs, outcome: &mut CallOutcome) {
        delegate!(self, it => it.call_end(context, inputs, outcome), ());
    }
    fn create(&mut self, context: &mut C, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        delegate!(self, it => it.create(context, inputs), None)
    }
    fn create_end(&mut self, context: &mut C, inputs: &CreateInputs, outcome: &mut CreateOutcome) {
        delegate!(self, it => it.create_end(context, inputs, outcome), ());
    }
}
