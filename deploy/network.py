"""A network on disk: made once, continued ever after.

    deploy.creation -> network.json -> open_network: the same manifest? the same version? -> Network
    Network -> process_config (deploy.configs), network_info -> config/<name>.json, info.json (`devnet_info`)

What the network was made with never changes; ports, binds and bounds may, from one start to the next.
Deliberately absent: running anything.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from deploy.accounts import FundedAccount
from deploy.bridge_terms import bridge_terms
from deploy.layout import Layout
from deploy.manifest import GENESIS_KEYS, Manifest, Resolved, Setting
from deploy.published import CHAIN_IDS, Layer, contracts
from node.runtime.version import version

FORMAT: Final = 3
"""Version of what lies in a data folder; another one is refused."""


SEQUENCER: Final = "sequencer"
"""Name of the sequencer's process."""

BRIDGE: Final = "bridge"
"""Name of the process that claims outputs and relays withdrawals."""

WATCHTOWER: Final = "watchtower"
"""Name of the process that proves claims wrong."""

Placement = Literal["machine", "containers"]
"""Where processes stand: all on this machine, or each in a container that is reached by the process's name."""


class NetworkError(Exception):
    """A data folder that cannot be used as it is asked to be; the message says why and what to do."""


class _Stored(BaseModel):
    """What network.json holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int
    """Version of the folder."""
    version: str
    """Version of Faultline that made it."""
    manifest: Manifest
    """The manifest in force."""
    accounts: tuple[FundedAccount, ...]
    """Funded accounts; their keys are public."""
    peer_ids: dict[str, str]
    """libp2p identity of each process."""
    placement: Placement = "machine"
    """Where processes stand."""


_PROGRAMS: Final[Mapping[str, str]] = {
    "validator": "node",
    "sequencer": "sequencer",
    "replica": "sequencer",
    "bridge": "bridge",
    "watchtower": "bridge",
}
"""What a process of each role runs, as `python -m` would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessPlan:
    """One process of the network: who it is and where it is found."""

    name: str
    """validator-0"""
    role: str
    """validator, sequencer, bridge, watchtower or replica."""
    rpc_port: int
    """JSON-RPC, HTTP and WebSocket."""
    metrics_port: int
    """Metrics and health."""
    p2p_port: int
    """libp2p."""
    peer_id: str
    """libp2p identity, base58."""

    @property
    def layer(self) -> Layer:
        """The chain that its JSON-RPC serves."""
        return "l1" if self.role == "validator" else "l2"

    @property
    def program(self) -> str:
        """What it runs, as `python -m` would."""
        return _PROGRAMS[self.role]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network as it lies on disk, with the manifest in force."""

    layout: Layout
    """Where it lies."""
    manifest: Manifest
    """What is in force."""
    accounts: tuple[FundedAccount, ...]
    """Funded accounts."""
    peer_ids: Mapping[str, str]
    """libp2p identity of each process."""
    placement: Placement = "machine"
    """Where processes stand."""

    def processes(self) -> list[ProcessPlan]:
        """Every process, in the order they are started."""
        return [
            ProcessPlan(
                name=place.name,
                role=place.role,
                rpc_port=place.rpc_port,
                metrics_port=place.metrics_port,
                p2p_port=place.p2p_port,
                peer_id=self.peer_ids[place.name],
            )
            for place in places(self.manifest)
        ]

    def of_layer(self, layer: Layer) -> list[ProcessPlan]:
        """The processes whose JSON-RPC serves a chain."""
        return [plan for plan in self.processes() if plan.layer == layer]

    def chains(self) -> dict[str, JsonValue]:
        """Chain id and RPC addresses, by layer."""
        return {
            layer: {
                "chainId": chain_id,
                "rpc": [self.shown_rpc_url(plan) for plan in self.of_layer(layer)],
            }
            for layer, chain_id in CHAIN_IDS.items()
        }

    def contracts(self) -> dict[str, JsonValue]:
        """EIP-55 addresses of contracts, by layer and name."""
        named = contracts(with_l2=self.manifest.l2.enabled)
        return {"l1": {**named["l1"]}, "l2": {**named["l2"]}}

    def rpc_url(self, plan: ProcessPlan) -> str:
        """Where commands and processes of this network reach a process's JSON-RPC."""
        return self._inner_url(plan, plan.rpc_port) or self.shown_rpc_url(plan)

    def metrics_url(self, plan: ProcessPlan) -> str:
        """Where they reach its metrics and health."""
        return self._inner_url(plan, plan.metrics_port) or self.shown_metrics_url(plan)

    def shown_rpc_url(self, plan: ProcessPlan) -> str:
        """Where people of this machine reach a process's JSON-RPC."""
        return f"http://{_reachable(self.manifest.rpc.host)}:{plan.rpc_port}"

    def shown_metrics_url(self, plan: ProcessPlan) -> str:
        """Where they reach its metrics and health."""
        return f"http://{_reachable(self.manifest.metrics.host)}:{plan.metrics_port}"

    def p2p_address(self, plan: ProcessPlan) -> str:
        """Where its peers dial a process, a multiaddr."""
        if self.placement == "containers":
            return f"/dns4/{plan.name}/tcp/{self.bound_port(plan.p2p_port)}"
        return self.shown_p2p_address(plan)

    def shown_p2p_address(self, plan: ProcessPlan) -> str:
        """Where others of this machine dial it, a multiaddr."""
        return f"/ip4/{_reachable(self.manifest.p2p.host)}/tcp/{plan.p2p_port}"

    def bound_port(self, shown: int) -> int:
        """The port that a process binds so that it is reached at the one shown: containers bind the same ones always."""
        inner = self.placement == "containers"
        return shown - self.manifest.network.port_offset if inner else shown

    def _inner_url(self, plan: ProcessPlan, shown_port: int) -> str | None:
        """In the containers' own network; None where there is none."""
        if self.placement == "machine":
            return None
        return f"http://{plan.name}:{self.bound_port(shown_port)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a process of a manifest stands, before it has keys."""

    name: str
    """Its name."""
    role: str
    """validator, sequencer, bridge, watchtower or replica."""
    rpc_port: int
    """JSON-RPC, HTTP and WebSocket."""
    metrics_port: int
    """Metrics and health."""
    p2p_port: int
    """libp2p."""


