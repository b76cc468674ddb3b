"""What follows the sequencer while it is loaded: safe head, replica, L1's base fee, memory; and what everybody's CPU did.

A thread asks a few times a second; its questions are part of what the processes are measured with, and too few to matter.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.benchmarks.processes import cpu_seconds
from tests.e2e.devnet import Devnet, wait_for

SAMPLE_EVERY_S: Final = 0.5

SLOT_S: Final = 2.0
"""Of L1."""

PAGE_MEGABYTES: Final = 4_096 / 1e6


@dataclass(slots=True)
class Samples:
    """What was seen, sample by sample."""

    safe_lag_slots: list[float] = field(default_factory=list)
    """How old the safe head is beside the unsafe one, in L1 slots."""
    replica_lag_blocks: list[int] = field(default_factory=list)
    """How many blocks the replica lacks."""
    base_fees: list[int] = field(default_factory=list)
    """Of L1's head, wei."""
    resident_megabytes: list[float] = field(default_factory=list)
    """Of the sequencer."""


def processes(devnet: Devnet) -> dict[str, list[int]]:
    """Process ids by role: sequencer, replica, validator."""
    info = devnet.rpc("devnet_info")
    assert isinstance(info, dict)
    found: dict[str, list[int]] = {}
    for process in info["processes"]:
        found.setdefault(process["role"], []).append(int(process["pid"]))
    return found


def cpu_by_role(devnet: Devnet) -> dict[str, float]:
    """CPU seconds that each role's processes have used so far."""
    return {role: sum(map(cpu_seconds, pids)) for role, pids in processes(devnet).items()}


def resident_megabytes(pid: int) -> float:
    """Resident set of a process; cheaper to read than its proportional one."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_MEGABYTES


def sample(devnet: Devnet, sequencer: int, into: Samples) -> None:
    """Look once."""
    latest, safe = (devnet.l2_rpc("eth_getBlockByNumber", tag, False) for tag in ("latest", "safe"))
    l1 = devnet.rpc("eth_getBlockByNumber", "latest", False)
    assert isinstance(latest, dict)
    assert isinstance(safe, dict)
    assert isinstance(l1, dict)
    age_s = int(latest["timestamp"], 16) - int(safe["timestamp"], 16)
    into.safe_lag_slots.append(age_s / SLOT_S)
    into.replica_lag_blocks.append(
        max(0, int(latest["number"], 16) - devnet.l2_number("latest", replica=0))
    )
    into.base_fees.append(int(l1["baseFeePerGas"], 16))
    into.resident_megabytes.append(resident_megabytes(sequencer))


@contextmanager
def watched(devnet: Devnet) -> Iterator[Samples]:
    """Look again and again until the block ends."""
    found, ended = Samples(), threading.Event()
    [sequencer] = processes(devnet)["sequencer"]

    def look() -> None:
        while not ended.wait(SAMPLE_EVERY_S):
            sample(devnet, sequencer, found)

    sample(devnet, sequencer, found)
    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()
    sample(devnet, sequencer, found)


def settle(devnet: Devnet) -> tuple[float, float]:
    """Seconds from now until the replica has the head of now, and until the head of now is safe there, too."""
    begun, head = time.perf_counter(), devnet.l2_number()
    wait_for("the replica", lambda: devnet.l2_number("latest", replica=0) >= head)
    followed_s = time.perf_counter() - begun
    wait_for("safety", lambda: devnet.l2_number("safe") >= head)
    wait_for("the replica's safety", lambda: devnet.l2_number("safe", replica=0) >= head)
    return followed_s, time.perf_counter() - begun
