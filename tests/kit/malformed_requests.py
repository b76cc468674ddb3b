"""Malformed JSON-RPC requests, the same list every time: what a hostile or careless client sends.

    methods and the types of their arguments > for each: too few, too many, each argument wrong in every way > Malformed
    framing, shapes, ids, batches, HTTP > Malformed

They are made for the chain that execution-apis recorded, whose blocks and transactions some of them name.
`tests/oracle/scripts/record_malformed.py` records a real geth's answers, `tests/node/rpc/test_malformed.py` replays them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.kit.malformed_transactions import raw_transactions

HEAD: Final = "0xd226371d0b1551adb03fb52b71f08e3e11247fe9b1af994768af8cdaa8e7dcd7"
"""The head of the recorded chain, block 54."""

MINED: Final = "0x0d1cf59d345d07f13d0981dd7ca1313bb2fbac151848aba3b7a57a26713fba42"
"""A transaction of it."""

UNKNOWN: Final = "0x" + "ab" * 32
"""No block, no transaction."""

ADDRESS: Final = "0x" + "11" * 20
"""An account that has nothing."""

ABSENT: Final = object()
"""No `params`, no `id`: the field is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """A request."""

    name: str
    """Unique; says what is wrong."""
    body: str
    """Sent as UTF-8."""
    http_method: str = "POST"
    """Of the request line."""
    content_type: str | None = "application/json"
    """None leaves the header out."""


def text_of(method: object, params: object, identity: object = 1) -> str:
    """A call as JSON."""
    call: dict[str, object] = {"jsonrpc": "2.0", "id": identity, "method": method, "params": params}
    return json.dumps({name: value for name, value in call.items() if value is not ABSENT})


# -- arguments, wrong in every way

_BYTES: Final[Sequence[object]] = [5, True, {}, [], "", "0x", "0x1", "0xzz", "zz", "12"]

_HASHES: Final = [
    *_BYTES,
    "0x" + "12" * 31,
    "0x" + "12" * 33,
    "0x" + "1" * 63,
    "12" * 32,
    "0X" + "12" * 32,
]

_ADDRESSES: Final = [*_BYTES, "0x" + "12" * 19, "0x" + "12" * 21, "12" * 20, "0x" + "1" * 39]

_QUANTITIES: Final = [
    1,
    -1,
    1.5,
    True,
    {},
    [],
    "",
    "0x",
    "0x01",
    "1",
    "-0x1",
    "0xzz",
    "0x1 ",
    "0x1" + "0" * 16,
]

_BLOCKS: Final = [
    1, True, [], "", "0x", "0x01", "1", "newest", "Latest", "0xzz", "0x1" + "0" * 16, "0x8" + "0" * 15, "0xffffff",
    UNKNOWN, "0x" + "12" * 33, {}, {"blockNumber": "0xffffff"}, {"blockNumber": 5}, {"blockNumber": "x"},
    {"blockHash": "0x12"}, {"blockHash": UNKNOWN}, {"blockHash": UNKNOWN, "requireCanonical": True},
    {"blockHash": HEAD, "requireCanonical": "yes"}, {"blockHash": HEAD, "blockNumber": "0x1"}, {"blockHash": 5},
]  # fmt: skip

_NUMBERS: Final = [one for one in _BLOCKS if not isinstance(one, dict)] + [{}]

_BOOLEANS: Final[Sequence[object]] = ["true", 1, {}, []]

