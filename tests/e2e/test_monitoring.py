"""What a devnet exports is what is promised, and what alerts and dashboards ask for."""

from __future__ import annotations

import re
import urllib.request
from dataclasses import dataclass
from typing import Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.monitoring.alerts import GROUPS
from deploy.monitoring.dashboards import DASHBOARDS
from deploy.monitoring.recordings import RECORDINGS
from tests.e2e.devnet import Devnet, RpcFailure, wait_for
from tests.kit.promql import Selector, labels_named, selectors

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("devnet"), pytest.mark.timeout(600)]

VALIDATORS: Final = frozenset(f"validator-{index}" for index in range(4))
WITH_BRIDGE: Final = frozenset({"bridge", "watchtower"})
WITH_L2: Final = WITH_BRIDGE | {"sequencer"}
ALL: Final = VALIDATORS | WITH_L2

PROMISED: Final[dict[str, tuple[str, frozenset[str], frozenset[str]]]] = {
    name: (kind, frozenset(labels.split()), processes)
    for name, kind, labels, processes in (
        ("faultline_chain_head_number", "gauge", "layer", ALL),
        ("faultline_chain_safe_number", "gauge", "layer", ALL),
        ("faultline_chain_finalized_number", "gauge", "layer", ALL),
        ("faultline_chain_reorgs_total", "counter", "layer", ALL),
        ("faultline_chain_reorg_depth_blocks", "histogram", "layer", ALL),
        ("faultline_consensus_participation_ratio", "gauge", "", ALL),
        ("faultline_consensus_justified_epoch", "gauge", "", ALL),
        ("faultline_consensus_finalized_epoch", "gauge", "", ALL),
        ("faultline_consensus_slot", "gauge", "", ALL),
        ("faultline_validator_duties_total", "counter", "duty outcome", VALIDATORS),
        ("faultline_p2p_peers", "gauge", "", ALL),
        ("faultline_p2p_messages_total", "counter", "topic direction outcome", ALL),
        ("faultline_p2p_bytes_total", "counter", "direction", ALL),
        ("faultline_rpc_requests_total", "counter", "method outcome", ALL),
        ("faultline_rpc_request_seconds", "histogram", "method", ALL),
        ("faultline_txpool_transactions", "gauge", "state", ALL),
        ("faultline_engine_execute_seconds", "histogram", "", ALL),
        ("faultline_sequencer_blocks_total", "counter", "", frozenset({"sequencer"})),
        ("faultline_sequencer_batches_total", "counter", "", WITH_L2),
        ("faultline_sequencer_batch_bytes_total", "counter", "", WITH_L2),
        ("faultline_sequencer_bytes_per_transaction", "gauge", "", WITH_L2),
        ("faultline_bridge_outputs_total", "counter", "", frozenset({"bridge"})),
        ("faultline_bridge_games_total", "counter", "outcome", WITH_BRIDGE),
        ("faultline_bridge_faults_proven_total", "counter", "", frozenset({"watchtower"})),
        ("faultline_bridge_withdrawals", "gauge", "state", frozenset({"bridge"})),
        ("faultline_bridge_locked_wei", "gauge", "", WITH_BRIDGE),
        ("faultline_l2_supply_wei", "gauge", "", WITH_BRIDGE),
        ("faultline_build_info", "gauge", "version", ALL),
        ("process_cpu_seconds_total", "counter", "", ALL),
        ("process_resident_memory_bytes", "gauge", "", ALL),
        ("process_open_fds", "gauge", "", ALL),
        ("process_start_time_seconds", "gauge", "", ALL),
    )
}
"""Name -> type, labels, processes: what users were told that they may rely on."""

LABEL_VALUES_MAX: Final = 200
"""More values of one label are no bounded set; the RPC's methods are the most."""

SECRETIVE: Final = re.compile(r"^(0x[0-9a-f]{8,}|12D3Koo\w+|16Uiu2\w+|[0-9a-f]{32,})$")
"""What a label must never hold: hashes, addresses, peers."""

