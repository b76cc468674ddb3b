"""A whole rollup in one process with the contracts of disputes and STEP on its L1; over `real_rollup`.

rollup = make_disputed_rollup()                  genesis files, a builder of L1 blocks whose precompile is the real STEP
async with running_l1(rollup, folder) as l1, running_l2(rollup, l1, folder) as l2:
    async with running_parts(l2, account, folder) as parts:   what a role of the bridge works with, its sender running
    Liar(l1, l2, user)                                        publishes roots and makes games of them, true or not

Deliberately absent: which roles run (the tests).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson
import trio
from prometheus_client import CollectorRegistry

from bridge.games.book import GameBook, Games
from bridge.games.finality import prove_finality
from bridge.games.reading import Game
from bridge.l1_state import L1States
from bridge.role import RoleParts
from bridge.sending.journal import Journal
from bridge.sending.metrics import SendingMetrics
from bridge.sending.options import SendingOptions
from bridge.sending.planning import Outcome
from bridge.sending.sender import Sender as WantSender, SenderParts
from node.chain.chain import Chain
from node.contracts import disputes
from node.contracts.addresses import DISPUTE_GAME_FACTORY, ROOT_REGISTRY
from node.contracts.alloc import DisputeTerms, SystemTerms, dispute_allocations, system_config
from node.eth.hashing import keccak256
from node.eth.primitives import Address, BlockNumber, Hash32
from node.execution.adapter import RevmEngine
from node.execution.stepping import step_callable
from node.rollup.claims import Claim, RootTree
from node.rollup.outputs import output_of
from node.rollup.parameters import RollupParameters
from node.runtime.fault_catalogue import faults_of
from node.runtime.faults import FaultBoard
from node.runtime.worker import ThreadWorker
from sequencer.batching.signing import L1Account
from tests.kit.chain_builder import ChainBuilder, make_genesis, make_keys
from tests.kit.real_chain import LateClock
from tests.kit.real_rollup import (
    ETHER,
    LAST_SLOT,
    RealL1,
    RealL2,
    RealRollup,
    make_documents,
)
from tests.kit.transfers import Sender, sender, sign_transfer

WINDOW: Final = 6
"""Final L1 blocks until a game may stand."""

QUIET: Final = 3
"""And after the last fault."""

AIR_GAP: Final = 2
"""L1 blocks until a decided game counts."""

BOND_WEI: Final = ETHER
"""Of a game."""

CHALLENGERS: Final = tuple(L1Account(bytes((0xCA, number)) * 16, 900) for number in range(2))
"""Accounts of challengers."""

GUARDIAN: Final = sender("guardian")
"""May pause, blacklist and retire."""

GAME_GAS: Final = 2_000_000
"""More than making a game uses."""

PUBLISH_GAS: Final = 120_000
"""Of a publication, beside 3,000 for each root; one of a single root uses 106,400."""


def dispute_contracts(
    parameters: RollupParameters, anchor_root: Hash32, *, window_blocks: int = WINDOW
) -> dict[str, dict[str, object]]:
    """The contracts of disputes, for L1's genesis."""
    system = SystemTerms(
        guardian=Address(GUARDIAN.address),
        batcher=parameters.batcher,
        l2_chain_id=parameters.chain_id,
        gas_limit=parameters.gas_limit,
        base_fee_scalar=parameters.l1_base_fee_scalar,
        blob_base_fee_scalar=parameters.l1_blob_base_fee_scalar,
        operator_fee_scalar=parameters.operator_fee_scalar,
        operator_fee_constant=parameters.operator_fee_constant,
    )
    terms = DisputeTerms(
        config_hash=parameters.config_hash(),
        anchor_root=anchor_root,
        window_blocks=window_blocks,
        quiet_blocks=QUIET,
        air_gap_blocks=AIR_GAP,
        bond_wei=BOND_WEI,
    )
    return system_config(system) | dispute_allocations(terms)


def make_disputed_rollup(*, users: int = 4, window_blocks: int = 30) -> RealRollup:
    """The same rollup every time; its L1 judges claims."""
    keys = make_keys(4)
    genesis = make_genesis(keys)
    funded = [sender(f"rollup user {number}") for number in range(users)]
    others = [GUARDIAN.address, *(one.address for one in CHALLENGERS)]
    addresses = [*(one.address for one in funded), *others]
    documents = make_documents(
        genesis, addresses, window_blocks=window_blocks, more=dispute_contracts
    )
    step = step_callable(RevmEngine(documents.l2), documents.parameters)
    return RealRollup(
        parameters=documents.parameters,
        genesis=genesis,
        l1_document=documents.l1,
        l2_document=documents.l2,
        builder=ChainBuilder(genesis, keys, RevmEngine(documents.l1, step=step)),
        users=funded,
        step=step,
    )


# -- a role's surroundings


