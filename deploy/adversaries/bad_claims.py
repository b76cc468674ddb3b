"""Claims that no game may be made of: roots that nobody can read, counts and accumulators that do not fit, bonds too small.

truth -> one thing wrong at a time -> create -> refused, with the reason
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from deploy.adversaries.acting import Actor, read, read_number
from deploy.adversaries.attack import Attack, Values
from deploy.adversaries.claims import CREATE_GAS, Truth, extra_data, refusal_of, status, truth
from deploy.adversaries.stage import Stage, Verdict
from node.contracts import disputes
from node.contracts.addresses import (
    ANCHOR_STATE_REGISTRY,
    DISPUTE_GAME_FACTORY,
    PORTAL,
    ROOT_REGISTRY,
)
from node.contracts.disputes import GameStatus
from node.eth.hashing import keccak256
from node.eth.primitives import ZERO_HASH, Address, Hash32
from node.rollup.claims import RootTree

FAR_AHEAD: Final = 1_000_000
"""L2 blocks of a claim, more than any claim may have."""

AHEAD: Final = 512
"""L2 blocks beyond the Inbox, more than come while somebody claims them."""


@dataclass(frozen=True, slots=True)
class BadClaim:
    """One attempt."""

    title: str
    """What is wrong with it, for people."""
    call: bytes
    """Of the factory."""
    refusal: str
    """What it must get; beginnings count."""
    value_wei: int
    """The bond that goes along."""


def bad_claims(honest: Truth, bond_wei: int, old_game: Address | None = None) -> list[BadClaim]:
    """All attempts; the honest roots are published, others are not.

    Args:
        honest: what could be claimed.
        bond_wei: what a game costs.
        old_game: a game that stands and ends before the anchor; None where there is none yet.
    """
    tree = RootTree(honest.roots)
    unread = RootTree((*honest.roots[:-1], keccak256(honest.roots[-1])))
    shorter = RootTree(honest.roots[:-1])

    def create(
        root: Hash32, data: bytes, title: str, refusal: str, value_wei: int = bond_wei
    ) -> BadClaim:
        return BadClaim(title, disputes.create(root, data), refusal, value_wei)

    good = extra_data(honest, tree)
    ahead = ahead_of(honest)
    no_game = replace(honest, parent=Address(PORTAL))
    elsewhere = replace(honest, accumulator=keccak256(honest.accumulator))
    old = replace(honest, parent=old_game)
    beyond = (honest.last_block + FAR_AHEAD).to_bytes(32) + good[32:]
    return [
        create(
            unread.last,
            extra_data(honest, unread),
            "roots of which only the name is known",
            "UnknownRoots()",
        ),
        create(tree.last, good[:52] + shorter.id + good[84:], "one root short", "WrongRoots()"),
        create(
            keccak256(tree.last), good, "a claim that is not the last of its roots", "WrongRoots()"
        ),
        create(ZERO_HASH, good, "the zero root", "ZeroClaim()"),
        create(
            tree.last,
            extra_data(elsewhere, tree),
            "the accumulator of another history",
            "WrongAccumulator()",
        ),
        create(tree.last, beyond, "a million L2 blocks at once", "WrongCount()"),
        create(
            ahead.last,
            extra_data(honest, ahead),
            "L2 blocks that are not on L1 yet",
            "UnknownBlock()",
        ),
        create(
            tree.last, extra_data(no_game, tree), "a parent that is no game", "InvalidParentGame()"
        ),
        *(
            [
                create(
                    tree.last,
                    extra_data(old, tree),
                    "a parent so old that nobody keeps its state",
                    "InvalidParentGame()",
                )
            ]
            if old_game is not None
            else []
        ),
        create(tree.last, good + b"\0", "a byte too many", "BadExtraData()"),
        create(tree.last, good, "a wei less than the bond", "IncorrectBondAmount()", bond_wei - 1),
    ]


def ahead_of(honest: Truth) -> RootTree:
    """The truth, and guesses for blocks that nobody has made."""
    guesses = [keccak256(honest.roots[-1] + place.to_bytes(8)) for place in range(AHEAD)]
    return RootTree((*honest.roots, *guesses))


def unavailable_roots(stage: Stage, _values: Values) -> Verdict:
    """Play it."""
    liar = Actor(stage, stage.account())
    honest = truth(stage)
    # All but the last one, so that a claim that is one short finds its roots.
    liar.do(ROOT_REGISTRY, disputes.publish(honest.roots[:-1]))
    liar.do(ROOT_REGISTRY, disputes.publish(honest.roots))
    liar.do(ROOT_REGISTRY, disputes.publish(ahead_of(honest).roots))
    wrong = []
    attempts = bad_claims(honest, stage.terms.bond_wei, game_before_anchor(stage))
    for attempt in attempts:
        stage.tries(f"claims with {attempt.title}")
        reason = refusal_of(
            stage,
            DISPUTE_GAME_FACTORY,
            attempt.call,
            sender=liar,
            value_wei=attempt.value_wei,
        )
        stage.sees(f"refused: {reason}" if reason else "accepted")
        if reason != attempt.refusal:
            wrong.append(attempt.title)
    stage.tries("sends the first of them all the same")
    receipt = liar.receipt(
        liar.send(
            DISPUTE_GAME_FACTORY,
            attempts[0].call,
            value_wei=stage.terms.bond_wei,
            gas=CREATE_GAS,
        )
    )
    count = read_number(stage, DISPUTE_GAME_FACTORY, disputes.game_count())
    stage.sees(f"reverted in L1 block {receipt.block}: no game, no bond taken; there are {count}")
    if wrong or receipt.succeeded:
        return Verdict(held=False, summary=f"Not refused as it must be: {', '.join(wrong)}.")
    return Verdict(
        held=True,
        summary="A game is made of roots that everybody can read, over blocks that L1 holds, or not at all.",
    )


def game_before_anchor(stage: Stage) -> Address | None:
    """The first game that stands, if it ends before the anchor."""
    anchor = read(stage.l1, ANCHOR_STATE_REGISTRY, disputes.ask("getAnchorRoot"))
    _, anchored = disputes.read_anchor(anchor)
    for index in range(read_number(stage, DISPUTE_GAME_FACTORY, disputes.game_count())):
        answer = read(stage.l1, DISPUTE_GAME_FACTORY, disputes.game_at_index(index))
        _, _, game = disputes.read_game_at_index(answer)
        if status(stage, game) is GameStatus.DEFENDER_WINS:
            is_old = read_number(stage, game, disputes.ask("l2SequenceNumber")) < anchored
            return game if is_old else None
    return None


UNAVAILABLE_ROOTS: Final = Attack(
    name="unavailable-roots",
    summary="Makes claims whose roots nobody can read, or that do not fit the Inbox.",
    expect="The factory refuses each with its reason; there is no game that nobody could answer.",
    leaves="Published roots that are true, and one failed transaction.",
    run=unavailable_roots,
)
"""Claims that could not be judged."""
