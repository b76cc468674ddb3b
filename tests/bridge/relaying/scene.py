"""A relayer over real parts: consensus, contracts, both engines in one process, blocks made by hand.

async with scene(folder) as site:
    await site.grow(site.withdrawal(value=5))       an L2 block that holds a withdrawal, safe
    game = await site.game()                        a true game over all of it
    async with site.relaying() as relay: ...        a relayer that lives until the block ends
        await relay.step()                          an L1 block, the relayer's answer to it in the pool
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson
import trio

from bridge.games.reading import Game
from bridge.relaying.asking import AskedList
from bridge.relaying.metrics import RelayingMetrics
from bridge.relaying.service import Relayer
from bridge.role import RoleParts
from bridge.withdrawals.finding import WithdrawalIndex
from bridge.withdrawals.looking import LookingParts, Withdrawals
from bridge.withdrawals.view import BridgeAtNode
from node.contracts.addresses import MESSAGE_PASSER
from node.contracts.bindings import initiate_withdrawal
from node.contracts.disputes import resolve
from node.contracts.withdrawals import WITHDRAWAL_FINALIZED, WITHDRAWAL_PROVEN
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32
from node.rpc.bridging import WithdrawalReport
from sequencer.batching.options import BatchingOptions
from tests.kit.chain_builder import BuiltBlock
from tests.kit.real_bridge import (
    CHALLENGERS,
    Claimant,
    by_claim,
    make_disputed_rollup,
    running_parts,
    true_roots,
)
from tests.kit.real_rollup import RealL1, RealL2, running_l1, running_l2
from tests.kit.transfers import sign_transfer

RELAYER: Final = CHALLENGERS[0]
"""Its account."""

TARGET: Final = Address(b"\x7a" * 20)
"""Gets what is withdrawn."""

PATIENCE_S: Final = 60
"""The longest wait for any condition."""


@dataclass(slots=True, kw_only=True)
class Relay:
    """One life of a relayer."""

    site: Scene
    parts: RoleParts
    relayer: Relayer
    view: BridgeAtNode
    withdrawals: Withdrawals

    async def step(self, *, is_resolving: bool = True) -> None:
        """An L1 block with what waits, and the relayer's answer to it in the pool; somebody ends games meanwhile."""
        if is_resolving:
            await self.site.try_to_resolve(self.parts)
        await self.site.mine()
        await self.look()

    async def look(self) -> None:
        """The relayer looks at L1's head, and its sender has done what it asked for."""
        await self.relayer.turn()
        account = self.parts.sender.account.address
        with trio.fail_after(PATIENCE_S):
            while len(self.site.l1.pool.of_sender(account)[0]) < self._wanted():  # noqa: ASYNC110
                await trio.sleep(0.01)

    async def report(self, name: Hash32) -> WithdrawalReport:
        """What JSON-RPC tells of a withdrawal."""
        found = await self.view.withdrawal(name)
        assert found is not None
        return found

    def _wanted(self) -> int:
        name = "faultline_bridge_transactions_wanted"
        return int(self.parts.registry.get_sample_value(name, {"role": "challenger"}) or 0)


