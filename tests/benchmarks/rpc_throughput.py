"""What a short JSON-RPC call costs the server, and how many it answers; beside anvil where there is one.

    python -m tests.benchmarks.rpc_throughput [--seconds 3] [--connections 16] [--anvil FILE] [--json FILE]

anvil comes from npm: `npm install @foundry-rs/anvil@1.7.1`; without `--anvil` it is looked for in node_modules and on PATH.
CPU is that of the server's process, all threads, kernel included; the load comes from another process.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import orjson

from tests.benchmarks.figures import Figure, print_figures, save_figures
from tests.benchmarks.processes import cpu_seconds

CONTRACT = "0x00000000000000000000000000000000000c0de0"
"""Returns the word in its slot 0."""

CODE = "0x5f545f5260205ff3"
"""Its code."""

ACCOUNT = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"

CPU_RATIO_MAX = 1.5
"""Server CPU a request, against anvil's."""

RATE_RATIO_MIN = 0.5
"""Answers a second, against anvil's."""

START_S = 20.0
"""A server must listen after this long."""

CALLS: dict[str, list[object]] = {
    "eth_blockNumber": [],
    "eth_getBalance": [ACCOUNT, "latest"],
    "eth_call": [{"to": CONTRACT, "data": "0x01020304"}, "latest"],
}


@contextmanager
def faultline() -> Iterator[tuple[int, int]]:
    """Process id and port of our server."""
    command = [sys.executable, "-m", "tests.benchmarks.rpc_server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.pid, int(process.stdout.readline())
        finally:
            process.kill()


@contextmanager
def anvil(program: Path) -> Iterator[tuple[int, int]]:
    """Process id and port of an anvil with the same contract."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [str(program), "--port", str(port), "--silent"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for_port(port)
            ask(port, "anvil_setCode", [CONTRACT, CODE])
            yield process.pid, port
        finally:
            process.kill()


def wait_for_port(port: int) -> None:
    """Return once something listens."""
    end = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > end:
                raise
        else:
            return


def call_body(method: str, params: Sequence[object]) -> bytes:
    """A call as JSON."""
    return orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})


def ask(port: int, method: str, params: Sequence[object]) -> None:
    """One call, whose answer does not matter."""
    request = Request(  # our own address
        f"http://127.0.0.1:{port}",
        call_body(method, params),
        {"Content-Type": "application/json"},
    )
    with urlopen(request, timeout=START_S) as answer:
        answer.read()


def measure(
    name: str, pid: int, port: int, *, seconds: float, connections: int
) -> dict[str, tuple[float, float]]:
    """For each method: answers a second and CPU microseconds an answer."""
    measured: dict[str, tuple[float, float]] = {}
    for method, params in CALLS.items():
        command = [sys.executable, "-m", "tests.benchmarks.rpc_client", str(port)]
        body = call_body(method, params).decode()
        used = cpu_seconds(pid)
        done = subprocess.run(
            [*command, str(seconds), str(connections), body], check=True, stdout=subprocess.PIPE
        )
        used = cpu_seconds(pid) - used
        load = orjson.loads(done.stdout)
        measured[method] = (load["answers"] / load["seconds"], used / load["answers"] * 1e6)
        sys.stderr.write(
            f"{name} {method}: p50 {load['p50_us']:.0f} us, p99 {load['p99_us']:.0f} us\n"
        )
    return measured


def find_anvil(*folders: Path) -> Path | None:
    """The program, where npm or somebody else has put it."""
    for folder in (*folders, Path.cwd()):
        for found in folder.glob("node_modules/@foundry-rs/anvil-*/bin/anvil"):
            return found
    on_path = shutil.which("anvil")
    return None if on_path is None else Path(on_path)


def run(*, seconds: float, connections: int, program: Path | None) -> list[Figure]:
    """All figures; those of anvil where there is one."""
    with faultline() as (pid, port):
        ours = measure("faultline", pid, port, seconds=seconds, connections=connections)
    theirs: dict[str, tuple[float, float]] = {}
    if program is not None:
        with anvil(program) as (pid, port):
            theirs = measure("anvil", pid, port, seconds=seconds, connections=connections)
    figures: list[Figure] = []
    for method, (rate, cpu_us) in ours.items():
        figures.append(Figure(name=f"{method}: answers", value=rate, unit="1/s"))
        figures.append(Figure(name=f"{method}: server CPU", value=cpu_us, unit="us"))
        if method in theirs:
            figures += _ratios(method, rate, cpu_us, *theirs[method])
    return figures


def _ratios(
    method: str, rate: float, cpu_us: float, anvil_rate: float, anvil_cpu_us: float
) -> list[Figure]:
    cpu_ratio, rate_ratio = cpu_us / anvil_cpu_us, rate / anvil_rate
    return [
        Figure(name=f"{method}: answers of anvil", value=anvil_rate, unit="1/s"),
        Figure(name=f"{method}: server CPU of anvil", value=anvil_cpu_us, unit="us"),
        Figure(
            name=f"{method}: CPU against anvil",
            value=cpu_ratio,
            unit="x",
            target=f"<= {CPU_RATIO_MAX}",
            holds=cpu_ratio <= CPU_RATIO_MAX,
        ),
        Figure(
            name=f"{method}: answers against anvil",
            value=rate_ratio,
            unit="x",
            target=f">= {RATE_RATIO_MIN}",
            holds=rate_ratio >= RATE_RATIO_MIN,
        ),
    ]


def main() -> None:
    """Measure with the arguments' numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--anvil", type=Path, default=find_anvil())
    parser.add_argument("--json", type=Path, default=Path("bench/rpc_throughput.json"))
    arguments = parser.parse_args()
    figures = run(
        seconds=arguments.seconds, connections=arguments.connections, program=arguments.anvil
    )
    print_figures(figures)
    save_figures(figures, arguments.json)


if __name__ == "__main__":
    main()
