"""One block from what waits: offered to the engine's builder in portions, sealed, its state committed.

    candidates (in order of arrival) -> [push a portion] -> included | refused | later | too early -> seal -> commit

The engine judges; nothing is checked twice. A portion that met a limit of the block is the last one: what did not fit is the first
of the next block, which is empty then, so nothing waits for ever.
How many are pushed at once follows from what the ones before them took of the witness, because a transaction that is
executed and does not fit was executed for nothing; and their gas limits are no more than the block has left, so that a block costs
no more than three times its gas, whatever is offered.
Runs beside the loop or on it; touches nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from node.execution.engine import BlockResult, L2Attributes, L2BlockBuilder
from node.rollup.derivation import BlockAttributes
from sequencer.building.waiting import Waiting

PORTION_FIRST: Final = 64
"""Transactions in the first portion of all."""

PORTION_MAX: Final = 128
"""Transactions in one portion."""

FILL: Final = 0.95
"""Share of what is left that a portion is meant to fill."""

WASTED_GAS_MAX: Final = 7_000_000
"""Gas limits of transactions that fit into no block, after which a block ends: nobody pays for their runs."""

NEVER_FITS: Final = "never_fits"
"""The engine's name of what no block holds."""

_LATER: Final = frozenset({"block_full", "witness_limit"})


class SealingEngine(Protocol):
    """What sealing asks of the L2's engine."""

    def sequence(
        self,
        parent_header: bytes,
        attributes: L2Attributes,
        deposits: Sequence[bytes],
        ancestors: bytes,
    ) -> L2BlockBuilder:
        """Opens a block; runs the system calls and the deposits."""

    def commit(self, result: BlockResult) -> None:
        """Stores the state of a block."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A transaction that this block found impossible."""

    one: Waiting
    """The transaction."""
    reason: str
    """The engine's stable name of why."""
    message: str
    """In its words."""


@dataclass(slots=True)
class Sealed:
    """What became of the candidates."""

    result: BlockResult | None = None
    """The block; None if there was nothing to put into it."""
    included: list[Waiting] = field(default_factory=list)
    """In it, in block order."""
    refused: list[Refusal] = field(default_factory=list)
    """Impossible on this parent."""
    early: list[Waiting] = field(default_factory=list)
    """Their nonce's turn has not come."""
    later: list[Waiting] = field(default_factory=list)
    """For the next block, in order."""
    limit: str = ""
    """Which limit of the block was met; empty if everything fitted."""
    wasted_gas: int = 0
    """Gas limits of those that were run and fit into no block."""


class Portions:
    """How many transactions are offered at once; one builder's experience."""

    def __init__(self) -> None:
        self._witness_each = 0.0

    def size(self, witness_left: int) -> int:
        """Transactions of the next portion."""
        if not self._witness_each:
            return PORTION_FIRST
        return max(1, min(PORTION_MAX, int(FILL * witness_left / self._witness_each)))

    def learn(self, included: int, witness_bytes: int) -> None:
        """So many took so much."""
        if included:
            each = max(1.0, witness_bytes / included)
            old = self._witness_each or each
            self._witness_each = 0.75 * old + 0.25 * each


def seal_block(
    engine: SealingEngine,
    parent_header: bytes,
    attributes: BlockAttributes,
    candidates: Sequence[Waiting],
    portions: Portions,
) -> Sealed:
    """Build on a parent whose state is committed; a block without deposits and transactions is none."""
    opened = L2Attributes(
        timestamp=attributes.timestamp,
        mix_hash=attributes.mix_hash,
        parent_beacon_block_root=attributes.parent_beacon_block_root,
    )
    builder = engine.sequence(parent_header, opened, attributes.deposits, b"")
    sealed = Sealed()
    position = 0
    while position < len(candidates) and not sealed.limit:
        left = builder.witness_left
        end = _end_of_portion(candidates, position, portions.size(left), builder.gas_left)
        portion = candidates[position:end]
        position += len(portion)
        before = len(sealed.included)
        _push(builder, portion, sealed)
        portions.learn(len(sealed.included) - before, left - builder.witness_left)
    sealed.later += candidates[position:]
    if not sealed.included and not attributes.deposits:
        _refuse_stuck(sealed)
        return sealed
    sealed.result = builder.seal()
    engine.commit(sealed.result)
    return sealed


def _end_of_portion(candidates: Sequence[Waiting], begin: int, count: int, gas: int) -> int:
    """Where a portion ends that has at least one, at most so many, and their gas limits at most so much."""
    end = min(begin + count, len(candidates))
    for place in range(begin, end):
        gas -= candidates[place].gas_limit
        if gas < 0:
            return max(place, begin + 1)
    return end


def _push(builder: L2BlockBuilder, portion: Sequence[Waiting], sealed: Sealed) -> None:
    outcomes = builder.push([one.raw for one in portion])
    for one, outcome in zip(portion, outcomes, strict=True):
        if outcome.included:
            sealed.included.append(one)
        elif outcome.reason == "nonce_too_high":
            sealed.early.append(one)
        elif outcome.reason in _LATER:
            sealed.limit = sealed.limit or outcome.reason
            sealed.later.append(one)
        else:
            sealed.refused.append(Refusal(one, outcome.reason, outcome.message))
            if outcome.reason == NEVER_FITS:
                sealed.wasted_gas += one.gas_limit
    if not sealed.limit and sealed.wasted_gas >= WASTED_GAS_MAX:
        sealed.limit = "wasted_gas"


def _refuse_stuck(sealed: Sealed) -> None:
    """What did not fit into a block that holds nothing fits into none; the engine says so itself, this is the net below it."""
    if sealed.limit in _LATER:
        one = sealed.later.pop(0)
        sealed.refused.append(Refusal(one, NEVER_FITS, f"{sealed.limit} in an empty block"))
