"""What a process derived itself, as claims are held against it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from bridge.disputes.judging import ClaimedRoots, OwnChain
from bridge.disputes.own import STEP_BLOCKS, OwnRoots
from node.eth.blocks import Block
from node.eth.primitives import BlockNumber, Hash32
from node.rollup.claims import MAX_CLAIM_BLOCKS
from node.rollup.outputs import output_of
from node.rollup.records import InboxTip
from sequencer.deriving.book import Placed
from sequencer.l1.places import L1Ref
from tests.kit.rollup import l2_header

RECORD_BLOCKS = 10
"""L2 blocks of every record."""


class FakeChain:
    """A chain of numbered headers, as long as it is told."""

    def __init__(self, length: int, safe: int) -> None:
        self.blocks = [self.make(number, 0) for number in range(length)]
        self.safe_number = safe
        self.loads = 0
        self.count = length
        """Records in the book."""
        self.on_load: Callable[[int], None] = lambda _: None
        self._callbacks: list[Callable[[Sequence[Block]], None]] = []

    @staticmethod
    def make(number: int, salt: int) -> Block:
        header = replace(l2_header(number, 1_000 + number), gas_used=salt)
        return Block(hash=header.hash(), header=header, rlp=b"", receipts=b"")

    @property
    def safe(self) -> Block:
        return self.blocks[self.safe_number]

    def block_by_number(self, number: int) -> Block | None:
        self.loads += 1
        self.on_load(number)
        return self.blocks[number]

    def batch_of(self, number: int) -> int | None:
        return (number - 1) // RECORD_BLOCKS if 0 < number <= self.safe_number else None

    def on_reset(self, callback: Callable[[Sequence[Block]], None]) -> None:
        self._callbacks.append(callback)

    def replace_from(self, number: int, salt: int) -> None:
        """Drop blocks, and derive others."""
        dropped = self.blocks[number:][::-1]
        for callback in self._callbacks:
            callback(dropped)
        self.blocks[number:] = [self.make(one.header.number, salt) for one in reversed(dropped)]

    def placed(self, index: int) -> Placed:
        tip = InboxTip(
            record_count=index + 1,
            next_block=BlockNumber(RECORD_BLOCKS * (index + 1) + 1),
            last_origin=BlockNumber(0),
            accumulator=Hash32(index.to_bytes(32)),
        )
        return Placed(
            index=index,
            block=L1Ref(number=index, hash=Hash32(bytes(32))),
            log_index=0,
            first_block=RECORD_BLOCKS * index + 1,
            last_hash=Hash32(bytes(32)),
            tip=tip,
        )

    def roots(self, first: int, last: int) -> list[Hash32]:
        return [output_of(self.blocks[one].header).root() for one in range(first, last + 1)]


def claim(first: int, last: int) -> ClaimedRoots:
    zero = Hash32(bytes(32))
    return ClaimedRoots(
        start_block=first,
        start_root=zero,
        l2_block=last,
        root_claim=zero,
        accumulator=zero,
        roots=(),
    )


async def test_roots_come_from_safe_headers_and_the_accumulator_from_the_record() -> None:
    chain = FakeChain(200, safe=150)
    own = OwnRoots(chain, chain)
    assert await own.upto(claim(20, 130)) == OwnChain(
        safe_block=150, accumulator=Hash32((12).to_bytes(32)), roots=chain.roots(20, 130)
    )


async def test_a_record_that_the_book_has_lost_already_gives_no_accumulator() -> None:
    """Given an L1 that has just dropped records, when the chain still speaks of them, then nothing is known of them."""
    chain = FakeChain(200, safe=150)
    chain.count = 12
    assert (await OwnRoots(chain, chain).upto(claim(20, 130))).accumulator is None


@pytest.mark.parametrize(("first", "last"), [(20, 151), (5, 5), (9, 3), (-1, 3)])
async def test_there_are_no_roots_of_what_is_not_safe_or_no_span(first: int, last: int) -> None:
    chain = FakeChain(200, safe=150)
    assert (await OwnRoots(chain, chain).upto(claim(first, last))).roots == []


async def test_a_claim_wider_than_any_registry_takes_is_not_read() -> None:
    chain = FakeChain(10, safe=9)
    chain.safe_number = 9
    wide = claim(0, MAX_CLAIM_BLOCKS + 1)
    assert (await OwnRoots(chain, chain).upto(wide)).roots == []
    assert chain.loads == 0


async def test_many_claims_read_each_block_once() -> None:
    chain = FakeChain(200, safe=150)
    own = OwnRoots(chain, chain)
    for last in range(100, 150):
        await own.upto(claim(20, last))
    assert chain.loads == 130


async def test_what_the_chain_drops_is_read_anew() -> None:
    chain = FakeChain(200, safe=150)
    own = OwnRoots(chain, chain)
    await own.upto(claim(20, 130))
    resets = own.resets
    chain.replace_from(100, salt=1)
    assert own.resets > resets
    assert (await own.upto(claim(20, 130))).roots == chain.roots(20, 130)


async def test_a_chain_that_drops_blocks_meanwhile_gives_none() -> None:
    chain = FakeChain(1_000, safe=900)
    own = OwnRoots(chain, chain)

    def drop(number: int) -> None:
        if number == STEP_BLOCKS:
            chain.on_load = lambda _: None
            chain.replace_from(100, salt=1)

    chain.on_load = drop
    assert (await own.upto(claim(0, 500))).roots == []
    assert (await own.upto(claim(0, 500))).roots == chain.roots(0, 500)
