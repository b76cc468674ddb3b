"""Games as they are listed: whole, newest first, bounded by a time; final ones asked for once, others anew."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bridge.withdrawals.reading import LISTINGS_MAX, SUBMITTERS_MAX, GameReader, submitters_of
from node.contracts.abi import encode
from node.contracts.addresses import DISPUTE_GAME_FACTORY, PORTAL
from node.contracts.disputes import game_count
from node.contracts.listed_games import PAGE_GAMES, ListedGame, find_latest_games
from node.contracts.withdrawals import proof_count
from node.eth.headers import Header
from node.eth.primitives import ZERO_ADDRESS, ZERO_HASH, Address, Hash32

KIND = "(uint256,bytes32,uint64,bytes32,bytes)[]"
HEADER = Header(
    parent_hash=ZERO_HASH,
    fee_recipient=ZERO_ADDRESS,
    state_root=ZERO_HASH,
    number=9,
    gas_limit=1,
    gas_used=0,
    timestamp=9_999,
    extra_data=b"",
    mix_hash=ZERO_HASH,
    base_fee_per_gas=1,
    parent_beacon_block_root=ZERO_HASH,
)


def game(index: int, salt: int = 0) -> ListedGame:
    """A game of its own; `salt` makes it another one."""
    name = (index << 8 | salt).to_bytes(20)
    return ListedGame(
        index=index,
        address=Address(name),
        created_at=1_000 + 6 * index,
        root_claim=Hash32(name.rjust(32, b"\0")),
        l2_block=3 * index,
    )


@dataclass
class FactoryOnly:
    """L1 with nothing but a factory."""

    games: list[ListedGame]
    pages: int = 0
    """How many were asked for."""
    header: Header = field(default=HEADER)

    def call(self, to: Address, data: bytes) -> bytes:
        assert to == DISPUTE_GAME_FACTORY
        if data == game_count():
            return len(self.games).to_bytes(32)
        newest = int.from_bytes(data[36:68])
        assert data == find_latest_games(newest)
        self.pages += 1
        rows = [
            (
                one.index,
                (900).to_bytes(4) + one.created_at.to_bytes(8) + one.address,
                one.created_at,
                one.root_claim,
                one.l2_block.to_bytes(32) + bytes(84),
            )
            for one in reversed(self.games[: newest + 1])
        ]
        return encode((KIND,), (rows[:PAGE_GAMES],))


def test_all_games_are_listed_newest_first_and_down_to_a_time() -> None:
    l1 = FactoryOnly([game(index) for index in range(3 * PAGE_GAMES + 5)])
    reader = GameReader()
    assert reader.listed(l1, FactoryOnly([])) == list(reversed(l1.games))
    newer = reader.listed(l1, FactoryOnly([]), created_after=1_000 + 6 * 380)
    assert [one.index for one in newer] == list(range(3 * PAGE_GAMES + 4, 380, -1))
    assert reader.listed(FactoryOnly([]), FactoryOnly([])) == []


def test_what_is_final_is_asked_for_once() -> None:
    games = [game(index) for index in range(2 * PAGE_GAMES)]
    final = FactoryOnly(games[: PAGE_GAMES + 50])
    reader, first = GameReader(), FactoryOnly(games)
    assert reader.listed(first, final) == list(reversed(games))
    assert first.pages == 2
    # When L1 has another head with one game more
    second = FactoryOnly([*games, game(2 * PAGE_GAMES)])
    assert reader.listed(second, final) == list(reversed(second.games))
    # Then only what is not final is asked for again
    assert second.pages == 1


def test_a_reorganisation_replaces_what_was_not_final() -> None:
    games = [game(index) for index in range(10)]
    final, reader = FactoryOnly(games[:4]), GameReader()
    assert reader.listed(FactoryOnly(games), final) == list(reversed(games))
    other = [*games[:4], game(4, salt=1), replace(game(5, salt=1), l2_block=99)]
    assert reader.listed(FactoryOnly(other), final) == list(reversed(other))
    assert reader.listed(FactoryOnly(games), final) == list(reversed(games))


NAME = Hash32(b"\x77" * 32)


@dataclass
class SubmittersOnly:
    """L1 with nothing but who proved a withdrawal, the first one first."""

    submitters: list[Address]
    asked: int = 0
    """How many places were asked for."""
    header: Header = field(default=HEADER)

    def call(self, to: Address, data: bytes) -> bytes:
        assert to == PORTAL
        if data == proof_count(NAME):
            return len(self.submitters).to_bytes(32)
        self.asked += 1
        return self.submitters[int.from_bytes(data[36:68])].rjust(32, b"\0")


def someone(number: int) -> Address:
    return Address(number.to_bytes(20))


def test_a_stranger_who_proves_again_and_again_hides_nobody() -> None:
    # Given one submitter who fills the list before a user and again after
    noisy, user = someone(1), someone(2)
    listed = [*[noisy] * SUBMITTERS_MAX, user, *[noisy] * SUBMITTERS_MAX]
    # Then both are read, each once
    assert submitters_of(SubmittersOnly(listed), NAME, None) == [user, noisy]


def test_the_newest_submitters_are_read_and_the_own_one_in_any_case() -> None:
    own = someone(5_000)
    crowd = [someone(number) for number in range(1, SUBMITTERS_MAX + 11)]
    assert submitters_of(SubmittersOnly(crowd), NAME, None) == crowd[-SUBMITTERS_MAX:]
    for listed in (crowd, [own, *crowd]):
        assert submitters_of(SubmittersOnly(listed), NAME, own) == [own, *crowd[-SUBMITTERS_MAX:]]
    # Nobody's repetitions cost more than so many questions
    l1 = SubmittersOnly([someone(1)] * (2 * LISTINGS_MAX))
    assert submitters_of(l1, NAME, own) == [own, someone(1)]
    assert l1.asked == LISTINGS_MAX
    assert submitters_of(SubmittersOnly([]), NAME, None) == []
