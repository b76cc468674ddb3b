"""The factory's list: pages as the OP Stack packs them, and nothing that is none."""

from __future__ import annotations

import pytest

from node.contracts.abi import encode
from node.contracts.listed_games import (
    PAGE_GAMES,
    ListedGame,
    find_latest_games,
    read_listed_games,
)
from node.errors import Rejected
from node.eth.primitives import Address, Hash32

KIND = "(uint256,bytes32,uint64,bytes32,bytes)[]"


def row(index: int) -> tuple[int, bytes, int, bytes, bytes]:
    """A game as the factory answers it."""
    game = bytes([index]) * 20
    metadata = (900).to_bytes(4) + (1_200 + index).to_bytes(8) + game
    return (
        index,
        metadata,
        1_200 + index,
        bytes([0xC0 + index]) * 32,
        index.to_bytes(32) + bytes(84),
    )


def test_a_page_is_read_in_its_order() -> None:
    page = encode((KIND,), ([row(3), row(2)],))
    assert read_listed_games(page) == tuple(
        ListedGame(
            index=index,
            address=Address(bytes([index]) * 20),
            created_at=1_200 + index,
            root_claim=Hash32(bytes([0xC0 + index]) * 32),
            l2_block=index,
        )
        for index in (3, 2)
    )
    assert read_listed_games(encode((KIND,), ([],))) == ()


def test_what_is_no_page_is_rejected() -> None:
    page = encode((KIND,), ([row(3)],))
    for broken in (b"", page[:-32], page + bytes(32)):
        with pytest.raises(Rejected):
            read_listed_games(broken)


def test_no_more_are_asked_for_than_the_factory_lists() -> None:
    assert find_latest_games(7, 10_000) == find_latest_games(7, PAGE_GAMES)
    call = find_latest_games(7, 5)
    assert [int.from_bytes(call[at : at + 32]) for at in (4, 36, 68)] == [900, 7, 5]
