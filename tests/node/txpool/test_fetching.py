"""Announced transactions: what was announced together is asked for together, and again where an answer lacks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import trio
import trio.testing

from node.eth.blobs import BLOB_BYTES
from node.eth.hashing import keccak256
from node.eth.primitives import Hash32
from node.txpool.blob_budget import BURST_S, CONFIGURED_PER_S, STRANGERS_PER_S
from node.txpool.fetching import (
    EARLY_HEADS_MAX,
    FETCHES_OF_STRANGERS_MAX,
    FETCHES_PER_PEER_MAX,
    HOLDERS_MAX,
    LAPSES_MAX,
    STRANGER_ANSWER_MIN_S,
    STRANGER_ANSWER_S,
    TOGETHER_MAX,
    WANTED_MAX,
    WANTED_PER_PEER_MAX,
    WANTED_PER_STRANGER_MAX,
    Fetcher,
    Taken,
)
from node.txpool.wire import decode_request, encode_answer

SILENCE_S = 10.0
"""As long as the network waits for an answer."""


@dataclass(slots=True)
class Peer:
    """Holds transactions, which are any bytes here, and tells at most so many at once."""

    held: dict[Hash32, bytes] = field(default_factory=dict)
    told_max: int = 16
    asked: list[int] = field(default_factory=list)
    blamed: list[str] = field(default_factory=list)
    taken: list[Hash32] = field(default_factory=list)
    silent: set[str] = field(default_factory=set)
    liars: set[str] = field(default_factory=set)
    whom: list[str] = field(default_factory=list)
    given_up: list[tuple[str, float]] = field(default_factory=list)
    """Whom nobody waited for any longer, and how long somebody had."""
    configured: frozenset[str] = frozenset({"honest"})
    busy: int = 0
    early: set[Hash32] = field(default_factory=set)
    """What no head admits yet."""

    def hold(self, count: int) -> list[Hash32]:
        raws = [b"transaction %d" % number for number in range(count)]
        self.held = {Hash32(keccak256(raw)): raw for raw in raws}
        return list(self.held)

    async def request(self, peer: str, body: bytes) -> bytes:
        wanted = decode_request(body)
        self.asked.append(len(wanted))
        self.whom.append(peer)
        if peer in self.silent:
            began_s = trio.current_time()
            try:
                await trio.sleep(SILENCE_S)
            finally:
                self.given_up.append((peer, trio.current_time() - began_s))
            raise OSError
        await trio.sleep(0.01)
        if peer in self.liars:
            return encode_answer([b"something else"])
        return encode_answer(
            [self.held[one] for one in wanted if one in self.held][: self.told_max]
        )

    async def take(self, raws: Sequence[bytes]) -> Taken | None:
        if self.busy:
            self.busy -= 1
            return None
        hashes = [Hash32(keccak256(raw)) for raw in raws]
        self.taken += hashes
        return Taken(arrived=set(hashes), early=self.early & set(hashes))

    def fetcher(self) -> Fetcher:
        return Fetcher(
            request=self.request,
            failures=(OSError,),
            blame=lambda _, reason: self.blamed.append(reason),
            take=self.take,
            configured=self.configured,
        )


async def fetched(peer: Peer, hashes: Sequence[Hash32]) -> None:
    """Announce everything twice, and let the fetcher do what it does."""
    fetcher = peer.fetcher()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetcher.run)
        fetcher.want("peer", hashes)
        fetcher.want("peer", hashes)
        await trio.sleep(5)
        nursery.cancel_scope.cancel()


async def test_what_was_announced_together_is_asked_for_together(
    autojump_clock: trio.testing.MockClock,
) -> None:
    peer = Peer()
    hashes = peer.hold(TOGETHER_MAX + 3)
    await fetched(peer, hashes)
    assert sorted(peer.asked) == [3, TOGETHER_MAX]
    assert sorted(peer.taken) == sorted(hashes)
    assert not peer.blamed


async def test_what_an_answer_lacks_is_asked_for_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    peer = Peer(told_max=3)
    hashes = peer.hold(5)
    await fetched(peer, hashes)
    assert peer.asked == [5, 2]
    assert sorted(peer.taken) == sorted(hashes)


async def test_what_nobody_has_is_asked_for_a_few_times(
    autojump_clock: trio.testing.MockClock,
) -> None:
    peer = Peer()
    hashes = peer.hold(2)
    await fetched(peer, [*hashes, Hash32(bytes(32))])
    assert peer.asked == [3, 1, 1]
    assert sorted(peer.taken) == sorted(hashes)


@pytest.mark.parametrize(
    ("name", "most"), [("honest", WANTED_PER_PEER_MAX), ("stranger", WANTED_PER_STRANGER_MAX)]
)
async def test_one_peer_makes_us_ask_for_a_few_only(
    autojump_clock: trio.testing.MockClock, name: str, most: int
) -> None:
    peer = Peer()
    fetcher = peer.fetcher()
    fetcher.want(name, peer.hold(2 * WANTED_PER_PEER_MAX))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetcher.run)
        await trio.sleep(5)
        nursery.cancel_scope.cancel()
    assert sum(peer.asked) == most


async def test_a_transaction_beside_the_ones_asked_for_is_blamed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    peer = Peer()
    [first, second] = peer.hold(2)
    peer.held[first] = peer.held[second]
    await fetched(peer, [first])
    assert peer.blamed == ["transactions_not_asked_for"]


@pytest.mark.parametrize("how", ["silent", "liars"])
async def test_who_announces_and_does_not_send_keeps_nobody_from_being_asked(
    autojump_clock: trio.testing.MockClock, how: str
) -> None:
    """Given a peer that is the first to announce a transaction and never sends it, then the next who has it is asked."""
    peer = Peer()
    getattr(peer, how).add("squatter")
    hashes = peer.hold(2)
    fetcher = peer.fetcher()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetcher.run)
        for name in ("squatter", "squatter", "honest", "late"):
            fetcher.want(name, hashes)
            await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(SILENCE_S + 1)
        assert set(hashes) <= set(peer.taken)
        assert peer.whom == ["squatter", "honest"]
        assert peer.blamed == [
            "no_answer" if how == "silent" else "transactions_not_asked_for",
        ]
        nursery.cancel_scope.cancel()


async def test_who_answers_nothing_holds_up_no_other(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Given peers that announce a lot and never answer, then what an honest one announces comes at once."""
    peer = Peer(silent={"a", "b", "c"})
    [wanted] = peer.hold(1)
    fetcher = peer.fetcher()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetcher.run)
        for number, name in enumerate(("a", "b", "c")):
            fetcher.want(
                name,
                [Hash32(bytes([number + 1, place]) * 16) for place in range(WANTED_PER_PEER_MAX)],
            )
        await trio.sleep(0.1)
        fetcher.want("honest", [wanted])
        await trio.sleep(0.1)
        assert peer.taken == [wanted]
        nursery.cancel_scope.cancel()


