"""Calls of STEP with bytes that nobody honest would send: nested, huge, bombs, and what hardly differs from a proof.

    the L2's head, by JSON-RPC -> a record that the attacker made up around its own batch -> 0x0101, in L1 transactions

Anybody may call the precompile, and every L1 node executes what a block holds: bytes that crash it, or cost more time than
their gas, would stop the chain. Nothing here can prove anything; the point is what it costs the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from deploy.adversaries.acting import GAS_MAX, Actor, Reverted, number, read
from deploy.adversaries.attack import Attack, Values
from deploy.adversaries.stage import AttackFailed, Rpc, Stage, Verdict
from deploy.json_rpc import RpcUnavailable
from node.eth.hashing import keccak256
from node.eth.headers import decode_header
from node.eth.primitives import Address, BlockNumber
from node.rollup.outputs import output_of
from node.rollup.parameters import RollupParameters
from node.rollup.records import Record, RecordKind
from node.rollup.step import STEP_INPUT_BYTES_MAX, StepInput

STEP: Final = Address(bytes(18) + b"\x01\x01")
"""Where L1 executes L2 blocks again."""

BOMB: Final = bytes.fromhex(
    "cfffff7f002400e2b14072effff9ffff0f8004401c1680eefd3fffffff01900088c302d0bdffe7ff"
    "ff3f001200715800baf7fffcffff074002200e0b40f7fe9fffffff004800c46101e8defff3ffff1f"
    "000980382c00ddfb7ffeffff032001108705a07bffcfffff7f002400e2b00074effff9ffff0f8004"
    "401c1680eefd3fffffff01900088c302d0bdffcfffe075001200715800bab9eb"
)
"""200 MB of zeros, compressed with brotli to 152 bytes."""

NESTED_BYTES: Final = 300 << 10
"""Of a list within a list within a list: about 76,000 levels."""

NESTED_BATCH_BYTES: Final = 30_000
"""The same where a batch belongs."""


STEP_BASE_GAS: Final = 1_000_000
"""What the precompile takes for a call, besides a whole L2 block's gas (`node/execution/revm/src/precompile.rs`)."""

STEP_BYTE_GAS: Final = 2
"""What it takes for a byte of input."""

FOLLOWED_DEADLINE_S: Final = 60.0
"""By then every L1 node holds what the others have finalized."""


@dataclass(frozen=True, slots=True)
class HostileInput:
    """Bytes for STEP."""

    title: str
    """What is wrong with them, for people."""
    data: bytes
    """The whole input."""


