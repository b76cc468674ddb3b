"""Sends until the receipt is there: JSON-RPC alone, a whole sequencer, and anvil in the same run where there is one.

    python -m tests.benchmarks.sends [--transfers 10000] [--anvil FILE] [--json FILE]

CPU is that of the server's process, all threads, kernel included; the load comes from another process.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.request import Request, urlopen

import orjson

from tests.benchmarks.figures import Figure, print_figures, save_figures
from tests.benchmarks.processes import cpu_seconds
from tests.benchmarks.rpc_throughput import START_S, call_body, find_anvil, wait_for_port
from tests.kit.transfers import Sender, sender, sign_transfer

CHAIN_ID: Final = 901
"""The L2's."""

LANES: Final = 16
"""Connections, each with a sender of its own."""

BANKERS: Final = tuple(sender(f"banker {number}") for number in range(LANES + 1))
"""Who sends; the last one alone."""

ALONE: Final = 1_000
"""Transfers of a client that waits for each receipt: fewer than the sequencer's burst of blocks."""

RECEIVER: Final = b"\x77" * 20
"""Who is sent to."""

CPU_MAX_US: Final = 20.0
"""What JSON-RPC may cost a request of a batch."""

SEQUENCER_CPU_MAX_US: Final = 80.0
"""What a transaction may cost the sequencer, its receipt included."""

RATE_RATIO_MIN: Final = 2.0
"""Transfers a second, against anvil's with blocks of a second."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One load's result."""

    rate: float
    """Transfers a second, receipts included."""
    cpu_us: float
    """Of the server, a transfer."""
    p50_us: float
    """From a send to its receipt; 0 where nobody waits for single ones."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is measured."""

    pid: int
    """Process id; 0 where it is not ours to look at."""
    port: int
    """JSON-RPC."""

    def ask(self, method: str, *params: object) -> object:
        """Result of one call."""
        request = Request(  # our own address
            f"http://127.0.0.1:{self.port}",
            call_body(method, params),
            {"Content-Type": "application/json"},
        )
        with urlopen(request, timeout=START_S) as answer:
            return orjson.loads(answer.read()).get("result")


@contextmanager
def started(module: str, *arguments: str) -> Iterator[Server]:
    """One of our servers, in a process of its own."""
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Server(process.pid, int(process.stdout.readline()))
        finally:
            process.kill()


@contextmanager
def anvil(program: Path, *arguments: str) -> Iterator[Server]:
    """An anvil whose bankers are rich."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [str(program), "--port", str(port), "--silent", "--chain-id", str(CHAIN_ID)]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.DEVNULL) as process:
        try:
            wait_for_port(port)
            server = Server(process.pid, port)
            for banker in BANKERS:
                server.ask("anvil_setBalance", "0x" + banker.address.hex(), hex(10**26))
            yield server
        finally:
            process.kill()


def transfers(server: Server, by: Sender, count: int) -> list[str]:
    """A sender's next transfers, hex."""
    given = server.ask("eth_getTransactionCount", "0x" + by.address.hex(), "latest")
    first = int(str(given), 16)
    return [
        "0x" + sign_transfer(by, nonce=first + at, to=RECEIVER, chain_id=CHAIN_ID).hex()
        for at in range(count)
    ]


def load(server: Server, form: str, lanes: Sequence[Sequence[str]]) -> Measured:
    """Send them all from another process."""
    used = cpu_seconds(server.pid) if server.pid else 0.0
    with tempfile.NamedTemporaryFile() as file:
        file.write(orjson.dumps(lanes))
        file.flush()
        command = [sys.executable, "-m", "tests.benchmarks.sends_client"]
        done = subprocess.run(
            [*command, str(server.port), form, file.name], check=True, stdout=subprocess.PIPE
        )
    used = cpu_seconds(server.pid) - used if server.pid else 0.0
    found = orjson.loads(done.stdout)
    return Measured(
        rate=found["sent"] / found["seconds"],
        cpu_us=used / found["sent"] * 1e6,
        p50_us=found.get("p50_us", 0.0),
    )


def measure(server: Server, forms: Sequence[str], count: int) -> dict[str, Measured]:
    """One load after the other."""
    found: dict[str, Measured] = {}
    for form in forms:
        if form in ("send", "sync"):
            lanes = [transfers(server, BANKERS[-1], ALONE)]
        else:
            lanes = [transfers(server, by, count // LANES) for by in BANKERS[:LANES]]
        found[form] = load(server, form, lanes)
        sys.stderr.write(f"{form}: {found[form]}\n")
    return found


def run(*, count: int, program: Path | None) -> list[Figure]:
    """All figures; those of anvil where there is one."""
    with started("sends_server") as server:
        alone = measure(server, ("single", "batch"), 2 * count)
    figures = [
        Figure(
            name="JSON-RPC alone, single: CPU a request",
            value=alone["single"].cpu_us / 2,
            unit="us",
        ),
        _bounded(
            "JSON-RPC alone, batch: CPU a request", alone["batch"].cpu_us / 2, CPU_MAX_US, "us"
        ),
    ]
    with tempfile.TemporaryDirectory() as folder, started("sequencer_server", folder) as server:
        ours = measure(server, ("send", "sync", "single", "batch"), count)
    theirs: dict[str, Measured] = {}
    if program is not None:
        with anvil(program) as server:
            theirs |= measure(server, ("send",), count)
        with anvil(program, "--block-time", "1") as server:
            theirs |= measure(server, ("single", "batch"), count)
    for form in ("send", "sync"):
        figures += _latency(form, ours[form], theirs.get("send"))
    for form in ("single", "batch"):
        figures += _rate(form, ours[form], theirs.get(form))
    return figures


def _latency(form: str, ours: Measured, theirs: Measured | None) -> list[Figure]:
    name = f"{form}, one client: send to receipt, median"
    if theirs is None:
        return [Figure(name=name, value=ours.p50_us, unit="us")]
    return [
        _bounded(name, ours.p50_us, theirs.p50_us, "us"),
        Figure(name="anvil, one client: send to receipt, median", value=theirs.p50_us, unit="us"),
    ]


def _rate(form: str, ours: Measured, theirs: Measured | None) -> list[Figure]:
    found = [
        Figure(name=f"{form}: transfers with receipts", value=ours.rate, unit="/s"),
        _bounded(f"{form}: CPU of the sequencer", ours.cpu_us, SEQUENCER_CPU_MAX_US, "us"),
    ]
    if theirs is not None:
        ratio = ours.rate / theirs.rate
        found += [
            Figure(name=f"{form}: transfers of anvil", value=theirs.rate, unit="/s"),
            Figure(
                name=f"{form}: transfers against anvil",
                value=ratio,
                unit="x",
                target=f">= {RATE_RATIO_MIN}",
                holds=ratio >= RATE_RATIO_MIN,
            ),
        ]
    return found


def _bounded(name: str, value: float, most: float, unit: str) -> Figure:
    return Figure(name=name, value=value, unit=unit, target=f"<= {most:.0f}", holds=value <= most)


def main() -> None:
    """Measure with the arguments' numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transfers", type=int, default=10_000)
    parser.add_argument("--anvil", type=Path, default=find_anvil())
    parser.add_argument("--json", type=Path, default=Path("bench/sends.json"))
    arguments = parser.parse_args()
    figures = run(count=arguments.transfers, program=arguments.anvil)
    print_figures(figures)
    save_figures(figures, arguments.json)


if __name__ == "__main__":
    main()
