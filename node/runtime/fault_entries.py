"""What an entry of the catalogue of faults consists of, and how a user's parameters are read against it.

    catalogue entry -> read_parameters (a user's JSON, checked) -> FaultBoard

Deliberately absent: the entries (`fault_catalogue`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

Value = int | float | str | tuple[int, ...] | tuple[tuple[str, ...], ...]
"""What a parameter may be once it is read; an address is 0x and 40 hex digits, lower case."""

GROUPS_MAX: Final = 32
"""Groups in a partition, and processes in a group: a devnet has no more."""

SLOTS_MAX: Final = 1_024
"""Slots in a list."""

COUNT_MAX: Final = 1_000_000
"""Upper bound of counts and slots."""

_PROCESS: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")

ROLES: Final = ("validator", "sequencer", "replica", "bridge", "watchtower")
"""What a process of a devnet can be."""


class Kind(StrEnum):
    """Types of parameters."""

    INTEGER = "integer"
    RATIO = "ratio"
    SLOTS = "slots"
    """A list of slot numbers."""
    GROUPS = "groups"
    """A list of lists of process names."""
    ADDRESS = "address"
    """An account."""
    CHOICE = "choice"
    """One of a few words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a fault."""

    name: str
    """As users write it."""
    kind: Kind
    """Its type."""
    unit: str
    """What a number counts; empty for names and addresses."""
    help: str
    """One line for users."""
    minimum: float = 0
    """Least value, for numbers."""
    maximum: float = COUNT_MAX
    """Greatest value, for numbers."""
    default: Value | None = None
    """Taken when it is not given."""
    is_required: bool = False
    """Whether it must be given."""
    choices: tuple[str, ...] = ()
    """The words there are, for a choice."""

    def described(self) -> dict[str, object]:
        """The parameter as JSON."""
        described: dict[str, object] = {
            "name": self.name,
            "type": str(self.kind),
            "unit": self.unit,
            "help": self.help,
            "required": self.is_required,
            "default": self.default,
        }
        if self.kind in (Kind.INTEGER, Kind.RATIO):
            described |= {"minimum": self.minimum, "maximum": self.maximum}
        if self.kind is Kind.CHOICE:
            described["choices"] = list(self.choices)
        return described


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """One fault."""

    name: str
    """As users write it."""
    layer: str
    """Which chain it belongs to: l1 or l2."""
    roles: tuple[str, ...]
    """Roles of the processes that can do it."""
    summary: str
    """What the process that is asked does."""
    parameters: tuple[Parameter, ...]
    """What it takes, the common `duration` apart."""
    expect: str
    """What should be seen, so that a user can tell whether the network holds."""
    heals: str
    """How it ends."""

    def described(self) -> dict[str, object]:
        """The entry as JSON."""
        return {
            "name": self.name,
            "layer": self.layer,
            "roles": list(self.roles),
            "summary": self.summary,
            "parameters": [one.described() for one in (*self.parameters, DURATION)],
            "expect": self.expect,
            "heals": self.heals,
        }


DURATION: Final = Parameter(
    name="duration",
    kind=Kind.INTEGER,
    unit="seconds",
    help="Heal by itself after so long; without it the fault lasts until it is used up or healed.",
    minimum=1,
    maximum=86_400,
)
"""Every fault takes it."""


def read_parameters(entry: CatalogueEntry, given: Mapping[str, object]) -> dict[str, Value]:
    """Check what a user wrote and fill in defaults.

    Raises:
        ValueError: naming the parameter, what it is and what is wanted.
    """
    return read_values(entry.name, (*entry.parameters, DURATION), given)


def read_values(
    title: str, parameters: Sequence[Parameter], given: Mapping[str, object]
) -> dict[str, Value]:
    """Check what a user wrote against parameters and fill in defaults; `title` is what they belong to.

    Raises:
        ValueError: naming the parameter, what it is and what is wanted.
    """
    known = {one.name: one for one in parameters}
    for name in given:
        if name not in known:
            raise ValueError(
                f"{title}: no parameter is called {str(name)[:64]!r}; "
                f"there are: {', '.join(known) or 'none'}"
            )
    values: dict[str, Value] = {}
    for name, parameter in known.items():
        found = given.get(name)
        if found is not None:
            values[name] = _read(title, parameter, found)
        elif parameter.is_required:
            raise ValueError(f"{title}: parameter {name!r} is missing: {_wanted(parameter)}")
        elif parameter.default is not None:
            values[name] = parameter.default
    return values


def _read(fault: str, parameter: Parameter, found: object) -> Value:
    value: Value | None
    match parameter.kind:
        case Kind.INTEGER:
            value = _number(parameter, found) if type(found) is int else None
        case Kind.RATIO:
            value = _number(parameter, found) if type(found) in (int, float) else None
        case Kind.SLOTS:
            value = _slots(found)
        case Kind.GROUPS:
            value = _groups(found)
        case Kind.ADDRESS:
            value = _address(found)
        case Kind.CHOICE:
            value = found if isinstance(found, str) and found in parameter.choices else None
        case unknown:
            assert_never(unknown)
    if value is None:
        raise ValueError(
            f"{fault}: parameter {parameter.name!r}: want {_wanted(parameter)}, "
            f"found {str(found)[:64]!r}"
        )
    return value


def _number(parameter: Parameter, found: object) -> int | float | None:
    assert isinstance(found, int | float)
    return found if parameter.minimum <= found <= parameter.maximum else None


def _slots(found: object) -> tuple[int, ...] | None:
    if not isinstance(found, Sequence) or not 0 < len(found) <= SLOTS_MAX:
        return None
    slots = tuple(one for one in found if type(one) is int and 0 <= one <= 1 << 40)
    return slots if len(slots) == len(found) else None


def _groups(found: object) -> tuple[tuple[str, ...], ...] | None:
    """Two groups or more of process names, no name twice."""
    if not isinstance(found, Sequence) or not 2 <= len(found) <= GROUPS_MAX:
        return None
    groups: list[tuple[str, ...]] = []
    for group in found:
        if isinstance(group, str) or not isinstance(group, Sequence):
            return None
        if not 0 < len(group) <= GROUPS_MAX:
            return None
        names = tuple(name for name in group if isinstance(name, str) and _PROCESS.fullmatch(name))
        if len(names) != len(group):
            return None
        groups.append(names)
    everybody = [name for group in groups for name in group]
    return tuple(groups) if len(set(everybody)) == len(everybody) else None


def _address(found: object) -> str | None:
    """Lower case, so that it compares; a checksum is not judged."""
    return found.lower() if isinstance(found, str) and _ADDRESS.fullmatch(found) else None


def _wanted(parameter: Parameter) -> str:
    match parameter.kind:
        case Kind.INTEGER:
            return f"an integer from {parameter.minimum:g} to {parameter.maximum:.0f} ({parameter.unit})"
        case Kind.RATIO:
            return f"a number from {parameter.minimum:g} to {parameter.maximum:g}"
        case Kind.SLOTS:
            return f"a list of 1 to {SLOTS_MAX} slot numbers"
        case Kind.GROUPS:
            return f"2 to {GROUPS_MAX} lists of process names, none of them twice"
        case Kind.ADDRESS:
            return "an address as 0x and 40 hex digits"
        case Kind.CHOICE:
            return f"one of {', '.join(parameter.choices)}"
        case unknown:
            assert_never(unknown)
