"""One account on L1: brings about what its role wants, each want once, in spite of crashes, reorganisations and fees.

    want(block, wants) --+
    L1's head moved -----+-> load: nonce, outcomes -> look, place (planning) -> simulate -> sign -> journal -> L1's pool
                                                                                overdue -> raised -> journal -> L1's pool

It acts on what its role said last, if that was said of a block that L1 still holds; what L1 says counts, never a memory of
having sent. A row is in the journal before a transaction leaves, so a nonce is never signed for twice without knowing of it.
Two senders of one account would take each other's nonces: the journal's lock and one account for each role exclude that.
Deliberately absent: why something is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, NoReturn, Protocol

import structlog
import trio

from bridge.sending.journal import Journal
from bridge.sending.metrics import SendingMetrics
from bridge.sending.options import SendingOptions
from bridge.sending.planning import Outcome, Outlook, Place, Placing, look, to_be_emptied
from bridge.sending.slots import EMPTY_KEY, Offer, Slot, signed
from bridge.sending.wants import Want
from node.errors import InvalidCall, MissingState
from node.eth.fees import next_base_fee
from node.eth.headers import Header
from node.eth.primitives import Address, Hash32
from node.execution.answers import CallResult
from node.runtime.worker import Worker
from sequencer.batching.fees import Fee, FeeLimits, raised, suggested
from sequencer.batching.service import ALREADY_KNOWN, L1Pool
from sequencer.batching.signing import TRANSACTION_GAS, L1Account, gas_limit
from sequencer.l1.latest import Latest
from sequencer.l1.places import L1Ref

WANTS_MAX: Final = 512
"""Wants of a role at once; the rest is said again at the next block."""

WANTED_BYTES_MAX: Final = 16 << 20
"""Their call data together: 48 fault proofs of the greatest length."""

GAS_MAX: Final = 1 << 24
"""Gas of a transaction (EIP-7825)."""

GAS_MARGIN: Final = 100_000
"""Added to what a simulation used, beside a quarter: refunds, 63/64, and a state that has moved on."""

URGENT_TIP_MULTIPLE: Final = 4
"""How much more an urgent want offers at first."""

RETRY_S: Final = 1.0
"""After a refusal by the pool nothing is sent for so long."""

_log = structlog.get_logger()


class SendingL1(Protocol):
    """What of L1 a sender looks at (`sequencer.l1.view.L1View`)."""

    @property
    def head(self) -> L1Ref:
        """L1's head."""

    @property
    def moved(self) -> Latest[L1Ref]:
        """Set with every change of the head or of finality."""

    def is_canonical(self, block: L1Ref) -> bool:
        """Whether a block lies on the head's chain."""


class SendingState(Protocol):
    """L1 after a block (`bridge.l1_state.L1State`)."""

    @property
    def ref(self) -> L1Ref:
        """The block."""

    @property
    def header(self) -> Header:
        """Its header."""

    def nonce(self, address: Address) -> int:
        """An account's next nonce. Raises MissingState."""

    def balance(self, address: Address) -> int:
        """Wei. Raises MissingState."""

    def run(
        self, to: Address, data: bytes, *, sender: Address, value_wei: int, gas: int
    ) -> CallResult:
        """How a call ends. Raises MissingState, InvalidCall."""


class SendingStates(Protocol):
    """What of L1's states is asked (`bridge.l1_state.L1States`)."""

    def upcoming(self) -> SendingState:
        """After the head, in the next slot."""

    def finalized(self) -> SendingState:
        """After the final block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderParts:
    """What a sender works with."""

    role: str
    """Whose sender it is; a label."""
    account: L1Account
    """Signs and pays; nobody else uses it."""
    l1: SendingL1
    """L1's heads."""
    states: SendingStates
    """L1's states."""
    outcome: Callable[[Hash32], Outcome | None]
    """What L1's chain holds of a transaction."""
    pool: L1Pool
    """Where transactions go."""
    journal: Journal
    """What was signed."""
    worker: Worker
    """Where simulating, signing and saving run."""
    metrics: SendingMetrics
    """What is counted."""
    options: SendingOptions
    """What the operator decided."""


