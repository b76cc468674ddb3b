"""What one process is told at start: a JSON file, checked to the last key.

    python -m node --config FILE -> load_config -> NodeConfig -> app

Written by the supervisor or by whoever runs a container; paths are absolute or relative to the file.
Secrets are never in it, only the paths of the files that hold them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

CONFIG_BYTES_MAX: Final = 1 << 20
"""A configuration file is never longer than this."""


class ConfigError(Exception):
    """A configuration that cannot be used; the message names key, file, what was found and what is wanted."""


class Section(BaseModel):
    """A part of a configuration: no unknown keys, no converted types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RpcConfig(Section):
    """Where JSON-RPC is served, and to whom."""

    host: str = "127.0.0.1"
    """Address to bind."""
    port: int = Field(default=8545, ge=0, le=65_535)
    """TCP port, HTTP and WebSocket; 0 lets the system choose."""
    allowed_hosts: tuple[str, ...] = ()
    """Host header values accepted besides loopback's."""
    allowed_origins: tuple[str, ...] = ()
    """Origins accepted when the bind is not loopback."""
    published_on_loopback: bool = False
    """Whether a container's port is published on loopback only, so that faults may be asked for."""
    watch_origin: str | None = None
    """Origin of the watch page, the only one that may ask for faults from a browser."""
    gas_cap: int = Field(default=60_000_000, ge=21_000)
    """Most gas a call may use."""


class MetricsConfig(Section):
    """Where metrics and health are served."""

    host: str = "127.0.0.1"
    """Address to bind."""
    port: int = Field(default=9100, ge=0, le=65_535)
    """TCP port; 0 lets the system choose."""


class PeerConfig(Section):
    """A peer that is dialled until it answers."""

    name: str
    """Its process's name in the manifest."""
    peer_id: str
    """Its libp2p identity, base58."""
    address: str
    """Where it listens: a multiaddr, /ip4/127.0.0.1/tcp/9000."""


class P2pConfig(Section):
    """The libp2p host."""

    host: str = "127.0.0.1"
    """IPv4 address to listen on."""
    port: int = Field(default=9000, ge=0, le=65_535)
    """TCP port; 0 lets the system choose."""
    key_file: Path
    """File with the Ed25519 seed of the host's identity, 64 hex digits, mode 0600."""
    peers: tuple[PeerConfig, ...] = ()
    """Static peers; at most 64."""


class LogConfig(Section):
    """How logs are written."""

    format: Literal["json", "text"] = "json"
    """One JSON object a line, or coloured text."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is written."""


class EngineConfig(Section):
    """Execution and its store."""

    cache_mb: int = Field(default=32, ge=1, le=65_536)
    """Megabytes of trie nodes kept in memory."""
    history_blocks: int = Field(default=4_096, ge=64)
    """Blocks behind finality whose states are kept."""
    threads: int = Field(default=2, ge=1, le=64)
    """Threads for execution and recovery."""


class NodeConfig(Section):
    """One L1 node."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")
    """The process's name in the manifest: validator-0."""
    data_dir: Path
    """Folder for everything it stores."""
    genesis_file: Path
    """genesis.json: geth's format plus `consensus`."""
    l2_genesis_file: Path | None = None
    """The L2's genesis file; wanted where genesis.json names a rollup, whose blocks L1 executes again in disputes."""
    keys_file: Path | None = None
    """Validator keys, mode 0600; a node without keys follows only."""
    rpc: RpcConfig = RpcConfig()
    """JSON-RPC."""
    metrics: MetricsConfig = MetricsConfig()
    """Metrics and health."""
    p2p: P2pConfig
    """libp2p."""
    log: LogConfig = LogConfig()
    """Logs."""
    engine: EngineConfig = EngineConfig()
    """Execution."""
    faults: bool = False
    """Whether faults may be asked for."""
    network_file: Path | None = None
    """JSON that `devnet_info` answers; read at every call, because process ids change."""


def load_config(file: Path) -> NodeConfig:
    """Read and check the configuration file of an L1 node. Raises ConfigError."""
    return _resolve(read_config(file, NodeConfig), file.parent)


Config = TypeVar("Config", bound=Section)


def read_config(file: Path, model: type[Config]) -> Config:
    """Read and check a configuration file; paths in it are as they were written.

    Raises:
        ConfigError: with the key, the file, what was found and what is wanted.
    """
    try:
        with file.open("rb") as stream:
            raw = stream.read(CONFIG_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    if len(raw) > CONFIG_BYTES_MAX:
        raise ConfigError(f"{file}: found more, wanted at most {CONFIG_BYTES_MAX} bytes")
    try:
        orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"{file}: no JSON: {error}") from error
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise ConfigError(_explain(file, error)) from error


def _explain(file: Path, error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "value_error" and not key:  # What concerns several keys names them.
            lines.append(f"{file}: {problem['msg'].removeprefix('Value error, ')}")
        elif problem["type"] == "missing":
            lines.append(f"{file}: {key}: found nothing, wanted a value")
        elif problem["type"] == "extra_forbidden":
            lines.append(f"{file}: {key}: found {problem['input']!r}, wanted no key of this name")
        else:
            place = f"{key}: " if key else ""
            lines.append(f"{file}: {place}found {problem['input']!r}, wanted {wanted_by(problem)}")
    return "\n".join(lines)


def wanted_by(problem: ErrorDetails) -> str:
    """What pydantic wants in place of what it found, in a few words."""
    wanted = problem["msg"].removeprefix("Value error, ")
    for beginning in ("Input should be ", "String should ", "a valid "):
        wanted = wanted.removeprefix(beginning)
    wanted = wanted.replace("match pattern", "a match of", 1)
    return "list" if wanted == "tuple" else wanted


def _resolve(config: NodeConfig, folder: Path) -> NodeConfig:
    """Make relative paths relative to the file's folder."""
    return config.model_copy(
        update={
            "data_dir": folder / config.data_dir,
            "genesis_file": folder / config.genesis_file,
            "l2_genesis_file": (
                None if config.l2_genesis_file is None else folder / config.l2_genesis_file
            ),
            "keys_file": None if config.keys_file is None else folder / config.keys_file,
            "network_file": None if config.network_file is None else folder / config.network_file,
            "p2p": config.p2p.model_copy(update={"key_file": folder / config.p2p.key_file}),
        }
    )