def places(manifest: Manifest) -> list[Place]:
    """Every process of a manifest, in the order they are started."""
    offset = manifest.network.port_offset
    validators = [
        Place(
            name=name,
            role="validator",
            rpc_port=manifest.rpc.base_port + offset + index,
            metrics_port=manifest.metrics.base_port + offset + index,
            p2p_port=manifest.p2p.base_port + offset + index,
        )
        for index, name in enumerate(validator_names(manifest))
    ]
    names = [SEQUENCER, *follower_names(manifest)] if manifest.l2.enabled else []
    return validators + [
        Place(
            name=name,
            role=name if name in (SEQUENCER, BRIDGE, WATCHTOWER) else "replica",
            rpc_port=manifest.rpc.l2_base_port + offset + index,
            metrics_port=manifest.metrics.l2_base_port + offset + index,
            p2p_port=manifest.p2p.l2_base_port + offset + index,
        )
        for index, name in enumerate(names)
    ]


def validator_names(manifest: Manifest) -> list[str]:
    """Names of the validator processes."""
    return [f"validator-{index}" for index in range(manifest.network.validator_processes)]


def follower_names(manifest: Manifest) -> list[str]:
    """Names of those that derive the L2 beside the sequencer: bridge, watchtower, replica, replica-2, replica-3, ..."""
    if not manifest.l2.enabled:
        return []
    carriers = [BRIDGE, WATCHTOWER] if manifest.bridge.enabled else []
    numbers = range(1, manifest.l2.replicas + 1)
    return carriers + ["replica" if number == 1 else f"replica-{number}" for number in numbers]