def nested_list(size: int) -> bytes:
    """A list that holds a list that holds a list, about so many bytes long."""
    prefixes: list[bytes] = []
    inside = 0
    while inside < size:
        width = max(1, (inside.bit_length() + 7) // 8)
        short = inside < 56
        prefix = bytes([0xC0 + inside]) if short else bytes([0xF7 + width]) + inside.to_bytes(width)
        prefixes.append(prefix)
        inside += len(prefix)
    return b"".join(reversed(prefixes))


def uncompressed_brotli(data: bytes) -> bytes:
    """A brotli stream that holds data as it is (RFC 7932, 9.2): one uncompressed meta-block, then an empty last one."""
    assert 0 < len(data) <= 1 << 16, "four nibbles hold the length"
    # Window 2^16 (0), not the last (0), four nibbles (00), the length less one, uncompressed (1), up to the next byte.
    head = (len(data) - 1) << 4 | 1 << 20
    return head.to_bytes(3, "little") + data + b"\x03"


def hostile_inputs(template: StepInput) -> list[HostileInput]:
    """Inputs that each fail at another depth; `template` fits the L2's head but for its record, which is made up."""
    bad_node = b"\xf8\x50" + b"\xc0" * 0x50
    random_node = keccak256(b"node") * 3
    encoded = template.encode()
    nested_tail = template.words() + nested_list(NESTED_BYTES)
    return [
        HostileInput("nothing at all", b""),
        HostileInput("nested lists where the witness belongs", nested_tail),
        HostileInput(
            "a batch of nested lists", _with_batch(template, nested_list(NESTED_BATCH_BYTES))
        ),
        HostileInput("a batch that decompresses to 200 MB", _with_raw_batch(template, BOMB)),
        HostileInput("trie nodes of nested lists", _with_nodes(template, (bad_node, random_node))),
        HostileInput("a real witness without its last byte", encoded[:-1]),
        HostileInput("a byte too many", encoded + b"\0"),
        HostileInput("more than 352 KiB", encoded + bytes(STEP_INPUT_BYTES_MAX + 1 - len(encoded))),
    ]


def template_of(stage: Stage) -> StepInput:
    """What the L2's head gives for a STEP after it, with a record of the attacker's own."""
    head = number(stage.l2)
    raw = stage.l2.ask("debug_getRawHeader", hex(head))
    assert isinstance(raw, str)
    parent = bytes.fromhex(raw.removeprefix("0x"))
    origin = stage.l1.ask("debug_getRawHeader", "latest")
    assert isinstance(origin, str)
    origin_header = bytes.fromhex(origin.removeprefix("0x"))
    origin_number = decode_header(origin_header).number
    origin_hashes = keccak256(origin_header)
    record = Record(
        kind=RecordKind.BATCH,
        batch_hash=keccak256(b""),
        first_block=BlockNumber(head + 1),
        block_count=1,
        previous_origin=BlockNumber(origin_number),
        origin=BlockNumber(origin_number),
        origins_hash=keccak256(origin_hashes),
    )
    return StepInput(
        config_hash=stage.parameters.config_hash(),
        pre_root=output_of(decode_header(parent)).root(),
        number=BlockNumber(head + 1),
        record=record,
        parent_header=parent,
        batch=b"",
        origin_hashes=origin_hashes,
        origin_header=origin_header,
        last_request=b"",
        other_digests=b"",
        nodes=(),
        codes=(),
    )


def step_gas(parameters: RollupParameters, size: int) -> int:
    """Gas that a call with so many bytes takes before any work."""
    return STEP_BASE_GAS + parameters.gas_limit + STEP_BYTE_GAS * size


def hostile_step(stage: Stage, _values: Values) -> Verdict:
    """Send them all to L1, and look whether anybody stumbles."""
    attacker = Actor(stage, stage.account())
    accepted, cheap = [], []
    last_block = 0
    for hostile in hostile_inputs(template_of(stage)):
        stage.tries(f"calls STEP with {hostile.title} ({len(hostile.data):,} bytes)")
        receipt = attacker.receipt(attacker.send(STEP, hostile.data, gas=GAS_MAX))
        last_block = max(last_block, receipt.block)
        if receipt.succeeded:
            accepted.append(hostile.title)
            stage.sees(f"accepted it in L1 block {receipt.block}")
        else:
            reason = _reason(stage, hostile)
            stage.sees(
                f"refused it in L1 block {receipt.block} for {receipt.gas_used:,} gas: {reason}"
            )
        if receipt.gas_used < step_gas(stage.parameters, len(hostile.data)):
            cheap.append(hostile.title)
    started = stage.now()
    stage.until("finality of it all", lambda: number(stage.l1, "finalized") >= last_block or None)
    took_s = stage.now() - started
    stage.sees(f"finalized L1 block {last_block} with all of it, {took_s:.0f} s later")
    behind = _left_behind(stage, last_block)
    if accepted:
        return Verdict(held=False, summary=f"STEP proved something with {', '.join(accepted)}.")
    if cheap:
        return Verdict(
            held=False, summary=f"STEP worked for less than its gas with {', '.join(cheap)}."
        )
    if behind:
        return Verdict(held=False, summary=f"{', '.join(behind)} did not follow.")
    return Verdict(
        held=True,
        summary="Each call failed and paid for it, nothing was proven, and every L1 node holds the blocks.",
    )


def _reason(stage: Stage, hostile: HostileInput) -> str:
    try:
        read(stage.l1, STEP, hostile.data)
    except Reverted as error:
        text = error.data.decode(errors="replace")
        return text if text.isprintable() and text else str(error)
    raise AttackFailed(f"{hostile.title}: refused in a block and accepted in a call")


def _left_behind(stage: Stage, block: int) -> list[str]:
    """Names of the L1 nodes that do not hold a block in time."""
    behind = list(stage.l1_nodes)

    def look() -> bool:
        behind[:] = [name for name in behind if not _holds(stage, stage.l1_nodes[name], block)]
        return not behind

    try:
        stage.until("all L1 nodes to follow", look, FOLLOWED_DEADLINE_S)
    except AttackFailed:
        return behind
    return []


def _holds(stage: Stage, node: Rpc, block: int) -> bool:
    """Whether one L1 node has the block that the others have; one that does not answer has not."""
    wanted = stage.l1.ask("eth_getBlockByNumber", hex(block), False)
    try:
        found = node.ask("eth_getBlockByNumber", hex(block), False)
    except RpcUnavailable:
        return False
    assert isinstance(wanted, dict)
    return isinstance(found, dict) and found["hash"] == wanted["hash"]


def _with_batch(template: StepInput, decompressed: bytes) -> bytes:
    return _with_raw_batch(template, uncompressed_brotli(decompressed))


def _with_raw_batch(template: StepInput, batch: bytes) -> bytes:
    record = replace(template.record, batch_hash=keccak256(batch))
    return replace(template, record=record, batch=batch).encode()


def _with_nodes(template: StepInput, nodes: tuple[bytes, ...]) -> bytes:
    return replace(template, nodes=nodes).encode()


HOSTILE_STEP: Final = Attack(
    name="hostile-step",
    summary="Calls STEP on L1 with nested, huge, bombed and cut bytes.",
    expect="Each call fails in its block and costs the gas of a whole L2 block and its bytes, taken before any work, "
    "so nobody's import slows down. Every L1 node holds the blocks, and they are finalized in time.",
    leaves="Nothing but failed transactions.",
    run=hostile_step,
)
"""Bytes against the precompile."""
