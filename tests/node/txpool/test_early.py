"""Transactions that came before the block they follow: kept for the next heads, in bounds."""

from __future__ import annotations

from dataclasses import replace

from node.eth.transactions import Transaction
from node.txpool.early import EARLY_MAX, HEADS_MAX, Early
from tests.node.txpool.fakes import FakeTransaction

ONE = FakeTransaction()


def test_what_a_head_admits_or_refuses_for_good_is_forgotten() -> None:
    early = Early()
    early.note(ONE)
    asked: list[bytes] = []

    def is_early(one: Transaction) -> bool:
        asked.append(one.hash)
        return False

    early.retry(is_early)
    assert asked == [ONE.hash]
    assert len(early) == 0


def test_what_is_early_again_waits_for_one_head_more_though_it_is_noted_again() -> None:
    early = Early()
    early.note(ONE)
    for heads in range(1, HEADS_MAX + 1):
        early.note(ONE)
        early.retry(lambda _: True)
        assert len(early) == (1 if heads < HEADS_MAX else 0)


def test_there_is_room_for_so_many() -> None:
    early = Early()
    for nonce in range(EARLY_MAX + 10):
        early.note(replace(ONE, nonce=nonce))
    assert len(early) == EARLY_MAX
