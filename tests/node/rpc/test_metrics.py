"""What a scrape sees."""

from __future__ import annotations

from hypothesis import given, strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from node.rpc.metrics import BUCKETS_S, SUCCESS, RpcMetrics


def make() -> tuple[RpcMetrics, CollectorRegistry]:
    registry = CollectorRegistry()
    metrics = RpcMetrics(("eth_call",), lambda: (3, 2))
    registry.register(metrics)
    return metrics, registry


@given(st.lists(st.floats(0, 100), max_size=50))
def test_a_histogram_adds_up(durations: list[float]) -> None:
    metrics, registry = make()
    for seconds in durations:
        metrics.record("eth_call", SUCCESS, seconds)
    if not durations:
        assert registry.get_sample_value("faultline_rpc_request_seconds_count") is None
        return
    for bound in BUCKETS_S:
        labels = {"method": "eth_call", "le": str(bound)}
        at_most = registry.get_sample_value("faultline_rpc_request_seconds_bucket", labels)
        assert at_most == sum(seconds <= bound for seconds in durations)
    total = registry.get_sample_value("faultline_rpc_request_seconds_sum", {"method": "eth_call"})
    assert total == sum(durations)


def test_every_metric_is_explained_and_connections_are_shown() -> None:
    metrics, registry = make()
    metrics.record("anything", SUCCESS, 0.1)
    printed = generate_latest(registry).decode()
    for name in ("requests", "request_seconds", "connections"):
        assert f"# HELP faultline_rpc_{name}" in printed
    assert 'faultline_rpc_connections{transport="websocket"} 2.0' in printed
    assert 'method="unknown"' in printed
    assert "anything" not in printed
