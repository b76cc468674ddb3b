"""The whole devnet, L1 and L2, under the load of users of the L2; beside anvil in the same run where there is one.

    python -m tests.benchmarks.rollup [--seconds 60] [--rate 4000] [--transactions 10000] [--only PART] [--no-anvil]

One user who waits; ten thousand transfers of ETH and of a token with receipts; a burst of fifty thousand; a minute at a steady
rate; and a replica with an empty disk that derives all of it from L1. Everything is signed before a clock starts and sent from another process. CPU is process time from /proc, all
threads, so it says the same on a machine that does other things, while rates do not: its load is among the figures.
anvil gets a gas limit that does not bound it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.layout import Layout
from node.contracts.addresses import WETH
from tests.benchmarks import rollup_watch as watch
from tests.benchmarks.figures import Figure, print_figures, save_figures
from tests.benchmarks.processes import cpu_seconds, pss_megabytes
from tests.benchmarks.rollup_loads import (
    Sign,
    enrich,
    run_client,
    signed_lanes,
    token_transfer,
    transfer,
)
from tests.benchmarks.rpc_throughput import find_anvil
from tests.benchmarks.sends import Server, anvil
from tests.e2e.devnet import Devnet, wait_for
from tests.e2e.environments import node_project

ALONE: Final = 500
"""Transactions of the one who waits."""

BURST: Final = 50_000
"""Transactions of the burst."""

BURST_CALLS: Final = 1_000
"""Of them in a request: as many as a batch may have."""

STREAM_CALLS: Final = 20
"""Transactions of the steady stream in a request."""

REST_S: Final = 10.0
"""How long the CPU of a devnet at rest is looked at."""

REPLICA: Final = "replica"
"""Name of the process that derives."""

REPLICA_ALONE: Final = {"FAULTLINE_BRIDGE_ENABLED": "false", "FAULTLINE_L2_REPLICAS": "1"}
"""Deriving and serving is measured without what a bridge does beside it."""

CPU_MAX_US: Final = {"sequencer": 80.0, "replica": 60.0}
"""What a transaction may cost, by role."""

MEMORY_MAX_MB: Final = 260.0
"""Of sequencer and replica at rest."""

BURST_GROWTH_MAX_MB: Final = 300.0
"""What the burst may add to the sequencer: six kilobytes a transaction."""

BURST_RATE_MIN: Final = 0.8
"""Of the rate of ten thousand."""

SAFE_LAG_MAX_SLOTS: Final = 2.0

CATCH_UP_MIN: Final = 3.0
"""How much faster a replica derives than the sequencer built the fastest of what it derives."""

AGAINST_ANVIL_MIN: Final = 2.0
"""Transactions a second, against anvil with blocks of a second."""

ANVIL_OPTIONS: Final = ("--block-time", "1", "--gas-limit", "1000000000")

KINDS: Final[dict[str, Sign]] = {"transfers": transfer, "token transfers": token_transfer}

FORMS: Final = {"single": "single requests", "batch": "batches of 100"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How much is measured."""

    transactions: int = 10_000
    """Of each kind, in each form."""
    burst: int = BURST
    """Of the burst."""
    seconds: float = 60.0
    """Of the steady stream."""
    rate: float = 4_000.0
    """Of it, transactions a second."""
    parts: tuple[str, ...] = ("rest", "alone", "many", "burst", "stream", "catch_up")
    """What is measured, in this order."""
    anvil: Path | None = None
    """The program; None measures without it."""


@dataclass(slots=True)
class Bench:
    """A devnet that is measured."""

    devnet: Devnet
    """It."""
    options: Options
    """How much."""
    rest_cores: dict[str, float]
    """CPU of each role at rest, in cores; empty before it was looked at."""
    batch_rate: float = 0.0
    """Transfers a second in batches; 0 before it was measured."""
    burst_rate: float = 0.0
    """Transfers a second of the burst; 0 before it was measured."""
    sent: int = 0
    """Transactions on the L2 so far."""

    def run(self, *arguments: str, lanes: Sequence[Sequence[str]]) -> dict[str, float]:
        """Have a client send signed lanes to the sequencer; gives what it found."""
        found = run_client(*arguments, lanes=lanes)
        self.sent += int(found["sent"])
        return found

    @property
    def server(self) -> Server:
        """The sequencer's JSON-RPC."""
        return Server(watch.processes(self.devnet)["sequencer"][0], 9545 + self.devnet.offset)


