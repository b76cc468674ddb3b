"""The part of a node that a simulation runs too: chain, pool, sync and validator over some network.

    Surroundings -> open_core -> CoreNode.run

Deliberately absent: sockets, files and signals (`assembly`), JSON-RPC and health.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import trio
from prometheus_client import CollectorRegistry

from node.app.faults import wire_faults
from node.app.finality import FinalityProofs
from node.blobs.files import BlobFiles, MemoryFiles
from node.blobs.keeper import BlobChecker, BlobKeeper
from node.chain.chain import Chain, ChainOptions, open_chain
from node.chain.importing import ChainEngine
from node.chain.metrics import ChainMetrics
from node.consensus.genesis import Genesis
from node.consensus.signing import SignatureVerifier
from node.eth.primitives import Slot
from node.p2p.network import Network, PeerId, RequestFailed, RequestKind, Topic, Verdict
from node.runtime.clock import SlotClock
from node.runtime.faults import FaultBoard
from node.runtime.worker import Worker
from node.storage.chain_database import ChainDatabase
from node.sync.blobs import BlobService
from node.sync.gossip import GossipService
from node.sync.service import Progress, SyncService
from node.txpool.blob_room import PricesAfter, devnet_prices
from node.txpool.service import PoolService
from node.txpool.surroundings import PoolEngine, PoolNetwork
from node.validator.building import BuildingEngine
from node.validator.keys import ValidatorKey
from node.validator.metrics import ValidatorMetrics
from node.validator.service import ValidatorParts, ValidatorService
from node.validator.signer import Signer
from node.validator.slashing_protection import SlashingProtection


class CoreEngine(ChainEngine, PoolEngine, BuildingEngine, BlobChecker, Protocol):
    """What chain, pool and validators ask of execution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a node stands in."""

    genesis: Genesis
    """What the chain starts from."""
    engine: CoreEngine
    """Execution."""
    database: ChainDatabase
    """Blocks and states."""
    network: Network
    """Peers."""
    clock: SlotClock
    """Slots."""
    worker: Worker
    """Where importing runs."""
    duty_worker: Worker
    """Where building and signing run."""
    registry: CollectorRegistry
    """Where metrics go."""
    verify: SignatureVerifier
    """Ed25519, strict."""
    options: ChainOptions
    """What of the chain is kept."""
    journal: Path | None
    """Where local transactions outlive a restart."""
    keys: Sequence[ValidatorKey]
    """Validator keys of this process; none makes a follower."""
    protection: SlashingProtection | None
    """The signer's database; None without keys."""
    fresh_keys: frozenset[bytes]
    """Keys whose rows were made in this run."""
    faults: FaultBoard
    """What to do wrong on purpose."""
    name: str
    """The process's name in the manifest."""
    blob_files: BlobFiles = field(default_factory=MemoryFiles)
    """Where blobs lie."""
    prices_after: PricesAfter = devnet_prices
    """What gas and blob gas cost after a block."""


