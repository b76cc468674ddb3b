"""The engine as the node speaks to it.

`Engine` is the complete list of what the node asks of execution; `node._engine`, the Rust crate in `revm/`,
answers it, and tests may answer it with a fake. What only asks, and changes nothing, is `answers`.
Bytes and integers cross, one crossing for a block or a list; the native engine releases the interpreter while it
works, so the shell calls what is long from a thread and what is short (a look-up) in place.

Deliberately absent: consensus. The engine judges a block as Ethereum's execution layer does (header against parent,
transactions, roots); who may propose it and what `extra_data` commits to is `node.consensus`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from node.errors import InvalidBlock
from node.eth.headers import Withdrawal
from node.eth.primitives import Address, Hash32
from node.eth.transactions import Transaction
from node.execution.answers import Answers


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockAttributes:
    """What a builder is told before it builds; the rest of the header follows from parent and contents."""

    timestamp: int
    """Seconds since the epoch of Unix; above the parent's."""
    fee_recipient: Address
    """Who gets the priority fees; 20 bytes."""
    prev_randao: Hash32
    """The header's `mix_hash`."""
    gas_limit: int
    """Gas limit to aim at; the header's moves towards it by at most parent // 1024 - 1."""
    parent_beacon_block_root: Hash32
    """Root of the consensus state after the parent (EIP-4788)."""
    withdrawals: tuple[Withdrawal, ...]
    """EIP-4895 list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class L2Attributes:
    """What a rollup block is told; number, gas limit, base fee, fee recipient and extra data follow from the chain."""

    timestamp: int
    """Seconds since the epoch of Unix; at least the parent's."""
    mix_hash: Hash32
    """The L1 origin's `mix_hash` (PREVRANDAO)."""
    parent_beacon_block_root: Hash32
    """The L1 origin's parent beacon block root (EIP-4788)."""


@dataclass(frozen=True, slots=True)
class InvalidTransaction:
    """Why raw bytes are no transaction of this chain."""

    code: str
    """Stable name: undecodable, chain_id, signature, type, blob."""
    message: str
    """As geth words it."""


@dataclass(frozen=True, slots=True)
class PushOutcome:
    """What became of one transaction that was offered to a builder."""

    included: bool
    """Whether it is in the block now."""
    reason: str
    """Stable name of why not: nonce_too_low, nonce_too_high, balance, block_full, gas_limit, fee, invalid, fault (the precompile's
    callable failed, which is a bug); on an L2 also witness_limit (a later block may hold it) and never_fits (none can);
    empty if included."""
    message: str
    """Detail for logs."""


class BlockResult(Protocol):
    """What executing a block gives; opaque to all but the engine that made it where it says so."""

    @property
    def block(self) -> bytes:
        """The whole block, RLP (header, transactions, ommers, withdrawals)."""

    @property
    def block_hash(self) -> bytes:
        """keccak-256 of its header; 32 bytes."""

    @property
    def state_root(self) -> bytes:
        """Root of the state after the block; 32 bytes."""

    @property
    def gas_used(self) -> int:
        """Gas of all transactions."""

    @property
    def requests(self) -> list[bytes]:
        """EIP-7685 requests: type byte followed by data, ascending types, empty ones left out."""

    @property
    def receipts(self) -> bytes:
        """Receipts, senders and created addresses in a form of the engine's own, for its rendering functions."""

    @property
    def transaction_hashes(self) -> list[bytes]:
        """32 bytes each, in block order."""

    @property
    def senders(self) -> list[bytes]:
        """20 bytes each, in block order."""

    @property
    def witness(self) -> tuple[list[bytes], list[bytes], list[bytes]] | None:
        """Trie nodes, codes and ancestors' header hashes that were read, if it was recorded."""

    @property
    def witness_size(self) -> tuple[int, int, int]:
        """Bytes of a rollup block's witness by the witness rule: nodes, codes, room for siblings; zeros on an L1."""

    @property
    def seconds(self) -> tuple[float, float, float]:
        """Decoding with recovery, execution, state root."""


