"""For every alert what a scrape shows while it is wrong; for the healthy network what it shows else.

Written as promtool's series: `a+bxn` is a, a+b, a+2b, ... ; one value for each scrape, 2 s apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SCRAPES: Final = 90
"""Of a test: three minutes."""

Series = Mapping[str, str]
"""Metric with its labels -> values."""


def steady(value: float) -> str:
    """The same at each scrape."""
    return f"{value:g}+0x{SCRAPES}"


def growing(by: float, start: float = 0) -> str:
    """More at each scrape."""
    return f"{start:g}+{by:g}x{SCRAPES}"


def jumping(value: float, at: int = 20) -> str:
    """0, and from some scrape on a value."""
    return f"0+0x{at - 1} {value:g}+0x{SCRAPES - at}"


def on(process: str, metric: str, **labels: str) -> str:
    """A series of a process."""
    written = ",".join(f'{name}="{text}"' for name, text in {"process": process, **labels}.items())
    return f'{metric}{{job="faultline",{written}}}'


PROCESSES: Final = ("validator-0", "validator-1", "sequencer", "bridge", "watchtower")
"""Of the network in these tests."""

WITH_L2: Final = PROCESSES[2:]

MOVING: Final = f"0+1x{SCRAPES}"
"""A head: a block a slot."""


def healthy() -> dict[str, str]:
    """A network without a fault."""
    found = of_roles()
    for process in PROCESSES:
        found |= of_a_process(process)
    for process in WITH_L2:
        found |= of_an_l2(process)
    return found


def of_a_process(process: str) -> dict[str, str]:
    """What each shows: itself, its L1, its peers, its JSON-RPC."""
    return {
        on(process, "up"): steady(1),
        on(process, "process_start_time_seconds"): steady(1_700_000_000),
        on(process, "process_open_fds"): steady(40),
        on(process, "process_max_fds"): steady(1_024),
        on(process, "process_resident_memory_bytes"): steady(100e6),
        on(process, "faultline_runtime_memory_limit_bytes"): steady(1e9),
        on(process, "faultline_runtime_loop_delay_seconds"): steady(0.001),
        on(process, "faultline_storage_free_bytes"): steady(5e9),
        on(process, "faultline_storage_capacity_bytes"): steady(1e10),
        on(process, "faultline_p2p_peers"): steady(len(PROCESSES) - 1),
        on(process, "faultline_p2p_handler_bugs_total"): steady(0),
        on(process, "faultline_p2p_misbehaviour_total", reason="bad_body"): steady(0),
        on(process, "faultline_consensus_slot"): MOVING,
        on(process, "faultline_consensus_head_slot"): MOVING,
        on(process, "faultline_consensus_epoch"): growing(0.5),
        on(process, "faultline_consensus_finalized_epoch"): growing(0.5, start=-2),
        on(process, "faultline_consensus_participation_ratio"): steady(1),
        on(process, "faultline_consensus_evidence_total"): steady(0),
        on(process, "faultline_consensus_safety_faults_total"): steady(0),
        on(process, "faultline_chain_head_number", layer="l1"): MOVING,
        on(process, "faultline_chain_reorg_depth_blocks_count", layer="l1"): growing(0.1),
        on(process, "faultline_chain_reorg_depth_blocks_bucket", layer="l1", le="4.0"): growing(
            0.1
        ),
        on(process, "faultline_rpc_requests_total", method="eth_call", outcome="success"): growing(
            10
        ),
        on(process, "faultline_rpc_requests_total", method="eth_call", outcome="error"): growing(1),
        on(process, "faultline_rpc_requests_total", method="eth_call", outcome="crash"): steady(0),
        on(process, "faultline_rpc_request_seconds_bucket", method="eth_call", le="0.5"): growing(
            11
        ),
        on(process, "faultline_rpc_request_seconds_bucket", method="eth_call", le="10.0"): growing(
            11
        ),
        on(process, "faultline_rpc_request_seconds_bucket", method="eth_call", le="+Inf"): growing(
            11
        ),
    }


def of_an_l2(process: str) -> dict[str, str]:
    """What each with an L2 shows besides."""
    return {
        on(process, "faultline_chain_head_number", layer="l2"): growing(1, start=3),
        on(process, "faultline_chain_safe_number", layer="l2"): MOVING,
        on(process, "faultline_sequencer_unposted_age_seconds"): steady(1),
        on(process, "faultline_sequencer_batch_interval_seconds"): steady(2),
        on(process, "faultline_sequencer_forced_records_total"): steady(0),
        on(process, "faultline_deriving_resets_total", reason="derivation_differs"): steady(0),
        on(process, "faultline_unsafe_equivocations_total"): steady(0),
    }


def of_roles() -> dict[str, str]:
    """What bridge, watchtower and a signer show besides."""
    locked = {
        on(process, name): steady(1.1e23)
        for process in ("bridge", "watchtower")
        for name in ("faultline_bridge_locked_wei", "faultline_l2_supply_wei")
    }
    return locked | {
        on(
            "validator-0", "faultline_validator_duties_total", duty="vote", outcome="refused"
        ): steady(0),
        on("bridge", "faultline_bridge_unclaimed_age_seconds"): steady(5),
        on("bridge", "faultline_bridge_output_interval_seconds"): steady(6),
        on("bridge", "faultline_bridge_account_wei", role="proposer"): steady(1e22),
        on("watchtower", "faultline_bridge_account_wei", role="challenger"): steady(1e21),
        on("watchtower", "faultline_bridge_judged_l1_number"): MOVING,
        on("watchtower", "faultline_bridge_open_games", verdict="honest"): steady(4),
        on("watchtower", "faultline_bridge_open_games", verdict="false"): steady(0),
        on("watchtower", "faultline_bridge_faults_stuck"): steady(0),
        on("watchtower", "faultline_bridge_lies_that_stand"): steady(0),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is wrong, and who says so."""

    changed: Series
    """Series that are not as in a healthy network; an empty one is not there."""
    processes: tuple[str, ...] = ()
    """Whom the alert names; none where it names no process."""


