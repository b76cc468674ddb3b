"""From which L2 block on states are needed to disprove a claim: they must not be pruned, however old.

    open games (where they start) + lowest start after L1's final block (where later ones may start) -> L2Chain.disputable_from

A game starts at the anchor of its time or above it (NativeFaultGame). The guardian may stop the anchor: then games start
at the one before it, and never below that, so its block is the lowest start. It moves forward alone, but for what L1
reorganises above its final block. A proof executes one block after the start, on the state before it.
Deliberately absent: how long this keeps a state. An anchor that nobody moves keeps everything after the one before it.
"""

from __future__ import annotations

from bridge.games.book import GameBook
from bridge.games.reading import lowest_start
from bridge.l1_state import CallReverted, L1States
from node.errors import MissingState


def disputable_from(games: GameBook, states: L1States) -> int | None:
    """The oldest L2 block whose state a proof may need; 0 while that is not known, None where L1 has no games."""
    known = games.last
    if known is None:
        return 0
    try:
        lowest = lowest_start(states.finalized())
    except CallReverted:
        return None
    except MissingState:
        return 0
    return min([lowest, *(game.start_block for game in known.open)])
