"""A chain file, taken into the chain: executed, stored, and the chain's head moved, a portion at a time.

    file -> read_portions -> known blocks left out -> engine.import_chain -> states flushed -> one batch -> head

States outlive a power loss before the batch that names them is written, so the saved head always has its state; a run that is
cut off anywhere is continued by the same command.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from node.errors import InvalidBlock, Rejected
from node.eth.hashing import keccak256
from node.eth.headers import Header, any_header_of_block
from node.eth.primitives import Hash32
from node.execution.engine import BlockResult
from node.runtime.worker import Worker
from node.standalone.chain import StandaloneChain
from node.standalone.chain_file import ImportFailed, opened, read_portions
from node.standalone.database import Entry, NewBlock

LINEAGE_BLOCKS: Final = 7
"""Blocks below that decide about ommers."""


class ImportingEngine(Protocol):
    """What importing asks of execution."""

    def import_chain(
        self,
        recent: Sequence[bytes],
        blocks: Sequence[bytes],
        ancestors: bytes,
        total_difficulty: int,
    ) -> tuple[Sequence[BlockResult], InvalidBlock | None]:
        """Judges and stores blocks until one is refused."""

    def flush(self) -> None:
        """Waits until every committed state outlives a power loss."""


async def import_file(
    chain: StandaloneChain,
    engine: ImportingEngine,
    file: Path,
    worker: Worker,
    *,
    progress: Callable[[int, int], None],
) -> None:
    """Take in every block of a file that the chain does not have.

    Args:
        chain: extended; nobody else reads it meanwhile.
        engine: the chain's.
        file: blocks in RLP, ascending; those that the chain has are passed over.
        worker: where it runs.
        progress: told after each portion: number of the head, blocks taken in so far.

    Raises:
        ImportFailed: with the file, the number of the block and the reason; the blocks before it stay.
    """
    taken = 0
    with opened(file) as stream:
        portions = read_portions(stream, file)
        while (portion := await worker.run(partial(next, portions, None))) is not None:
            taken_in = await worker.run(partial(_take, chain, engine, portion, file))
            chain.move_to_saved_head()
            taken += taken_in.blocks
            progress(chain.tip.number, taken)
            if taken_in.failure is not None:
                raise taken_in.failure


@dataclass(frozen=True, slots=True)
class _TakenIn:
    """What became of a portion."""

    blocks: int
    """Blocks that were new, executed and saved."""
    failure: ImportFailed | None
    """Why the one after them was not."""


def _take(
    chain: StandaloneChain, engine: ImportingEngine, portion: Sequence[bytes], file: Path
) -> _TakenIn:
    """Execute and save one portion, as far as it holds."""
    fresh, failure = _unknown(chain, portion, file)
    if not fresh:
        return _TakenIn(0, failure)
    tip = chain.tip
    below = range(max(0, tip.number + 1 - LINEAGE_BLOCKS), tip.number + 1)
    recent = [block.rlp for number in below if (block := chain.block_by_number(number)) is not None]
    results, refusal = engine.import_chain(
        recent, fresh, chain.hashes_from(tip.number), tip.total_difficulty
    )
    if results:
        engine.flush()
        _save(chain, results)
    if refusal is not None:
        chain.save_refused(fresh[len(results)])
        failure = ImportFailed(f"{file}: block {tip.number + len(results) + 1}: {refusal}")
    return _TakenIn(len(results), failure)


def _unknown(
    chain: StandaloneChain, portion: Sequence[bytes], file: Path
) -> tuple[list[bytes], ImportFailed | None]:
    """Blocks behind the head, and why they end early; those up to it must be the chain's own."""
    number, parent_hash = chain.tip.number, chain.tip.hash
    fresh: list[bytes] = []
    for block in portion:
        try:
            header, block_hash = _read_header(block, file, number + 1)
            if header.number <= chain.tip.number:
                _check_known(chain, header.number, block_hash, file)
                continue
            _check_follows(header, number, parent_hash, file)
        except ImportFailed as failure:
            return fresh, failure
        number, parent_hash = header.number, block_hash
        fresh.append(block)
    return fresh, None


def _read_header(block: bytes, file: Path, expected: int) -> tuple[Header, Hash32]:
    try:
        header, encoded = any_header_of_block(block)
    except Rejected as error:
        raise ImportFailed(f"{file}: block {expected}: {error}") from None
    return header, keccak256(encoded)


def _check_known(chain: StandaloneChain, number: int, block_hash: Hash32, file: Path) -> None:
    known = chain.database.entry(number)
    if known is None or known.hash != block_hash:
        found = "none" if known is None else f"0x{known.hash.hex()}"
        raise ImportFailed(
            f"{file}: block {number}: does not connect: it is 0x{block_hash.hex()}, "
            f"the chain's is {found}"
        )


def _check_follows(header: Header, number: int, parent_hash: Hash32, file: Path) -> None:
    if header.number != number + 1 or header.parent_hash != parent_hash:
        raise ImportFailed(
            f"{file}: block {header.number}: does not connect: its parent is "
            f"0x{header.parent_hash.hex()}, the chain ends with block {number}, 0x{parent_hash.hex()}"
        )


def _save(chain: StandaloneChain, results: Sequence[BlockResult]) -> None:
    """Save executed blocks and the new head in one batch."""
    total, number = chain.tip.total_difficulty, chain.tip.number
    terminal = chain.config.terminal_total_difficulty
    merge: int | None = None
    rows: list[NewBlock] = []
    for result in results:
        number += 1
        header, _ = any_header_of_block(result.block)
        if terminal is not None and merge is None and total >= terminal:
            merge = number
        total += header.difficulty
        entry = Entry(
            number=number,
            hash=Hash32(result.block_hash),
            total_difficulty=total,
            bloom=header.logs_bloom,
        )
        rows.append(
            NewBlock(
                entry=entry,
                rlp=result.block,
                receipts=result.receipts,
                transaction_hashes=result.transaction_hashes,
            )
        )
    known = chain.database.load_merge()
    chain.database.save(rows, merge=merge if known is None else None)
