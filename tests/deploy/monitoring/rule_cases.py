"""For every alert what a scrape shows while it is wrong; for the healthy network what it shows else.

Written as promtool's series: `a+bxn` is a, a+b, a+2b, ... ; one value for each scrape, 2 s apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from deploy.manifest import Manifest, Setting, resolve

SCRAPE_S: Final = 2
"""Between two scrapes."""

SCRAPES: Final = 150
"""Of a test: five minutes."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """A network's slots, and what else its profile counts in time."""

    manifest: Manifest
    """Of the profile."""

    @property
    def scrapes(self) -> int:
        """Of a slot: 1 is 2 s, 6 is 12 s."""
        return self.manifest.network.slot_seconds // SCRAPE_S

    @property
    def batch_interval_s(self) -> float:
        """Between two batches at least."""
        return self.manifest.l2.batch_interval_ms / 1_000

    @property
    def output_interval_s(self) -> float:
        """Between two claims at least."""
        return self.manifest.bridge.output_interval_s

    def head(self, behind: float = 0, share: float = 1, until: int = SCRAPES) -> str:
        """What grows by a share of 1 with each slot, and stands still from some scrape on."""
        numbers = (share * (min(at, until) // self.scrapes) - behind for at in range(SCRAPES))
        return " ".join(f"{number:g}" for number in numbers)


def _profile(name: str) -> Slots:
    chosen = Setting(section="network", key="profile", value=name, origin="a test")
    return Slots(manifest=resolve([chosen]).manifest)


SHORT: Final = _profile("dev")
"""2 s."""

LONG: Final = _profile("realistic")
"""12 s."""


def healthy(slots: Slots = SHORT) -> dict[str, str]:
    """A network without a fault."""
    found: dict[str, str] = {}
    for process in PROCESSES:
        found |= {**machine(process), **consensus(process, slots), **json_rpc(process)}
    for process in WITH_L2:
        found |= rollup(process, slots)
    return found | bridges(slots)


def machine(process: str) -> dict[str, str]:
    """What a process takes of its machine, and whom it knows."""
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
    }


def consensus(process: str, slots: Slots) -> dict[str, str]:
    """An L1 with a block in each slot, and a reorganisation of one block at times."""
    reorganised = growing(0.1)
    return {
        on(process, "faultline_consensus_slot"): slots.head(),
        on(process, "faultline_consensus_head_slot"): slots.head(),
        on(process, "faultline_consensus_epoch"): slots.head(share=0.5),
        on(process, "faultline_consensus_finalized_epoch"): slots.head(2, share=0.5),
        on(process, "faultline_consensus_silent_slots"): steady(0),
        # Blocks overtake their blobs, now and then beyond the end of a slot.
        on(process, "faultline_chain_blobs_awaited_slots"): "0 0 1 0 " * (SCRAPES // 4),
        on(process, "faultline_consensus_evidence_total"): steady(0),
        on(process, "faultline_consensus_safety_faults_total"): steady(0),
        on(process, "faultline_chain_head_number", layer="l1"): slots.head(),
        on(process, "faultline_chain_reorg_depth_blocks_count", layer="l1"): reorganised,
        on(process, "faultline_chain_reorg_depth_blocks_bucket", layer="l1", le="4.0"): reorganised,
    }


def json_rpc(process: str) -> dict[str, str]:
    """Five calls a second, one in ten of them refused."""
    asked = {
        on(process, "faultline_rpc_requests_total", method="eth_call", outcome=outcome): grows
        for outcome, grows in (
            ("success", growing(10)),
            ("error", growing(1)),
            ("crash", steady(0)),
        )
    }
    took = {
        on(process, "faultline_rpc_request_seconds_bucket", method="eth_call", le=bound): growing(
            11
        )
        for bound in ("0.5", "10.0", "+Inf")
    }
    return asked | took


def rollup(process: str, slots: Slots) -> dict[str, str]:
    """An L2 with a block for each of L1's, three of them not on L1 yet."""
    return {
        on(process, "faultline_chain_head_number", layer="l2"): slots.head(-3),
        on(process, "faultline_chain_safe_number", layer="l2"): slots.head(),
        on(process, "faultline_sequencer_unposted_age_seconds"): steady(slots.batch_interval_s),
        on(process, "faultline_sequencer_batch_interval_seconds"): steady(slots.batch_interval_s),
        on(process, "faultline_sequencer_forced_records_total"): steady(0),
        on(process, "faultline_deriving_resets_total", reason="derivation_differs"): steady(0),
        on(process, "faultline_unsafe_equivocations_total"): steady(0),
    }


def bridges(slots: Slots) -> dict[str, str]:
    """Roles that have money, claims that are made, games that are honest."""
    solvent = {
        on(process, metric): steady(1.1e23)
        for process in ("bridge", "watchtower")
        for metric in ("faultline_bridge_locked_wei", "faultline_l2_supply_wei")
    }
    refused = on("validator-0", "faultline_validator_duties_total", duty="vote", outcome="refused")
    return solvent | {
        refused: steady(0),
        on("bridge", "faultline_bridge_unclaimed_age_seconds"): steady(slots.output_interval_s),
        on("bridge", "faultline_bridge_output_interval_seconds"): steady(slots.output_interval_s),
        on("bridge", "faultline_bridge_account_wei", role="proposer"): steady(1e22),
        on("bridge", "faultline_bridge_bond_wei"): steady(1e18),
        on("watchtower", "faultline_bridge_account_wei", role="challenger"): steady(1e21),
        on("watchtower", "faultline_bridge_judged_l1_number"): slots.head(),
        on("watchtower", "faultline_bridge_oldest_lie_blocks"): steady(0),
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


def once(process: str, metric: str, **labels: str) -> Case:
    """A counter that goes up once, shortly before the test looks."""
    return Case(
        changed={on(process, metric, **labels): jumping(1, at=SCRAPES - 20)}, processes=(process,)
    )


V0: Final = "validator-0"

STOPS: Final = 20
"""The scrape from which something stands still."""


def late_batch(slots: Slots) -> float:
    """The highest age of a block without a batch that is nobody's fault."""
    return 10 + 3 * slots.batch_interval_s


def late_claim(slots: Slots) -> float:
    """The highest age of a block without a claim that is nobody's fault."""
    return 30 + 3 * slots.output_interval_s


def counting_slots(slots: Slots) -> Mapping[str, Case]:
    """Alerts that count slots, epochs, blocks and intervals: they fire whatever these last."""
    stands = slots.head(until=STOPS)
    return {
        "FinalityStalled": Case(
            changed={
                on(V0, "faultline_consensus_finalized_epoch"): slots.head(share=0.5, until=STOPS)
            },
            processes=(V0,),
        ),
        "HeadStalled": Case(
            changed={on(V0, "faultline_consensus_head_slot"): stands}, processes=(V0,)
        ),
        "NodeBehind": Case(
            changed={on(V0, "faultline_chain_head_number", layer="l1"): stands}, processes=(V0,)
        ),
        "SequencerStalled": Case(
            changed={
                on("sequencer", "faultline_chain_head_number", layer="l2"): steady(3),
                on("sequencer", "faultline_chain_safe_number", layer="l2"): steady(3),
            },
            processes=("sequencer",),
        ),
        "SafeHeadStuck": Case(
            changed={on("bridge", "faultline_chain_safe_number", layer="l2"): stands},
            processes=("bridge",),
        ),
        "ChallengerBehind": Case(
            changed={on("watchtower", "faultline_bridge_judged_l1_number"): stands},
            processes=("watchtower",),
        ),
        "BatcherBehind": Case(
            changed={
                on("sequencer", "faultline_sequencer_unposted_age_seconds"): steady(
                    late_batch(slots) + 1
                )
            },
            processes=("sequencer",),
        ),
        "ClaimsStalled": Case(
            changed={
                on("bridge", "faultline_bridge_unclaimed_age_seconds"): steady(
                    late_claim(slots) + 1
                )
            },
            processes=("bridge",),
        ),
    }


CASES: Final[Mapping[str, Case]] = {
    **counting_slots(SHORT),
    "NothingToScrape": Case(changed=dict.fromkeys(healthy(), "")),
    "ProcessDown": Case(changed={on(V0, "up"): jumping(0)}, processes=(V0,)),
    "ProcessRestarts": Case(
        changed={on(V0, "process_start_time_seconds"): f"1+0x{SCRAPES - 50} 2+0x10 3+0x40"},
        processes=(V0,),
    ),
    "LoopLate": Case(
        changed={
            on(V0, "faultline_runtime_loop_delay_seconds"): "0.001 0.001 1.4 0.001 "
            * (SCRAPES // 4)
        },
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
    "ParticipationLow": Case(
        changed={on(V0, "faultline_consensus_silent_slots"): steady(4)}, processes=(V0,)
    ),
    "DeepReorganisation": Case(
        changed={
            on(V0, "faultline_chain_reorg_depth_blocks_count", layer="l1"): jumping(
                1, at=SCRAPES - 20
            ),
            on(V0, "faultline_chain_reorg_depth_blocks_bucket", layer="l1", le="4.0"): steady(0),
        },
        processes=(V0,),
    ),
    "BlobsWithheld": Case(
        changed={on(V0, "faultline_chain_blobs_awaited_slots"): f"0+0x{SCRAPES - 30} 1 2 3 0+0x26"},
        processes=(V0,),
    ),
    "ValidatorMisbehaved": once(V0, "faultline_consensus_evidence_total"),
    "ConflictingFinality": once(V0, "faultline_consensus_safety_faults_total"),
    "SignerRefused": once(V0, "faultline_validator_duties_total", duty="vote", outcome="refused"),
    "PeersLost": Case(changed={on(V0, "faultline_p2p_peers"): steady(3)}, processes=(V0,)),
    "PeerMisbehaved": once(V0, "faultline_p2p_misbehaviour_total", reason="bad_body"),
    "BlocksForced": once("bridge", "faultline_sequencer_forced_records_total"),
    "UnsafeBlocksDropped": once(
        "bridge", "faultline_deriving_resets_total", reason="derivation_differs"
    ),
    "SequencerEquivocated": once("bridge", "faultline_unsafe_equivocations_total"),
    "FalseGameUnresolved": Case(
        changed={on("watchtower", "faultline_bridge_oldest_lie_blocks"): steady(6)},
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
    "AccountLow": Case(
        changed={on("watchtower", "faultline_bridge_account_wei", role="challenger"): steady(1e18)},
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


def nearly(slots: Slots) -> Series:
    """Not quite wrong: nothing fires."""
    return {
        on(V0, "faultline_consensus_finalized_epoch"): slots.head(5, share=0.5),
        on(V0, "faultline_consensus_head_slot"): slots.head(6),
        on(V0, "faultline_consensus_silent_slots"): steady(3),
        on(V0, "faultline_chain_head_number", layer="l1"): slots.head(5),
        on("sequencer", "faultline_sequencer_unposted_age_seconds"): steady(late_batch(slots)),
        on("bridge", "faultline_bridge_unclaimed_age_seconds"): steady(late_claim(slots)),
        on("bridge", "faultline_bridge_locked_wei"): steady(1.1e23 + 1e9),
        on("watchtower", "faultline_bridge_oldest_lie_blocks"): steady(5),
        on("watchtower", "faultline_bridge_judged_l1_number"): slots.head(8),
        on(V0, "process_resident_memory_bytes"): steady(840e6),
        on(V0, "faultline_runtime_loop_delay_seconds"): jumping(0.7),
    }