def bounded(name: str, value: float, unit: str, *, most: float) -> Figure:
    """A figure that is to be this at most."""
    return Figure(name=name, value=value, unit=unit, target=f"<= {most:g}", holds=value <= most)


def at_least(name: str, value: float, unit: str, *, least: float) -> Figure:
    """A figure that is to be this at least."""
    return Figure(name=name, value=value, unit=unit, target=f">= {least:g}", holds=value >= least)


def told(text: str) -> None:
    """How far it is."""
    sys.stderr.write(f"{text} (load {os.getloadavg()[0]:.1f})\n")


# -- the parts


def rest(bench: Bench) -> list[Figure]:
    """Memory and CPU of a devnet that nobody uses."""
    devnet = bench.devnet
    wait_for("a final L2 block", lambda: devnet.l2_number("finalized", replica=0) > 0)
    before, begun = watch.cpu_by_role(devnet), time.perf_counter()
    time.sleep(REST_S)  # noqa: TID251  # measures a span of time
    seconds = time.perf_counter() - begun
    bench.rest_cores = {
        role: (used - before[role]) / seconds for role, used in watch.cpu_by_role(devnet).items()
    }
    pids = watch.processes(devnet)
    memory = {role: sum(map(pss_megabytes, pids[role])) for role in ("sequencer", "replica")}
    return [
        *(
            Figure(name=f"{role} at rest: memory", value=used, unit="MB PSS")
            for role, used in memory.items()
        ),
        bounded(
            "sequencer and replica at rest: memory",
            sum(memory.values()),
            "MB PSS",
            most=MEMORY_MAX_MB,
        ),
        *(
            Figure(name=f"{role} at rest: CPU", value=100 * cores, unit="% of a core")
            for role, cores in bench.rest_cores.items()
        ),
    ]


def alone(bench: Bench) -> list[Figure]:
    """One user who waits for each receipt."""
    theirs: dict[str, float] = {}
    if bench.options.anvil is not None:
        with anvil(bench.options.anvil) as server:
            enrich(server)
            lanes = signed_lanes(server, transfer, ALONE, lanes=1)
            theirs = run_client("sends_client", str(server.port), "send", lanes=lanes)
    figures: list[Figure] = []
    for form, method in (("sync", "eth_sendRawTransactionSync"), ("send", "send, then get")):
        lanes = signed_lanes(bench.server, transfer, ALONE, lanes=1)
        ours = bench.run("sends_client", str(bench.server.port), form, lanes=lanes)
        name = f"one user, {method}"
        if theirs:
            figures.append(bounded(f"{name}: p50", ours["p50_us"], "us", most=theirs["p50_us"]))
        else:
            figures.append(Figure(name=f"{name}: p50", value=ours["p50_us"], unit="us"))
        figures.append(Figure(name=f"{name}: p99", value=ours["p99_us"], unit="us"))
        told(figures[-2].name)
    if theirs:
        name = "one user, anvil, send, then get"
        figures.append(Figure(name=f"{name}: p50", value=theirs["p50_us"], unit="us"))
        figures.append(Figure(name=f"{name}: p99", value=theirs["p99_us"], unit="us"))
    return figures


def many(bench: Bench) -> list[Figure]:
    """Thousands at once, with their receipts: ETH and tokens, in single requests and in batches."""
    figures: list[Figure] = []
    for kind, sign in KINDS.items():
        for form, words in FORMS.items():
            name = f"{bench.options.transactions} {kind}, {words}"
            ours = _many_of_ours(bench, name, sign, form)
            figures += ours
            if (kind, form) == ("transfers", "batch"):
                bench.batch_rate = ours[0].value
            if bench.options.anvil is not None:
                theirs = _rate_of_anvil(bench, sign, form)
                figures.append(Figure(name=f"{name}: anvil", value=theirs, unit="/s"))
                ratio = ours[0].value / theirs
                figures.append(
                    at_least(f"{name}: against anvil", ratio, "x", least=AGAINST_ANVIL_MIN)
                )
            told(name)
    return figures


