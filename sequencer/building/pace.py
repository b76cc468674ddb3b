"""The ration of blocks: at once while there are few, a fixed number a second when there are many. PURE.

A block costs the batcher, every replica and L1's data a fixed amount beside its transactions, so under load they share blocks.
"""

from __future__ import annotations

from typing import Final

SHORTEST_WAIT_S: Final = 1e-5
"""A shorter wait is none, and the token is owed: what a clock cannot show would never end."""


class TokenBucket:
    """Tokens that are taken one by one and grow back; time is an argument, seconds of any steady clock."""

    def __init__(self, *, burst: int, refill_per_second: float, now: float) -> None:
        assert burst >= 1
        assert refill_per_second > 0
        self._burst = burst
        self._refill_per_second = refill_per_second
        self._tokens = float(burst)
        self._at = now

    def begin(self, now: float) -> None:
        """Start at this time, full."""
        self._tokens, self._at = float(self._burst), now

    def tokens(self) -> float:
        """How many there were when somebody asked last."""
        return self._tokens

    def wait_s(self, now: float) -> float:
        """How long until a token is there; 0 if one is."""
        self._refill(now)
        wait_s = (1.0 - self._tokens) / self._refill_per_second
        return wait_s if wait_s > SHORTEST_WAIT_S else 0.0

    def take(self, now: float) -> None:
        """Take one; one that was not there is owed."""
        self._refill(now)
        self._tokens -= 1.0

    def _refill(self, now: float) -> None:
        passed = max(0.0, now - self._at)
        self._at = max(self._at, now)
        self._tokens = min(float(self._burst), self._tokens + passed * self._refill_per_second)
