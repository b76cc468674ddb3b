"""What one L2 process is told at start: a JSON file, checked to the last key.

    python -m sequencer --config FILE -> load_config -> SequencerConfig -> app

One program, two roles: a sequencer seals and posts blocks, a replica derives and follows them. Both follow L1 as a full
node without validator keys. Written by the supervisor or by whoever runs a container; paths are absolute or relative to the file.
Secrets are never in it, only the paths of the files that hold them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import Field, model_validator

from node.config import (
    EngineConfig,
    LogConfig,
    MetricsConfig,
    P2pConfig,
    RpcConfig,
    Section,
    read_config,
)


class SealingConfig(Section):
    """When the sequencer closes a block (ROLLUP.md 1.6)."""

    burst_blocks: int = Field(default=2_000, ge=1, le=100_000)
    """Blocks that may be sealed at once, one for each transaction, before they are rationed."""
    refill_blocks_per_second: int = Field(default=200, ge=1, le=10_000)
    """How fast the ration grows back."""


class BatcherConfig(Section):
    """How blocks are posted to L1."""

    interval_ms: int = Field(default=2_000, ge=100, le=3_600_000)
    """Milliseconds after which a batch is posted though it has room left."""
    in_flight_max: int = Field(default=64, ge=1, le=128)
    """Batches on their way to L1 at once: 4,000 transfers a second fill 22 to 28 in a slot, and L1 may need two to take them."""
    brotli_quality: int = Field(default=5, ge=0, le=11)
    """How hard a batch is compressed."""


class L2Config(Section):
    """What every L2 process is told, whatever it does: a sequencer, a replica, a bridge."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")
    """The process's name in the manifest: sequencer, bridge."""
    data_dir: Path
    """Folder for everything it stores, of both chains."""
    genesis_file: Path
    """The L1's genesis.json, with its `rollup` object."""
    l2_genesis_file: Path
    """l2-genesis.json."""
    network_file: Path | None = None
    """JSON that `devnet_info` answers; read at every call, because process ids change."""
    forcer_key_file: Path | None = None
    """secp256k1 key of an account that calls `forceEmpty` when it is due, 64 hex digits, mode 0600; without it nothing is forced."""
    forward_to: str | None = None
    """Name of the peer that transactions are forwarded to; never a sequencer's."""
    rpc: RpcConfig = RpcConfig(port=9545)
    """JSON-RPC of the L2."""
    metrics: MetricsConfig = MetricsConfig(port=9150)
    """Metrics and health."""
    p2p: P2pConfig
    """libp2p, for both chains."""
    log: LogConfig = LogConfig()
    """Logs."""
    l1_engine: EngineConfig = EngineConfig()
    """Execution of L1 blocks."""
    l2_engine: EngineConfig = EngineConfig()
    """Execution of L2 blocks."""
    faults: bool = False
    """Whether faults may be asked for."""

    @model_validator(mode="after")
    def _forwards_to_a_peer(self) -> Self:
        """Check that transactions have somewhere to go."""
        if self.forward_to is not None and self.forward_to not in {
            peer.name for peer in self.p2p.peers
        }:
            raise ValueError("forward_to: a replica names one of p2p.peers, a sequencer none")
        return self


class SequencerConfig(L2Config):
    """A sequencer or a replica."""

    role: Literal["sequencer", "replica"]
    """What it does."""
    unsafe_key_file: Path | None = None
    """Ed25519 seed that unsafe blocks are signed with, 64 hex digits, mode 0600; the sequencer's alone."""
    batcher_key_file: Path | None = None
    """secp256k1 key of the account that posts batches, 64 hex digits, mode 0600; the sequencer's alone."""
    sealing: SealingConfig = SealingConfig()
    """Sealing; the sequencer's alone."""
    batcher: BatcherConfig = BatcherConfig()
    """Posting; the sequencer's alone."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Check that the role has what it needs, and no key of the other's."""
        is_sequencer = self.role == "sequencer"
        for key in ("unsafe_key_file", "batcher_key_file"):
            if (getattr(self, key) is not None) != is_sequencer:
                raise ValueError(f"{key}: a sequencer needs it, a replica has none")
        if self.forward_to is not None and is_sequencer:
            raise ValueError("forward_to: a replica names one of p2p.peers, a sequencer none")
        return self


def load_config(file: Path) -> SequencerConfig:
    """Read and check the configuration file of a sequencer or a replica.

    Raises:
        ConfigError: with the key, the file, what was found and what is wanted.
    """
    return with_paths(read_config(file, SequencerConfig), file.parent)


Config = TypeVar("Config", bound=L2Config)


def with_paths(config: Config, folder: Path) -> Config:
    """Make relative paths relative to the file's folder: every key whose name ends in `_dir` or `_file`."""
    # Joining an absolute path gives that path.
    paths = {
        key: folder / value
        for key, value in config
        if key.endswith(("_dir", "_file")) and isinstance(value, Path)
    }
    p2p = config.p2p.model_copy(update={"key_file": folder / config.p2p.key_file})
    return config.model_copy(update={**paths, "p2p": p2p})
