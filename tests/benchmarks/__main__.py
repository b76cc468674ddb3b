"""`make bench`: every benchmark, one after the other; a table for each, JSON in bench/.

`python -m tests.benchmarks [NAME ...]` measures only those.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.benchmarks import (
    attacks,
    batches,
    bridge,
    costs,
    devnet,
    disputes,
    hostile_steps,
    imports,
    p2p_deadlines,
    pool,
    rollup,
    rpc_throughput,
    sealing,
    sends,
    steps,
    transfers,
)
from tests.benchmarks.figures import Figure, print_figures, save_figures
from tests.e2e.environments import node_project

DEADLINES_SECONDS: Final = 30
"""How long the network of seven processes is watched."""

ACCOUNTS: Final = [3_100, 10_000, 100_000, 1_000_000]
"""Sizes of state at which an import is measured."""

TRANSFERS: Final = 3_000
"""Transfers in a measured block."""


def measure_pool() -> list[Figure]:
    """What the pool's rules cost a transaction."""
    found: list[Figure] = []
    for senders in (1, 1_000, 10_000):
        measured = pool.measure(min(24_000, 4_000 * senders), senders)
        found += [
            Figure(name=f"pool, {senders} senders: {name}", value=float(value), unit="us")
            for name, value in measured.items()
            if name.endswith("_us")
        ]
    return found


def measure_rpc() -> list[Figure]:
    """JSON-RPC beside anvil, where npm offers it."""
    program = rpc_throughput.find_anvil(node_project(Path(__file__).parent / "anvil"))
    return rpc_throughput.run(seconds=3.0, connections=16, program=program)


def measure_sends() -> list[Figure]:
    """Sends and their receipts beside anvil, where npm offers it."""
    program = rpc_throughput.find_anvil(node_project(Path(__file__).parent / "anvil"))
    return sends.run(count=10_000, program=program)


def measure_deadlines() -> list[Figure]:
    """The riskiest spot: how late blocks and votes come when everything is busy."""
    records, others = p2p_deadlines.measure(DEADLINES_SECONDS, 2_000_000)
    slots = round(DEADLINES_SECONDS / p2p_deadlines.SLOT_S)
    return p2p_deadlines.report(records, slots, others)


BENCHMARKS: Final[dict[str, Callable[[], list[Figure]]]] = {
    "pool": measure_pool,
    "costs": costs.measure,
    "batches": lambda: batches.figures(6_000),
    "imports": lambda: imports.figures(ACCOUNTS, TRANSFERS),
    "sealing": sealing.measure,
    "transfers": transfers.measure,
    "disputes": disputes.measure,
    "steps": lambda: steps.measure(ACCOUNTS[-1]),
    "hostile_steps": hostile_steps.measure,
    "rpc": measure_rpc,
    "sends": measure_sends,
    "p2p": measure_deadlines,
    "devnet": lambda: devnet.measure(60.0, 1_500.0),
    "attacks": attacks.measure,
    "bridge": bridge.measure,
    "rollup": lambda: rollup.measure(rollup.Options(anvil=rollup.default_anvil())),
}
"""All there are, cheapest first."""


def main() -> None:
    """Run the benchmarks that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--folder", type=Path, default=Path("bench"), help="where JSON goes")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no benchmark is called {unknown[0]}; there are: {', '.join(BENCHMARKS)}")
    everything: list[Figure] = []
    for name in options.names or BENCHMARKS:
        sys.stdout.write(f"\n{name}\n")
        figures = BENCHMARKS[name]()
        print_figures(figures)
        save_figures(figures, options.folder / f"{name}.json")
        everything += figures
    missed = [figure.name for figure in everything if figure.holds is False]
    sys.stdout.write(f"\n{len(everything)} figures; out of bounds: {', '.join(missed) or 'none'}\n")


if __name__ == "__main__":
    main()
