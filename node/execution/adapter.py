"""The native engine behind the `Engine` protocol: tuples in and out of Rust become the node's dataclasses here.

Nothing is decided here: what a method does, and what it raises, is what the protocol says and what the crate in
`revm/` does.
What only asks, and changes nothing, is `answering`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from node import _engine
from node.errors import InvalidBlock
from node.eth.primitives import Address, Hash32
from node.eth.transactions import Transaction
from node.execution.answering import RevmAnswers
from node.execution.engine import (
    BlobTransaction,
    BlockAttributes,
    BlockBuilder,
    BlockResult,
    ChainTables,
    DerivedBlock,
    InvalidTransaction,
    L2Attributes,
    L2BlockBuilder,
    PackedBlock,
    PushOutcome,
)

StepCallable = Callable[[bytes, bytes, bool], bytes]
"""(input, caller, whether the call is static) -> output; `Rejected` reverts, anything else stops the block."""


def verify_signatures(items: Sequence[tuple[bytes, bytes, bytes]]) -> list[bool]:
    """Whether each (public key, message, signature) is a strictly valid Ed25519 signature.

    Malformed keys and signatures are invalid, never an error.
    """
    return _engine.verify_ed25519(items)


def commit_blob(blob: bytes) -> tuple[bytes, bytes] | None:
    """(commitment, proofs of its cells) of a blob; None if it is none. Takes a third of a second."""
    return _engine.commit_blob(blob)


def decode_batch(
    data: bytes, decompressed_limit: int, block_count: int
) -> tuple[PackedBlock, ...] | None:
    """The blocks of a batch, or None if its shape is wrong in any way: total, whatever the bytes are.

    A batch is brotli(rlp[1, [[timestamp, advances origin (0 or 1), [raw transaction, ...]], ...]]), strictly: nothing
    left over, `block_count` blocks, at most `decompressed_limit` bytes (which no bomb makes it write past).
    """
    blocks = _engine.decode_batch(data, decompressed_limit, block_count)
    if blocks is None:
        return None
    return tuple(
        PackedBlock(timestamp, advances_origin, tuple(transactions))
        for timestamp, advances_origin, transactions in blocks
    )


def encode_batch(blocks: Sequence[PackedBlock], quality: int) -> bytes:
    """A batch of these blocks; brotli quality 0 to 11. What it gives depends on nothing else."""
    packed = [(block.timestamp, block.advances_origin, block.transactions) for block in blocks]
    return _engine.encode_batch(packed, quality)


def open_tables(path: Path) -> ChainTables:
    """Opens or creates a file of tables; its folder is made.

    Raises StorageError, naming the file, if it is damaged or open in another process.
    """
    return _engine.NativeTables(path)


_INCLUDED: Final = PushOutcome(included=True, reason="", message="")
"""What becomes of nearly every transaction: made once, not once for each."""


def _outcomes(found: Sequence[tuple[str, str]]) -> list[PushOutcome]:
    return [
        PushOutcome(included=False, reason=reason, message=message) if reason else _INCLUDED
        for reason, message in found
    ]


class RevmBuilder:
    """A block under construction; see `BlockBuilder`."""

    __slots__ = ("_native",)

    def __init__(self, native: _engine.NativeBuilder) -> None:
        self._native = native

    def push(self, transactions: Sequence[bytes]) -> list[PushOutcome]:
        """Offers raw transactions in order."""
        return _outcomes(self._native.push(transactions))

    @property
    def gas_left(self) -> int:
        """Gas that further transactions may use."""
        return self._native.gas_left

    @property
    def bytes_left(self) -> int:
        """Bytes that further transactions may take."""
        return self._native.bytes_left

    @property
    def blobs_left(self) -> int:
        """Blobs that further transactions may carry."""
        return self._native.blobs_left

    @property
    def blob_base_fee(self) -> int:
        """Price of blob gas, wei a unit."""
        return self._native.blob_base_fee

    def seal(self, extra_data: bytes) -> BlockResult:
        """Closes the block; the builder is spent."""
        return self._native.seal(extra_data)


class RevmL2Builder:
    """A rollup block under construction; see `L2BlockBuilder`."""

    __slots__ = ("_native",)

    def __init__(self, native: _engine.NativeL2Builder) -> None:
        self._native = native

    def push(self, transactions: Sequence[bytes]) -> list[PushOutcome]:
        """Offers raw transactions in order."""
        return _outcomes(self._native.push(transactions))

    @property
    def gas_left(self) -> int:
        """Gas that further transactions may use."""
        return self._native.gas_left

    @property
    def bytes_left(self) -> int:
        """Bytes that further raw transactions may take."""
        return self._native.bytes_left

    @property
    def witness_left(self) -> int:
        """Bytes that further transactions may add to the block's witness."""
        return self._native.witness_left

    def seal(self) -> BlockResult:
        """Closes the block; the builder is spent."""
        return self._native.seal()


