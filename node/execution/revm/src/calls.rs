//! `eth_call` and `eth_estimateGas`.

use crate::{
    arguments::{self, CallArguments, Message},
    edge::detached,
    engine::{Engine, NativeEngine},
    errors::{Error, Result},
    hex::Hex,
    outcome::{LastStep, Outcome, needs_last_step},
    overrides::{BlockArguments, StateArguments},
    scene::{Flaw, Machine, Place, Refusal, Scene},
};
use alloy_evm::Evm;
use pyo3::{prelude::*, types::PyBytes};
use revm::{
    context::result::ResultAndState,
    context_interface::result::{ExecutionResult, HaltReason},
    primitives::hardfork::SpecId,
};

/// Gas of a plain transfer.
const TRANSFER_GAS: u64 = 21_000;

/// EIP-7825: most gas of one transaction, from Osaka on.
const TRANSACTION_GAS_MAX: u64 = 1 << 24;

/// Gas that a call which sends value gives its callee on top.
const CALL_STIPEND: u64 = 2_300;

/// How far above the least gas an estimate may lie (geth's `estimateGasErrorRatio`).
const ERROR_RATIO: f64 = 0.015;

/// What a method was given.
struct Request<'a> {
    place: Place<'a>,
    call: &'a [u8],
    gas_cap: u64,
    accounts: Option<&'a [u8]>,
    block: Option<&'a [u8]>,
}

/// A scene and the message to run in it.
struct Call {
    scene: Scene<Machine<LastStep>>,
    message: Message,
}

impl Call {
    fn open(engine: &Engine, request: &Request<'_>, arguments: CallArguments) -> Result<Self> {
        let accounts: Option<StateArguments> = arguments::optional(2, request.accounts)?;
        let block: Option<BlockArguments> = arguments::optional(3, request.block)?;
        let mut scene = Scene::open(engine, request.place, accounts, block, LastStep::default())?;
        let message = arguments.message(request.gas_cap, scene.header.base_fee_per_gas, scene.chain_id)?;
        scene.relax(&message);
        Ok(Self { scene, message })
    }

    /// Checks and runs with a gas limit.
    fn try_with(&mut self, gas: u64) -> Result<std::result::Result<ExecutionResult, Refusal>> {
        self.message.gas = gas;
        if let Err(refusal) = self.scene.check(&self.message)? {
            return Ok(Err(refusal));
        }
        Ok(Ok(self.run()?.result))
    }

    fn run(&mut self) -> Result<ResultAndState> {
        self.scene.run(self.scene.transaction(&self.message)?)
    }

    /// The outcome; runs once more if only the last step tells what was wrong.
    fn outcome(&mut self, result: ExecutionResult) -> Result<Outcome> {
        if !needs_last_step(&result) {
            return Ok(Outcome::new(result, &LastStep::default()));
        }
        self.scene.evm.enable_inspector();
        let result = self.run()?.result;
        Ok(Outcome::new(result, self.scene.evm.inspector()))
    }
}

/// `eth_call`: how it ended, and the gas it used.
fn call(engine: &Engine, request: &Request<'_>) -> Result<(Outcome, u64)> {
    let mut call = Call::open(engine, request, arguments::parameter(0, request.call)?)?;
    let gas = call.message.gas;
    let result = call.try_with(gas)?;
    let result = result.map_err(|refusal| Error::call(format_args!("err: {} (supplied gas {gas})", refusal.words)))?;
    let used = result.tx_gas_used();
    Ok((call.outcome(result)?, used))
}

