"""What one L2 process is told at start: a JSON file, checked to the last key.

    python -m sequencer --config FILE -> load_config -> SequencerConfig -> app

One program, two roles: a sequencer seals and posts blocks, a replica derives and follows them. Both follow L1 as a full
node without validator keys. Written by the supervisor or by whoever runs a container; paths are absolute or relative to the file.
Secrets are never in it, only the paths of the files that hold them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, Self

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

_FILES: Final = (
    "data_dir",
    "genesis_file",
    "l2_genesis_file",
    "network_file",
    "unsafe_key_file",
    "batcher_key_file",
    "forcer_key_file",
)
"""Keys that hold paths."""


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


class SequencerConfig(Section):
    """One L2 process."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")
    """The process's name in the manifest: sequencer, replica."""
    role: Literal["sequencer", "replica"]
    """What it does."""
    data_dir: Path
    """Folder for everything it stores, of both chains."""
    genesis_file: Path
    """The L1's genesis.json, with its `rollup` object."""
    l2_genesis_file: Path
    """l2-genesis.json."""
    network_file: Path | None = None
    """JSON that `devnet_info` answers; read at every call, because process ids change."""
    unsafe_key_file: Path | None = None
    """Ed25519 seed that unsafe blocks are signed with, 64 hex digits, mode 0600; the sequencer's alone."""
    batcher_key_file: Path | None = None
    """secp256k1 key of the account that posts batches, 64 hex digits, mode 0600; the sequencer's alone."""
    forcer_key_file: Path | None = None
    """secp256k1 key of an account that calls `forceEmpty` when it is due, 64 hex digits, mode 0600; without it nothing is forced."""
    forward_to: str | None = None
    """Name of the peer that transactions are forwarded to; a replica's alone."""
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
    sealing: SealingConfig = SealingConfig()
    """Sealing; the sequencer's alone."""
    batcher: BatcherConfig = BatcherConfig()
    """Posting; the sequencer's alone."""
    faults: bool = False
    """Whether faults may be asked for."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Check that the role has what it needs, and no key of the other's."""
        is_sequencer = self.role == "sequencer"
        for key in ("unsafe_key_file", "batcher_key_file"):
            if (getattr(self, key) is not None) != is_sequencer:
                raise ValueError(f"{key}: a sequencer needs it, a replica has none")
        peers = [peer.name for peer in self.p2p.peers]
        if self.forward_to is not None and (is_sequencer or self.forward_to not in peers):
            raise ValueError("forward_to: a replica names one of p2p.peers, a sequencer none")
        return self


def load_config(file: Path) -> SequencerConfig:
    """Read and check the configuration file of an L2 process.

    Raises:
        ConfigError: with the key, the file, what was found and what is wanted.
    """
    config = read_config(file, SequencerConfig)
    folder = file.parent
    # Joining an absolute path gives that path.
    paths = {key: folder / getattr(config, key) for key in _FILES if getattr(config, key)}
    p2p = config.p2p.model_copy(update={"key_file": folder / config.p2p.key_file})
    return config.model_copy(update={**paths, "p2p": p2p})
