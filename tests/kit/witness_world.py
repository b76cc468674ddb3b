"""Rollups with states of any size, and contracts that touch a lot of them for little gas.

    witness_world(accounts) > RollupChain > spray, store, clear, destroy ... > blocks near the limits

Deliberately absent: what a limit is; tests and benchmarks say what they expect.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, cast

from node.eth.hashing import keccak256
from node.execution.adapter import RevmEngine
from tests.kit.execution_chain import word
from tests.kit.rollup_chain import CHAIN_ID, GAS_LIMIT, L1_BLOCK, RollupChain, rollup_document
from tests.kit.transfers import Sender, sender, sign_transfer

SENDERS: Final = 400
"""Accounts that sign."""

CODE_BYTES: Final = 24_576
"""Of each large code (EIP-170's limit)."""

HISTORY: Final = "0x0000f90827f1c53a10cb7a02335b175320002935"
"""EIP-2935's contract."""

BEACON_ROOTS: Final = "0x000f3df6d732807ef1319fb7b8bb8522d0beac02"
"""EIP-4788's contract."""

RING: Final = 8_191
"""Slots of each ring of the system contracts."""

FULL_NUMBER: Final = 9_000
"""Number of a genesis block whose rings are full."""

LARGE: Final = 0xC0DE << 144
"""Address of the first large code; the others follow it."""

_OPCODES: Final[Mapping[str, int]] = {
    "STOP": 0x00, "ADD": 0x01, "SUB": 0x03, "LT": 0x10, "SHL": 0x1B, "KECCAK256": 0x20, "BALANCE": 0x31,
    "CALLDATALOAD": 0x35, "CALLDATASIZE": 0x36, "CALLDATACOPY": 0x37, "EXTCODESIZE": 0x3B, "EXTCODEHASH": 0x3F,
    "BLOCKHASH": 0x40, "NUMBER": 0x43, "POP": 0x50, "MSTORE": 0x52, "SLOAD": 0x54, "SSTORE": 0x55, "JUMP": 0x56,
    "JUMPI": 0x57, "GAS": 0x5A, "JUMPDEST": 0x5B, "PUSH0": 0x5F, "DUP1": 0x80, "DUP2": 0x81, "SWAP1": 0x90,
    "CALLER": 0x33, "CREATE2": 0xF5, "RETURN": 0xF3, "STATICCALL": 0xFA, "CALL": 0xF1, "SELFDESTRUCT": 0xFF,
    "REVERT": 0xFD, "RETURNDATASIZE": 0x3D, "RETURNDATACOPY": 0x3E,
}  # fmt: skip


def assemble(source: str) -> bytes:
    """Bytecode; a number is pushed with the fewest bytes, one in hex with as many as are written."""
    out = bytearray()
    for token in source.split():
        if token in _OPCODES:
            out.append(_OPCODES[token])
            continue
        if token.startswith("0x"):
            raw = bytes.fromhex(token[2:])
        else:
            raw = int(token).to_bytes(max(1, (int(token).bit_length() + 7) // 8))
        out += bytes([0x5F + len(raw)]) + raw
    return bytes(out)


# Numbers from the first word of the input, as many as its second: a body, which finds the number on the stack.
_LOOP = (
    "PUSH0 CALLDATALOAD DUP1 32 CALLDATALOAD ADD SWAP1 JUMPDEST {} 1 ADD DUP2 DUP2 LT 8 JUMPI STOP"
)
_KEY = "DUP1 192 SHL PUSH0 MSTORE 8 PUSH0 KECCAK256 "
_LARGE = f"DUP1 0x{LARGE:040x} ADD "
_BODIES: Final[Mapping[str, str]] = {
    "balance": _KEY + "BALANCE POP",
    "sload": _KEY + "SLOAD POP",
    "clear": _KEY + "PUSH0 SWAP1 SSTORE",
    "code": _LARGE + "EXTCODESIZE POP",
    "code_hash": _LARGE + "EXTCODEHASH POP",
    "block_hash": "DUP1 NUMBER SUB BLOCKHASH POP",
    "hash": "136 PUSH0 KECCAK256 POP",
    "recover": "32 PUSH0 128 PUSH0 1 50000 STATICCALL POP",
    "pairing": "32 PUSH0 384 PUSH0 8 GAS STATICCALL POP",
}
SPRAYS: Final[Mapping[str, bytes]] = {
    name: bytes([0x5A, place]) + b"\x5a" * 18 for place, name in enumerate(_BODIES)
}
"""Contracts that do one thing to many: their input is the first number and how many."""

BOXES: Final = tuple(bytes([0xB0, place]) + b"\xb0" * 18 for place in range(6))
"""Contracts that store: their input is pairs of slot and value."""

_BOX = assemble(
    "PUSH0 JUMPDEST DUP1 32 ADD CALLDATALOAD DUP2 CALLDATALOAD SSTORE 64 ADD CALLDATASIZE DUP2 LT 1 JUMPI STOP"
)

LOOPER: Final = b"\x4d" * 20
"""Calls the address in its input's first word with the rest of it until all gas is gone; it always fails."""

LOOPER_CODE: Final = assemble(
    "CALLDATASIZE PUSH0 PUSH0 CALLDATACOPY JUMPDEST "
    "32 PUSH0 32 CALLDATASIZE SUB 32 PUSH0 CALLDATALOAD GAS STATICCALL POP 4 JUMP"
)
"""Its code."""

DESTROYER: Final = b"\xde" * 20
"""Creates a contract, with its input as salt, that destroys itself at once: whatever was there leaves the state."""

_CHILD = assemble("CALLER SELFDESTRUCT")
_DESTROYER = assemble("0x33ff PUSH0 MSTORE PUSH0 CALLDATALOAD 2 30 PUSH0 CREATE2 POP STOP")


def child_of(salt: int) -> bytes:
    """Where the destroyer's contract with a salt stands."""
    return keccak256(b"\xff" + DESTROYER + word(salt) + keccak256(_CHILD))[12:]


def bystander(number: int) -> bytes:
    """An account that lies in the state; `spray` finds the first ones by their numbers."""
    return keccak256(number.to_bytes(8))[12:]


@cache
def signer(number: int) -> Sender:
    """An account that signs."""
    return sender(f"witness {number}")


def large_code(number: int) -> bytes:
    """A code of 24,576 bytes that no other account has."""
    return b"\0" + keccak256(word(number)) + b"\x5b" * (CODE_BYTES - 33)


@dataclass(slots=True)
class WitnessWorld:
    """A rollup over a state of some size, and the nonces of who signs."""

    chain: RollupChain
    """Grows by what tests commit."""
    nonces: dict[int, int] = field(default_factory=dict)
    """Of each signer that has signed."""

    def sign(
        self, by: int, to: bytes, data: bytes = b"", *, value: int = 0, gas: int = 200_000
    ) -> bytes:
        """The next transaction of a signer."""
        nonce = self.nonces.get(by, 0)
        self.nonces[by] = nonce + 1
        return self.sign_at(nonce, by, to, data, value=value, gas=gas)

    def sign_at(
        self,
        nonce: int,
        by: int,
        to: bytes,
        data: bytes = b"",
        *,
        value: int = 0,
        gas: int = 200_000,
    ) -> bytes:
        """A transaction with a nonce of the caller's."""
        return sign_transfer(
            signer(by), nonce=nonce, to=to, value=value, gas_limit=gas, data=data, chain_id=CHAIN_ID
        )  # fmt: skip

    def spray(self, by: int, name: str, start: int, count: int, *, gas: int) -> bytes:
        """A transaction that does one thing to many."""
        return self.sign(by, SPRAYS[name], word(start) + word(count), gas=gas)


def stores(pairs: Iterable[tuple[int, int]]) -> bytes:
    """Input of a box: slots and values."""
    return b"".join(word(slot) + word(value) for slot, value in pairs)


def witness_world(document: bytes, *, folder: Path | None = None) -> WitnessWorld:
    """A rollup with nothing but the genesis block of a file."""
    engine = RevmEngine(document, folder=folder)
    return WitnessWorld(RollupChain(engine, [engine.genesis()]))


def witness_document(
    accounts: int,
    *,
    slots: int = 0,
    large_codes: int = 0,
    children: int = 0,
    full_rings: bool = False,
    gas_limit: int = GAS_LIMIT,
    witness_limit: int = 270_336,
) -> bytes:
    """The genesis file of a rollup with that many bystanders, slots of sprayed contracts, codes, accounts to destroy.

    `full_rings` fills the rings of the system contracts, as blocks do in time; the genesis block's number is then 9,000.
    """
    document = rollup_document(gas_limit=gas_limit, witness_limit_bytes=witness_limit)
    alloc = cast(dict[str, dict[str, object]], document["alloc"])
    alloc |= {_hex(signer(number).address): {"balance": hex(10**20)} for number in range(SENDERS)}
    alloc |= {_hex(bystander(number)): {"balance": hex(number + 1)} for number in range(accounts)}
    alloc |= {_hex(child_of(salt)): {"balance": "0x1"} for salt in range(children)}
    stored = {
        _hex(keccak256(number.to_bytes(8))): _hex(keccak256(word(number)))
        for number in range(slots)
    }
    for name, body in _BODIES.items():
        alloc[_hex(SPRAYS[name])] = {
            "balance": "0x0",
            "nonce": "0x1",
            "code": _hex(assemble(_LOOP.format(body))),
            "storage": stored if name in ("sload", "clear") else {},
        }
    contracts = {DESTROYER: _DESTROYER, LOOPER: LOOPER_CODE} | dict.fromkeys(BOXES, _BOX)
    contracts |= {(LARGE + n).to_bytes(20): large_code(n) for n in range(large_codes)}
    for address, code in contracts.items():
        alloc[_hex(address)] = {"balance": "0x0", "nonce": "0x1", "code": _hex(code)}
    if full_rings:
        document["number"] = hex(FULL_NUMBER)
        _fill_rings(alloc)
    return json.dumps(document).encode()


def _fill_rings(alloc: dict[str, dict[str, object]]) -> None:
    by_address = {address.lower(): account for address, account in alloc.items()}
    for address, size in ((HISTORY, RING), (BEACON_ROOTS, 2 * RING)):
        by_address[address]["storage"] = {
            f"0x{slot:064x}": _hex(keccak256(word(slot))) for slot in range(size)
        }
    l1_block = by_address[_hex(L1_BLOCK)]
    l1_block["storage"] = {f"0x{slot:064x}": f"0x{slot + 1:064x}" for slot in range(9)} | cast(
        dict[str, object], l1_block["storage"]
    )


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
