"""The riskiest spot: do votes meet their deadlines on two cores while 2 MB blocks and L2 gossip share the network?

`python -m tests.benchmarks.p2p_deadlines [--seconds 30] [--block-bytes 2000000] [--json FILE]`

Seven processes as in the default devnet, each with the real p2p stack on real sockets. Every 2 s one of four validators
builds a block (60-100 ms of CPU in a thread) and publishes it; everybody imports it (again 60-100 ms in a thread);
validators vote when they have imported it, at the latest at 0.4 slot. The sequencer gossips 30 KB every 100 ms throughout.
Lateness is counted from the beginning of the slot on the machine's one monotonic clock.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import trio
from prometheus_client import CollectorRegistry

from node.p2p.network import PeerId, Topic, Verdict
from node.p2p.service import Libp2pNetwork, NetworkSettings, StaticPeer, peer_id_of
from tests.benchmarks.figures import Figure, print_figures, save_figures

NAMES = (
    "validator-0",
    "validator-1",
    "validator-2",
    "validator-3",
    "sequencer",
    "bridge",
    "watchtower",
)
VALIDATORS = 4
SLOT_S = 2.0
VOTE_DUE_S = 0.8
FREEZE_S = 1.6
WORK_MS = (60, 100)
L2_BYTES = 30_000
L2_INTERVAL_S = 0.1
VOTE_BYTES = 16 * 160
SETTLE_SLOTS = 2
HEADER = 16
GENESIS = bytes(range(32))


@dataclass(kw_only=True)
class Plan:
    """What one process is told."""

    index: int
    ports: list[int]
    start_s: float
    slots: int
    block_bytes: int

    def settings(self) -> NetworkSettings:
        """Its network, with everybody else as a static peer."""
        peers = tuple(
            StaticPeer(
                name=name,
                peer_id=peer_id_of(seed_of(index)),
                address=f"/ip4/127.0.0.1/tcp/{self.ports[index]}",
            )
            for index, name in enumerate(NAMES)
        )
        return NetworkSettings(
            name=NAMES[self.index],
            seed=seed_of(self.index),
            genesis_hash=GENESIS,
            port=self.ports[self.index],
            peers=peers,
        )


@dataclass(kw_only=True)
class Record:
    """What one process saw; seconds."""

    block_arrival: list[float] = field(default_factory=list)
    block_imported: list[float] = field(default_factory=list)
    vote_sent: list[float] = field(default_factory=list)
    vote_arrival: list[float] = field(default_factory=list)
    l2_delay: list[float] = field(default_factory=list)
    loop_lag: list[float] = field(default_factory=list)
    cpu_share: float = 0.0
    peak_megabytes: float = 0.0
    peers: int = 0


def seed_of(index: int) -> bytes:
    """A key of the benchmark."""
    return hashlib.sha256(f"p2p deadlines {index}".encode()).digest()


def work_unit() -> tuple[str, Callable[[bytes], bytes]]:
    """Two milliseconds of native work without the interpreter lock: the engine's, or a hash where it is not built."""
    try:
        from node._engine import keccak256  # noqa: TID251 - to use CPU, not to execute
    except ImportError:
        return "hashlib.sha3_256", lambda data: hashlib.sha3_256(data).digest()
    return "engine.keccak256", keccak256


def work(milliseconds: float) -> None:
    """Use so much CPU in this thread."""
    _, unit = work_unit()
    buffer = bytes(1 << 20)
    until = time.thread_time() + milliseconds / 1_000
    while time.thread_time() < until:
        unit(buffer)


