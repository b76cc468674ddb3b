"""Who gives way to whom, and for how long."""

from __future__ import annotations

from hypothesis import given, strategies as st

from bridge.disputes.rivals import REMEMBERED_MAX, RIVAL_BLOCKS, Attempt, Rivals, grace_of
from node.eth.primitives import Address

addresses = st.binary(min_size=20, max_size=20).map(Address)


@given(addresses, addresses, addresses)
def test_of_two_exactly_one_gives_way(first: Address, second: Address, game: Address) -> None:
    attempts = [Attempt(first, game), Attempt(second, game)]
    given_way = [bool(Rivals(own).leads(attempts, 10)) for own in (first, second)]
    assert sum(given_way) == (0 if first == second else 1)


def leader_of(own: Address, game: Address) -> Address:
    """An address that goes before another one."""
    candidates = (Address(bytes([number]) * 20) for number in range(256))
    return next(one for one in candidates if Rivals(own).leads([Attempt(one, game)], 0))


def test_nobody_is_waited_for_longer_than_allowed_nor_twice() -> None:
    own, game = Address(b"\x77" * 20), Address(b"\x99" * 20)
    rivals, attempt = Rivals(own), Attempt(leader_of(own, game), game)
    waits = [bool(rivals.leads([attempt], number)) for number in range(10, 20)]
    assert waits == [True] * RIVAL_BLOCKS + [False] * (10 - RIVAL_BLOCKS)
    assert rivals.leads([], 20) == frozenset()
    assert rivals.leads([attempt], 21) == frozenset()


def test_what_is_remembered_is_bounded() -> None:
    own = Address(b"\xff" * 20)
    rivals = Rivals(own)
    for number in range(2 * REMEMBERED_MAX):
        game = Address(number.to_bytes(20))
        rivals.leads([Attempt(Address(bytes(20)), game), Attempt(Address(b"\x01" * 20), game)], 1)
    assert len(rivals._since) <= REMEMBERED_MAX


@given(addresses, addresses, st.integers(1, 5))
def test_grace_stays_below_its_spread(own: Address, game: Address, spread: int) -> None:
    assert 0 <= grace_of(own, game, spread) < spread