@dataclass(slots=True, kw_only=True)
class Scene:
    """An L1 with games and an L2 that they are about."""

    l1: RealL1
    l2: RealL2
    folder: Path
    claimant: Claimant
    """Makes games."""
    hurried: Claimant
    """Ends games."""
    undecided: list[Address] = field(default_factory=list)
    """Games that somebody wants to end for those who made them."""

    def withdrawal(self, value: int, *, user: int = 1, gas_limit: int = 50_000) -> bytes:
        """A user's transaction that sends so much to TARGET."""
        return sign_transfer(
            self.l2.rollup.users[user],
            nonce=self.l2.nonce(user),
            to=MESSAGE_PASSER,
            value=value,
            data=initiate_withdrawal(TARGET, gas_limit=gas_limit),
            gas_limit=300_000,
            max_fee_per_gas=10**9,
            max_priority_fee_per_gas=0,
            chain_id=self.l2.rollup.parameters.chain_id,
        )

    async def grow(self, *raws: bytes) -> Hash32:
        """L2 blocks, the first with these transactions, all of them safe; gives the first transaction's hash."""
        self.l2.build(raws, advances=True)
        self.l2.build()
        goal = self.l2.chain.head.header.number
        with trio.fail_after(PATIENCE_S):
            while self.l2.chain.safe.header.number < goal:
                await self.mine()
                await trio.sleep(0.02)
        return keccak256(raws[0])

    async def mine(self, *, takes: int = 1_000) -> BuiltBlock:
        """An L1 block, and the replica has read it."""
        block = await self.l1.mine(takes=takes)
        await self.l2.caught_up()
        return block

    async def abandon(self, lost: BuiltBlock) -> None:
        """L1 leaves a block for another branch from the one below it, with nothing of the pool on it."""
        builder = self.l1.rollup.builder
        await self.l1.mine(on=lost.parent_hash, takes=0)
        while self.l1.chain.is_canonical(lost.hash):
            await self.l1.mine(on=list(builder.blocks)[-1], takes=0)
        await self.l2.caught_up()

    async def game(self, parts: RoleParts, roots: list[Hash32] | None = None) -> Game:
        """A game over all safe blocks that L1 holds; true unless its roots are given."""
        claimed = roots or true_roots(self.l2, 1, self.l2.chain.safe.header.number)
        claim = await self.claimant.claim(claimed)
        await self.mine()
        found = by_claim(await parts.games.look())[claim.roots_id]
        self.undecided.append(found.address)
        return found

    async def try_to_resolve(self, parts: RoleParts) -> None:
        """Somebody asks L1 to end the open games, with what is final now; may be refused."""
        proof = parts.prove_finality()
        games = (await parts.games.look()).games
        for game in games.values():
            if proof is not None and game.is_open and game.address in self.undecided:
                call = resolve(proof.header, proof.epoch, proof.branch, proof.timestamp)
                await self.hurried.send(game.address, call, gas=500_000)

    @asynccontextmanager
    async def relaying(self) -> AsyncIterator[Relay]:
        """A relayer with its files; another one over the same files may follow."""
        async with running_parts(self.l2, RELAYER, self.folder) as parts:
            genesis = self.l2.chain.canonical_hash(0)
            assert genesis is not None
            index = WithdrawalIndex(
                self.folder / "withdrawals.sqlite", self.l2.chain, self.l2.engine
            )
            asked = AskedList(self.folder / "asked.sqlite", genesis_hash=genesis)
            withdrawals = Withdrawals(
                LookingParts(
                    l2=self.l2.chain,
                    l2_engine=self.l2.engine,
                    l1=self.l2.view,
                    states=parts.states,
                    worker=parts.worker,
                    index=index,
                    slot_seconds=2,
                )
            )
            yield Relay(
                site=self,
                parts=parts,
                withdrawals=withdrawals,
                relayer=Relayer(
                    l1=parts.l1,
                    sender=parts.sender,
                    submitter=RELAYER.address,
                    withdrawals=withdrawals,
                    asked=asked,
                    metrics=RelayingMetrics(parts.registry),
                ),
                view=BridgeAtNode(
                    withdrawals,
                    l2=self.l2.chain,
                    l1=self.l1.chain,
                    l1_engine=self.l1.engine,
                    asked=asked,
                ),
            )
            index.close()
            asked.close()

    # -- what L1 holds

    def balance(self, address: Address) -> int:
        """Wei on L1's head."""
        root = self.l1.chain.head.header.state_root
        return self.l1.engine.accounts(root, [address])[0][1]

    def paid_for(self) -> tuple[int, int, int]:
        """The relayer's transactions on L1's chain, and how many proofs and settlements all of L1 holds."""
        count = proofs = settlements = 0
        for number in range(1, self.l1.chain.head.header.number + 1):
            block = self.l1.chain.block_by_number(number)
            assert block is not None
            for receipt in orjson.loads(self.l1.engine.receipts_json(block.rlp, block.receipts)):
                count += receipt["from"] == "0x" + RELAYER.address.hex()
                topics = [log["topics"][0] for log in receipt["logs"]]
                proofs += topics.count("0x" + WITHDRAWAL_PROVEN.hex())
                settlements += topics.count("0x" + WITHDRAWAL_FINALIZED.hex())
        return count, proofs, settlements


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    """A new rollup with a few L1 blocks."""
    rollup = make_disputed_rollup()
    async with (
        running_l1(rollup, folder / "l1") as l1,
        running_l2(rollup, l1, folder / "l2", batching=BatchingOptions(interval_ms=100)) as l2,
    ):
        site = Scene(
            l1=l1,
            l2=l2,
            folder=folder,
            claimant=Claimant(l1=l1, l2=l2, account=rollup.users[0]),
            hurried=Claimant(l1=l1, l2=l2, account=rollup.users[2]),
        )
        await site.mine()
        await site.mine()
        yield site
