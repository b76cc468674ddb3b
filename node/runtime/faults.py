"""The fault board of one process: which faults are in force, and who is told.

    devnet_break -> inject -> [callbacks: links, clock]      the parts that misbehave ask: find, use
    devnet_heal, duration, used up -> heal -> [callbacks]

A fault is in force at most once; breaking again replaces it. A part that misbehaves a number of times takes one with
`use`, and the last one heals the fault.
Deliberately absent: the faults' effects, and who may ask for them (node.rpc).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog
import trio

from node.eth.primitives import Address
from node.runtime.fault_catalogue import FAULTS, L1_FAULTS
from node.runtime.fault_entries import DURATION, CatalogueEntry, Value, read_parameters

_log = structlog.get_logger()

Callback = Callable[[], None]
"""Told that the board changed; looks at it and must not block."""

NAMES: Final = frozenset(entry.name for entry in FAULTS)
"""What parts may ask for."""


@dataclass(slots=True, kw_only=True)
class ActiveFault:
    """A fault in force."""

    name: str
    """As in the catalogue."""
    parameters: Mapping[str, Value]
    """What it was started with, defaults filled in."""
    uses_left: int | None
    """How many times more, for faults that count."""
    heals_at: float | None
    """When it heals by itself, in trio's time."""
    _ended: trio.Event = field(default_factory=trio.Event)

    def integer(self, parameter: str) -> int:
        """A parameter that is an integer."""
        value = self.parameters[parameter]
        assert isinstance(value, int)
        return value

    def ratio(self, parameter: str) -> float:
        """A parameter that is a number."""
        value = self.parameters[parameter]
        assert isinstance(value, int | float)
        return float(value)

    def slots(self, parameter: str) -> frozenset[int]:
        """A parameter that lists slots; empty if it was not given."""
        value = self.parameters.get(parameter, ())
        assert isinstance(value, tuple)
        return frozenset(one for one in value if isinstance(one, int))

    def groups(self, parameter: str) -> tuple[tuple[str, ...], ...]:
        """A parameter that lists groups of processes."""
        value = self.parameters[parameter]
        assert isinstance(value, tuple)
        return tuple(group for group in value if isinstance(group, tuple))

    def address(self, parameter: str) -> Address:
        """A parameter that is an account."""
        value = self.parameters[parameter]
        assert isinstance(value, str)
        return Address(bytes.fromhex(value.removeprefix("0x")))

    def described(self) -> dict[str, object]:
        """The fault as JSON."""
        described: dict[str, object] = {"name": self.name, "parameters": dict(self.parameters)}
        if self.uses_left is not None:
            described["left"] = self.uses_left
        if self.heals_at is not None:
            described["healsInSeconds"] = round(max(0.0, self.heals_at - trio.current_time()), 3)
        return described

    def end(self) -> None:
        """Tell the timer, if there is one."""
        self._ended.set()

    async def wait(self) -> bool:
        """Wait for the fault's duration; False if it ended before."""
        assert self.heals_at is not None
        with trio.move_on_at(self.heals_at):
            await self._ended.wait()
            return False
        return True


class FaultBoard:
    """The faults of one process."""

    def __init__(self, entries: Sequence[CatalogueEntry] = L1_FAULTS) -> None:
        self._entries: Final = {entry.name: entry for entry in entries}
        self._active: dict[str, ActiveFault] = {}
        self._callbacks: list[Callback] = []
        self._timers, self._timed = trio.open_memory_channel[ActiveFault](len(entries) * 64)

    def on_change(self, callback: Callback) -> None:
        """Tell of every change."""
        self._callbacks.append(callback)

    # -- users

    async def inject(self, name: str, parameters: Mapping[str, object]) -> dict[str, object]:
        """Start a fault, or start it anew; gives it as JSON.

        Raises:
            ValueError: naming the fault or parameter that is wrong.
        """
        fault = self._read(name, parameters)
        if fault.heals_at is not None:
            try:
                self._timers.send_nowait(fault)
            except trio.WouldBlock:
                raise ValueError(f"{name}: too many faults with a duration were started") from None
        old = self._active.get(name)
        if old is not None:
            old.end()
        self._active[name] = fault
        _log.warning("fault_started", fault=name, parameters=dict(fault.parameters))
        self._changed()
        await trio.lowlevel.checkpoint()
        return fault.described()

    async def heal(self, name: str | None = None) -> list[str]:
        """End one fault, or all; gives the names of those that were in force.

        A fault that only other roles have is not in force here: whoever breaks several processes heals them all alike.

        Raises:
            ValueError: no fault of any role has this name.
        """
        if name is not None and name not in NAMES:
            raise ValueError(self._unknown(name))
        names = list(self._active) if name is None else [name]
        healed = [one for one in names if self._end(one)]
        if healed:
            self._changed()
        await trio.lowlevel.checkpoint()
        return healed

    def active(self) -> list[dict[str, object]]:
        """The faults in force, JSON."""
        return [fault.described() for fault in self._active.values()]

    # -- parts that misbehave

    def find(self, name: str) -> ActiveFault | None:
        """A fault if it is in force; one that this process's role has not never is."""
        assert name in NAMES, name
        return self._active.get(name)

    def use(self, name: str) -> ActiveFault | None:
        """Take one of a fault's times; the last one heals it. None if it is not in force."""
        fault = self.find(name)
        if fault is None or fault.uses_left is None:
            return fault
        fault.uses_left -= 1
        if fault.uses_left <= 0:
            self._end(name)
            self._changed()
        return fault

    def misses(self, slot: int) -> bool:
        """Whether a proposal for this slot is to be missed; takes it if so."""
        fault = self.find("miss-slots")
        if fault is None:
            return False
        listed = fault.slots("slots")
        if not listed:
            return self.use("miss-slots") is not None
        if slot >= max(listed):
            self._end("miss-slots")
            self._changed()
        return slot in listed

    # -- running

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Heal what has a duration, until cancelled."""
        async with trio.open_nursery() as nursery:
            task_status.started()
            async for fault in self._timed:
                nursery.start_soon(self._heal_later, fault)

    async def _heal_later(self, fault: ActiveFault) -> None:
        if await fault.wait() and self._active.get(fault.name) is fault:
            self._end(fault.name)
            self._changed()

    # -- inside

    def _read(self, name: str, given: Mapping[str, object]) -> ActiveFault:
        entry = self._entries.get(name)
        if entry is None:
            raise ValueError(self._unknown(name))
        parameters = read_parameters(entry, given)
        duration_s = parameters.pop(DURATION.name, None)
        heals_at = None
        if duration_s is not None:
            assert isinstance(duration_s, int)
            heals_at = trio.current_time() + duration_s
        return ActiveFault(
            name=name,
            parameters=parameters,
            uses_left=_uses(parameters),
            heals_at=heals_at,
        )

    def _end(self, name: str) -> bool:
        fault = self._active.pop(name, None)
        if fault is None:
            return False
        fault.end()
        _log.info("fault_healed", fault=name)
        return True

    def _changed(self) -> None:
        for callback in self._callbacks:
            callback()

    def _unknown(self, name: str) -> str:
        return f"no fault is called {name[:64]!r}; there are: {', '.join(self._entries)}"


def _uses(parameters: Mapping[str, Value]) -> int | None:
    """How many times a fault happens: what its `count`, or its number of `slots`, says."""
    slots = parameters.get("slots")
    if isinstance(slots, tuple):
        return None
    value = slots if slots is not None else parameters.get("count")
    assert value is None or isinstance(value, int)
    return value