def stored_settings(layout: Layout) -> list[Setting]:
    """What an existing network was made with, as the lowest layer of a manifest; empty where there is none.

    Raises:
        NetworkError: on data of another version, or damaged.
    """
    if not layout.network.exists():
        return []
    kept = _load(layout).manifest.model_dump(mode="json")
    return [
        Setting(section=section, key=key, value=kept[section][key], origin=str(layout.network))
        for section, key in GENESIS_KEYS
    ]


def open_network(layout: Layout, resolved: Resolved) -> Network:
    """Continue the network of a folder with the manifest that is in force now.

    Raises:
        NetworkError: when it was made by another version, or with another manifest.
    """
    wanted = resolved.manifest.model_dump(mode="json")
    refuse_other(
        layout,
        [
            Setting(
                section=section,
                key=key,
                value=wanted[section][key],
                origin=resolved.origins.get((section, key), "default"),
            )
            for section, key in GENESIS_KEYS
        ],
    )
    stored = _load(layout)
    network = Network(
        layout=layout,
        manifest=resolved.manifest,
        accounts=stored.accounts,
        peer_ids=stored.peer_ids,
        placement=stored.placement,
    )
    save_network(network)
    return network


def refuse_other(layout: Layout, settings: Sequence[Setting]) -> None:
    """Refuse settings that are not what a folder's network was made with. Raises NetworkError that names them all."""
    stored = _load(layout)
    made = stored.manifest.model_dump(mode="json")
    differences = [
        f"{setting.origin}: {setting.section}.{setting.key}: "
        f"found {setting.value!r}, wanted {made[setting.section][setting.key]!r}, "
        f"which the network in {layout.data} was made with"
        for setting in settings
        if (setting.section, setting.key) in GENESIS_KEYS
        and setting.value != made[setting.section][setting.key]
    ]
    if differences:
        hint = ["(`--fresh` makes a new network, `--data` names another folder)"]
        raise NetworkError(
            "\n".join([*differences, *(hint if stored.placement == "machine" else [])])
        )


def load_network(layout: Layout) -> Network:
    """The network of a folder as it was last started. Raises NetworkError where there is none."""
    stored = _load(layout)
    return Network(
        layout=layout,
        manifest=stored.manifest,
        accounts=stored.accounts,
        peer_ids=stored.peer_ids,
        placement=stored.placement,
    )


def holds_network(layout: Layout) -> bool:
    """Whether a folder holds a network, whole or unfinished."""
    return layout.network.exists() or layout.unfinished.exists()


def erase(layout: Layout) -> None:
    """Remove a network and nothing else from its folder; whoever calls holds the lock.

    Raises:
        NetworkError: when the folder holds other things and no network.
    """
    if not holds_network(layout):
        if foreign_entries(layout):
            raise NetworkError(
                f"{layout.data}: holds other things and no network; nothing was removed"
            )
        return
    # What says that it is ours goes last, so that a removal that was cut off can be repeated.
    marks = {layout.network, layout.unfinished}
    entries = layout.entries()
    for entry in [entry for entry in entries if entry not in marks] + sorted(marks):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)


def claim(layout: Layout) -> None:
    """Take a folder for a new network; the one that is there, whole or cut off while it was made, is removed.

    Raises:
        NetworkError: when the folder holds other things.
    """
    layout.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    erase(layout)
    layout.unfinished.touch()


def foreign_entries(layout: Layout) -> list[Path]:
    """What lies in a folder and is not ours; without a network in it, only the lock is."""
    if not layout.data.is_dir():
        return []
    ours = {layout.lock}
    if holds_network(layout):
        ours.update(layout.entries())
    return sorted(entry for entry in layout.data.iterdir() if entry not in ours)


