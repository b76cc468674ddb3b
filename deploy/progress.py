"""How far a transfer between the layers has come, a line for each step; the one that goes on now counts down in place on a terminal.

    step passed -> Progress.passed -> "✓ proven        L1 holds the proof, against game 7   +2.1 s"
    waiting     -> Progress.waits  -> "… in challenge  until L1 block 147 is final (12 s)"

Goes to standard error, so that what a program reads stays alone. Without a terminal each waiting is told once.
Deliberately absent: what the steps mean (depositing, withdrawing).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TextIO

NAME_WIDTH = 15
"""Columns of a step's name."""

_CLEAR_LINE = "\r\x1b[2K"


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A step that is done."""

    step: str
    """Its name."""
    seconds: float
    """How long after the one before."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """Writes steps as they pass."""

    out: TextIO
    """Where."""
    is_quiet: bool = False
    """Whether nothing is written; the steps are noted all the same."""
    steps: list[Passed] = field(default_factory=list)
    """Those that are done."""
    _last: float = field(default_factory=time.monotonic)
    _told: str = ""
    _open: bool = False

    def passed(self, step: str, what: str) -> None:
        """Tell of a step that is done."""
        now = time.monotonic()
        seconds, self._last = now - self._last, now
        self.steps.append(Passed(step=step, seconds=seconds))
        self._told = ""
        self._line(f"✓ {step:<{NAME_WIDTH}} {what}  +{seconds:.1f} s", end="\n")

    def waits(self, step: str, what: str, seconds_left: float | None = None) -> None:
        """Tell what the next step waits for; `seconds_left` counts down on a terminal."""
        left = "" if seconds_left is None else f" (about {max(0.0, seconds_left):.0f} s)"
        if self.out.isatty():
            self._line(f"… {step:<{NAME_WIDTH}} {what}{left}", end="")
        elif what != self._told:
            self._line(f"… {step:<{NAME_WIDTH}} {what}{left}", end="\n")
        self._told = what

    def close(self) -> None:
        """Leave the terminal's line as it is."""
        if self._open and not self.is_quiet:
            self.out.write("\n")
            self.out.flush()
        self._open = False

    def _line(self, text: str, *, end: str) -> None:
        if self.is_quiet:
            return
        self.out.write((_CLEAR_LINE if self._open else "") + text + end)
        self.out.flush()
        self._open = not end