ADDED: Final = frozenset({"process", "job", "instance"})
"""Labels that Prometheus adds to every sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """One family of one process."""

    process: str
    kind: str
    help: str
    samples: tuple[tuple[str, dict[str, str]], ...]


@pytest.fixture(scope="module")
def exported(devnet: Devnet) -> dict[str, list[Exported]]:
    """What every process exports, by the name that INTERFACE.md would give it."""
    wait_for("the first safe L2 block", lambda: devnet.l2_number("safe") > 0)
    for validator in range(4):
        devnet.rpc("eth_chainId", validator=validator)
        with pytest.raises(RpcFailure):
            devnet.rpc("eth_nothing", validator=validator)
    for replica in (None, 0, 1):
        devnet.l2_rpc("eth_chainId", replica=replica)
    return scrape(devnet)


def scrape(devnet: Devnet) -> dict[str, list[Exported]]:
    info = devnet.rpc("devnet_info")
    assert isinstance(info, dict)
    found: dict[str, list[Exported]] = {}
    for process in info["processes"]:
        with urllib.request.urlopen(process["metrics"], timeout=30) as answer:
            text = answer.read().decode()
        for family in text_string_to_metric_families(text):
            name = family.name + "_total" if family.type == "counter" else family.name
            samples = tuple((one.name, {**one.labels}) for one in family.samples)
            found.setdefault(name, []).append(
                Exported(
                    process=process["name"],
                    kind=family.type,
                    help=family.documentation,
                    samples=samples,
                )
            )
    return found


def test_every_promised_metric_is_exported_where_it_belongs(
    exported: dict[str, list[Exported]],
) -> None:
    for name, (kind, labels, processes) in PROMISED.items():
        families = exported.get(name, [])
        assert {family.process for family in families} >= processes, name
        for family in families:
            assert family.kind == kind, name
            for _, sample in family.samples:
                assert set(sample) - {"le"} == labels, (name, family.process)


def test_every_metric_is_explained_in_base_units(exported: dict[str, list[Exported]]) -> None:
    for name, families in exported.items():
        for family in families:
            assert family.help, name
            assert not re.search(r"_(ms|milliseconds|kb|mb|gwei|percent)(_|$)", name), name
        assert name.startswith(("faultline_", "process_", "python_")), name


def test_labels_are_bounded(exported: dict[str, list[Exported]]) -> None:
    values: dict[tuple[str, str], set[str]] = {}
    for name, families in exported.items():
        for family in families:
            for _, labels in family.samples:
                for label, value in labels.items():
                    values.setdefault((name, label), set()).add(value)
    for place, known in values.items():
        assert len(known) <= LABEL_VALUES_MAX, place
        assert not [value for value in known if SECRETIVE.match(value)], place


def expressions() -> list[tuple[str, str, str]]:
    """Everything that is asked of Prometheus: where it stands, the expression, the processes that `$process` stands for."""
    found = [
        (f"rule {rule.name}", rule.expression, ".*") for group in GROUPS for rule in group.rules
    ]
    for page in DASHBOARDS:
        for panel in (panel for row in page.rows for panel in row.panels):
            found += [
                (f"{page.uid}: {panel.title}", query.expression, page.processes)
                for query in panel.queries
            ]
    return found


def test_every_rule_and_panel_reads_what_is_there(exported: dict[str, list[Exported]]) -> None:
    """In place of a Prometheus: each selector meets a sample, each label that is grouped by is one of them."""
    recorded = {rule.name: rule.expression for rule in RECORDINGS}
    for place, expression, processes in expressions():
        labels = set(ADDED)
        for one in read_by(expression.replace("$process", processes), recorded):
            met = [sample for sample in samples_of(one, exported) if one.meets(*sample)]
            assert met, f"{place}: nothing meets {one}"
            labels |= {label for _, sample in met for label in sample}
        assert labels_named(expression) <= labels, place


def read_by(expression: str, recorded: dict[str, str]) -> list[Selector]:
    """The selectors of an expression, of the figures in it too, down to what is exported."""
    found: list[Selector] = []
    for one in selectors(expression):
        if one.metric in recorded:
            found += read_by(recorded[one.metric], recorded)
        elif one.metric not in ("up", "ALERTS"):
            found.append(one)
    return found


def samples_of(
    one: Selector, exported: dict[str, list[Exported]]
) -> list[tuple[str, dict[str, str]]]:
    """The samples of a selector's metric, with the labels that Prometheus adds."""
    return [
        (name, {**labels, "process": family.process, "job": "faultline", "instance": "any"})
        for families in exported.values()
        for family in families
        for name, labels in family.samples
        if name == one.metric
    ]
