"""A real process is killed while it acknowledges transactions: none is lost, none is there twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import trio

from node.eth.hashing import keccak256
from node.eth.primitives import Hash32
from node.rollup.deposits import DEPOSIT_TYPE
from node.runtime.clock import SystemClock
from node.runtime.worker import ThreadWorker
from tests.kit.building import building

ACKNOWLEDGED = (3, 150, 700)
"""After how many answers the process is killed, one life after the other: in the first batch, after a save, after a reset."""


def run_until_killed(folder: Path, answers: int) -> list[Hash32]:
    """Run the process, kill it after so many answers; gives every hash that it has written."""
    command = [sys.executable, "-m", "tests.sequencer.building.submitting_process", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        heard: list[Hash32] = []
        is_ready = False
        for line in process.stdout:
            if is_ready:
                heard.append(Hash32(bytes.fromhex(line.strip().decode())))
            is_ready = is_ready or line == b"ready\n"
            if len(heard) >= answers:
                process.kill()
                break
        rest = process.stdout.read().splitlines(keepends=True)
        heard += [Hash32(bytes.fromhex(line.strip().decode())) for line in rest if len(line) == 65]
    assert len(heard) >= answers, "the process ended by itself"
    return heard


def test_what_was_acknowledged_outlives_kill_9(tmp_path: Path) -> None:
    acknowledged: list[Hash32] = []
    for answers in ACKNOWLEDGED:
        acknowledged += run_until_killed(tmp_path, answers)

    async def look() -> None:
        async with building(
            tmp_path, worker=ThreadWorker(threads_max=2), wall=SystemClock()
        ) as site:
            with trio.fail_after(60), site.chain.subscribe() as events:
                # What a reset had dropped when the process was killed comes back.
                while any(site.chain.transaction_block(one) is None for one in acknowledged):
                    await events.receive()
            held: list[bytes] = []
            for number in range(1, site.chain.head.header.number + 1):
                block = site.chain.block_by_number(number)
                assert block is not None
                raws = site.engine.raw_transactions(block.rlp)
                assert len(site.engine.raw_receipts(block.receipts)) == len(raws)
                held += [keccak256(raw) for raw in raws if raw[0] != DEPOSIT_TYPE]
            assert len(held) == len(set(held)), "a transaction is there twice"
            assert set(acknowledged) <= set(held)

    trio.run(look)