_CALLS: Final[Sequence[object]] = [
    5, "0x", [], True, {"to": "0x12"}, {"to": 5}, {"from": "x"}, {"gas": "0x"}, {"gas": -1}, {"gas": "1"}, {"gas": "0x01"},
    {"gas": "0x1" + "0" * 16}, {"value": "0x1 "}, {"value": 5}, {"value": "0x1" + "0" * 64}, {"data": "0x1"}, {"data": 5},
    {"input": "0xzz"}, {"input": "0x12", "data": "0x13"}, {"gasPrice": "0x1", "maxFeePerGas": "0x1"},
    {"maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x2"}, {"nonce": "0x"}, {"nonce": 1}, {"chainId": "0x1"},
    {"accessList": {}}, {"accessList": [5]}, {"accessList": [{"address": "0x1"}]},
    {"accessList": [{"address": ADDRESS, "storageKeys": ["0x1"]}]}, {"blobVersionedHashes": 5},
    {"blobVersionedHashes": ["0x12"]}, {"blobVersionedHashes": []}, {"to": ADDRESS, "blobVersionedHashes": [UNKNOWN]},
    {"authorizationList": 5}, {"authorizationList": [{}]}, {"maxFeePerBlobGas": "x"}, {"gasPrice": "0x1"},
    {"from": ADDRESS, "to": ADDRESS, "value": "0x1"}, {"from": ADDRESS, "to": ADDRESS, "gasPrice": "0x3b9aca00"},
    {"to": ADDRESS, "gas": "0x1"}, {"data": "0xfe"}, {"data": "0x60fd"}, {"data": "0x5f5ffd"}, {"data": "0x5b5f56"},
]  # fmt: skip

_STATES: Final[Sequence[object]] = [
    5, "x", [], {"0x12": {}}, {"x": {}}, {ADDRESS: 5}, {ADDRESS: {"balance": "5"}}, {ADDRESS: {"balance": 5}},
    {ADDRESS: {"nonce": -1}}, {ADDRESS: {"code": "0x1"}}, {ADDRESS: {"state": {}, "stateDiff": {}}},
    {ADDRESS: {"state": {"0x1": "0x2"}}}, {ADDRESS: {"stateDiff": 5}}, {ADDRESS: {"movePrecompileToAddress": ADDRESS}},
    {"0x" + "0" * 39 + "1": {"movePrecompileToAddress": "0x1"}},
]  # fmt: skip

_OVERRIDDEN_BLOCKS: Final[Sequence[object]] = [
    5, "x", [], {"number": "x"}, {"number": -1}, {"time": "0x"}, {"gasLimit": "5"}, {"feeRecipient": "0x12"},
    {"prevRandao": "0x12"}, {"baseFeePerGas": "1"}, {"blobBaseFee": {}}, {"difficulty": "x"},
]  # fmt: skip

_FILTERS: Final[Sequence[object]] = [
    5, "x", [], {"fromBlock": "x"}, {"fromBlock": 5}, {"toBlock": "0x"}, {"fromBlock": "0x1" + "0" * 16},
    {"fromBlock": "0xffffff"}, {"fromBlock": "0x5", "toBlock": "0x2"}, {"blockHash": UNKNOWN}, {"blockHash": "0x12"},
    {"blockHash": HEAD, "fromBlock": "0x1"}, {"address": 5}, {"address": "0x1"}, {"address": ["0x1"]}, {"address": [5]},
    {"address": "0xzz" + "1" * 38}, {"topics": 5}, {"topics": "x"}, {"topics": ["0x1"]}, {"topics": [5]}, {"topics": [[5]]},
    {"topics": [["0x12"]]}, {"topics": [None] * 5}, {"topics": [[None]] * 4}, {"topics": [{}]},
    {"address": [ADDRESS] * 1_001}, {"topics": [[UNKNOWN] * 1_001]}, {"fromBlock": "pending"},
    {"fromBlock": "latest", "toBlock": "earliest"},
]  # fmt: skip

