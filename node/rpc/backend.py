"""What JSON-RPC needs of the rest of the node, as narrow protocols.

    namespaces -> Chain (blocks) | Engine (states, simulation, rendering) | Pool | FaultControl | RollupView

`node.chain`, `node.execution`, `node.txpool`, `node.sync` and the app satisfy them; on the L2 the sequencer's chain, pool and
deriving do. Tests satisfy them with fakes.
Look-ups of the chain and of single accounts are short and run in place; whatever may take longer runs in a `Worker` of node.runtime.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from node.eth.blocks import Block
from node.eth.headers import Header
from node.eth.primitives import Address, Hash32


class Chain(Protocol):
    """The chain as its one owner sees it now."""

    @property
    def head(self) -> Block:
        """The block the fork choice answers with."""

    @property
    def safe(self) -> Block:
        """The justified block of the head's state."""

    @property
    def finalized(self) -> Block:
        """The last block that is final."""

    @property
    def safety_fault(self) -> str | None:
        """Which conflicting checkpoints were seen; None while the chain is sound."""

    def block_by_hash(self, block_hash: Hash32) -> Block | None:
        """Any kept block."""

    def block_by_number(self, number: int) -> Block | None:
        """A block of the head's chain."""

    def transaction_block(self, transaction_hash: Hash32) -> tuple[Block, int] | None:
        """The block of the head's chain that holds a transaction, and its index there."""

    def is_canonical(self, block_hash: Hash32) -> bool:
        """Whether a block lies on the head's chain."""

    def ancestors(self, block_hash: Hash32) -> bytes:
        """Hashes of up to 256 blocks below this one, its parent's first, joined."""

    def next_header(self) -> Header:
        """The header of an empty block of the next slot on the head; roots are not final."""

    def blooms(self, first: int, last: int) -> list[tuple[Hash32, bytes]]:
        """Hash and logs bloom of the head's chain's blocks from one number to another, both included."""


class Account(Protocol):
    """An account of a state."""

    @property
    def nonce(self) -> int:
        """Transactions sent."""

    @property
    def balance(self) -> int:
        """Wei."""

    @property
    def code_hash(self) -> bytes:
        """keccak-256 of its code; 32 bytes."""

    @property
    def storage_root(self) -> bytes:
        """Root of its storage trie; 32 bytes."""


class AccountProof(Protocol):
    """An EIP-1186 proof."""

    @property
    def account(self) -> Account:
        """The account, empty if absent."""

    @property
    def nodes(self) -> list[bytes]:
        """RLP nodes from the state root."""

    @property
    def slots(self) -> list[tuple[bytes, list[bytes]]]:
        """For each slot its value, 32 bytes, and the nodes from the storage root."""


class CallResult(Protocol):
    """How a call ended."""

    @property
    def status(self) -> str:
        """success, revert or halt."""

    @property
    def output(self) -> bytes:
        """Return or revert data; the reason's name, ASCII, for halt."""

    @property
    def gas_used(self) -> int:
        """Gas it used."""


