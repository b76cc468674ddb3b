"""A sequencer's chain and builder over the native engine and an L1 that is a list.

l1 = ListedL1();  l1.advance(deposit logs)        another confirmed L1 block
async with building(folder) as site: ...          chain and builder, running, on a folder that outlives them
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import trio
from prometheus_client import CollectorRegistry

from node.eth.headers import Header
from node.eth.primitives import ZERO_ADDRESS, ZERO_HASH, BlockNumber, Hash32
from node.execution.adapter import RevmEngine, open_tables
from node.execution.engine import ChainTables
from node.rollup.derivation import Origin
from node.rollup.parameters import RollupParameters
from node.runtime.clock import TrioClock, WallClock
from node.runtime.fault_catalogue import L2_FAULTS
from node.runtime.faults import FaultBoard
from node.runtime.worker import InlineWorker, Worker
from sequencer.building.limits import SealingLimits, WaitingLimits
from sequencer.building.parts import BuilderParts
from sequencer.building.service import Builder
from sequencer.heads import ChainOptions, L2Chain, open_l2_chain
from sequencer.l1.latest import Latest
from sequencer.l1.places import L1Ref
from tests.kit.rollup import GENESIS_TIME
from tests.kit.rollup_chain import CHAIN_ID, rollup_document
from tests.kit.transfers import Sender, sender, sign_transfer

USERS = 8
"""Funded accounts."""

PARAMETERS = RollupParameters(batcher=ZERO_ADDRESS, sequencer_key=b"\x5e" * 32)
"""Every number as it is by default."""


@cache
def users() -> tuple[Sender, ...]:
    """Funded accounts."""
    return tuple(sender(f"builder's user {number}") for number in range(USERS))


def transfer(
    user: int,
    nonce: int,
    *,
    tip: int = 0,
    gas_limit: int = 21_000,
    to: bytes = b"\x77" * 20,
    value: int = 1,
    data: bytes = b"",
    chain: int = CHAIN_ID,
) -> bytes:
    """A user's transfer."""
    return sign_transfer(
        users()[user],
        nonce=nonce,
        to=to,
        value=value,
        data=data,
        gas_limit=gas_limit,
        max_fee_per_gas=10**9 + tip,
        max_priority_fee_per_gas=tip,
        chain_id=chain,
    )


@cache
def genesis_document(extra: tuple[bytes, ...] = ()) -> bytes:
    """The L2's genesis file; further accounts may be funded."""
    addresses = (*(one.address for one in users()), *extra)
    funded = {"0x" + address.hex(): {"balance": hex(10**24)} for address in addresses}
    document = rollup_document(extra_accounts=funded, base_fee_wei=PARAMETERS.base_fee_wei)
    document["timestamp"] = hex(GENESIS_TIME)
    return json.dumps(document).encode()


def origin(number: int, parent: Hash32, requests: Sequence[bytes] = (), salt: int = 0) -> Origin:
    """An L1 block on a parent."""
    header = Header(
        parent_hash=parent,
        fee_recipient=ZERO_ADDRESS,
        state_root=ZERO_HASH,
        number=number,
        gas_limit=120_000_000,
        gas_used=0,
        timestamp=GENESIS_TIME + 2 * number,
        extra_data=bytes([salt]),
        mix_hash=Hash32(number.to_bytes(32)),
        base_fee_per_gas=10**9,
        parent_beacon_block_root=Hash32(b"\x0b" * 32),
    )
    return Origin(
        number=BlockNumber(number), hash=header.hash(), header=header, requests=tuple(requests)
    )


class ListedL1:
    """An L1 whose every block is confirmed."""

    def __init__(self) -> None:
        self.blocks = [origin(0, ZERO_HASH)]
        self.confirmed_number = 0
        self.moved: Latest[L1Ref] = Latest(self.genesis)

    @property
    def genesis(self) -> L1Ref:
        """The first block."""
        return L1Ref(number=0, hash=self.blocks[0].hash)

    @property
    def confirmed(self) -> L1Ref:
        """The newest confirmed one."""
        return L1Ref(number=self.confirmed_number, hash=self.blocks[self.confirmed_number].hash)

    def origin(self, number: int) -> Origin | None:
        """A block."""
        return self.blocks[number] if number < len(self.blocks) else None

    def advance(self, requests: Sequence[bytes] = (), *, confirmed: bool = True) -> None:
        """One more block."""
        last = self.blocks[-1]
        self.blocks.append(origin(last.number + 1, last.hash, requests))
        if confirmed:
            self.confirmed_number = len(self.blocks) - 1
        self.moved.set(self.confirmed)

    def reorganise(self, number: int) -> None:
        """Put another block in the place of one; those above it go."""
        del self.blocks[number:]
        self.blocks.append(origin(number, self.blocks[-1].hash, salt=1))
        self.confirmed_number = number
        self.moved.set(self.confirmed)


@dataclass(slots=True, kw_only=True)
class Site:
    """A sequencer without its neighbours."""

    engine: RevmEngine
    """Execution."""
    tables: ChainTables
    """On disk."""
    chain: L2Chain
    """The L2."""
    builder: Builder
    """What builds it."""
    l1: ListedL1
    """L1."""
    faults: FaultBoard
    """What goes wrong."""
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    """Metrics."""

    def metric(self, name: str, **labels: str) -> float:
        """A metric's value; 0 if there is none."""
        return self.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def building(
    folder: Path,
    *,
    l1: ListedL1 | None = None,
    worker: Worker | None = None,
    sealing_worker: Worker | None = None,
    wall: WallClock | None = None,
    genesis: bytes | None = None,
    limits: WaitingLimits | None = None,
    sealing: SealingLimits | None = None,
    options: ChainOptions | None = None,
    begin: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint,
) -> AsyncIterator[Site]:
    """Open what lies in a folder and run it; blocks are built once `begin` returns."""
    l1 = l1 or ListedL1()
    worker = worker or InlineWorker()
    wall = wall or TrioClock(started_at_ms=GENESIS_TIME * 1_000)
    engine = RevmEngine(genesis or genesis_document(), folder=folder / "states")
    tables = open_tables(folder / "tables")
    registry = CollectorRegistry()
    faults = FaultBoard(L2_FAULTS)
    try:
        chain = await open_l2_chain(
            engine=engine,
            tables=tables,
            folder=folder / "journal",
            genesis_origin=l1.genesis,
            worker=worker,
            wall=wall,
            options=options,
        )
        builder = Builder(
            BuilderParts(
                parameters=PARAMETERS,
                chain=chain,
                engine=engine,
                l1=l1,
                derived=l1.moved,
                worker=worker,
                sealing_worker=sealing_worker or worker,
                wall=wall,
                faults=faults,
                registry=registry,
                kept_file=folder / "waiting",
                limits=limits or WaitingLimits(),
                sealing=sealing or SealingLimits(),
            )
        )
        with builder.kept():
            async with trio.open_nursery() as nursery:
                await nursery.start(chain.run)
                await nursery.start(builder.run, begin)
                yield Site(
                    engine=engine,
                    tables=tables,
                    chain=chain,
                    builder=builder,
                    l1=l1,
                    faults=faults,
                    registry=registry,
                )
                nursery.cancel_scope.cancel()
    finally:
        tables.close()
        engine.close()