_TRACERS: Final[Sequence[object]] = [
    5, "x", [], {"tracer": 5}, {"tracer": "nope"}, {"tracer": ""}, {"tracer": "callTracer", "tracerConfig": 5},
    {"tracer": "callTracer", "tracerConfig": {"onlyTopCall": "x"}}, {"tracer": "callTracer", "tracerConfig": []},
    {"tracer": "prestateTracer", "tracerConfig": {"diffMode": 1}},
    {"tracer": "prestateTracer", "tracerConfig": {"diffMode": True, "includeEmpty": True}},
    {"tracer": "flatCallTracer", "tracerConfig": {"convertParityErrors": "x"}},
    {"tracer": "muxTracer", "tracerConfig": {"nope": {}}}, {"tracer": "muxTracer", "tracerConfig": 5},
    {"tracer": "muxTracer"}, {"tracer": "muxTracer", "tracerConfig": {"callTracer": 5}}, {"tracer": "4byteTracer", "tracerConfig": 5},
    {"tracer": "noopTracer", "tracerConfig": 5},
    {"timeout": "x"}, {"timeout": 5}, {"timeout": ""}, {"tracer": "callTracer", "timeout": "x"}, {"reexec": "x"},
    {"limit": "x"}, {"limit": -1}, {"enableMemory": 5}, {"disableStack": "x"}, {"tracer": "callTracer", "enableMemory": 5},
]  # fmt: skip

_INDEXES: Final = ["0xffff", "0x1" + "0" * 16, *_QUANTITIES[:12]]

_PERCENTILES: Final[Sequence[object]] = [5, "x", [101], [-1], [50, 20], ["x"], {}, [1] * 101]

_COUNTS: Final[Sequence[object]] = [-1, 1.5, "x", "0x", {}, [], True, "0x1" + "0" * 16]

_KEYS: Final[Sequence[object]] = [5, "", "0x", "0xzz", "0x" + "1" * 65, {}, [], "x"]

_KEY_LISTS: Final[Sequence[object]] = [
    5,
    "0x1",
    {},
    [5],
    ["0xzz"],
    ["0x" + "1" * 65],
    ["0x1"] * 1_025,
]

_STORAGE: Final[Sequence[object]] = [
    5,
    [],
    "x",
    {},
    {"0x12": ["0x1"]},
    {ADDRESS: 5},
    {ADDRESS: [5]},
    {ADDRESS: ["0xzz"]},
    {ADDRESS: []},
]

_RAWS: Final[Sequence[object]] = [*_BYTES, *raw_transactions()]