class Process:
    """One of the seven."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.record = Record()
        self.dice = random.Random(plan.index)
        self.network = Libp2pNetwork(plan.settings(), CollectorRegistry())
        self.imported: dict[int, trio.Event] = {}
        self.nursery: trio.Nursery | None = None
        self.network.subscribe(Topic.L1_BLOCK, self.on_block)
        self.network.subscribe(Topic.L1_VOTE, self.on_vote)
        self.network.subscribe(Topic.L2_BLOCK, self.on_l2)

    def late_s(self, slot: int) -> float:
        """Seconds since a slot began."""
        return time.monotonic() - self.plan.start_s - slot * SLOT_S

    def is_counted(self, slot: int) -> bool:
        """Whether the network has settled."""
        return slot >= SETTLE_SLOTS

    async def on_block(self, _: PeerId, message: bytes) -> Verdict:
        slot = int.from_bytes(message[:8], "big")
        if self.is_counted(slot):
            self.record.block_arrival.append(self.late_s(slot))
        assert self.nursery is not None
        self.nursery.start_soon(self.import_block, slot)
        return Verdict.ACCEPT

    async def import_block(self, slot: int) -> None:
        await trio.to_thread.run_sync(work, self.dice.uniform(*WORK_MS))
        if self.is_counted(slot):
            self.record.block_imported.append(self.late_s(slot))
        self.imported.setdefault(slot, trio.Event()).set()

    async def on_vote(self, _: PeerId, message: bytes) -> Verdict:
        slot = int.from_bytes(message[:8], "big")
        if self.is_counted(slot):
            self.record.vote_arrival.append(self.late_s(slot))
        return Verdict.ACCEPT

    async def on_l2(self, _: PeerId, message: bytes) -> Verdict:
        sent_s = int.from_bytes(message[:8], "big") / 1e9
        if sent_s > self.plan.start_s + SETTLE_SLOTS * SLOT_S:
            self.record.l2_delay.append(time.monotonic() - sent_s)
        return Verdict.ACCEPT

    async def slots(self) -> None:
        """Propose when it is our turn, and vote."""
        for slot in range(self.plan.slots):
            await self.until(slot, 0.0)
            assert self.nursery is not None
            if slot % VALIDATORS == self.plan.index:
                self.nursery.start_soon(self.propose, slot)
            if self.plan.index < VALIDATORS:
                self.nursery.start_soon(self.vote, slot)

    async def propose(self, slot: int) -> None:
        await trio.to_thread.run_sync(work, self.dice.uniform(*WORK_MS))
        body = os.urandom(self.plan.block_bytes - HEADER)
        self.network.publish(Topic.L1_BLOCK, slot.to_bytes(HEADER // 2, "big") + bytes(8) + body)
        self.imported.setdefault(slot, trio.Event()).set()

    async def vote(self, slot: int) -> None:
        with trio.move_on_after(max(0.0, VOTE_DUE_S - self.late_s(slot))):
            await self.imported.setdefault(slot, trio.Event()).wait()
        if self.is_counted(slot):
            self.record.vote_sent.append(self.late_s(slot))
        self.network.publish(Topic.L1_VOTE, slot.to_bytes(8, "big") + os.urandom(VOTE_BYTES))

    async def gossip_l2(self) -> None:
        while True:
            sent = time.monotonic_ns().to_bytes(8, "big")
            self.network.publish(Topic.L2_BLOCK, sent + os.urandom(L2_BYTES))
            await trio.sleep(L2_INTERVAL_S)

    async def watch_loop(self) -> None:
        """How late the loop wakes a task that is due."""
        while True:
            due_s = trio.current_time() + 0.01
            await trio.sleep_until(due_s)
            self.record.loop_lag.append(trio.current_time() - due_s)

    async def until(self, slot: int, offset_s: float) -> None:
        await trio.sleep(max(0.0, offset_s - self.late_s(slot)))

    async def run(self) -> Record:
        async with trio.open_nursery() as nursery:
            self.nursery = nursery
            await nursery.start(self.network.run)
            await self.until(0, 0.0)
            if NAMES[self.plan.index] == "sequencer":
                nursery.start_soon(self.gossip_l2)
            nursery.start_soon(self.slots)
            await self.until(SETTLE_SLOTS, 0.0)
            nursery.start_soon(self.watch_loop)
            started = time.process_time()
            await self.until(self.plan.slots, 1.0)
            measured_s = (self.plan.slots - SETTLE_SLOTS) * SLOT_S + 1.0
            self.record.cpu_share = (time.process_time() - started) / measured_s
            self.record.peers = len(self.network.peers())
            nursery.cancel_scope.cancel()
        self.record.peak_megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
        return self.record


def busy_seconds() -> float:
    """CPU that all programs of this machine have used."""
    user, nice, system, *_ = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for holder in sockets:
        holder.bind(("127.0.0.1", 0))
    ports = [holder.getsockname()[1] for holder in sockets]
    for holder in sockets:
        holder.close()
    return ports


def measure(seconds: int, block_bytes: int) -> tuple[list[Record], float]:
    """Run the seven processes and collect what they saw, and how much CPU everybody else used, in cores."""
    ports, start_s = free_ports(len(NAMES)), time.monotonic() + 12.0
    children = []
    for index in range(len(NAMES)):
        plan = {
            "index": index,
            "ports": ports,
            "start_s": start_s,
            "slots": SETTLE_SLOTS + round(seconds / SLOT_S),
            "block_bytes": block_bytes,
        }
        command = [sys.executable, "-m", "tests.benchmarks.p2p_deadlines", "--child"]
        command.append(orjson.dumps(plan).decode())
        children.append(subprocess.Popen(command, stdout=subprocess.PIPE))
    time.sleep(max(0.0, start_s - time.monotonic()))  # noqa: TID251 - no trio here
    before, before_s = busy_seconds(), time.monotonic()
    time.sleep(seconds)  # noqa: TID251 - no trio here
    busy = (busy_seconds() - before) / (time.monotonic() - before_s)
    outputs = [child.communicate(timeout=seconds + 60)[0] for child in children]
    assert all(child.returncode == 0 for child in children)
    records = [Record(**orjson.loads(output.splitlines()[-1])) for output in outputs]
    return records, busy - sum(record.cpu_share for record in records)


def percentile(values: list[float], share: float) -> float:
    """The value that so large a share of values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def summarize(name: str, values: list[float], bound_s: float | None) -> list[Figure]:
    """Percentiles of one kind of lateness; its 99th is held against the bound."""
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    figures = []
    for label, share in shares.items():
        value = percentile(values, share)
        is_bound = bound_s is not None and label == "p99"
        figures.append(
            Figure(
                name=f"{name}, {label} of {len(values)}",
                value=value * 1_000,
                unit="ms",
                target=f"<= {bound_s * 1_000:.0f}" if is_bound and bound_s is not None else "",
                holds=value <= bound_s if is_bound and bound_s is not None else None,
            )
        )
    return figures


