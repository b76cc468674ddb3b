//! Call frames as geth's callTracer, flatCallTracer and 4byteTracer print them.

use crate::{
    errors::Result,
    frames::{Frame, FrameLog},
    json::{self, Quantity},
    reverts,
};
use alloy_primitives::{Address, B256, Bytes, U256, hex};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// callTracer's options.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CallOptions {
    pub only_top_call: bool,
    pub with_log: bool,
}

/// flatCallTracer's options.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FlatOptions {
    convert_parity_errors: bool,
    include_precompiles: bool,
}

/// Where a transaction stands; a call stands nowhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct Position {
    pub block_hash: Option<B256>,
    pub block_number: Option<u64>,
    pub transaction_hash: Option<B256>,
    pub transaction_index: usize,
}

#[derive(Serialize)]
struct LogJson<'a> {
    address: Address,
    topics: &'a [B256],
    data: &'a Bytes,
    index: Quantity,
    position: Quantity,
}

impl<'a> From<&'a FrameLog> for LogJson<'a> {
    fn from(log: &'a FrameLog) -> Self {
        Self {
            address: log.log.address,
            topics: log.log.topics(),
            data: &log.log.data.data,
            index: log.index.into(),
            position: log.position.into(),
        }
    }
}

/// What of a frame stands before its calls.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HeadJson<'a> {
    from: Address,
    gas: Quantity,
    gas_used: Quantity,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Address>,
    input: &'a Bytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revert_reason: Option<String>,
}

impl<'a> From<&'a Frame> for HeadJson<'a> {
    fn from(frame: &'a Frame) -> Self {
        let reason = frame.error.as_ref().and_then(|_| reverts::reason(&frame.output));
        Self {
            from: frame.from,
            gas: Quantity(frame.gas),
            gas_used: Quantity(frame.gas_used),
            to: frame.to,
            input: &frame.input,
            output: Some(&frame.output).filter(|output| !output.is_empty()),
            error: frame.error.as_deref(),
            revert_reason: reason.filter(|reason| !reason.is_empty()),
        }
    }
}

/// What of a frame stands behind its calls.
#[derive(Serialize)]
struct TailJson<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logs: Vec<LogJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<U256>,
    #[serde(rename = "type")]
    kind: &'static str,
}

impl<'a> TailJson<'a> {
    fn new(frame: &'a Frame, with_logs: bool) -> Self {
        let logs = frame.logs.iter().filter(|_| with_logs).map(LogJson::from);
        Self { logs: logs.collect(), value: frame.value, kind: frame.kind }
    }
}

/// callTracer's answer.
pub fn nested(frames: &[Frame], options: CallOptions) -> Result<Vec<u8>> {
    nested_with(frames, options, |_| Ok(b"{}".to_vec()))
}

/// Frames in each other, with more fields of each by its place, a JSON object.
///
/// They nest 1,026 deep, so it is put together without recursion.
pub fn nested_with(frames: &[Frame], options: CallOptions, more: impl Fn(usize) -> Result<Vec<u8>>) -> Result<Vec<u8>> {
    let Some(outermost) = frames.first() else { return Ok(b"{}".to_vec()) };
    let mut out = Vec::new();
    // The frames that are open: place, calls that are written, whether it or one above has failed.
    let mut open = vec![(0, 0, outermost.error.is_some())];
    while let Some((place, written, failed)) = open.last_mut() {
        let frame = &frames[*place];
        if *written == 0 {
            let (head, more) = (json::bytes(&HeadJson::from(frame))?, more(*place)?);
            // Objects without what closes them: they go on.
            out.extend_from_slice(&head[..head.len() - 1]);
            if let [b'{', fields @ .., b'}'] = &more[..]
                && !fields.is_empty()
            {
                out.push(b',');
                out.extend_from_slice(fields);
            }
        }
        let call = frame.calls.get(*written).filter(|_| !options.only_top_call);
        if let Some(call) = call {
            out.extend_from_slice(if *written == 0 { b",\"calls\":[" } else { b"," });
            *written += 1;
            let failed = *failed || frames[*call].error.is_some();
            open.push((*call, 0, failed));
            continue;
        }
        if *written > 0 {
            out.push(b']');
        }
        let tail = json::bytes(&TailJson::new(frame, options.with_log && !*failed))?;
        out.push(b',');
        out.extend_from_slice(&tail[1..]);
        open.pop();
    }
    Ok(out)
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct ActionJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<U256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    creation_method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gas: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    init: Option<&'a Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'a Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_address: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<U256>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a Bytes>,
    gas_used: Quantity,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a Bytes>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FlatJson<'a> {
    action: ActionJson<'a>,
    block_hash: Option<B256>,
    block_number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<ResultJson<'a>>,
    subtraces: usize,
    trace_address: Vec<usize>,
    transaction_hash: Option<B256>,
    transaction_position: usize,
    #[serde(rename = "type")]
    kind: &'static str,
}

