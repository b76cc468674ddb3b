"""From what every role works with to what a challenger works with.

    RoleParts -> open_challenger -> Challenger

Deliberately absent: rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Final, Protocol

from bridge.disputes.metrics import DisputeMetrics
from bridge.disputes.own import OwnRoots
from bridge.disputes.parts import DisputeParts
from bridge.disputes.planning import Terms
from bridge.disputes.proving import ProofMaker
from bridge.disputes.rewards import ask_rewards
from bridge.disputes.rivals import Attempt
from bridge.disputes.service import Challenger
from bridge.l1_state import L1States
from bridge.role import RoleParts
from node.contracts.addresses import NATIVE_FAULT_GAME
from node.contracts.disputes import ask, prove_fault
from node.eth.primitives import ZERO_HASH, Address
from sequencer.deriving.proving import StepMaker

PROVE_FAULT: Final = prove_fault(ZERO_HASH, (), (), b"")[:4]
"""Selector of the call by which a game falls."""

HEAD_BYTES: Final = 160
"""Where the call data of a transaction has begun: nonce, fees, gas and callee come first."""


class Waiting(Protocol):
    """A transaction in the pool."""

    @property
    def to(self) -> Address | None:
        """Callee."""

    @property
    def raw(self) -> bytes:
        """EIP-2718 bytes."""


class WatchedPool(Protocol):
    """What of L1's pool is read."""

    def executable(self) -> Mapping[Address, Sequence[Waiting]]:
        """What could be in the next block, by sender."""


def open_challenger(parts: RoleParts) -> Challenger:
    """A challenger over a process's parts. Raises CallReverted where L1 has no games, MissingState."""
    deriver, account = parts.deriver, parts.sender.account.address
    steps = StepMaker(
        parameters=parts.parameters,
        l1=parts.l1,
        l2=parts.l2,
        book=deriver.book,
        l1_engine=parts.l1_engine,
        engine=parts.l2_engine,
    )
    return Challenger(
        DisputeParts(
            account=account,
            terms=Terms(window_blocks=window_blocks(parts.states)),
            moved=parts.l1.moved,
            derived=deriver.derived,
            is_canonical=parts.l1.is_canonical,
            canonical_hash=parts.l1.canonical_hash,
            look=parts.games.look,
            rewards=partial(ask_rewards, parts.states, account),
            attempts=partial(attempts_in, parts.pool),
            own=OwnRoots(parts.l2, deriver.book),
            proofs=ProofMaker(steps, parts.l2, deriver.book, parts.worker),
            want=parts.sender.want,
            worker=parts.worker,
            metrics=DisputeMetrics(parts.registry),
        )
    )


def window_blocks(states: L1States) -> int:
    """How many L1 blocks after its own have to be final before a game may stand. Raises CallReverted, MissingState."""
    return int.from_bytes(states.head().call(NATIVE_FAULT_GAME, ask("windowBlocks")))


def attempts_in(pool: WatchedPool) -> list[Attempt]:
    """Calls in the pool that look like proofs."""
    return [
        Attempt(sender, to)
        for sender, waiting in pool.executable().items()
        for to in _proven_by(waiting)
    ]


def _proven_by(waiting: Iterable[Waiting]) -> Iterable[Address]:
    return (
        one.to
        for one in waiting
        if one.to is not None and one.raw.find(PROVE_FAULT, 0, HEAD_BYTES) >= 0
    )
