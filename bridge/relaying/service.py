"""Proves and finalizes withdrawals of those who ask, at the relayer's cost.

    every L1 block:  load   each withdrawal on the list, as L1 will stand in the next slot (bridge.withdrawals)
                     decide prove, finalize, or wait (`planning`)
                     act    Sender.want: everything that is wanted now, named so that it happens once

Nothing is remembered but the list. After kill -9 the same is wanted again under the same names, and what the sender has signed
is what it sends; after a reorganisation of L1 the proof that it dropped is wanted again, and no other.
Deliberately absent: a fee for it, and judging games beyond what this process derives itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn, Protocol

import structlog
import trio

from bridge.relaying.asking import AskedList
from bridge.relaying.metrics import RelayingMetrics
from bridge.relaying.planning import Finalize, Prove, Step, key_of, next_step, settling_gas
from bridge.sending.wants import Want
from bridge.withdrawals.looking import Looked, Withdrawals
from bridge.withdrawals.proving import finalize_call
from bridge.withdrawals.stages import Stage
from node.contracts.addresses import PORTAL
from node.errors import MissingState
from node.eth.primitives import Address, Hash32
from sequencer.l1.latest import Latest
from sequencer.l1.places import L1Ref

_log = structlog.get_logger()


class RelayedL1(Protocol):
    """What of L1 is followed (`sequencer.l1.view.L1View`)."""

    @property
    def head(self) -> L1Ref:
        """L1's head."""

    @property
    def moved(self) -> Latest[L1Ref]:
        """Set with every change of the head or of finality."""


class RelayedSender(Protocol):
    """Makes wants happen (`bridge.sending.sender.Sender`)."""

    def want(self, at: L1Ref, wants: Sequence[Want]) -> None:
        """Say everything that is wanted as L1 stands after a block, in order of priority; replaces what was said before."""


class Relayer:
    """One relayer; a `bridge.role.Role`."""

    def __init__(
        self,
        *,
        l1: RelayedL1,
        sender: RelayedSender,
        submitter: Address,
        withdrawals: Withdrawals,
        asked: AskedList,
        metrics: RelayingMetrics,
    ) -> None:
        """`submitter` is the address of the sender's account: its own proofs are always looked at."""
        self._l1 = l1
        self._sender = sender
        self._submitter = submitter
        self._withdrawals = withdrawals
        self._asked = asked
        self._metrics = metrics

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Look at every L1 block, for ever."""
        task_status.started()
        version = 0
        while True:
            version = await self._l1.moved.past(version)
            await self.turn()

    def lag(self) -> str | None:
        """Why it is not ready; it always is, for it only acts on what L1 says now."""
        return None

    async def turn(self) -> None:
        """Say what is wanted as L1 stands now."""
        at = self._l1.head
        wants: list[Want] = []
        stages: list[Stage] = []
        for name in self._asked.names:
            looked = await self._withdrawals.look(
                name, slots_ahead=1, own_submitter=self._submitter
            )
            if looked is None:
                self._forget_if_gone(name)
                continue
            if looked.facts.is_settlement_final:
                self._asked.drop(name)
                _log.info("withdrawal_settled", withdrawal=name.hex())
                continue
            stages.append(looked.standing.stage)
            want = await self._want(looked, name)
            if want is not None:
                wants.append(want)
        self._metrics.show(stages)
        self._sender.want(at, wants)

    def _forget_if_gone(self, name: Hash32) -> None:
        """A reset dropped its L2 block. Its transaction mostly comes back; once the L2 is final beyond there it will not."""
        if self._withdrawals.parts.l2.finalized.header.number >= self._asked.number_of(name):
            self._asked.drop(name)
            _log.info("withdrawal_gone", withdrawal=name.hex())

    async def _want(self, looked: Looked, name: Hash32) -> Want | None:
        step = next_step(looked.standing)
        if step is None:
            return None
        try:
            call = await self._call_of(looked, step)
        except MissingState:
            return None  # Pruned or reset since the game was chosen; the next look chooses another one.
        gas: int | None = None
        if isinstance(step, Finalize):
            gas = settling_gas(call, looked.sent.message.gas_limit)
        return Want(key=key_of(name, step), to=PORTAL, call_data=call, gas_limit=gas)

    async def _call_of(self, looked: Looked, step: Step) -> bytes:
        match step:
            case Prove(game=game):
                return await self._withdrawals.prove_call(looked.sent, game)
            case Finalize(proof=proof):
                return finalize_call(looked.sent.message, proof.submitter)
