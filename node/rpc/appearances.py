"""Who had a part in which transaction: what a search by address reads.

    address -> Appearances.before | after -> portions -> (remembered | engine.trace_parties of each block) -> places

A part in a transaction is sending it, calling or being called anywhere in it, creating or being created, being destroyed or being
left something by that: erigon's indexes of call traces. Blocks are run again for it, portion by portion, when somebody first asks:
importing pays nothing for a search that nobody makes. A portion is remembered by the hash of its last block, so a
reorganisation needs no care, and the portion of the head is extended as the chain grows.
Where the state below a block is no longer kept, its receipts tell what they can: senders, callees, created contracts, emitters of logs.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import orjson
import trio

from node.errors import MissingState
from node.eth.blocks import Block
from node.eth.headers import EMPTY_TRIE_ROOT
from node.eth.primitives import Address, Hash32
from node.rpc.backend import Chain, Engine
from node.rpc.blocks import ANCESTORS_BYTES_MAX
from node.rpc.jsonrpc import LIMIT_EXCEEDED, RpcError
from node.rpc.simulation import TRACE_US
from node.runtime.worker import Worker

PORTION_BLOCKS: Final = 16
"""Blocks that are remembered together: even of hostile ones, which buy 23,000 addresses each, they take no more than 100 MB."""

KEPT_BYTES_MAX: Final = 64 << 20
"""What portions may take, by the estimates below: some 200,000 transfers among strangers."""

ADDRESS_BYTES: Final = 260
"""Estimate for an address of a portion: its bytes, its place in the table, its list."""

PLACE_BYTES: Final = 8
"""A place in a list."""

PORTION_BYTES: Final = 600
"""Estimate for a portion that holds nothing."""

SEARCH_S: Final = 30.0
"""How long one search reads blocks; what it has read is remembered, so asking again goes on from there."""

INDEX_BITS: Final = 24
"""A place is number << 24 | index: a block of ten gigagas holds fewer transfers."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a transaction stands."""

    number: int
    """Its block's."""
    index: int
    """In its block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Portion:
    """Blocks that follow each other, from a multiple of PORTION_BLOCKS on."""

    last: int
    """Number of the last block that was read; one below the first while none was."""
    tip: Hash32
    """Its hash: while that is canonical, so is everything below."""
    places: dict[bytes, array[int]] = field(default_factory=dict)
    """By address, ascending."""
    size: int = PORTION_BYTES
    """Bytes, estimated."""

    def with_blocks(self, blocks: Sequence[tuple[int, Sequence[Sequence[str]]]]) -> _Portion:
        """As this one, with who had a part in each transaction of the next blocks; nobody sees it half made."""
        places = {key: found[:] for key, found in self.places.items()}
        size = self.size
        for number, parties in blocks:
            for index, addresses in enumerate(parties):
                for address in addresses:
                    key = bytes.fromhex(address[2:])
                    found = places.get(key)
                    if found is None:
                        found = places[key] = array("Q")
                        size += ADDRESS_BYTES
                    found.append(number << INDEX_BITS | index)
                    size += PLACE_BYTES
        return _Portion(last=self.last, tip=self.tip, places=places, size=size)

    def of(self, address: Address) -> Sequence[Place]:
        """Where an address had a part, ascending."""
        mask = (1 << INDEX_BITS) - 1
        packed = self.places.get(bytes(address), ())
        return [Place(one >> INDEX_BITS, one & mask) for one in packed]


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the worker needs to run a block again."""

    block: Block
    root: bytes
    ancestors: bytes


