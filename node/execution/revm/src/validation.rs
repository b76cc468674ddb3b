//! geth's erc7562Tracer: what bundlers of account abstraction ask of a validation, frame by frame: which slots it read
//! and wrote, which instructions it ran, whose code it looked at, whether gas ran out.
//!
//! The frames are `frames::Recorder`'s, what was hashed is `preimages::Preimages`'; this is what lies between.

use crate::{
    errors::{Error, Result},
    frames::Frame,
    frames_json::{self, CallOptions},
    hex::Hex,
    json,
    preimages::Preimages,
    watch::{ReadError, Stop, Watched},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use revm::{
    Database, Inspector,
    bytecode::opcode,
    context_interface::ContextTr,
    inspector::JournalExt,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, Interpreter,
        interpreter::EthInterpreter,
        interpreter_types::{InputsTr, Jumps, LegacyBytecode},
    },
};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;

/// What an entry of a frame takes in an answer, at most: a slot, or what was read from two.
const ENTRY_SIZE: usize = 160;

/// Its options, as they are given.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Given {
    /// How much of the stack geth remembers of the last instruction; more than its top is never looked at.
    stack_top_items_size: Option<i64>,
    ignored_opcodes: Option<Vec<Hex<u64>>>,
    with_log: Option<bool>,
}

/// Its options.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// A bit for each instruction that is not counted.
    ignored: U256,
    with_log: bool,
}

impl TryFrom<Given> for Options {
    type Error = Error;

    fn try_from(given: Given) -> Result<Self> {
        if given.stack_top_items_size.is_some_and(|size| size < 0) {
            return Err(Error::call("tracerConfig: stackTopItemsSize is below zero"));
        }
        let mut ignored = U256::ZERO;
        match given.ignored_opcodes {
            // As in geth the lowest eight bits count.
            Some(opcodes) => opcodes.iter().for_each(|Hex(opcode)| ignored.set_bit((opcode & 0xff) as usize, true)),
            None => ignored_by_default().for_each(|opcode| ignored.set_bit(opcode.into(), true)),
        }
        Ok(Self { ignored, with_log: given.with_log.unwrap_or_default() })
    }
}

/// Instructions that no rule is about.
fn ignored_by_default() -> impl Iterator<Item = u8> {
    use opcode::*;
    let others = [POP, ADD, SUB, MUL, DIV, EQ, LT, GT, SLT, SGT, SHL, SHR, AND, OR, NOT, ISZERO];
    (PUSH0..=SWAP16).chain(others)
}

/// An instruction's number as geth prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Opcode(u8);

impl Serialize for Opcode {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{:#x}", self.0))
    }
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Slots {
    /// What stood in a slot that was read before it was written: a list of one.
    reads: BTreeMap<B256, [B256; 1]>,
    writes: BTreeMap<B256, u64>,
    transient_reads: BTreeMap<B256, u64>,
    transient_writes: BTreeMap<B256, u64>,
}

/// The length of a code when it was first looked at or called, and by which instruction.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CodeSize {
    contract_size: usize,
    opcode: u8,
}

/// What a frame did.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Deeds {
    accessed_slots: Slots,
    /// Whose code it asked for, but to learn whether there is any.
    ext_code_access_info: Vec<Address>,
    used_opcodes: BTreeMap<Opcode, u64>,
    contract_size: BTreeMap<Address, CodeSize>,
}

/// What is printed of a frame between its head and its calls.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeedsJson<'a> {
    #[serde(flatten)]
    deeds: &'a Deeds,
    out_of_gas: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keccak: Vec<&'a Bytes>,
}

/// Notes what frames do.
#[derive(Debug)]
pub struct Validation {
    options: Options,
    /// By the place that `frames::Recorder` gives them.
    frames: Vec<Deeds>,
    /// Places of those that have not ended.
    open: Vec<usize>,
    /// The last instruction, and the top of the stack before it.
    last: Option<(u8, Option<U256>)>,
    /// Bytes that the answer will have at most.
    size: usize,
}

fn looks_at_code(opcode: u8) -> bool {
    matches!(opcode, opcode::EXTCODEHASH | opcode::EXTCODESIZE | opcode::EXTCODECOPY)
}

fn calls(opcode: u8) -> bool {
    matches!(opcode, opcode::CALL | opcode::CALLCODE | opcode::DELEGATECALL | opcode::STATICCALL)
}

fn address(word: U256) -> Address {
    Address::from_word(word.into())
}

impl Validation {
    /// Nothing has run.
    pub fn new(options: Options) -> Self {
        Self { options, frames: Vec::new(), open: Vec::new(), last: None, size: 0 }
    }

    /// The answer.
    pub fn finish(&self, frames: &[Frame], preimages: &Preimages) -> Result<Vec<u8>> {
        let none = Deeds::default();
        let options = CallOptions { with_log: self.options.with_log, ..Default::default() };
        frames_json::nested_with(frames, options, |place| {
            let gas_ran_out =
                |error: &str| error.starts_with("out of gas") || error == "contract creation code storage out of gas";
            json::bytes(&DeedsJson {
                deeds: self.frames.get(place).unwrap_or(&none),
                // geth does not say it of the outermost frame.
                out_of_gas: place > 0 && frames[place].error.as_deref().is_some_and(gas_ran_out),
                keccak: if place == 0 { preimages.all().collect() } else { Vec::new() },
            })
        })
    }

    /// Notes a SELFDESTRUCT, which is a frame of its own.
    pub fn destroyed(&mut self) {
        if !self.open.is_empty() {
            self.frames.push(Deeds::default());
        }
    }

