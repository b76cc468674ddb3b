"""A whole devnet as it starts, what it takes, and how long a lie about the L2 lives in it.

up -> every RPC port -> ready (two games made) -> memory of all processes -> false-output, again and again
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Final

import orjson

from tests.benchmarks.figures import Figure
from tests.benchmarks.processes import pss_megabytes
from tests.benchmarks.rollup import bounded
from tests.e2e.devnet import Devnet, RpcFailure, wait_for

LIES: Final = 3
"""How often a false output is claimed."""

PORTS_MAX_S: Final = 4.0
"""Until every RPC port answers."""

MEMORY_MAX_MB: Final = 900.0
"""Of four validators, sequencer, bridge and watchtower."""

PROOF_MAX_SLOTS: Final = 2.0
"""From the L1 block with the lie to the one with the proof."""

_BLOCKS: Final = re.compile(r"in L1 block \d+ \((\d+) after the claim's\)")
"""How an attack tells it."""


def boot(devnet: Devnet) -> list[Figure]:
    """From the command to answers, and to a bridge that wallets can use."""
    started = time.monotonic()
    command = [sys.executable, "-m", "deploy.cli", "up", "--detach", "--quiet"]
    command += ["--data", str(devnet.data), "--port-offset", str(devnet.offset)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    wait_for("every RPC port", partial(all_answer, devnet))
    ports_s = time.monotonic() - started
    process.wait(timeout=180)
    ready_s = time.monotonic() - started
    return [
        bounded("every RPC port of both chains answers", ports_s, "s", most=PORTS_MAX_S),
        Figure(name="ready: the bridge has made its first games", value=ready_s, unit="s"),
    ]


def all_answer(devnet: Devnet) -> bool:
    """Whether every process serves JSON-RPC."""
    try:
        for validator in range(4):
            devnet.rpc("eth_chainId", validator=validator)
        for follower in (None, 0, 1):
            devnet.l2_rpc("eth_chainId", replica=follower)
    except (OSError, RpcFailure):
        return False
    return True


def memory(devnet: Devnet, name: str) -> Figure:
    """Of all processes, shared parts counted once."""
    processes = devnet.status()["processes"]
    assert isinstance(processes, list)
    used = sum(pss_megabytes(int(process["pid"])) for process in processes)
    return bounded(f"memory of the whole devnet, {name}", used, "MB PSS", most=MEMORY_MAX_MB)


def lies(devnet: Devnet) -> list[Figure]:
    """False outputs, each from claim to proof."""
    blocks, seconds = [], []
    for _ in range(LIES):
        played = orjson.loads(devnet.faultline("break", "false-output", "--json").stdout)
        if not played["held"]:
            raise RuntimeError(f"the network did not hold: {played['summary']}")
        steps = played["steps"]
        [told] = [found for step in steps if (found := _BLOCKS.search(step["what"]))]
        blocks.append(float(told[1]))
        [claimed, proven] = [
            step["seconds"]
            for step in steps
            if step["what"].startswith("claims them in game") or _BLOCKS.search(step["what"])
        ]
        seconds.append(proven - claimed)
    return [
        bounded(
            "lie in an L1 block to its proof in one", max(blocks), "slots", most=PROOF_MAX_SLOTS
        ),
        Figure(name="lie seen to its proof seen, the slowest", value=max(seconds), unit="s"),
    ]


def measure() -> list[Figure]:
    """All of it, on a devnet of its own."""
    with tempfile.TemporaryDirectory() as folder:
        devnet = Devnet(data=Path(folder) / "devnet", with_l2=True)
        try:
            figures = [*boot(devnet), memory(devnet, "fresh")]
            return [*figures, *lies(devnet), memory(devnet, "after the lies")]
        finally:
            devnet.faultline("down", check=False)
