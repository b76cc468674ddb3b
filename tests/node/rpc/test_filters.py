"""Filters that are polled: who gives way where there is no room, and what is counted as held."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from node.rpc import filters
from node.rpc.filters import FilterKind, Filters
from node.rpc.jsonrpc import RpcError
from node.rpc.logs import Criteria
from tests.node.rpc.fakes import EMITTER, make_block


@pytest.fixture
def held() -> Filters:
    """Filters named 0, 1, 2, ..."""
    return Filters(now=lambda: 0.0, identify=map(str, _count()).__next__)


def _count() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def naming(items: int) -> Criteria:
    return Criteria(addresses=tuple(bytes([at] * 20) for at in range(items)))


def is_there(held: Filters, identity: str) -> bool:
    try:
        held.find(identity)
    except RpcError:
        return False
    return True


def test_one_who_names_too_much_drops_his_own_filters(
    held: Filters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given filters of others polled before, when one caller installs many large ones, then only large ones go."""
    monkeypatch.setattr(filters, "ITEMS_MAX", 20)
    others = [
        held.install(FilterKind.BLOCKS),
        held.install(FilterKind.TRANSACTIONS),
        held.install(FilterKind.LOGS),
        held.install(FilterKind.LOGS, criteria=naming(2)),
    ]
    greedy = [held.install(FilterKind.LOGS, criteria=naming(8)) for _ in range(10)]
    assert all(is_there(held, one) for one in others)
    assert [is_there(held, one) for one in greedy] == [False] * 8 + [True] * 2


def test_what_many_filters_share_is_counted_once(
    held: Filters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given many pollers of the same logs, when the bound has room for these once, then none of them is dropped."""
    criteria = Criteria(addresses=(EMITTER,))
    log = b'"%b"' % (b"l" * 98)
    monkeypatch.setattr(filters, "WAITING_BYTES_MAX", 10 * len(log))
    pollers = [held.install(FilterKind.LOGS, criteria=criteria) for _ in range(100)]
    for _ in range(2):
        held.logs_matched(criteria, [log] * 5)
    assert all(is_there(held, one) for one in pollers)

    # What some have taken waits for the others: there is no room for more until nobody holds it.
    for one in pollers[1:]:
        assert len(held.changes(one)) == 10
    held.logs_matched(criteria, [log])
    assert [is_there(held, one) for one in pollers[:2]] == [False, True]
    held.logs_matched(criteria, [log] * 9)
    assert all(len(held.changes(one)) == 10 for one in pollers[1:])


def test_what_nobody_holds_any_more_leaves_room(
    held: Filters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given shared changes, when those who hold them are gone or have polled, then others find all the room."""
    monkeypatch.setattr(filters, "WAITING_BYTES_MAX", 66)
    block = make_block(1, None)
    for _ in range(3):
        first, second = [held.install(FilterKind.BLOCKS) for _ in range(2)]
        held.blocks_added([block])
        assert held.changes(first) == ["0x" + block.hash.hex()]
        assert held.uninstall(second)
        hashes = held.install(FilterKind.TRANSACTIONS)
        held.transactions_arrived(["0x" + "01" * 32], [])
        assert len(held.changes(hashes)) == 1


def test_bodies_and_hashes_of_transactions_are_counted_apart(
    held: Filters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given filters of hashes and of bodies, when both are too much together, then who holds most goes."""
    monkeypatch.setattr(filters, "WAITING_BYTES_MAX", 100)
    hashes = [held.install(FilterKind.TRANSACTIONS) for _ in range(3)]
    bodies = [held.install(FilterKind.TRANSACTIONS, full=True) for _ in range(3)]
    held.transactions_arrived(["0x" + "01" * 32], [b"1" * 34])
    assert all(is_there(held, one) for one in (*hashes, *bodies))
    for one in hashes[:1] + bodies[:1]:
        held.changes(one)
    held.transactions_arrived([], [b"1"])
    assert [is_there(held, one) for one in hashes] == [True, False, False]
    assert all(is_there(held, one) for one in bodies)