class Engine(Protocol):
    """States, simulation and rendering; raises InvalidCall, MissingState and, for JSON of a wrong shape, ValueError."""

    def has_state(self, root: bytes) -> bool:
        """Whether this state can be read."""

    def account(self, root: bytes, address: bytes) -> Account | None:
        """An account, or None where there is none."""

    def storage(self, root: bytes, address: bytes, slot: bytes) -> bytes:
        """A storage word; 32 bytes."""

    def code(self, root: bytes, address: bytes) -> bytes:
        """An account's code."""

    def proof(self, root: bytes, address: bytes, slots: Sequence[bytes]) -> AccountProof:
        """An EIP-1186 proof."""

    def call(
        self,
        root: bytes,
        header: bytes,
        ancestors: bytes,
        call: bytes,
        *,
        gas_cap: int,
        state_overrides: bytes | None = None,
        block_overrides: bytes | None = None,
        deadline_us: int | None = None,
    ) -> CallResult:
        """`eth_call`. Raises TimeoutError when it is not done within so many microseconds."""

    def estimate_gas(
        self,
        root: bytes,
        header: bytes,
        ancestors: bytes,
        call: bytes,
        *,
        gas_cap: int,
        state_overrides: bytes | None = None,
        block_overrides: bytes | None = None,
        deadline_us: int | None = None,
    ) -> CallResult:
        """`eth_estimateGas`. Raises TimeoutError when it is not done within so many microseconds."""

    def access_list(
        self,
        root: bytes,
        header: bytes,
        ancestors: bytes,
        call: bytes,
        *,
        gas_cap: int,
        state_overrides: bytes | None = None,
        deadline_us: int | None = None,
    ) -> bytes:
        """`eth_createAccessList`; raises TimeoutError as `call` does."""

    def simulate(
        self,
        root: bytes,
        header: bytes,
        ancestors: bytes,
        request: bytes,
        *,
        gas_cap: int,
        deadline_us: int | None = None,
    ) -> bytes:
        """`eth_simulateV1`: blocks on top of the given one; raises TimeoutError as `call` does."""

    def trace_block(
        self,
        parent_root: bytes,
        block: bytes,
        ancestors: bytes,
        options: bytes,
        *,
        deadline_us: int | None = None,
    ) -> bytes:
        """`debug_traceBlockBy*`; raises TimeoutError as `call` does."""

    def trace_transaction(
        self,
        parent_root: bytes,
        block: bytes,
        ancestors: bytes,
        index: int,
        options: bytes,
        *,
        deadline_us: int | None = None,
    ) -> bytes:
        """`debug_traceTransaction`; raises TimeoutError as `call` does."""

    def trace_call(
        self,
        root: bytes,
        header: bytes,
        ancestors: bytes,
        call: bytes,
        options: bytes,
        *,
        gas_cap: int,
        block: bytes | None = None,
        index: int = 0,
        deadline_us: int | None = None,
    ) -> bytes:
        """`debug_traceCall`, within a block where one is given; raises TimeoutError as `call` does."""

    def trace_entries(
        self,
        parent_root: bytes,
        block: bytes,
        ancestors: bytes,
        index: int,
        *,
        deadline_us: int | None = None,
    ) -> bytes:
        """Otterscan's list of a transaction's calls, each with `failed`; raises TimeoutError as `call` does."""

    def trace_parties(
        self,
        parent_root: bytes,
        block: bytes,
        ancestors: bytes,
        *,
        deadline_us: int | None = None,
    ) -> bytes:
        """The addresses that had a part in each transaction of a block; raises TimeoutError as `call` does."""

    def intermediate_roots(
        self,
        parent_root: bytes,
        block: bytes,
        ancestors: bytes,
        *,
        deadline_us: int | None = None,
    ) -> list[bytes]:
        """`debug_intermediateRoots`; raises TimeoutError as `call` does."""

    def execution_witness(self, parent_header: bytes, block: bytes, ancestors: bytes) -> bytes:
        """`debug_executionWitness`; its `headers` are hashes, from the parent down to the oldest that was read."""

    def block_json(self, block: bytes, receipts: bytes, *, full: bool) -> bytes:
        """A block."""

    def header_json(self, header: bytes) -> bytes:
        """A header."""

    def transaction_json(self, block: bytes, receipts: bytes, index: int) -> bytes:
        """A mined transaction."""

    def pending_json(self, transactions: Sequence[bytes]) -> list[bytes]:
        """Transactions that are in no block."""

    def receipts_json(self, block: bytes, receipts: bytes) -> bytes:
        """All receipts of a block."""

    def receipt_json(self, block: bytes, receipts: bytes, index: int) -> bytes:
        """One receipt."""

    def logs_json(
        self,
        blocks: Sequence[tuple[bytes, bytes]],
        addresses: Sequence[bytes],
        topics: Sequence[Sequence[bytes]],
        *,
        removed: bool = False,
    ) -> list[bytes]:
        """Logs that match."""

    def raw_receipts(self, receipts: bytes) -> list[bytes]:
        """EIP-2718 receipts."""

    def raw_transactions(self, block: bytes) -> list[bytes]:
        """EIP-2718 transactions."""

    def fee_percentiles(
        self, block: bytes, receipts: bytes, percentiles: Sequence[float]
    ) -> list[int]:
        """Effective priority fees at these percentiles of gas used."""


class PooledTransaction(Protocol):
    """A transaction that waits for a block."""

    @property
    def hash(self) -> Hash32:
        """Its hash."""

    @property
    def sender(self) -> Address:
        """Who signed it."""

    @property
    def to(self) -> Address | None:
        """Callee; None creates a contract."""

    @property
    def nonce(self) -> int:
        """Its nonce."""

    @property
    def value(self) -> int:
        """Wei sent along."""

    @property
    def gas_limit(self) -> int:
        """Most gas it may use."""

    @property
    def max_fee_per_gas(self) -> int:
        """Wei a unit of gas."""

    @property
    def raw(self) -> bytes:
        """EIP-2718 bytes."""


class Submission(Protocol):
    """What became of a transaction that was handed in."""

    @property
    def hash(self) -> Hash32:
        """Its hash."""

    @property
    def refusal(self) -> str | None:
        """Why it was not taken, as geth words it."""