_FILTER_IDS: Final[Sequence[object]] = ["0x1", "", 5, "x", {}, "0x" + "1" * 32]


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a method."""

    good: object
    """A value that is taken."""
    bad: Sequence[object]
    """Values that are not, or that ask for what is not there."""


_ADDRESS: Final = Argument(ADDRESS, _ADDRESSES)
_HASH: Final = Argument(MINED, [*_HASHES, UNKNOWN])
_BLOCK_HASH: Final = Argument(HEAD, [*_HASHES, UNKNOWN])
_BLOCK: Final = Argument("latest", _BLOCKS)
_NUMBER: Final = Argument("latest", _NUMBERS)
_BOOLEAN: Final = Argument(False, _BOOLEANS)
_CALL: Final = Argument({"to": ADDRESS}, _CALLS)
_INDEX: Final = Argument("0x0", _INDEXES)
_TRACER: Final = Argument({"tracer": "callTracer"}, _TRACERS)
_FILTER: Final = Argument({"fromBlock": "0x36"}, _FILTERS)
_FILTER_ID: Final = Argument("0x1", _FILTER_IDS)
_STATE: Final = Argument({}, _STATES)


def _some(argument: Argument, count: int = 8) -> Argument:
    """As an argument that is tried out in full elsewhere."""
    step = max(1, len(argument.bad) // count)
    return Argument(argument.good, argument.bad[::step])


METHODS: Final[Mapping[str, Sequence[Argument]]] = {
    "eth_chainId": [],
    "eth_blockNumber": [],
    "eth_gasPrice": [],
    "eth_syncing": [],
    "eth_accounts": [],
    "eth_getBalance": [_ADDRESS, _BLOCK],
    "eth_getCode": [_some(_ADDRESS), _some(_BLOCK)],
    "eth_getTransactionCount": [_some(_ADDRESS), _some(_BLOCK)],
    "eth_getStorageAt": [_some(_ADDRESS), Argument("0x0", _KEYS), _some(_BLOCK)],
    "eth_getStorageValues": [Argument({ADDRESS: [UNKNOWN]}, _STORAGE), _some(_BLOCK)],
    "eth_getProof": [_some(_ADDRESS), Argument([], _KEY_LISTS), _some(_BLOCK)],
    "eth_call": [_CALL, _some(_BLOCK), _STATE, Argument({}, _OVERRIDDEN_BLOCKS)],
    "eth_estimateGas": [
        _CALL,
        _some(_BLOCK),
        _some(_STATE),
        _some(Argument({}, _OVERRIDDEN_BLOCKS)),
    ],
    "eth_createAccessList": [_CALL, _some(_BLOCK), _some(_STATE)],
    "eth_getBlockByNumber": [_NUMBER, _BOOLEAN],
    "eth_getBlockByHash": [_BLOCK_HASH, _BOOLEAN],
    "eth_getHeaderByNumber": [_some(_NUMBER)],
    "eth_getHeaderByHash": [_some(_BLOCK_HASH)],
    "eth_getBlockReceipts": [_some(_BLOCK)],
    "eth_getBlockTransactionCountByHash": [_some(_BLOCK_HASH)],
    "eth_getBlockTransactionCountByNumber": [_some(_NUMBER)],
    "eth_getUncleCountByBlockHash": [_some(_BLOCK_HASH)],
    "eth_getUncleCountByBlockNumber": [_some(_NUMBER)],
    "eth_getUncleByBlockNumberAndIndex": [_some(_NUMBER), _some(_INDEX)],
    "eth_getTransactionByHash": [_HASH],
    "eth_getTransactionReceipt": [_some(_HASH)],
    "eth_getTransactionByBlockHashAndIndex": [_some(_BLOCK_HASH), _INDEX],
    "eth_getTransactionByBlockNumberAndIndex": [_some(_NUMBER), _some(_INDEX)],
    "eth_getRawTransactionByHash": [_some(_HASH)],
    "eth_sendRawTransaction": [Argument("0x00", _RAWS)],
    "eth_sendTransaction": [_some(_CALL)],
    "eth_sign": [_some(_ADDRESS), Argument("0x12", _BYTES)],
    "eth_feeHistory": [Argument("0x2", _COUNTS), _some(_NUMBER), Argument([], _PERCENTILES)],
    "eth_getLogs": [_FILTER],
    "eth_newFilter": [_some(_FILTER)],
    "eth_getFilterChanges": [_FILTER_ID],
    "eth_getFilterLogs": [_FILTER_ID],
    "eth_uninstallFilter": [_some(_FILTER_ID)],
    "eth_subscribe": [Argument("newHeads", [5, "", "nope", {}, []])],
    "eth_unsubscribe": [Argument("0x1", _FILTER_IDS)],
    "net_version": [],
    "net_listening": [],
    "web3_clientVersion": [],
    "web3_sha3": [Argument("0x12", _BYTES)],
    "txpool_status": [],
    "txpool_contentFrom": [_some(_ADDRESS)],
    "debug_getRawHeader": [_some(_BLOCK)],
    "debug_getRawBlock": [_BLOCK],
    "debug_getRawReceipts": [_some(_BLOCK)],
    "debug_getRawTransaction": [_some(_HASH)],
    "debug_traceTransaction": [_some(_HASH), _TRACER],
    "debug_traceCall": [_CALL, _some(_BLOCK), _TRACER],
    "debug_traceBlockByNumber": [_NUMBER, _some(_TRACER)],
    "debug_traceBlockByHash": [_some(_BLOCK_HASH), _some(_TRACER)],
    "debug_traceBlock": [Argument("0x", [*_BYTES, "0xc0", "0xc20102"]), _some(_TRACER)],
    "debug_executionWitness": [_some(_BLOCK)],
}
"""Methods, and their arguments."""


def _of_method(method: str, arguments: Sequence[Argument]) -> Iterator[Malformed]:
    good = [argument.good for argument in arguments]
    cases: list[tuple[str, object]] = [
        ("params is an object", {}),
        ("params is a string", "x"),
        ("one too many", [*good, 1]),
    ]
    cases += [(f"only {count} given", good[:count]) for count in range(len(good))]
    if arguments:
        cases += [("no params", ABSENT), ("params is null", None)]
    for place, argument in enumerate(arguments):
        for bad in [None, *argument.bad]:
            given = [*good[:place], bad, *good[place + 1 :]]
            label = json.dumps(bad)
            if len(label) > 90:
                label = f"{label[:50]}... {hashlib.sha256(label.encode()).hexdigest()[:8]}"
            cases.append((f"{place} is {label}", given))
    for label, params in cases:
        yield Malformed(name=f"{method}: {label}", body=text_of(method, params))


# -- shapes

_CALL_TEXT: Final = '{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}'

_BODIES: Final[Mapping[str, str]] = {
    "empty": "",
    "blank": "  \n ",
    "not JSON": "hello",
    "cut off": _CALL_TEXT[:-1],
    "cut off in a string": _CALL_TEXT[:25],
    "two calls without a list": _CALL_TEXT + _CALL_TEXT,
    "garbage behind": _CALL_TEXT + "x",
    "single quotes": _CALL_TEXT.replace('"', "'"),
    "trailing comma": _CALL_TEXT[:-1] + ",}",
    "a comment": "/* */" + _CALL_TEXT,
    "byte order mark": "\ufeff" + _CALL_TEXT,
    "NaN as id": _CALL_TEXT.replace(":1,", ":NaN,"),
    "null": "null",
    "true": "true",
    "a number": "5",
    "a string": '"eth_chainId"',
    "an empty object": "{}",
    "an empty list": "[]",
    "a list of an empty list": "[[]]",
    "a list of numbers": "[1,2,3]",
    "a list of null": "[null]",
    "a list of an empty object": "[{}]",
    "nested lists": "[" * 200 + "]" * 200,
    "very deeply nested params": '{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":'
    + "[" * 9_000 + "]" * 9_000 + "}",
    "no method": '{"jsonrpc":"2.0","id":1,"params":[]}',
    "no version": '{"id":1,"method":"eth_chainId","params":[]}',
    "version 1": _CALL_TEXT.replace("2.0", "1.0"),
    "version is a number": _CALL_TEXT.replace('"2.0"', "2.0"),
    "version is null": _CALL_TEXT.replace('"2.0"', "null"),
    "an answer": '{"jsonrpc":"2.0","id":1,"result":"0x1"}',
    "an error": '{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}',
    "a call with a result": _CALL_TEXT[:-1] + ',"result":1}',
    "a call with an unknown field": _CALL_TEXT[:-1] + ',"hello":1}',
    "fields in capitals": _CALL_TEXT.replace("method", "METHOD"),
    "a field twice": _CALL_TEXT[:-1] + ',"method":"eth_nope"}',
    "a notification": '{"jsonrpc":"2.0","method":"eth_chainId","params":[]}',
    "a notification of nothing": '{"jsonrpc":"2.0","method":"eth_nope","params":[]}',
    "a list of notifications": '[{"jsonrpc":"2.0","method":"eth_chainId","params":[]}]',
    "a notification and a call": '[{"jsonrpc":"2.0","method":"eth_chainId","params":[]},' + _CALL_TEXT + "]",
    "good and bad calls": f'[{_CALL_TEXT},{{}},5,{{"jsonrpc":"2.0","id":2,"method":"eth_nope"}}]',
    "the same id twice": f"[{_CALL_TEXT},{_CALL_TEXT}]",
    "a thousand calls": "[" + ",".join([_CALL_TEXT] * 1_000) + "]",
    "a thousand and one calls": "[" + ",".join([_CALL_TEXT] * 1_001) + "]",
    "a surrogate alone": _CALL_TEXT.replace("eth_chainId", "eth_\\ud800"),
    "a NUL in the method": _CALL_TEXT.replace("eth_chainId", "eth_chainId\\u0000"),
    "a control character in a string": _CALL_TEXT.replace("eth_chainId", "eth_\tchainId"),
    "larger than 5 MiB": _CALL_TEXT[:-1] + " " * (5 << 20) + "}",
    "just below 5 MiB": _CALL_TEXT[:-1] + " " * ((5 << 20) - len(_CALL_TEXT)) + "}",
}  # fmt: skip

_IDS: Final[Sequence[object]] = [
    None, "", "x", "1", 0, -1, 1.5, 10**30, True, False, {}, [], {"a": 1}, [1], "\u00e9", "x" * 300,
]  # fmt: skip

_METHOD_NAMES: Final[Sequence[object]] = [
    None, 5, {}, [], "", "eth", "eth_", "_chainId", "chainId", "eth_nope", "nope_chainId", "eth_chainid", "ETH_chainId",
    " eth_chainId", "eth__chainId", "eth_chainId_", "eth_chain\nId", "eth.chainId", "rpc_", "eth_fillTransaction", "x" * 300,
    "admin_nodeInfo", "personal_unlockAccount", "miner_start", "engine_forkchoiceUpdatedV3", "debug_nope", "eth_coinbase",
    "eth_mining", "eth_hashrate", "eth_getWork", "eth_compileSolidity", "eth_signTransaction", "net_nope", "web3_nope",
    "txpool_nope", "testing_nope",
]  # fmt: skip

_HTTP: Final[Sequence[tuple[str, str, str | None, str]]] = [
    ("text/plain", "POST", "text/plain", _CALL_TEXT),
    ("no content type", "POST", None, _CALL_TEXT),
    ("an empty content type", "POST", "", _CALL_TEXT),
    ("form data", "POST", "application/x-www-form-urlencoded", _CALL_TEXT),
    ("with a charset", "POST", "application/json; charset=utf-8", _CALL_TEXT),
    ("in capitals", "POST", "APPLICATION/JSON", _CALL_TEXT),
    ("application/json-rpc", "POST", "application/json-rpc", _CALL_TEXT),
    ("application/jsonrequest", "POST", "application/jsonrequest", _CALL_TEXT),
    ("application/jsonp", "POST", "application/jsonp", _CALL_TEXT),
    ("application/json without a slash behind", "POST", "application/json;", _CALL_TEXT),
    ("a list of types", "POST", "application/json, text/plain", _CALL_TEXT),
    ("an unknown parameter", "POST", "application/json; boundary", _CALL_TEXT),
    ("PUT", "PUT", "application/json", _CALL_TEXT),
    ("DELETE", "DELETE", "application/json", _CALL_TEXT),
    ("PATCH", "PATCH", "application/json", _CALL_TEXT),
    ("TRACE", "TRACE", None, ""),
    ("GET", "GET", None, ""),
    ("GET with a body", "GET", "application/json", _CALL_TEXT),
    ("HEAD", "HEAD", None, ""),
    ("OPTIONS", "OPTIONS", None, ""),
    ("an empty POST", "POST", "application/json", ""),
    ("an empty POST of text", "POST", "text/plain", ""),
]


def malformed_requests() -> Iterator[Malformed]:
    """All of them, in one order."""
    for name, body in _BODIES.items():
        yield Malformed(name=f"body: {name}", body=body)
    for identity in _IDS:
        label = json.dumps(identity)[:40]
        yield Malformed(name=f"id: {label}", body=text_of("eth_chainId", [], identity))
        yield Malformed(name=f"id of an error: {label}", body=text_of("eth_nope", [], identity))
    for method in _METHOD_NAMES:
        label = json.dumps(method)[:60]
        yield Malformed(name=f"method: {label}", body=text_of(method, []))
    for name, http_method, content_type, body in _HTTP:
        yield Malformed(
            name=f"http: {name}", http_method=http_method, content_type=content_type, body=body
        )
    for one, arguments in METHODS.items():
        yield from _of_method(one, arguments)
