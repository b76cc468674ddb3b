"""What a challenger works with: its neighbours, as narrowly as it needs them.

    bridge.games (the games of an L1 block) -+
    sequencer.l1, deriving (L1's heads)     -+-> DisputeParts -> Challenger -> bridge.sending (wants)
    node.txpool (calls that wait)           -+

Deliberately absent: how parts are opened (app).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bridge.disputes.judging import ClaimedRoots, OwnChain
from bridge.disputes.metrics import DisputeMetrics
from bridge.disputes.planning import Terms
from bridge.disputes.proving import Fault
from bridge.disputes.rewards import Rewards
from bridge.disputes.rivals import Attempt
from bridge.games.reading import Game
from bridge.sending.wants import Want
from node.eth.primitives import Address, Hash32
from node.runtime.worker import Worker
from sequencer.l1.latest import Latest
from sequencer.l1.places import InboxAt, L1Ref


class SeenGames(Protocol):
    """The games of one L1 block."""

    @property
    def block(self) -> L1Ref:
        """Which."""

    @property
    def finalized(self) -> int:
        """Number of the final L1 block then."""

    @property
    def games(self) -> Mapping[Address, Game]:
        """All that are open, and the newest of those that are decided; ascending by index."""

    @property
    def open(self) -> Sequence[Game]:
        """Those in progress, ascending by index."""

    def game(self, address: Address) -> Game | None:
        """One of them, or one that is decided; for a Worker. Raises MissingState."""

    async def roots(self, game: Game) -> Sequence[Hash32] | None:
        """The roots that a game names, from the Registry's logs; None where nobody published them."""


class OwnTruth(Protocol):
    """`own.OwnRoots`."""

    @property
    def resets(self) -> int:
        """How often the chain dropped blocks."""

    @property
    def safe_block(self) -> int:
        """Number of the safe head."""

    async def upto(self, claim: ClaimedRoots) -> OwnChain:
        """What this process derived, as far as a claim reaches."""


class MakesProofs(Protocol):
    """`proving.ProofMaker`."""

    async def call_data(self, fault: Fault) -> bytes:
        """The call that proves a fault. Raises Temporary, MissingState."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeParts:
    """A challenger's neighbours."""

    account: Address
    """Who pays, and is paid."""
    terms: Terms
    """What the network decided."""
    moved: Latest[L1Ref]
    """L1's head."""
    derived: Latest[InboxAt | None]
    """How far L1's records are derived."""
    is_canonical: Callable[[L1Ref], bool]
    """Whether L1 still holds a block."""
    canonical_hash: Callable[[int], Hash32 | None]
    """Hash of L1's block of a number."""
    look: Callable[[], Awaitable[SeenGames]]
    """The games of L1's head. Raises MissingState."""
    rewards: Callable[[Sequence[Game]], Rewards]
    """What lost games owe; for a Worker. Raises MissingState."""
    attempts: Callable[[], Sequence[Attempt]]
    """Calls of `proveFault` that wait in L1's pool."""
    own: OwnTruth
    """What this process derived."""
    proofs: MakesProofs
    """Makes calls."""
    want: Callable[[L1Ref, Sequence[Want]], None]
    """Says what shall happen on L1."""
    worker: Worker
    """Where old games are asked."""
    metrics: DisputeMetrics
    """What is counted."""
