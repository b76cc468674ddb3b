"""The chain that execution-apis recorded its exchanges on, executed by the native engine; and those exchanges.

It lies beside the repository (`../shared/vectors/execution-apis`); tests that need it are skipped without it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, cast

import pytest

from node.eth import rlp
from node.execution.adapter import RevmEngine
from node.execution.engine import BlockResult
from tests.kit.execution_chain import header_bytes

VECTORS: Final = Path(__file__).parents[3] / "shared" / "vectors" / "execution-apis"

needs_recordings = pytest.mark.skipif(
    not VECTORS.exists(), reason="the execution-apis vectors are not beside the repository"
)
"""Skips a test where the recordings are absent."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its recorded answer."""

    name: str
    """Method and file."""
    params: list[object]
    """Of the request."""
    result: object
    """None if the answer is an error."""
    error: dict[str, object] | None
    """None if the answer is a result."""


def exchanges(*methods: str) -> Iterator[Exchange]:
    """All recorded exchanges of these methods; none where the recordings are absent."""
    for path in sorted(VECTORS.glob("*/*.io")):
        if path.parent.name not in methods:
            continue
        params: list[object] = []
        for number, line in enumerate(path.read_text().splitlines()):
            if line.startswith(">> "):
                params = json.loads(line[3:]).get("params", [])
            elif line.startswith("<< "):
                answer = json.loads(line[3:])
                name = f"{path.parent.name}/{path.stem}/{number}"
                yield Exchange(name, params, answer.get("result"), answer.get("error"))


@dataclass(frozen=True, slots=True)
class RecordedChain:
    """All blocks from genesis on; every state is readable."""

    engine: RevmEngine
    """Holds the states."""
    blocks: list[BlockResult]
    """By number."""

    def ancestors(self, number: int) -> bytes:
        """Hashes of the ancestors of the block with this number, its parent's first."""
        return b"".join(
            block.block_hash for block in reversed(self.blocks[max(0, number - 256) : number])
        )

    def number_of(self, block: object) -> int | None:
        """The number of a block that a request names: a tag, a number, a hash; None if there is none."""
        name = cast("str", block)
        if name in ("latest", "safe", "finalized"):
            return len(self.blocks) - 1
        if name == "earliest":
            return 0
        if len(name) == 66:
            hashes = [one.block_hash for one in self.blocks]
            wanted = bytes.fromhex(name[2:])
            return hashes.index(wanted) if wanted in hashes else None
        number = int(name, 16) if name.startswith("0x") else len(self.blocks)
        return number if number < len(self.blocks) else None

    def place_of(self, transaction: object) -> tuple[BlockResult, int] | None:
        """The block of a transaction, by its hash, and its index there."""
        wanted = bytes.fromhex(cast("str", transaction)[2:])
        for block in self.blocks:
            if wanted in block.transaction_hashes:
                return block, block.transaction_hashes.index(wanted)
        return None


@cache
def recorded_chain() -> RecordedChain:
    """The chain, executed once a process."""
    engine = RevmEngine((VECTORS / "genesis.json").read_bytes())
    chain = RecordedChain(engine, [engine.genesis()])
    data = rlp.encode_list([(VECTORS / "chain.rlp").read_bytes()])
    for _, start, _, end in rlp.spans(data):
        parent = header_bytes(chain.blocks[-1].block)
        block = engine.execute(parent, data[start:end], chain.ancestors(len(chain.blocks)))
        engine.commit(block)
        chain.blocks.append(block)
    return chain
