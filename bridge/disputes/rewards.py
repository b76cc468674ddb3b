"""What lost games owe whoever ended them: a tenth of the bond, paid on request after a while.

    games that are lost for good -> ask_rewards -> payable (asked for now), done (paid, or another's)

Deliberately absent: how much it is. A challenger works for nothing, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.games.reading import Game, credit_of, payable_from
from bridge.l1_state import CallReverted, L1States
from node.eth.primitives import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewards:
    """What L1 says of the rewards of some games."""

    payable: tuple[Address, ...]
    """Games that pay in the next block."""
    done: frozenset[Address]
    """Games that owe nothing, for good."""


def ask_rewards(states: L1States, account: Address, lost: Sequence[Game]) -> Rewards:
    """Ask what lost games owe an account; those whose end is not final are asked again later. For a Worker.

    Raises MissingState.
    """
    final, upcoming = states.finalized(), states.upcoming()
    payable: list[Address] = []
    done: set[Address] = set()
    for game in lost:
        if game.resolved_block > final.ref.number:
            continue
        try:
            if credit_of(final, game.address, account) == 0:
                done.add(game.address)
            elif (
                credit_of(upcoming, game.address, account) > 0
                and payable_from(upcoming, game.address, account) <= upcoming.ref.number + 1
            ):
                payable.append(game.address)
        except CallReverted:
            continue  # L1 has left the branch on which it was seen.
    return Rewards(payable=tuple(payable), done=frozenset(done))
