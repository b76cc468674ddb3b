"""The part of a bridge process that a simulation runs too: a replica, and around it the roles that it plays.

    RollupNode (L1 full node, derivation, L2 chain)
      -> L1States, GameBook -> Watcher (metrics), BridgeAtNode (JSON-RPC)
      -> for each account: Sender (journal) <- Proposer | Relayer | Challenger

Deliberately absent: files of keys, sockets and signals (`assembly`), JSON-RPC and health.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import trio
from prometheus_client import CollectorRegistry

from bridge.app.supply import Supply
from bridge.app.watching import Watcher
from bridge.disputes.opening import open_challenger
from bridge.games.book import GameBook
from bridge.games.disputable import disputable_from
from bridge.games.finality import prove_finality
from bridge.l1_state import L1States
from bridge.proposing.service import Proposer, ProposerOptions
from bridge.relaying.asking import AskedList
from bridge.relaying.metrics import RelayingMetrics
from bridge.relaying.service import Relayer
from bridge.role import Role, RoleParts
from bridge.sending.journal import Journal
from bridge.sending.metrics import SendingMetrics
from bridge.sending.options import SendingOptions
from bridge.sending.outcomes import Outcomes
from bridge.sending.sender import Sender, SenderParts
from bridge.withdrawals.finding import WithdrawalIndex
from bridge.withdrawals.looking import LookingParts, Withdrawals
from bridge.withdrawals.view import BridgeAtNode
from node.app.core import CoreNode
from node.eth.primitives import Hash32
from node.execution.engine import Engine, L2Engine
from node.rollup.parameters import RollupParameters
from node.runtime.clock import SlotClock
from node.runtime.faults import FaultBoard
from node.runtime.worker import Worker
from sequencer.app.core import RollupNode
from sequencer.batching.signing import L1Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Who pays on L1; a role is played by whoever has its account."""

    proposer: L1Account | None = None
    """Proposes outputs."""
    relayer: L1Account | None = None
    """Settles withdrawals."""
    challenger: L1Account | None = None
    """Proves faults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a bridge process stands in."""

    parameters: RollupParameters
    """Of the rollup."""
    genesis_supply_wei: int
    """What the L2's genesis gives away."""
    slot_seconds: int
    """L1's."""
    l1: CoreNode
    """Its own full node."""
    l1_engine: Engine
    """Execution of L1."""
    rollup: RollupNode
    """Its own replica."""
    engine: L2Engine
    """Execution of the L2."""
    clock: SlotClock
    """Wall time."""
    worker: Worker
    """Where L1's contracts are asked, and transactions are simulated, signed and saved."""
    registry: CollectorRegistry
    """Where metrics go."""
    faults: FaultBoard
    """What to do wrong on purpose."""
    folder: Path
    """For the journal and other files of its own."""
    accounts: Accounts
    """Its roles."""
    proposing: ProposerOptions
    """When outputs are claimed."""
    sending: SendingOptions
    """What transactions may cost."""