async def test_fetches_wake_up_from_idleness_one_by_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Given a fetcher that had nothing to do, then a peer that answers nothing takes two of its fetches, not all of them."""
    peer = Peer(silent={"silent"}, configured=frozenset({"silent", "honest"}))
    [wanted] = peer.hold(1)
    fetcher = peer.fetcher()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetcher.run)
        await trio.testing.wait_all_tasks_blocked()
        fetcher.want(
            "silent", [Hash32(bytes([place + 1]) * 32) for place in range(WANTED_PER_PEER_MAX)]
        )
        await trio.testing.wait_all_tasks_blocked()
        assert peer.whom == ["silent"] * FETCHES_PER_PEER_MAX
        fetcher.want("honest", [wanted])
        await trio.sleep(SILENCE_S / 10)
        assert peer.taken == [wanted]
        nursery.cancel_scope.cancel()


async def test_many_who_announce_first_do_not_hide_a_configured_peer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Given more strangers than are remembered, all of them earlier and silent, then the configured peer is asked second."""
    strangers = [f"stranger {number}" for number in range(HOLDERS_MAX + 1)]
    peer = Peer(silent=set(strangers))
    [wanted] = peer.hold(1)
    fetcher = peer.fetcher()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetcher.run)
        for name in (*strangers, "honest", "late"):
            fetcher.want(name, [wanted])
            await trio.testing.wait_all_tasks_blocked()
        assert len(fetcher._wanted[wanted]) == HOLDERS_MAX
        await trio.sleep(SILENCE_S + 1)
        assert peer.whom == [strangers[0], "honest"]
        assert peer.taken == [wanted]
        nursery.cancel_scope.cancel()


async def test_a_node_without_time_asks_again_and_blames_nobody(
    autojump_clock: trio.testing.MockClock,
) -> None:
    peer = Peer(busy=1)
    hashes = peer.hold(2)
    await fetched(peer, hashes)
    assert sorted(peer.taken) == sorted(hashes)
    assert not peer.blamed


