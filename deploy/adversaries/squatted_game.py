"""Somebody who takes the proposer's claim from the pool and makes the very same game first.

    the proposer's `create` waits in the pool -> the same call with a higher tip -> the squatter's game, the proposer's call reverts

The claim is true whoever makes it, and a game is made once: the squatter has put up a bond for the truth.
"""

from __future__ import annotations

from typing import Final

from deploy.adversaries.acting import HASTE_TIP_WEI, Actor, Pending, pending, read, read_number
from deploy.adversaries.attack import Attack, Values
from deploy.adversaries.claims import CREATE_GAS, short
from deploy.adversaries.stage import AttackFailed, Stage, Verdict
from node.contracts import disputes
from node.contracts.abi import selector
from node.contracts.addresses import ANCHOR_STATE_REGISTRY, DISPUTE_GAME_FACTORY, ROOT_REGISTRY
from node.eth.primitives import Address, Hash32

CREATE: Final = selector("create(uint32,bytes32,bytes)")
"""First four bytes of making a game."""

CLAIM_DEADLINE_S: Final = 120.0
"""The proposer claims something by then."""


def squatted_game(stage: Stage, _values: Values) -> Verdict:
    """Play it."""
    squatter = Actor(stage, stage.account())
    stage.tries("reads the pools for the proposer's next claim")
    original, roots = stage.until(
        "a claim in a pool", lambda: _look(stage, squatter), CLAIM_DEADLINE_S
    )
    tip_wei = max(HASTE_TIP_WEI, 2 * original.tip_wei)
    for published in roots:
        # A claim whose roots come after it in the block is none.
        squatter.send(ROOT_REGISTRY, published.data, tip_wei=tip_wei)
    sent = squatter.send(
        DISPUTE_GAME_FACTORY,
        original.data,
        value_wei=stage.terms.bond_wei,
        gas=CREATE_GAS,
        tip_wei=tip_wei,
    )
    stage.tries(f"sends the very claim of {short(original.sender)} with a higher tip")
    receipt = squatter.receipt(sent)
    game = _created(stage, original)
    creator = Address(read(stage.l1, game, disputes.ask("gameCreator"))[12:])
    who = "the squatter's" if creator == squatter.address else "the proposer's"
    stage.sees(f"one game stands, {short(game)}, and it is {who} (L1 block {receipt.block})")
    is_good = bool(
        read_number(stage, ANCHOR_STATE_REGISTRY, disputes.is_game("isGameFoundation", game))
    )
    stage.sees("its claim is true: anybody may start from it, and prove withdrawals under it")
    proposer = original.sender
    later = stage.until(
        "the proposer's next claim",
        lambda: _later_game_of(stage, proposer, game),
        CLAIM_DEADLINE_S,
    )
    stage.sees(f"the proposer went on with game {short(later)}")
    held = is_good and receipt.succeeded == (creator == squatter.address)
    return Verdict(
        held=held,
        summary="A claim is made once, whoever pays for it: the squatter's bond stands for the truth, and the proposer goes on."
        if held
        else "The squatted game is worth less than the proposer's would have been.",
    )


def _look(stage: Stage, squatter: Actor) -> tuple[Pending, list[Pending]] | None:
    """Somebody's claim in any node's pool, and what its sender publishes there."""
    for node in stage.l1_nodes.values():
        waiting = pending(node)
        for one in waiting:
            is_claim = one.to == DISPUTE_GAME_FACTORY and one.data[:4] == CREATE
            if is_claim and one.sender != squatter.address:
                of_sender = [other for other in waiting if other.sender == one.sender]
                return one, [other for other in of_sender if other.to == ROOT_REGISTRY]
    return None


def _created(stage: Stage, original: Pending) -> Address:
    """The game that makes the claim. Raises AttackFailed."""
    root_claim, extra = original.data[36:68], original.data[132:248]
    question = disputes.game_of_claim(Hash32(root_claim), extra)
    game = disputes.read_game_of_claim(read(stage.l1, DISPUTE_GAME_FACTORY, question))
    if game is None:
        raise AttackFailed("neither of both made the game")
    return game


def _later_game_of(stage: Stage, proposer: Address, game: Address) -> Address | None:
    """A game that a proposer made after another one."""
    count = read_number(stage, DISPUTE_GAME_FACTORY, disputes.game_count())
    for index in range(count - 1, -1, -1):
        answer = read(stage.l1, DISPUTE_GAME_FACTORY, disputes.game_at_index(index))
        _, _, found = disputes.read_game_at_index(answer)
        if found == game:
            return None
        if Address(read(stage.l1, found, disputes.ask("gameCreator"))[12:]) == proposer:
            return found
    return None


SQUATTED_GAME: Final = Attack(
    name="squatted-game",
    summary="Takes the proposer's claim from the pool and makes the very same game first.",
    expect="There is one game, the squatter's or the proposer's. It counts either way, the squatter's bond is in it, and "
    "the proposer goes on from there.",
    leaves="A true game with somebody else's bond, which comes back to them.",
    run=squatted_game,
)
"""Somebody else's claim."""
