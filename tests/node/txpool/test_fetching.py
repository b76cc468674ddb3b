"""Announced transactions: what was announced together is asked for together, and again where an answer lacks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import trio
import trio.testing

from node.eth.hashing import keccak256
from node.eth.primitives import Hash32
from node.txpool.fetching import (
    FETCHES_PER_PEER_MAX,
    HOLDERS_MAX,
    TOGETHER_MAX,
    WANTED_PER_PEER_MAX,
    Fetcher,
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
    busy: int = 0

    def hold(self, count: int) -> list[Hash32]:
        raws = [b"transaction %d" % number for number in range(count)]
        self.held = {Hash32(keccak256(raw)): raw for raw in raws}
        return list(self.held)

    async def request(self, peer: str, body: bytes) -> bytes:
        wanted = decode_request(body)
        self.asked.append(len(wanted))
        self.whom.append(peer)
        if peer in self.silent:
            await trio.sleep(SILENCE_S)
            raise OSError
        await trio.sleep(0.01)
        if peer in self.liars:
            return encode_answer([b"something else"])
        return encode_answer(
            [self.held[one] for one in wanted if one in self.held][: self.told_max]
        )

    async def take(self, raws: Sequence[bytes]) -> set[Hash32] | None:
        if self.busy:
            self.busy -= 1
            return None
        hashes = [Hash32(keccak256(raw)) for raw in raws]
        self.taken += hashes
        return set(hashes)

    def fetcher(self) -> Fetcher:
        return Fetcher(
            request=self.request,
            failures=(OSError,),
            blame=lambda _, reason: self.blamed.append(reason),
            take=self.take,
            configured=frozenset({"honest"}),
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


async def test_one_peer_makes_us_ask_for_a_few_only(
    autojump_clock: trio.testing.MockClock,
) -> None:
    peer = Peer()
    fetcher = peer.fetcher()
    fetcher.want("peer", peer.hold(2 * WANTED_PER_PEER_MAX))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetcher.run)
        await trio.sleep(5)
        nursery.cancel_scope.cancel()
    assert sum(peer.asked) == WANTED_PER_PEER_MAX


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
        await trio.sleep(SILENCE_S + 1)
        assert set(hashes) <= set(peer.taken)
        assert peer.whom == ["squatter", "honest"]
        assert peer.blamed == ["transactions_not_asked_for"] * (how == "liars")
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
    peer = Peer(silent={"silent"})
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
