"""The manifest: what a devnet is, read from `faultline.toml`, the environment and the command line.

    profile defaults < kept by the data < faultline.toml < FAULTLINE_<SECTION>_<KEY> < flags  ->  Manifest

Every key has a default and a unit in its name; whatever is wrong is said with key, origin, found and wanted.
Deliberately absent: what only one process needs to know (node.config) and every secret.
"""

from __future__ import annotations

import difflib
import ipaddress
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

MANIFEST_BYTES_MAX: Final = 1 << 20
"""A manifest is never longer than this."""

PROCESSES_MAX: Final = 16
"""Validator processes at most, so that their ports never meet those of the L2 (8545 + 16 < 9000)."""

REPLICAS_MAX: Final = 8
"""Replicas at most: every one is a full node of both chains."""

VALIDATORS_MAX: Final = 256
"""Validator keys at most: all of them vote in every slot (node/README.md section 1)."""

ENVIRONMENT_PREFIX: Final = "FAULTLINE_"
"""Environment variables that begin so belong to us."""

ENVIRONMENT_FREE: Final = frozenset({"FAULTLINE_DATA"})
"""Those that name no key of the manifest."""


class ManifestError(Exception):
    """A manifest that cannot be used; one line for each problem, with key, origin, found and wanted."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class NetworkSection(_Section):
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


class L2Section(_Section):
    """The rollup."""

    enabled: bool = True
    """Whether there is a rollup; without one the devnet is an L1 alone."""
    replicas: int = Field(default=1, ge=0, le=REPLICAS_MAX)
    """Number of processes that derive the L2 from L1 and serve it, besides the sequencer."""
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


class BridgeSection(_Section):
    """The bridge. Its processes are not part of this version; the keys are checked so that manifests keep working."""

    challenge_window_s: int = Field(default=12, ge=1)
    """Seconds in which an output can be proven wrong."""
    air_gap_s: int = Field(default=4, ge=0)
    """Seconds between a game's end and the withdrawals that rest on it."""
    bond_wei: int = Field(default=10**18, ge=0)
    """Wei an output proposer puts up."""


class P2pSection(_Section):
    """Where processes speak libp2p."""

    host: str = "127.0.0.1"
    """IPv4 address to bind."""
    base_port: int = Field(default=9_000, ge=1, le=65_535)
    """TCP port of validator-0; validator-i has base_port + i."""
    l2_base_port: int = Field(default=9_050, ge=1, le=65_535)
    """TCP port of the sequencer; replicas follow."""


class RpcSection(_Section):
    """Where JSON-RPC is served, and to whom."""

    host: str = "127.0.0.1"
    """Address to bind."""
    base_port: int = Field(default=8_545, ge=1, le=65_535)
    """TCP port of validator-0, HTTP and WebSocket; validator-i has base_port + i."""
    l2_base_port: int = Field(default=9_545, ge=1, le=65_535)
    """TCP port of the sequencer, HTTP and WebSocket; replicas follow."""
    allowed_hosts: tuple[str, ...] = ()
    """Host headers accepted besides loopback's; needed when `host` is not loopback."""
    allowed_origins: tuple[str, ...] = ()
    """Origins of web pages accepted when `host` is not loopback."""
    published_on_loopback: bool = False
    """Whether a container publishes the port on loopback only, so that faults may be asked for."""
    gas_cap: int = Field(default=60_000_000, ge=21_000)
    """Gas a simulated call may use."""


class MetricsSection(_Section):
    """Where metrics and health are served."""

    host: str = "127.0.0.1"
    """Address to bind."""
    base_port: int = Field(default=9_100, ge=1, le=65_535)
    """TCP port of validator-0; validator-i has base_port + i."""
    l2_base_port: int = Field(default=9_150, ge=1, le=65_535)
    """TCP port of the sequencer; replicas follow."""


class EngineSection(_Section):
    """Execution in each process."""

    cache_mb: int = Field(default=32, ge=1, le=65_536)
    """Megabytes of state kept in memory."""
    history_blocks: int = Field(default=4_096, ge=64)
    """Blocks behind finality whose state is kept."""


class FaultsSection(_Section):
    """Whether the devnet may be broken on request."""

    enabled: bool = True
    """Whether `devnet_break` answers; off by default in profile realistic."""


