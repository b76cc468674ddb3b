"""`ots`: what the block explorer Otterscan asks, API level 8, and `erigon_getHeaderByNumber`, by which it looks for a node.

    ots_getApiLevel, ots_hasCode, ots_getBlockDetails, ots_getBlockDetailsByHash, ots_getBlockTransactions,
    ots_traceTransaction, ots_getInternalOperations, ots_getTransactionError,
    ots_searchTransactionsBefore, ots_searchTransactionsAfter, ots_getTransactionBySenderAndNonce, ots_getContractCreator

Answers are erigon's, whose API this is: its numbers are JSON integers in requests (quantities and tags are taken too), pages are counted
from a block's end, and a page of a search is filled up to the end of its last block.
A sender's nonce and a contract's creation are found by bisecting the states that are kept; below them the search by address helps.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from itertools import groupby
from typing import Final, TypeVar, cast

import orjson
import trio

from node.errors import MissingState
from node.eth.blocks import Block
from node.eth.hashing import keccak256
from node.eth.primitives import Address
from node.eth.rewards import Rewards
from node.rpc import parameters
from node.rpc.appearances import SEARCH_S, Appearances, Place
from node.rpc.backend import Account, Engine
from node.rpc.blocks import Blocks, state_missing
from node.rpc.dispatch import Caller, Method
from node.rpc.jsonrpc import LIMIT_EXCEEDED, SERVER_ERROR, RpcError
from node.rpc.parameters import BlockHash, BlockId, Params
from node.rpc.turns import Turns
from node.runtime.worker import Worker

API_LEVEL: Final = 8
"""What Otterscan wants at least."""

PAGE_MAX: Final = 25
"""Results of a search: erigon's default, and what Otterscan asks for."""

UINT8_MAX: Final = 255
"""Numbers and sizes of pages of a block's transactions, as erigon bounds them."""

EMPTY_CODE_HASH: Final = keccak256(b"")
"""Of an account without code."""

OPERATIONS: Final = {"CALL": 0, "SELFDESTRUCT": 1, "CREATE": 2, "CREATE2": 3}
"""What moves ether inside a transaction, as Otterscan numbers it."""

Json = dict[str, object]
"""A decoded JSON object."""

Answer = TypeVar("Answer")


