"""`eth`: transactions, mined and waiting, and their receipts.

    eth_getTransactionBy*, eth_getTransactionReceipt, eth_getRawTransaction*, eth_pendingTransactions,
    eth_sendRawTransaction, eth_sendRawTransactionSync, and what needs an account of the node's own

The node holds no keys of users: methods that would sign say `unknown account`, as geth does without accounts.
"""

from __future__ import annotations

from typing import Final

import orjson
import trio

from node.eth.blocks import Block
from node.eth.primitives import Hash32
from node.rpc import parameters
from node.rpc.backend import Engine, Intake, Pool, PooledTransaction
from node.rpc.blocks import Blocks
from node.rpc.dispatch import Caller, Method
from node.rpc.events import HeadSignal
from node.rpc.jsonrpc import SERVER_ERROR, RpcError
from node.rpc.parameters import BlockHash, BlockId, Params, Tag
from node.rpc.pending import PendingBlock
from node.rpc.rendering import Renderer
from node.rpc.sends import Listeners, Sends, timed_out

SYNC_DEFAULT_MS: Final = 20_000
"""How long `eth_sendRawTransactionSync` waits by default, as in geth."""

SYNC_MAX_MS: Final = 60_000
"""How long a caller may make it wait, as in geth."""


class TransactionsNamespace:
    """Reads and takes transactions."""

    def __init__(
        self,
        blocks: Blocks,
        engine: Engine,
        pool: Pool,
        pending: PendingBlock,
        renderer: Renderer,
        heads: HeadSignal,
        intake: Intake | None,
        listeners: Listeners,
    ) -> None:
        """`intake` takes transactions on the L2, where blocks are sealed as they come; None on L1."""
        self._blocks: Final = blocks
        self._engine: Final = engine
        self._pool: Final = pool
        self._pending: Final = pending
        self._renderer: Final = renderer
        self._heads: Final = heads
        self.sends: Final = (
            None if intake is None else Sends(intake, pool, self._receipt_now, listeners)
        )
        """Hands transactions in on the L2; None on L1."""

    def methods(self) -> dict[str, Method]:
        """The methods of this module."""
        return {
            "eth_getTransactionByHash": Method(self.get_by_hash, 1),
            "eth_getTransactionByBlockHashAndIndex": Method(self.get_by_block_hash, 2),
            "eth_getTransactionByBlockNumberAndIndex": Method(self.get_by_block_number, 2),
            "eth_getTransactionReceipt": Method(self.get_receipt, 1),
            "eth_getRawTransactionByHash": Method(self.get_raw_by_hash, 1),
            "eth_getRawTransactionByBlockHashAndIndex": Method(self.get_raw_by_block_hash, 2),
            "eth_getRawTransactionByBlockNumberAndIndex": Method(self.get_raw_by_block_number, 2),
            "eth_pendingTransactions": Method(self.none_of_ours, 0),
            "eth_accounts": Method(self.none_of_ours, 0),
            "eth_sendRawTransaction": Method(self.send_raw, 1, self.sends is not None),
            "eth_sendRawTransactionSync": Method(self.send_raw_sync, 2, self.sends is not None),
            "eth_sendTransaction": Method(self.unknown_account, 1),
            "eth_signTransaction": Method(self.unknown_account, 1),
            "eth_sign": Method(self.sign, 2),
        }

    # -- reading

    def get_by_hash(self, params: Params, _: Caller) -> object:
        """A transaction, mined or waiting; null if unknown."""
        wanted = parameters.hash32(params, 0)
        found = self._blocks.chain.transaction_block(wanted)
        if found is not None:
            return self._render(*found)
        pooled = self._pool.get(wanted)
        return None if pooled is None else self._render_waiting(pooled)

    def get_by_block_hash(self, params: Params, _: Caller) -> object:
        """A transaction by its place."""
        return self._at(BlockHash(parameters.hash32(params, 0)), _index(params))

    def get_by_block_number(self, params: Params, _: Caller) -> object:
        """A transaction by its place."""
        return self._at(parameters.block_number(params, 0), _index(params))

    def get_receipt(self, params: Params, _: Caller) -> object:
        """The receipt of a mined transaction; null if there is none."""
        found = self._blocks.chain.transaction_block(parameters.hash32(params, 0))
        if found is None:
            return None
        return self._renderer.receipt(*found)

    def get_raw_by_hash(self, params: Params, _: Caller) -> str:
        """EIP-2718 bytes of a transaction, mined or waiting."""
        raw = self.raw(parameters.hash32(params, 0))
        return "0x" if raw is None else "0x" + raw.hex()

    def raw(self, transaction_hash: Hash32) -> bytes | None:
        """EIP-2718 bytes of a transaction, mined or waiting; None if unknown."""
        found = self._blocks.chain.transaction_block(transaction_hash)
        if found is not None:
            block, index = found
            return self._engine.raw_transactions(block.rlp)[index]
        pooled = self._pool.get(transaction_hash)
        return None if pooled is None else pooled.raw

    def get_raw_by_block_hash(self, params: Params, _: Caller) -> str:
        """EIP-2718 bytes of a transaction by its place."""
        return self._raw_at(BlockHash(parameters.hash32(params, 0)), _index(params))

    def get_raw_by_block_number(self, params: Params, _: Caller) -> str:
        """EIP-2718 bytes of a transaction by its place."""
        return self._raw_at(parameters.block_number(params, 0), _index(params))

    def _at(self, block_id: BlockId, index: int) -> object:
        if block_id is Tag.PENDING:
            listed = self._pending.transactions()
            return self._render_waiting(listed[index]) if index < len(listed) else None
        block = self._blocks.find(block_id)
        if block is None or index >= len(self._engine.raw_transactions(block.rlp)):
            return None
        return self._render(block, index)

    def _raw_at(self, block_id: BlockId, index: int) -> str:
        """The bytes; none where there is no such block or place, as geth has it."""
        if block_id is Tag.PENDING:
            listed = self._pending.transactions()
            return "0x" + listed[index].raw.hex() if index < len(listed) else "0x"
        block = self._blocks.find(block_id)
        transactions = [] if block is None else self._engine.raw_transactions(block.rlp)
        return "0x" + transactions[index].hex() if index < len(transactions) else "0x"

    def _render(self, block: Block, index: int) -> object:
        return self._renderer.one(
            block, lambda: self._engine.transaction_json(block.rlp, block.receipts, index)
        )

    def _render_waiting(self, waiting: PooledTransaction) -> orjson.Fragment:
        return orjson.Fragment(self._engine.pending_json([waiting.raw])[0])

    # -- sending

    def send_raw(self, params: Params, _: Caller) -> object:
        """Take a signed transaction; gives its hash, on the L2 once its receipt can be read."""
        raw = parameters.data(params, 0)
        return self._send(raw) if self.sends is None else self.sends.send(raw)

    async def _send(self, raw: bytes) -> str:
        return "0x" + (await self._submit(raw)).hex()

    async def _submit(self, raw: bytes) -> Hash32:
        submission = await self._pool.submit(raw)
        if submission.refusal is not None:
            raise RpcError(SERVER_ERROR, submission.refusal)
        return submission.hash

    def send_raw_sync(self, params: Params, _: Caller) -> object:
        """Take a signed transaction and wait for its receipt (EIP-7966)."""
        raw = parameters.data(params, 0)
        wait_ms = SYNC_DEFAULT_MS
        given = parameters.optional(params, 1)
        if type(given) is int and given > 0:
            wait_ms = given
        elif given is not None:
            wait_ms = parameters.quantity(params, 1) or SYNC_DEFAULT_MS
        wait_ms = min(wait_ms, SYNC_MAX_MS)
        if self.sends is not None:
            return self.sends.send_for_receipt(raw, wait_ms)
        return self._send_sync(raw, wait_ms)

    async def _send_sync(self, raw: bytes, wait_ms: int) -> object:
        transaction_hash = await self._submit(raw)
        with trio.move_on_after(wait_ms / 1_000):
            while True:
                head_moved = self._heads.next_head()
                receipt = self._receipt_now(transaction_hash)
                if receipt is not None:
                    return receipt
                await head_moved.wait()
        raise timed_out(transaction_hash, wait_ms)

    def _receipt_now(self, transaction_hash: Hash32) -> orjson.Fragment | None:
        """The receipt of a transaction that has just been mined; None while it is not."""
        found = self._blocks.chain.transaction_block(transaction_hash)
        return None if found is None else self._renderer.receipt_now(*found)

    # -- accounts of the node, of which there are none

    def none_of_ours(self, _: Params, __: Caller) -> list[str]:
        """Nothing: the node holds no keys of users."""
        return []

    def unknown_account(self, params: Params, _: Caller) -> None:
        """Refuse to sign. Raises RpcError."""
        parameters.json_object(params, 0, "ethapi.TransactionArgs")
        raise RpcError(SERVER_ERROR, "unknown account")

    def sign(self, params: Params, _: Caller) -> None:
        """Refuse to sign. Raises RpcError."""
        parameters.address(params, 0)
        parameters.data(params, 1)
        raise RpcError(SERVER_ERROR, "unknown account")


def _index(params: Params) -> int:
    return parameters.quantity(params, 1, "hexutil.Uint")
