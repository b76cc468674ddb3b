"""What a role of the bridge is, and what it works with.

    app -> RoleParts -> proposing | disputes | relaying -> Role.run
      load:   parts.states, parts.games (L1 at one block), parts.l2 (this process's own derivation)
      decide: what shall happen on L1
      act:    parts.sender.want(block, wants), again at every L1 block

Roles do not know each other, and none of them signs, counts nonces or remembers what it has sent: the sender does.
Deliberately absent: which roles run (config), and how parts are opened (app).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

import trio
from prometheus_client import CollectorRegistry

from bridge.games.book import GameBook
from bridge.games.finality import FinalityProof
from bridge.l1_state import L1States
from bridge.sending.sender import Sender
from node.execution.engine import Engine, L2Engine
from node.rollup.parameters import RollupParameters
from node.runtime.clock import SlotClock
from node.runtime.faults import FaultBoard
from node.runtime.worker import Worker
from node.txpool.service import PoolService
from sequencer.deriving.deriver import Deriver
from sequencer.heads import L2Chain
from sequencer.l1.view import L1View


class Role(Protocol):
    """A part of a bridge process that acts on L1."""

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Act, for ever."""

    def lag(self) -> str | None:
        """Why it is not ready; None when it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleParts:
    """What a role works with."""

    parameters: RollupParameters
    """Of the rollup."""
    l1: L1View
    """L1: blocks, records, `moved`."""
    states: L1States
    """L1's contracts at a block."""
    games: GameBook
    """The games at a block."""
    prove_finality: Callable[[], FinalityProof | None]
    """What of L1 is final just now, as a game wants it shown; None where it cannot be shown."""
    l1_engine: Engine
    """Execution of L1."""
    pool: PoolService
    """The pool of the process's own L1 node; what rivals send is seen there."""
    l2: L2Chain
    """The L2 as this process follows it; up to its safe head it is derived from L1."""
    l2_engine: L2Engine
    """Execution of the L2."""
    deriver: Deriver
    """How far L1 is derived (`derived`), and its records (`book`)."""
    sender: Sender
    """Makes wants happen on L1; of this role's account alone."""
    worker: Worker
    """Where reading and deciding run."""
    clock: SlotClock
    """Wall time."""
    faults: FaultBoard
    """What to do wrong on purpose."""
    registry: CollectorRegistry
    """Where metrics go."""
    folder: Path
    """For files of its own."""
