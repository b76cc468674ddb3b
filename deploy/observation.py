"""What a process says of itself: whether it is ready, its heads, its peers.

/readyz, one JSON-RPC batch -> Observation -> `faultline status`, the live table, the wait for readiness
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import orjson
from pydantic import JsonValue

from deploy.json_rpc import RpcRefused, RpcUnavailable, batch, request

OBSERVATION_TIMEOUT_S: Final = 2.0
"""A process that takes longer to answer counts as not answering."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One look at a process; None where it did not say."""

    ready: bool
    """Whether it follows the chain."""
    reason: str
    """Why it is not ready; empty if it is."""
    head: int | None = None
    """Number of its head."""
    safe: int | None = None
    """Number of its justified block."""
    finalized: int | None = None
    """Number of its finalized block."""
    peers: int | None = None
    """Connected peers."""
    head_timestamp: int | None = None
    """Timestamp of its head, seconds since the epoch of Unix."""


def observe(rpc_url: str, metrics_url: str) -> Observation:
    """Look at a process; never raises."""
    ready, reason = is_ready(metrics_url)
    try:
        latest, safe, final, peers = batch(
            rpc_url,
            [
                ("eth_getBlockByNumber", ["latest", False]),
                ("eth_getBlockByNumber", ["safe", False]),
                ("eth_getBlockByNumber", ["finalized", False]),
                ("net_peerCount", []),
            ],
            timeout_s=OBSERVATION_TIMEOUT_S,
        )
    except RpcUnavailable as error:
        return Observation(ready=False, reason=reason or str(error))
    return Observation(
        ready=ready,
        reason=reason,
        head=_field(latest, "number"),
        safe=_field(safe, "number"),
        finalized=_field(final, "number"),
        peers=_quantity(peers),
        head_timestamp=_field(latest, "timestamp"),
    )


def is_ready(metrics_url: str) -> tuple[bool, str]:
    """Whether a process follows the chain, and why not."""
    try:
        status, body = request(f"{metrics_url}/readyz", "GET", timeout_s=OBSERVATION_TIMEOUT_S)
    except RpcUnavailable as error:
        return False, str(error)
    if status == 200:
        return True, ""
    try:
        reasons = orjson.loads(body).get("reasons", {})
    except (orjson.JSONDecodeError, AttributeError):
        return False, f"{metrics_url}/readyz: HTTP {status}"
    return False, "; ".join(f"{check}: {reason}" for check, reason in reasons.items())


def _field(block: JsonValue | RpcRefused, name: str) -> int | None:
    return _quantity(block.get(name)) if isinstance(block, dict) else None


def _quantity(value: JsonValue | RpcRefused) -> int | None:
    return int(value, 16) if isinstance(value, str) and value.startswith("0x") else None
