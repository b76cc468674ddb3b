"""What a process derived itself, as a proposer holds games against it."""

from __future__ import annotations

from collections import Counter

from bridge.config import OPEN_GAMES_MAX
from bridge.games.book import DECIDED_MAX
from bridge.games.reading import Game
from bridge.proposing.own import OwnClaims
from node.eth.blocks import Block
from node.eth.primitives import Address, BlockNumber, Hash32
from node.rollup.claims import Claim
from node.rollup.records import InboxTip
from node.runtime.worker import ThreadWorker
from sequencer.deriving.book import Placed
from sequencer.l1.places import L1Ref
from tests.kit.rollup import l2_header

OWN, OTHER = Hash32(b"\x01" * 32), Hash32(b"\x02" * 32)
"""Accumulators."""


class Chain:
    """Twenty safe blocks in one record."""

    def __init__(self) -> None:
        header = l2_header(20, 1_020)
        self.safe = Block(hash=header.hash(), header=header, rlp=b"", receipts=b"")

    def block_by_number(self, number: int) -> Block | None:
        header = l2_header(number, 1_000 + number)
        return Block(hash=header.hash(), header=header, rlp=b"", receipts=b"")

    def canonical_hash(self, number: int) -> Hash32 | None:
        return Hash32(number.to_bytes(32))

    def batch_of(self, number: int) -> int | None:
        return 0 if number else None


class Book:
    """Its record; how often it was asked for."""

    def __init__(self) -> None:
        self.asked: Counter[int] = Counter()
        self.count = 1

    def placed(self, index: int) -> Placed:
        self.asked[index] += 1
        tip = InboxTip(
            record_count=1,
            next_block=BlockNumber(21),
            last_origin=BlockNumber(1),
            accumulator=OWN,
        )
        return Placed(
            index=index,
            block=L1Ref(number=1, hash=OWN),
            log_index=0,
            first_block=1,
            last_hash=OWN,
            tip=tip,
        )


def game(number: int) -> Game:
    claim = Claim(l2_block=BlockNumber(20), parent=None, roots_id=OTHER, accumulator=OTHER)
    return Game(
        index=number,
        address=Address(number.to_bytes(20)),
        creator=Address(bytes(20)),
        root_claim=OTHER,
        claim=claim,
        start_block=0,
        start_root=OTHER,
        created_at=0,
        created_block=1,
        was_respected=True,
    )


async def test_each_of_all_games_that_memory_holds_is_judged_once() -> None:
    records = Book()
    own = OwnClaims(Chain(), records, ThreadWorker(threads_max=1))
    games = [game(number) for number in range(DECIDED_MAX + OPEN_GAMES_MAX)]
    for _ in range(2):
        assert not any([await own.is_true(one) for one in games])
    assert records.asked.total() == len(games)
