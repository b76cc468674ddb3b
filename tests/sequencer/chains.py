"""L2 chains on disk for tests: blocks sealed by hand, processes that are killed.

site = Folder(tmp_path);  async with site.open() as chain: ...      one process after the other
blocks = Hand(site.engine, chain);  blocks.append(2)                a block with two transfers
assert_holds(chain, site.engine, blocks)                            every look-up tells of these blocks
site.kill()                                                         what the next process finds, had this one been killed now
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from node.eth.blocks import Block
from node.eth.hashing import keccak256
from node.eth.primitives import Hash32
from node.execution.adapter import RevmEngine
from node.execution.engine import BlockResult, L2Attributes
from node.rollup.derivation import Origin, deposits_of
from node.runtime.clock import TrioClock
from node.runtime.worker import InlineWorker, Worker
from sequencer.heads import ChainOptions, L2Chain, open_l2_chain
from sequencer.l1.places import L1Ref
from tests.kit.building import PARAMETERS, genesis_document, transfer, users
from tests.kit.memory_tables import Disk, MemoryTables
from tests.kit.rollup import GENESIS_TIME

GENESIS_ORIGIN = L1Ref(number=0, hash=Hash32(b"\xee" * 32))
"""L1's genesis block."""


def origin_at(number: int) -> L1Ref:
    """The origin of a block: a new one every third block."""
    return L1Ref(number=number // 3, hash=Hash32((number // 3).to_bytes(32)))


def assert_holds(chain: L2Chain, engine: object, blocks: list[Block]) -> None:
    """Given the blocks from genesis on, every look-up tells the same story."""
    assert chain.head == blocks[-1]
    assert chain.block_by_number(len(blocks)) is None
    assert chain.block_by_number(-1) is None
    rows = [(block.hash, block.header.logs_bloom) for block in blocks]
    assert chain.blooms(0, len(blocks) + 10) == rows
    for number, block in enumerate(blocks):
        assert chain.block_by_number(number) == block
        assert chain.block_by_hash(block.hash) == block
        assert chain.is_canonical(block.hash)
        assert chain.canonical_hash(number) == block.hash
        assert chain.origin_of(block.hash) == (origin_at(number) if number else GENESIS_ORIGIN)
        expected = b"".join(one.hash for one in reversed(blocks[max(0, number - 256) : number]))
        assert chain.ancestors(block.hash) == expected
        for index, raw in enumerate(engine.raw_transactions(block.rlp)):  # type: ignore[attr-defined]
            assert chain.transaction_block(keccak256(raw)) == (block, index)


class Folder:
    """What outlives a process; a kill moves it on to a copy, so that the dead one writes into the void."""

    def __init__(self, path: Path) -> None:
        self.disk = Disk()
        self.engine: RevmEngine | None = None
        self._path = path
        self._lives = 0

    @property
    def path(self) -> Path:
        """Where the living process works."""
        return self._path / str(self._lives)

    def kill(self) -> None:
        """Keep what a process that is killed now leaves."""
        old = self.path
        self._lives += 1
        shutil.copytree(old, self.path)
        self.disk = Disk(
            tables={name: dict(rows) for name, rows in self.disk.tables.items()},
            writes=self.disk.writes,
        )

    @asynccontextmanager
    async def open(
        self,
        *,
        dies_at: tuple[int, bool] | None = None,
        options: ChainOptions | None = None,
        lost_states: bool = False,
        worker: Worker | None = None,
    ) -> AsyncIterator[L2Chain]:
        """A process on this folder; with `lost_states`, after a power loss took every state."""
        if lost_states:
            shutil.rmtree(self.path / "states")
        engine = RevmEngine(genesis_document(), folder=self.path / "states")
        self.engine = engine
        tables = MemoryTables(self.disk, dies_at=dies_at)
        try:
            chain = await open_l2_chain(
                engine=engine,
                tables=tables,
                folder=self.path / "journal",
                genesis_origin=GENESIS_ORIGIN,
                worker=worker or InlineWorker(),
                wall=TrioClock(started_at_ms=GENESIS_TIME * 1_000),
                options=options,
            )
            async with trio.open_nursery() as nursery:
                await nursery.start(chain.run)
                yield chain
                nursery.cancel_scope.cancel()
        finally:
            engine.close()


class Hand:
    """Seals blocks on a chain's head by hand."""

    def __init__(self, engine: RevmEngine | None, chain: L2Chain) -> None:
        assert engine is not None
        self.engine = engine
        self.chain = chain

    def seal(self, transfers: int, *, salt: int = 0) -> BlockResult:
        """A block with transfers of different users; its state is committed."""
        head = self.chain.head.header
        opened = L2Attributes(
            timestamp=head.timestamp + salt,
            mix_hash=Hash32(bytes(32)),
            parent_beacon_block_root=Hash32(bytes(32)),
        )
        builder = self.engine.sequence(head.encode(), opened, [], b"")
        for user in range(transfers):
            account = self.engine.account(head.state_root, users()[user].address)
            assert account is not None
            outcomes = builder.push([transfer(user, account.nonce)])
            assert outcomes[0].included, outcomes
        result = builder.seal()
        self.engine.commit(result)
        return result

    def advance(self, origin: Origin) -> Block:
        """Append a block with nothing but the attributes deposit of an L1 origin, at its time."""
        head = self.chain.head.header
        opened = L2Attributes(
            timestamp=max(head.timestamp, origin.header.timestamp),
            mix_hash=origin.header.mix_hash,
            parent_beacon_block_root=Hash32(bytes(32)),
        )
        deposits = deposits_of(PARAMETERS, origin)
        result = self.engine.sequence(head.encode(), opened, deposits, b"").seal()
        self.engine.commit(result)
        return self.chain.append(result, L1Ref(number=origin.number, hash=origin.hash))

    def append(self, transfers: int = 1, *, salt: int = 0) -> Block:
        """Seal and append one."""
        result = self.seal(transfers, salt=salt)
        return self.chain.append(result, origin_at(self.chain.head.header.number + 1))
