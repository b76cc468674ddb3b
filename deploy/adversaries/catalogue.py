"""The attacks there are, in the order in which they are listed.

Deliberately absent: what processes do wrong by themselves (node.runtime.fault_catalogue).
"""

from __future__ import annotations

from typing import Final

from deploy.adversaries.attack import Attack
from deploy.adversaries.false_output import FALSE_OUTPUT
from deploy.adversaries.hostile_step import HOSTILE_STEP

ATTACKS: Final[tuple[Attack, ...]] = (FALSE_OUTPUT, HOSTILE_STEP)
"""Everything that can be tried."""


def attack_named(name: str) -> Attack | None:
    """The attack of this name."""
    return next((attack for attack in ATTACKS if attack.name == name), None)
