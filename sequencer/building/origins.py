"""Which L1 block the next L2 block names as its origin, and what follows from that (ROLLUP.md 1.6).

    head's origin, L1View (confirmed, canonical) -> choose -> Turn (origin, whether it advances) | Lost
    Turn, wall clock -> inputs_of -> timestamp, deposits

An origin is advanced to once L1's votes have confirmed it, one a block, so that only faults make the L2 reorganise; never to a
block that does not stand on the origin before.
Deliberately absent: derivation's rules (node.rollup), which say what a block with this origin holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from node.eth.headers import Header
from node.eth.primitives import BlockNumber
from node.rollup.derivation import BlockAttributes, BlockInput, Origin, attributes_of
from node.rollup.parameters import RollupParameters
from sequencer.l1.places import L1Ref


class OriginSource(Protocol):
    """L1 as the builder reads it (`sequencer.l1.view.L1View`)."""

    @property
    def confirmed(self) -> L1Ref:
        """The deepest canonical block that two thirds of the votes support."""

    def origin(self, number: int) -> Origin | None:
        """A canonical block as an origin; None above the head."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The origin of the next block."""

    origin: Origin
    """The L1 block."""
    advances: bool
    """Whether it is the one after the head's origin."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The head's origin is not on L1's chain: nothing can be built on it until the chain is reset."""


Choice: TypeAlias = Turn | Lost


def choose(source: OriginSource, confirmed_number: int, current: L1Ref) -> Choice:
    """Choose the origin of a block on a head with this origin, given how far L1 is confirmed."""
    if confirmed_number > current.number:
        following = source.origin(current.number + 1)
        if following is not None:
            stands = following.header.parent_hash == current.hash
            return Turn(following, advances=True) if stands else Lost()
    same = source.origin(current.number)
    if same is None or same.hash != current.hash:
        return Lost()
    return Turn(same, advances=False)


def inputs_of(
    parameters: RollupParameters, parent: Header, turn: Turn, now_seconds: int
) -> BlockAttributes:
    """What the block is executed from, transactions apart; derivation clamps the same claim to the same timestamp."""
    claim = BlockInput(
        number=BlockNumber(parent.number + 1),
        origin_number=turn.origin.number,
        advances_origin=turn.advances,
        claimed_timestamp=now_seconds,
        transactions=(),
    )
    return attributes_of(parameters, parent, claim, turn.origin)


def origin_name(origin: Origin) -> L1Ref:
    """An origin by name."""
    return L1Ref(number=origin.number, hash=origin.hash)
