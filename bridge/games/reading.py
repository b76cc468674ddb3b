"""One game as L1 has it after a block, asked from its contract.

    L1State -> read_game(address) -> Game        what is for ever is copied from an older Game, where there is one

Deliberately absent: what is true (proposing, disputes), and which games there are (book).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from bridge.l1_state import CallReverted
from node.contracts import disputes
from node.contracts.addresses import (
    ANCHOR_STATE_REGISTRY,
    BOND_VAULT,
    DISPUTE_GAME_FACTORY,
    ROOT_REGISTRY,
)
from node.contracts.disputes import GameStatus
from node.errors import Corruption, Rejected
from node.eth.primitives import ZERO_HASH, Address, Hash32
from node.rollup.claims import Claim, decode_claim


class Asked(Protocol):
    """L1 after a block (`bridge.l1_state.L1State`)."""

    def call(self, to: Address, data: bytes) -> bytes:
        """What a contract answers. Raises CallReverted, MissingState."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Game:
    """A game after one L1 block."""

    index: int
    """Its place in the factory, on this L1."""
    address: Address
    """Its contract: everything that it claims makes its address."""
    creator: Address
    """Who made it, and gets the bond back."""
    root_claim: Hash32
    """The output root after its last L2 block."""
    claim: Claim
    """What it says beside that."""
    start_block: int
    """L2 block that it takes for granted."""
    start_root: Hash32
    """Output root after that."""
    created_at: int
    """Seconds since the epoch of Unix."""
    created_block: int
    """L1 block that holds its making."""
    was_respected: bool
    """Whether games of its type counted then."""
    status: GameStatus = GameStatus.IN_PROGRESS
    """What it has come to."""
    resolved_at: int = 0
    """Seconds since the epoch of Unix; 0 before."""
    resolved_block: int = 0
    """L1 block that holds its end; 0 before."""
    prover: Address | None = None
    """Who proved it false; None for a game that stands, goes on, or fell with its parent."""

    @property
    def is_open(self) -> bool:
        """Whether nothing is decided."""
        return self.status is GameStatus.IN_PROGRESS

    @property
    def l2_block(self) -> int:
        """Last L2 block that it claims."""
        return self.claim.l2_block

    @property
    def parent(self) -> Address | None:
        """The game that it starts from; None for the anchor."""
        return self.claim.parent

    @property
    def roots_id(self) -> Hash32:
        """Name of the published roots."""
        return self.claim.roots_id

    @property
    def accumulator(self) -> Hash32:
        """Of the Inbox after the record that holds the last block, as it claims."""
        return self.claim.accumulator


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """The claim that a game without a parent starts from, and below which none starts."""

    root: Hash32
    """Output root; zero while the guardian has stopped this anchor and the one before it."""
    l2_block: int
    """After which L2 block."""

    @property
    def is_stopped(self) -> bool:
        """Whether no game starts without a parent."""
        return self.root == ZERO_HASH


def count_games(state: Asked) -> int:
    """How many games there are. Raises MissingState."""
    return _word(state, DISPUTE_GAME_FACTORY, disputes.game_count())


def game_at(state: Asked, index: int) -> Address:
    """The game of a place. Raises CallReverted where there are not so many, MissingState."""
    answer = state.call(DISPUTE_GAME_FACTORY, disputes.game_at_index(index))
    return disputes.read_game_at_index(answer)[2]


def game_of(state: Asked, root_claim: Hash32, claim: Claim) -> Address | None:
    """The game that makes a claim. Raises MissingState."""
    answer = state.call(DISPUTE_GAME_FACTORY, disputes.game_of_claim(root_claim, claim.encode()))
    return disputes.read_game_of_claim(answer)


def are_published(state: Asked, roots_id: Hash32) -> bool:
    """Whether the Registry knows roots by name. Raises MissingState."""
    return bool(_word(state, ROOT_REGISTRY, disputes.tree_of(roots_id)))


def bond_wei(state: Asked) -> int:
    """What a game costs. Raises MissingState."""
    return _word(state, DISPUTE_GAME_FACTORY, disputes.ask("bond"))


def anchor_of(state: Asked) -> Anchor:
    """The anchor. Raises MissingState."""
    root, number = disputes.read_anchor(
        state.call(ANCHOR_STATE_REGISTRY, disputes.ask("getAnchorRoot"))
    )
    return Anchor(root=root, l2_block=number)


def lowest_start(state: Asked) -> int:
    """Below which L2 block no later game starts, whatever the guardian does. Raises CallReverted, MissingState."""
    return _word(state, ANCHOR_STATE_REGISTRY, disputes.ask("lowestStart"))


def resolvable_from(state: Asked, game: Address) -> int:
    """Which L1 block has to be final before a game stands, as things are. Raises MissingState."""
    return _word(state, game, disputes.ask("resolvableFrom"))


def credit_of(state: Asked, game: Address, recipient: Address) -> int:
    """What somebody gets out of a game and was not paid yet, wei. Raises MissingState."""
    return _word(state, game, disputes.credit(recipient))


def payable_from(state: Asked, game: Address, recipient: Address) -> int:
    """From which L1 block on that is paid; zero without a credit. Raises MissingState."""
    return _word(state, BOND_VAULT, disputes.payable_from(game, recipient))


def is_registered(state: Asked, game: Address) -> bool:
    """Whether the factory made it. Raises MissingState."""
    return _says_yes(state, "isGameRegistered", game)


def is_foundation(state: Asked, game: Address) -> bool:
    """Whether a new game may start from it. Raises MissingState."""
    return _says_yes(state, "isGameFoundation", game)


def is_claim_valid(state: Asked, game: Address) -> bool:
    """Whether what it claims counts as true. Raises MissingState."""
    return _says_yes(state, "isGameClaimValid", game)


def read_game(state: Asked, index: int, address: Address) -> Game:
    """A game with everything. Raises MissingState, Corruption for a contract that is none of ours."""
    try:
        _, root_claim, extra_data = disputes.read_game_data(
            state.call(address, disputes.ask("gameData"))
        )
    except (CallReverted, Rejected) as error:
        raise Corruption(f"game 0x{address.hex()} answers what no game answers: {error}") from error
    claim = decode_claim(extra_data)
    if claim is None:
        raise Corruption(f"game 0x{address.hex()} claims what no game could claim")
    game = Game(
        index=index,
        address=address,
        creator=Address(state.call(address, disputes.ask("gameCreator"))[12:]),
        root_claim=root_claim,
        claim=claim,
        start_block=_word(state, address, disputes.ask("startingBlockNumber")),
        start_root=Hash32(state.call(address, disputes.ask("startingRootHash"))),
        created_at=_word(state, address, disputes.ask("createdAt")),
        created_block=_word(state, address, disputes.ask("createdBlock")),
        was_respected=bool(_word(state, address, disputes.ask("wasRespectedGameTypeWhenCreated"))),
    )
    return read_again(state, game)


def read_again(state: Asked, game: Game) -> Game:
    """An open game as it is now. Raises MissingState."""
    status = GameStatus(_word(state, game.address, disputes.ask("status")))
    if status is GameStatus.IN_PROGRESS:
        return game
    return replace(
        game,
        status=status,
        resolved_at=_word(state, game.address, disputes.ask("resolvedAt")),
        resolved_block=_word(state, game.address, disputes.ask("resolvedBlock")),
    )


def _says_yes(state: Asked, question: str, game: Address) -> bool:
    return bool(_word(state, ANCHOR_STATE_REGISTRY, disputes.is_game(question, game)))


def _word(state: Asked, to: Address, data: bytes) -> int:
    return int.from_bytes(state.call(to, data))
