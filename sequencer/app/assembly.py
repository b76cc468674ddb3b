"""A sequencer or a replica put together.

    SequencerConfig -> role and keys -> opening -> serving

Deliberately absent: what every L2 process has in common (`opening`, `serving`).
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node.app.failures import SetupError
from node.consensus.genesis import Genesis
from node.rollup.parameters import RollupParameters
from node.runtime.fault_catalogue import faults_of
from node.runtime.faults import FaultBoard
from sequencer.app.core import ReplicaRole, SequencerRole
from sequencer.app.files import read_account, read_secret
from sequencer.app.opening import open_l2
from sequencer.app.serving import open_health, open_rpc, run_l2
from sequencer.batching.options import BatchingOptions
from sequencer.building.limits import SealingLimits
from sequencer.config import SequencerConfig


async def run_sequencer(
    config: SequencerConfig, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Run a sequencer or a replica until cancelled; started once every port is bound.

    Raises SetupError, Corruption.
    """
    with ExitStack() as closing:
        opened = await open_l2(
            config,
            closing,
            read_role=partial(read_role, config),
            faults=FaultBoard(faults_of(config.role)),
        )
        await run_l2(
            opened,
            open_rpc(opened),
            open_health(opened),
            kind=config.role,
            task_status=task_status,
        )


def read_role(
    config: SequencerConfig, genesis: Genesis, parameters: RollupParameters
) -> SequencerRole | ReplicaRole:
    """What the process does, and the keys it does it with. Raises SetupError."""
    if config.role == "replica":
        return ReplicaRole(sequencer=config.forward_to)
    assert config.unsafe_key_file is not None, "checked with the configuration"
    key = Ed25519PrivateKey.from_private_bytes(
        read_secret(config.unsafe_key_file, "unsafe_key_file")
    )
    if key.public_key().public_bytes_raw() != parameters.sequencer_key:
        raise SetupError(
            f"unsafe_key_file {config.unsafe_key_file}: not the key of `rollup.sequencer_key`"
        )
    batcher = read_account(config.batcher_key_file, "batcher_key_file", genesis.chain_id)
    assert batcher is not None, "checked with the configuration"
    if batcher.address != parameters.batcher:
        raise SetupError(
            f"batcher_key_file {config.batcher_key_file}: not the key of `rollup.batcher`"
        )
    return SequencerRole(
        sign=key.sign,
        batcher=batcher,
        sealing=SealingLimits(
            burst_blocks=config.sealing.burst_blocks,
            refill_per_second=config.sealing.refill_blocks_per_second,
        ),
        batching=BatchingOptions(
            interval_ms=config.batcher.interval_ms, in_flight_max=config.batcher.in_flight_max
        ),
        brotli_quality=config.batcher.brotli_quality,
    )
