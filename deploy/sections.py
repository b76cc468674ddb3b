"""The sections of a manifest: every key with its default, its bounds and its unit.

    deploy.manifest reads layers of settings -> one model for each section -> Manifest

Deliberately absent: what concerns more than one key, and where a value comes from (`manifest`).
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

PROCESSES_MAX: Final = 16
"""Validator processes at most, so that their ports never meet those of the L2 (8545 + 16 < 9000)."""

REPLICAS_MAX: Final = 8
"""Replicas at most: every one is a full node of both chains."""

VALIDATORS_MAX: Final = 256
"""Validator keys at most: all of them vote in every slot (node/README.md section 1)."""

YEAR_S: Final = 366 * 86_400
"""No window of the bridge is longer."""


class Section(BaseModel):
    """A table of the manifest: exact types, no unknown keys, never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class NetworkSection(Section):
    """The chain and who validates it."""

    name: str = Field(default="devnet", pattern=r"^[a-z][a-z0-9-]{0,30}$")
    """Name of the devnet; also of its data folder."""
    profile: Literal["dev", "realistic"] = "dev"
    """dev: fast and breakable. realistic: Ethereum's timings, no faults on request."""
    slot_seconds: int = Field(default=2, ge=1, le=600)
    """Seconds a slot lasts."""
    slots_per_epoch: int = Field(default=2, ge=1, le=32)
    """Slots an epoch has; finality follows about 1.75 epochs behind."""
    validators: int = Field(default=4, ge=1, le=VALIDATORS_MAX)
    """Number of validator keys."""
    validator_processes: int = Field(default=4, ge=1, le=PROCESSES_MAX)
    """Number of processes that share the keys; the smaller of 4 and `validators` unless said."""
    accounts: int = Field(default=10, ge=1, le=1_000)
    """Number of accounts of the test mnemonic that are funded."""
    port_offset: int = Field(default=0, ge=0, le=50_000)
    """Added to every port, so that two devnets run side by side."""


class L2Section(Section):
    """The rollup."""

    enabled: bool = True
    """Whether there is a rollup; without one the devnet is an L1 alone."""
    replicas: int = Field(default=0, ge=0, le=REPLICAS_MAX)
    """Number of processes that derive the L2 from L1 and serve it, besides sequencer, bridge and watchtower."""
    gas_limit: int = Field(default=7_000_000, ge=4_000_000, le=7_000_000)
    """Gas an L2 block may use: what L1 can re-execute in one transaction."""
    witness_limit_bytes: int = Field(default=270_336, ge=65_536, le=270_336)
    """Bytes of state that an L2 block may touch: what one L1 transaction can carry."""
    base_fee_wei: int = Field(default=1_000_000, ge=1, le=10**18)
    """Wei of base fee for each L2 gas; it does not move."""
    sequencing_window_blocks: int = Field(default=30, ge=2, le=8_000)
    """L1 blocks after which anybody may move the L2 on without the sequencer."""
    max_drift_s: int = Field(default=600, ge=1, le=86_400)
    """Seconds that an L2 block's timestamp may lie ahead of its L1 origin's."""
    batch_interval_ms: int = Field(default=2_000, ge=100, le=3_600_000)
    """Milliseconds between two batches at most while there is something to post."""


class BridgeSection(Section):
    """The bridge: who carries it, and how long a claim about the L2 may be proven wrong."""

    enabled: bool = True
    """Whether bridge and watchtower run; their contracts are there wherever the L2 is."""
    challenge_window_s: int = Field(default=12, ge=1, le=YEAR_S)
    """Seconds in which an output can be proven wrong, counted in finalized L1 blocks; 6 slots unless said."""
    quiet_s: int = Field(default=6, ge=0, le=YEAR_S)
    """Seconds without a proven fault before any output is accepted; 3 slots unless said. A liar who loses nine tenths
    of `bond_wei` in each of these spans holds up all outputs: who raises one raises the other."""
    air_gap_s: int = Field(default=4, ge=0, le=YEAR_S)
    """Seconds between a game's end and the withdrawals that rest on it; 2 slots unless said."""
    bond_wei: int = Field(default=10**18, ge=1, le=10**24)
    """Wei an output proposer puts up for each output."""
    output_interval_s: int = Field(default=6, ge=1, le=86_400)
    """Seconds between two outputs at least, and only while there is something new to claim."""


class P2pSection(Section):
    """Where processes speak libp2p."""

    host: str = "127.0.0.1"
    """IPv4 address to bind."""
    base_port: int = Field(default=9_000, ge=1, le=65_535)
    """TCP port of validator-0; validator-i has base_port + i."""
    l2_base_port: int = Field(default=9_050, ge=1, le=65_535)
    """TCP port of the sequencer; bridge, watchtower and replicas follow."""


class RpcSection(Section):
    """Where JSON-RPC is served, and to whom."""

    host: str = "127.0.0.1"
    """Address to bind."""
    base_port: int = Field(default=8_545, ge=1, le=65_535)
    """TCP port of validator-0, HTTP and WebSocket; validator-i has base_port + i."""
    l2_base_port: int = Field(default=9_545, ge=1, le=65_535)
    """TCP port of the sequencer, HTTP and WebSocket; bridge, watchtower and replicas follow."""
    allowed_hosts: tuple[str, ...] = ()
    """Host headers accepted besides loopback's; needed when `host` is not loopback."""
    allowed_origins: tuple[str, ...] = ()
    """Origins of web pages accepted when `host` is not loopback."""
    published_on_loopback: bool = False
    """Whether a container publishes the port on loopback only, so that faults may be asked for."""
    gas_cap: int = Field(default=60_000_000, ge=21_000)
    """Gas a simulated call may use."""


class MetricsSection(Section):
    """Where metrics and health are served."""

    host: str = "127.0.0.1"
    """Address to bind."""
    base_port: int = Field(default=9_100, ge=1, le=65_535)
    """TCP port of validator-0; validator-i has base_port + i."""
    l2_base_port: int = Field(default=9_150, ge=1, le=65_535)
    """TCP port of the sequencer; bridge, watchtower and replicas follow."""


class EngineSection(Section):
    """Execution in each process."""

    cache_mb: int = Field(default=32, ge=1, le=65_536)
    """Megabytes of state kept in memory."""
    history_blocks: int = Field(default=4_096, ge=64)
    """Blocks behind finality whose state is kept."""


class FaultsSection(Section):
    """Whether the devnet may be broken on request."""

    enabled: bool = True
    """Whether `devnet_break` answers; off by default in profile realistic."""
