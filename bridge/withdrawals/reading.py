"""What L1's state after one block says of games and of one withdrawal: calls of the Portal, the factory, the registry, the games.

    L1State -> listed (all games of ours, newest first) -> whoever knows the L2 picks those it agrees with
            -> game_at(index) -> Game            -> facts_of(withdrawal, candidates) -> L1Facts

Everything is one state's, so it belongs together. Calls cost tens of microseconds each: do it in a Worker.
Nothing here is believed because it was so a block ago: an index names another game after a reorganisation of L1, so what
is remembered of places is asked for again.
Deliberately absent: the L2, and what follows from the facts (`stages`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

from bridge.withdrawals.stages import Game, L1Facts, Proof, Terms
from node.contracts.addresses import ANCHOR_STATE_REGISTRY, DISPUTE_GAME_FACTORY, PORTAL
from node.contracts.disputes import (
    GAME_TYPE,
    GameStatus,
    ask,
    game_at_index,
    game_count,
    is_game,
    read_game_at_index,
)
from node.contracts.listed_games import (
    PAGE_GAMES,
    ListedGame,
    find_latest_games,
    read_listed_games,
)
from node.contracts.withdrawals import (
    ProvenWithdrawal,
    is_finalized,
    is_paused,
    proof_count,
    proof_submitter,
    proven_withdrawal,
    read_proven_withdrawal,
)
from node.eth.headers import Header
from node.eth.primitives import Address, Hash32

LISTED_MAX: Final = 8_192
"""Games that are looked at for one withdrawal: thirteen hours of one every six seconds."""

SUBMITTERS_MAX: Final = 64
"""Proofs of one withdrawal that are looked at, the oldest first; each costs its submitter a transaction of its own."""

PLACES_MAX: Final = 4_096
"""Places of games that are remembered."""

_ADDRESS_BYTES: Final = 20
_WORD: Final = 32


class ReadL1(Protocol):
    """L1 after one block (`bridge.l1_state.L1State`)."""

    @property
    def header(self) -> Header:
        """The block's header."""

    def call(self, to: Address, data: bytes) -> bytes:
        """What a contract answers. Raises CallReverted, MissingState."""


def terms_of(l1: ReadL1, slot_seconds: int) -> Terms:
    """What the contracts make a withdrawal wait; immutable, so any state says it."""
    return Terms(
        maturity_seconds=_number(l1, PORTAL, ask("proofMaturityDelaySeconds")),
        air_gap_blocks=_number(l1, ANCHOR_STATE_REGISTRY, ask("airGapBlocks")),
        slot_seconds=slot_seconds,
    )


def listed(l1: ReadL1, *, created_after: int = 0) -> Iterator[ListedGame]:
    """Games of our type from the newest down to a time, LISTED_MAX at most; ties with that time are left out."""
    following = _number(l1, DISPUTE_GAME_FACTORY, game_count())
    left = LISTED_MAX
    while following > 0 and left > 0:
        page = read_listed_games(l1.call(DISPUTE_GAME_FACTORY, find_latest_games(following - 1)))
        for game in page:
            if game.created_at <= created_after:
                return
            yield game
        if len(page) < PAGE_GAMES:
            return
        following, left = page[-1].index, left - len(page)


