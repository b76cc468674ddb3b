"""A theft that is proven while nobody watches, and loses its game before it is old enough.

watchtower stopped -> lie, theft proven -> watchtower back -> game lost -> proof matures -> finalize: refused
"""

from __future__ import annotations

from typing import Final

from deploy.adversaries.acting import Actor, balance, number, read_number
from deploy.adversaries.attack import Attack, Values
from deploy.adversaries.claims import claim, eth, refusal_of, short, status, truth, wait_for_fault
from deploy.adversaries.false_output import PROVE_GAS, lie, message_of, prove_call
from deploy.adversaries.stage import PATIENCE_S, AttackFailed, Stage, Verdict
from deploy.adversaries.withdrawals import FINALIZE_GAS
from node.contracts.addresses import PORTAL
from node.contracts.disputes import GameStatus
from node.contracts.withdrawals import check_withdrawal, finalize_withdrawal, is_finalized
from node.eth.primitives import Hash32


def prove_then_lose(stage: Stage, _values: Values) -> Verdict:
    """Play it."""
    thief = Actor(stage, stage.account())
    locked_wei = balance(stage.l1, PORTAL)
    stage.tries("waits until nobody watches: the watchtower is stopped")
    stage.stop("watchtower")
    honest = truth(stage)
    told = lie(honest, "last", thief.address, number(stage.l1))
    claimed = claim(stage, thief, honest, told.roots)
    stage.tries(f"claims a false output in game {short(claimed.game)}")
    # A block later than the game: a proof must be younger than its claim.
    stage.until("the next L1 block", lambda: number(stage.l1) > claimed.block or None)
    call = prove_call(told.theft, claimed.index)
    if not thief.receipt(thief.send(PORTAL, call, gas=PROVE_GAS)).succeeded:
        raise AttackFailed("the theft could not be proven though its game was in progress")
    stage.sees(f"a withdrawal of {eth(told.theft.withdrawal.value)} that nobody made is proven")
    stage.clean_up()
    stage.sees("the watchtower is back")
    proven, _ = wait_for_fault(stage, claimed, PATIENCE_S)
    stage.sees(f"{short(proven.prover)} proved the output false: CHALLENGER_WINS")
    reason = _wait_until_mature(stage, told.theft.name, thief)
    stage.tries("asks for the money: the proof is old enough now")
    call = finalize_withdrawal(message_of(told.theft))
    paid = thief.receipt(thief.send(PORTAL, call, gas=FINALIZE_GAS))
    word = "paid" if paid.succeeded else f"refused in L1 block {paid.block}: {reason}"
    stage.sees(f"{word}; the Portal holds {eth(balance(stage.l1, PORTAL))}")
    held = (
        not paid.succeeded
        and reason == "OptimismPortal_InvalidRootClaim()"
        and status(stage, claimed.game) is GameStatus.CHALLENGER_WINS
        and not read_number(stage, PORTAL, is_finalized(told.theft.name))
        and balance(stage.l1, PORTAL) >= locked_wei
    )
    return Verdict(
        held=held,
        summary="A proof is worth what its game is worth when the money is asked for: nothing was paid."
        if held
        else "The theft was not refused for its game.",
    )


def _wait_until_mature(stage: Stage, name: Hash32, thief: Actor) -> str:
    """Wait until a proof is refused for anything but its age; gives the reason."""
    call = check_withdrawal(name, thief.address)

    def look() -> str | None:
        reason = refusal_of(stage, PORTAL, call, sender=thief)
        return None if "ProofNotOldEnough" in reason else reason or "nothing"

    return stage.until("the proof to be old enough", look, 4.0 * stage.terms.proof_maturity_s)


PROVE_THEN_LOSE: Final = Attack(
    name="prove-then-lose",
    summary="Proves a theft under a false output while nobody watches, and waits for its age.",
    expect="The watchtower comes back, the game is lost, and when the proof is old enough `finalize` is refused "
    "(InvalidRootClaim): the game is judged when the money is asked for, too.",
    leaves="A lost game and a proof that is worth nothing; the watchtower runs.",
    run=prove_then_lose,
)
"""Time against the game."""
