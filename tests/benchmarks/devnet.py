"""The whole L1 in real processes: boot, finality, idle CPU, memory, a minute of load.

`python -m tests.benchmarks.devnet [--load-seconds 60] [--rate 1500]`
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

from tests.benchmarks.figures import Figure, print_figures, save_figures
from tests.benchmarks.processes import cpu_seconds, pss_megabytes
from tests.e2e.devnet import Devnet, RpcFailure, wait_for

VALIDATORS = 4
IDLE_SECONDS = 30.0
LAG_SAMPLES = 60
LAG_SLOTS_TARGET = 4


def pids(devnet: Devnet) -> list[int]:
    """Process ids of the validators."""
    info = devnet.rpc("devnet_info")
    assert isinstance(info, dict)
    return [int(process["pid"]) for process in info["processes"] if process["role"] == "validator"]


def answers(devnet: Devnet, validator: int) -> bool:
    """Whether a validator's RPC port answers."""
    try:
        return devnet.rpc("eth_chainId", validator=validator) == "0x384"
    except (OSError, RpcFailure):
        return False


def boot(devnet: Devnet) -> list[Figure]:
    """From the command to answers and to the first finalized block."""
    start = time.monotonic()
    command = [sys.executable, "-m", "deploy.cli", "up", "--detach", "--quiet"]
    command += ["--data", str(devnet.data), "--port-offset", str(devnet.offset)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    wait_for("every RPC port", lambda: all(answers(devnet, v) for v in range(VALIDATORS)))
    ports_s = time.monotonic() - start
    process.wait(timeout=120)
    wait_for("finality", lambda: devnet.number("finalized") > 0)
    final_s = time.monotonic() - start
    return [
        Figure(
            name="every RPC port answers",
            value=ports_s,
            unit="s",
            target="<= 3",
            holds=ports_s <= 3,
        ),
        Figure(
            name="first finalized block",
            value=final_s,
            unit="s",
            target="<= 12",
            holds=final_s <= 12,
        ),
    ]


def at_rest(devnet: Devnet) -> list[Figure]:
    """CPU, memory and finality lag of a devnet that nobody uses."""
    processes = pids(devnet)
    before, start = sum(map(cpu_seconds, processes)), time.monotonic()
    lags = []
    for _ in range(LAG_SAMPLES):
        time.sleep(IDLE_SECONDS / LAG_SAMPLES)  # noqa: TID251  # measures a span of time
    cores = (sum(map(cpu_seconds, processes)) - before) / (time.monotonic() - start)
    memory = sum(map(pss_megabytes, processes))
    for _ in range(LAG_SAMPLES // 4):
        head, final = (
            devnet.rpc("eth_getBlockByNumber", "latest", False),
            devnet.rpc("eth_getBlockByNumber", "finalized", False),
        )
        assert isinstance(head, dict)
        assert isinstance(final, dict)
        lags.append((int(head["timestamp"], 16) - int(final["timestamp"], 16)) / 2)
        time.sleep(0.5)  # noqa: TID251  # samples over several slots
    lag = max(lags)
    return [
        Figure(
            name="idle CPU of the L1",
            value=100 * cores,
            unit="% of a core",
            target="<= 20",
            holds=cores <= 0.2,
        ),
        Figure(
            name="memory of four validators",
            value=memory,
            unit="MB PSS",
            target="<= 450",
            holds=memory <= 450,
        ),
        Figure(
            name="finality lag at rest, highest",
            value=lag,
            unit="slots",
            target="<= 4",
            holds=lag <= LAG_SLOTS_TARGET,
        ),
    ]


def under_load(devnet: Devnet, seconds: float, rate: float) -> list[Figure]:
    """Transfers through one port while all validators run on this machine."""
    processes = pids(devnet)
    before = sum(map(cpu_seconds, processes))
    head_before = devnet.number()
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.load",
        devnet.rpc_url(),
        str(seconds),
        str(rate),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=900)
    report = orjson.loads(done.stdout)

    def all_mined() -> bool:
        nonces = [
            devnet.rpc("eth_getTransactionCount", address, "latest")
            for address in report["senders"]
        ]
        return all(int(str(nonce), 16) == report["nonce"] for nonce in nonces)

    wait_for("every transfer to be mined", all_mined, deadline_s=120)
    used = sum(map(cpu_seconds, processes)) - before
    head_after = devnet.number()
    blocks = head_after - head_before
    first, last = (
        devnet.rpc("eth_getBlockByNumber", hex(number), False)
        for number in (head_before, head_after)
    )
    assert isinstance(first, dict)
    assert isinstance(last, dict)
    slots = (int(last["timestamp"], 16) - int(first["timestamp"], 16)) / 2
    lost = sum(
        devnet.rpc("eth_getTransactionReceipt", tx_hash, validator=1) is None
        for tx_hash in report["last"]
    )
    achieved = report["sent"] / report["seconds"]
    participation = devnet.metrics()["faultline_consensus_participation_ratio"]
    return [
        Figure(
            name="transfers sent",
            value=achieved,
            unit="/s",
            target=f">= {rate:.0f}",
            holds=achieved >= 0.97 * rate,
        ),
        Figure(
            name="transfers refused",
            value=report["refused"],
            unit="",
            target="0",
            holds=report["refused"] == 0,
        ),
        Figure(name="transfers lost", value=lost, unit="", target="0", holds=lost == 0),
        Figure(name="slots without a block under load", value=slots - blocks, unit="slots"),
        Figure(
            name="participation after load",
            value=participation,
            unit="share",
            target=">= 0.99",
            holds=participation >= 0.99,
        ),
        Figure(name="CPU of the L1 a transfer", value=1e6 * used / report["sent"], unit="us"),
    ]


def measure(load_seconds: float, rate: float) -> list[Figure]:
    """All of it, on a devnet of its own."""
    with tempfile.TemporaryDirectory() as folder:
        devnet = Devnet(data=Path(folder) / "devnet")
        try:
            return [*boot(devnet), *at_rest(devnet), *under_load(devnet, load_seconds, rate)]
        finally:
            devnet.faultline("down", check=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--load-seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=1_500.0)
    parser.add_argument("--output", type=Path, default=Path("bench/devnet.json"))
    options = parser.parse_args()
    measured = measure(options.load_seconds, options.rate)
    print_figures(measured)
    save_figures(measured, options.output)
