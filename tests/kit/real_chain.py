"""The chain of the harness on the native engine: real states, real tables, real signatures.

make_real_network gives keys, a genesis file and a builder; running_chain a chain over a data folder in this process.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio
from prometheus_client import CollectorRegistry

from node.chain.chain import Chain, ChainOptions, open_chain
from node.chain.metrics import ChainMetrics
from node.consensus.genesis import Genesis
from node.execution.adapter import RevmEngine, open_tables, verify_signatures
from node.runtime.clock import SlotClock, SystemClock
from node.runtime.worker import ThreadWorker, Worker
from node.storage.chain_database import ChainDatabase
from tests.kit.chain_builder import ChainBuilder, make_genesis, make_keys
from tests.kit.execution_chain import genesis_document
from tests.kit.transfers import Sender, sender

TABLES = "chain.redb"
"""File of the chain's tables in a data folder."""

STATES = "states"
"""The engine's folder in a data folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RealNetwork:
    """A network whose blocks the native engine executes."""

    genesis: Genesis
    """What consensus starts from."""
    document: bytes
    """The genesis file."""
    builder: ChainBuilder
    """Makes blocks and votes, on an engine of its own in memory."""
    senders: Sequence[Sender]
    """Funded accounts."""


def make_real_network(validators: int = 4, *, senders: int = 0) -> RealNetwork:
    """The same network every time."""
    keys = make_keys(validators)
    genesis = make_genesis(keys)
    funded = [sender(f"sender {number}") for number in range(senders)]
    accounts: dict[str, object] = {
        "0x" + one.address.hex(): {"balance": hex(10**24)} for one in funded
    }
    document = genesis_document(accounts) | {
        "timestamp": hex(genesis.time),
        "gasLimit": hex(120_000_000),
        "extraData": "0x" + genesis.extra_data.hex(),
    }
    encoded = json.dumps(document).encode()
    builder = ChainBuilder(genesis, keys, RevmEngine(encoded))
    return RealNetwork(genesis=genesis, document=encoded, builder=builder, senders=funded)


class LateClock(SlotClock):
    """A slot clock of the machine's time at which a slot of the past is now."""

    def __init__(self, genesis: Genesis, slot: int) -> None:
        duration_ms = 1_000 * genesis.parameters.slot_seconds
        super().__init__(
            genesis_time_ms=1_000 * genesis.time, slot_duration_ms=duration_ms, wall=SystemClock()
        )
        self.skew_ms = self.start_ms(slot) - self.now_ms()


async def open_real_chain(
    network: RealNetwork,
    folder: Path,
    *,
    slot: int,
    worker: Worker | None = None,
    registry: CollectorRegistry | None = None,
    options: ChainOptions | None = None,
) -> Chain:
    """A chain over a data folder; its tasks do not run yet."""
    return await open_chain(
        genesis=network.genesis,
        engine=RevmEngine(network.document, folder=folder / STATES),
        database=ChainDatabase(open_tables(folder / TABLES), folder=str(folder)),
        verify=verify_signatures,
        worker=worker if worker is not None else ThreadWorker(threads_max=2),
        clock=LateClock(network.genesis, slot),
        metrics=ChainMetrics(registry if registry is not None else CollectorRegistry()),
        options=options,
    )


@asynccontextmanager
async def running_chain(
    network: RealNetwork,
    folder: Path,
    *,
    slot: int,
    worker: Worker | None = None,
    registry: CollectorRegistry | None = None,
) -> AsyncIterator[Chain]:
    """A running chain over a data folder, in this process."""
    chain = await open_real_chain(network, folder, slot=slot, worker=worker, registry=registry)
    async with trio.open_nursery() as nursery:
        await nursery.start(chain.run)
        yield chain
        nursery.cancel_scope.cancel()
    close_real_chain(chain)


def close_real_chain(chain: Chain) -> None:
    """Let go of the files, so that the next process of the test can open them."""
    engine = chain._live.engine
    assert isinstance(engine, RevmEngine)
    engine.close()
    chain._store.database.close()
