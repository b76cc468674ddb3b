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
from typing import Final, Self

from pydantic import JsonValue, ValidationError, model_validator

from deploy.sections import (
    BridgeSection,
    EngineSection,
    FaultsSection,
    L2Section,
    MetricsSection,
    NetworkSection,
    P2pSection,
    RpcSection,
    Section,
)
from node.config import wanted_by

MANIFEST_BYTES_MAX: Final = 1 << 20
"""A manifest is never longer than this."""

ENVIRONMENT_PREFIX: Final = "FAULTLINE_"
"""Environment variables that begin so belong to us."""

ENVIRONMENT_FREE: Final = frozenset({"FAULTLINE_DATA"})
"""Those that name no key of the manifest."""


CHALLENGE_SLOTS_MIN: Final = 3
"""Slots that a challenge window has at least."""


class ManifestError(Exception):
    """A manifest that cannot be used; one line for each problem, with key, origin, found and wanted."""


class Manifest(Section):
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
        shortest_s = CHALLENGE_SLOTS_MIN * self.network.slot_seconds
        if self.l2.enabled and self.bridge.challenge_window_s < shortest_s:
            raise ValueError(
                f"bridge.challenge_window_s: found {self.bridge.challenge_window_s}, wanted at least "
                f"{shortest_s} ({CHALLENGE_SLOTS_MIN} slots: to see a claim, to answer it, and one to spare)"
            )
        self._check_ports()
        private = _is_loopback(self.rpc.host) or self.rpc.published_on_loopback
        if not private and not (self.rpc.allowed_hosts and self.rpc.allowed_origins):
            raise ValueError(
                f"rpc.host: found {self.rpc.host!r}, wanted a loopback address, rpc.allowed_hosts "
                "and rpc.allowed_origins beside it, or rpc.published_on_loopback"
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
        rollup = 1 + self.l2.replicas + (2 if self.bridge.enabled else 0)
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
    ("bridge", "enabled"),
    ("bridge", "challenge_window_s"),
    ("bridge", "quiet_s"),
    ("bridge", "air_gap_s"),
    ("bridge", "bond_wei"),
)
"""Sections and keys that a network is made with and keeps for life."""

_REALISTIC: Final[Mapping[tuple[str, str], JsonValue]] = {
    ("network", "slot_seconds"): 12,
    ("network", "slots_per_epoch"): 32,
    ("faults", "enabled"): False,
    ("l2", "sequencing_window_blocks"): 3_600,
    ("l2", "max_drift_s"): 1_800,
    ("bridge", "challenge_window_s"): 604_800,
    ("bridge", "quiet_s"): 3_600,
    ("bridge", "air_gap_s"): 302_400,
    ("bridge", "output_interval_s"): 3_600,
}

_SLOTS_OF_BRIDGE: Final[Mapping[str, int]] = {
    "challenge_window_s": 6,
    "quiet_s": 3,
    "air_gap_s": 2,
    "output_interval_s": 3,
}
"""Keys of the bridge that follow the length of a slot where nobody sets them, in slots."""

_SECTIONS: Final[Mapping[str, type[Section]]] = {
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
        with file.open("rb") as stream:
            raw = stream.read(MANIFEST_BYTES_MAX + 1)
    except OSError as error:
        raise ManifestError(f"{file}: cannot be read: {error.strerror}") from error
    if len(raw) > MANIFEST_BYTES_MAX:
        raise ManifestError(f"{file}: found more, wanted at most {MANIFEST_BYTES_MAX} bytes")
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
    values = {**_following(values), **values}
    tables: dict[str, dict[str, object]] = {}
    for (section, key), value in values.items():
        tables.setdefault(section, {})[key] = _tuples(value)
    try:
        return Resolved(manifest=Manifest.model_validate(tables), origins=origins)
    except ValidationError as error:
        raise ManifestError(_explain(error, origins)) from error


def _following(values: Mapping[tuple[str, str], JsonValue]) -> dict[tuple[str, str], JsonValue]:
    """Defaults that follow from what is set elsewhere; wrong values are left for the models to name."""
    defaults: dict[tuple[str, str], JsonValue] = {}
    validators = values.get(("network", "validators"), 4)
    if isinstance(validators, int):
        defaults["network", "validator_processes"] = max(1, min(4, validators))
    slot_seconds = values.get(("network", "slot_seconds"), 2)
    if isinstance(slot_seconds, int) and slot_seconds >= 1:
        for key, slots in _SLOTS_OF_BRIDGE.items():
            defaults["bridge", key] = slots * slot_seconds
    return defaults


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
    lines: list[str] = []
    followed: list[str] = []
    for problem in error.errors(include_url=False):
        path = [str(part) for part in problem["loc"]]
        message = problem["msg"].removeprefix("Value error, ")
        if len(path) < 2:
            lines.append(f"{_origin_of(message, origins)}: {message}")
            continue
        origin = origins.get((path[0], path[1]))
        line = f"{origin or 'default'}: {'.'.join(path)}: found {problem['input']!r}, wanted {wanted_by(problem)}"
        (followed if origin is None else lines).append(line)
    # A default is wrong only because it follows from another key, which is named then.
    return "\n".join(lines or followed)


def _origin_of(message: str, origins: Mapping[tuple[str, str], str]) -> str:
    """Where the first key of a message about several was found, or the next one that is no default."""
    for word in message.replace(":", " ").replace(",", " ").split():
        section, _, key = word.partition(".")
        if (section, key) in origins:
            return origins[section, key]
    return "manifest"