/// `eth_estimateGas`, as geth's `gasestimator.Estimate`: the least gas, at most 1.5 % too much, or how the call fails.
fn estimate(engine: &Engine, request: &Request<'_>) -> Result<std::result::Result<u64, Outcome>> {
    let mut arguments: CallArguments = arguments::parameter(0, request.call)?;
    arguments.gas.get_or_insert(Hex(0)); // asks for the block's, not for the cap
    let mut call = Call::open(engine, request, arguments)?;
    let mut high = gas_allowance(&mut call, request.gas_cap)?;
    if let (true, Some(to)) = (call.message.data.is_empty(), call.message.to)
        && call.scene.account(to)?.is_empty_code_hash()
        && let Ok(result) = call.try_with(TRANSFER_GAS)?
        && result.is_success()
    {
        return Ok(Ok(TRANSFER_GAS));
    }
    let failed = |gas: u64, words: String| Error::call(format_args!("failed with {gas} gas: {words}"));
    let too_little = |gas: u64| Error::call(format_args!("gas required exceeds allowance ({gas})"));
    let result = match call.try_with(high)? {
        Ok(result @ ExecutionResult::Success { .. }) => result,
        Err(Refusal { flaw: Flaw::IntrinsicGas, .. })
        | Ok(ExecutionResult::Halt { reason: HaltReason::OutOfGas(_), .. }) => {
            return Err(too_little(high));
        }
        Err(Refusal { words, .. }) => return Err(failed(high, words)),
        Ok(result) => return Ok(Err(call.outcome(result)?)),
    };
    let mut low = result.tx_gas_used().saturating_sub(1);
    // What was spent before refunds, with room for a stipend and for the 64th part that a callee is not given.
    let peak = result.gas().total_gas_spent().max(result.gas().floor_gas());
    let mut next = (peak + CALL_STIPEND) * 64 / 63;
    if next >= high {
        next = middle(low, high);
    }
    while low + 1 < high {
        match call.try_with(next)? {
            Ok(result) if result.is_success() => high = next,
            Ok(_) | Err(Refusal { flaw: Flaw::IntrinsicGas, .. }) => low = next,
            Err(Refusal { words, .. }) => return Err(failed(next, words)),
        }
        if ((high - low) as f64) / (high as f64) < ERROR_RATIO {
            break;
        }
        next = middle(low, high);
    }
    Ok(Ok(high))
}

/// Between the two; most calls need little more than they use, so never above twice the lower.
fn middle(low: u64, high: u64) -> u64 {
    (low + (high - low) / 2).min(low.saturating_mul(2))
}

/// The most gas that an estimate may give.
fn gas_allowance(call: &mut Call, gas_cap: u64) -> Result<u64> {
    let message = &call.message;
    let mut high = if message.gas >= TRANSFER_GAS { message.gas } else { call.scene.header.gas_limit };
    if call.scene.rules().is_enabled_in(SpecId::OSAKA) {
        high = high.min(TRANSACTION_GAS_MAX);
    }
    if !message.fee_cap.is_zero() {
        let (from, value, fee_cap) = (message.from, message.value, message.fee_cap);
        let balance = call.scene.account(from)?.balance;
        let available = balance.checked_sub(value).filter(|rest| !rest.is_zero());
        let available = available.ok_or_else(|| Error::call("insufficient funds for transfer"))?;
        high = u64::try_from(available / fee_cap).map_or(high, |affordable| high.min(affordable));
    }
    Ok(high.min(gas_cap))
}

#[pymethods]
impl NativeEngine {
    /// `eth_call`: (status, output, gas used). TimeoutError if `deadline_us` has passed.
    #[pyo3(signature = (
        root, header, ancestors, call, *, gas_cap, state_overrides=None, block_overrides=None, deadline_us=None
    ))]
    #[allow(clippy::too_many_arguments)]
    fn call<'py>(
        &self,
        py: Python<'py>,
        root: &[u8],
        header: &[u8],
        ancestors: &[u8],
        call: &[u8],
        gas_cap: u64,
        state_overrides: Option<&[u8]>,
        block_overrides: Option<&[u8]>,
        deadline_us: Option<u64>,
    ) -> Result<(&'static str, Bound<'py, PyBytes>, u64)> {
        let place = Place::new(root, header, ancestors, deadline_us)?;
        let request = Request { place, call, gas_cap, accounts: state_overrides, block: block_overrides };
        let (outcome, gas) = detached(py, || self::call(&self.engine, &request))?;
        let (status, output) = outcome.parts();
        Ok((status, PyBytes::new(py, &output), gas))
    }

    /// `eth_estimateGas`: (status, output, estimate). TimeoutError if `deadline_us` has passed.
    #[pyo3(signature = (
        root, header, ancestors, call, *, gas_cap, state_overrides=None, block_overrides=None, deadline_us=None
    ))]
    #[allow(clippy::too_many_arguments)]
    fn estimate_gas<'py>(
        &self,
        py: Python<'py>,
        root: &[u8],
        header: &[u8],
        ancestors: &[u8],
        call: &[u8],
        gas_cap: u64,
        state_overrides: Option<&[u8]>,
        block_overrides: Option<&[u8]>,
        deadline_us: Option<u64>,
    ) -> Result<(&'static str, Bound<'py, PyBytes>, u64)> {
        let place = Place::new(root, header, ancestors, deadline_us)?;
        let request = Request { place, call, gas_cap, accounts: state_overrides, block: block_overrides };
        let (outcome, gas) = match detached(py, || estimate(&self.engine, &request))? {
            Ok(gas) => (Outcome::Success(Default::default()), gas),
            Err(outcome) => (outcome, 0),
        };
        let (status, output) = outcome.parts();
        Ok((status, PyBytes::new(py, &output), gas))
    }
}
