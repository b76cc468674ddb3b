"""A sender over a model L1: once each, whatever crashes and whatever L1 does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
import trio
from prometheus_client import CollectorRegistry
from trio.testing import wait_all_tasks_blocked

from bridge.sending.journal import Journal
from bridge.sending.metrics import SendingMetrics
from bridge.sending.options import SendingOptions
from bridge.sending.sender import WANTS_MAX, Sender, SenderParts
from bridge.sending.slots import Slot
from bridge.sending.wants import Want
from node.eth.primitives import Address, Hash32
from node.runtime.worker import InlineWorker
from sequencer.batching.fees import FeeLimits
from sequencer.batching.signing import L1Account
from tests.kit.ledger import CONTRACT, Ledger, thing
from tests.kit.model_pool import ModelPool, ModelSubmission

GENESIS = Hash32(b"\x01" * 32)
ACCOUNT = L1Account(b"\xac" * 32, 900)
GAS = 200_000


class Killed(Exception):
    """The process ends here."""


@dataclass(slots=True)
class Fuse:
    """Ends the process at one of its steps."""

    at: int | None = None
    steps: int = 0

    def step(self) -> None:
        self.steps += 1
        if self.at is not None and self.steps > self.at:
            raise Killed


class BrittleJournal(Journal):
    """A journal whose process may end right before and right after it writes."""

    fuse: Fuse

    def save(self, account: Address, slots: Sequence[Slot]) -> None:
        self.fuse.step()
        super().save(account, slots)
        self.fuse.step()


@dataclass(slots=True)
class BrittlePool(ModelPool):
    """A pool whose user may end right before and right after a transaction is taken."""

    fuse: Fuse = field(default_factory=Fuse)

    async def submit(self, raw: bytes) -> ModelSubmission:
        self.fuse.step()
        answer = await ModelPool.submit(self, raw)
        self.fuse.step()
        return answer


@dataclass(slots=True, kw_only=True)
class Net:
    """An L1 with its pool, and a role that wants things."""

    folder: Path
    ledger: Ledger = field(default_factory=Ledger)
    fuse: Fuse = field(default_factory=Fuse)
    names: list[str] = field(default_factory=list)
    after: dict[str, str] = field(default_factory=dict)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    pool: BrittlePool = field(init=False)
    sender: Sender | None = None

    def __post_init__(self) -> None:
        self.pool = BrittlePool(self.ledger, fuse=self.fuse)

    @asynccontextmanager
    async def running(self, **options: object) -> AsyncIterator[Sender]:
        """A process; whatever it is cut off at, the journal keeps."""
        self.registry = CollectorRegistry()
        journal = BrittleJournal(self.folder / "journal.sqlite", genesis_hash=GENESIS)
        journal.fuse = self.fuse
        sender = Sender(
            SenderParts(
                role="proposer",
                account=ACCOUNT,
                l1=self.ledger,
                states=self.ledger,
                outcome=self.ledger.outcome,
                pool=self.pool,
                journal=journal,
                worker=InlineWorker(),
                metrics=SendingMetrics(self.registry),
                options=SendingOptions(**options),  # type: ignore[arg-type]
            )
        )
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(sender.run)
                self.sender = sender
                yield sender
                nursery.cancel_scope.cancel()
        finally:
            self.sender = None
            journal.close()

    def wants(self) -> list[Want]:
        """What the role wants on the head: what is not done there."""
        done = self.ledger.tip_block.done
        return [self.want(name) for name in self.names if thing(name) not in done]

    def want(self, name: str) -> Want:
        first = self.after.get(name)
        return Want(
            key=name,
            to=CONTRACT,
            call_data=thing(name) if first is None else thing(name, first),
            follows=first,
            gas_limit=None if first is None else GAS,
        )

    async def look(self) -> None:
        """The role looks at the head and says what it wants; the sender acts."""
        assert self.sender is not None
        self.sender.want(self.ledger.head, self.wants())
        await wait_all_tasks_blocked()

    async def slot(self, *, takes: int = 24) -> None:
        """L1 takes what waits, then the role looks."""
        self.ledger.mine(self.pool.offered(takes))
        self.pool.update()
        await self.look()

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, {"role": "proposer"} | labels) or 0.0


async def test_what_is_wanted_is_done_once_and_then_nothing_is_sent(tmp_path: Path) -> None:
    net = Net(folder=tmp_path, names=["one", "two", "three"])
    async with net.running():
        for _ in range(6):
            await net.slot()
    assert net.wants() == []
    assert net.ledger.costs() == (3, 0)
    assert [call.nonce for call in net.pool.submitted] == [0, 1, 2]
    assert net.metric("faultline_bridge_transactions_total", kind="first") == 3


async def test_nothing_is_sent_before_the_role_has_looked_at_this_l1(tmp_path: Path) -> None:
    net = Net(folder=tmp_path, names=["one"])
    async with net.running() as sender:
        fork = net.ledger.on(net.ledger.tip_block)
        net.ledger.mine()
        await wait_all_tasks_blocked()
        assert not net.pool.submitted
        # Given wants that were decided on a block that L1 has left
        sender.want(fork.ref, net.wants())
        await wait_all_tasks_blocked()
        assert not net.pool.submitted
        # When they are decided on one that it holds
        await net.look()
        assert len(net.pool.submitted) == 1


async def test_what_would_fail_is_not_sent_until_it_would_not(tmp_path: Path) -> None:
    net = Net(folder=tmp_path, names=["one"])
    net.ledger.asleep = True
    async with net.running():
        for _ in range(3):
            await net.slot()
        assert not net.pool.submitted
        assert net.metric("faultline_bridge_transactions_refused_total", by="simulation") == 3
        # Looking again at the same block does not simulate again
        await net.look()
        assert net.metric("faultline_bridge_transactions_refused_total", by="simulation") == 3
        net.ledger.asleep = False
        await net.slot()
        await net.slot()
    assert net.ledger.costs() == (1, 0)


async def test_what_follows_goes_into_the_same_block(tmp_path: Path) -> None:
    net = Net(folder=tmp_path, names=["publish", "create"], after={"create": "publish"})
    async with net.running():
        await net.slot()
        assert [call.nonce for call in net.pool.submitted] == [0, 1]
        await net.slot()
    assert net.wants() == []
    assert net.ledger.costs() == (2, 0)


async def test_what_follows_something_that_cannot_be_sent_waits_too(tmp_path: Path) -> None:
    net = Net(folder=tmp_path, names=["publish", "create"], after={"create": "publish"})
    net.ledger.asleep = True
    async with net.running():
        await net.slot()
    assert not net.pool.submitted


async def test_what_waits_too_long_is_offered_for_more_up_to_the_limit(tmp_path: Path) -> None:
    net = Net(folder=tmp_path, names=["one"])
    fees = FeeLimits(max_fee_wei=2 * 10**9)
    async with net.running(fees=fees):
        for _ in range(20):
            await net.slot(takes=0)
        offered = [call.max_fee_per_gas for call in net.pool.submitted]
        assert offered == sorted(set(offered))
        assert 4 < len(offered) < 8
        assert offered[-1] <= fees.max_fee_wei
        assert {call.nonce for call in net.pool.submitted} == {0}
        await net.slot()
    assert net.ledger.costs() == (1, 0)


async def test_a_fee_spike_is_waited_for(tmp_path: Path) -> None:
    # Given a base fee far beyond what the operator pays
    net = Net(folder=tmp_path, names=["one"])
    net.ledger.base_fee_wei = 10**12
    async with net.running(fees=FeeLimits(max_fee_wei=10**10)):
        for _ in range(8):
            await net.slot()
        assert net.ledger.costs() == (0, 0)
        # When it is over
        net.ledger.base_fee_wei = 10**9
        for _ in range(3):
            await net.slot()
    # Then it is done, once
    assert net.ledger.costs() == (1, 0)


async def test_an_l1_that_stands_still_makes_nobody_send_more(tmp_path: Path) -> None:
    net = Net(folder=tmp_path, names=["one"])
    async with net.running():
        for _ in range(50):
            await net.look()
        assert len(net.pool.submitted) == 1


async def test_a_reorganisation_brings_the_same_transaction_back(tmp_path: Path) -> None:
    net = Net(folder=tmp_path, names=["one", "two"])
    async with net.running():
        await net.slot()
        held = net.ledger.mine(net.pool.offered())
        await net.look()
        # When L1 leaves that block, and the pool has forgotten what it held
        net.pool.lose()
        net.ledger.adopt(net.ledger.on(net.ledger.canonical[1]))
        await net.look()
        # Then the same bytes go out again
        again = [call.hash for call in net.pool.submitted[2:]]
        assert again == [call.hash for call in held.calls]
        await net.slot()
    assert net.ledger.costs() == (2, 0)


async def test_what_failed_on_l1_is_tried_ever_more_seldom(tmp_path: Path) -> None:
    net = Net(folder=tmp_path, names=["one"])
    net.ledger.reverting = True
    async with net.running():
        for _ in range(40):
            await net.slot()
        taken, reverted = net.ledger.costs()
        assert taken == reverted
        assert 4 <= reverted <= 6


async def test_a_nonce_that_nobody_wants_goes_to_what_is_wanted_next(tmp_path: Path) -> None:
    net = Net(folder=tmp_path, names=["one"])
    async with net.running():
        await net.slot(takes=0)
        net.names = ["two"]
        await net.slot(takes=0)
        await net.slot()
    assert [call.nonce for call in net.pool.submitted] == [0, 0]
    assert thing("one") not in net.ledger.tip_block.done
    assert thing("two") in net.ledger.tip_block.done
    assert net.ledger.costs() == (1, 0)


async def test_a_nonce_that_nothing_needs_is_taken_back_by_an_empty_transfer(
    tmp_path: Path,
) -> None:
    net = Net(folder=tmp_path, names=["one", "two"])
    async with net.running():
        await net.slot(takes=0)
        # When somebody else has done the first
        net.names = ["two"]
        await net.slot(takes=0)
        await net.slot()
    assert thing("one") not in net.ledger.tip_block.done
    assert thing("two") in net.ledger.tip_block.done
    assert net.ledger.costs() == (2, 0)
    assert net.metric("faultline_bridge_transactions_total", kind="empty") == 1


async def test_an_older_version_that_l1_takes_counts_for_what_it_was(tmp_path: Path) -> None:
    net = Net(folder=tmp_path, names=["one"])
    async with net.running():
        await net.slot(takes=0)
        old = net.pool.offered()
        net.names = ["two"]
        await net.look()
        # Given a proposer that has not heard of the replacement
        net.ledger.mine(old)
        net.names = ["one", "two"]
        await net.look()
        await net.slot()
        await net.slot()
    assert net.wants() == []
    assert net.ledger.costs() == (2, 0)


async def test_a_refusal_is_waited_out(tmp_path: Path, autojump_clock: object) -> None:
    net = Net(folder=tmp_path, names=["one", "two"])
    net.pool.refuses = "insufficient funds for gas * price + value"
    async with net.running():
        await net.slot()
        assert net.metric("faultline_bridge_transactions_refused_total", by="pool") == 1
        net.pool.refuses = None
        await trio.sleep(2)
        await net.slot()
        await net.slot()
    assert net.ledger.costs() == (2, 0)


async def test_only_so_many_are_on_their_way(tmp_path: Path) -> None:
    net = Net(folder=tmp_path, names=[f"thing {number}" for number in range(40)])
    async with net.running(in_flight_max=4) as sender:
        await net.slot(takes=0)
        assert len(net.pool.submitted) == 4
        for _ in range(12):
            await net.slot()
        assert net.wants() == []
        sender.want(net.ledger.head, [net.want(f"more {n}") for n in range(WANTS_MAX + 9)])
        await wait_all_tasks_blocked()
    assert net.ledger.costs() == (40, 0)


async def test_rows_go_once_l1_is_final(tmp_path: Path) -> None:
    net = Net(folder=tmp_path, names=["one", "two"])
    async with net.running() as sender:
        for _ in range(4):
            await net.slot()
        assert [slot.nonce for slot in sender.slots] == [0, 1]
        net.ledger.finalize(4)
        await net.look()
        assert not sender.slots
    journal = Journal(tmp_path / "journal.sqlite", genesis_hash=GENESIS)
    assert journal.load(ACCOUNT.address) == ()
    journal.close()


# -- crashes


async def _quiet(net: Net) -> None:
    """Nothing but slots."""
    for _ in range(6):
        await net.slot()


async def _forked(net: Net) -> None:
    """L1 leaves the block that held everything, twice, and its pool takes it back once."""
    await net.slot()
    await net.slot()
    for has_pool in (False, True):
        if net.ledger.head.number < 2:
            await net.slot()
        dropped = net.ledger.tip_block
        net.ledger.adopt(net.ledger.on(net.ledger.canonical[-2]))
        if has_pool:
            net.pool.take_back([dropped])
        else:
            net.pool.lose()
        await net.look()
    for _ in range(6):
        await net.slot()


async def _expensive(net: Net) -> None:
    """L1 takes nothing for a while, and then one each block."""
    for _ in range(5):
        await net.slot(takes=0)
    for _ in range(8):
        await net.slot(takes=1)


STORIES: dict[str, Callable[[Net], Awaitable[None]]] = {
    "quiet": _quiet,
    "forked": _forked,
    "expensive": _expensive,
}


@pytest.mark.parametrize("story", STORIES)
async def test_a_crash_after_any_step_costs_nothing(
    story: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    history = STORIES[story]
    for crash_at in count():
        net = Net(
            folder=tmp_path_factory.mktemp("bridge"),
            names=["one", "publish", "create", "two"],
            after={"create": "publish"},
        )
        net.fuse.at = crash_at
        was_killed = await _lived(net, history)
        # When the process comes back it has its journal, and looks at L1 as it is now
        net.fuse.at = None
        assert not await _lived(net, _quiet)
        assert not await _lived(net, _quiet)
        # Then everything is done, and each thing was paid for once
        assert net.wants() == []
        assert net.ledger.costs() == (4, 0), f"crash at step {crash_at}"
        if not was_killed:
            assert crash_at > 8
            return


async def _lived(net: Net, history: Callable[[Net], Awaitable[None]]) -> bool:
    """Run a process through a history; tells whether it was killed in it."""
    was_killed = False
    try:
        async with net.running():
            await history(net)
    except* Killed:
        was_killed = True
    return was_killed
