"""`eth`: blocks, headers and receipts.

    eth_blockNumber, eth_getBlockBy*, eth_getHeaderBy*, eth_getBlockReceipts, eth_getBlockTransactionCountBy*, eth_getUncle*

A block that is not there is null, as in geth. `pending` is what `node.rpc.pending` says of the next slot's; it has no receipts.
"""

from __future__ import annotations

from typing import Final

import orjson

from node.eth import rlp
from node.eth.blocks import Block
from node.eth.headers import EMPTY_OMMERS_HASH, ommers_of_block
from node.rpc import parameters
from node.rpc.backend import Engine
from node.rpc.blocks import Blocks
from node.rpc.dispatch import Caller, Method
from node.rpc.parameters import BlockHash, BlockId, Params, Tag
from node.rpc.pending import PendingBlock
from node.rpc.rendering import Renderer

EMPTY_LIST: Final = b"\xc0"
"""RLP of a list without items."""


class BlocksNamespace:
    """Reads blocks."""

    def __init__(
        self, blocks: Blocks, engine: Engine, pending: PendingBlock, renderer: Renderer
    ) -> None:
        self._blocks: Final = blocks
        self._engine: Final = engine
        self._pending: Final = pending
        self._renderer: Final = renderer

    def methods(self) -> dict[str, Method]:
        """The methods of this module."""
        return {
            "eth_blockNumber": Method(self.block_number, 0),
            "eth_getBlockByHash": Method(self.get_block_by_hash, 2),
            "eth_getBlockByNumber": Method(self.get_block_by_number, 2),
            "eth_getHeaderByHash": Method(self.get_header_by_hash, 1),
            "eth_getHeaderByNumber": Method(self.get_header_by_number, 1),
            "eth_getBlockReceipts": Method(self.get_block_receipts, 1),
            "eth_getBlockTransactionCountByHash": Method(self.count_by_hash, 1),
            "eth_getBlockTransactionCountByNumber": Method(self.count_by_number, 1),
            "eth_getUncleCountByBlockHash": Method(self.uncle_count_by_hash, 1),
            "eth_getUncleCountByBlockNumber": Method(self.uncle_count_by_number, 1),
            "eth_getUncleByBlockHashAndIndex": Method(self.uncle_by_hash, 2),
            "eth_getUncleByBlockNumberAndIndex": Method(self.uncle_by_number, 2),
        }

    def block_number(self, _: Params, __: Caller) -> str:
        """Number of the head."""
        return hex(self._blocks.chain.head.header.number)

    def get_block_by_hash(self, params: Params, _: Caller) -> object:
        """A block by its hash."""
        block_hash = parameters.hash32(params, 0)
        full = parameters.boolean(params, 1)
        block = self._blocks.find(BlockHash(block_hash))
        return None if block is None else self._renderer.block(block, full=full)

    def get_block_by_number(self, params: Params, _: Caller) -> object:
        """A block by number or tag."""
        block_id = parameters.block_number(params, 0)
        full = parameters.boolean(params, 1)
        if block_id is Tag.PENDING:
            return self._pending.block(full=full)
        block = self._blocks.find(block_id)
        return None if block is None else self._renderer.block(block, full=full)

    def get_header_by_hash(self, params: Params, _: Caller) -> object:
        """A header by its hash."""
        return self._header(BlockHash(parameters.hash32(params, 0)))

    def get_header_by_number(self, params: Params, _: Caller) -> object:
        """A header by number or tag."""
        block_id = parameters.block_number(params, 0)
        return self._pending.header() if block_id is Tag.PENDING else self._header(block_id)

    def get_block_receipts(self, params: Params, _: Caller) -> object:
        """All receipts of a block."""
        block_id = parameters.required_block_id(params, 0)
        block = None if block_id is Tag.PENDING else self._blocks.find(block_id)
        return None if block is None else self._renderer.receipts(block)

    def count_by_hash(self, params: Params, _: Caller) -> str | None:
        """Number of a block's transactions."""
        return self._count(BlockHash(parameters.hash32(params, 0)))

    def count_by_number(self, params: Params, _: Caller) -> str | None:
        """Number of a block's transactions."""
        block_id = parameters.block_number(params, 0)
        if block_id is Tag.PENDING:
            return hex(len(self._pending.transactions()))
        return self._count(block_id)

    def uncle_count_by_hash(self, params: Params, _: Caller) -> str | None:
        """Number of a block's ommers."""
        return self._count_ommers(BlockHash(parameters.hash32(params, 0)))

    def uncle_count_by_number(self, params: Params, _: Caller) -> str | None:
        """Number of a block's ommers."""
        return self._count_ommers(parameters.block_number(params, 0))

    def uncle_by_hash(self, params: Params, _: Caller) -> object:
        """An ommer as a block without a body."""
        block_hash = parameters.hash32(params, 0)
        return self._ommer(BlockHash(block_hash), parameters.quantity(params, 1, "hexutil.Uint"))

    def uncle_by_number(self, params: Params, _: Caller) -> object:
        """An ommer as a block without a body."""
        number = parameters.block_number(params, 0)
        return self._ommer(number, parameters.quantity(params, 1, "hexutil.Uint"))

    def _count_ommers(self, block_id: BlockId) -> str | None:
        block = self._blocks.find(block_id)
        return None if block is None else hex(len(_ommers(block)))

    def _ommer(self, block_id: BlockId, index: int) -> object:
        block = self._blocks.find(block_id)
        ommers = [] if block is None else _ommers(block)
        if index >= len(ommers):
            return None
        rendered: dict[str, object] = orjson.loads(self._engine.header_json(ommers[index]))
        size = len(rlp.encode_list([ommers[index], EMPTY_LIST, EMPTY_LIST]))
        return rendered | {"size": hex(size), "uncles": []}

    def _header(self, block_id: BlockId) -> orjson.Fragment | None:
        block: Block | None = self._blocks.find(block_id)
        if block is None:
            return None
        return orjson.Fragment(self._engine.header_json(block.header.encode()))

    def _count(self, block_id: BlockId) -> str | None:
        block = self._blocks.find(block_id)
        return None if block is None else hex(len(self._engine.raw_transactions(block.rlp)))


def _ommers(block: Block) -> list[bytes]:
    """The RLP of each ommer's header."""
    return [] if block.header.ommers_hash == EMPTY_OMMERS_HASH else ommers_of_block(block.rlp)