def _many_of_ours(bench: Bench, name: str, sign: Sign, form: str) -> list[Figure]:
    lanes = signed_lanes(bench.server, sign, bench.options.transactions)
    before = watch.cpu_by_role(bench.devnet)
    found = bench.run("sends_client", str(bench.server.port), form, lanes=lanes)
    acknowledged = watch.cpu_by_role(bench.devnet)["sequencer"] - before["sequencer"]
    followed_s, safe_s = watch.settle(bench.devnet)
    return [
        Figure(name=f"{name}: with receipts", value=found["sent"] / found["seconds"], unit="/s"),
        Figure(
            name=f"{name}: CPU of the sequencer until the last receipt",
            value=1e6 * acknowledged / found["sent"],
            unit="us",
        ),
        Figure(
            name=f"{name}: replica has them, after the last receipt", value=followed_s, unit="s"
        ),
        Figure(name=f"{name}: all are safe, after the last receipt", value=safe_s, unit="s"),
    ]


def _rate_of_anvil(bench: Bench, sign: Sign, form: str) -> float:
    """Transactions a second, receipts included; the token is the L2's."""
    assert bench.options.anvil is not None
    code = bench.server.ask("eth_getCode", "0x" + WETH.hex(), "latest")
    with anvil(bench.options.anvil, *ANVIL_OPTIONS) as server:
        server.ask("anvil_setCode", "0x" + WETH.hex(), code)
        enrich(server)
        lanes = signed_lanes(server, sign, bench.options.transactions)
        found = run_client("sends_client", str(server.port), form, lanes=lanes)
    return found["sent"] / found["seconds"]