class RevmEngine(RevmAnswers):
    """One chain, executed by revm; see `Engine`, and `L2Engine` for a rollup."""

    __slots__ = ()

    def __init__(
        self,
        genesis: bytes,
        *,
        folder: Path | None = None,
        portal: Address | None = None,
        step: StepCallable | None = None,
        cache_megabytes: int = 64,
        slack_megabytes: int = 64,
    ) -> None:
        """Opens the states of the chain of a genesis file (geth's JSON): in a folder, or in memory without one.

        A file whose `rollup.chain_id` is its own chain id describes a rollup. On any other chain `rollup.portal` is the
        contract whose deposits become requests of type 0x7e (`portal` overrides it); `step` answers precompile 0x0101.
        `slack_megabytes` is the garbage that pruning leaves in the files, besides as much as there are live nodes.
        Raises ValueError (the genesis file), StorageError (the folder is damaged or in use).
        """
        native = _engine.NativeEngine(
            genesis,
            path=folder,
            portal=portal,
            step=step,
            cache_mb=cache_megabytes,
            slack_mb=slack_megabytes,
        )
        super().__init__(native)

    # -- blocks

    def genesis(self) -> BlockResult:
        """The genesis block; its state is committed."""
        return self._native.genesis()

    def has_state(self, root: bytes) -> bool:
        """Whether this state can be read."""
        return self._native.has_state(root)

    def decode(self, transactions: Sequence[bytes]) -> list[Transaction | InvalidTransaction]:
        """Decodes and recovers in parallel."""
        return [
            InvalidTransaction(*transaction) if isinstance(transaction, tuple) else transaction
            for transaction in self._native.decode(transactions)
        ]

    def refused_block_json(self, block: bytes) -> bytes:
        """A whole block that was refused, with its transactions."""
        return self._native.refused_block_json(block)

    def blob_transactions(self, block: bytes) -> list[BlobTransaction]:
        """Blob transactions of an RLP block, in order."""
        return [
            BlobTransaction(index=index, hash=Hash32(found), blob_hashes=_hashes(hashes))
            for index, found, hashes in self._native.blob_transactions(block)
        ]

    def verify_blobs(self, items: Sequence[tuple[bytes, bytes, bytes]]) -> list[bool]:
        """Whether each (blob, commitment, proofs of its 128 cells) holds together; malformed ones do not."""
        return _engine.verify_blobs(items)

    def prove_blobs(self, items: Sequence[tuple[bytes, bytes, bytes]]) -> list[bytes | None]:
        """The proofs of each blob's cells, given (blob, commitment, proof of the whole); None where that is wrong."""
        return _engine.prove_blobs(items)

    def execute(
        self, parent_header: bytes, block: bytes, ancestors: bytes, *, record_witness: bool = False
    ) -> BlockResult:
        """Judges a whole RLP block on its parent's state."""
        return self._native.execute(parent_header, block, ancestors, record_witness=record_witness)

    def import_chain(
        self,
        recent: Sequence[bytes],
        blocks: Sequence[bytes],
        ancestors: bytes,
        total_difficulty: int,
    ) -> tuple[list[BlockResult], InvalidBlock | None]:
        """Judges and commits blocks, each on the one before, until one is refused."""
        results, refusal = self._native.import_chain(
            recent, blocks, ancestors, total_difficulty.to_bytes(32)
        )
        return [*results], refusal

    def merge_at(self, number: int | None) -> None:
        """The first block of proof of stake, where difficulty has been counted."""
        self._native.merge_at(number)

    def following_header(self, parent_header: bytes, timestamp: int) -> bytes:
        """The header of an empty block on a parent, of any fork."""
        return self._native.following_header(parent_header, timestamp)

    def stateless(
        self,
        parent_header: bytes,
        block: bytes,
        nodes: Sequence[bytes],
        codes: Sequence[bytes],
        headers: Sequence[bytes],
    ) -> BlockResult:
        """Judges a whole RLP block from a witness alone."""
        return self._native.stateless(parent_header, block, nodes, codes, headers)

    def builder(
        self, parent_header: bytes, attributes: BlockAttributes, ancestors: bytes
    ) -> BlockBuilder:
        """Opens a block on the parent's state."""
        withdrawals = [
            (it.index, it.validator_index, it.address, it.amount_gwei)
            for it in attributes.withdrawals
        ]
        native = self._native.builder(
            parent_header,
            attributes.timestamp,
            attributes.fee_recipient,
            attributes.prev_randao,
            attributes.gas_limit,
            attributes.parent_beacon_block_root,
            withdrawals,
            ancestors,
        )
        return RevmBuilder(native)

    # -- blocks of a rollup

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
        """The rollup block that these inputs give."""
        result, is_full = self._native.derive(
            parent_header,
            attributes.timestamp,
            attributes.mix_hash,
            attributes.parent_beacon_block_root,
            deposits,
            transactions,
            ancestors,
            record_witness=record_witness,
        )
        return DerivedBlock(result, is_full)

    def derive_stateless(
        self,
        parent_header: bytes,
        attributes: L2Attributes,
        deposits: Sequence[bytes],
        transactions: Sequence[bytes],
        nodes: Sequence[bytes],
        codes: Sequence[bytes],
    ) -> DerivedBlock:
        """As `derive`, from a witness alone."""
        result, is_full = self._native.derive_stateless(
            parent_header,
            attributes.timestamp,
            attributes.mix_hash,
            attributes.parent_beacon_block_root,
            deposits,
            transactions,
            nodes,
            codes,
        )
        return DerivedBlock(result, is_full)

    def sequence(
        self,
        parent_header: bytes,
        attributes: L2Attributes,
        deposits: Sequence[bytes],
        ancestors: bytes,
    ) -> L2BlockBuilder:
        """Opens a rollup block; its deposits are in it."""
        native = self._native.sequence(
            parent_header,
            attributes.timestamp,
            attributes.mix_hash,
            attributes.parent_beacon_block_root,
            deposits,
            ancestors,
        )
        return RevmL2Builder(native)

    # -- states

    def commit(self, result: BlockResult) -> None:
        """Stores the state of a result of this engine."""
        if not isinstance(result, _engine.BlockResult):
            raise TypeError("only a result that the native engine made can be committed")
        self._native.commit(result)

    def prune(self, live: Sequence[bytes], from_number: int) -> int:
        """Drops every state but these roots and those of blocks from a number on."""
        return self._native.prune(live, from_number)

    def walk(self, root: bytes) -> int:
        """Reads a whole state, codes included, and gives the number of its nodes: a check of the store.

        Raises StorageError, naming the file, where something is damaged.
        """
        return self._native.walk(root)

    def flush(self) -> None:
        """Waits until every committed state outlives a power loss."""
        self._native.flush()

    def close(self) -> None:
        """Flushes and lets go of the files."""
        self._native.close()


def _hashes(raw: Sequence[bytes]) -> tuple[Hash32, ...]:
    return tuple(Hash32(one) for one in raw)