    fn begin(&mut self) {
        self.open.push(self.frames.len());
        self.frames.push(Deeds::default());
    }

    /// Notes an instruction of a frame and gives the number of its entries that are new.
    fn note<C>(
        &mut self,
        place: usize,
        interpreter: &Interpreter,
        context: &mut C,
    ) -> std::result::Result<usize, ReadError>
    where
        C: ContextTr<Db = Watched, Journal: JournalExt>,
    {
        let (deeds, opcode) = (&mut self.frames[place], interpreter.bytecode.opcode());
        let top = |depth| interpreter.stack.peek(depth).ok();
        let before = entries(deeds);
        // What is returned is nobody's business.
        let last = self.last.take().filter(|_| !matches!(opcode, opcode::REVERT | opcode::RETURN));
        self.last = Some((opcode, top(0)));
        if let Some((last, Some(word))) = last
            && looks_at_code(last)
            && (last, opcode) != (opcode::EXTCODESIZE, opcode::ISZERO)
        {
            deeds.ext_code_access_info.push(address(word));
        }
        let target = if looks_at_code(opcode) { top(0) } else { top(1).filter(|_| calls(opcode)) };
        if let Some(target) = target.map(address)
            && !deeds.contract_size.contains_key(&target)
        {
            let contract_size = code_size(context, target)?;
            deeds.contract_size.insert(target, CodeSize { contract_size, opcode });
        }
        // That a call is given all gas is no question about gas.
        if last.is_some_and(|(last, _)| last == opcode::GAS) && !calls(opcode) {
            *deeds.used_opcodes.entry(Opcode(opcode::GAS)).or_default() += 1;
        }
        if opcode != opcode::GAS && !self.options.ignored.bit(opcode.into()) {
            *deeds.used_opcodes.entry(Opcode(opcode)).or_default() += 1;
        }
        if let Some(slot) = top(0) {
            let (key, slots) = (B256::from(slot), &mut deeds.accessed_slots);
            match opcode {
                opcode::SLOAD if !slots.reads.contains_key(&key) && !slots.writes.contains_key(&key) => {
                    let value = value(context, interpreter.input.target_address(), slot)?;
                    slots.reads.insert(key, [value.into()]);
                }
                opcode::SSTORE => *slots.writes.entry(key).or_default() += 1,
                opcode::TLOAD => *slots.transient_reads.entry(key).or_default() += 1,
                opcode::TSTORE => *slots.transient_writes.entry(key).or_default() += 1,
                _ => {}
            }
        }
        Ok(entries(deeds) - before)
    }
}

fn entries(deeds: &Deeds) -> usize {
    let Slots { reads, writes, transient_reads, transient_writes } = &deeds.accessed_slots;
    let slots = reads.len() + writes.len() + transient_reads.len() + transient_writes.len();
    slots + deeds.ext_code_access_info.len() + deeds.used_opcodes.len() + deeds.contract_size.len()
}

/// The length of an account's code now. It is not loaded into the journal, where it would count as warm.
fn code_size<C>(context: &mut C, address: Address) -> std::result::Result<usize, ReadError>
where
    C: ContextTr<Db = Watched, Journal: JournalExt>,
{
    let known = context.journal().evm_state().get(&address).map(|account| account.info.clone());
    let info = match known {
        Some(info) => info,
        None => context.db_mut().basic(address)?.unwrap_or_default(),
    };
    match info.code {
        Some(code) => Ok(code.original_byte_slice().len()),
        None if info.is_empty_code_hash() || info.code_hash.is_zero() => Ok(0),
        None => Ok(context.db_mut().code_by_hash(info.code_hash)?.original_byte_slice().len()),
    }
}

/// What stands in a slot of a contract that runs, which stays as cold as it is.
fn value<C>(context: &mut C, address: Address, slot: U256) -> std::result::Result<U256, ReadError>
where
    C: ContextTr<Db = Watched, Journal: JournalExt>,
{
    if let Some(account) = context.journal().evm_state().get(&address) {
        match account.storage.get(&slot) {
            Some(slot) => return Ok(slot.present_value),
            None if account.is_created() => return Ok(U256::ZERO),
            None => {}
        }
    }
    context.db_mut().storage(address, slot)
}

impl<C: ContextTr<Db = Watched, Journal: JournalExt>> Inspector<C, EthInterpreter> for Validation {
    fn step(&mut self, interpreter: &mut Interpreter, context: &mut C) {
        // Where there is no code revm runs the STOP behind it, geth nothing.
        let Some(place) = self.open.last().copied().filter(|_| interpreter.bytecode.bytecode_len() > 0) else {
            return;
        };
        match self.note(place, interpreter, context) {
            Ok(new) => self.size += ENTRY_SIZE * new,
            Err(_) => context.db_mut().watch.stop(Stop::Read),
        }
        if self.size > json::SIZE_MAX {
            context.db_mut().watch.stop(Stop::Size);
        }
    }

    fn call(&mut self, _: &mut C, _: &mut CallInputs) -> Option<CallOutcome> {
        self.begin();
        None
    }

    fn call_end(&mut self, _: &mut C, _: &CallInputs, _: &mut CallOutcome) {
        self.open.pop();
    }

    fn create(&mut self, _: &mut C, _: &mut CreateInputs) -> Option<CreateOutcome> {
        self.begin();
        None
    }

    fn create_end(&mut self, _: &mut C, _: &CreateInputs, _: &mut CreateOutcome) {
        self.open.pop();
    }
}