class Manifest(_Section):
    """A whole devnet."""

    network: NetworkSection = NetworkSection()
    """The chain and who validates it."""
    p2p: P2pSection = P2pSection()
    """libp2p."""
    rpc: RpcSection = RpcSection()
    """JSON-RPC."""
    metrics: MetricsSection = MetricsSection()
    """Metrics and health."""
    engine: EngineSection = EngineSection()
    """Execution."""
    faults: FaultsSection = FaultsSection()
    """Faults on request."""
    l2: L2Section = L2Section()
    """The rollup."""
    bridge: BridgeSection = BridgeSection()
    """The bridge."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Check what concerns more than one key."""
        if self.network.validator_processes > self.network.validators:
            raise ValueError(
                f"network.validator_processes: found {self.network.validator_processes}, "
                f"wanted at most network.validators ({self.network.validators})"
            )
        self._check_ports()
        if not _is_loopback(self.rpc.host) and not (
            self.rpc.allowed_hosts and self.rpc.allowed_origins
        ):
            raise ValueError(
                f"rpc.host: found {self.rpc.host!r}, wanted a loopback address, "
                "or rpc.allowed_hosts and rpc.allowed_origins beside it"
            )
        return self

    def _check_ports(self) -> None:
        offset = self.network.port_offset
        owners: dict[int, str] = {}
        for key, base, count in self._port_ranges():
            last = count - 1 + offset
            if base + last > 65_535:
                raise ValueError(
                    f"{key}: found {base}, wanted at most {65_535 - last} "
                    f"(network.port_offset and {count} processes come on top)"
                )
            for port in range(base, base + count):
                if port in owners:
                    raise ValueError(
                        f"{key}: found {base}, wanted a range apart from {owners[port]}"
                    )
                owners[port] = key

    def _port_ranges(self) -> list[tuple[str, int, int]]:
        """Key, first port at offset 0 and number of ports of each range."""
        validators = self.network.validator_processes
        ranges = [
            ("rpc.base_port", self.rpc.base_port, validators),
            ("p2p.base_port", self.p2p.base_port, validators),
            ("metrics.base_port", self.metrics.base_port, validators),
        ]
        if not self.l2.enabled:
            return ranges
        rollup = 1 + self.l2.replicas
        return [
            *ranges,
            ("rpc.l2_base_port", self.rpc.l2_base_port, rollup),
            ("p2p.l2_base_port", self.p2p.l2_base_port, rollup),
            ("metrics.l2_base_port", self.metrics.l2_base_port, rollup),
        ]


GENESIS_KEYS: Final = (
    ("network", "name"),
    ("network", "profile"),
    ("network", "slot_seconds"),
    ("network", "slots_per_epoch"),
    ("network", "validators"),
    ("network", "validator_processes"),
    ("network", "accounts"),
    ("l2", "enabled"),
    ("l2", "replicas"),
    ("l2", "gas_limit"),
    ("l2", "witness_limit_bytes"),
    ("l2", "base_fee_wei"),
    ("l2", "sequencing_window_blocks"),
    ("l2", "max_drift_s"),
)
"""Sections and keys that a network is made with and keeps for life."""

_REALISTIC: Final[Mapping[tuple[str, str], JsonValue]] = {
    ("network", "slot_seconds"): 12,
    ("network", "slots_per_epoch"): 32,
    ("faults", "enabled"): False,
    ("l2", "sequencing_window_blocks"): 3_600,
    ("l2", "max_drift_s"): 1_800,
    ("bridge", "challenge_window_s"): 604_800,
    ("bridge", "air_gap_s"): 302_400,
}

