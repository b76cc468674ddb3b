"""Where the CPU of a transfer goes in a sequencer and in a replica, part by part: in one thread, without sockets and without a loop.

    python -m tests.benchmarks transfers

Blocks of a hundred transfers among a thousand accounts, a quarter of the recipients new; the first ones warm the store. Each part's figure is
the least of a few rounds, in time of the measuring thread: a busy machine stretches it less than a process's total.
What is missing to the whole is HTTP and JSON, the loop's tasks and hops, gossip and its encryption, and L1's own blocks.
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node.eth.blocks import Block
from node.eth.headers import header_bytes_of_block, header_of_block
from node.eth.primitives import ZERO_HASH, BlockNumber, Hash32
from node.execution.adapter import (
    RevmEngine,
    decode_batch,
    encode_batch,
    open_tables,
    verify_signatures,
)
from node.execution.engine import BlockResult, L2Attributes, PackedBlock
from node.rollup.parameters import RollupParameters
from node.rollup.unsafe import (
    UnsafeBlock,
    UnsafeBlocks,
    encode_body,
    encode_message,
    open_message,
    signing_message,
)
from sequencer.building.limits import WaitingLimits
from sequencer.building.pool import L2Pool
from sequencer.building.sealing import Sealed
from sequencer.journal import Journal, Position
from sequencer.l1.places import L1Ref
from sequencer.opening import kept_of
from sequencer.store import Batch, Heads, Kept, L2Store
from sequencer.window import Window
from tests.benchmarks.figures import Figure, print_figures
from tests.benchmarks.sealing import transfers
from tests.kit.building import PARAMETERS, genesis_document
from tests.kit.transfers import sender

SENDERS: Final = 1_000
"""Accounts that send."""

IN_BLOCK: Final = 100
"""Transfers of a block: what shares one at 4,000 a second."""

BLOCKS: Final = 10
"""Blocks of a round; what is saved together, too."""

ROUNDS: Final = 6
"""The first is not counted."""

IN_BATCH: Final = 3
"""Blocks of a batch: 32 KiB hold some 370 transfers."""

QUALITY: Final = 5
"""Of brotli, as the sequencer has it."""

ORIGIN: Final = L1Ref(number=1, hash=Hash32(b"\x11" * 32))

SEQUENCER: Final = (
    "decoding and recovery",
    "admission to the pool and leaving it",
    "building: open, push",
    "building: seal",
    "state to the store",
    "journal and window",
    "rows to the tables",
    "message to replicas",
    "batch: encoding",
)
REPLICA: Final = (
    "message from the sequencer",
    "deriving: recovery",
    "deriving: execution and roots",
    "state to the store",
    "journal and window",
    "rows to the tables",
    "batch: decoding and comparing",
)


@dataclass(slots=True)
class Clock:
    """Seconds of this thread by part, of one round."""

    spent: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Count what happens inside."""
        begun = time.thread_time()
        try:
            yield
        finally:
            self.spent[part] += time.thread_time() - begun


@dataclass(slots=True)
class Node:
    """An engine and what keeps a chain beside it; without the loop that owns them."""

    engine: RevmEngine
    journal: Journal
    store: L2Store
    window: Window
    head: BlockResult
    unsaved: list[Kept] = field(default_factory=list)

    def keep(self, clock: Clock, result: BlockResult) -> None:
        """What `L2Chain.append` does with a block, and what happens before."""
        with clock.of("state to the store"):
            self.engine.commit(result)
        with clock.of("journal and window"):
            kept = kept_of(result, ORIGIN)
            self.journal.append_block(kept.block.rlp, ORIGIN)
            self.window.add(kept)
            self.window.trim(kept.block.header.number)
        self.unsaved.append(kept)
        self.head = result

    def save(self, clock: Clock) -> None:
        """What `L2Chain` saves four times a second."""
        number = self.unsaved[-1].block.header.number
        batch = Batch(
            heads=Heads(number, 0, 0, Position(0, 0)),
            blocks=tuple(self.unsaved),
            doomed=(),
            records=(),
            records_above=None,
        )
        with clock.of("rows to the tables"):
            self.store.save(batch)
        self.unsaved.clear()


def open_node(folder: Path, document: bytes) -> Node:
    """One on an empty folder."""
    engine = RevmEngine(document, folder=folder / "state")
    store = L2Store(open_tables(folder / "tables.redb"), folder=str(folder))
    genesis = engine.genesis()
    store.create(kept_of(genesis, ORIGIN))
    return Node(engine, Journal(folder / "journal", 0), store, Window(), genesis)


def attributes_on(parent: BlockResult) -> L2Attributes:
    """Of the next block."""
    timestamp = header_of_block(parent.block).timestamp
    return L2Attributes(timestamp=timestamp, mix_hash=ZERO_HASH, parent_beacon_block_root=ZERO_HASH)


