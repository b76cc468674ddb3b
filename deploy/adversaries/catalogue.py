"""The attacks there are, in the order in which they are listed.

Deliberately absent: what processes do wrong by themselves (node.runtime.fault_catalogue).
"""

from __future__ import annotations

from typing import Final

from deploy.adversaries.attack import Attack
from deploy.adversaries.bad_claims import UNAVAILABLE_ROOTS
from deploy.adversaries.copied_proof import COPIED_PROOF
from deploy.adversaries.false_output import FALSE_OUTPUT
from deploy.adversaries.forged_proof import FORGED_PROOF
from deploy.adversaries.guardian_pause import GUARDIAN_PAUSE
from deploy.adversaries.hostile_step import HOSTILE_STEP
from deploy.adversaries.late_challenger import LATE_CHALLENGER
from deploy.adversaries.proposer_dead import PROPOSER_DEAD
from deploy.adversaries.prove_then_lose import PROVE_THEN_LOSE
from deploy.adversaries.replayed_withdrawal import REPLAYED_WITHDRAWAL
from deploy.adversaries.squatted_game import SQUATTED_GAME
from deploy.adversaries.thousand_games import THOUSAND_GAMES

ATTACKS: Final[tuple[Attack, ...]] = (
    FALSE_OUTPUT,
    SQUATTED_GAME,
    UNAVAILABLE_ROOTS,
    PROVE_THEN_LOSE,
    REPLAYED_WITHDRAWAL,
    FORGED_PROOF,
    COPIED_PROOF,
    HOSTILE_STEP,
    THOUSAND_GAMES,
    LATE_CHALLENGER,
    GUARDIAN_PAUSE,
    PROPOSER_DEAD,
)
"""Everything that can be tried."""


def attack_named(name: str) -> Attack | None:
    """The attack of this name."""
    return next((attack for attack in ATTACKS if attack.name == name), None)