def outcome_on(chain: Chain, engine: RevmEngine, transaction_hash: Hash32) -> Outcome | None:
    """What L1's chain holds of a transaction."""
    found = chain.transaction_block(transaction_hash)
    if found is None:
        return None
    block, index = found
    receipt = orjson.loads(engine.receipt_json(block.rlp, block.receipts, index))
    return Outcome(number=block.header.number, succeeded=receipt["status"] == "0x1")


@asynccontextmanager
async def running_parts(l2: RealL2, account: L1Account, folder: Path) -> AsyncIterator[RoleParts]:
    """What a role works with over a replica; its sender runs until the block ends. The folder exists."""
    l1 = l2.l1
    registry, worker = CollectorRegistry(), ThreadWorker(threads_max=2)
    states = L1States(l1.chain, l1.engine)
    genesis = l1.chain.block_by_number(0)
    assert genesis is not None
    journal = Journal(folder / f"journal-{account.address.hex()}.sqlite", genesis_hash=genesis.hash)
    out = WantSender(
        SenderParts(
            role="challenger",
            account=account,
            l1=l2.view,
            states=states,
            outcome=lambda one: outcome_on(l1.chain, l1.engine, one),
            pool=l1.pool,
            journal=journal,
            worker=worker,
            metrics=SendingMetrics(registry),
            options=SendingOptions(),
        )
    )
    with closing(journal):
        async with trio.open_nursery() as nursery:
            await nursery.start(out.run)
            yield RoleParts(
                parameters=l2.rollup.parameters,
                l1=l2.view,
                states=states,
                games=GameBook(l1.chain, states, l1.engine, worker),
                l1_engine=l1.engine,
                pool=l1.pool,
                l2=l2.chain,
                l2_engine=l2.engine,
                deriver=l2.deriver,
                sender=out,
                prove_finality=lambda: prove_finality(l1.chain, l2.view.confirmed),
                worker=worker,
                clock=LateClock(l2.rollup.genesis, LAST_SLOT),
                faults=FaultBoard(faults_of("watchtower")),
                registry=registry,
                folder=folder,
            )
            nursery.cancel_scope.cancel()


# -- games


def true_roots(l2: RealL2, first: int, last: int) -> list[Hash32]:
    """Output roots of the L2 after its blocks, both included."""
    found: list[Hash32] = []
    for number in range(first, last + 1):
        block = l2.chain.block_by_number(number)
        assert block is not None
        found.append(output_of(block.header).root())
    return found


def lied(root: Hash32, salt: int = 0) -> Hash32:
    """Another root."""
    return keccak256(root + salt.to_bytes(8))


@dataclass(slots=True, kw_only=True)
class Claimant:
    """Somebody who makes games, with an account of L1."""

    l1: RealL1
    """Where."""
    l2: RealL2
    """About what."""
    account: Sender
    """Pays."""
    next_nonce: int | None = None
    """Of what is handed in next; None asks L1."""
    made: list[Claim] = field(default_factory=list)
    """What was claimed."""

    async def send(self, to: bytes, data: bytes, *, value: int = 0, gas: int = GAME_GAS) -> Hash32:
        """Hand in a call; the transaction's hash."""
        root = self.l1.chain.head.header.state_root
        known = self.l1.engine.accounts(root, [self.account.address])[0][0]
        nonce = max(known, self.next_nonce or 0)
        raw = sign_transfer(self.account, nonce=nonce, to=to, value=value, gas_limit=gas, data=data)
        submitted = await self.l1.pool.submit(raw)
        assert submitted.refusal is None, submitted.refusal
        self.next_nonce = nonce + 1
        return submitted.hash

    async def claim(
        self, roots: Sequence[Hash32], *, start: int = 0, parent: Address | None = None
    ) -> Claim:
        """Hand in what publishes roots after `start` and makes a game of them; a test fails where L1 refuses either."""
        tree = RootTree(tuple(roots))
        claim = Claim(
            l2_block=BlockNumber(start + len(roots)),
            parent=parent,
            roots_id=tree.id,
            accumulator=self._accumulator(start + len(roots)),
        )
        for chunk in tree.chunks:
            gas = PUBLISH_GAS + 3_000 * len(chunk.roots)
            call = disputes.publish(chunk.roots)
            self.l1.must_succeed.add(await self.send(ROOT_REGISTRY, call, gas=gas))
        if len(tree.chunks) > 1:
            trees = [chunk.tree for chunk in tree.chunks]
            lasts = [chunk.last for chunk in tree.chunks]
            await self.send(ROOT_REGISTRY, disputes.span(trees, lasts, len(roots)))
        create = disputes.create(roots[-1], claim.encode())
        made = await self.send(DISPUTE_GAME_FACTORY, create, value=BOND_WEI)
        self.l1.must_succeed.add(made)
        self.made.append(claim)
        return claim

    def _accumulator(self, number: int) -> Hash32:
        index = self.l2.chain.batch_of(number)
        assert index is not None, "a claim about blocks that are not safe"
        return self.l2.deriver.book.placed(index).tip.accumulator


def by_claim(games: Games) -> Mapping[Hash32, Game]:
    """Games by the name of their roots."""
    return {game.roots_id: game for game in games.games.values()}
