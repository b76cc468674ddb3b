"""What the sequencer's own part of a transaction costs: from `offer` to `told`, journal included, sockets and gossip not.

    python -m tests.benchmarks.sealing

Three shapes: one client who waits for each answer; a steady stream; a burst of tens of thousands offered at once.
CPU is of the whole process, all threads: decoding and recovery, execution, states, journal, tables.
"""

from __future__ import annotations

import gc
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
import trio

from node.runtime.clock import SystemClock
from node.runtime.worker import ThreadWorker
from sequencer.building.waiting import Submission
from tests.benchmarks.figures import Figure, print_figures
from tests.kit.building import Site, building, genesis_document, transfer
from tests.kit.rollup_chain import CHAIN_ID
from tests.kit.transfers import Sender, sender, sign_transfer

SENDERS: Final = 1_000
"""Funded accounts that send."""

SINGLE: Final = 600
"""Transactions of the client who waits."""

STREAM: Final = 20_000
"""Transactions of the steady stream."""

STREAM_PER_SECOND: Final = 4_000
"""Its rate: the target."""

BURST: Final = 50_000
"""Transactions of the burst."""


@dataclass(slots=True)
class Told:
    """Counts answers."""

    left: int
    """How many are to come."""
    done: trio.Event
    """Set with the last one."""

    def __call__(self, answer: Submission) -> None:
        """One answer."""
        if answer.refusal is not None:
            raise AssertionError(answer.refusal)
        self.left -= 1
        if not self.left:
            self.done.set()


def transfers(senders: Sequence[Sender], count: int, first_nonce: int) -> list[bytes]:
    """Signed transfers, the senders in turn."""
    return [
        sign_transfer(
            senders[number % len(senders)],
            nonce=first_nonce + number // len(senders),
            to=number.to_bytes(4) * 5 if number % 4 == 0 else b"\x77" * 20,
            max_fee_per_gas=10**9,
            max_priority_fee_per_gas=0,
            chain_id=CHAIN_ID,
        )
        for number in range(count)
    ]


async def measure_single(site: Site) -> list[Figure]:
    """One client who waits."""
    raws = [transfer(0, nonce) for nonce in range(SINGLE)]
    seconds: list[float] = []
    for raw in raws:
        begun = time.perf_counter()
        answer = await site.builder.submit(raw)
        assert site.chain.transaction_block(answer.hash) is not None
        seconds.append(time.perf_counter() - begun)
        await trio.sleep(0.001)
    seconds.sort()
    middle, late = seconds[len(seconds) // 2], seconds[len(seconds) * 99 // 100]
    return [
        Figure(name="sealing, one client: p50", value=middle * 1e6, unit="us",
               target="<= 400", holds=middle <= 400e-6),
        Figure(name="sealing, one client: p99", value=late * 1e6, unit="us"),
    ]  # fmt: skip


async def measure_stream(site: Site, raws: Sequence[bytes]) -> list[Figure]:
    """A steady stream at the target's rate."""
    told = Told(len(raws), trio.Event())
    first = site.chain.head.header.number
    begun, cpu = time.perf_counter(), time.process_time()
    portion = STREAM_PER_SECOND // 100
    for start in range(0, len(raws), portion):
        for raw in raws[start : start + portion]:
            site.builder.offer(raw, told)
        await trio.sleep(
            max(0.0, begun + (start + portion) / STREAM_PER_SECOND - time.perf_counter())
        )
    await told.done.wait()
    await trio.sleep(0.5)  # the tables catch up: that is part of the cost
    return _figures("stream", site, first, len(raws), begun + 0.5, cpu)


async def measure_burst(site: Site, raws: Sequence[bytes]) -> list[Figure]:
    """Everything at once, as fast as the intake has room."""
    told = Told(len(raws), trio.Event())
    first = site.chain.head.header.number
    before = _resident_megabytes()
    begun, cpu = time.perf_counter(), time.process_time()
    for start in range(0, len(raws), 1_000):
        for raw in raws[start : start + 1_000]:
            site.builder.offer(raw, told)
        while site.builder.arriving > 8_000:  # noqa: ASYNC110  # it empties by the thousand
            await trio.sleep(0.002)
    await told.done.wait()
    found = _figures("burst", site, first, len(raws), begun, cpu)
    grown = _resident_megabytes() - before
    return [*found, Figure(name="sealing, burst: memory grown", value=grown, unit="MB")]


def _figures(
    shape: str, site: Site, first: int, count: int, begun: float, cpu: float
) -> list[Figure]:
    rate = count / (time.perf_counter() - begun)
    each = (time.process_time() - cpu) / count
    blocks = site.chain.head.header.number - first
    prefix = f"sealing, {shape}"
    return [
        Figure(name=f"{prefix}: rate", value=rate, unit="transactions/s",
               target=">= 3,900", holds=rate >= 3_900),
        Figure(name=f"{prefix}: CPU", value=each * 1e6, unit="us a transaction",
               target="<= 80", holds=each <= 80e-6),
        Figure(name=f"{prefix}: transactions in a block", value=count / blocks, unit=""),
    ]  # fmt: skip


def _resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def _measure(folder: Path) -> list[Figure]:
    senders = [sender(f"sealing {number}") for number in range(SENDERS)]
    stream = transfers(senders, STREAM, 0)
    burst = transfers(senders, BURST, STREAM // SENDERS)
    genesis = genesis_document(tuple(one.address for one in senders))
    gc.collect()
    async with building(
        folder,
        genesis=genesis,
        worker=ThreadWorker(threads_max=2),
        sealing_worker=ThreadWorker(threads_max=1),
        wall=SystemClock(),
    ) as site:
        return [
            *await measure_single(site),
            *await measure_stream(site, stream),
            *await measure_burst(site, burst),
        ]


def measure() -> list[Figure]:
    """All three shapes, on a fresh folder."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory() as folder:
        return trio.run(_measure, Path(folder))


if __name__ == "__main__":
    print_figures(measure())