class GameReader:
    """Reads games, and remembers where they were listed."""

    def __init__(self) -> None:
        self._places: dict[Address, int] = {}

    def game_at(self, l1: ReadL1, index: int) -> Game | None:
        """The game of a place; None where there is none, or one of another type."""
        if index >= _number(l1, DISPUTE_GAME_FACTORY, game_count()):
            return None
        game_type, _, address = read_game_at_index(
            l1.call(DISPUTE_GAME_FACTORY, game_at_index(index))
        )
        return _read(l1, index, address) if game_type == GAME_TYPE else None

    def game_of(self, l1: ReadL1, address: Address) -> Game | None:
        """The game of a contract; None for one that the factory does not list, or too far back."""
        known = self._places.get(address)
        if known is not None:
            found = self.game_at(l1, known)
            if found is not None and found.address == address:
                return found
        for game in listed(l1):
            self._remember(game)
            if game.address == address:
                return _read(l1, game.index, address)
        return None

    def _remember(self, game: ListedGame) -> None:
        self._places.pop(game.address, None)
        self._places[game.address] = game.index
        if len(self._places) > PLACES_MAX:
            del self._places[next(iter(self._places))]

    def facts_of(
        self,
        name: Hash32,
        head: ReadL1,
        final: ReadL1,
        candidates: Iterable[ListedGame],
        own_submitter: Address | None = None,
    ) -> L1Facts:
        """Everything about one withdrawal.

        Args:
            name: its hash.
            head: L1's state that counts.
            final: L1's final state.
            candidates: games that claim what this node derives, at or after its block; the preferred first.
            own_submitter: whose proof is looked at however many others there are.
        """
        submitters = _submitters(head, name, own_submitter)
        settled = is_finalized(name)
        proofs = (self._proof(head, final, name, one) for one in submitters)
        return L1Facts(
            number=head.header.number,
            timestamp=head.header.timestamp,
            finalized_number=final.header.number,
            is_paused=_flag(head, PORTAL, is_paused()),
            is_settled=_flag(head, PORTAL, settled),
            is_settlement_final=_flag(final, PORTAL, settled),
            proofs=tuple(proof for proof in proofs if proof is not None),
            candidate=_first_that_can_hold(head, candidates),
        )

    def _proof(self, head: ReadL1, final: ReadL1, name: Hash32, submitter: Address) -> Proof | None:
        proven = _proven(head, name, submitter)
        game = None if proven is None else self.game_of(head, proven.game)
        if proven is None or game is None:
            return None
        return Proof(
            submitter=submitter,
            proven_at=proven.timestamp,
            is_final=_proven(final, name, submitter) == proven,
            game=game,
        )


def _first_that_can_hold(l1: ReadL1, candidates: Iterable[ListedGame]) -> Game | None:
    for candidate in candidates:
        game = _read(l1, candidate.index, candidate.address)
        if game.can_hold:
            return game
    return None


def _read(l1: ReadL1, index: int, address: Address) -> Game:
    return Game(
        index=index,
        address=address,
        l2_block=_number(l1, address, ask("l2BlockNumber")),
        root_claim=Hash32(l1.call(address, ask("rootClaim"))),
        status=GameStatus(_number(l1, address, ask("status"))),
        created_block=_number(l1, address, ask("createdBlock")),
        created_at=_number(l1, address, ask("createdAt")),
        resolvable_from=_number(l1, address, ask("resolvableFrom")),
        resolved_block=_number(l1, address, ask("resolvedBlock")),
        is_proper=all(
            _flag(l1, ANCHOR_STATE_REGISTRY, is_game(question, address))
            for question in ("isGameProper", "isGameRespected")
        ),
    )


def _submitters(l1: ReadL1, name: Hash32, own: Address | None) -> Sequence[Address]:
    count = min(_number(l1, PORTAL, proof_count(name)), SUBMITTERS_MAX)
    answers = (l1.call(PORTAL, proof_submitter(name, place)) for place in range(count))
    found = [Address(answer[_WORD - _ADDRESS_BYTES :]) for answer in answers]
    others = [] if own is None else [own]
    return list(dict.fromkeys([*found, *others]))


def _proven(l1: ReadL1, name: Hash32, submitter: Address) -> ProvenWithdrawal | None:
    return read_proven_withdrawal(l1.call(PORTAL, proven_withdrawal(name, submitter)))


def _number(l1: ReadL1, to: Address, call: bytes) -> int:
    return int.from_bytes(l1.call(to, call))


def _flag(l1: ReadL1, to: Address, call: bytes) -> bool:
    return _number(l1, to, call) != 0
