"""A block from the pool's transactions, in chunks beside the loop, until it is full or time is up.

    BuildInputs -> engine.builder -> [Selection.take -> push]... -> seal(root of the payload) -> sign -> Envelope

The loop takes from the pool, a worker pushes: the pool is never touched from a thread, the engine never on the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

import structlog

from node.chain.building import BuildInputs
from node.consensus.containers import Payload
from node.eth.fees import next_base_fee
from node.eth.primitives import Address, Hash32, Slot, ValidatorIndex
from node.execution.engine import BlockAttributes, BlockBuilder, BlockResult, PushOutcome
from node.runtime.worker import Worker

CHUNK: Final = 512
"""Transactions pushed at a time: some milliseconds, so that the deadline is kept."""

GAS_MIN: Final = 21_000
"""No transaction fits into less."""

IMPOSSIBLE: Final = frozenset({"invalid", "gas_limit"})
"""Why a transaction is taken out of the pool for good; other reasons pass by themselves."""

FAULT: Final = "fault"
"""Execution itself failed, which is a bug of this node: what the transaction does is not known, so nobody of us includes it."""

_log = structlog.get_logger()


class Candidate(Protocol):
    """A transaction that is offered."""

    @property
    def hash(self) -> Hash32:
        """Its hash."""

    @property
    def sender(self) -> Address:
        """Who signed it."""

    @property
    def raw(self) -> bytes:
        """EIP-2718 bytes."""


class Selection(Protocol):
    """The pool's offer."""

    def take(self, *, gas: int, size: int, count: int, blobs: int = 0) -> Sequence[Candidate]:
        """The next transactions within these bounds."""

    def refuse(self, sender: Address) -> None:
        """Offer nothing more of a sender."""


class BuildingPool(Protocol):
    """What a builder asks of the pool."""

    def select(self, base_fee: int, blob_base_fee: int = 0) -> Selection:
        """Begin an offer at these prices of gas and of blob gas, wei."""

    def discard(self, transaction_hash: bytes) -> None:
        """Remove an impossible transaction."""

    def quarantine(self, transaction_hash: bytes) -> None:
        """Remove a transaction that execution failed on, and take it from nobody again."""


class BuildingEngine(Protocol):
    """What a builder asks of execution."""

    def builder(
        self, parent_header: bytes, attributes: BlockAttributes, ancestors: bytes
    ) -> BlockBuilder:
        """Opens a block on the parent's state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltBlock:
    """A sealed block, unsigned."""

    payload: Payload
    """What it says to consensus."""
    result: BlockResult
    """What the engine made."""

    @property
    def block_hash(self) -> Hash32:
        """Its id."""
        return Hash32(self.result.block_hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reveal:
    """A proposer's RANDAO fields."""

    slot: Slot
    """Of the block."""
    proposer_index: ValidatorIndex
    """Who proposes."""
    reveal: Hash32
    """Next layer of its onion."""
    renewal: Hash32
    """Tip of its next onion."""


async def build_block(
    *,
    inputs: BuildInputs,
    attributes: BlockAttributes,
    reveal: Reveal,
    engine: BuildingEngine,
    pool: BuildingPool | None,
    worker: Worker,
    is_time_up: Callable[[], bool],
) -> BuiltBlock:
    """Build a block; without a pool, or with no time left, one without transactions.

    Raises MissingState, InvalidBlock.
    """
    payload = Payload(
        slot=reveal.slot,
        proposer_index=reveal.proposer_index,
        reveal=reveal.reveal,
        renewal=reveal.renewal,
        votes=inputs.votes,
        evidence=inputs.evidence,
    )
    parent = inputs.parent.header.encode()
    builder = await worker.run(partial(engine.builder, parent, attributes, inputs.ancestors))
    if pool is not None:
        base_fee = next_base_fee(inputs.parent.header)
        await _fill(builder, pool, base_fee, worker, is_time_up)
    result = await worker.run(partial(builder.seal, payload.root()))
    return BuiltBlock(payload=payload, result=result)


async def _fill(
    builder: BlockBuilder,
    pool: BuildingPool,
    base_fee: int,
    worker: Worker,
    is_time_up: Callable[[], bool],
) -> None:
    selection = pool.select(base_fee, builder.blob_base_fee)
    while not is_time_up() and builder.gas_left >= GAS_MIN:
        offered = selection.take(
            gas=builder.gas_left,
            size=builder.bytes_left,
            count=CHUNK,
            blobs=builder.blobs_left,
        )
        if not offered:
            return
        raws = [one.raw for one in offered]
        outcomes = await worker.run(partial(builder.push, raws))
        for one, outcome in zip(offered, outcomes, strict=True):
            _follow(one, outcome, selection, pool)


def _follow(one: Candidate, outcome: PushOutcome, selection: Selection, pool: BuildingPool) -> None:
    if outcome.included:
        return
    selection.refuse(one.sender)
    if outcome.reason == FAULT:
        _log.error("execution_failed", transaction="0x" + one.hash.hex(), message=outcome.message)
        pool.quarantine(one.hash)
    elif outcome.reason in IMPOSSIBLE:
        pool.discard(one.hash)
