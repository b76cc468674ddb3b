"""Which L2 blocks the newest games on L1 claim: their states are kept, because withdrawals are proven on them.

    L1's head -> DisputeGameFactory.findLatestGames -> numbers of L2 blocks -> L2Chain.claimed -> pruning

A wallet proves against any of the hundred newest games (viem chooses one at random), and asks the nearest node for the proof:
often the sequencer, whose own history may be seconds long when blocks are many.
Deliberately absent: whether a claim is true; a false one's block costs a root that is kept for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import orjson

from node.contracts.addresses import DISPUTE_GAME_FACTORY
from node.contracts.disputes import game_count
from node.contracts.listed_games import find_latest_games, read_listed_games
from node.eth.blocks import Block
from node.execution.answers import CallResult

CALL_GAS: Final = 1 << 24
"""Gas of a call: what a transaction may use (EIP-7825)."""


class ClaimedL1(Protocol):
    """What of L1's chain is read."""

    @property
    def head(self) -> Block:
        """The fork choice's answer."""


class CallingEngine(Protocol):
    """What of L1's engine is asked."""

    def call(
        self, root: bytes, header: bytes, ancestors: bytes, call: bytes, *, gas_cap: int
    ) -> CallResult:
        """`eth_call`. Raises MissingState."""


def claimed_blocks(chain: ClaimedL1, engine: CallingEngine) -> Sequence[int]:
    """Numbers of the L2 blocks that the newest games claim, as many as the factory lists at once; none where L1 has no games.

    Raises MissingState.
    """
    count = _ask(chain.head, engine, game_count())
    if not count or not int.from_bytes(count):
        return ()
    page = _ask(chain.head, engine, find_latest_games(int.from_bytes(count) - 1))
    return [game.l2_block for game in read_listed_games(page)]


def _ask(head: Block, engine: CallingEngine, data: bytes) -> bytes:
    """What the factory answers; nothing where there is none."""
    request = {"to": "0x" + DISPUTE_GAME_FACTORY.hex(), "input": "0x" + data.hex()}
    header = head.header
    answer = engine.call(
        header.state_root, header.encode(), b"", orjson.dumps(request), gas_cap=CALL_GAS
    )
    return answer.output if answer.status == "success" else b""