def sequence(node: Node, clock: Clock, raws: Sequence[bytes]) -> tuple[L2Attributes, BlockResult]:
    """Take transactions in and make a block of them."""
    engine = node.engine
    pool = L2Pool(
        WaitingLimits(),
        block_gas_limit=PARAMETERS.gas_limit,
        base_fee=PARAMETERS.base_fee_wei,
    )
    with clock.of("decoding and recovery"):
        decoded = engine.decode(raws)
    with clock.of("admission to the pool and leaving it"):
        for one in decoded:
            assert not hasattr(one, "code"), one
            pool.admit(one, None, now_ms=0)
        taken = pool.take(count=len(raws), size=1 << 20)
    attributes = attributes_on(node.head)
    with clock.of("building: open, push"):
        header = header_bytes_of_block(node.head.block)
        builder = engine.sequence(header, attributes, (), b"")
        outcomes = builder.push([one.raw for one in taken])
    assert all(outcome.included for outcome in outcomes), outcomes
    with clock.of("building: seal"):
        result = builder.seal()
    with clock.of("admission to the pool and leaving it"):
        pool.settle(Sealed(result=result, included=taken), now_ms=0)
    node.keep(clock, result)
    return attributes, result


def derive(
    node: Node, clock: Clock, attributes: L2Attributes, raws: Sequence[bytes], want: BlockResult
) -> None:
    """Execute what a message says."""
    header = header_bytes_of_block(node.head.block)
    with clock.of("deriving: recovery"):
        node.engine.decode(raws)
    with clock.of("deriving: execution and roots"):
        derived = node.engine.derive(header, attributes, (), raws, b"")
    assert derived.result.block_hash == want.block_hash, "another block"
    node.keep(clock, derived.result)


def tell(clock: Clock, key: Ed25519PrivateKey, blocks: Sequence[tuple[Block, list[bytes]]]) -> None:
    """Blocks as the sequencer tells of them, and as a replica hears it."""
    parameters = RollupParameters(
        batcher=PARAMETERS.batcher, sequencer_key=key.public_key().public_bytes_raw()
    )
    with clock.of("message to replicas"):
        body = encode_body(
            UnsafeBlocks(
                generation=1,
                first_number=BlockNumber(blocks[0][0].header.number),
                parent_hash=blocks[0][0].header.parent_hash,
                blocks=tuple(
                    UnsafeBlock(
                        timestamp=block.header.timestamp,
                        origin_number=BlockNumber(ORIGIN.number),
                        origin_hash=ORIGIN.hash,
                        transactions=tuple(raws),
                        block_hash=block.hash,
                    )
                    for block, raws in blocks
                ),
            )
        )
        message = encode_message(body, key.sign(signing_message(ZERO_HASH, body)))
    with clock.of("message from the sequencer"):
        open_message(message, parameters, ZERO_HASH, verify_signatures)


def post(clock: Clock, engine: RevmEngine, blocks: Sequence[tuple[Block, list[bytes]]]) -> None:
    """A batch, and what a replica does that has its blocks already."""
    with clock.of("batch: encoding"):
        packed = [
            PackedBlock(block.header.timestamp, False, tuple(engine.raw_transactions(block.rlp)))
            for block, _ in blocks
        ]
        batch = encode_batch(packed, QUALITY)
    with clock.of("batch: decoding and comparing"):
        decoded = decode_batch(batch, PARAMETERS.decompressed_limit_bytes, len(blocks))
        assert decoded is not None
        for one, (block, _) in zip(decoded, blocks, strict=True):
            assert engine.raw_transactions(block.rlp) == list(one.transactions)


def measure_round(
    sequencer: Node, replica: Node, key: Ed25519PrivateKey, raws: Sequence[bytes]
) -> Clock:
    """So many blocks through both."""
    clock, other = Clock(), Clock()
    made: list[tuple[Block, list[bytes]]] = []
    for start in range(0, len(raws), IN_BLOCK):
        of_block = list(raws[start : start + IN_BLOCK])
        attributes, result = sequence(sequencer, clock, of_block)
        derive(replica, other, attributes, of_block, result)
        made.append((sequencer.unsaved[-1].block, of_block))
    for start in range(0, len(made), IN_BATCH):
        tell(clock, key, made[start : start + IN_BATCH])
        post(clock, replica.engine, made[start : start + IN_BATCH])
    sequencer.save(clock)
    replica.save(other)
    for part in ("deriving: recovery", "deriving: execution and roots"):
        clock.spent[part] = other.spent[part]
    return clock


def measure() -> list[Figure]:
    """Both roles, part by part."""
    senders = [sender(f"parts {number}") for number in range(SENDERS)]
    document = genesis_document(tuple(one.address for one in senders))
    size = BLOCKS * IN_BLOCK
    raws = transfers(senders, ROUNDS * size, 0)
    key = Ed25519PrivateKey.from_private_bytes(b"\x05" * 32)
    with tempfile.TemporaryDirectory() as folder:
        nodes = [open_node(Path(folder) / name, document) for name in ("sequencer", "replica")]
        rounds = [
            measure_round(nodes[0], nodes[1], key, raws[start : start + size])
            for start in range(0, len(raws), size)
        ]
        for node in nodes:
            node.journal.close()
            node.store.close()
            node.engine.close()
    least = {
        part: min(one.spent[part] for one in rounds[1:]) * 1e6 / size for part in rounds[0].spent
    }
    return [*_figures("sequencer", SEQUENCER, least), *_figures("replica", REPLICA, least)]


def _figures(role: str, parts: Sequence[str], least: dict[str, float]) -> list[Figure]:
    return [
        *(
            Figure(name=f"{role}, {part}", value=least[part], unit="us a transfer")
            for part in parts
        ),
        Figure(name=f"{role}, these parts", value=sum(least[part] for part in parts), unit="us"),
    ]


if __name__ == "__main__":
    print_figures(measure())