class OtterscanNamespace:
    """Answers a block explorer."""

    def __init__(
        self,
        blocks: Blocks,
        engine: Engine,
        worker: Worker,
        turns: Turns,
        appearances: Appearances,
        rewards: Callable[[Block], Rewards],
    ) -> None:
        self._rewards: Final = rewards
        self._blocks: Final = blocks
        self._engine: Final = engine
        self._worker: Final = worker
        self._turns: Final = turns
        self._appearances: Final = appearances

    def methods(self) -> dict[str, Method]:
        """The methods of this module."""
        return {
            "erigon_getHeaderByNumber": Method(self.get_header, 1),
            "ots_getApiLevel": Method(self.get_api_level, 0),
            "ots_hasCode": Method(self.has_code, 2),
            "ots_getBlockDetails": Method(self.get_block_details, 1),
            "ots_getBlockDetailsByHash": Method(self.get_block_details_by_hash, 1),
            "ots_getBlockTransactions": Method(self.get_block_transactions, 3),
            "ots_traceTransaction": Method(self.trace_transaction, 1),
            "ots_getInternalOperations": Method(self.get_internal_operations, 1),
            "ots_getTransactionError": Method(self.get_transaction_error, 1),
            "ots_searchTransactionsBefore": Method(self.search_before, 3),
            "ots_searchTransactionsAfter": Method(self.search_after, 3),
            "ots_getTransactionBySenderAndNonce": Method(self.get_by_sender_and_nonce, 2),
            "ots_getContractCreator": Method(self.get_contract_creator, 1),
        }

    # -- blocks and accounts

    def get_api_level(self, _: Params, __: Caller) -> int:
        """What Otterscan may ask for."""
        return API_LEVEL

    def get_header(self, params: Params, _: Caller) -> orjson.Fragment | None:
        """A header by number or tag."""
        block = self._blocks.find(_block(params, 0))
        if block is None:
            return None
        return orjson.Fragment(self._engine.header_json(block.header.encode()))

    def has_code(self, params: Params, _: Caller) -> bool:
        """Whether an account has code at a block."""
        address = parameters.address(params, 0)
        return self._has_code(self._blocks.require(_block(params, 1)), address)

    def get_block_details(self, params: Params, _: Caller) -> object:
        """A block without its transactions, what it issued and what its senders paid."""
        block = self._blocks.find(_block(params, 0))
        return None if block is None else self._details(block)

    def get_block_details_by_hash(self, params: Params, _: Caller) -> object:
        """As `ots_getBlockDetails`, by hash."""
        block = self._blocks.find(BlockHash(parameters.hash32(params, 0)))
        return None if block is None else self._details(block)

    async def _details(self, block: Block) -> Json:
        rendered, receipts = await self._worker.run(lambda: self._rendered(block, full=False))
        count = len(cast("list[object]", rendered.pop("transactions")))
        fees = sum(
            _quantity(one["gasUsed"]) * _quantity(one.get("effectiveGasPrice")) for one in receipts
        )
        paid = self._rewards(block)
        return {
            "block": rendered | {"transactionCount": count, "logsBloom": None},
            "issuance": {
                "blockReward": hex(paid.miner),
                "uncleReward": hex(paid.ommers),
                "issuance": hex(paid.miner + paid.ommers),
            },
            "totalFees": hex(fees),
        }

    def get_block_transactions(self, params: Params, _: Caller) -> object:
        """A page of a block's transactions, the newest page first, with receipts without logs."""
        block = self._blocks.find(_block(params, 0))
        page = parameters.integer(params, 1, "uint8", UINT8_MAX)
        size = parameters.integer(params, 2, "uint8", UINT8_MAX)
        return None if block is None else self._page(block, page, size)

    async def _page(self, block: Block, page: int, size: int) -> Json:
        rendered, receipts = await self._worker.run(lambda: self._rendered(block, full=True))
        transactions = cast("list[Json]", rendered["transactions"])
        end = max(0, len(transactions) - page * size)
        shown = slice(max(0, end - size), end)
        shortened = [one | {"input": str(one["input"])[:10]} for one in transactions[shown]]
        count = {"transactions": shortened, "transactionCount": len(transactions)}
        return {
            "fullblock": rendered | count | {"logsBloom": None},
            "receipts": [one | {"logs": None, "logsBloom": None} for one in receipts[shown]],
        }

    def _rendered(self, block: Block, *, full: bool) -> tuple[Json, list[Json]]:
        return (
            orjson.loads(self._engine.block_json(block.rlp, block.receipts, full=full)),
            orjson.loads(self._engine.receipts_json(block.rlp, block.receipts)),
        )

    # -- inside a transaction

    def trace_transaction(self, params: Params, _: Caller) -> object:
        """Calls, creations and destructions in the order they began, with their depth."""
        return self._shown(*self._found(params))

    def get_internal_operations(self, params: Params, _: Caller) -> object:
        """Transfers, creations and destructions inside a transaction, not the outermost call."""
        return self._entries(*self._found(params), _operations)

    def get_transaction_error(self, params: Params, _: Caller) -> object:
        """What a transaction reverted with; empty if it did not."""
        return self._entries(*self._found(params), _error)

    async def _shown(self, block: Block, index: int) -> orjson.Fragment:
        def show(entries: list[Json]) -> bytes:
            for one in entries:
                del one["failed"]
            return orjson.dumps(entries)

        return orjson.Fragment(await self._entries(block, index, show))

    def _found(self, params: Params) -> tuple[Block, int]:
        """A transaction's place. Raises RpcError, as erigon does, where there is none."""
        wanted = parameters.hash32(params, 0)
        found = self._blocks.chain.transaction_block(wanted)
        if found is None:
            raise RpcError(SERVER_ERROR, f"transaction 0x{wanted.hex()} not found")
        return found

    async def _entries(
        self, block: Block, index: int, read: Callable[[list[Json]], Answer]
    ) -> Answer:
        """What `read` makes, in the worker, of what a transaction did: `failed` says where it was undone."""
        parent = self._blocks.require(BlockHash(block.header.parent_hash))
        root, ancestors = parent.header.state_root, self._blocks.chain.ancestors(block.hash)

        def work(limit_us: int) -> Answer:
            text = self._engine.trace_entries(
                root, block.rlp, ancestors, index, deadline_us=limit_us
            )
            return read(orjson.loads(text))

        return await self._turns.simulate(root, work)

    # -- searches

    def search_before(self, params: Params, _: Caller) -> object:
        """Transactions in which an address had a part, below a block; below the head's end for 0."""
        address, number, size = _search(params)
        found = self._appearances.before(address, number or self._head_number + 1)
        return self._search_before(found, size, is_first=number == 0)

    def search_after(self, params: Params, _: Caller) -> object:
        """Transactions in which an address had a part, above a block; from the first one on for 0."""
        address, number, size = _search(params)
        found = self._appearances.after(address, number)
        return self._search_after(found, size, is_last=number == 0)

    async def _search_before(
        self, found: AsyncGenerator[Place], size: int, *, is_first: bool
    ) -> Json:
        places, has_more = await _page_of(found, size)
        return await self._printed(places) | {"firstPage": is_first, "lastPage": not has_more}

    async def _search_after(
        self, found: AsyncGenerator[Place], size: int, *, is_last: bool
    ) -> Json:
        places, has_more = await _page_of(found, size)
        return await self._printed(places[::-1]) | {"firstPage": not has_more, "lastPage": is_last}

    async def _printed(self, places: list[Place]) -> Json:
        """Transactions and receipts, which carry their block's time; a place that a reorganisation took is left out."""
        transactions: list[Json] = []
        receipts: list[Json] = []
        for number, group in groupby(places, key=lambda place: place.number):
            block = self._blocks.chain.block_by_number(number)
            if block is None:
                continue
            rendered, all_receipts = await self._worker.run(
                partial(self._rendered, block, full=True)
            )
            listed = cast("list[Json]", rendered["transactions"])
            for place in group:
                if place.index < len(listed):
                    transactions.append(listed[place.index])
                    timestamp = {"timestamp": block.header.timestamp}
                    receipts.append(all_receipts[place.index] | timestamp)
        return {"txs": transactions, "receipts": receipts}

    # -- by nonce, by contract

    def get_by_sender_and_nonce(self, params: Params, _: Caller) -> object:
        """Hash of a sender's transaction with a nonce; null if it sent none yet."""
        sender = parameters.address(params, 0)
        nonce = parameters.integer(params, 1, "uint64", parameters.UINT64_MAX)
        return _in_time(self._by_nonce(sender, nonce))

    async def _by_nonce(self, sender: Address, nonce: int) -> str | None:
        def sent(account: Account | None) -> bool:
            return account is not None and account.nonce > nonce

        number = await self._first_where(sender, sent)
        if number is None:
            return None
        # Without states below, the block may be that one or any below it.
        seen: int | None = None
        async with aclosing(self._appearances.before(sender, number + 1)) as places:
            async for place in places:
                if place.number != seen:
                    seen = place.number
                    block = self._blocks.require(seen)
                    nonces = await self._worker.run(partial(self._nonces, block, sender))
                    if nonce in nonces or min(nonces, default=nonce) < nonce:
                        return nonces.get(nonce)
        return None

    def _nonces(self, block: Block, sender: Address) -> dict[int, str]:
        """Hashes of a sender's transactions in a block, by nonce."""
        rendered: Json = orjson.loads(self._engine.block_json(block.rlp, block.receipts, full=True))
        name = "0x" + sender.hex()
        listed = cast("list[Json]", rendered["transactions"])
        return {_quantity(one["nonce"]): str(one["hash"]) for one in listed if one["from"] == name}

    def get_contract_creator(self, params: Params, _: Caller) -> object:
        """Hash of the transaction that created a contract and who did; null for what none did, as genesis' contracts."""
        return _in_time(self._creator(parameters.address(params, 0)))

    async def _creator(self, address: Address) -> Json | None:
        number = await self._first_where(address, _is_contract)
        if number is None or number == 0:
            return None
        below = self._blocks.require(number - 1)
        start = number - 1 if self._engine.has_state(below.header.state_root) else 0
        async with aclosing(self._appearances.after(address, start)) as places:
            async for place in places:
                if place.number > number:
                    return None
                creator = await self._created_at(place, address)
                if creator is not None:
                    return {"hash": self._transaction(place)["hash"], "creator": creator}
        return None

    async def _created_at(self, place: Place, address: Address) -> object:
        """Who created a contract in a transaction; None if it was not created there."""
        block, name = self._blocks.require(place.number), "0x" + address.hex()
        parent = self._blocks.require(BlockHash(block.header.parent_hash))
        if not self._engine.has_state(parent.header.state_root):
            text = self._engine.receipt_json(block.rlp, block.receipts, place.index)
            receipt: Json = orjson.loads(text)
            created = receipt.get("contractAddress") == name and receipt.get("status") == "0x1"
            return receipt["from"] if created else None

        def creator(entries: list[Json]) -> object:
            for one in entries:
                created = str(one["type"]).startswith("CREATE") and one["to"] == name
                if created and not one["failed"]:
                    return one["from"]
            return None

        return await self._entries(block, place.index, creator)

    async def _first_where(
        self, address: Address, holds: Callable[[Account | None], bool]
    ) -> int | None:
        """The number of the first block, among those whose states are kept, after which something holds of an account.

        What holds once must hold for ever; None if it does not hold now.
        """
        low, high = 0, self._head_number
        if not self._holds(high, address, holds):
            return None
        if self._holds(low, address, holds):
            return low
        while low < high:
            middle = (low + high) // 2
            block = self._blocks.require(middle)
            kept = self._engine.has_state(block.header.state_root)
            if kept and holds(self._engine.account(block.header.state_root, address)):
                high = middle
            else:
                low = middle + 1
        return high

    def _holds(
        self, number: int, address: Address, holds: Callable[[Account | None], bool]
    ) -> bool:
        root = self._blocks.require(number).header.state_root
        try:
            return holds(self._engine.account(root, address))
        except MissingState:
            raise state_missing(root) from None

    # -- finding

    @property
    def _head_number(self) -> int:
        return self._blocks.chain.head.header.number

    def _has_code(self, block: Block, address: Address) -> bool:
        root = block.header.state_root
        try:
            return _is_contract(self._engine.account(root, address))
        except MissingState:
            raise state_missing(root) from None

    def _transaction(self, place: Place) -> Json:
        block = self._blocks.require(place.number)
        text = self._engine.transaction_json(block.rlp, block.receipts, place.index)
        transaction: Json = orjson.loads(text)
        return transaction


