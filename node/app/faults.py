"""Faults that act on a whole process: its links and its clock.

    FaultBoard changes -> link_fault -> Network.set_fault
                       -> clock skew -> SlotClock.skew_ms

Deliberately absent: faults of duties; the validator asks the board itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from node.p2p.network import LinkFault, Network, PeerId
from node.runtime.clock import SlotClock
from node.runtime.faults import FaultBoard


def link_fault(board: FaultBoard, names: Mapping[str, PeerId], own_name: str) -> LinkFault:
    """What the faults in force do to this process's links.

    Args:
        board: the faults.
        names: identities of the network's processes.
        own_name: this process's name.
    """
    delay, drop = board.find("delay"), board.find("drop")
    return LinkFault(
        blocked=_cut_off(board, names, own_name),
        delay_ms=0 if delay is None else delay.integer("ms"),
        jitter_ms=0 if delay is None else delay.integer("jitter_ms"),
        drop_ratio=0.0 if drop is None else drop.ratio("ratio"),
    )


def wire_faults(board: FaultBoard, network: Network, clock: SlotClock, own_name: str) -> None:
    """Let links and clock follow the board from now on."""

    def follow() -> None:
        network.set_fault(link_fault(board, network.names(), own_name))
        skew = board.find("clock-skew")
        clock.skew_ms = 0 if skew is None else skew.integer("ms")

    board.on_change(follow)


def _cut_off(board: FaultBoard, names: Mapping[str, PeerId], own_name: str) -> frozenset[PeerId]:
    """Peers of other groups; none while this process stands in no group."""
    partition = board.find("partition")
    groups = () if partition is None else partition.groups("groups")
    if not any(own_name in group for group in groups):
        return frozenset()
    others = {name for group in groups if own_name not in group for name in group}
    return frozenset(peer for name, peer in names.items() if name in others)
