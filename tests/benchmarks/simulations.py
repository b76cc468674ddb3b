"""What `eth_simulateV1` costs the engine: CPU of one thread, the fastest of several runs.

`python -m tests.benchmarks.simulations`
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.benchmarks.figures import Figure, print_figures, save_figures
from tests.kit.execution_chain import ExecutionChain
from tests.kit.questions import ACCOUNTS, GAS_CAP, LOOP, encoded

RUNS: Final = 20
"""Of each request; the fastest counts."""

REQUESTS: Final[Mapping[str, Sequence[object]]] = {
    "one call": [{"calls": [{"to": b"\x77" * 20}]}],
    "256 empty blocks": [{}] * 256,
    "2,000 transfers to new accounts": [
        {"calls": [{"to": at.to_bytes(20), "gas": 21_000} for at in range(1_000, 3_000)]}
    ],
    "50 million gas of looping": [{"calls": [{"to": LOOP}]}],
}


def measure(chain: ExecutionChain, blocks: Sequence[object]) -> float:
    """Milliseconds of CPU of the fastest run."""
    request = encoded({"blockStateCalls": list(blocks)})
    fastest = float("inf")
    for _ in range(RUNS):
        begun = time.process_time()
        chain.engine.simulate(
            chain.head.state_root, chain.header, chain.ancestors[32:], request, gas_cap=GAS_CAP
        )
        fastest = min(fastest, time.process_time() - begun)
    return 1_000 * fastest


def figures() -> list[Figure]:
    """The costs of the requests above."""
    chain = ExecutionChain.open(extra_accounts=ACCOUNTS)
    chain.grow()
    return [
        Figure(name=name, value=measure(chain, blocks), unit="ms CPU")
        for name, blocks in REQUESTS.items()
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("bench/simulations.json"))
    options = parser.parse_args()
    measured = figures()
    print_figures(measured)
    save_figures(measured, options.json)
