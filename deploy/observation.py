"""What a process says of itself: whether it is ready, its heads, its peers; of the L2 also origin and batches.

/readyz, one JSON-RPC batch -> Observation -> `faultline status`, the live table, the wait for readiness
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson
from pydantic import JsonValue

from deploy.json_rpc import Call, RpcRefused, RpcUnavailable, batch, request
from deploy.published import Layer

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
    """Number of its head; the L2's unsafe one."""
    safe: int | None = None
    """Number of its justified block; on the L2, of the last block derived from L1."""
    finalized: int | None = None
    """Number of its finalized block."""
    peers: int | None = None
    """Connected peers."""
    head_timestamp: int | None = None
    """Timestamp of its head, seconds since the epoch of Unix."""
    origin: int | None = None
    """L2: number of the L1 block that its head follows from."""
    batches: int | None = None
    """L2: records of the Inbox that its safe block rests on, forced ones included."""


_QUESTIONS: Final[Sequence[Call]] = (
    ("eth_getBlockByNumber", ["latest", False]),
    ("eth_getBlockByNumber", ["safe", False]),
    ("eth_getBlockByNumber", ["finalized", False]),
    ("net_peerCount", []),
)
_L2_QUESTIONS: Final[Sequence[Call]] = (
    ("optimism_syncStatus", []),
    ("rollup_batchOf", ["safe"]),
)


def observe(rpc_url: str, metrics_url: str, layer: Layer = "l1") -> Observation:
    """Look at a process that serves a chain; never raises."""
    ready, reason = is_ready(metrics_url)
    questions = [*_QUESTIONS, *(_L2_QUESTIONS if layer == "l2" else ())]
    try:
        latest, safe, final, peers, *of_l2 = batch(
            rpc_url, questions, timeout_s=OBSERVATION_TIMEOUT_S
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
        origin=_origin(of_l2[0]) if of_l2 else None,
        batches=_batches(of_l2[1]) if of_l2 else None,
    )


def is_alive(metrics_url: str) -> bool:
    """Whether a process answers at all."""
    try:
        request(f"{metrics_url}/healthz", "GET", timeout_s=OBSERVATION_TIMEOUT_S)
    except RpcUnavailable:
        return False
    return True


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


def _origin(status: JsonValue | RpcRefused) -> int | None:
    """From `optimism_syncStatus`; its numbers are JSON integers."""
    head = status.get("unsafe_l2") if isinstance(status, dict) else None
    origin = head.get("l1origin") if isinstance(head, dict) else None
    number = origin.get("number") if isinstance(origin, dict) else None
    return number if isinstance(number, int) else None


def _batches(place: JsonValue | RpcRefused) -> int | None:
    """From `rollup_batchOf`, which has nothing to say of genesis."""
    if place is None:
        return 0
    index = _field(place, "recordIndex")
    return None if index is None else index + 1


def _field(block: JsonValue | RpcRefused, name: str) -> int | None:
    return _quantity(block.get(name)) if isinstance(block, dict) else None


def _quantity(value: JsonValue | RpcRefused) -> int | None:
    return int(value, 16) if isinstance(value, str) and value.startswith("0x") else None
