"""How a proposer's games end: resolved once finality has passed them, the newest made the anchor, bonds paid back.

    true games, L1's next block -> ask_endings -> resolutions (parents first), closing, repayments -> wants

Deliberately absent: which games are true (own), and games that are lost: whoever proved them has their end (disputes).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.games.book import Games
from bridge.games.finality import FinalityProof
from bridge.games.reading import (
    Game,
    credit_of,
    is_claim_valid,
    payable_from,
    resolvable_from,
)
from bridge.l1_state import CallReverted, L1State
from bridge.sending.wants import Want
from node.contracts import disputes
from node.contracts.disputes import GameStatus
from node.eth.primitives import Address

RESOLVE_GAS: Final = 300_000
"""Of a `resolve` that cannot be simulated because its parent's is on its way; a test holds what it really uses below."""

RESOLVED_AT_ONCE_MAX: Final = 16
"""Games that are resolved at once: after a long pause there are hundreds, each costs 0.11M gas, and their parents come first."""


KeyOf = Callable[[str, Game], str]
"""Names a call of a game: what is done, and the L1 block that holds the game's making.

After a reorganisation the same game may be made again later in a block than the call of it: a call of an address without a
contract succeeds and does nothing, and must not pass for the call of the game that came after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endings:
    """What L1 says of how games end."""

    resolvable_from: Mapping[Address, int]
    """For open true games whose parents are decided or asked for here: which L1 block has to be final."""
    closable: Game | None
    """The game that reaches furthest of those whose claim counts in the next block and is newer than the anchor."""
    payable: tuple[Game, ...]
    """Games that pay this account in the next block."""


def ask_endings(
    games: Games,
    true: Sequence[Game],
    own: Sequence[Game],
    account: Address,
    state: L1State,
) -> Endings:
    """Ask L1, in the environment of its next block. For a Worker; raises MissingState."""
    number = state.ref.number + 1
    due = {
        game.address: resolvable_from(state, game.address)
        for game in [one for one in true if one.is_open][:RESOLVED_AT_ONCE_MAX]
    }
    stands = [
        game
        for game in true
        if game.status is GameStatus.DEFENDER_WINS and game.l2_block > games.anchor.l2_block
    ]
    stands.sort(key=lambda game: game.l2_block, reverse=True)
    closable = next((game for game in stands if is_claim_valid(state, game.address)), None)
    payable = [
        game
        for game in own
        if not game.is_open
        and credit_of(state, game.address, account) > 0
        and payable_from(state, game.address, account) <= number
    ]
    return Endings(resolvable_from=due, closable=closable, payable=tuple(payable))


def ask_paid(final: L1State, own: Sequence[Game], account: Address) -> frozenset[Address]:
    """Own games that are decided and have nothing left to pay, for good. For a Worker; raises MissingState."""
    paid: set[Address] = set()
    for game in own:
        if game.is_open or game.resolved_block > final.ref.number:
            continue
        try:
            if credit_of(final, game.address, account) == 0:
                paid.add(game.address)
        except CallReverted:
            continue  # It was made after the final block, on an L1 that has been left since.
    return frozenset(paid)


def resolutions(
    true: Sequence[Game], endings: Endings, proof: FinalityProof, key_of: KeyOf
) -> Sequence[Want]:
    """Resolve what is due, parents first."""
    status = {game.address: game.status for game in true}
    wants: dict[Address, Want] = {}
    for game in true:
        due = endings.resolvable_from.get(game.address)
        if due is None or proof.number < due:
            continue
        parent = game.parent
        is_parent_open = parent is not None and status.get(parent) is GameStatus.IN_PROGRESS
        if is_parent_open and parent not in wants:
            continue
        wants[game.address] = Want(
            key=key_of("resolve", game),
            to=game.address,
            call_data=disputes.resolve(proof.header, proof.epoch, proof.branch, proof.timestamp),
            follows=wants[parent].key if parent is not None and parent in wants else None,
            gas_limit=RESOLVE_GAS,
        )
    return tuple(wants.values())


def closing(endings: Endings, key_of: KeyOf) -> Sequence[Want]:
    """Make the newest claim that counts the anchor."""
    game = endings.closable
    if game is None:
        return ()
    return (Want(key=key_of("close", game), to=game.address, call_data=disputes.close_game()),)


def repayments(endings: Endings, account: Address, key_of: KeyOf) -> Sequence[Want]:
    """Get bonds back."""
    return tuple(
        Want(
            key=key_of("credit", game),
            to=game.address,
            call_data=disputes.claim_credit(account),
        )
        for game in endings.payable
    )
