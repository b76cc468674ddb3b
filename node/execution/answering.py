"""The native engine behind the `Answers` protocol: tuples out of Rust become the node's values here.

    RevmEngine (adapter) is a RevmAnswers that makes, judges and keeps blocks as well

Nothing is decided here: simulations, traces and rendering pass straight through.
"""

from __future__ import annotations

from collections.abc import Sequence

from node import _engine
from node.execution.answers import Account, AccountProof, CallResult, RawLog


class RevmAnswers:
    """What one native engine answers; see `Answers`."""

    __slots__ = ("_native",)

    def __init__(self, native: _engine.NativeEngine) -> None:
        self._native = native

    # -- look-ups

    def account(self, root: bytes, address: bytes) -> Account | None:
        """An account, or None where there is none."""
        account = self._native.account(root, address)
        return None if account is None else _account(account)

    def accounts(self, root: bytes, addresses: Sequence[bytes]) -> list[tuple[int, int]]:
        """(nonce, balance in wei) of each."""
        return self._native.accounts(root, addresses)

    def storage(self, root: bytes, address: bytes, slot: bytes) -> bytes:
        """A storage word."""
        return self._native.storage(root, address, slot)

    def code(self, root: bytes, address: bytes) -> bytes:
        """An account's code."""
        return self._native.code(root, address)

    def proof(self, root: bytes, address: bytes, slots: Sequence[bytes]) -> AccountProof:
        """An EIP-1186 proof."""
        account, nodes, storage = self._native.proof(root, address, slots)
        return AccountProof(account=_account(account), nodes=nodes, slots=storage)

    # -- simulations

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
        """`eth_call`."""
        answer = self._native.call(
            root,
            header,
            ancestors,
            call,
            gas_cap=gas_cap,
            state_overrides=state_overrides,
            block_overrides=block_overrides,
            deadline_us=deadline_us,
        )
        return CallResult(*answer)

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
        """`eth_estimateGas`."""
        answer = self._native.estimate_gas(
            root,
            header,
            ancestors,
            call,
            gas_cap=gas_cap,
            state_overrides=state_overrides,
            block_overrides=block_overrides,
            deadline_us=deadline_us,
        )
        return CallResult(*answer)

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
        """`eth_createAccessList`."""
        return self._native.access_list(
            root,
            header,
            ancestors,
            call,
            gas_cap=gas_cap,
            state_overrides=state_overrides,
            deadline_us=deadline_us,
        )

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
        """`eth_simulateV1`."""
        return self._native.simulate(
            root, header, ancestors, request, gas_cap=gas_cap, deadline_us=deadline_us
        )

    def trace_block(
        self,
        parent_root: bytes,
        block: bytes,
        ancestors: bytes,
        options: bytes,
        *,
        deadline_us: int | None = None,
    ) -> bytes:
        """`debug_traceBlockBy*`."""
        return self._native.trace_block(
            parent_root, block, ancestors, options, deadline_us=deadline_us
        )

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
        """`debug_traceTransaction`."""
        return self._native.trace_transaction(
            parent_root, block, ancestors, index, options, deadline_us=deadline_us
        )

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
        """`debug_traceCall`."""
        return self._native.trace_call(
            root,
            header,
            ancestors,
            call,
            options,
            gas_cap=gas_cap,
            block=block,
            index=index,
            deadline_us=deadline_us,
        )

    def trace_entries(
        self,
        parent_root: bytes,
        block: bytes,
        ancestors: bytes,
        index: int,
        *,
        deadline_us: int | None = None,
    ) -> bytes:
        """Otterscan's list of a transaction's calls."""
        return self._native.trace_entries(
            parent_root, block, ancestors, index, deadline_us=deadline_us
        )

    def trace_parties(
        self,
        parent_root: bytes,
        block: bytes,
        ancestors: bytes,
        *,
        deadline_us: int | None = None,
    ) -> bytes:
        """Who had a part in each transaction of a block."""
        return self._native.trace_parties(parent_root, block, ancestors, deadline_us=deadline_us)

    def intermediate_roots(
        self,
        parent_root: bytes,
        block: bytes,
        ancestors: bytes,
        *,
        deadline_us: int | None = None,
    ) -> list[bytes]:
        """The state's root after each transaction of a block."""
        return self._native.intermediate_roots(
            parent_root, block, ancestors, deadline_us=deadline_us
        )

    def execution_witness(self, parent_header: bytes, block: bytes, ancestors: bytes) -> bytes:
        """`debug_executionWitness` with hashes in place of headers."""
        return self._native.execution_witness(parent_header, block, ancestors)

    # -- rendering

    def block_json(self, block: bytes, receipts: bytes, *, full: bool) -> bytes:
        """A block."""
        return self._native.block_json(block, receipts, full=full)

    def header_json(self, header: bytes) -> bytes:
        """A header."""
        return self._native.header_json(header)

    def transaction_json(self, block: bytes, receipts: bytes, index: int) -> bytes:
        """A mined transaction."""
        return self._native.transaction_json(block, receipts, index)

    def pending_json(self, transactions: Sequence[bytes]) -> list[bytes]:
        """Transactions that are in no block."""
        return self._native.pending_json(transactions)

    def receipts_json(self, block: bytes, receipts: bytes) -> bytes:
        """All receipts of a block."""
        return self._native.receipts_json(block, receipts)

    def receipt_json(self, block: bytes, receipts: bytes, index: int) -> bytes:
        """One receipt."""
        return self._native.receipt_json(block, receipts, index)

    def logs_json(
        self,
        blocks: Sequence[tuple[bytes, bytes]],
        addresses: Sequence[bytes],
        topics: Sequence[Sequence[bytes]],
        *,
        removed: bool = False,
    ) -> list[bytes]:
        """The logs that match."""
        return self._native.logs_json(blocks, addresses, topics, removed=removed)

    def raw_receipts(self, receipts: bytes) -> list[bytes]:
        """EIP-2718 receipts."""
        return self._native.raw_receipts(receipts)

    def raw_transactions(self, block: bytes) -> list[bytes]:
        """EIP-2718 transactions."""
        return self._native.raw_transactions(block)

    def logs(self, receipts: bytes, address: bytes, topic: bytes) -> list[RawLog]:
        """The logs of one contract in a block."""
        return [
            RawLog(index, tuple(topics), data)
            for index, topics, data in self._native.logs(receipts, address, topic)
        ]

    def fee_percentiles(
        self, block: bytes, receipts: bytes, percentiles: Sequence[float]
    ) -> list[int]:
        """Effective priority fees at these percentiles of gas used."""
        return self._native.fee_percentiles(block, receipts, percentiles)


def _account(fields: tuple[int, int, bytes, bytes]) -> Account:
    nonce, balance, code_hash, storage_root = fields
    return Account(nonce=nonce, balance=balance, code_hash=code_hash, storage_root=storage_root)
