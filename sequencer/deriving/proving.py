"""The input of a STEP for a block of this node's own chain: what a challenger gives to a game.

    number -> gather (on the loop) : record and batch from L1, origins, parent's header
           -> prove (beside it)    : the block once more, with what it reads; the origin's requests -> StepInput

Everything is read from what this process has derived and verified itself; the block is executed again, because nobody
keeps witnesses.
Deliberately absent: games, and whether anybody claims something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from node.errors import Temporary
from node.eth.blocks import Block
from node.eth.hashing import sha256
from node.eth.headers import EMPTY_REQUESTS_HASH, Header
from node.eth.primitives import BlockNumber, Hash32
from node.execution.engine import BlockResult, DerivedBlock, L2Attributes
from node.execution.stepping import read_batch
from node.rollup.batches import content_of
from node.rollup.derivation import Origin, attributes_of, block_of
from node.rollup.outputs import output_of
from node.rollup.parameters import RollupParameters
from node.rollup.records import LoggedRecord, origins_hash
from node.rollup.step import StepInput
from sequencer.deriving.book import Placed
from sequencer.l1.places import Found, L1Ref


class ProvableChain(Protocol):
    """What of the L2's chain is read (`sequencer.heads.L2Chain`)."""

    def block_by_number(self, number: int) -> Block | None:
        """A block of the chain."""

    def batch_of(self, number: int) -> int | None:
        """Index of the record that yields a safe block."""


class PlacedRecords(Protocol):
    """Where records lie (`sequencer.deriving.book.RecordBook`)."""

    @property
    def count(self) -> int:
        """Records that were derived."""

    def placed(self, index: int) -> Placed:
        """One of them."""


class L1Blocks(Protocol):
    """What of L1's chain is read (`node.chain.chain.Chain`)."""

    def block_by_hash(self, block_hash: Hash32) -> Block | None:
        """Any kept block."""

    def ancestors(self, block_hash: Hash32) -> bytes:
        """Hashes of up to 256 blocks below, the parent's first, joined."""


class ProvableL1(Protocol):
    """What of L1 is read (`sequencer.l1.view.L1View`)."""

    @property
    def chain(self) -> L1Blocks:
        """Its own full node's chain."""

    def canonical_hash(self, number: int) -> Hash32 | None:
        """Hash of the canonical block of a number."""

    def origin_by_hash(self, block_hash: Hash32) -> Origin | None:
        """Any kept block as an origin."""

    def records_of(self, reference_: L1Ref) -> Sequence[Found]:
        """The records that a block appended."""


class L1Execution(Protocol):
    """What L1's engine is asked."""

    def execute(self, parent_header: bytes, block: bytes, ancestors: bytes) -> BlockResult:
        """A block once more. Raises MissingState."""


class L2Execution(Protocol):
    """What the L2's engine is asked."""

    def derive(
        self,
        parent_header: bytes,
        attributes: L2Attributes,
        deposits: Sequence[bytes],
        transactions: Sequence[bytes],
        ancestors: bytes,
        *,
        record_witness: bool = False,
    ) -> DerivedBlock:
        """The block that these inputs give. Raises MissingState."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What was read of the chains for one block, from one moment."""

    block: Block
    """The block, as this node has derived it."""
    parent: Header
    """The header before it."""
    logged: LoggedRecord
    """The record that yields it."""
    origin_hashes: tuple[Hash32, ...]
    """Of the record's L1 origins, its previous one's first."""
    origin: Origin
    """The block's."""
    l1_block: Block
    """The same, whole."""
    l1_parent: Header | None
    """The header before that; None if it is not kept."""
    l1_ancestors: bytes
    """Hashes below it."""


