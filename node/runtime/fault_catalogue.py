"""The faults that can be made on purpose: what each is called, what it takes, what to expect of it, how it heals.

    catalogue entry -> read_parameters (a user's JSON, checked) -> FaultBoard

An entry is data: whoever shows the catalogue (`faultline break --list`, the watch page) prints it, nobody adds prose.
Deliberately absent: what a fault does. The part that misbehaves asks the board.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

Value = int | float | tuple[int, ...] | tuple[tuple[str, ...], ...]
"""What a parameter may be once it is read."""

GROUPS_MAX: Final = 16
"""Groups in a partition, and processes in a group: a devnet has no more."""

SLOTS_MAX: Final = 1_024
"""Slots in a list."""

COUNT_MAX: Final = 1_000_000
"""Upper bound of counts and slots."""

_PROCESS: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")


class Kind(StrEnum):
    """Types of parameters."""

    INTEGER = "integer"
    RATIO = "ratio"
    SLOTS = "slots"
    """A list of slot numbers."""
    GROUPS = "groups"
    """A list of lists of process names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a fault."""

    name: str
    """As users write it."""
    kind: Kind
    """Its type."""
    unit: str
    """What a number counts; empty for lists of names."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """One fault."""

    name: str
    """As users write it."""
    layer: str
    """Which chain it belongs to: l1 or l2."""
    summary: str
    """What the process that is asked does."""
    parameters: tuple[Parameter, ...]
    """What it takes, the common `duration` apart."""
    expect: str
    """What should be seen, so that a user can tell whether the network holds."""
    heals: str
    """How it ends."""

    def parameter_names(self) -> tuple[str, ...]:
        """Everything it takes."""
        return (*(one.name for one in self.parameters), DURATION.name)

    def described(self) -> dict[str, object]:
        """The entry as JSON."""
        return {
            "name": self.name,
            "layer": self.layer,
            "summary": self.summary,
            "parameters": [_described(one) for one in (*self.parameters, DURATION)],
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

COUNT: Final = Parameter(
    name="count",
    kind=Kind.INTEGER,
    unit="blocks",
    help="How many times.",
    minimum=1,
    maximum=10_000,
    default=1,
)

L1_FAULTS: Final = (
    CatalogueEntry(
        name="partition",
        layer="l1",
        summary="Cuts every link of this process to processes of other groups.",
        parameters=(
            Parameter(
                name="groups",
                kind=Kind.GROUPS,
                unit="",
                help="Lists of process names; a process that stands in none keeps its links.",
                is_required=True,
            ),
        ),
        expect="Two thirds of the weight together go on finalizing; a 2-2 split grows two chains "
        "without finality. After healing one chain wins, and finality is back within 5 slots. "
        "Nobody is slashed. A split of over 200 slots lets the leak begin.",
        heals="On heal: peers are dialled again within a second, and the shorter chain reorganises.",
    ),
    CatalogueEntry(
        name="delay",
        layer="l1",
        summary="Delays everything this process sends.",
        parameters=(
            Parameter(
                name="ms",
                kind=Kind.INTEGER,
                unit="milliseconds",
                help="Added to every message.",
                maximum=60_000,
                is_required=True,
            ),
            Parameter(
                name="jitter_ms",
                kind=Kind.INTEGER,
                unit="milliseconds",
                help="Random part on top, uniform.",
                maximum=60_000,
                default=0,
            ),
        ),
        expect="Below 0.4 of a slot nothing is reorganised; above it this process's blocks come "
        "too late for votes and its votes too late for the next block.",
        heals="On heal, at once.",
    ),
    CatalogueEntry(
        name="drop",
        layer="l1",
        summary="Loses a share of the gossip messages that this process sends and receives.",
        parameters=(
            Parameter(
                name="ratio",
                kind=Kind.RATIO,
                unit="share",
                help="0 loses none, 1 all.",
                maximum=1,
                is_required=True,
            ),
        ),
        expect="Requests close the gaps: blocks come late, finality lags by a few slots.",
        heals="On heal, at once.",
    ),
    CatalogueEntry(
        name="miss-slots",
        layer="l1",
        summary="Proposes no block where it should.",
        parameters=(
            COUNT,
            Parameter(
                name="slots",
                kind=Kind.SLOTS,
                unit="slots",
                help="Miss these slots instead of the next ones.",
            ),
        ),
        expect="Slots without a block; the next proposer builds on the block before. Finality "
        "comes a slot or two later. Missing is not slashed.",
        heals="By itself once the slots are missed.",
    ),
    CatalogueEntry(
        name="equivocate",
        layer="l1",
        summary="Signs and gossips two different blocks for one slot.",
        parameters=(COUNT,),
        expect="Every other node sees both, makes evidence, and a later block slashes the "
        "validator: it loses half its stake and its weight two epochs after. One of the two "
        "blocks stays; finality goes on.",
        heals="By itself after so many proposals. The slashing stays.",
    ),
    CatalogueEntry(
        name="vote-equivocate",
        layer="l1",
        summary="Casts two different votes in one slot with every validator of this process.",
        parameters=(COUNT,),
        expect="Both votes are forwarded, because the second is the evidence; the validators are "
        "slashed in a later block and lose their weight two epochs after. With a third of all "
        "weight or more doing it, conflicting finality is possible and then proven.",
        heals="By itself after so many slots. The slashing stays.",
    ),
    CatalogueEntry(
        name="late-block",
        layer="l1",
        summary="Holds its own blocks back before it publishes them.",
        parameters=(
            Parameter(
                name="delay_ms",
                kind=Kind.INTEGER,
                unit="milliseconds",
                help="After the block is built.",
                minimum=1,
                maximum=60_000,
                is_required=True,
            ),
            COUNT,
        ),
        expect="Beyond 0.4 of a slot the others vote for the block before; the late one stays as "
        "long as it is there when the next slot begins. Beyond a slot the next proposer builds "
        "past it: it is left out. Nobody is slashed.",
        heals="By itself after so many blocks.",
    ),
    CatalogueEntry(
        name="withhold-votes",
        layer="l1",
        summary="Casts no votes with any validator of this process.",
        parameters=(
            Parameter(
                name="slots",
                kind=Kind.INTEGER,
                unit="slots",
                help="For how many slots.",
                minimum=1,
                maximum=100_000,
                is_required=True,
            ),
        ),
        expect="With less than a third of the weight silent finality goes on, a slot or so later; "
        "with more it stops until the votes are back, or until the leak after 64 epochs.",
        heals="By itself after so many slots.",
    ),
    CatalogueEntry(
        name="clock-skew",
        layer="l1",
        summary="Sets the clock of this process ahead (or back, with a negative number).",
        parameters=(
            Parameter(
                name="ms",
                kind=Kind.INTEGER,
                unit="milliseconds",
                help="How far ahead.",
                minimum=-3_600_000,
                maximum=3_600_000,
                is_required=True,
            ),
        ),
        expect="Up to 0.4 of a slot nothing is reorganised. Beyond it this process proposes too "
        "early (peers hold the block back) or too late (it is left out). The signer's "
        "database forbids slots twice, so setting the clock back slashes nobody.",
        heals="On heal, at once.",
    ),
)
"""What an L1 process can do wrong, in the order in which it is listed."""


def read_parameters(entry: CatalogueEntry, given: Mapping[str, object]) -> dict[str, Value]:
    """Check what a user wrote and fill in defaults.

    Raises:
        ValueError: naming the parameter, what it is and what is wanted.
    """
    known = {one.name: one for one in (*entry.parameters, DURATION)}
    for name in given:
        if name not in known:
            raise ValueError(
                f"{entry.name}: no parameter is called {str(name)[:64]!r}; "
                f"there are: {', '.join(entry.parameter_names())}"
            )
    values: dict[str, Value] = {}
    for name, parameter in known.items():
        found = given.get(name)
        if found is not None:
            values[name] = _read(entry.name, parameter, found)
        elif parameter.is_required:
            raise ValueError(f"{entry.name}: parameter {name!r} is missing: {_wanted(parameter)}")
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
        case unknown:
            assert_never(unknown)


def _described(parameter: Parameter) -> dict[str, object]:
    described: dict[str, object] = {
        "name": parameter.name,
        "type": str(parameter.kind),
        "unit": parameter.unit,
        "help": parameter.help,
        "required": parameter.is_required,
        "default": parameter.default,
    }
    if parameter.kind in (Kind.INTEGER, Kind.RATIO):
        described |= {"minimum": parameter.minimum, "maximum": parameter.maximum}
    return described
