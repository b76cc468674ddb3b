"""Every metric that INTERFACE.md promises of an L1 process, under exactly that name and with exactly those labels."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import pytest
import trio
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from node.app import assembly
from node.chain.importing import ImportOutcome
from node.p2p.metrics import Direction, Metrics, Outcome
from node.p2p.network import Topic
from node.rpc.metrics import SUCCESS, RpcMetrics
from node.runtime.health import new_registry
from tests.node.app.folders import make_folder

PROMISED: Final[dict[str, tuple[str, frozenset[str]]]] = {
    "faultline_chain_head_number": ("gauge", frozenset({"layer"})),
    "faultline_chain_safe_number": ("gauge", frozenset({"layer"})),
    "faultline_chain_finalized_number": ("gauge", frozenset({"layer"})),
    "faultline_chain_reorgs_total": ("counter", frozenset({"layer"})),
    "faultline_chain_reorg_depth_blocks": ("histogram", frozenset({"layer"})),
    "faultline_consensus_participation_ratio": ("gauge", frozenset()),
    "faultline_consensus_justified_epoch": ("gauge", frozenset()),
    "faultline_consensus_finalized_epoch": ("gauge", frozenset()),
    "faultline_consensus_slot": ("gauge", frozenset()),
    "faultline_validator_duties_total": ("counter", frozenset({"duty", "outcome"})),
    "faultline_p2p_peers": ("gauge", frozenset()),
    "faultline_p2p_messages_total": ("counter", frozenset({"topic", "direction", "outcome"})),
    "faultline_p2p_bytes_total": ("counter", frozenset({"direction"})),
    "faultline_rpc_requests_total": ("counter", frozenset({"method", "outcome"})),
    "faultline_rpc_request_seconds": ("histogram", frozenset({"method"})),
    "faultline_txpool_transactions": ("gauge", frozenset({"state"})),
    "faultline_engine_execute_seconds": ("histogram", frozenset()),
    "faultline_build_info": ("gauge", frozenset({"version"})),
    "process_cpu_seconds_total": ("counter", frozenset()),
    "process_resident_memory_bytes": ("gauge", frozenset()),
    "process_open_fds": ("gauge", frozenset()),
}
"""Name -> (type, labels) of INTERFACE.md's section on metrics, the L1's part."""

pytestmark = pytest.mark.usefixtures("restored_logs")


def exported(registry: CollectorRegistry) -> dict[str, tuple[str, frozenset[str]]]:
    """What a scrape shows: name as it is queried -> (type, labels of its samples)."""
    found: dict[str, tuple[str, frozenset[str]]] = {}
    text = generate_latest(registry).decode()
    for family in text_string_to_metric_families(text):
        name = family.name + "_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        found[name] = (family.type, frozenset(labels))
    return found


async def test_a_running_node_exports_what_is_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registries: list[CollectorRegistry] = []

    def remember(version: str) -> CollectorRegistry:
        registries.append(new_registry(version))
        return registries[-1]

    monkeypatch.setattr(assembly, "new_registry", remember)
    config = make_folder(tmp_path / "node").configure()
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(assembly.run_node, config))
            (registry,) = registries
            # Labels show with the first sample; these two wait for a peer and for a caller.
            for collector in list(registry._collector_to_names):
                if isinstance(collector, RpcMetrics):
                    collector.record("eth_chainId", SUCCESS, 0.001)
            while registry.get_sample_value(  # noqa: ASYNC110  # a counter has no event
                "faultline_validator_duties_total", {"duty": "propose", "outcome": "done"}
            ) in (None, 0):
                await trio.sleep(0.1)
            nursery.cancel_scope.cancel()

    found = exported(registry)
    late = {"faultline_p2p_messages_total"}
    missing = {name: want for name, want in PROMISED.items() if name not in late}
    assert {name: found.get(name) for name in missing} == missing
    assert late <= set(found)
    imports = registry.get_sample_value(
        "faultline_chain_imports_total", {"outcome": str(ImportOutcome.IMPORTED)}
    )
    assert imports is not None
    assert imports >= 1


def test_gossip_is_counted_by_topic_direction_and_outcome() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.count_message(Topic.L1_VOTE, Direction.IN, Outcome.DUPLICATE)

    name = "faultline_p2p_messages_total"
    assert exported(registry)[name] == PROMISED[name]
