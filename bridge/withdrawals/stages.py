"""One withdrawal as a state machine: where it stands, what it waits for, and until when. PURE.

    initiated -> provable -> proven -> in challenge -> finalizable -> settled
        ^           ^          |            |
        |           +----------+------------+   its game lost, was blacklisted or retired, or L1 dropped the proof
        +---- and no other game covers it

    L2Facts, L1Facts (from one L1 block), Terms -> standing -> Standing

Whoever acts with an account of its own waits for its own proof, or for nobody's: the Portal starts a submitter's clock anew with each
of its proofs, so a stranger who proves again before each maturity would otherwise keep everybody waiting.
Nothing is remembered between two looks: L1's state says everything, so a reorganisation or a restart changes nothing but the
answer. A pause of the guardian is no stage: time goes on under it, so it is one more thing to wait for.
Deliberately absent: reading the facts (`reading`), and acting on the answer (bridge.relaying, a user's wallet).

Source: OP Stack specification, "Withdrawals"; the comparisons are those of the Portal and AnchorStateRegistry, all strict.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from node.contracts.disputes import GameStatus
from node.eth.primitives import Address, Hash32


class Stage(StrEnum):
    """How far a withdrawal has come."""

    INITIATED = "initiated"
    """L2 holds it; no game that can be proven against covers its block."""
    PROVABLE = "provable"
    """A game covers it."""
    PROVEN = "proven"
    """L1's head holds a proof, L1's final state does not yet: a reorganisation may still take it away."""
    IN_CHALLENGE = "in_challenge"
    """The proof is final; the game it stands on can still be disproved, or what follows the window has not passed."""
    FINALIZABLE = "finalizable"
    """Nothing is left to wait for but the call itself."""
    SETTLED = "settled"
    """L1 made the call, whatever its target said to it; it cannot happen twice."""


class Need(StrEnum):
    """What a withdrawal waits for."""

    DATA = "data"
    """L1 holds the data of its L2 block: the block is safe."""
    GAME = "game"
    """A proposer claims an output at or after its block."""
    PROOF = "proof"
    """Somebody proves it."""
    CHALLENGE = "challenge"
    """The game's window: L1 finalizes a block of this number."""
    RESOLUTION = "resolution"
    """Somebody resolves the game."""
    AIR_GAP = "air_gap"
    """L1's head reaches a block of this number."""
    MATURITY = "maturity"
    """An L1 block has this time."""
    UNPAUSE = "unpause"
    """The guardian lifts the pause."""
    FINALIZATION = "finalization"
    """Somebody finalizes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """One thing that a withdrawal waits for."""

    need: Need
    """What."""
    block: int | None = None
    """The L1 block number that ends it; None where none is known or none decides."""
    timestamp: int | None = None
    """The time of an L1 block that ends it, seconds since the epoch of Unix; None where none decides."""
    expected_at: int | None = None
    """When that is if every slot has its block and finality keeps its distance; None where somebody has to act."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the network's contracts make a withdrawal wait."""

    maturity_seconds: int
    """A proof is older than this."""
    air_gap_blocks: int
    """L1 blocks after a game's resolution."""
    slot_seconds: int
    """L1's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Game:
    """A game as L1 knows it at one block."""

    index: int
    """Its place in the factory."""
    address: Address
    """20 bytes."""
    l2_block: int
    """The L2 block whose output it claims."""
    root_claim: Hash32
    """That output's root, it claims."""
    status: GameStatus
    """What became of it."""
    created_block: int
    """Number of the L1 block that created it."""
    created_at: int
    """That block's time, seconds."""
    resolvable_from: int
    """The L1 block number that has to be final before it can be resolved for its defender; proven faults move it on."""
    resolved_block: int
    """Number of the L1 block that resolved it; 0 while it is in progress."""
    is_proper: bool
    """Whether it is of the factory and of the respected kind, and neither blacklisted nor retired."""

    @property
    def can_hold(self) -> bool:
        """Whether a withdrawal that is proven against it may still settle."""
        return self.is_proper and self.status is not GameStatus.CHALLENGER_WINS


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A proof that L1 holds; each submitter has one at most."""

    submitter: Address
    """Who sent it; 20 bytes."""
    proven_at: int
    """Time of the L1 block, seconds."""
    is_final: bool
    """Whether L1's final state holds it."""
    game: Game
    """What it stands on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class L2Facts:
    """Where L2 holds the withdrawal."""

    number: int
    """Number of the L2 block."""
    is_safe: bool
    """Whether L1 holds that block's data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class L1Clock:
    """How far L1 is."""

    number: int
    """Number of the block whose state counts."""
    timestamp: int
    """Its time, seconds since the epoch of Unix."""
    finalized_number: int
    """Number of the last final block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class L1Facts(L1Clock):
    """What L1's state after one block says of the withdrawal."""

    is_paused: bool
    """Whether the guardian holds prove and finalize back."""
    is_settled: bool
    """Whether L1 has made the call."""
    is_settlement_final: bool
    """Whether L1's final state says so too."""
    proofs: tuple[Proof, ...]
    """One for each submitter that was looked at; those of games that fell too."""
    candidate: Game | None
    """The game to prove it against: the first that covers its block, can hold it, and claims what this node derives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a withdrawal stands."""

    stage: Stage
    """How far it has come."""
    waits: tuple[Wait, ...]
    """All that is between it and the next step, the soonest known first; empty once it is settled."""
    game: Game | None
    """What it is proven against, else what it can be proven against."""
    proof: Proof | None
    """The proof that settles it soonest."""
    fallen: tuple[Proof, ...]
    """Proofs whose games can hold nothing any more."""

    @property
    def expected_at(self) -> int | None:
        """When the last wait ends; None if it waits for somebody, or for nothing."""
        moments = [wait.expected_at for wait in self.waits]
        if not moments or None in moments:
            return None
        return max(moment for moment in moments if moment is not None)