def burst(bench: Bench) -> list[Figure]:
    """Everything at once: as many requests as hold it all, none of which waits for another."""
    count, devnet = bench.options.burst, bench.devnet
    lanes = signed_lanes(bench.server, transfer, count, lanes=count // BURST_CALLS)
    with watch.watched(devnet) as samples:
        found = bench.run(
            "rollup_client", str(bench.server.port), "0", str(BURST_CALLS), lanes=lanes
        )
        _, safe_s = watch.settle(devnet)
    rate = bench.burst_rate = found["sent"] / found["seconds"]
    grown = max(samples.resident_megabytes) - samples.resident_megabytes[0]
    name = f"burst of {count}"
    figures = [
        Figure(name=f"{name}: in blocks", value=rate, unit="/s"),
        bounded(f"{name}: refused", found["refused"], "", most=0),
        Figure(name=f"{name}: all are safe, after the last answer", value=safe_s, unit="s"),
        bounded(f"{name}: memory of the sequencer, more", grown, "MB", most=BURST_GROWTH_MAX_MB),
    ]
    if bench.batch_rate:
        share = rate / bench.batch_rate
        figures.append(at_least(f"{name}: rate against 10,000's", share, "x", least=BURST_RATE_MIN))
    told(name)
    return figures


def stream(bench: Bench) -> list[Figure]:
    """A steady rate, with batches, gossip, derivation and the L1 beside it."""
    options, devnet = bench.options, bench.devnet
    lanes = signed_lanes(bench.server, transfer, int(options.rate * options.seconds))
    before, begun = watch.cpu_by_role(devnet), time.perf_counter()
    with watch.watched(devnet) as samples:
        told("the stream begins")
        found = bench.run(
            "rollup_client",
            str(bench.server.port),
            str(options.rate),
            str(STREAM_CALLS),
            lanes=lanes,
        )
        load = os.getloadavg()[0]
    if found["refused"]:
        told(f"refused: {found['refusals']}")
    followed_s, safe_s = watch.settle(devnet)
    seconds = time.perf_counter() - begun
    used = {role: now - before[role] for role, now in watch.cpu_by_role(devnet).items()}
    rate = found["sent"] / found["seconds"]
    lags = sorted(samples.safe_lag_slots)
    figures = [
        at_least(f"stream of {options.seconds:g} s: rate", rate, "/s", least=0.97 * options.rate),
        bounded("stream: refused", found["refused"], "", most=0),
        Figure(name="stream: load of the machine", value=load, unit="tasks"),
        Figure(name="stream: safe head behind, median", value=lags[len(lags) // 2], unit="slots"),
        bounded("stream: safe head behind", lags[-1], "slots", most=SAFE_LAG_MAX_SLOTS),
        Figure(
            name="stream: replica behind, most",
            value=max(samples.replica_lag_blocks),
            unit="blocks",
        ),
        Figure(name="stream: replica has all, after the last answer", value=followed_s, unit="s"),
        Figure(name="stream: all are safe, after the last answer", value=safe_s, unit="s"),
        bounded(
            "stream: L1's base fee, highest against the first",
            max(samples.base_fees) / samples.base_fees[0],
            "x",
            most=1.0,
        ),
    ]
    for role, spent in used.items():
        each = 1e6 * spent / found["sent"]
        name = f"stream: CPU a transaction, {role}" + ("s, all" if role == "validator" else "")
        most = CPU_MAX_US.get(role)
        figures.append(
            Figure(name=name, value=each, unit="us")
            if most is None
            else bounded(name, each, "us", most=most)
        )
        if bench.rest_cores:
            more = 1e6 * (spent - bench.rest_cores[role] * seconds) / found["sent"]
            figures.append(Figure(name=f"{name}, without what rest costs", value=more, unit="us"))
    told("the stream ended")
    return figures


def catch_up(bench: Bench) -> list[Figure]:
    """A replica that has lost its disk: its L1 node fetches the blocks from its peers, then it derives the L2."""
    devnet = bench.devnet
    goal = devnet.l2_number("safe")
    devnet.faultline("processes", "stop", REPLICA)
    shutil.rmtree(Layout(devnet.data).store(REPLICA))
    told(f"a replica with an empty disk derives {bench.sent} transactions")
    begun = time.perf_counter()
    devnet.faultline("processes", "start", REPLICA)
    wait_for("the replica", lambda: _safe_of_replica(devnet) >= goal)
    seconds = time.perf_counter() - begun
    [pid] = watch.processes(devnet)["replica"]
    name = "replica with an empty disk"
    figures = [
        Figure(
            name=f"{name}: CPU a transaction", value=1e6 * cpu_seconds(pid) / bench.sent, unit="us"
        ),
    ]
    rate = bench.sent / seconds
    if built := max(bench.batch_rate, bench.burst_rate):
        figures.append(at_least(f"{name}: derives", rate, "/s", least=CATCH_UP_MIN * built))
    else:
        figures.append(Figure(name=f"{name}: derives", value=rate, unit="/s"))
    return figures


def _safe_of_replica(devnet: Devnet) -> int:
    """Its safe head; -1 while it does not answer."""
    try:
        return devnet.l2_number("safe", replica=0)
    except OSError:
        return -1


PARTS: Final[dict[str, Callable[[Bench], list[Figure]]]] = {
    "rest": rest,
    "alone": alone,
    "many": many,
    "burst": burst,
    "stream": stream,
    "catch_up": catch_up,
}


def measure(options: Options) -> list[Figure]:
    """All parts that were asked for, on a devnet of their own."""
    with tempfile.TemporaryDirectory() as folder:
        devnet = Devnet(data=Path(folder) / "devnet", with_l2=True, settings=REPLICA_ALONE)
        try:
            devnet.up()
            return measure_devnet(devnet, options)
        finally:
            devnet.faultline("down", check=False)


def measure_devnet(devnet: Devnet, options: Options) -> list[Figure]:
    """All parts that were asked for, on one that runs."""
    bench = Bench(devnet, options, {})
    figures: list[Figure] = []
    for part in options.parts:
        if part != "rest":
            enrich(bench.server)
        figures += PARTS[part](bench)
    return figures


def default_anvil() -> Path | None:
    """anvil, where npm or somebody else has put it."""
    return find_anvil(node_project(Path(__file__).parent / "anvil"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure with the arguments' numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=4_000.0)
    parser.add_argument("--transactions", type=int, default=10_000)
    parser.add_argument("--burst", type=int, default=BURST)
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; may be repeated")
    parser.add_argument("--no-anvil", action="store_true")
    parser.add_argument("--json", type=Path, default=Path("bench/rollup.json"))
    given = parser.parse_args(arguments)
    options = Options(
        transactions=given.transactions,
        burst=given.burst,
        seconds=given.seconds,
        rate=given.rate,
        parts=tuple(given.only or PARTS),
        anvil=None if given.no_anvil else default_anvil(),
    )
    figures = measure(options)
    print_figures(figures)
    save_figures(figures, given.json)


if __name__ == "__main__":
    main()
