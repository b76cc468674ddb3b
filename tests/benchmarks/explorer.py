"""What Otterscan's search by address costs: the first one, which reads blocks again, and those after it.

    python -m tests.benchmarks.explorer [--blocks 2048] [--transfers 5]

Every block holds transfers to strangers; CPU and not time is measured, so that other work beside it matters little.
"""

from __future__ import annotations

import argparse
import time
from functools import partial

import trio

from node.eth.hashing import keccak256
from node.eth.primitives import Address
from node.rpc.appearances import Appearances
from tests.benchmarks.figures import Figure, print_figures
from tests.kit.execution_chain import SENDER, address_of, sign
from tests.node.rpc.fakes import InlineWorker
from tests.node.rpc.real import RealBackend


def chain_of(blocks: int, transfers: int) -> RealBackend:
    """So many blocks of so many transfers."""
    backend = RealBackend()
    for number in range(blocks):
        nonces = range(number * transfers, (number + 1) * transfers)
        backend.chain.grow(
            [sign(SENDER, nonce=one, to=keccak256(b"%d" % one)[:20], value=1) for one in nonces]
        )
    return backend


async def search(appearances: Appearances, address: Address) -> tuple[int, float]:
    """How many transactions of an address there are, and the seconds of CPU to find them."""
    started = time.process_time()
    found = [place async for place in appearances.before(address, 1 << 40)]
    return len(found), time.process_time() - started


async def measure(blocks: int, transfers: int) -> list[Figure]:
    """All figures."""
    backend = chain_of(blocks, transfers)
    appearances = Appearances(backend.chain, backend.chain.execution.engine, InlineWorker())
    stranger = Address(keccak256(b"7")[:20])
    _, cold = await search(appearances, stranger)
    _, warm = await search(appearances, stranger)
    count, all_of_them = await search(appearances, address_of(SENDER))
    assert count == blocks * transfers
    kept = sum(portion.size for portion in appearances._kept.values())
    return [
        Figure(name="first search, for each block", value=cold / blocks * 1e6, unit="us"),
        Figure(name="first search, for each transaction", value=cold / count * 1e6, unit="us"),
        Figure(name="next search of the whole chain", value=warm * 1e3, unit="ms"),
        Figure(name="places of the sender of all", value=all_of_them / count * 1e6, unit="us"),
        Figure(name="remembered, for each transaction", value=kept / count, unit="bytes"),
    ]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=2_048)
    parser.add_argument("--transfers", type=int, default=5)
    arguments = parser.parse_args()
    print_figures(trio.run(partial(measure, arguments.blocks, arguments.transfers)))


if __name__ == "__main__":
    main()