class CoreNode:
    """An opened node; `run` it after the network was told whom to serve."""

    def __init__(self, around: Surroundings, chain: Chain, blobs: BlobKeeper) -> None:
        self.blobs: Final = blobs
        """Its blobs."""
        self.chain: Final = chain
        """Its chain."""
        self.faults: Final = around.faults
        """What it does wrong on purpose."""
        self.public_keys: Final = tuple(key.public_key for key in around.keys)
        """Keys it signs with; 32 bytes each."""
        self.pool: Final = _open_pool(around, chain, blobs)
        """Its pool."""
        self.proofs: Final = FinalityProofs(chain)
        """Certificates of finality."""
        blobs.pin(self.pool.needs_blob)
        self._blob_service = BlobService(
            chain,
            blobs,
            around.network,
            around.registry,
            are_withheld=partial(_withholds_blobs, around.faults),
        )
        self._sync = SyncService(
            chain, around.network, around.registry, self._blob_service.fetch_from
        )
        self._gossip = GossipService(chain, around.network)
        self._validator = self._open_validator(around)
        wire_faults(around.faults, around.network, around.clock, around.name)

    def sync_progress(self) -> Progress | None:
        """How far catching up has come; None when it is done."""
        return self._sync.progress()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Follow the chain and do the duties until cancelled; started once all parts are."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.chain.run)
            await nursery.start(self.pool.run)
            await nursery.start(self.faults.run)
            await nursery.start(self.proofs.run)
            await nursery.start(self.blobs.run)
            nursery.start_soon(self._blob_service.run)
            nursery.start_soon(self._gossip.run)
            nursery.start_soon(self._sync.run)
            if self._validator is not None:
                await nursery.start(self._validator.run)
            task_status.started()

    def _open_validator(self, around: Surroundings) -> ValidatorService | None:
        if not around.keys:
            return None
        assert around.protection is not None, "keys are never used without protection"
        return ValidatorService(
            ValidatorParts(
                chain=self.chain,
                clock=around.clock,
                engine=around.engine,
                pool=self.pool,
                signer=Signer(around.keys, around.protection, self.chain.rules.domains),
                worker=around.duty_worker,
                publish=around.network.publish,
                is_syncing=self._sync.is_syncing,
                metrics=ValidatorMetrics(around.registry),
                faults=around.faults,
                fresh_keys=around.fresh_keys,
            )
        )


async def open_core(around: Surroundings) -> CoreNode:
    """Open the chain and put the parts around it. Raises UnusableFolder, Corruption."""
    blobs = open_blobs(around)
    chain = await open_chain(
        genesis=around.genesis,
        engine=around.engine,
        database=around.database,
        verify=around.verify,
        worker=around.worker,
        clock=around.clock,
        metrics=ChainMetrics(around.registry),
        options=around.options,
        blobs=blobs,
    )
    return CoreNode(around, chain, blobs)


def open_blobs(around: Surroundings) -> BlobKeeper:
    """Open the node's blobs. Raises OSError."""
    return BlobKeeper(
        files=around.blob_files,
        checker=around.engine,
        worker=around.worker,
        slot=around.clock.current_slot,
        registry=around.registry,
    )


def _withholds_blobs(faults: FaultBoard) -> bool:
    return faults.find("withhold-blobs") is not None


def _open_pool(around: Surroundings, chain: Chain, blobs: BlobKeeper) -> PoolService:
    network = around.network

    async def request(peer: str, body: bytes) -> bytes:
        return await network.request(PeerId(peer), RequestKind.TRANSACTIONS, body)

    pool = PoolService(
        engine=around.engine,
        head=chain.head,
        worker=around.worker,
        network=PoolNetwork(
            publish=lambda message: network.publish(Topic.L1_TX, message),
            request=request,
            failures=(RequestFailed,),
            blame=lambda peer, reason: network.report(PeerId(peer), reason),
            configured=frozenset(network.names().values()),
        ),
        clock=around.clock,
        registry=around.registry,
        journal_path=around.journal,
        blobs=blobs,
        withholds_blobs=partial(_withholds_blobs, around.faults),
        prices_after=around.prices_after,
    )

    async def on_gossip(peer: PeerId, message: bytes) -> Verdict:
        return Verdict(await pool.on_gossip(peer, message))

    network.subscribe(Topic.L1_TX, on_gossip)
    network.serve(RequestKind.TRANSACTIONS, pool.serve)
    return pool


def chain_lag(chain: Chain, clock: SlotClock, lag_slots_max: int) -> str | None:
    """Why the chain is not followed closely enough; None when it is."""
    first = chain.rules.parameters.first_proposal_slot
    lag = clock.current_slot() - max(Slot(first), chain.head_slot)
    if lag > lag_slots_max:
        return f"the head is {lag} slots old, at most {lag_slots_max} is ready"
    return None
