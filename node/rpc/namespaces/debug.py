"""`debug`: raw objects, traces and witnesses.

    debug_getRawHeader, debug_getRawBlock, debug_getRawTransaction, debug_getRawReceipts, debug_getBadBlocks,
    debug_traceTransaction, debug_traceCall, debug_traceBlock, debug_traceBlockByNumber, debug_traceBlockByHash,
    debug_traceBadBlock, debug_intermediateRoots, debug_executionWitness

A trace re-executes on the parent's state; where that is no longer kept, the error says which state is missing.
Everything that executes runs in its turn (`node.rpc.turns`).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Final, Protocol

import orjson

from node.errors import InvalidBlock, Rejected
from node.eth.blocks import Block
from node.eth.headers import any_header_of_block
from node.eth.primitives import Hash32
from node.rpc import parameters
from node.rpc.backend import Engine
from node.rpc.blocks import Blocks, Environment
from node.rpc.dispatch import Caller, Method
from node.rpc.jsonrpc import SERVER_ERROR, RpcError
from node.rpc.namespaces.transactions import TransactionsNamespace
from node.rpc.parameters import BlockHash, BlockId, Params, Tag
from node.rpc.simulation import Work
from node.rpc.turns import Turns

TRACE_CONFIG: Final = "tracers.TraceConfig"
TRACE_CALL_CONFIG: Final = "tracers.TraceCallConfig"


class RefusedBlock(Protocol):
    """A block that execution refused."""

    @property
    def hash(self) -> Hash32:
        """Of its header."""

    @property
    def rlp(self) -> bytes:
        """The whole block."""

    @property
    def json(self) -> bytes:
        """As JSON-RPC prints it, with its transactions."""


class DebugNamespace:
    """Looks inside blocks."""

    def __init__(
        self,
        blocks: Blocks,
        engine: Engine,
        turns: Turns,
        transactions: TransactionsNamespace,
        *,
        gas_cap: int,
        refused_blocks: Callable[[], Sequence[RefusedBlock]],
    ) -> None:
        """`gas_cap` is the most gas a traced call may use; `refused_blocks` come the highest first."""
        self._blocks: Final = blocks
        self._engine: Final = engine
        self._turns: Final = turns
        self._transactions: Final = transactions
        self._gas_cap: Final = gas_cap
        self._refused_blocks: Final = refused_blocks

    def methods(self) -> dict[str, Method]:
        """The methods of this module."""
        return {
            "debug_getRawHeader": Method(self.get_raw_header, 1),
            "debug_getRawBlock": Method(self.get_raw_block, 1),
            "debug_getRawTransaction": Method(self.get_raw_transaction, 1),
            "debug_getRawReceipts": Method(self.get_raw_receipts, 1),
            "debug_getBadBlocks": Method(self.get_bad_blocks, 1),
            "debug_traceTransaction": Method(self.trace_transaction, 2),
            "debug_traceCall": Method(self.trace_call, 3),
            "debug_traceBlock": Method(self.trace_block, 2),
            "debug_traceBadBlock": Method(self.trace_bad_block, 2),
            "debug_traceBlockByNumber": Method(self.trace_block_by_number, 2),
            "debug_traceBlockByHash": Method(self.trace_block_by_hash, 2),
            "debug_intermediateRoots": Method(self.intermediate_roots, 2),
            "debug_executionWitness": Method(self.execution_witness, 1),
        }

    # -- raw

    def get_raw_header(self, params: Params, _: Caller) -> str:
        """RLP of a header."""
        block = self._raw(params)
        return "0x" if block is None else "0x" + any_header_of_block(block.rlp)[1].hex()

    def get_raw_block(self, params: Params, _: Caller) -> str:
        """RLP of a block."""
        block = self._raw(params)
        return "0x" if block is None else "0x" + block.rlp.hex()

    def get_raw_transaction(self, params: Params, _: Caller) -> str:
        """EIP-2718 bytes of a transaction."""
        raw = self._transactions.raw(parameters.hash32(params, 0))
        return "0x" if raw is None else "0x" + raw.hex()

    def get_raw_receipts(self, params: Params, _: Caller) -> list[str] | None:
        """EIP-2718 bytes of a block's receipts; of an unknown one none, or null if it is named by number, as geth has it."""
        block_id = parameters.required_block_id(params, 0)
        block = self._blocks.find(block_id)
        if block is None:
            return [] if isinstance(block_id, BlockHash) else None
        return ["0x" + receipt.hex() for receipt in self._engine.raw_receipts(block.receipts)]

    def get_bad_blocks(self, params: Params, _: Caller) -> list[dict[str, object]]:
        """The last blocks that execution refused. Raises RpcError for the name of a file, into which geth would write them."""
        if parameters.optional(params, 0) is not None:
            parameters.text(params, 0)
            raise RpcError(SERVER_ERROR, "nothing is written to files here: ask without one")
        return [
            {
                "block": orjson.Fragment(one.json),
                "hash": "0x" + one.hash.hex(),
                "rlp": "0x" + one.rlp.hex(),
            }
            for one in self._refused_blocks()
        ]

    def _raw(self, params: Params) -> Block | None:
        """A block; None for a number that there is none of yet. Raises RpcError for an unknown hash, as geth does."""
        block_id = parameters.required_block_id(params, 0)
        return (
            self._named(block_id)
            if isinstance(block_id, BlockHash)
            else self._blocks.find(block_id)
        )

    # -- traces

    def trace_transaction(self, params: Params, _: Caller) -> object:
        """What one transaction did."""
        wanted = parameters.hash32(params, 0)
        options = _options(params, 1)
        found = self._blocks.chain.transaction_block(wanted)
        if found is None:
            raise RpcError(SERVER_ERROR, "transaction not found")
        block, index = found
        parent, ancestors = self._parent(block)
        return self._trace(
            parent.header.state_root,
            lambda limit_us: self._engine.trace_transaction(
                parent.header.state_root,
                block.rlp,
                ancestors,
                index,
                options,
                deadline_us=limit_us,
            ),
        )

    def trace_call(self, params: Params, _: Caller) -> object:
        """What a call would do."""
        call = parameters.json_object(params, 0, "ethapi.TransactionArgs")
        block_id = parameters.block_id(params, 1)
        options = _options(params, 2, TRACE_CALL_CONFIG)
        index = _transaction_index(params)
        block = self._named(block_id)
        if index is not None and block_id is Tag.PENDING:
            raise RpcError(SERVER_ERROR, "tracing on top of pending is not supported")
        if index is not None:
            return self._trace_call_within(block, index, call, options)
        at: Environment = self._blocks.environment(block_id)
        return self._trace(
            at.root,
            lambda limit_us: self._engine.trace_call(
                at.root,
                at.header,
                at.ancestors,
                call,
                options,
                gas_cap=self._gas_cap,
                deadline_us=limit_us,
            ),
        )

    def _trace_call_within(self, block: Block, index: int, call: bytes, options: bytes) -> object:
        """What a call would do before a transaction of a block."""
        if not block.header.number:
            raise RpcError(SERVER_ERROR, "no transaction in genesis")
        parent, ancestors = self._parent(block)
        return self._trace(
            parent.header.state_root,
            lambda limit_us: self._engine.trace_call(
                parent.header.state_root,
                block.header.encode(),
                ancestors,
                call,
                options,
                gas_cap=self._gas_cap,
                block=block.rlp,
                index=index,
                deadline_us=limit_us,
            ),
        )

    def trace_block(self, params: Params, _: Caller) -> object:
        """What the transactions of a given block did; its parent must be known."""
        return self._trace_stranger(parameters.data(params, 0), _options(params, 1))

    def trace_bad_block(self, params: Params, _: Caller) -> object:
        """What the transactions of a block that was refused did."""
        wanted, options = parameters.hash32(params, 0), _options(params, 1)
        for one in self._refused_blocks():
            if one.hash == wanted:
                return self._trace_stranger(one.rlp, options)
        raise RpcError(SERVER_ERROR, f"bad block 0x{wanted.hex()} not found")

    def _trace_stranger(self, encoded: bytes, options: bytes) -> object:
        """Trace a block that is none of the chain's. Raises RpcError unless it is one and its parent is known."""
        parent, ancestors = self._below(encoded)
        return self._trace_given(parent, encoded, ancestors, options)

    def _below(self, encoded: bytes) -> tuple[Block, bytes]:
        """The parent of a block that may be a stranger's, and the hashes from there on. Raises RpcError."""
        try:
            header = any_header_of_block(encoded)[0]
        except Rejected as error:
            raise _no_block(error) from error
        if not header.number:
            raise RpcError(SERVER_ERROR, "genesis is not traceable")
        parent = self._blocks.chain.block_by_hash(header.parent_hash)
        if parent is None:
            raise RpcError(SERVER_ERROR, f"parent 0x{header.parent_hash.hex()} not found")
        ancestors = parent.hash + self._blocks.chain.ancestors(parent.hash)
        return parent, ancestors[: 256 * 32]

    async def _trace_given(
        self, parent: Block, encoded: bytes, ancestors: bytes, options: bytes
    ) -> orjson.Fragment:
        """Trace a block that nobody has judged: its transactions may be none."""
        try:
            return await self._trace_block(parent, encoded, ancestors, options)
        except InvalidBlock as error:
            raise _no_block(error) from error

    def trace_block_by_number(self, params: Params, _: Caller) -> object:
        """What the transactions of a block did."""
        block_id, options = parameters.block_number(params, 0), _options(params, 1)
        return self._trace_known(self._named(block_id), options)

    def trace_block_by_hash(self, params: Params, _: Caller) -> object:
        """What the transactions of a block did."""
        block_id, options = BlockHash(parameters.hash32(params, 0)), _options(params, 1)
        return self._trace_known(self._named(block_id), options)

    def intermediate_roots(self, params: Params, _: Caller) -> object:
        """The state's root after each transaction of a block of the chain, or of one that was refused."""
        wanted, _ignored = parameters.hash32(params, 0), _options(params, 1)
        refused = (one.rlp for one in self._refused_blocks() if one.hash == wanted)
        known = self._blocks.find(BlockHash(wanted))
        encoded = known.rlp if known is not None else next(refused, None)
        if encoded is None:
            raise RpcError(SERVER_ERROR, f"block 0x{wanted.hex()} not found")
        parent, ancestors = self._below(encoded)
        return self._intermediate_roots(parent.header.state_root, encoded, ancestors)

    async def _intermediate_roots(
        self, root: bytes, encoded: bytes, ancestors: bytes
    ) -> list[str] | None:
        try:
            roots = await self._turns.simulate(
                root,
                lambda limit_us: self._engine.intermediate_roots(
                    root, encoded, ancestors, deadline_us=limit_us
                ),
            )
        except InvalidBlock as error:
            raise _no_block(error) from error
        return ["0x" + one.hex() for one in roots] or None  # geth has null for an empty list

    def execution_witness(self, params: Params, _: Caller) -> object:
        """Everything that executing a block reads."""
        block = self._named(parameters.required_block_id(params, 0))
        parent, ancestors = self._parent(block)
        return self._execution_witness(block, parent, ancestors)

    async def _execution_witness(
        self, block: Block, parent: Block, ancestors: bytes
    ) -> dict[str, object]:
        _, parent_header = any_header_of_block(parent.rlp)
        text = await self._turns.simulate(
            parent.header.state_root,
            lambda _: self._engine.execution_witness(parent_header, block.rlp, ancestors),
        )
        witness: dict[str, object] = orjson.loads(text)
        read = witness["headers"]
        assert isinstance(read, list)
        return witness | {"headers": self._headers_down(parent, max(len(read), 1))}

    def _headers_down(self, newest: Block, count: int) -> list[str]:
        """Headers of consecutive blocks from the newest down: they prove what BLOCKHASH answered. Raises RpcError."""
        headers: list[str] = []
        block = newest
        while True:
            headers.append("0x" + any_header_of_block(block.rlp)[1].hex())
            if len(headers) == count:
                return headers
            block = self._named(BlockHash(block.header.parent_hash))

    def _trace_known(
        self, block: Block, options: bytes
    ) -> Coroutine[object, object, orjson.Fragment]:
        parent, ancestors = self._parent(block)
        return self._trace_block(parent, block.rlp, ancestors, options)

    def _trace_block(
        self, parent: Block, encoded: bytes, ancestors: bytes, options: bytes
    ) -> Coroutine[object, object, orjson.Fragment]:
        root = parent.header.state_root
        return self._trace(
            root,
            lambda limit_us: self._engine.trace_block(
                root, encoded, ancestors, options, deadline_us=limit_us
            ),
        )

    async def _trace(self, root: bytes, work: Work[bytes]) -> orjson.Fragment:
        return orjson.Fragment(await self._turns.simulate(root, work))

    # -- finding

    def _named(self, block_id: BlockId) -> Block:
        """A block. Raises RpcError that names it, as geth's tracers do."""
        block = self._blocks.find(block_id)
        if block is None:
            name = "0x" + block_id.hash.hex() if isinstance(block_id, BlockHash) else f"#{block_id}"
            raise RpcError(SERVER_ERROR, f"block {name} not found")
        return block

    def _parent(self, block: Block) -> tuple[Block, bytes]:
        """The block below and the hashes from there on. Raises RpcError for genesis."""
        if not block.header.number:
            raise RpcError(SERVER_ERROR, "genesis is not traceable")
        parent_hash: Hash32 = block.header.parent_hash
        parent = self._blocks.chain.block_by_hash(parent_hash)
        if parent is None:
            raise RpcError(SERVER_ERROR, f"parent 0x{parent_hash.hex()} not found")
        return parent, self._blocks.chain.ancestors(block.hash)


def _no_block(error: Rejected | InvalidBlock) -> RpcError:
    return RpcError(SERVER_ERROR, f"could not decode block: {error}")


def _transaction_index(params: Params) -> int | None:
    """`txIndex` of a traced call's options."""
    options = parameters.optional(params, 2)
    given = options.get("txIndex") if isinstance(options, dict) else None
    return None if given is None else parameters.decode_quantity(given, 2, "hexutil.Uint")


def _options(params: Params, index: int, go_type: str = TRACE_CONFIG) -> bytes:
    return parameters.optional_json_object(params, index, go_type) or b"{}"