_SECTIONS: Final[Mapping[str, type[_Section]]] = {
    "network": NetworkSection,
    "p2p": P2pSection,
    "rpc": RpcSection,
    "metrics": MetricsSection,
    "engine": EngineSection,
    "faults": FaultsSection,
    "l2": L2Section,
    "bridge": BridgeSection,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A value for one key, and where it was found."""

    section: str
    """Section of the manifest."""
    key: str
    """Key in that section."""
    value: JsonValue
    """What it is set to."""
    origin: str
    """A file, an environment variable or a flag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A manifest and where each of its values comes from."""

    manifest: Manifest
    """What is in force."""
    origins: Mapping[tuple[str, str], str]
    """Origin of each (section, key); keys at their default are absent."""


def read_manifest(file: Path) -> list[Setting]:
    """The settings of a TOML file.

    Raises:
        ManifestError: when it cannot be read, is no TOML, or holds unknown keys.
    """
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise ManifestError(f"{file}: cannot be read: {error.strerror}") from error
    if len(raw) > MANIFEST_BYTES_MAX:
        raise ManifestError(f"{file}: found {len(raw)} bytes, wanted at most {MANIFEST_BYTES_MAX}")
    try:
        content = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ManifestError(f"{file}: no TOML: {error}") from error
    return settings_of(content, str(file))


def settings_of(content: Mapping[str, JsonValue], origin: str) -> list[Setting]:
    """The settings of nested tables; `faults = true` stands for `[faults] enabled = true`.

    Raises:
        ManifestError: on unknown sections and keys, all of them at once.
    """
    settings = []
    problems = []
    for section, table in content.items():
        if section not in _SECTIONS:
            problems.append(f"{origin}: {section}: unknown section{_nearest(section, _SECTIONS)}")
            continue
        if section == "faults" and isinstance(table, bool):
            table = {"enabled": table}
        if not isinstance(table, dict):
            problems.append(f"{origin}: {section}: found {table!r}, wanted a section [{section}]")
            continue
        for key, value in table.items():
            if key in _SECTIONS[section].model_fields:
                settings.append(Setting(section=section, key=key, value=value, origin=origin))
            else:
                near = _nearest(key, _SECTIONS[section].model_fields)
                problems.append(f"{origin}: {section}.{key}: unknown key{near}")
    if problems:
        raise ManifestError("\n".join(problems))
    return settings


def environment_settings(environment: Mapping[str, str]) -> list[Setting]:
    """The settings of FAULTLINE_<SECTION>_<KEY> variables; values are written as in TOML, strings also bare.

    Raises:
        ManifestError: on variables that name no key.
    """
    settings = []
    problems = []
    known = {
        f"{ENVIRONMENT_PREFIX}{section}_{key}".upper(): (section, key)
        for section, model in _SECTIONS.items()
        for key in model.model_fields
    }
    for name in sorted(environment):
        if not name.startswith(ENVIRONMENT_PREFIX) or name in ENVIRONMENT_FREE:
            continue
        if name not in known:
            problems.append(f"environment: {name}: unknown key{_nearest(name, known)}")
            continue
        section, key = known[name]
        settings.append(
            Setting(
                section=section,
                key=key,
                value=_environment_value(environment[name]),
                origin=f"environment {name}",
            )
        )
    if problems:
        raise ManifestError("\n".join(problems))
    return settings


def resolve(settings: Sequence[Setting]) -> Resolved:
    """The manifest that settings give; later ones win.

    Raises:
        ManifestError: one line for each key that is wrong.
    """
    values: dict[tuple[str, str], JsonValue] = {}
    origins: dict[tuple[str, str], str] = {}
    for setting in settings:
        values[setting.section, setting.key] = setting.value
        origins[setting.section, setting.key] = setting.origin
    if values.get(("network", "profile")) == "realistic":
        values = {**_REALISTIC, **values}
    validators = values.get(("network", "validators"), 4)
    if isinstance(validators, int) and ("network", "validator_processes") not in values:
        values["network", "validator_processes"] = max(1, min(4, validators))
    tables: dict[str, dict[str, object]] = {}
    for (section, key), value in values.items():
        tables.setdefault(section, {})[key] = _tuples(value)
    try:
        return Resolved(manifest=Manifest.model_validate(tables), origins=origins)
    except ValidationError as error:
        raise ManifestError(_explain(error, origins)) from error


def render_toml(resolved: Resolved) -> str:
    """The manifest in force as TOML, each value that is no default with its origin as a comment."""
    lines = []
    for section, table in resolved.manifest.model_dump(mode="json").items():
        lines.append(f"[{section}]")
        for key, value in table.items():
            origin = resolved.origins.get((section, key))
            comment = f"  # {origin}" if origin else ""
            lines.append(f"{key} = {_toml_value(value)}{comment}")
        lines.append("")
    return "\n".join(lines)


def _toml_value(value: JsonValue) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case list():
            return "[" + ", ".join(_toml_value(entry) for entry in value) + "]"
        case _:
            escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'


def _environment_value(raw: str) -> JsonValue:
    try:
        value: JsonValue = tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        return raw
    return value


def _tuples(value: JsonValue) -> object:
    """Strict models take tuples, not the lists that TOML gives."""
    return tuple(value) if isinstance(value, list) else value


def _nearest(word: str, known: Mapping[str, object]) -> str:
    match = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {match[0]}?" if match else f", wanted one of {', '.join(known)}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _explain(error: ValidationError, origins: Mapping[tuple[str, str], str]) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        path = [str(part) for part in problem["loc"]]
        message = problem["msg"].removeprefix("Value error, ")
        if len(path) < 2:
            section, _, rest = message.partition(".")
            origin = origins.get((section, rest.partition(":")[0]), "manifest")
            lines.append(f"{origin}: {message}")
            continue
        origin = origins.get((path[0], path[1]), "default")
        wanted = message
        for beginning in ("Input should be ", "String should ", "a valid "):
            wanted = wanted.removeprefix(beginning)
        lines.append(f"{origin}: {'.'.join(path)}: found {problem['input']!r}, wanted {wanted}")
    return "\n".join(lines)