impl<'a> FlatJson<'a> {
    fn new(frame: &'a Frame, trace_address: Vec<usize>, subtraces: usize, position: Position, parity: bool) -> Self {
        let created = frame.kind.starts_with("CREATE");
        let action = ActionJson {
            from: Some(frame.from),
            gas: Some(Quantity(frame.gas)),
            value: Some(frame.value.unwrap_or_default()),
            ..Default::default()
        };
        let result = ResultJson { address: None, code: None, gas_used: Quantity(frame.gas_used), output: None };
        let name = || Some(frame.kind.to_lowercase());
        let (kind, action, result) = match frame.kind {
            "SELFDESTRUCT" => {
                let (address, refund_address) = (Some(frame.from), frame.to);
                let balance = frame.value;
                ("suicide", ActionJson { address, balance, refund_address, ..Default::default() }, None)
            }
            _ if created => (
                "create",
                ActionJson { creation_method: name(), init: Some(&frame.input), ..action },
                Some(ResultJson { address: frame.to, code: Some(&frame.output), ..result }),
            ),
            _ => (
                "call",
                ActionJson { call_type: name(), input: Some(&frame.input), to: frame.to, ..action },
                Some(ResultJson { output: Some(&frame.output), ..result }),
            ),
        };
        let error = frame.error.as_deref();
        Self {
            action,
            block_hash: position.block_hash,
            block_number: position.block_number.unwrap_or_default(),
            error: error.map(|error| if parity { parity_error(error) } else { error }),
            // Revert data tells why; of any other failure nothing is left.
            result: result.filter(|_| matches!(error, None | Some("execution reverted"))),
            subtraces,
            trace_address,
            transaction_hash: position.transaction_hash,
            transaction_position: position.transaction_index,
            kind,
        }
    }
}

/// Parity's words (geth's `convertErrorToParity`).
fn parity_error(error: &str) -> &str {
    match error {
        "contract creation code storage out of gas"
        | "out of gas"
        | "gas uint64 overflow"
        | "max code size exceeded" => "Out of gas",
        "invalid jump destination" => "Bad jump destination",
        "execution reverted" => "Reverted",
        "return data out of bounds" => "Out of bounds",
        "stack limit reached 1024 (1023)" => "Out of stack",
        "precompile failed" => "Built-in failed",
        _ if error.starts_with("out of gas:") => "Out of gas",
        _ if error.starts_with("invalid opcode:") => "Bad instruction",
        _ if error.starts_with("stack underflow") => "Stack underflow",
        _ => error,
    }
}

/// flatCallTracer's answer: depth first, with each frame's way from the outermost.
pub fn flat<'a>(
    frames: &'a [Frame],
    options: FlatOptions,
    position: Position,
    precompiles: &BTreeSet<Address>,
) -> impl Serialize + use<'a> {
    let hidden = |frame: &Frame| {
        !options.include_precompiles
            && matches!(frame.kind, "CALL" | "STATICCALL")
            && frame.to.is_some_and(|to| precompiles.contains(&to))
    };
    let mut out = Vec::new();
    let mut stack = if frames.is_empty() { Vec::new() } else { vec![(0, Vec::new())] };
    while let Some((place, address)) = stack.pop() {
        let frame = &frames[place];
        let calls: Vec<usize> = frame.calls.iter().copied().filter(|call| !hidden(&frames[*call])).collect();
        for (index, call) in calls.iter().enumerate().rev() {
            let mut below: Vec<usize> = address.clone();
            below.push(index);
            stack.push((*call, below));
        }
        out.push(FlatJson::new(frame, address, calls.len(), position, options.convert_parity_errors));
    }
    out
}

/// 4byteTracer's answer: how often each selector was called with data of each size.
pub fn selectors(frames: &[Frame], precompiles: &BTreeSet<Address>) -> impl Serialize + use<> {
    let mut counts = BTreeMap::<String, u64>::new();
    for frame in frames {
        let called = frame.to.filter(|to| frame.kind.contains("CALL") && !precompiles.contains(to));
        if let (Some(_), Some((selector, data))) = (called, frame.input.split_at_checked(4)) {
            *counts.entry(format!("0x{}-{}", hex::encode(selector), data.len())).or_default() += 1;
        }
    }
    counts
}
