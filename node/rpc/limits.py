"""What one server grants all of its callers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What one server grants all of its callers."""

    connections_max: int = 1_024
    """HTTP and WebSocket connections; more are turned away."""
    request_bytes_max: int = 64 << 20
    """Bytes of incomplete requests that all connections together may hold."""
    answer_bytes_max: int = 128 << 20
    """Bytes of answers that clients of all connections together have not taken: two of the longest."""
    request_within_s: float = 30.0
    """From a request's first byte to its last."""
    answer_within_s: float = 120.0
    """To find an answer; calls have shorter limits of their own."""
    write_within_s: float = 30.0
    """To take an answer."""
    idle_within_s: float = 120.0
    """Between requests."""
