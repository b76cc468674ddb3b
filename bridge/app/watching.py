"""What every bridge process says of the bridge in its metrics, whatever its roles: games by outcome, what is locked, what is owed.

    L1's head moved -> GameBook.look -> games by outcome; the Portal's balance

Deliberately absent: alarms. Whoever scrapes compares.
"""

from __future__ import annotations

from typing import Final, NoReturn

import trio
from prometheus_client import CollectorRegistry, Counter, Gauge

from bridge.app.supply import Supply
from bridge.games.book import GameBook, Games
from bridge.l1_state import L1States
from node.contracts.addresses import PORTAL
from node.contracts.disputes import GameStatus
from node.errors import MissingState
from node.eth.primitives import Address
from sequencer.l1.view import L1View

OUTCOMES: Final = {
    GameStatus.IN_PROGRESS: "made",
    GameStatus.CHALLENGER_WINS: "lost",
    GameStatus.DEFENDER_WINS: "stands",
}
"""Values of the label `outcome`."""


class Watcher:
    """Counts for one process."""

    def __init__(
        self,
        *,
        l1: L1View,
        games: GameBook,
        states: L1States,
        supply: Supply,
        registry: CollectorRegistry,
    ) -> None:
        self._l1 = l1
        self._games = games
        self._states = states
        self._supply = supply
        self._counted: dict[Address, GameStatus] = {}
        self._outcomes = Counter(
            "faultline_bridge_games",
            "Games that L1's head was seen to hold, by what they have come to: made, lost, stands.",
            ["outcome"],
            registry=registry,
        )
        for outcome in OUTCOMES.values():
            self._outcomes.labels(outcome)
        self._locked_wei = Gauge(
            "faultline_bridge_locked_wei",
            "What the Portal holds on L1's head.",
            registry=registry,
        )
        self._supply_wei = Gauge(
            "faultline_l2_supply_wei",
            "Ether on the L2 as far as it is derived: its genesis and every deposit's mint, less what withdrawals took along.",
            registry=registry,
        )

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Look at every L1 block, for ever. Raises Corruption."""
        task_status.started()
        version = -1
        while True:
            version = await self._l1.moved.past(version)
            try:
                self._locked_wei.set(self._states.head().balance(PORTAL))
                self._count(await self._games.look())
            except MissingState:
                continue  # L1 has moved on meanwhile.
            self._supply_wei.set(await self._supply.catch_up())

    def _count(self, games: Games) -> None:
        for game in games.games.values():
            known = self._counted.get(game.address)
            if known is None:
                self._outcomes.labels(OUTCOMES[GameStatus.IN_PROGRESS]).inc()
            if not game.is_open and known != game.status:
                self._outcomes.labels(OUTCOMES[game.status]).inc()
            self._counted[game.address] = game.status
        for address in self._counted.keys() - games.games.keys():
            del self._counted[address]