async def _in_time(search: Awaitable[Answer]) -> Answer:
    """A search that is given up when it takes too long: a hostile block makes each look at it expensive."""
    with trio.move_on_after(SEARCH_S):
        return await search
    raise RpcError(LIMIT_EXCEEDED, f"not found within {SEARCH_S:.0f}s")


def _operations(entries: list[Json]) -> list[Json]:
    """What moves ether inside; the outermost call is not inside."""
    return [
        {"type": OPERATIONS[kind], **{name: one[name] for name in ("from", "to", "value")}}
        for one in entries
        if one["depth"] and (kind := str(one["type"])) in OPERATIONS
        if kind != "CALL" or _quantity(one["value"])
    ]


def _error(entries: list[Json]) -> object:
    """What the outermost call reverted with."""
    return entries[0]["output"] if entries[0]["failed"] else "0x"


def _is_contract(account: Account | None) -> bool:
    return account is not None and account.code_hash != EMPTY_CODE_HASH


def _block(params: Params, index: int) -> BlockId:
    """A block by tag, quantity or JSON integer, as Otterscan names it."""
    value = parameters.required(params, index)
    if type(value) is int:
        return parameters.integer(params, index, "uint64", parameters.INT64_MAX)
    return parameters.block_number(params, index)


def _search(params: Params) -> tuple[Address, int, int]:
    """Address, block number and page size. Raises RpcError."""
    address = parameters.address(params, 0)
    number = parameters.integer(params, 1, "uint64", parameters.INT64_MAX)
    size = parameters.integer(params, 2, "uint16", (1 << 16) - 1)
    if size > PAGE_MAX:
        raise RpcError(SERVER_ERROR, f"max allowed page size: {PAGE_MAX}")
    return address, number, size


async def _page_of(found: AsyncGenerator[Place], size: int) -> tuple[list[Place], bool]:
    """So many places and the rest of the last one's block, and whether there are more."""
    places: list[Place] = []
    async with aclosing(found):
        async for place in found:
            if len(places) >= size and (not places or place.number != places[-1].number):
                return places, True
            places.append(place)
    return places, False


def _quantity(value: object) -> int:
    """A quantity of ours; 0 where there is none."""
    return int(value, 16) if isinstance(value, str) else 0