class Pool(Protocol):
    """Transactions that wait for a block."""

    async def submit(self, raw: bytes) -> Submission:
        """Take a transaction from a user of this node, and gossip it."""

    def get(self, transaction_hash: Hash32) -> PooledTransaction | None:
        """A waiting transaction."""

    def next_nonce(self, address: Address) -> int | None:
        """The nonce after this account's executable transactions; None where it has none."""

    def executable(self) -> Mapping[Address, Sequence[PooledTransaction]]:
        """Those that could be in the next block, by sender, ascending by nonce."""

    def queued(self) -> Mapping[Address, Sequence[PooledTransaction]]:
        """Those that wait for an earlier nonce, by sender, ascending by nonce."""

    def of_sender(
        self, address: Address
    ) -> tuple[Sequence[PooledTransaction], Sequence[PooledTransaction]]:
        """What is executable and what is queued of one account, ascending by nonce."""

    def upcoming(
        self, *, base_fee: int, gas: int, count: int, blob_base_fee: int, blobs: int
    ) -> Sequence[PooledTransaction]:
        """What a block with these prices (wei) and room (gas, number, blobs) would take first, in its order."""

    def counts(self) -> tuple[int, int]:
        """How many are executable and how many are queued."""


class Intake(Protocol):
    """Takes transactions without a task for each: a task, its wake-up and its switch cost more than the rest of a send.

    On the L2 the builder is one beside being a `Pool`; `submit` may well be an `offer` that is awaited.
    """

    def offer(self, raw: bytes, told: Callable[[Submission], None]) -> None:
        """As `Pool.submit`: transactions are taken in the order of the calls.

        `told` is called once, on the loop: at once for a refusal, else when `submit` would return, best for all
        transactions of a sealed block one after the other. It takes microseconds and raises nothing. More than the
        intake has room for are refused.
        """


class SyncProgress(Protocol):
    """How far a node that catches up has come."""

    @property
    def starting_block(self) -> int:
        """Number of the head when it began."""

    @property
    def current_block(self) -> int:
        """Number of the head now."""

    @property
    def highest_block(self) -> int:
        """Highest number that a peer has told."""


class FaultControl(Protocol):
    """Faults that are made on purpose; raises ValueError that names a wrong parameter."""

    async def inject(self, name: str, parameters: Mapping[str, object]) -> object:
        """Start a fault; gives what it answers, JSON."""

    async def heal(self, name: str | None) -> object:
        """End one fault, or all; gives what was healed, JSON."""

    def active(self) -> object:
        """The faults in force, JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DevnetView:
    """What the `devnet` namespace answers with; made by the app."""

    info: Callable[[], object]
    """`devnet_info`, JSON."""
    consensus: Callable[[], object] | None = None
    """`devnet_consensus`, JSON; None on the L2, which has no consensus of its own."""
    finality_proof: Callable[[Hash32], Awaitable[object]] | None = None
    """`devnet_finalityProof`, JSON; its answer is None for a block that is not final. None on the L2."""
    faults: FaultControl | None = None
    """None where the manifest allows none."""


class BlockPlace(Protocol):
    """Which L1 block: an origin."""

    @property
    def number(self) -> int:
        """Its number."""

    @property
    def hash(self) -> Hash32:
        """Its hash."""


class BatchPlace(Protocol):
    """Where L1 holds the data of an L2 block."""

    @property
    def record_index(self) -> int:
        """Index of the Inbox record, from 0."""

    @property
    def transaction_hash(self) -> Hash32:
        """The L1 transaction that appended it."""

    @property
    def l1_number(self) -> int:
        """Number of the L1 block that holds it."""

    @property
    def l1_hash(self) -> Hash32:
        """Hash of the L1 block that holds it."""


class L1Heads(Protocol):
    """How this node sees L1 now."""

    @property
    def current(self) -> Header:
        """The L1 block up to which records have been derived."""

    @property
    def head(self) -> Header:
        """L1's head."""

    @property
    def safe(self) -> Header:
        """L1's justified block."""

    @property
    def finalized(self) -> Header:
        """L1's last final block."""


class RollupView(Protocol):
    """What only an L2 node knows; look-ups are short and run in place."""

    @property
    def l1(self) -> L1Heads:
        """How this node sees L1 now, all four from one moment."""

    def origin_of(self, block_hash: Hash32) -> BlockPlace | None:
        """The L1 origin of a kept L2 block; genesis has L1's genesis."""

    def batch_of(self, number: int) -> BatchPlace | None:
        """Where L1 holds an L2 block of the head's chain; None while it is unsafe, and for genesis."""
