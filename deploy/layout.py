"""Where a devnet keeps what it has, and which devnet a command means.

    --data | FAULTLINE_DATA | $XDG_STATE_HOME/faultline/<name>  ->  Layout

    network.json        what the network was made with, and the manifest in force
    genesis.json        the L1's genesis
    l2-genesis.json     the L2's, where there is one
    info.json           what `devnet_info` answers; rewritten when a process starts
    .unfinished         there while a network is being made
    keys/               secrets of the network itself, mode 0600
    config/<name>.json  what a process is told (node.config, sequencer.config)
    <name>/             what a process stores
    monitoring/         what Prometheus and Grafana need to show it; rewritten at every start
    logs/<name>.log     what it says, one JSON object a line; <name>.log.1 is the older part
    supervisor.lock     held by the supervisor while it lives; says where its control socket is
    supervisor.sock     the control socket

Deliberately absent: any decision; and heavy imports, because every command starts here.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DATA_VARIABLE: Final = "FAULTLINE_DATA"
"""Names the data folder where `--data` does not."""

DEFAULT_NAME: Final = "devnet"
"""Name of a devnet that nobody named."""

MANIFEST_NAME: Final = "faultline.toml"
"""Read from the current folder where `--manifest` names no other."""

PROCESSES: Final = (
    "validator-*",
    "sequencer",
    "bridge",
    "watchtower",
    "replica",
    "replica-[0-9]",
)
"""Names of processes, as patterns."""

SOCKET_PATH_BYTES_MAX: Final = 100
"""Paths of Unix sockets end at 104 bytes on some systems, at 108 on others."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The data folder of one devnet."""

    data: Path
    """The folder, absolute."""

    @property
    def network(self) -> Path:
        """What the network was made with, and the manifest in force."""
        return self.data / "network.json"

    @property
    def genesis(self) -> Path:
        """The L1's genesis."""
        return self.data / "genesis.json"

    @property
    def l2_genesis(self) -> Path:
        """The L2's genesis."""
        return self.data / "l2-genesis.json"

    @property
    def info(self) -> Path:
        """What `devnet_info` answers."""
        return self.data / "info.json"

    @property
    def keys(self) -> Path:
        """Secrets of the network itself."""
        return self.data / "keys"

    @property
    def withdrawal_keys(self) -> Path:
        """Keys of the accounts that validators are paid out to."""
        return self.keys / "withdrawals.json"

    @property
    def unfinished(self) -> Path:
        """Says that a network is being made here; gone once it is whole."""
        return self.data / ".unfinished"

    @property
    def logs(self) -> Path:
        """What processes say."""
        return self.data / "logs"

    @property
    def configs(self) -> Path:
        """What processes are told."""
        return self.data / "config"

    @property
    def monitoring(self) -> Path:
        """What Prometheus and Grafana need to show it, and what they keep."""
        return self.data / "monitoring"

    @property
    def lock(self) -> Path:
        """Held by the supervisor while it lives."""
        return self.data / "supervisor.lock"

    @property
    def socket(self) -> Path:
        """The control socket; elsewhere when the folder's path is too long for one."""
        inside = self.data / "supervisor.sock"
        if len(os.fsencode(inside)) <= SOCKET_PATH_BYTES_MAX:
            return inside
        digest = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"faultline-{os.getuid()}-{digest}.sock"

    def entries(self) -> list[Path]:
        """What is there and ours; a process's store is recognised by its name. The lock is not among it."""
        named = [
            self.network,
            self.genesis,
            self.l2_genesis,
            self.info,
            self.unfinished,
            self.keys,
            self.configs,
            self.monitoring,
            self.logs,
            self.socket,
        ]
        stores = (store for name in PROCESSES for store in sorted(self.data.glob(name)))
        return [entry for entry in (*named, *stores) if entry.exists() or entry.is_symlink()]

    def validator_keys(self, process: str) -> Path:
        """What a validator process signs with."""
        return self.keys / f"{process}.json"

    def p2p_key(self, process: str) -> Path:
        """A process's libp2p identity."""
        return self.keys / f"{process}.p2p"

    def unsafe_key(self, process: str) -> Path:
        """What a sequencer signs its blocks with."""
        return self.keys / f"{process}.unsafe"

    def batcher_key(self, process: str) -> Path:
        """The account that a sequencer posts its batches from."""
        return self.keys / f"{process}.batcher"

    def forcer_key(self, process: str) -> Path:
        """The account that a process forces blocks from when the sequencer does not post."""
        return self.keys / f"{process}.forcer"

    def proposer_key(self, process: str) -> Path:
        """The account that a bridge claims outputs from."""
        return self.keys / f"{process}.proposer"

    def relayer_key(self, process: str) -> Path:
        """The account that a bridge proves and finalizes withdrawals of others from."""
        return self.keys / f"{process}.relayer"

    def challenger_key(self, process: str) -> Path:
        """The account that a watchtower proves claims wrong from."""
        return self.keys / f"{process}.challenger"

    @property
    def guardian_key(self) -> Path:
        """The account that may pause the bridge; no process holds it."""
        return self.keys / "guardian"

    def config(self, process: str) -> Path:
        """What a process is told."""
        return self.configs / f"{process}.json"

    def store(self, process: str) -> Path:
        """What a process stores."""
        return self.data / process

    def log(self, process: str) -> Path:
        """What a process says."""
        return self.logs / f"{process}.log"


def find_layout(
    data: Path | None, environment: Mapping[str, str], manifest: Path | None = None
) -> Layout:
    """Which devnet a command means.

    Args:
        data: `--data`.
        environment: the process's environment.
        manifest: `--manifest`; its network.name counts where nothing names the folder.
    """
    if data is not None:
        return Layout(data.expanduser().resolve())
    named = environment.get(DATA_VARIABLE)
    if named:
        return Layout(Path(named).expanduser().resolve())
    state_home = environment.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    name = environment.get("FAULTLINE_NETWORK_NAME") or _name_in(manifest or Path(MANIFEST_NAME))
    return Layout((Path(state_home) / "faultline" / name).resolve())


def _name_in(manifest: Path) -> str:
    """The name in a manifest, as far as it can be told: whoever needs more of it will say what is wrong."""
    try:
        network = tomllib.loads(manifest.read_text()).get("network", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return DEFAULT_NAME
    name = network.get("name", DEFAULT_NAME) if isinstance(network, dict) else DEFAULT_NAME
    return name if isinstance(name, str) and name and "/" not in name else DEFAULT_NAME
