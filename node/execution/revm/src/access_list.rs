//! `eth_createAccessList`: runs a call with the list it has touched until the list no longer grows, as geth does.
//!
//! Unlike geth, a call that names no fees is given none: what it touches is the same, and its sender need not be rich.

use crate::{
    arguments::{self, CallArguments, Message},
    edge::detached,
    engine::{Engine, NativeEngine},
    errors::{Error, Result},
    json::{self, Quantity},
    outcome::{LastStep, Outcome},
    overrides::StateArguments,
    scene::{Machine, Place, Scene},
};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_evm::Evm;
use alloy_primitives::{Address, B256, U256};
use pyo3::{prelude::*, types::PyBytes};
use revm::{
    Inspector,
    bytecode::opcode,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, Interpreter,
        interpreter::EthInterpreter,
        interpreter_types::{InputsTr, Jumps},
    },
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Gas of an EIP-7702 authorisation; more of them than gas can pay for are not even looked at.
const AUTHORIZATION_GAS: u64 = 25_000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccessListJson {
    access_list: AccessList,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    gas_used: Quantity,
}

/// Notes what instructions name: slots always, accounts unless they are warm anyway.
#[derive(Debug, Clone, Default)]
struct Touches {
    excluded: BTreeSet<Address>,
    touched: BTreeMap<Address, BTreeSet<B256>>,
    /// Names what a halt does not.
    last: LastStep,
}

impl Touches {
    /// Starts from a given list.
    fn new(excluded: BTreeSet<Address>, list: &AccessList) -> Self {
        let given = list.iter().filter(|item| !excluded.contains(&item.address));
        let mut touched = BTreeMap::<Address, BTreeSet<B256>>::new();
        for item in given {
            touched.entry(item.address).or_default().extend(&item.storage_keys);
        }
        Self { excluded, touched, last: LastStep::default() }
    }

    /// For the next run, which has what was touched in its list.
    fn again(&self) -> Self {
        Self { last: LastStep::default(), ..self.clone() }
    }

    fn list(&self) -> AccessList {
        let item = |(address, keys): (&Address, &BTreeSet<B256>)| AccessListItem {
            address: *address,
            storage_keys: keys.iter().copied().collect(),
        };
        AccessList(self.touched.iter().map(item).collect())
    }

    fn touch(&mut self, word: U256) {
        let address = Address::from_word(word.into());
        if !self.excluded.contains(&address) {
            self.touched.entry(address).or_default();
        }
    }
}

impl<C> Inspector<C, EthInterpreter> for Touches {
    fn step(&mut self, interpreter: &mut Interpreter, context: &mut C) {
        self.last.step(interpreter, context);
        let top = |place| interpreter.stack.peek(place).ok();
        match interpreter.bytecode.opcode() {
            opcode::SLOAD | opcode::SSTORE => {
                if let Some(slot) = top(0) {
                    let account = self.touched.entry(interpreter.input.target_address()).or_default();
                    account.insert(slot.into());
                }
            }
            opcode::EXTCODECOPY
            | opcode::EXTCODEHASH
            | opcode::EXTCODESIZE
            | opcode::BALANCE
            | opcode::SELFDESTRUCT => top(0).into_iter().for_each(|word| self.touch(word)),
            opcode::DELEGATECALL | opcode::CALL | opcode::STATICCALL | opcode::CALLCODE
                if interpreter.stack.len() >= 5 =>
            {
                top(1).into_iter().for_each(|word| self.touch(word));
            }
            _ => {}
        }
    }
    fn call(&mut self, context: &mut C, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.last.call(context, inputs)
    }
    fn call_end(&mut self, context: &mut C, inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.last.call_end(context, inputs, outcome);
    }
    fn create(&mut self, context: &mut C, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.last.create(context, inputs)
    }
    fn create_end(&mut self, context: &mut C, inputs: &CreateInputs, outcome: &mut CreateOutcome) {
        self.last.create_end(context, inputs, outcome);
    }
}