def some(owner: int, count: int = WANTED_PER_STRANGER_MAX) -> list[Hash32]:
    """Hashes that one peer announces and nobody else has."""
    return [Hash32(bytes([owner + 1, place]) * 16) for place in range(count)]


async def test_strangers_leave_configured_peers_their_share(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Given as many silent strangers as may connect, each with all it may announce, then a configured peer is asked at once."""
    strangers = [f"stranger {number}" for number in range(16)]
    peer = Peer(silent=set(strangers))
    wanted = peer.hold(WANTED_PER_PEER_MAX)
    fetcher = peer.fetcher()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetcher.run)
        for number, name in enumerate(strangers):
            fetcher.want(name, some(number))
        await trio.testing.wait_all_tasks_blocked()
        assert peer.whom == strangers[:FETCHES_OF_STRANGERS_MAX]
        fetcher.want("honest", wanted)
        assert len(fetcher._wanted) <= WANTED_MAX
        await trio.sleep(STRANGER_ANSWER_MIN_S / 2)
        assert sorted(peer.taken) == sorted(wanted)
        nursery.cancel_scope.cancel()


async def test_what_waits_at_a_stranger_goes_over_to_a_configured_peer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Given a silent stranger that was first with more than one request asks for, then none of it waits for the stranger."""
    peer = Peer(silent={"squatter"})
    hashes = peer.hold(WANTED_PER_STRANGER_MAX)
    fetcher = peer.fetcher()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetcher.run)
        fetcher.want("squatter", hashes)
        await trio.testing.wait_all_tasks_blocked()
        fetcher.want("honest", hashes)
        await trio.sleep(STRANGER_ANSWER_MIN_S / 2)
        assert sorted(peer.taken) == sorted(hashes[TOGETHER_MAX:])
        await trio.sleep(STRANGER_ANSWER_S)
        assert sorted(peer.taken) == sorted(hashes)
        assert peer.whom.count("squatter") == 1
        nursery.cancel_scope.cancel()
    assert not fetcher._wanted
    assert not fetcher._waiting
    assert not +fetcher._of_peer


async def test_a_silent_stranger_has_less_time_with_each_fetch_and_is_blamed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    peer = Peer(silent={"silent"})
    fetcher = peer.fetcher()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetcher.run)
        fetcher.want("silent", some(1))
        await trio.testing.wait_all_tasks_blocked()
        assert peer.whom == ["silent"]
        await trio.sleep(STRANGER_ANSWER_S + 0.5)
        fetcher.want("silent", some(2))
        await trio.sleep(STRANGER_ANSWER_S)
        fetcher.want("silent", some(4, 1))
        await trio.sleep(STRANGER_ANSWER_S)
        assert [round(seconds, 3) for _, seconds in peer.given_up] == [4.0, 2.0, 1.0, 1.0]
        assert peer.blamed == ["no_answer"] * 4
        # When it answers again, then it is waited for as at first
        peer.silent.clear()
        wanted = peer.hold(1)
        fetcher.want("silent", wanted)
        await trio.sleep(1)
        assert peer.taken == wanted
        peer.silent.add("silent")
        fetcher.want("silent", some(3, 1))
        await trio.sleep(STRANGER_ANSWER_S + 1)
        assert round(peer.given_up[-1][1], 3) == STRANGER_ANSWER_S
        nursery.cancel_scope.cancel()


async def test_a_configured_peer_that_is_slow_is_waited_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A process of our own may be late because the machine is: nobody is blamed for that."""
    peer = Peer(silent={"honest"})
    fetcher = peer.fetcher()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetcher.run)
        fetcher.want("honest", some(1, 1))
        await trio.sleep(SILENCE_S - 1)
        assert not peer.given_up
        await trio.sleep(5 * SILENCE_S)
        assert not peer.blamed
        nursery.cancel_scope.cancel()


async def test_few_who_sent_nothing_are_remembered(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Given identities without end that announce what they do not have, then what is kept of them is bounded."""
    peer = Peer()
    fetcher = peer.fetcher()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetcher.run)
        for number in range(2 * LAPSES_MAX):
            fetcher.want(f"stranger {number}", some(number, 1))
            await trio.sleep(1)
        assert len(fetcher._lapses) == LAPSES_MAX
        nursery.cancel_scope.cancel()
    assert not +fetcher._of_peer


