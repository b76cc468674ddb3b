"""How long what is next in line has been waiting."""

from __future__ import annotations


class FirstInLine:
    """A line of numbered things; only the first one's time counts."""

    def __init__(self) -> None:
        self._first: int | None = None
        self._since_s = 0.0

    def age_s(self, first: int | None, now_s: float) -> float:
        """Seconds since `first` became the first in line; 0 while nothing waits (None)."""
        if first is None or first != self._first:
            self._first, self._since_s = first, now_s
        return now_s - self._since_s
