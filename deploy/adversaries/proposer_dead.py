"""The bridge is dead: nobody claims outputs, until anybody does.

bridge stopped -> L2 and L1 go on, claims do not -> a stranger claims the truth -> bridge back: it goes on from there
"""

from __future__ import annotations

from typing import Final

from deploy.adversaries.acting import Actor, number, read, read_number
from deploy.adversaries.attack import Attack, Values
from deploy.adversaries.claims import SPAN_MIN, claim, short, truth
from deploy.adversaries.stage import PATIENCE_S, Stage, Verdict
from node.contracts import disputes
from node.contracts.addresses import ANCHOR_STATE_REGISTRY, DISPUTE_GAME_FACTORY
from node.eth.primitives import Address

IDLE_SLOTS: Final = 5
"""L1 slots in which a proposer that runs would have claimed something."""


def proposer_dead(stage: Stage, _values: Values) -> Verdict:
    """Play it."""
    stranger = Actor(stage, stage.account())
    stage.tries("kills the proposer: the bridge is stopped")
    stage.stop("bridge")
    games, block, safe = _games(stage), number(stage.l1), number(stage.l2, "safe")
    # What was on its way may still arrive.
    stage.until("the next L1 block", lambda: number(stage.l1) > block + 1 or None)
    games = _games(stage)
    honest = truth(stage, SPAN_MIN)
    stage.until("L1 to go on", lambda: number(stage.l1) > block + IDLE_SLOTS or None, PATIENCE_S)
    stage.sees(
        f"L1 and the L2 go on (safe block {safe} then, {number(stage.l2, 'safe')} now); "
        f"claims do not: {games} games then, {_games(stage)} now"
    )
    claims_stopped = _games(stage) == games
    claimed = claim(stage, stranger, honest, honest.roots)
    stage.sees(
        f"a stranger claimed L2 blocks {honest.start + 1} to {honest.last_block} in game {short(claimed.game)}: "
        "outputs need a bond and the truth, no permission"
    )
    question = disputes.is_game("isGameFoundation", claimed.game)
    is_good = bool(read_number(stage, ANCHOR_STATE_REGISTRY, question))
    stage.clean_up()
    stage.sees("the bridge is started again")
    later = stage.until(
        "the bridge's next claim", lambda: _claim_after(stage, claimed.index, stranger), PATIENCE_S
    )
    stage.sees(f"the bridge went on with game {short(later)}")
    held = is_good and claims_stopped and number(stage.l2, "safe") > safe
    return Verdict(
        held=held,
        summary="Without its proposer the L2 lives and anybody may claim its outputs; nothing was lost."
        if held
        else "The network did not go on as it must.",
    )


def _games(stage: Stage) -> int:
    return read_number(stage, DISPUTE_GAME_FACTORY, disputes.game_count())


def _claim_after(stage: Stage, index: int, stranger: Actor) -> Address | None:
    """A game that somebody else made after one."""
    for later in range(index + 1, _games(stage)):
        answer = read(stage.l1, DISPUTE_GAME_FACTORY, disputes.game_at_index(later))
        _, _, game = disputes.read_game_at_index(answer)
        if Address(read(stage.l1, game, disputes.ask("gameCreator"))[12:]) != stranger.address:
            return game
    return None


PROPOSER_DEAD: Final = Attack(
    name="proposer-dead",
    summary="Kills the bridge, so that nobody claims outputs.",
    expect="L1 and the L2 go on, deposits too; withdrawals wait for a claim. Anybody may make one: a stranger does. The bridge "
    "comes back and goes on from the newest true game.",
    leaves="A true game of a stranger's; the bridge runs.",
    run=proposer_dead,
)
"""Nobody claims."""