def network_info(network: Network, pids: Mapping[str, int]) -> dict[str, JsonValue]:
    """What `devnet_info` answers."""
    plans = network.processes()
    return {
        "name": network.manifest.network.name,
        "profile": network.manifest.network.profile,
        "version": version(),
        **network.chains(),
        "contracts": network.contracts(),
        "processes": [
            {
                "name": plan.name,
                "role": plan.role,
                "pid": pids.get(plan.name),
                "rpc": network.shown_rpc_url(plan),
                "metrics": f"{network.shown_metrics_url(plan)}/metrics",
                "p2p": f"{network.shown_p2p_address(plan)}/p2p/{plan.peer_id}",
            }
            for plan in plans
        ],
        "timings": {
            "slotSeconds": network.manifest.network.slot_seconds,
            "slotsPerEpoch": network.manifest.network.slots_per_epoch,
            "challengeWindowSeconds": network.manifest.bridge.challenge_window_s,
            "quietSeconds": network.manifest.bridge.quiet_s,
            "airGapSeconds": network.manifest.bridge.air_gap_s,
            "proofMaturitySeconds": bridge_terms(network.manifest).proof_maturity_s,
            "outputIntervalSeconds": network.manifest.bridge.output_interval_s,
            "batchIntervalMilliseconds": network.manifest.l2.batch_interval_ms,
            "sequencingWindowBlocks": network.manifest.l2.sequencing_window_blocks,
            "maxDriftSeconds": network.manifest.l2.max_drift_s,
        },
    }


def write_info(network: Network, pids: Mapping[str, int]) -> None:
    """Write what `devnet_info` answers, with the process ids of those that run."""
    content = orjson.dumps(network_info(network, pids), option=orjson.OPT_INDENT_2)
    replace_file(network.layout.info, content)


def replace_file(file: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    beside = file.with_name(f".{file.name}.new")
    with beside.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(file)


def _load(layout: Layout) -> _Stored:
    try:
        raw = layout.network.read_bytes()
    except FileNotFoundError:
        raise NetworkError(
            f"{layout.data}: holds no network; `faultline up` (`docker compose up`) makes one, `--data` names another folder"
        ) from None
    try:
        fields = orjson.loads(raw)
        found = fields.get("format") if isinstance(fields, dict) else None
        if found != FORMAT:
            raise NetworkError(
                f"{layout.network}: format: found {found!r}, wanted {FORMAT}: the data is of another "
                "version of Faultline; use that one, `--fresh`, or another `--data`"
            )
        return _Stored.model_validate_json(raw)
    except (orjson.JSONDecodeError, ValidationError) as error:
        raise NetworkError(f"{layout.network}: is damaged: {error}") from error


def save_network(network: Network) -> None:
    """Write network.json."""
    stored: dict[str, JsonValue] = {
        "format": FORMAT,
        "version": version(),
        "manifest": network.manifest.model_dump(mode="json"),
        "accounts": [asdict(account) for account in network.accounts],
        "peer_ids": dict(network.peer_ids),
        "placement": network.placement,
    }
    replace_file(network.layout.network, orjson.dumps(stored, option=orjson.OPT_INDENT_2))


def _reachable(host: str) -> str:
    """An address of this machine for a bind address."""
    return "127.0.0.1" if host in ("0.0.0.0", "::", "localhost") else host  # noqa: S104


def busy_ports(manifest: Manifest) -> list[str]:
    """Ports that somebody else holds, one message for each, with who wanted it."""
    problems = []
    for use, host, port in _binds(manifest):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((host, port))
            except OSError as error:
                problems.append(f"port {port} on {host}, wanted for {use}: {error.strerror}")
    return problems


def _binds(manifest: Manifest) -> list[tuple[str, str, int]]:
    binds = []
    for place in places(manifest):
        binds.append((f"JSON-RPC of {place.name}", manifest.rpc.host, place.rpc_port))
        binds.append((f"metrics of {place.name}", manifest.metrics.host, place.metrics_port))
        binds.append((f"p2p of {place.name}", manifest.p2p.host, place.p2p_port))
    return binds