class Appearances:
    """Finds the transactions in which an address had a part."""

    def __init__(self, chain: Chain, engine: Engine, worker: Worker) -> None:
        self._chain: Final = chain
        self._engine: Final = engine
        self._worker: Final = worker
        self._kept: Final[OrderedDict[int, _Portion]] = OrderedDict()
        self._reading: Final = trio.Lock()
        """Two searches would read the same blocks; the second one finds what the first has read."""

    async def before(self, address: Address, number: int) -> AsyncGenerator[Place]:
        """Places in blocks below a number, descending. Raises RpcError when it takes too long."""
        end = trio.current_time() + SEARCH_S
        last = min(number - 1, self._chain.head.header.number)
        for index in range(last // PORTION_BLOCKS, -1, -1):
            for place in reversed((await self._portion(index, end)).of(address)):
                if place.number <= last:
                    yield place

    async def after(self, address: Address, number: int) -> AsyncGenerator[Place]:
        """Places in blocks above a number, ascending. Raises RpcError when it takes too long."""
        end = trio.current_time() + SEARCH_S
        last = self._chain.head.header.number
        for index in range((number + 1) // PORTION_BLOCKS, last // PORTION_BLOCKS + 1):
            for place in (await self._portion(index, end)).of(address):
                if place.number > number:
                    yield place

    async def _portion(self, index: int, end: float) -> _Portion:
        """A portion with every block that the chain has of it now."""
        first = index * PORTION_BLOCKS
        async with self._reading:
            while True:
                portion = self._remembered(index, first)
                last = min(first + PORTION_BLOCKS - 1, self._chain.head.header.number)
                if portion.last >= last:
                    return portion
                if trio.current_time() > end:
                    raise RpcError(
                        LIMIT_EXCEEDED,
                        f"search has come to block {portion.last + 1} within {SEARCH_S:.0f}s and "
                        "remembers what it has read: ask again",
                    )
                self._keep(index, await self._extended(portion, last))

    def _remembered(self, index: int, first: int) -> _Portion:
        """A portion as far as it was read, which may be not at all."""
        portion = self._kept.get(index)
        if portion is not None and self._chain.is_canonical(portion.tip):
            self._kept.move_to_end(index)
            return portion
        self._kept.pop(index, None)
        # Genesis has no transactions; a chain that has become shorter than this has nothing here.
        last = max(0, first - 1)
        below = self._chain.block_by_number(last) or self._chain.head
        return _Portion(last=last, tip=below.hash)

    async def _extended(self, portion: _Portion, last: int) -> _Portion:
        """A portion with the blocks up to a number."""
        readings = list(self._readings(portion, last))
        tip = self._chain.block_by_number(last)
        assert tip is not None, "every number up to the head's has a block"
        if readings:
            portion = await self._worker.run(
                lambda: portion.with_blocks(
                    [(one.block.header.number, self._parties(one)) for one in readings]
                )
            )
        else:
            await trio.lowlevel.checkpoint()
        return replace(portion, last=last, tip=tip.hash)

    def _readings(self, portion: _Portion, last: int) -> Iterator[_Reading]:
        """The blocks with transactions from a portion's end up to a number."""
        parent = self._chain.block_by_number(portion.last)
        assert parent is not None, "every number up to the head's has a block"
        ancestors = parent.hash + self._chain.ancestors(parent.hash)
        for number in range(portion.last + 1, last + 1):
            block = self._chain.block_by_number(number)
            assert block is not None, "every number up to the head's has a block"
            if block.header.transactions_root != EMPTY_TRIE_ROOT:
                yield _Reading(block, parent.header.state_root, ancestors[:ANCESTORS_BYTES_MAX])
            parent, ancestors = block, (block.hash + ancestors)[:ANCESTORS_BYTES_MAX]

    def _parties(self, one: _Reading) -> list[list[str]]:
        """Who had a part in each transaction of a block; runs in the worker."""
        try:
            traced = self._engine.trace_parties(
                one.root, one.block.rlp, one.ancestors, deadline_us=TRACE_US
            )
        except MissingState:
            receipts = self._engine.receipts_json(one.block.rlp, one.block.receipts)
            return [_recorded(receipt) for receipt in orjson.loads(receipts)]
        return [transaction["result"] for transaction in orjson.loads(traced)]

    def _keep(self, index: int, portion: _Portion) -> None:
        self._kept[index] = portion
        self._kept.move_to_end(index)
        while len(self._kept) > 1 and sum(one.size for one in self._kept.values()) > KEPT_BYTES_MAX:
            self._kept.popitem(last=False)


def _recorded(receipt: dict[str, object]) -> list[str]:
    """Who had a part in a transaction as far as its receipt tells."""
    logs = receipt["logs"]
    assert isinstance(logs, list)
    named = [receipt["from"], receipt["to"], receipt.get("contractAddress")]
    named += [log["address"] for log in logs]
    return [one for one in dict.fromkeys(named) if isinstance(one, str)]
