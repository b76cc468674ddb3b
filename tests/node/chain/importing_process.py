"""A process that imports a file of blocks into a data folder and says how far it came; made to be killed.

python -m tests.node.chain.importing_process FOLDER BLOCKS SLOT
"""

from __future__ import annotations

import sys
from pathlib import Path

import structlog
import trio

from tests.kit.real_chain import make_real_network, running_chain

PREFIX_BYTES = 4
"""Length of what stands before each envelope."""


def read_blocks(path: Path) -> list[bytes]:
    """Envelopes of a file."""
    data = path.read_bytes()
    envelopes: list[bytes] = []
    position = 0
    while position < len(data):
        length = int.from_bytes(data[position : position + PREFIX_BYTES])
        position += PREFIX_BYTES
        envelopes.append(data[position : position + length])
        position += length
    return envelopes


def write_blocks(path: Path, envelopes: list[bytes]) -> None:
    """Write a file of envelopes."""
    path.write_bytes(b"".join(len(one).to_bytes(PREFIX_BYTES) + one for one in envelopes))


async def main(folder: Path, blocks: Path, slot: int) -> None:
    """Import every block; print the number of each head once it is saved."""
    envelopes = read_blocks(blocks)
    async with running_chain(make_real_network(4, senders=8), folder, slot=slot) as chain:
        sys.stdout.write(f"opened {chain.head.header.number} {chain.head.hash.hex()}\n")
        sys.stdout.flush()
        for envelope in envelopes[chain.head.header.number :]:
            await chain.import_envelope(envelope, origin="file")
            sys.stdout.write(f"imported {chain.head.header.number}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    trio.run(main, Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
