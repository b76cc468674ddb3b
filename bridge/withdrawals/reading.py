"""What L1's state after one block says of games and of one withdrawal: calls of the Portal, the factory, the registry, the games.

    L1State -> GameReader.listed (games, newest first) -> whoever knows the L2 picks those it agrees with
            -> game_at(index) -> Game            -> facts_of(withdrawal, candidates) -> L1Facts

Everything is one state's, so it belongs together. Calls cost tens of microseconds each: do it in a Worker.
Nothing here is believed because it was so a block ago: an index names another game after a reorganisation of L1, so what
is remembered of places is asked for again.
Deliberately absent: the L2, and what follows from the facts (`stages`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
"""Submitters of one withdrawal whose proofs are looked at, besides the own one: the newest; to hide others takes as many accounts."""

LISTINGS_MAX: Final = 256
"""Places of the Portal's list of them that are read, the newest first: it names a submitter once more for each further proof."""

PLACES_MAX: Final = 2 * LISTED_MAX
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


class GameReader:
    """Reads games of one L1; what is final is asked for once. Usable from several threads."""

    def __init__(self) -> None:
        self._final: dict[int, ListedGame] = {}
        """By place: a final block's list only grows."""
        self._places: dict[Address, int] = {}
        """Where games were listed last; asked again before it is believed."""

    def listed(self, head: ReadL1, final: ReadL1, *, created_after: int = 0) -> list[ListedGame]:
        """Games of our type from the newest down to a time, LISTED_MAX at most; ties with that time are left out."""
        following = _number(head, DISPUTE_GAME_FACTORY, game_count())
        final_count = _number(final, DISPUTE_GAME_FACTORY, game_count())
        found: list[ListedGame] = []
        while following > 0 and len(found) < LISTED_MAX:
            page = self._page(head, following - 1, final_count)
            found += page
            if not page or page[-1].created_at <= created_after:
                break
            following = page[-1].index
        return [game for game in found if game.created_at > created_after]

    def _page(self, head: ReadL1, newest: int, final_count: int) -> tuple[ListedGame, ...]:
        """Games from a place down: one that is known, or a page of the factory's."""
        known = self._final.get(newest) if newest < final_count else None
        if known is not None:
            return (known,)
        page = read_listed_games(head.call(DISPUTE_GAME_FACTORY, find_latest_games(newest)))
        for game in page:
            self._places[game.address] = game.index
            if game.index < final_count:
                self._final[game.index] = game
        while len(self._final) > LISTED_MAX:
            self._final.pop(min(self._final), None)
        while len(self._places) > PLACES_MAX:
            self._places.pop(next(iter(self._places)), None)
        return page

    def game_at(self, l1: ReadL1, index: int) -> Game | None:
        """The game of a place; None where there is none, or one of another type."""
        if index >= _number(l1, DISPUTE_GAME_FACTORY, game_count()):
            return None
        game_type, _, address = read_game_at_index(
            l1.call(DISPUTE_GAME_FACTORY, game_at_index(index))
        )
        return _read(l1, index, address) if game_type == GAME_TYPE else None

    def game_of(self, head: ReadL1, final: ReadL1, address: Address) -> Game | None:
        """The game of a contract; None for one that the factory does not list, or too far back."""
        known = self._places.get(address)
        if known is not None:
            found = self.game_at(head, known)
            if found is not None and found.address == address:
                return found
        for game in self.listed(head, final):
            if game.address == address:
                return _read(head, game.index, address)
        return None

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
        submitters = submitters_of(head, name, own_submitter)
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
        game = None if proven is None else self.game_of(head, final, proven.game)
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
        is_proper=_is_proper(l1, address),
    )


def _is_proper(l1: ReadL1, game: Address) -> bool:
    """Whether a game counts but for its outcome. `isGameProper` is not asked: it says no to every game during a pause, which ends."""
    wanted = ("isGameRegistered", "isGameRespected")
    unwanted = ("isGameBlacklisted", "isGameRetired")
    return all(_flag(l1, ANCHOR_STATE_REGISTRY, is_game(one, game)) for one in wanted) and not any(
        _flag(l1, ANCHOR_STATE_REGISTRY, is_game(one, game)) for one in unwanted
    )


def submitters_of(l1: ReadL1, name: Hash32, own: Address | None) -> Sequence[Address]:
    """Who has proven a withdrawal, each once: `own` in any case, then SUBMITTERS_MAX at most, the newest last."""
    count = _number(l1, PORTAL, proof_count(name))
    found: list[Address] = []
    for place in range(count - 1, max(-1, count - 1 - LISTINGS_MAX), -1):
        answer = l1.call(PORTAL, proof_submitter(name, place))
        submitter = Address(answer[_WORD - _ADDRESS_BYTES :])
        if submitter not in (own, *found):
            found.append(submitter)
        if len(found) == SUBMITTERS_MAX:
            break
    first = [] if own is None else [own]
    return [*first, *reversed(found)]


def _proven(l1: ReadL1, name: Hash32, submitter: Address) -> ProvenWithdrawal | None:
    return read_proven_withdrawal(l1.call(PORTAL, proven_withdrawal(name, submitter)))


def _number(l1: ReadL1, to: Address, call: bytes) -> int:
    return int.from_bytes(l1.call(to, call))


def _flag(l1: ReadL1, to: Address, call: bytes) -> bool:
    return _number(l1, to, call) != 0
