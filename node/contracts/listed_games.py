"""The factory's list of games, as wallets read it: pages from the newest down.

    find_latest_games(newest, count) -> DisputeGameFactory -> read_listed_games -> [ListedGame, ...]

Deliberately absent: what became of a game (node.contracts.disputes), and what its claim says beyond the L2 block (node.rollup.claims).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

from node.contracts.abi import decode, encode_call
from node.contracts.disputes import GAME_TYPE
from node.eth.primitives import Address, Hash32

PAGE_GAMES: Final = 128
"""Games that the factory lists at once."""

_KIND: Final = "(uint256,bytes32,uint64,bytes32,bytes)[]"
_ADDRESS_BYTES: Final = 20
_WORD: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedGame:
    """A game as the factory lists it."""

    index: int
    """Its place."""
    address: Address
    """Its contract; 20 bytes."""
    created_at: int
    """Time of the L1 block that created it, seconds since the epoch of Unix."""
    root_claim: Hash32
    """The output root it claims."""
    l2_block: int
    """The L2 block it claims it of."""


def find_latest_games(newest: int, count: int = PAGE_GAMES) -> bytes:
    """Ask for games of our type from a place down: `read_listed_games`."""
    return encode_call(
        "findLatestGames(uint32,uint256,uint256)", GAME_TYPE, newest, min(count, PAGE_GAMES)
    )


def read_listed_games(answer: bytes) -> tuple[ListedGame, ...]:
    """Read a page, the newest first. Raises Rejected."""
    (rows,) = decode((_KIND,), answer)
    assert not isinstance(rows, int | bytes)
    return tuple(_listed(cast(tuple[int, bytes, int, bytes, bytes], row)) for row in rows)


def _listed(row: tuple[int, bytes, int, bytes, bytes]) -> ListedGame:
    index, metadata, created_at, root_claim, extra_data = row
    return ListedGame(
        index=index,
        # Type (4 bytes), time (8) and address (20), as the OP Stack packs them.
        address=Address(metadata[_WORD - _ADDRESS_BYTES :]),
        created_at=created_at,
        root_claim=Hash32(root_claim),
        l2_block=int.from_bytes(extra_data[:_WORD]),
    )