class Sender:
    """Sends for one role."""

    def __init__(self, parts: SenderParts) -> None:
        self._parts: Final = parts
        self._slots: dict[int, Slot] = {
            slot.nonce: slot for slot in parts.journal.load(parts.account.address)
        }
        self._wanted: tuple[L1Ref, tuple[Want, ...]] | None = None
        self._acted_on: L1Ref | None = None
        self._woken: Final = Latest(0)
        self._rests_until = float("-inf")
        self._failed: dict[str, L1Ref] = {}
        """Wants whose simulation failed, and on which head."""

    @property
    def account(self) -> L1Account:
        """Who pays."""
        return self._parts.account

    @property
    def slots(self) -> tuple[Slot, ...]:
        """What was signed and is not final, ascending by nonce."""
        return tuple(self._slots[nonce] for nonce in sorted(self._slots))

    @property
    def acted_on(self) -> L1Ref | None:
        """The block of the wants that were last acted on: what was wanted there was signed, or will be tried again."""
        return self._acted_on

    def want(self, at: L1Ref, wants: Sequence[Want]) -> None:
        """Say everything that is wanted as L1 stands after a block, in order of priority; replaces what was said before.

        What does not fit into WANTS_MAX and WANTED_BYTES_MAX is left out from the end.
        """
        fitting: list[Want] = []
        room = WANTED_BYTES_MAX
        for want in wants[:WANTS_MAX]:
            room -= len(want.call_data)
            if room < 0:
                break
            fitting.append(want)
        self._wanted = at, tuple(fitting)
        self._parts.metrics.wanted.labels(self._parts.role).set(len(wants))
        self._woken.set(0)

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Send, for ever. Raises Corruption."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen)
            task_status.started()
            version = -1
            while True:
                rest_s = self._rests_until - trio.current_time()
                with trio.move_on_after(rest_s if rest_s > 0 else float("inf")):
                    version = await self._woken.past(version)
                if trio.current_time() >= self._rests_until:
                    wanted = self._wanted
                    await self._turn()
                    self._acted_on = None if wanted is None else wanted[0]
        raise AssertionError("sending ends with its scope only")

    async def _listen(self) -> NoReturn:
        version = 0
        while True:
            version = await self._parts.l1.moved.past(version)
            self._woken.set(0)

    # -- one turn

    async def _turn(self) -> None:
        """Look at L1, compare, act; what L1 does meanwhile is seen in the next turn."""
        parts, wanted = self._parts, self._wanted
        if wanted is None or not parts.l1.is_canonical(wanted[0]):
            return  # The role has not looked at this L1 yet.
        wants = wanted[1]
        try:
            state = parts.states.upcoming()
            nonce = state.nonce(parts.account.address)
            final_nonce = parts.states.finalized().nonce(parts.account.address)
            parts.metrics.balance_wei.labels(parts.role).set(state.balance(parts.account.address))
        except MissingState:
            return  # Pruned while we looked: there is a newer head.
        await self._forget(final_nonce)
        outlook = look(
            self.slots,
            wants,
            nonce=nonce,
            head_number=state.ref.number,
            outcomes=self._outcomes(nonce),
        )
        if not await self._keep(outlook, wants, state):
            return
        placing = Placing(outlook, wants, in_flight_max=parts.options.in_flight_max)
        if await self._place(outlook, placing, state):
            await self._take_back(placing, state)
        live = sum(slot.nonce >= nonce and slot.key != EMPTY_KEY for slot in self.slots)
        parts.metrics.in_flight.labels(parts.role).set(live)

    async def _forget(self, final_nonce: int) -> None:
        old = [nonce for nonce in self._slots if nonce < final_nonce]
        if old:
            parts = self._parts
            await parts.worker.run(
                partial(parts.journal.forget, parts.account.address, final_nonce)
            )
            for nonce in old:
                del self._slots[nonce]

    def _outcomes(self, nonce: int) -> dict[Hash32, Outcome]:
        found: dict[Hash32, Outcome] = {}
        for slot in self.slots:
            if slot.nonce >= nonce:
                break
            for version in slot.versions:
                outcome = self._parts.outcome(version.hash)
                if outcome is not None:
                    found[version.hash] = outcome
        return found

    # -- what is on its way

    async def _keep(self, outlook: Outlook, wants: Sequence[Want], state: SendingState) -> bool:
        """Give away again what the pool has lost, and raise what waits too long; False after a refusal."""
        urgent = {want.key for want in wants if want.is_urgent}
        for slot in outlook.kept:
            overdue = state.ref.number - slot.sent_at >= self._parts.options.patience_blocks
            is_waiting = self._parts.pool.get(slot.hash) is not None
            if is_waiting and not overdue:
                continue
            again = replace(slot, sent_at=state.ref.number)
            offer = slot.offer()
            is_low = offer.fee.max_fee_wei < next_base_fee(state.header)
            if overdue and (is_waiting or is_low):
                fee = raised(
                    offer.fee, next_base_fee(state.header), self._limits(slot.key in urgent)
                )
                if fee is not None:
                    again = await self._signed(
                        replace(offer, fee=fee), slot.nonce, slot.key, state, slot
                    )
            if not await self._give(again, "again"):
                return False
        return True

    # -- what is new

    async def _place(self, outlook: Outlook, placing: Placing, state: SendingState) -> bool:
        """Sign and give away what is due, as far as there is room; False after a refusal."""
        for want in outlook.due:
            place = placing.find(want)
            if place is None:
                continue
            gas = want.gas_limit
            if place.is_simulated:
                simulated = await self._simulate(want, state)
                if simulated is None:
                    continue
                gas = want.gas_limit or simulated
            assert gas is not None, "what is not simulated says its gas"
            fee = self._fee(place, state.header, is_urgent=want.is_urgent)
            if fee is None:
                continue
            offer = Offer(
                to=want.to,
                call_data=want.call_data,
                value_wei=want.value_wei,
                gas_limit=gas,
                fee=fee,
            )
            slot = await self._signed(offer, place.nonce, want.key, state, place.before)
            placing.take(want, place)
            if not await self._give(slot, "first"):
                return False
        return True

    async def _simulate(self, want: Want, state: SendingState) -> int | None:
        """The gas that a want gets, or None if it would fail on this head."""
        parts = self._parts
        if self._failed.get(want.key) == state.ref:
            return None
        try:
            answer = await parts.worker.run(
                partial(
                    state.run,
                    want.to,
                    want.call_data,
                    sender=parts.account.address,
                    value_wei=want.value_wei,
                    gas=GAS_MAX,
                )
            )
        except InvalidCall as error:
            status, output = "refused", str(error).encode()
        except MissingState:
            return None
        else:
            if answer.status == "success":
                self._failed.pop(want.key, None)
                least = gas_limit(want.call_data, 0)
                used = max(answer.gas_used, least)
                return min(used + used // 4 + GAS_MARGIN, GAS_MAX)
            status, output = answer.status, answer.output
        self._failed[want.key] = state.ref
        while len(self._failed) > WANTS_MAX:
            self._failed.pop(next(iter(self._failed)))
        parts.metrics.refused.labels(parts.role, "simulation").inc()
        said = output.hex() if status == "revert" else output.decode(errors="replace")
        _log.warning("want_not_possible", role=parts.role, key=want.key, status=status, said=said)
        return None

    # -- what nobody wants any more

    async def _take_back(self, placing: Placing, state: SendingState) -> None:
        """Put empty transfers where a nonce is used by what nobody wants, or by nothing."""
        base_fee = next_base_fee(state.header)
        for slot in to_be_emptied(placing.vacant):
            fee = raised(slot.offer().fee, base_fee, self._limits(is_urgent=False))
            if fee is not None and not await self._empty(slot.nonce, fee, state, slot):
                return
        for nonce in placing.gaps:
            place = Place(nonce=nonce, before=None, is_simulated=False)
            fee = self._fee(place, state.header, is_urgent=False)
            if fee is not None and not await self._empty(nonce, fee, state, None):
                return
        for slot in placing.vacant:
            if slot.key == EMPTY_KEY and self._parts.pool.get(slot.hash) is None:
                await self._give(replace(slot, sent_at=state.ref.number), "again")

    async def _empty(self, nonce: int, fee: Fee, state: SendingState, before: Slot | None) -> bool:
        offer = Offer(
            to=self._parts.account.address,
            call_data=b"",
            value_wei=0,
            gas_limit=TRANSACTION_GAS,
            fee=fee,
        )
        return await self._give(await self._signed(offer, nonce, EMPTY_KEY, state, before), "empty")

    # -- fees, signing, giving away

    def _limits(self, is_urgent: bool) -> FeeLimits:
        limits = self._parts.options.fees
        return (
            replace(limits, tip_wei=limits.tip_wei * URGENT_TIP_MULTIPLE) if is_urgent else limits
        )

    def _fee(self, place: Place, head: Header, *, is_urgent: bool) -> Fee | None:
        """The first offer for a nonce: enough to replace what else of this account waits with it."""
        base_fee, limits = next_base_fee(head), self._limits(is_urgent)
        if place.before is not None:
            return raised(place.before.offer().fee, base_fee, limits)
        executable, queued = self._parts.pool.of_sender(self._parts.account.address)
        for rival in (*executable, *queued):
            if rival.nonce == place.nonce:
                old = Fee(max_fee_wei=rival.max_fee_per_gas, tip_wei=rival.max_priority_fee_per_gas)
                return raised(old, base_fee, limits)
        return suggested(base_fee, limits)

    async def _signed(
        self, offer: Offer, nonce: int, key: str, state: SendingState, before: Slot | None
    ) -> Slot:
        """Sign, and save before anybody can see it."""
        parts = self._parts

        def work() -> Slot:
            slot = signed(
                parts.account, offer, nonce=nonce, key=key, sent_at=state.ref.number, before=before
            )
            parts.journal.save(parts.account.address, (slot,))
            return slot

        slot = await parts.worker.run(work)
        self._slots[nonce] = slot
        return slot

    async def _give(self, slot: Slot, kind: str) -> bool:
        """Hand a slot's newest version to the pool; False if it was refused, and then nothing is sent for a while."""
        parts = self._parts
        self._slots[slot.nonce] = slot
        submitted = await parts.pool.submit(slot.raw)
        refusal = submitted.refusal
        if refusal is None or refusal == ALREADY_KNOWN:
            parts.metrics.sent.labels(parts.role, kind).inc()
            _log.info(
                "transaction_given", role=parts.role, key=slot.key, nonce=slot.nonce, offered=kind
            )
            return True
        parts.metrics.refused.labels(parts.role, "pool").inc()
        self._rests_until = trio.current_time() + RETRY_S
        _log.warning("transaction_refused", role=parts.role, key=slot.key, refusal=refusal)
        return False
