"""Whether and when a process that ended by itself is started again. A rule, without a clock of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from deploy.launcher import CONFIGURATION_EXIT

FIRST_DELAY_S: Final = 0.5
"""Wait before the first restart; doubled for each early end in a row."""

DELAY_MAX_S: Final = 30.0
"""Longest wait before a restart."""

STEADY_S: Final = 60.0
"""A process that ran this long had started well: earlier ends are forgotten."""

EARLY_ENDS_MAX: Final = 8
"""After so many early ends in a row a process is left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartHistory:
    """What the rule remembers of one process."""

    early_ends: int = 0
    """Ends in a row, each soon after its start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What to do about a process that ended by itself."""

    history: RestartHistory
    """What to remember."""
    delay_s: float | None
    """How long to wait before it is started again; None to leave it alone."""
    reason: str
    """Why it is left alone; empty otherwise."""


def after_end(history: RestartHistory, *, code: int, ran_s: float) -> Verdict:
    """Judge an end.

    Args:
        history: what is remembered so far.
        code: exit code; minus the signal's number if one ended it.
        ran_s: how long it ran.
    """
    if code == CONFIGURATION_EXIT:
        return Verdict(history=history, delay_s=None, reason="its configuration is wrong")
    ends = 1 if ran_s >= STEADY_S else history.early_ends + 1
    remembered = replace(history, early_ends=ends)
    if ends >= EARLY_ENDS_MAX:
        reason = f"it ended {ends} times in a row soon after its start"
        return Verdict(history=remembered, delay_s=None, reason=reason)
    delay_s = min(DELAY_MAX_S, FIRST_DELAY_S * 2 ** (ends - 1))
    return Verdict(history=remembered, delay_s=delay_s, reason="")


def describe_end(code: int) -> str:
    """An exit code in words."""
    return f"ended by signal {-code}" if code < 0 else f"exit code {code}"
