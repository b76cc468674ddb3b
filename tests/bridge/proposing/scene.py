"""An L1 with the bridge's contracts, an L2 that grows, and a proposer that comes and goes: all of its parts are real."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import trio

from bridge.games.book import Games
from bridge.games.reading import Game
from bridge.proposing.service import Proposer, ProposerOptions
from bridge.role import RoleParts
from node.contracts.abi import selector
from node.contracts.disputes import GameStatus
from node.eth import rlp
from node.eth.primitives import Address
from node.execution.engine import InvalidTransaction
from sequencer.batching.options import BatchingOptions
from sequencer.batching.signing import CALL_DATA_FIELD
from tests.kit.chain_builder import BuiltBlock
from tests.kit.real_bridge import (
    CHALLENGERS,
    make_disputed_rollup,
    running_parts,
)
from tests.kit.real_rollup import RealL1, RealL2, running_l1, running_l2

ACCOUNT = CHALLENGERS[0]
OPTIONS = ProposerOptions(interval_ms=6_000)
STANDS, OPEN = GameStatus.DEFENDER_WINS, GameStatus.IN_PROGRESS


SIGNATURES = (
    "publish(bytes32[])",
    "span(bytes32[],bytes32[],uint256)",
    "create(uint32,bytes32,bytes)",
    "resolve(bytes,uint64,bytes32[],uint64)",
    "closeGame()",
    "claimCredit(address)",
)
NAMES = {selector(signature): signature.partition("(")[0] for signature in SIGNATURES}


@dataclass(slots=True)
class Scene:
    """An L1 with the bridge's contracts and an L2 that grows."""

    l1: RealL1
    l2: RealL2
    folder: Path
    parts: RoleParts | None = None
    proposer: Proposer | None = None
    seen: list[BuiltBlock] = field(default_factory=list)

    @asynccontextmanager
    async def proposing(self, options: ProposerOptions = OPTIONS) -> AsyncIterator[RoleParts]:
        """A proposer that runs until the block ends."""
        async with running_parts(self.l2, ACCOUNT, self.folder) as parts:
            self.parts, self.proposer = parts, Proposer(parts, options)
            async with trio.open_nursery() as nursery:
                await nursery.start(self.proposer.run)
                yield parts
                nursery.cancel_scope.cancel()
        self.parts = self.proposer = None

    async def grow(self) -> None:
        """An L2 block on the next origin, with a transfer."""
        self.l2.build(self.l2.transfers(1, 1), advances=True)

    async def slot(self, *, grows: bool = True, takes: int = 1_000) -> BuiltBlock:
        """The L2 grows, L1 takes what waits, the replica reads it, and the proposer has said what it wants of that block."""
        if grows:
            await self.l2.build_posted(self.l2.transfers(1, 1))
        block = await self.l1.mine(takes=takes)
        self.seen.append(block)
        await self.l2.caught_up()
        await self.settled()
        return block

    async def settled(self) -> None:
        """Wait until the proposer has looked at L1's head and its sender has acted on that."""
        if self.parts is None:
            return
        sender = self.parts.sender
        with trio.fail_after(30):
            while sender.acted_on != self.l2.view.head:  # noqa: ASYNC110  # a test looks from outside
                await trio.sleep(0.01)

    async def games(self) -> Games:
        """As L1's head has them."""
        assert self.parts is not None
        return await self.parts.games.look()

    async def until(self, count: int, status: GameStatus, *, slots_max: int = 60) -> list[Game]:
        """Slots until so many games have come to this."""
        for _ in range(slots_max):
            games = await self.games()
            found = [game for game in games.games.values() if game.status is status]
            if len(found) >= count:
                return found
            await self.slot()
        raise AssertionError(f"never {count} games with {status.name}")

    def transactions(self, account: Address = ACCOUNT.address) -> tuple[int, int]:
        """Of an account on L1's chain: how many, and how many of them reverted."""
        receipts = []
        for number in range(1, self.l1.chain.head.header.number + 1):
            block = self.l1.chain.block_by_number(number)
            assert block is not None
            receipts += orjson.loads(self.l1.engine.receipts_json(block.rlp, block.receipts))
        own = [one for one in receipts if one["from"] == "0x" + account.hex()]
        return len(own), sum(one["status"] == "0x0" for one in own)

    def calls(self) -> Counter[str]:
        """Which calls of the proposer L1's chain holds."""
        return Counter(name for name, _ in self.gas())

    def gas(self) -> list[tuple[str, int]]:
        """The same, in order, with the gas that each has used."""
        found: list[tuple[str, int]] = []
        for number in range(1, self.l1.chain.head.header.number + 1):
            block = self.l1.chain.block_by_number(number)
            assert block is not None
            receipts = orjson.loads(self.l1.engine.receipts_json(block.rlp, block.receipts))
            raws = self.l1.engine.raw_transactions(block.rlp)
            for raw, receipt in zip(raws, receipts, strict=True):
                (one,) = self.l1.engine.decode([raw])
                assert not isinstance(one, InvalidTransaction)
                if one.sender == ACCOUNT.address:
                    call_data = rlp.as_bytes(rlp.as_list(rlp.decode(raw[1:]))[CALL_DATA_FIELD])
                    name = NAMES.get(call_data[:4], "empty")
                    found.append((name, int(receipt["gasUsed"], 16)))
        return found


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    rollup = make_disputed_rollup()
    (folder / "l1").mkdir()
    (folder / "l2").mkdir()
    options = BatchingOptions(interval_ms=100)
    async with (
        running_l1(rollup, folder / "l1") as l1,
        running_l2(rollup, l1, folder / "l2", batching=options) as l2,
    ):
        yield Scene(l1, l2, folder)
