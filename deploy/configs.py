"""What every process of a network is told at start, one JSON file each.

    Network -> process_config -> config/<name>.json -> node.config, sequencer.config, bridge.config

Written anew at every start, because ports, binds and bounds may change.
Deliberately absent: secrets; a configuration names the files that hold them.
"""

from __future__ import annotations

import orjson
from pydantic import JsonValue

from deploy.bridge_terms import open_games
from deploy.network import SEQUENCER, Network, ProcessPlan, replace_file, write_info


def process_config(network: Network, plan: ProcessPlan) -> dict[str, JsonValue]:
    """What a process is told: the object that node.config, sequencer.config or bridge.config reads."""
    layout, manifest = network.layout, network.manifest
    shared: dict[str, JsonValue] = {
        "name": plan.name,
        "data_dir": str(layout.store(plan.name)),
        "genesis_file": str(layout.genesis),
        "rpc": _rpc(network, plan),
        "metrics": {"host": manifest.metrics.host, "port": network.bound_port(plan.metrics_port)},
        "p2p": _p2p(network, plan),
        "log": {"format": "json", "level": "info"},
        "faults": manifest.faults.enabled,
        "network_file": str(layout.info),
    }
    engine: JsonValue = {
        "cache_mb": manifest.engine.cache_mb,
        "history_blocks": manifest.engine.history_blocks,
    }
    if plan.role == "validator":
        keys = str(layout.validator_keys(plan.name))
        l2_genesis = str(layout.l2_genesis) if manifest.l2.enabled else None
        return {**shared, "engine": engine, "keys_file": keys, "l2_genesis_file": l2_genesis}
    of_l2: dict[str, JsonValue] = {
        **shared,
        "l2_genesis_file": str(layout.l2_genesis),
        "l1_engine": engine,
        "l2_engine": engine,
    }
    match plan.role:
        case "sequencer":
            return {**of_l2, "role": plan.role, **_sequencer(network, plan)}
        case "bridge":
            return {**of_l2, **_follower(network, plan), **_bridge(network, plan)}
        case "watchtower":
            challenger = str(layout.challenger_key(plan.name))
            return {**of_l2, **_follower(network, plan), "challenger_key_file": challenger}
        case _:
            return {**of_l2, "role": plan.role, **_follower(network, plan)}


def _sequencer(network: Network, plan: ProcessPlan) -> dict[str, JsonValue]:
    return {
        "unsafe_key_file": str(network.layout.unsafe_key(plan.name)),
        "batcher_key_file": str(network.layout.batcher_key(plan.name)),
        "batcher": {"interval_ms": network.manifest.l2.batch_interval_ms},
    }


def _follower(network: Network, plan: ProcessPlan) -> dict[str, JsonValue]:
    """Of everybody who derives the L2 beside the sequencer."""
    return {
        "forcer_key_file": str(network.layout.forcer_key(plan.name)),
        "forward_to": SEQUENCER,
    }


def _bridge(network: Network, plan: ProcessPlan) -> dict[str, JsonValue]:
    return {
        "proposer_key_file": str(network.layout.proposer_key(plan.name)),
        "relayer_key_file": str(network.layout.relayer_key(plan.name)),
        "proposer": {
            "interval_ms": 1_000 * network.manifest.bridge.output_interval_s,
            "open_games_max": open_games(network.manifest),
        },
    }


def _rpc(network: Network, plan: ProcessPlan) -> dict[str, JsonValue]:
    rpc = network.manifest.rpc
    return {
        "host": rpc.host,
        "port": network.bound_port(plan.rpc_port),
        "allowed_hosts": list(rpc.allowed_hosts),
        "allowed_origins": list(rpc.allowed_origins),
        "published_on_loopback": rpc.published_on_loopback,
        "gas_cap": rpc.gas_cap,
    }


def _p2p(network: Network, plan: ProcessPlan) -> dict[str, JsonValue]:
    """Everybody is everybody's peer: a devnet is a full mesh."""
    return {
        "host": network.manifest.p2p.host,
        "port": network.bound_port(plan.p2p_port),
        "key_file": str(network.layout.p2p_key(plan.name)),
        "peers": [
            {
                "name": other.name,
                "peer_id": other.peer_id,
                "address": network.p2p_address(other),
            }
            for other in network.processes()
            if other.name != plan.name
        ],
    }


def write_configs(network: Network) -> None:
    """Write what every process is told."""
    write_info(network, {})
    network.layout.configs.mkdir(exist_ok=True)
    network.layout.logs.mkdir(exist_ok=True)
    for plan in network.processes():
        network.layout.store(plan.name).mkdir(exist_ok=True)
        content = orjson.dumps(process_config(network, plan), option=orjson.OPT_INDENT_2)
        replace_file(network.layout.config(plan.name), content)
