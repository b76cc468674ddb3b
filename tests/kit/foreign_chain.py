"""The chain that EELS built across the forks (`tests/vectors/forks`), and a standalone node's chain over memory."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from node.eth import rlp
from node.eth.forks import read_chain_config
from node.eth.hashing import keccak256
from node.execution.adapter import RevmEngine
from node.runtime.worker import InlineWorker
from node.standalone.chain import StandaloneChain, open_chain
from node.standalone.database import StandaloneDatabase
from node.standalone.importing import import_file
from tests.kit.memory_tables import Disk, MemoryTables

FORKS: Final = Path(__file__).parents[1] / "vectors" / "forks"
"""genesis.json, chain.rlp.gz, difficulties.json."""

LAST_HASH: Final = "0x6d433e7582fac57abe98e4911f4874c1e99bf5dbc6fee9bf7e59e8e6c20069e1"
"""Of the last block, as EELS has it."""


@cache
def genesis_text() -> bytes:
    """The genesis file."""
    return (FORKS / "genesis.json").read_bytes()


@cache
def blocks() -> tuple[bytes, ...]:
    """Every block of the file, from number 1 on."""
    data = rlp.encode_list([gzip.decompress((FORKS / "chain.rlp.gz").read_bytes())])
    return tuple(data[start:end] for _, start, _, end in rlp.spans(data, max_items=1_000))


@dataclass(slots=True, kw_only=True)
class ForeignNode:
    """What a standalone node stores, and what it makes of it after each start."""

    genesis: bytes = field(default_factory=genesis_text)
    """The genesis file."""
    disk: Disk = field(default_factory=Disk)
    """Outlives a restart."""
    engine: RevmEngine = field(init=False)
    """States in memory, which outlive one too."""
    dies_at: tuple[int, bool] | None = None
    """At which write the process dies, and whether after it."""

    def __post_init__(self) -> None:
        self.engine = RevmEngine(self.genesis)

    def start(self, genesis: bytes | None = None) -> StandaloneChain:
        """Open the chain, as a process that has just begun."""
        document = json.loads(genesis or self.genesis)
        tables = MemoryTables(self.disk, dies_at=self.dies_at)
        database = StandaloneDatabase(tables, folder="data")
        return open_chain(self.engine, database, read_chain_config(document), document)

    async def take(self, chain: StandaloneChain, file: Path) -> list[tuple[int, int]]:
        """Import a file; gives what was told of the progress."""
        told: list[tuple[int, int]] = []
        await import_file(
            chain,
            self.engine,
            file,
            InlineWorker(),
            progress=lambda head, taken: told.append((head, taken)),
        )
        return told


def write_chain(file: Path, chosen: Sequence[bytes]) -> Path:
    """A chain file of these blocks."""
    file.write_bytes(b"".join(chosen))
    return file


def spoiled(block: bytes, changes: dict[int, rlp.Encodable]) -> bytes:
    """The block with other header fields, by place in the header."""
    header, *rest = rlp.as_list(rlp.decode(block))
    fields: list[rlp.Encodable] = list(rlp.as_list(header))
    for place, value in changes.items():
        fields[place] = value
    return rlp.encode([fields, *rest])


def with_ommers(block: bytes, ommers: Sequence[bytes]) -> bytes:
    """The block with these ommers (headers, RLP) and the hash of them; nothing else fits any more."""
    header, transactions, *_ = rlp.as_list(rlp.decode(block))
    decoded = [rlp.decode(one) for one in ommers]
    fields = list(rlp.as_list(header))
    fields[1] = keccak256(rlp.encode(decoded))
    return rlp.encode([fields, transactions, decoded])


def header_of(block: bytes) -> bytes:
    """The header's RLP."""
    _, start, _, end = rlp.spans(block)[0]
    return block[start:end]


def ommers_of(block: bytes) -> list[bytes]:
    """The ommers' RLP."""
    return [rlp.encode(one) for one in rlp.as_list(rlp.as_list(rlp.decode(block))[2])]
