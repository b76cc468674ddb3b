"""What the engine answers about states and blocks that it has: look-ups, simulations, rendering.

    JSON-RPC, bridge, sequencer -> Answers -> JSON as geth prints it, or values

Nothing here changes a state; what makes, judges and keeps blocks is `engine`.
Deliberately absent: methods of JSON-RPC, their parameters and errors (node.rpc).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RawLog:
    """A log of one contract, without its JSON."""

    index: int
    """Counts the block's logs."""
    topics: tuple[bytes, ...]
    """32 bytes each, at most four."""
    data: bytes
    """What was logged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account of a state."""

    nonce: int
    """Transactions sent, or contracts created by a contract."""
    balance: int
    """Wei."""
    code_hash: bytes
    """keccak-256 of its code; 32 bytes."""
    storage_root: bytes
    """Root of its storage trie; 32 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountProof:
    """An EIP-1186 proof."""

    account: Account
    """The account, empty if absent."""
    nodes: list[bytes]
    """RLP nodes from the state root to the account or to where it would be."""
    slots: list[tuple[bytes, list[bytes]]]
    """For each slot asked for: its value (32 bytes) and the nodes from the storage root."""


@dataclass(frozen=True, slots=True)
class CallResult:
    """How a call ended."""

    status: str
    """success, revert or halt."""
    output: bytes
    """Return or revert data; geth's words for what was wrong, UTF-8, for halt."""
    gas_used: int
    """Gas it used, refunds taken off."""


class Answers(Protocol):
    """What can be asked of one chain's states and blocks.

    `root` is always a state root, 32 bytes. `header` is the RLP of the header whose environment counts.
    `ancestors` is the concatenation of up to 256 block hashes, the parent's first (BLOCKHASH).
    Raises: MissingState (that root is not kept), StorageError (damage or disk), ValueError (a caller's argument that is
    no JSON of the right shape).
    """

    # -- look-ups

    def account(self, root: bytes, address: bytes) -> Account | None:
        """An account, or None where there is none."""

    def accounts(self, root: bytes, addresses: Sequence[bytes]) -> list[tuple[int, int]]:
        """(nonce, balance in wei) of each; zeros where there is none."""

    def storage(self, root: bytes, address: bytes, slot: bytes) -> bytes:
        """A storage word; 32 bytes."""

    def code(self, root: bytes, address: bytes) -> bytes:
        """An account's code."""

    def proof(self, root: bytes, address: bytes, slots: Sequence[bytes]) -> AccountProof:
        """An EIP-1186 proof."""

    # -- simulations: `call` is the JSON of a transaction call object as wallets send it
    #
    # All of them raise InvalidCall (code -32602 names the field that has the wrong shape) and, once they have run for
    # `deadline_us`, TimeoutError: nothing of a run that was given up is kept, so one who cannot wait asks with a short
    # deadline in place and then again, from a worker thread, with a long one.

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
        """`eth_call`; InvalidCall is what geth refuses before it runs, in its words."""

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
        """`eth_estimateGas`: `gas_used` is the estimate; revert or halt as the call itself ends."""

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
        """`eth_createAccessList`: the answer's JSON object."""

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
        """`eth_simulateV1`: the answer's JSON list.

        Blocks are built on the one whose header, state root and ancestors are given; `gas_cap` is for all calls together.
        """

    def trace_block(
        self,
        parent_root: bytes,
        block: bytes,
        ancestors: bytes,
        options: bytes,
        *,
        deadline_us: int | None = None,
    ) -> bytes:
        """`debug_traceBlockBy*`: the answer's JSON list."""

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
        """`debug_traceTransaction`: the answer's JSON."""

    def trace_call(
        self,
        root: bytes,
        header: bytes,
        ancestors: bytes,
        call: bytes,
        options: bytes,
        *,
        gas_cap: int = 50_000_000,
        block: bytes | None = None,
        index: int = 0,
        deadline_us: int | None = None,
    ) -> bytes:
        """`debug_traceCall`: the answer's JSON; overrides stand in `options`, as geth has them.

        With a `block` it runs within that, before the transaction of this index; `root` is then the parent's, `header` not read.
        """

    def trace_entries(
        self,
        parent_root: bytes,
        block: bytes,
        ancestors: bytes,
        index: int,
        *,
        deadline_us: int | None = None,
    ) -> bytes:
        """A transaction's calls, creations and destructions in the order they began, a JSON list as Otterscan wants it.

        Beside erigon's fields each has `failed`: whether it, or one around it, was undone.
        """

    def trace_parties(
        self,
        parent_root: bytes,
        block: bytes,
        ancestors: bytes,
        *,
        deadline_us: int | None = None,
    ) -> bytes:
        """Who had a part in each transaction of a block: a JSON list of {txHash, result: addresses, ascending}."""

    def intermediate_roots(
        self,
        parent_root: bytes,
        block: bytes,
        ancestors: bytes,
        *,
        deadline_us: int | None = None,
    ) -> list[bytes]:
        """The state's root after each transaction of a block, as far as it can be executed; raises TimeoutError."""

    def execution_witness(self, parent_header: bytes, block: bytes, ancestors: bytes) -> bytes:
        """`debug_executionWitness`: the answer's JSON; its `headers` are hashes, from the parent down."""

    # -- rendering, as geth prints it

    def block_json(self, block: bytes, receipts: bytes, *, full: bool) -> bytes:
        """A block with transaction hashes or full transactions."""

    def header_json(self, header: bytes) -> bytes:
        """A header, as `eth_subscribe("newHeads")` sends it."""

    def transaction_json(self, block: bytes, receipts: bytes, index: int) -> bytes:
        """A mined transaction."""

    def pending_json(self, transactions: Sequence[bytes]) -> list[bytes]:
        """Transactions that are in no block."""

    def receipts_json(self, block: bytes, receipts: bytes) -> bytes:
        """All receipts of a block, a JSON list."""

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
        """The logs of (block, receipts) pairs that match, one JSON object each; empty lists match everything."""

    def raw_receipts(self, receipts: bytes) -> list[bytes]:
        """EIP-2718 receipts."""

    def raw_transactions(self, block: bytes) -> list[bytes]:
        """EIP-2718 transactions."""

    def logs(self, receipts: bytes, address: bytes, topic: bytes) -> list[RawLog]:
        """The logs of one contract (20 bytes) in a block whose first topic (32 bytes) is this one."""

    def fee_percentiles(
        self, block: bytes, receipts: bytes, percentiles: Sequence[float]
    ) -> list[int]:
        """Effective priority fees at these percentiles of gas used, wei (`eth_feeHistory`)."""