def report(records: list[Record], slots: int, others: float) -> list[Figure]:
    """The table."""

    def pooled(name: str) -> list[float]:
        return [value for record in records for value in getattr(record, name)]

    blocks, votes = (len(NAMES) - 1) * slots, (len(NAMES) - 1) * slots * VALIDATORS
    arrived, voted = len(pooled("block_arrival")), len(pooled("vote_arrival"))
    figures = [
        *summarize("L1 block arrives after slot start", pooled("block_arrival"), VOTE_DUE_S),
        *summarize("L1 block imported after slot start", pooled("block_imported"), VOTE_DUE_S),
        *summarize("vote sent after slot start", pooled("vote_sent"), VOTE_DUE_S + 0.05),
        *summarize("vote arrives after slot start", pooled("vote_arrival"), FREEZE_S),
        *summarize("L2 gossip delay", pooled("l2_delay"), None),
        *summarize("event loop lag", pooled("loop_lag"), None),
        Figure(
            name="blocks lost",
            value=blocks - arrived,
            unit="of them",
            target="0",
            holds=arrived == blocks,
        ),
        Figure(
            name="votes lost", value=votes - voted, unit="of them", target="0", holds=voted == votes
        ),
    ]
    for name, record in zip(NAMES, records, strict=True):
        figures.append(
            Figure(name=f"CPU of {name}", value=record.cpu_share * 100, unit="% of a core")
        )
    cpu = sum(record.cpu_share for record in records)
    figures.append(Figure(name="CPU of all", value=cpu * 100, unit="% of a core"))
    name = "CPU of other programs meanwhile"
    figures.append(Figure(name=name, value=others * 100, unit="% of a core"))
    peak = statistics.mean(record.peak_megabytes for record in records)
    figures.append(Figure(name="peak memory of a process, mean", value=peak, unit="MB"))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--block-bytes", type=int, default=2_000_000)
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--child", default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        record = trio.run(Process(Plan(**orjson.loads(arguments.child))).run)
        sys.stdout.write(orjson.dumps(record).decode() + "\n")
        return
    records, others = measure(arguments.seconds, arguments.block_bytes)
    figures = report(records, round(arguments.seconds / SLOT_S), others)
    print_figures(figures)
    peers = [record.peers for record in records]
    sys.stdout.write(f"work: {work_unit()[0]}; peers: {peers}\n")
    if arguments.json is not None:
        save_figures(figures, arguments.json)


if __name__ == "__main__":
    main()
