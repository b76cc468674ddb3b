"""Importing a chain file into a folder: CPU for each block and each transfer, empty blocks and full ones.

python -m tests.benchmarks.foreign
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import trio

from node.app.assembly import opened_store
from node.eth.forks import read_chain_config
from node.runtime.worker import ThreadWorker
from node.standalone.chain import open_chain
from node.standalone.database import StandaloneDatabase
from node.standalone.importing import import_file
from tests.kit.execution_chain import ExecutionChain, genesis_document
from tests.kit.transfers import Sender, sender, sign_transfer

SENDERS: Final = 50
"""Accounts that send in turn."""

SHAPES: Final = ((2_000, 0), (500, 20), (50, 500))
"""Blocks, and transfers in each."""


def funded(senders: list[Sender]) -> dict[str, object]:
    """What the senders have."""
    return {"0x" + one.address.hex(): {"balance": hex(10**21)} for one in senders}


def chain_file(folder: Path, blocks: int, transfers: int, senders: list[Sender]) -> Path:
    """A file of so many blocks with so many transfers."""
    chain = ExecutionChain.open(extra_accounts=funded(senders))
    sent = 0
    file = folder / "chain.rlp"
    with file.open("wb") as out:
        for _ in range(blocks):
            raws = []
            for _ in range(transfers):
                by = senders[sent % SENDERS]
                raws.append(sign_transfer(by, nonce=sent // SENDERS, to=sent.to_bytes(20)))
                sent += 1
            out.write(chain.grow(raws).block)
    return file


async def measure(blocks: int, transfers: int) -> None:
    """Print what importing costs."""
    senders = [sender(f"sender {index}") for index in range(SENDERS)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = chain_file(folder, blocks, transfers, senders)
        document = genesis_document(funded(senders))
        store = opened_store(
            folder / "data", json.dumps(document).encode(), Path("genesis.json"), cache_mb=64
        )
        with store as (engine, tables):
            database = StandaloneDatabase(tables, folder=name)
            chain = open_chain(engine, database, read_chain_config(document), document)
            cpu = time.process_time()
            worker = ThreadWorker(threads_max=1)
            await import_file(chain, engine, file, worker, progress=lambda _, __: None)
            cpu = time.process_time() - cpu
            assert chain.tip.number == blocks
    each = f", {cpu / blocks / transfers * 1e6:.0f} us a transfer" if transfers else ""
    sys.stdout.write(
        f"{blocks} blocks of {transfers} transfers: {cpu / blocks * 1e3:.2f} ms of CPU a block{each}\n"
    )


def main() -> None:
    """Measure every shape."""
    for blocks, transfers in SHAPES:
        trio.run(measure, blocks, transfers)


if __name__ == "__main__":
    main()
