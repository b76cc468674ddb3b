"""Derivation: from a record and its content to what each block is executed from.

    record, content, index -> block_of -> BlockInput -+
                      parent header, Origin ----------+-> attributes_of -> BlockAttributes -> engine.derive

Every function is total and reads nothing but its arguments; block i of a record follows from the record, its content and
i alone, so that STEP can judge it without deriving the blocks before it.
A follower of unsafe blocks and the builder make a `BlockInput` of their own and go the same way from there.
Deliberately absent: execution. Whether a block's transactions can be executed in full is the engine's to find out; if
not, the block holds its deposits only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from node.eth.headers import Header
from node.eth.primitives import BlockNumber, Hash32
from node.rollup.batches import BatchBlock, Content
from node.rollup.deposits import attributes_deposit, encode_deposit, user_deposits
from node.rollup.limits import MAX_UINT64
from node.rollup.parameters import RollupParameters
from node.rollup.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """An L1 block that L2 blocks name as their origin."""

    number: BlockNumber
    """Its number on L1."""
    hash: Hash32
    """Its hash."""
    header: Header
    """Its header."""
    requests: tuple[bytes, ...]
    """Its EIP-7685 requests, each with its type byte; only a block that advances to it reads any, and of them only 0x7e."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockInput:
    """What is said of one L2 block, by a record, by the sequencer's gossip or by the builder."""

    number: BlockNumber
    """Its L2 number."""
    origin_number: BlockNumber
    """Its L1 origin."""
    advances_origin: bool
    """Whether that is the one after its parent's."""
    claimed_timestamp: int
    """Seconds since the epoch of Unix; `timestamp_of` says what becomes of it."""
    transactions: tuple[bytes, ...]
    """Raw user transactions; any bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockAttributes:
    """What one L2 block is executed from, on its parent."""

    timestamp: int
    """Seconds since the epoch of Unix; may equal the parent's."""
    mix_hash: Hash32
    """The origin's."""
    parent_beacon_block_root: Hash32
    """The origin's."""
    deposits: tuple[bytes, ...]
    """0x7E transactions: the attributes deposit, then user deposits; none unless the origin advances."""
    transactions: tuple[bytes, ...]
    """Raw user transactions; they are executed in full or not at all."""


def block_of(record: Record, content: Content, index: int) -> BlockInput:
    """Find what a record says of its block `index`, 0 for the first."""
    assert 0 <= index < record.block_count, "a block outside its record"
    if content is None:
        return _without_content(record, index)
    steps = sum(block.advances_origin for block in content[: index + 1])
    return _with_content(record, content[index], index, steps)


def blocks_of(record: Record, content: Content) -> tuple[BlockInput, ...]:
    """Find what a record says of each of its blocks; the same as `block_of` for every index."""
    if content is None:
        return tuple(_without_content(record, index) for index in range(record.block_count))
    steps = accumulate(block.advances_origin for block in content)
    return tuple(
        _with_content(record, block, index, step)
        for index, (block, step) in enumerate(zip(content, steps, strict=True))
    )


def timestamp_of(claimed: int, parent: int, origin: int, max_drift_seconds: int) -> int:
    """Clamp a claimed timestamp between max(parent's, origin's) and origin's + max drift.

    No chain has an empty range: a parent is at most max drift above its own origin, and origins ascend in time.
    For arguments of no chain the lower end wins, and 2^64 - 1 bounds both.
    """
    latest = min(origin + max_drift_seconds, MAX_UINT64)
    return max(parent, origin, min(claimed, latest))


def attributes_of(
    parameters: RollupParameters, parent: Header, block: BlockInput, origin: Origin
) -> BlockAttributes:
    """Find what a block is executed from, given its parent's header and its origin."""
    assert parent.number + 1 == block.number, "another parent than the block's"
    assert origin.number == block.origin_number, "another origin than the block's"
    deposits = deposits_of(parameters, origin) if block.advances_origin else ()
    return BlockAttributes(
        timestamp=timestamp_of(
            block.claimed_timestamp,
            parent.timestamp,
            origin.header.timestamp,
            parameters.max_drift_seconds,
        ),
        mix_hash=origin.header.mix_hash,
        parent_beacon_block_root=origin.header.parent_beacon_block_root,
        deposits=deposits,
        transactions=transactions_within(parameters, block.transactions),
    )


def deposits_of(parameters: RollupParameters, origin: Origin) -> tuple[bytes, ...]:
    """List the deposits of the block that advances to this origin: the attributes', then the users', encoded."""
    attributes = attributes_deposit(parameters, origin.number, origin.hash, origin.header)
    users = user_deposits(origin.hash, origin.requests)
    return tuple(encode_deposit(deposit) for deposit in (attributes, *users))


def transactions_within(
    parameters: RollupParameters, transactions: Sequence[bytes]
) -> tuple[bytes, ...]:
    """Keep a block's transactions if their bytes are within the limit, else none of them."""
    size = sum(len(transaction) for transaction in transactions)
    return tuple(transactions) if size <= parameters.transactions_limit_bytes else ()


def _without_content(record: Record, index: int) -> BlockInput:
    """Every advance as early as possible, no transactions, and the earliest timestamp there is."""
    steps = min(index + 1, record.advances)
    return BlockInput(
        number=BlockNumber(record.first_block + index),
        origin_number=BlockNumber(record.previous_origin + steps),
        advances_origin=index < record.advances,
        claimed_timestamp=0,
        transactions=(),
    )


def _with_content(record: Record, block: BatchBlock, index: int, steps: int) -> BlockInput:
    return BlockInput(
        number=BlockNumber(record.first_block + index),
        origin_number=BlockNumber(record.previous_origin + steps),
        advances_origin=block.advances_origin,
        claimed_timestamp=block.timestamp,
        transactions=block.transactions,
    )