/// What is warm without a list: sender, callee, precompiles, and the signers of authorisations that may count.
fn excluded(scene: &mut Scene<Machine<Touches>>, message: &Message) -> Result<BTreeSet<Address>> {
    let callee = match message.to {
        Some(to) => to,
        None => message.from.create(scene.account(message.from)?.nonce),
    };
    let authorizations = message.authorizations.as_deref().unwrap_or_default();
    if authorizations.len() as u64 > message.gas / AUTHORIZATION_GAS {
        return Err(Error::call("insufficient gas to process all authorizations"));
    }
    let chain_id = U256::from(scene.chain_id);
    let counts = |chain: U256, nonce: u64| (chain.is_zero() || chain == chain_id) && nonce != u64::MAX;
    let authorities = authorizations.iter().filter(|it| counts(it.chain_id, it.nonce));
    let authorities = authorities.filter_map(|it| it.recover_authority().ok());
    let precompiles = scene.evm.precompiles().addresses().copied();
    Ok([message.from, callee].into_iter().chain(precompiles).chain(authorities).collect())
}

fn access_list(
    engine: &Engine,
    place: Place<'_>,
    call: &[u8],
    gas_cap: u64,
    accounts: Option<&[u8]>,
) -> Result<AccessListJson> {
    let arguments: CallArguments = arguments::parameter(0, call)?;
    let accounts: Option<StateArguments> = arguments::optional(2, accounts)?;
    let mut scene = Scene::open(engine, place, accounts, None, Touches::default())?;
    let mut message = arguments.message(gas_cap, scene.header.base_fee_per_gas, scene.chain_id)?;
    if !message.fee_cap.is_zero() && message.tip_cap > message.fee_cap {
        let (cap, tip) = (message.fee_cap, message.tip_cap);
        return Err(Error::call(format_args!("maxFeePerGas ({cap:#x}) < maxPriorityFeePerGas ({tip:#x})")));
    }
    scene.relax(&message);
    scene.evm.enable_inspector();
    let excluded = excluded(&mut scene, &message)?;
    let mut before = Touches::new(excluded, &message.access_list.take().unwrap_or_default());
    loop {
        message.access_list = Some(before.list());
        let refused = |words: String| Error::call(format_args!("failed to apply transaction: err: {words}"));
        scene.check(&message)?.map_err(|refusal| refused(refusal.words))?;
        *scene.evm.inspector_mut() = before.again();
        let result = scene.run(scene.transaction(&message)?)?.result;
        let after = std::mem::take(scene.evm.inspector_mut());
        if after.touched == before.touched {
            let gas_used = Quantity(result.tx_gas_used());
            let error = match Outcome::new(result, &after.last) {
                Outcome::Success(_) => None,
                Outcome::Revert(_) => Some("execution reverted".into()),
                Outcome::Halt(words) => Some(words),
            };
            return Ok(AccessListJson { access_list: after.list(), error, gas_used });
        }
        before = after;
    }
}

#[pymethods]
impl NativeEngine {
    /// `eth_createAccessList`: the answer's JSON object. TimeoutError if `deadline_us` has passed.
    #[pyo3(signature = (root, header, ancestors, call, *, gas_cap, state_overrides=None, deadline_us=None))]
    #[allow(clippy::too_many_arguments)]
    fn access_list<'py>(
        &self,
        py: Python<'py>,
        root: &[u8],
        header: &[u8],
        ancestors: &[u8],
        call: &[u8],
        gas_cap: u64,
        state_overrides: Option<&[u8]>,
        deadline_us: Option<u64>,
    ) -> Result<Bound<'py, PyBytes>> {
        let place = Place::new(root, header, ancestors, deadline_us)?;
        let json =
            detached(py, || json::bytes(&self::access_list(&self.engine, place, call, gas_cap, state_overrides)?))?;
        Ok(PyBytes::new(py, &json))
    }
}
