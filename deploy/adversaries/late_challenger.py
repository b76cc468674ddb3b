"""The watchtower is away until a false game's window is over on L1, and comes back before that is final.

watchtower stopped -> lie -> window_blocks of L1 pass -> watchtower started -> proof, before the last of them is final
"""

from __future__ import annotations

from typing import Final

from deploy.adversaries.acting import Actor, number, read_number
from deploy.adversaries.attack import Attack, Values
from deploy.adversaries.claims import claim, short, status, tell_bond, truth, wait_for_fault
from deploy.adversaries.false_output import lie
from deploy.adversaries.stage import PATIENCE_S, Stage, Verdict
from node.contracts import disputes
from node.contracts.disputes import GameStatus


def late_challenger(stage: Stage, _values: Values) -> Verdict:
    """Play it."""
    liar = Actor(stage, stage.account())
    stage.tries("waits until nobody watches: the watchtower is stopped")
    stage.stop("watchtower")
    honest = truth(stage)
    told = lie(honest, "last", liar.address, number(stage.l1))
    claimed = claim(stage, liar, honest, told.roots)
    last = read_number(stage, claimed.game, disputes.ask("resolvableFrom"))
    stage.tries(
        f"claims a false output in game {short(claimed.game)} in L1 block {claimed.block}: "
        f"it stands once L1 block {last} is final"
    )
    stage.until(f"L1 block {last}", lambda: number(stage.l1) >= last or None, _window_s(stage))
    final = number(stage.l1, "finalized")
    stage.sees(f"L1 block {last} is there, block {final} is final: the watchtower is started now")
    stage.clean_up()
    proven, log = wait_for_fault(stage, claimed, PATIENCE_S)
    stage.sees(
        f"{short(proven.prover)} proved the output false in L1 block {log.block}, "
        f"{log.block - last} after the window's last"
    )
    bond_right = tell_bond(stage, claimed, liar, proven.prover)
    lost = status(stage, claimed.game) is GameStatus.CHALLENGER_WINS
    held = lost and bond_right
    return Verdict(
        held=held,
        summary="The window counts final blocks, so whoever comes back with its last block is still in time."
        if held
        else "The game is not lost as it must be.",
    )


def _window_s(stage: Stage) -> float:
    """Seconds until the window's last block is there, missed slots included."""
    return PATIENCE_S + 2.0 * stage.terms.window_blocks * stage.slot_seconds


LATE_CHALLENGER: Final = Attack(
    name="late-challenger",
    summary="Claims a false output while the watchtower is away until the last block of the window.",
    expect="The watchtower reads what it missed and proves the fault before the window's last block is final: the game is "
    "CHALLENGER_WINS. Had it stayed away, the lie would stand: somebody has to watch.",
    leaves="A lost game; the watchtower runs.",
    run=late_challenger,
)
"""The last second."""
