"""Which seeds of which random histories are run, and what becomes of one that fails.

    FAULTLINE_SIMULATION_SEEDS unset -> the usual seeds and the kept ones;  17 -> that one;  100-1100 -> all of these

A seed that fails names the command that runs it again. While hunting (the variable is set) it is also written to
failing_seeds.txt, which every run replays from then on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.simulation.network import Plan, Script, simulate

VARIABLE: Final = "FAULTLINE_SIMULATION_SEEDS"
"""Names other seeds than the usual ones: one, or the first and the last with a dash between them."""

KEPT: Final = Path(__file__).with_name("failing_seeds.txt")
"""Lines of a history's name and a seed that failed once; what was wrong stands after a #."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A kind of random history."""

    name: str
    """In failing_seeds.txt."""
    test: str
    """What replays it."""
    plan: Callable[[int], Plan]
    """The network of a seed."""
    script: Script[None]
    """What happens to it."""
    usual: Sequence[int]
    """Seeds that every run takes."""
    kept: Path = KEPT
    """Where failing seeds are kept."""

    def seeds(self) -> list[int]:
        """What this run takes."""
        asked = os.environ.get(VARIABLE)
        if asked is None:
            return sorted({*self.usual, *self.kept_seeds()})
        first, _, last = asked.partition("-")
        return list(range(int(first), int(last or first) + 1))

    def kept_seeds(self) -> list[int]:
        """Seeds of this history that failed once."""
        lines = (line.partition("#")[0].split() for line in self.kept.read_text().splitlines())
        return [int(words[1]) for words in lines if words and words[0] == self.name]

    def replay(self, seed: int) -> None:
        """Run a seed. Raises whatever broke, with the command that runs it again."""
        try:
            simulate(self.script, self.plan(seed))
        except BaseException as error:
            error.add_note(f"replay: {VARIABLE}={seed} make test-fast ARGS={self.test}")
            if VARIABLE in os.environ and seed not in self.kept_seeds():
                with self.kept.open("a") as kept:
                    reason = " ".join(str(error).split())[:160]
                    kept.write(f"{self.name} {seed} # {reason}\n")
            raise