class OpenBlock(Protocol):
    """A block under construction. Not to be used from two threads at once."""

    def push(self, transactions: Sequence[bytes]) -> list[PushOutcome]:
        """Offers raw transactions in order; one that does not execute in full is left out and the rest go on."""

    @property
    def gas_left(self) -> int:
        """Gas that further transactions may use."""

    @property
    def bytes_left(self) -> int:
        """Bytes that further transactions may take under the block's size limit; raw ones on an L2."""


class BlockBuilder(OpenBlock, Protocol):
    """A block of the L1 under construction."""

    @property
    def blobs_left(self) -> int:
        """Blobs that further transactions may carry."""

    @property
    def blob_base_fee(self) -> int:
        """Price of blob gas in this block, wei a unit."""

    def seal(self, extra_data: bytes) -> BlockResult:
        """Closes the block with these `extra_data` (at most 32 bytes); the builder is spent."""


class L2BlockBuilder(OpenBlock, Protocol):
    """A rollup block under construction; its deposits are in it."""

    @property
    def witness_left(self) -> int:
        """Bytes that further transactions may add to the block's witness."""

    def seal(self) -> BlockResult:
        """Closes the block; the builder is spent."""


@dataclass(frozen=True, slots=True)
class DerivedBlock:
    """What deriving a rollup block gives."""

    result: BlockResult
    """The block."""
    is_full: bool
    """Whether it holds the transactions; if they were not executable in full it holds its deposits only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobTransaction:
    """A blob transaction's place in its block."""

    index: int
    """Its index."""
    hash: Hash32
    """Its hash."""
    blob_hashes: tuple[Hash32, ...]
    """Versioned hashes of its blobs."""


@dataclass(frozen=True, slots=True)
class PackedBlock:
    """One block of a batch, as bytes hold it."""

    timestamp: int
    """What its sequencer claims, seconds since the epoch of Unix; any unsigned 64-bit number."""
    advances_origin: bool
    """Whether it moves to the next L1 origin."""
    transactions: tuple[bytes, ...]
    """Raw transactions; any bytes."""