class StepMaker:
    """Makes STEP inputs for the safe blocks of one node; `gather` on the loop, `prove` beside it."""

    def __init__(
        self,
        *,
        parameters: RollupParameters,
        l1: ProvableL1,
        l2: ProvableChain,
        book: PlacedRecords,
        l1_engine: L1Execution,
        engine: L2Execution,
    ) -> None:
        self._parameters = parameters
        self._l1 = l1
        self._l2 = l2
        self._book = book
        self._l1_engine = l1_engine
        self._engine = engine

    def gather(self, number: int) -> Gathered:
        """Read what a block follows from; short, and on the loop.

        Raises Temporary for a block that is not safe here, or whose record or origins L1 has just dropped.
        """
        block, parent = self._l2.block_by_number(number), self._l2.block_by_number(number - 1)
        index = self._l2.batch_of(number)
        if block is None or parent is None or index is None or index >= self._book.count:
            raise Temporary(f"L2 block {number} is not derived from L1 yet")
        found = self._found(index)
        record = found.logged.record
        hashes = [
            block_hash
            for one in range(record.previous_origin, record.origin + 1)
            if (block_hash := self._l1.canonical_hash(one)) is not None
        ]
        if origins_hash(hashes) != record.origins_hash:
            raise Temporary(f"L1 has dropped the origins of record {index}")
        content = content_of(self._parameters, record, found.logged.batch, read_batch)
        block_input = block_of(record, content, number - record.first_block)
        origin_hash = hashes[block_input.origin_number - record.previous_origin]
        origin, l1_block = (
            self._l1.origin_by_hash(origin_hash),
            self._l1.chain.block_by_hash(origin_hash),
        )
        if origin is None or l1_block is None:
            raise Temporary(f"L1 has dropped the origin of L2 block {number}")
        before = self._l1.chain.block_by_hash(l1_block.header.parent_hash)
        return Gathered(
            block=block,
            parent=parent.header,
            logged=found.logged,
            origin_hashes=tuple(hashes),
            origin=origin,
            l1_block=l1_block,
            l1_parent=None if before is None else before.header,
            l1_ancestors=self._l1.chain.ancestors(origin_hash),
        )

    def prove(self, gathered: Gathered) -> StepInput:
        """Execute the block once more and put together what proves it; milliseconds, for a Worker.

        Raises MissingState where the state before the block, or before an origin with requests of L1's own, is pruned;
        Temporary where the block is not what was gathered any more.
        """
        record, parent = gathered.logged.record, gathered.parent
        number = gathered.block.header.number
        content = content_of(self._parameters, record, gathered.logged.batch, read_batch)
        block_input = block_of(record, content, number - record.first_block)
        attributes = attributes_of(self._parameters, parent, block_input, gathered.origin)
        derived = self._engine.derive(
            parent.encode(),
            L2Attributes(
                timestamp=attributes.timestamp,
                mix_hash=attributes.mix_hash,
                parent_beacon_block_root=attributes.parent_beacon_block_root,
            ),
            attributes.deposits,
            attributes.transactions,
            b"",
            record_witness=True,
        )
        if derived.result.block_hash != gathered.block.hash:
            raise Temporary(f"L2 block {number} is another one by now")
        witness = derived.result.witness
        assert witness is not None, "it was asked for"
        last, digests = self._requests(gathered) if block_input.advances_origin else (b"", b"")
        return StepInput(
            config_hash=self._parameters.config_hash(),
            pre_root=output_of(parent).root(),
            number=BlockNumber(number),
            record=record,
            parent_header=parent.encode(),
            batch=gathered.logged.batch,
            origin_hashes=b"".join(gathered.origin_hashes),
            origin_header=gathered.origin.header.encode(),
            last_request=last,
            other_digests=digests,
            nodes=tuple(witness[0]),
            codes=tuple(witness[1]),
        )

    def _found(self, index: int) -> Found:
        placed = self._book.placed(index)
        for found in self._l1.records_of(placed.block):
            if found.logged.index == index:
                return found
        raise Temporary(f"L1 has dropped record {index}")

    def _requests(self, gathered: Gathered) -> tuple[bytes, bytes]:
        """The origin's last request and the digests of those before it.

        A block that asks consensus for something is executed once more: only its execution says what it asked.
        """
        want = gathered.origin.header.requests_hash
        if want == EMPTY_REQUESTS_HASH:
            return b"", b""
        for deposits in gathered.origin.requests:
            if sha256(sha256(deposits)) == want:
                return deposits, b""
        if gathered.l1_parent is None:
            raise Temporary(f"L1 block {gathered.origin.number - 1} is not kept")
        executed = self._l1_engine.execute(
            gathered.l1_parent.encode(), gathered.l1_block.rlp, gathered.l1_ancestors
        )
        *others, last = executed.requests
        return last, b"".join(map(sha256, others))