BLOBS_EACH = 6
"""Of the largest blob transactions."""


def blob_transactions(peer: Peer, count: int, *, mark: int) -> list[Hash32]:
    """Valid blob transactions as peers send them: what is in them is not looked at here."""
    raws = [
        b"\x03" + bytes([mark, number]) + bytes(BLOBS_EACH * BLOB_BYTES) for number in range(count)
    ]
    hashes = [Hash32(keccak256(raw)) for raw in raws]
    peer.held |= dict(zip(hashes, raws, strict=True))
    return hashes


async def test_valid_blobs_of_strangers_come_as_fast_as_their_budget_allows(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Given strangers that send valid blobs as fast as they are asked, then they are asked later, not blamed, and hold up nobody."""
    peer = Peer(told_max=1)
    fetcher = peer.fetcher()
    seconds = 20.0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetcher.run)
        for number in range(3):
            hashes = blob_transactions(peer, 15, mark=number)
            fetcher.want(f"stranger {number}", hashes)
        await trio.sleep(seconds)
        from_strangers = BLOBS_EACH * len(peer.taken)
        under_way = BLOBS_EACH * FETCHES_OF_STRANGERS_MAX
        assert STRANGERS_PER_S * seconds <= from_strangers
        assert from_strangers <= STRANGERS_PER_S * (seconds + BURST_S) + under_way
        # Then a configured peer's come at once
        wanted = blob_transactions(peer, 4, mark=99)
        fetcher.want("honest", wanted)
        await trio.sleep(0.1)
        assert set(wanted) <= set(peer.taken)
        await trio.sleep(60)
        assert len(peer.taken) == 49
        assert not peer.blamed
        nursery.cancel_scope.cancel()


async def test_valid_blobs_of_a_configured_peer_have_a_budget_too(
    autojump_clock: trio.testing.MockClock,
) -> None:
    peer = Peer(told_max=1, configured=frozenset({"greedy", "honest"}))
    fetcher = peer.fetcher()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetcher.run)
        fetcher.want("greedy", blob_transactions(peer, WANTED_PER_PEER_MAX, mark=1))
        await trio.sleep(1)
        under_way = BLOBS_EACH * FETCHES_PER_PEER_MAX
        assert BLOBS_EACH * len(peer.taken) <= CONFIGURED_PER_S * (1 + BURST_S) + under_way
        assert len(peer.taken) < WANTED_PER_PEER_MAX
        wanted = blob_transactions(peer, 2, mark=2)
        fetcher.want("honest", wanted)
        await trio.sleep(0.1)
        assert set(wanted) <= set(peer.taken)
        await trio.sleep(30)
        assert len(peer.taken) == WANTED_PER_PEER_MAX + 2
        nursery.cancel_scope.cancel()


async def test_what_came_before_its_block_is_asked_for_again_after_the_next_head(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Given a transaction that only the next head admits, then it is fetched once more, when there is one; what stays early is given up."""
    peer = Peer()
    admitted, late = peer.hold(2)
    peer.early = {admitted, late}
    fetcher = peer.fetcher()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetcher.run)
        fetcher.want("honest", [admitted, late])
        await trio.sleep(60)
        assert sorted(peer.taken) == sorted((admitted, late))
        peer.early = {late}
        for _ in range(EARLY_HEADS_MAX + 2):
            fetcher.head_moved()
            await trio.sleep(5)
        assert peer.taken.count(admitted) == 2
        assert peer.taken.count(late) == 1 + EARLY_HEADS_MAX
        assert not peer.blamed
        nursery.cancel_scope.cancel()


async def test_what_waits_for_a_head_counts_among_what_a_stranger_may_have_announced(
    autojump_clock: trio.testing.MockClock,
) -> None:
    peer = Peer()
    hashes = peer.hold(WANTED_PER_STRANGER_MAX + 1)
    peer.early = set(hashes)
    fetcher = peer.fetcher()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetcher.run)
        fetcher.want("stranger", hashes[:-1])
        await trio.sleep(60)
        fetcher.want("stranger", hashes[-1:])
        await trio.sleep(5)
        assert hashes[-1] not in peer.taken
        for _ in range(EARLY_HEADS_MAX + 1):
            fetcher.head_moved()
            await trio.sleep(5)
        fetcher.want("stranger", hashes[-1:])
        await trio.sleep(5)
        assert hashes[-1] in peer.taken
        nursery.cancel_scope.cancel()
