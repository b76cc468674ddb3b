"""A stage for disputes over real parts: an L1 that judges, an L2, somebody who lies, and challengers.

async with scene(folder) as stage, stage.challenger() as parts:
    await stage.game(parts, stage.roots(1, 6, 4))    a game that lies about L2 block 4
    await stage.pooled(1)                            its proof waits in L1's pool
    await stage.mine()                               L1 takes it
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import trio

from bridge.disputes.opening import attempts_in, open_challenger
from bridge.games.reading import Game
from bridge.role import RoleParts
from node.contracts.disputes import GameStatus, resolve
from node.eth.primitives import Address, Hash32
from sequencer.batching.options import BatchingOptions
from tests.kit.chain_builder import BuiltBlock
from tests.kit.real_bridge import (
    CHALLENGERS,
    Claimant,
    by_claim,
    lied,
    make_disputed_rollup,
    running_parts,
    true_roots,
)
from tests.kit.real_rollup import RealL1, RealL2, running_l1, running_l2

OPTIONS = BatchingOptions(interval_ms=100)
LOST, STANDS, OPEN = (
    GameStatus.CHALLENGER_WINS,
    GameStatus.DEFENDER_WINS,
    GameStatus.IN_PROGRESS,
)


@dataclass(slots=True)
class Scene:
    """An L1 with games and an L2 that they are about."""

    l1: RealL1
    l2: RealL2
    folder: Path
    liar: Claimant
    """Makes games."""
    hurried: Claimant
    """Wants games to end well for those who made them."""

    async def grow(self, blocks: int) -> None:
        """L2 blocks with a transfer each, all of them safe."""
        for number in range(blocks):
            self.l2.build(self.l2.transfers(1, 1), advances=number == 0)
        goal = self.l2.chain.head.header.number
        with trio.fail_after(60):
            while self.l2.chain.safe.header.number < goal:
                await self.mine()
                await trio.sleep(0.05)

    async def mine(self, *, takes: int = 1_000, voted: bool = True) -> BuiltBlock:
        """An L1 block, and the replica has read it."""
        block = await self.l1.mine(takes=takes, voted=voted)
        await self.l2.caught_up()
        return block

    @asynccontextmanager
    async def parts(self) -> AsyncIterator[RoleParts]:
        """A role's surroundings without a role."""
        async with running_parts(self.l2, CHALLENGERS[1], self.folder) as parts:
            yield parts

    @asynccontextmanager
    async def challenger(self, number: int = 0) -> AsyncIterator[RoleParts]:
        """One that runs until the block ends."""
        account = CHALLENGERS[number]
        async with running_parts(self.l2, account, self.folder) as parts:
            challenger = open_challenger(parts)
            async with trio.open_nursery() as nursery:
                await nursery.start(challenger.run)
                yield parts
                nursery.cancel_scope.cancel()

    async def pooled(self, count: int) -> None:
        """Wait until so many games are called in the pool, each once, and nobody gives way any more."""
        with trio.fail_after(60):
            while True:
                games = [attempt.game for attempt in attempts_in(self.l1.pool)]
                if len(games) == len(set(games)) == count:
                    return
                await trio.sleep(0.02)

    async def offered(self, parts: RoleParts) -> None:
        """Wait until a challenger has given away as much as it gives at once, or all that it wants."""
        wanted = "faultline_bridge_transactions_wanted"
        account = parts.sender.account.address
        with trio.fail_after(60):
            while True:
                count = parts.registry.get_sample_value(wanted, {"role": "challenger"}) or 0.0
                if len(self.l1.pool.of_sender(account)[0]) >= min(count, 16):
                    return
                await trio.sleep(0.02)

    async def abandon(self, lost: BuiltBlock) -> None:
        """L1 leaves a block for another branch from the one below it, with nothing of the pool on it."""
        builder = self.l1.rollup.builder
        await self.l1.mine(on=lost.parent_hash, takes=0)
        while self.l1.chain.is_canonical(lost.hash):
            await self.l1.mine(on=list(builder.blocks)[-1], takes=0)
        await self.l2.caught_up()

    def failed(self, account: Address) -> int:
        """Transactions of an account that L1 took and that reverted."""
        count = 0
        for number in range(1, self.l1.chain.head.header.number + 1):
            block = self.l1.chain.block_by_number(number)
            assert block is not None
            for receipt in orjson.loads(self.l1.engine.receipts_json(block.rlp, block.receipts)):
                is_theirs = receipt["from"] == "0x" + account.hex()
                count += is_theirs and receipt["status"] == "0x0"
        return count

    async def game(
        self,
        parts: RoleParts,
        roots: Sequence[Hash32],
        *,
        start: int = 0,
        parent: Address | None = None,
    ) -> Address:
        """A game that L1 holds."""
        claim = await self.liar.claim(roots, start=start, parent=parent)
        await self.mine()
        return by_claim(await parts.games.look())[claim.roots_id].address

    async def try_to_resolve(self, parts: RoleParts, game: Address) -> None:
        """Somebody asks L1 to end a game for its maker, with what is final now; may be refused."""
        proof = parts.prove_finality()
        if proof is not None:
            call = resolve(proof.header, proof.epoch, proof.branch, proof.timestamp)
            await self.hurried.send(game, call, gas=500_000)

    async def resolved(self, parts: RoleParts, game: Address) -> None:
        """Mine until a game is decided, while somebody tries."""
        with trio.fail_after(120):
            while next(one for one in await games_of(parts) if one.address == game).is_open:
                await self.try_to_resolve(parts, game)
                await self.mine()

    def roots(self, first: int, last: int, *wrong: int, salt: int = 0) -> list[Hash32]:
        """Output roots of the L2, wrong after some blocks."""
        roots = true_roots(self.l2, first, last)
        return [
            lied(root, salt) if number in wrong else root
            for number, root in enumerate(roots, first)
        ]


@asynccontextmanager
async def scene(folder: Path, blocks: int = 6) -> AsyncIterator[Scene]:
    rollup = make_disputed_rollup()
    async with (
        running_l1(rollup, folder / "l1") as l1,
        running_l2(rollup, l1, folder / "l2", batching=OPTIONS) as l2,
    ):
        liar = Claimant(l1=l1, l2=l2, account=rollup.users[0])
        hurried = Claimant(l1=l1, l2=l2, account=rollup.users[2])
        made = Scene(l1, l2, folder, liar, hurried)
        await made.mine()
        await made.mine()
        await made.grow(blocks)
        yield made


async def games_of(parts: RoleParts) -> Sequence[Game]:
    """All of L1's head."""
    return list((await parts.games.look()).games.values())


async def statuses(parts: RoleParts) -> list[GameStatus]:
    return [game.status for game in await games_of(parts)]


def proven(parts: RoleParts) -> float:
    return parts.registry.get_sample_value("faultline_bridge_faults_proven_total") or 0.0


def metric(parts: RoleParts, name: str) -> float:
    return parts.registry.get_sample_value(name) or 0.0


def proofs(parts: RoleParts) -> float:
    """Faults that this challenger has shown."""
    return metric(parts, "faultline_bridge_faults_proven_total")


async def until_judged(parts: RoleParts, block: BuiltBlock) -> None:
    """Wait until a challenger has judged the games of an L1 block."""
    name = "faultline_bridge_judged_l1_number"
    with trio.fail_after(60):
        while metric(parts, name) < block.number:  # noqa: ASYNC110  # metrics tell of nothing
            await trio.sleep(0.01)