def standing(l2: L2Facts, l1: L1Facts, terms: Terms, *, own: Address | None = None) -> Standing:
    """Say where a withdrawal stands.

    Args:
        l2: where L2 holds it.
        l1: what L1 says.
        terms: what the contracts make it wait.
        own: who can prove it. Somebody else's proof counts for him only once it can be finalized, or where he cannot prove
            it himself. None for somebody who only looks: the proof that is ready first counts, whoever made it.
    """
    fallen = tuple(proof for proof in l1.proofs if not proof.game.can_hold)
    held = [(proof_waits(proof, l1, terms), proof) for proof in l1.proofs if proof.game.can_hold]
    if l1.is_settled:
        settling = held[0][1] if held else None
        return _standing(Stage.SETTLED, (), proof=settling, fallen=fallen)
    if own is not None and l1.candidate is not None:
        held = [(waits, proof) for waits, proof in held if not waits or proof.submitter == own]
    if held:
        waits, proof = min(
            held, key=lambda found: (_last_moment(found[0]), found[1].submitter != own)
        )
        return _standing(_stage_of(proof, waits), _or_call(waits, l1), proof=proof, fallen=fallen)
    if l1.candidate is not None:
        waits = (_pause(l1) or Wait(need=Need.PROOF),)
        return _standing(Stage.PROVABLE, waits, game=l1.candidate, fallen=fallen)
    data = () if l2.is_safe else (Wait(need=Need.DATA),)
    return _standing(Stage.INITIATED, (*data, Wait(need=Need.GAME)), fallen=fallen)


def proof_waits(proof: Proof, l1: L1Facts, terms: Terms) -> tuple[Wait, ...]:
    """Say what keeps a proof from being finalized, besides a pause; nothing if nothing does."""
    waits = [*game_waits(proof.game, l1, terms)]
    matures = proof.proven_at + terms.maturity_seconds + 1
    if l1.timestamp < matures:
        waits.append(Wait(need=Need.MATURITY, timestamp=matures, expected_at=matures))
    return tuple(waits)


def game_waits(game: Game, l1: L1Clock, terms: Terms) -> tuple[Wait, ...]:
    """Say what is left until withdrawals settle on a game; nothing for one that can hold none."""
    if not game.can_hold:
        return ()
    if game.status is GameStatus.DEFENDER_WINS:
        end = game.resolved_block + terms.air_gap_blocks + 1
        if l1.number >= end:
            return ()
        return (Wait(need=Need.AIR_GAP, block=end, expected_at=_at(l1, end - l1.number, terms)),)
    end = game.resolvable_from
    left = max(0, end - l1.finalized_number)
    resolution = (
        Wait(need=Need.CHALLENGE, block=end, expected_at=_at(l1, left, terms))
        if left
        else Wait(need=Need.RESOLUTION, expected_at=_at(l1, 1, terms))
    )
    # It is resolved in the block after, and the gap counts from there.
    gap = _at(l1, left + 1 + terms.air_gap_blocks + 1, terms)
    return (resolution, Wait(need=Need.AIR_GAP, expected_at=gap))


def _at(l1: L1Clock, blocks: int, terms: Terms) -> int:
    """Tell the time so many L1 blocks from now."""
    return l1.timestamp + blocks * terms.slot_seconds


def _last_moment(waits: tuple[Wait, ...]) -> int:
    return max((wait.expected_at or 0 for wait in waits), default=0)


def _stage_of(proof: Proof, waits: tuple[Wait, ...]) -> Stage:
    if not waits:
        return Stage.FINALIZABLE
    return Stage.IN_CHALLENGE if proof.is_final else Stage.PROVEN


def _or_call(waits: tuple[Wait, ...], l1: L1Facts) -> tuple[Wait, ...]:
    """Add the pause to what is waited for; without either, the call itself is due."""
    pause = _pause(l1)
    found = waits if pause is None else (*waits, pause)
    return found or (Wait(need=Need.FINALIZATION),)


def _pause(l1: L1Facts) -> Wait | None:
    return Wait(need=Need.UNPAUSE) if l1.is_paused else None


def _standing(
    stage: Stage,
    waits: tuple[Wait, ...],
    *,
    fallen: tuple[Proof, ...],
    proof: Proof | None = None,
    game: Game | None = None,
) -> Standing:
    shown = proof.game if proof is not None else game
    return Standing(stage=stage, waits=waits, game=shown, proof=proof, fallen=fallen)