def stopping(at: int = 20) -> str:
    """A head that stands still from some scrape on."""
    return f"0+1x{at - 1} {at - 1}+0x{SCRAPES - at}"


def once(process: str, metric: str, **labels: str) -> Case:
    """A counter that goes up once, shortly before the test looks."""
    return Case(changed={on(process, metric, **labels): jumping(1, at=70)}, processes=(process,))


V0: Final = "validator-0"

CASES: Final[Mapping[str, Case]] = {
    "NothingToScrape": Case(changed=dict.fromkeys(healthy(), "")),
    "ProcessDown": Case(changed={on(V0, "up"): jumping(0)}, processes=(V0,)),
    "ProcessRestarts": Case(
        changed={on(V0, "process_start_time_seconds"): "1+0x40 2+0x10 3+0x40"}, processes=(V0,)
    ),
    "LoopLate": Case(
        changed={on(V0, "faultline_runtime_loop_delay_seconds"): "0.001 0.001 1.4 0.001 " * 22},
        processes=(V0,),
    ),
    "MemoryNearLimit": Case(
        changed={on(V0, "process_resident_memory_bytes"): steady(900e6)}, processes=(V0,)
    ),
    "DiskNearlyFull": Case(
        changed={on(V0, "faultline_storage_free_bytes"): steady(4e8)}, processes=(V0,)
    ),
    "OpenFilesNearLimit": Case(
        changed={on(V0, "process_open_fds"): steady(1_000)}, processes=(V0,)
    ),
    "InternalError": Case(
        changed={
            on(V0, "faultline_rpc_requests_total", method="eth_call", outcome="crash"): steady(1),
            on("bridge", "faultline_p2p_handler_bugs_total"): steady(2),
        },
        processes=("bridge", V0),
    ),
    "FinalityStalled": Case(
        changed={on(V0, "faultline_consensus_finalized_epoch"): stopping()}, processes=(V0,)
    ),
    "HeadStalled": Case(
        changed={on(V0, "faultline_consensus_head_slot"): stopping()}, processes=(V0,)
    ),
    "NodeBehind": Case(
        changed={on(V0, "faultline_chain_head_number", layer="l1"): stopping()}, processes=(V0,)
    ),
    "ParticipationLow": Case(
        changed={on(V0, "faultline_consensus_participation_ratio"): steady(0.5)}, processes=(V0,)
    ),
    "DeepReorganisation": Case(
        changed={
            on(
                V0, "faultline_chain_reorg_depth_blocks_count", layer="l1"
            ): f"0+0x69 1+0x{SCRAPES - 70}",
            on(V0, "faultline_chain_reorg_depth_blocks_bucket", layer="l1", le="4.0"): steady(0),
        },
        processes=(V0,),
    ),
    "ValidatorMisbehaved": once(V0, "faultline_consensus_evidence_total"),
    "ConflictingFinality": once(V0, "faultline_consensus_safety_faults_total"),
    "SignerRefused": once(V0, "faultline_validator_duties_total", duty="vote", outcome="refused"),
    "PeersLost": Case(changed={on(V0, "faultline_p2p_peers"): steady(3)}, processes=(V0,)),
    "PeerMisbehaved": once(V0, "faultline_p2p_misbehaviour_total", reason="bad_body"),
    "SequencerStalled": Case(
        changed={
            on("sequencer", "faultline_chain_head_number", layer="l2"): steady(3),
            on("sequencer", "faultline_chain_safe_number", layer="l2"): steady(3),
        },
        processes=("sequencer",),
    ),
    "BatcherBehind": Case(
        changed={on("sequencer", "faultline_sequencer_unposted_age_seconds"): steady(17)},
        processes=("sequencer",),
    ),
    "SafeHeadStuck": Case(
        changed={on("bridge", "faultline_chain_safe_number", layer="l2"): stopping()},
        processes=("bridge",),
    ),
    "BlocksForced": once("bridge", "faultline_sequencer_forced_records_total"),
    "UnsafeBlocksDropped": once(
        "bridge", "faultline_deriving_resets_total", reason="derivation_differs"
    ),
    "SequencerEquivocated": once("bridge", "faultline_unsafe_equivocations_total"),
    "FalseGameUnresolved": Case(
        changed={on("watchtower", "faultline_bridge_open_games", verdict="false"): steady(1)},
        processes=("watchtower",),
    ),
    "FaultProofStuck": Case(
        changed={on("watchtower", "faultline_bridge_faults_stuck"): steady(1)},
        processes=("watchtower",),
    ),
    "LieStands": Case(
        changed={on("watchtower", "faultline_bridge_lies_that_stand"): steady(1)},
        processes=("watchtower",),
    ),
    "LockedBelowSupply": Case(
        changed={on("bridge", "faultline_bridge_locked_wei"): steady(1.0999e23)},
        processes=("bridge",),
    ),
    "ClaimsStalled": Case(
        changed={on("bridge", "faultline_bridge_unclaimed_age_seconds"): steady(49)},
        processes=("bridge",),
    ),
    "AccountLow": Case(
        changed={on("watchtower", "faultline_bridge_account_wei", role="challenger"): steady(1e18)},
        processes=("watchtower",),
    ),
    "ChallengerBehind": Case(
        changed={on("watchtower", "faultline_bridge_judged_l1_number"): stopping()},
        processes=("watchtower",),
    ),
    "RpcErrors": Case(
        changed={
            on(V0, "faultline_rpc_requests_total", method="eth_call", outcome="error"): growing(20)
        },
        processes=(V0,),
    ),
    "RpcSlow": Case(
        changed={
            on(V0, "faultline_rpc_request_seconds_bucket", method="eth_call", le="0.5"): growing(9)
        },
        processes=(V0,),
    ),
}
"""One for each alert."""

NEARLY: Final[Series] = {
    on(V0, "faultline_consensus_finalized_epoch"): growing(0.5, start=-5),
    on(V0, "faultline_consensus_head_slot"): growing(1, start=-6),
    on(V0, "faultline_chain_head_number", layer="l1"): growing(1, start=-5),
    on("sequencer", "faultline_sequencer_unposted_age_seconds"): steady(16),
    on("bridge", "faultline_bridge_unclaimed_age_seconds"): steady(48),
    on("bridge", "faultline_bridge_locked_wei"): steady(1.1e23 + 1e9),
    on("watchtower", "faultline_bridge_open_games", verdict="false"): "0 0 0 1 1 1 1 " * 13,
    on("watchtower", "faultline_bridge_judged_l1_number"): growing(1, start=-8),
    on(V0, "process_resident_memory_bytes"): steady(840e6),
    on(V0, "faultline_runtime_loop_delay_seconds"): jumping(0.7),
}
"""Not quite wrong: nothing fires."""
