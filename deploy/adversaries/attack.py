"""An entry of the catalogue of attacks: what is tried, what to expect, how the network is left.

    Attack(parameters, run) -> read -> values -> run(stage, values) -> Verdict

A fault (node.runtime.fault_catalogue) is something a process does wrong when it is told to; an attack is played from
outside, with what anybody has. `faultline break list` shows both.
Deliberately absent: the attacks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deploy.adversaries.stage import Stage, Verdict
from node.runtime.fault_entries import Parameter, Value, read_values

Values = Mapping[str, Value]
"""Parameters of an attack, read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One attack."""

    name: str
    """As users write it."""
    summary: str
    """What is tried."""
    parameters: tuple[Parameter, ...] = ()
    """What it takes."""
    expect: str
    """What should be seen, so that a user can tell whether the network holds."""
    leaves: str
    """How the network is afterwards."""
    run: Callable[[Stage, Values], Verdict]
    """Plays it."""

    def read(self, given: Mapping[str, object]) -> Values:
        """Check what a user wrote and fill in defaults. Raises ValueError naming the parameter."""
        return read_values(self.name, self.parameters, given)

    def described(self) -> dict[str, object]:
        """The attack as JSON, in the words of the catalogue of faults: no role plays it."""
        return {
            "name": self.name,
            "layer": "l1",
            "roles": [],
            "summary": self.summary,
            "parameters": [one.described() for one in self.parameters],
            "expect": self.expect,
            "heals": self.leaves,
        }
