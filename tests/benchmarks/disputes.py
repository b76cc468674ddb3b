"""What a dispute costs: from a false game in an L1 block to its proof in the pool, gas, and a hundred at once.

    python -m tests.benchmarks disputes

Real parts in one process, L1 blocks by hand: milliseconds are a challenger's own work, blocks are what L1 takes.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Final

import orjson
import trio

from tests.benchmarks.figures import Figure
from tests.bridge.disputes.scene import LOST, OPEN, Scene, games_of, scene, statuses, until_judged
from tests.kit.real_bridge import CHALLENGERS

L2_BLOCKS: Final = 1_024
"""Of each claim: what one publication holds."""

SINGLE_GAMES: Final = 10
"""One after the other."""

GAMES_AT_ONCE: Final = 100
"""In one or two L1 blocks."""

PROVEN_MAX_BLOCKS: Final = 2.0
"""From the block that shows a false game to the one that ends it."""


def measure() -> list[Figure]:
    """Measure everything."""
    with tempfile.TemporaryDirectory(prefix="faultline-disputes-") as folder:
        single = trio.run(partial(_single, Path(folder)))
    with tempfile.TemporaryDirectory(prefix="faultline-disputes-") as folder:
        many = trio.run(partial(_many, Path(folder)))
    return single + many


async def _single(folder: Path) -> list[Figure]:
    """False games one after the other; each errs in a block of its own, so that no input was made before."""
    waits_ms: list[float] = []
    blocks: list[int] = []
    async with scene(folder, blocks=L2_BLOCKS) as stage, stage.challenger() as parts:
        for number in range(SINGLE_GAMES):
            wrong = L2_BLOCKS // SINGLE_GAMES * (number + 1)
            await stage.liar.claim(stage.roots(1, L2_BLOCKS, wrong, salt=number))
            started = time.perf_counter()
            shown = await stage.mine()
            await stage.pooled(1)
            waits_ms.append(1_000 * (time.perf_counter() - started))
            ended = await stage.mine()
            assert (await statuses(parts))[-1] is LOST
            blocks.append(ended.number - shown.number)
        gas = _gas(stage)
    return [
        Figure(
            name=f"false game of {L2_BLOCKS:,} blocks to its proof in the pool, median",
            value=statistics.median(waits_ms),
            unit="ms",
        ),
        Figure(name="the slowest of them", value=max(waits_ms), unit="ms"),
        Figure(
            name="L1 blocks from a false game to its end, the most",
            value=max(blocks),
            unit="blocks",
            target=f"at most {PROVEN_MAX_BLOCKS:.0f}",
            holds=max(blocks) <= PROVEN_MAX_BLOCKS,
        ),
        Figure(
            name="proveFault of a block with one transfer", value=statistics.median(gas), unit="gas"
        ),
    ]


async def _many(folder: Path) -> list[Figure]:
    """A hundred false games, each wrong somewhere else."""
    async with scene(folder, blocks=GAMES_AT_ONCE) as stage, stage.challenger() as parts:
        for number in range(GAMES_AT_ONCE):
            roots = stage.roots(1, GAMES_AT_ONCE, 1 + number, salt=number)
            await stage.liar.claim(roots)
        while len(await games_of(parts)) < GAMES_AT_ONCE:
            await stage.mine()
        blocks, cpu = 0, time.process_time()
        while OPEN in await statuses(parts):
            await stage.offered(parts)
            await until_judged(parts, await stage.mine())
            blocks += 1
        cpu_ms = 1_000 * (time.process_time() - cpu) / GAMES_AT_ONCE
        failed = stage.failed(CHALLENGERS[0].address)
    return [
        Figure(
            name=f"{GAMES_AT_ONCE} false games, each wrong elsewhere: L1 blocks",
            value=blocks,
            unit="blocks",
        ),
        Figure(
            name="CPU of everything in the process, L1's own blocks too",
            value=cpu_ms,
            unit="ms a game",
        ),
        Figure(
            name="proofs that reverted", value=failed, unit="proofs", target="0", holds=failed == 0
        ),
    ]


def _gas(stage: Scene) -> list[int]:
    """Gas of every transaction of the challenger."""
    account, found = "0x" + CHALLENGERS[0].address.hex(), list[int]()
    for number in range(1, stage.l1.chain.head.header.number + 1):
        block = stage.l1.chain.block_by_number(number)
        assert block is not None
        receipts = orjson.loads(stage.l1.engine.receipts_json(block.rlp, block.receipts))
        found += [int(one["gasUsed"], 16) for one in receipts if one["from"] == account]
    return [gas for gas in found if gas > 1_000_000]
