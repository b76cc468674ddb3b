"""Questions to a chain's head: calls, estimates and access lists, on contracts made to be asked.

arguments (integers and bytes) > JSON as wallets write it > the native engine
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NotRequired, TypedDict, cast

from node.eth.hashing import keccak256
from node.eth.primitives import Address
from node.execution.answers import CallResult
from tests.kit.execution_chain import SENDER, ExecutionChain, word

GAS_CAP: Final = 50_000_000
"""As geth's `rpc.gascap`."""

TOKEN: Final = Address(bytes([0x74] * 20))
"""Returns the word at keccak(argument, 0): a token's balanceOf."""

LOOP: Final = Address(bytes([0x6C] * 20))
"""Jumps for ever."""

TREE: Final = Address(bytes([0x72] * 20))
"""Calls itself twice, without a jump."""

ENVIRONMENT: Final = Address(bytes([0x65] * 20))
"""Returns number, time, fee recipient, randao, gas limit, base fee, blob base fee, gas price and sender's balance."""

REVERTER: Final = Address(bytes([0x76] * 20))
"""Reverts with its input."""

SPENDER: Final = Address(bytes([0x73] * 20))
"""Needs much more gas than it uses: reverts unless 100,000 gas are left."""

HASHER: Final = Address(bytes([0x68] * 20))
"""Asks precompile 2, the SHA-256, for the hash of its input."""

SHA256: Final = Address(word(2)[12:])
"""The precompile."""

ORIGIN: Final = Address(bytes(20))
"""Who calls if nobody is named."""

SENDER_TEXT: Final = SENDER.address
"""As messages name it."""

NOBODY: Final = "0x" + "00" * 20
"""The zero address, as messages name it."""

HALTS: Final[Mapping[str, str]] = {
    "fe": "invalid opcode: INVALID",
    "0c": "invalid opcode: opcode 0xc not defined",
    "01": "stack underflow (0 <=> 2)",
    "5f01": "stack underflow (1 <=> 2)",
    "5f56": "invalid jump destination",
    "60015f5f3e": "return data out of bounds",
    "5b5f56": "out of gas",
    "5b5f600056": "stack limit reached 1024 (1023)",
}
"""Code, and geth's words for how it ends."""


def code_of(*instructions: str) -> str:
    return "0x" + "".join(instructions)


def returned_words(*instructions: str) -> str:
    """Code that returns one word for each instruction."""
    stores = "".join(
        f"{instruction}61{32 * at:04x}52" for at, instruction in enumerate(instructions)
    )
    return f"0x{stores}61{32 * len(instructions):04x}5ff3"


ACCOUNTS: Final[Mapping[str, object]] = {
    "0x" + address.hex(): {"balance": "0x0", "code": code, "storage": storage}
    for address, code, storage in [
        (
            TOKEN,
            code_of("6004355f52", "5f602052", "60405f20", "545f52", "60205ff3"),
            {"0x" + keccak256(bytes(12) + b"\x11" * 20 + word(0)).hex(): "0x2a"},
        ),
        (LOOP, "0x5b5f56", {}),
        (TREE, "0x5f5f5f5f5f305af1505f5f5f5f5f305af100", {}),
        (
            ENVIRONMENT,
            returned_words("43", "42", "41", "44", "45", "48", "4a", "3a", "3331"),
            {},
        ),
        (REVERTER, "0x365f5f37365ffd", {}),
        (SPENDER, "0x620186a05a11600c575f5ffd5b00", {}),
        (HASHER, "0x365f5f3760205f365f60025afa5060205ff3", {}),
    ]
} | {
    f"0x{0xDEAD00 + at:040x}": {"balance": "0x0", "code": "0x" + code}
    for at, code in enumerate(HALTS)
}


def hexed(value: object) -> object:
    """Bytes and integers as JSON-RPC writes them."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return hex(value)
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, dict):
        return {str(hexed(key)): hexed(one) for key, one in value.items()}
    if isinstance(value, list):
        return [hexed(one) for one in value]
    raise TypeError(value)


def encoded(value: object) -> bytes:
    return json.dumps(hexed(value)).encode()


class SimulatedCall(TypedDict):
    """A call of a simulated block, as JSON has it."""

    status: str
    returnData: str
    gasUsed: str
    maxUsedGas: str
    logs: list[dict[str, str]]
    error: NotRequired[dict[str, object]]


class SimulatedBlock(TypedDict):
    """A simulated block, as JSON has it; the fields that tests look at."""

    number: str
    hash: str
    parentHash: str
    stateRoot: str
    receiptsRoot: str
    withdrawalsRoot: str
    requestsHash: str
    logsBloom: str
    gasUsed: str
    gasLimit: str
    timestamp: str
    miner: str
    extraData: str
    baseFeePerGas: str
    blobGasUsed: str
    calls: list[SimulatedCall]
    transactions: list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a chain's head."""

    chain: ExecutionChain

    def call(
        self,
        arguments: Mapping[str, object],
        *,
        state: Mapping[Address, object] | None = None,
        block: Mapping[str, object] | None = None,
        deadline_us: int | None = None,
        gas_cap: int = GAS_CAP,
    ) -> CallResult:
        return self.chain.engine.call(
            self.chain.head.state_root,
            self.chain.header,
            self.chain.ancestors[32:],
            encoded(dict(arguments)),
            gas_cap=gas_cap,
            state_overrides=None if state is None else encoded(dict(state)),
            block_overrides=None if block is None else encoded(dict(block)),
            deadline_us=deadline_us,
        )

    def estimate(
        self,
        arguments: Mapping[str, object],
        *,
        state: Mapping[Address, object] | None = None,
        gas_cap: int = GAS_CAP,
        deadline_us: int | None = None,
    ) -> CallResult:
        return self.chain.engine.estimate_gas(
            self.chain.head.state_root,
            self.chain.header,
            self.chain.ancestors[32:],
            encoded(dict(arguments)),
            gas_cap=gas_cap,
            state_overrides=None if state is None else encoded(dict(state)),
            deadline_us=deadline_us,
        )

    def access_list(
        self, arguments: Mapping[str, object], *, deadline_us: int | None = None
    ) -> dict[str, object]:
        answer = self.chain.engine.access_list(
            self.chain.head.state_root,
            self.chain.header,
            self.chain.ancestors[32:],
            encoded(dict(arguments)),
            gas_cap=GAS_CAP,
            deadline_us=deadline_us,
        )
        return cast("dict[str, object]", json.loads(answer))

    def simulate(
        self,
        *blocks: Mapping[str, object],
        deadline_us: int | None = None,
        gas_cap: int = GAS_CAP,
        **options: object,
    ) -> list[SimulatedBlock]:
        """Simulated blocks on the head; options as `eth_simulateV1` names them."""
        request = {"blockStateCalls": [dict(block) for block in blocks]} | options
        answer = self.chain.engine.simulate(
            self.chain.head.state_root,
            self.chain.header,
            self.chain.ancestors[32:],
            encoded(request),
            gas_cap=gas_cap,
            deadline_us=deadline_us,
        )
        return cast("list[SimulatedBlock]", json.loads(answer))


def words_of(data: bytes) -> list[int]:
    """The words of an answer."""
    return [int.from_bytes(data[at : at + 32]) for at in range(0, len(data), 32)]