class Engine(Answers, Protocol):
    """Execution of one chain over one store of states; what it answers about them is `Answers`.

    `ancestors` is the concatenation of up to 256 block hashes, the parent's first (BLOCKHASH).
    Raises: InvalidBlock (a peer's fault), MissingState (that root is not kept), StorageError (damage or disk).
    """

    def genesis(self) -> BlockResult:
        """The genesis block of the configured chain; its state is committed."""

    def has_state(self, root: bytes) -> bool:
        """Whether this state can be read."""

    def decode(self, transactions: Sequence[bytes]) -> list[Transaction | InvalidTransaction]:
        """Decodes and recovers in parallel; senders are remembered (bounded) for `execute` and `push`."""

    def refused_block_json(self, block: bytes) -> bytes:
        """A whole block that was refused, with its transactions. Raises InvalidBlock if its body is not its header's."""

    def blob_transactions(self, block: bytes) -> list[BlobTransaction]:
        """Blob transactions of an RLP block, in order."""

    def verify_blobs(self, items: Sequence[tuple[bytes, bytes, bytes]]) -> list[bool]:
        """Whether each (blob, commitment, proofs of its 128 cells) holds together; malformed ones do not."""

    def prove_blobs(self, items: Sequence[tuple[bytes, bytes, bytes]]) -> list[bytes | None]:
        """The proofs of each blob's cells, given (blob, commitment, proof of the whole); None where that is wrong."""

    def execute(
        self, parent_header: bytes, block: bytes, ancestors: bytes, *, record_witness: bool = False
    ) -> BlockResult:
        """Judges a whole RLP block on its parent's state: header rules, transactions, all roots."""

    def import_chain(
        self,
        recent: Sequence[bytes],
        blocks: Sequence[bytes],
        ancestors: bytes,
        total_difficulty: int,
    ) -> tuple[list[BlockResult], InvalidBlock | None]:
        """Judges and commits blocks of a chain of others, each on the one before, until one is refused.

        Gives those that were taken in, and why the next was not. Difficulty, ommers and the merge are judged as well.

        Args:
            recent: the blocks below the first, the oldest first: seven, or all that there are.
            blocks: whole ones, RLP.
            ancestors: hashes from the last of `recent` down.
            total_difficulty: of the last of `recent`.
        """

    def merge_at(self, number: int | None) -> None:
        """The first block of proof of stake, where difficulty has been counted; None before there is one."""

    def following_header(self, parent_header: bytes, timestamp: int) -> bytes:
        """The header of an empty block on a parent, of any fork; its roots are not final."""

    def stateless(
        self,
        parent_header: bytes,
        block: bytes,
        nodes: Sequence[bytes],
        codes: Sequence[bytes],
        headers: Sequence[bytes],
    ) -> BlockResult:
        """Judges a whole RLP block from a witness alone: no disk, no threads, nothing remembered; re-entrant.

        `headers` are RLP, the parent's first, as many as `BLOCKHASH` reads (length of the witness's third list).
        Raises MissingState where the witness does not hold what is needed.
        """

    def builder(
        self, parent_header: bytes, attributes: BlockAttributes, ancestors: bytes
    ) -> BlockBuilder:
        """Opens a block on the parent's state and runs the system calls."""

    def commit(self, result: BlockResult) -> None:
        """Stores the state of an executed or sealed block.

        When this returns, the state can be read and outlives the process; it outlives a power loss 50 ms later, or
        after `flush`. Executes the block again by itself if pruning has come between.
        """

    def prune(self, live: Sequence[bytes], from_number: int) -> int:
        """Drops every state but these roots and those of blocks from a number on; gives the bytes freed.

        Files are rewritten only when garbage is worth it, so 0 is usual. Blocks may be executed and committed
        meanwhile, from other threads.
        """

    def flush(self) -> None:
        """Waits until every committed state outlives a power loss."""

    def close(self) -> None:
        """Flushes and lets go of the files."""


class L2Engine(Engine, Protocol):
    """Execution of a rollup (Isthmus rules); what is said of `Engine` holds, `builder` apart, which is for an L1.

    `deposits` are type 0x7E transactions, the attributes deposit first if there is one; they come from rules, never
    from a stranger, and one that cannot be decoded raises ValueError.
    Hashes of ancestors are read from the state (EIP-2935): `ancestors` may be empty everywhere.
    """

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
        """The block that these inputs give, whatever bytes the transactions are.

        If they are not executable in full, or cross a limit of the block, it holds its deposits only.
        """

    def derive_stateless(
        self,
        parent_header: bytes,
        attributes: L2Attributes,
        deposits: Sequence[bytes],
        transactions: Sequence[bytes],
        nodes: Sequence[bytes],
        codes: Sequence[bytes],
    ) -> DerivedBlock:
        """As `derive`, from a witness alone: no disk, no threads, nothing remembered; re-entrant.

        Raises MissingState where the witness does not hold what is needed.
        """

    def sequence(
        self,
        parent_header: bytes,
        attributes: L2Attributes,
        deposits: Sequence[bytes],
        ancestors: bytes,
    ) -> L2BlockBuilder:
        """Opens a block on the parent's state; runs the system calls and the deposits."""


class ChainTables(Protocol):
    """Small tables of bytes with atomic batches (redb): blocks, receipts, indexes, meta."""

    def get(self, table: str, key: bytes) -> bytes | None:
        """A value; checked against the checksum it was stored with."""

    def get_many(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        """Several values."""

    def scan(self, table: str, start: bytes, end: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """Entries with start <= key < end in ascending order, at most `limit`."""

    def write(
        self, puts: Sequence[tuple[str, bytes, bytes]], deletes: Sequence[tuple[str, bytes]]
    ) -> None:
        """One atomic transaction; it outlives the process when this returns."""

    def close(self) -> None:
        """Lets go of the file."""
