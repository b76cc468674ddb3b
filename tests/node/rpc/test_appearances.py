"""Searches by address: what is remembered, what a reorganisation changes, and how long one may take."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import TypeVar

import pytest
import trio
from trio.testing import MockClock

from node.eth.primitives import Address
from node.rpc import appearances
from node.rpc.appearances import Appearances, Place
from node.rpc.jsonrpc import RpcError
from tests.kit.execution_chain import SENDER, address_of, sign
from tests.node.rpc.fakes import InlineWorker
from tests.node.rpc.real import RealBackend

Answer = TypeVar("Answer")

ALL = 1 << 30
"""Above every block."""


class CountingWorker(InlineWorker):
    """Works in place, and counts how often; each time takes `seconds`."""

    def __init__(self, seconds: float = 0) -> None:
        self.runs = 0
        self.seconds = seconds

    async def run(self, work: Callable[[], Answer]) -> Answer:
        self.runs += 1
        await trio.sleep(self.seconds)
        return work()


def searching(backend: RealBackend, worker: CountingWorker) -> Appearances:
    return Appearances(backend.chain, backend.chain.execution.engine, worker)


async def found(search: Appearances, address: Address) -> list[Place]:
    return [place async for place in search.before(address, ALL)]


def grown(blocks: int) -> RealBackend:
    """A chain with a transfer in every block."""
    backend = RealBackend()
    for nonce in range(blocks):
        backend.chain.grow([sign(SENDER, nonce=nonce)])
    return backend


async def test_what_was_read_is_remembered_and_extended() -> None:
    """Given a search, when the chain grows and it is made again, then only the new blocks are read."""
    backend, worker = grown(3), CountingWorker()
    search = searching(backend, worker)
    assert len(await found(search, address_of(SENDER))) == 3
    assert worker.runs == 1
    assert await found(search, address_of(SENDER)) == [Place(3, 0), Place(2, 0), Place(1, 0)]
    assert worker.runs == 1
    backend.chain.grow([sign(SENDER, nonce=3)])
    assert (await found(search, address_of(SENDER)))[0] == Place(4, 0)
    assert worker.runs == 2


async def test_a_reorganisation_is_seen() -> None:
    """Given a search, when the head is replaced by an empty block, then its transaction is not found any more."""
    backend, worker = grown(2), CountingWorker()
    search = searching(backend, worker)
    assert len(await found(search, address_of(SENDER))) == 2
    backend.chain.blocks.pop()
    assert await found(search, address_of(SENDER)) == [Place(1, 0)]


async def test_a_chain_may_become_shorter_while_it_is_searched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Given portions of two blocks, when the head falls below the next one, then the search goes on with what is there."""
    monkeypatch.setattr(appearances, "PORTION_BLOCKS", 2)
    backend, worker = grown(5), CountingWorker()
    search = searching(backend, worker)
    found_so_far: list[int] = []
    async with aclosing(search.after(address_of(SENDER), 0)) as places:
        async for place in places:
            found_so_far.append(place.number)
            del backend.chain.blocks[2:]
    assert found_so_far == [1]


async def test_portions_are_let_go_when_they_take_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given room for one portion, when two are searched, then the answer is whole and one is kept."""
    monkeypatch.setattr(appearances, "PORTION_BLOCKS", 2)
    monkeypatch.setattr(appearances, "KEPT_BYTES_MAX", 1)
    backend, worker = grown(5), CountingWorker()
    search = searching(backend, worker)
    assert [place.number for place in await found(search, address_of(SENDER))] == [5, 4, 3, 2, 1]
    assert len(search._kept) == 1
    upwards = [place.number async for place in search.after(address_of(SENDER), 2)]
    assert upwards == [3, 4, 5]


async def test_a_search_that_takes_too_long_goes_on_where_it_was(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """Given slow blocks, when a search is over its time, then it says how far it came and the next one ends."""
    monkeypatch.setattr(appearances, "PORTION_BLOCKS", 1)
    backend, worker = grown(4), CountingWorker(appearances.SEARCH_S * 0.4)
    search = searching(backend, worker)
    with pytest.raises(RpcError, match=r"^search has come to block 1 within 30s") as told:
        await found(search, address_of(SENDER))
    assert told.value.code == -32005
    assert len(await found(search, address_of(SENDER))) == 4
    assert worker.runs == 4