class BridgeNode:
    """An opened bridge; `run` it beside its replica."""

    def __init__(self, around: Surroundings, closing: ExitStack) -> None:
        """Open its files, which `closing` closes. Raises JournalError, HeldElsewhere, Corruption."""
        self._around: Final = around
        l1, rollup = around.l1, around.rollup
        l2_genesis = rollup.chain.canonical_hash(0)
        l1_genesis = l1.chain.canonical_hash(0)
        assert l1_genesis is not None, "a chain has a genesis"
        assert l2_genesis is not None, "a chain has a genesis"
        journal = Journal(around.folder / "journal.sqlite", genesis_hash=l1_genesis)
        closing.callback(journal.close)
        index = WithdrawalIndex(around.folder / "withdrawals.sqlite", rollup.chain, around.engine)
        closing.callback(index.close)
        self._states = L1States(l1.chain, around.l1_engine)
        self._games = GameBook(l1.chain, self._states, around.l1_engine, around.worker)
        rollup.chain.disputable_from = partial(disputable_from, self._games, self._states)
        self._senders: list[Sender] = []
        self._sending = SendingMetrics(around.registry)
        self.roles: Final[dict[str, Role]] = {}
        """Its roles by name."""
        withdrawals = Withdrawals(
            LookingParts(
                l2=rollup.chain,
                l2_engine=around.engine,
                l1=rollup.l1,
                states=self._states,
                worker=around.worker,
                index=index,
                slot_seconds=around.slot_seconds,
            )
        )
        asked = self._take_roles(journal, withdrawals, l2_genesis, closing)
        self.view: Final = BridgeAtNode(
            withdrawals, l2=rollup.chain, l1=l1.chain, l1_engine=around.l1_engine, asked=asked
        )
        """What JSON-RPC asks of games and withdrawals."""
        self._watcher = Watcher(
            l1=rollup.l1,
            games=self._games,
            states=self._states,
            supply=Supply(
                around.folder / "supply.json",
                genesis_wei=around.genesis_supply_wei,
                l2=rollup.chain,
                l1=rollup.l1,
                engine=around.engine,
            ),
            registry=around.registry,
        )

    def lags(self) -> dict[str, Callable[[], str | None]]:
        """Why it is not ready, by role."""
        return {name: role.lag for name, role in self.roles.items()}

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Play its roles until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.view.run)
            await nursery.start(self._watcher.run)
            for sender in self._senders:
                await nursery.start(sender.run)
            for role in self.roles.values():
                await nursery.start(role.run)
            task_status.started()

    # -- roles

    def _take_roles(
        self,
        journal: Journal,
        withdrawals: Withdrawals,
        l2_genesis: Hash32,
        closing: ExitStack,
    ) -> AskedList | None:
        around = self._around
        accounts = around.accounts
        if accounts.proposer is not None:
            parts = self._parts("proposer", accounts.proposer, journal)
            self.roles["proposer"] = Proposer(parts, around.proposing)
        if accounts.challenger is not None:
            parts = self._parts("challenger", accounts.challenger, journal)
            self.roles["challenger"] = open_challenger(parts)
        if accounts.relayer is None:
            return None
        asked = AskedList(around.folder / "asked.sqlite", genesis_hash=l2_genesis)
        closing.callback(asked.close)
        sender = self._sender("relayer", accounts.relayer, journal)
        self.roles["relayer"] = Relayer(
            l1=around.rollup.l1,
            sender=sender,
            submitter=accounts.relayer.address,
            withdrawals=withdrawals,
            asked=asked,
            metrics=RelayingMetrics(around.registry),
        )
        return asked

    def _parts(self, role: str, account: L1Account, journal: Journal) -> RoleParts:
        around = self._around
        l1, rollup = around.l1, around.rollup
        return RoleParts(
            parameters=around.parameters,
            l1=rollup.l1,
            states=self._states,
            games=self._games,
            prove_finality=lambda: prove_finality(l1.chain, rollup.l1.confirmed),
            l1_engine=around.l1_engine,
            pool=l1.pool,
            l2=rollup.chain,
            l2_engine=around.engine,
            deriver=rollup.deriver,
            sender=self._sender(role, account, journal),
            worker=around.worker,
            clock=around.clock,
            faults=around.faults,
            registry=around.registry,
            folder=around.folder,
        )

    def _sender(self, role: str, account: L1Account, journal: Journal) -> Sender:
        around = self._around
        sender = Sender(
            SenderParts(
                role=role,
                account=account,
                l1=around.rollup.l1,
                states=self._states,
                outcome=Outcomes(around.l1.chain, around.l1_engine).of,
                pool=around.l1.pool,
                journal=journal,
                worker=around.worker,
                metrics=self._sending,
                options=around.sending,
            )
        )
        self._senders.append(sender)
        return sender
