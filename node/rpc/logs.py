"""Searching logs: criteria, blooms, ranges.

    JSON -> read_criteria -> Criteria -> LogSearch.range -> blooms -> (blocks that may match) -> engine.logs_json -> fragments

A header's bloom says for certain that a block has no such log, so most blocks are never read. A search is bounded by the blocks
it spans and by the logs it finds, and gives way to others between portions. All portions are of one chain: where the head has left
it meanwhile, the search begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import trio

from node.eth.blocks import Block
from node.eth.hashing import keccak256
from node.eth.primitives import Hash32
from node.rpc import parameters
from node.rpc.backend import Chain, Engine
from node.rpc.jsonrpc import (
    INVALID_PARAMS,
    LIMIT_EXCEEDED,
    RESPONSE_BYTES_MAX,
    SERVER_ERROR,
    RpcError,
)
from node.rpc.parameters import BlockHash, BlockId, Tag
from node.runtime.worker import Worker

RANGE_BLOCKS_MAX: Final = 100_000
"""Blocks one search spans: two days of 2 s slots; their blooms take a tenth of a second."""

RESULTS_MAX: Final = 20_000
"""Logs one search finds."""

ALTERNATIVES_MAX: Final = 1_000
"""Addresses, and topics of one position: geth's limit."""

TOPICS_MAX: Final = 4
"""Positions of topics a log can have."""

IN_PLACE_BYTES_MAX: Final = 4 << 10
"""A single block of so few bytes is searched in place: a hop to a thread costs more."""

PORTION_BLOCKS: Final = 1_024
"""Blooms that are looked at without giving way to others."""

PORTION_CHECKS: Final = 32_768
"""Addresses and topics that are looked for in them: 3 ms; the most that a search may name took 370 ms in 1,024 blocks."""

READ_BYTES_MAX: Final = 8 << 20
"""Bytes of blocks that are searched in one go of the worker."""

SEARCHES_MAX: Final = 3
"""How often a range is searched while reorganisations take its last block away."""

PENDING_WORDS: Final = "pending logs are not supported"
RANGE_WORDS: Final = "invalid block range params"
"""What geth says of ranges."""

CHANGED_WORDS: Final = "the chain was reorganised while its logs were searched, retry"
"""What is said of a range whose last block does not stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """Which logs are wanted."""

    first: BlockId = Tag.LATEST
    """First block."""
    last: BlockId = Tag.LATEST
    """Last block."""
    block_hash: Hash32 | None = None
    """The only block, instead of first and last."""
    addresses: tuple[bytes, ...] = ()
    """Emitters; any when empty."""
    topics: tuple[tuple[bytes, ...], ...] = ()
    """Alternatives for each position; any where empty."""
    masks: tuple[tuple[int, ...], ...] = field(default=(), repr=False)
    """Bloom masks: one of each group must be contained."""

    @property
    def items(self) -> int:
        """How many addresses and topics it names."""
        return len(self.addresses) + sum(map(len, self.topics))

    def in_bloom(self, bloom: bytes) -> bool:
        """Whether a block with this bloom may hold such a log; 256 bytes."""
        return self.in_bits(int.from_bytes(bloom))

    def in_bits(self, bits: int) -> bool:
        """As `in_bloom`, for a bloom read as a number."""
        return bits != 0 and all(any(mask & bits == mask for mask in group) for group in self.masks)

    def spans(self, number: int) -> bool:
        """Whether a new block of this number lies in the range; tags set no bound."""
        if isinstance(self.first, int) and number < self.first:
            return False
        return not (isinstance(self.last, int) and number > self.last)


def bloom_mask(item: bytes) -> int:
    """The three bits of an address or topic in a bloom (Yellow Paper, M3:2048)."""
    digest = keccak256(item)
    mask = 0
    for start in (0, 2, 4):
        mask |= 1 << (int.from_bytes(digest[start : start + 2], "big") & 2047)
    return mask


def read_criteria(params: Sequence[object], index: int) -> Criteria:
    """Read a filter object. Raises RpcError, worded as geth does."""
    value = parameters.required(params, index)
    if not isinstance(value, dict):
        raise parameters.unfit(value, index, "filters.input")
    first, last = _bound(value, "fromBlock", index), _bound(value, "toBlock", index)
    block_hash = value.get("blockHash")
    if block_hash is not None and (first is not None or last is not None):
        raise parameters.invalid(
            index,
            "cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other",
        )
    addresses = _addresses(value.get("address"), index)
    topics = _topics(value.get("topics"), index)
    groups = [group for group in (addresses, *topics) if group]
    return Criteria(
        first=Tag.LATEST if first is None else first,
        last=Tag.LATEST if last is None else last,
        block_hash=None
        if block_hash is None
        else Hash32(parameters.decode_hash(block_hash, index)),
        addresses=addresses,
        topics=topics,
        masks=tuple(tuple(bloom_mask(item) for item in group) for group in groups),
    )


def _bound(value: dict[str, object], name: str, index: int) -> BlockId | None:
    given = value.get(name)
    return None if given is None else parameters.block_number([None] * index + [given], index)


def _addresses(value: object, index: int) -> tuple[bytes, ...]:
    """One address or several; geth's words name the place of a wrong one."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (_decoded(value, 20, "address", index, "invalid address: "),)
    if not isinstance(value, list):
        raise parameters.invalid(index, "invalid addresses in query")
    if len(value) > ALTERNATIVES_MAX:
        raise RpcError(SERVER_ERROR, "exceed max addresses or topics per search position")
    found: dict[bytes, None] = {}
    for place, one in enumerate(value):
        if not isinstance(one, str):
            raise parameters.invalid(index, f"non-string address at index {place}")
        label = f"invalid address at index {place}: "
        found[_decoded(one, 20, "address", index, label)] = None
    return tuple(found)


def _topics(value: object, index: int) -> tuple[tuple[bytes, ...], ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise parameters.unfit(value, index, "[]interface {}")
    if len(value) > TOPICS_MAX:
        raise parameters.invalid(index, "exceed max topics")
    return tuple(_alternatives(one, index) for one in value)


def _alternatives(value: object, index: int) -> tuple[bytes, ...]:
    """The topics that one position may have; none where any will do."""
    given = value if isinstance(value, list) else [value]
    if len(given) > ALTERNATIVES_MAX:
        raise parameters.invalid(index, "exceed max topics")
    if any(one is None for one in given):
        return ()
    return tuple(dict.fromkeys(_topic(one, index) for one in given))


def _topic(value: object, index: int) -> bytes:
    if not isinstance(value, str):
        raise parameters.invalid(index, "invalid topic(s)")
    return _decoded(value, 32, "topic", index, "")


def _decoded(value: str, length: int, what: str, index: int, label: str) -> bytes:
    """So many bytes. Raises RpcError, `label` before what is wrong."""
    try:
        decoded = parameters.decode_hex(value)
    except ValueError as problem:
        raise parameters.invalid(index, f"{label}{problem}") from None
    if len(decoded) != length:
        told = f"hex has invalid length {len(decoded)} after decoding; expected {length} for {what}"
        raise parameters.invalid(index, label + told)
    return decoded


@dataclass(slots=True)
class Found:
    """What a search has found so far."""

    logs: list[bytes] = field(default_factory=list)
    """JSON objects."""
    held_bytes: int = 0
    """Length of them all."""

    def add(self, logs: Sequence[bytes]) -> None:
        """More of them."""
        self.logs += logs
        self.held_bytes += sum(map(len, logs))

    @property
    def exceeded(self) -> str | None:
        """The bound that is crossed, if one is: long logs fill an answer before many do."""
        if len(self.logs) > RESULTS_MAX:
            return str(RESULTS_MAX)
        if self.held_bytes > RESPONSE_BYTES_MAX:
            return f"of {RESPONSE_BYTES_MAX >> 20} MiB"
        return None


class LogSearch:
    """Finds logs."""

    def __init__(self, chain: Chain, engine: Engine, worker: Worker) -> None:
        self._chain: Final = chain
        self._engine: Final = engine
        self._worker: Final = worker

    async def of_block(
        self, block: Block, criteria: Criteria, *, removed: bool = False
    ) -> list[bytes]:
        """Matching logs of one block, JSON objects."""
        if not criteria.in_bloom(block.header.logs_bloom):
            return []
        if len(block.rlp) + len(block.receipts) <= IN_PLACE_BYTES_MAX:
            pair = (block.rlp, block.receipts)
            return self._engine.logs_json(
                [pair], criteria.addresses, criteria.topics, removed=removed
            )
        return await self._read([block], criteria, removed=removed)

    async def range(self, criteria: Criteria, first: int, last: int) -> list[bytes]:
        """Matching logs of the head's chain from one number to another, JSON objects.

        Raises RpcError when the range or what it holds is too large, or the chain changes again and again.
        """
        if last > self._chain.head.header.number:
            raise RpcError(INVALID_PARAMS, "block range extends beyond current head block")
        if last - first >= RANGE_BLOCKS_MAX:
            raise RpcError(LIMIT_EXCEEDED, f"query exceeds max block range {RANGE_BLOCKS_MAX}")
        for _ in range(SEARCHES_MAX):
            tip = self._chain.block_by_number(last)
            if tip is None:  # the head is lower now
                break
            found = await self._range_below(criteria, first, tip)
            if self._chain.is_canonical(tip.hash):
                return found.logs
        raise RpcError(SERVER_ERROR, CHANGED_WORDS)

    async def _range_below(self, criteria: Criteria, first: int, tip: Block) -> Found:
        """What the chain up to a block holds; part of it once the head has left that chain."""
        last, found = tip.header.number, Found()
        portion = max(1, min(PORTION_BLOCKS, PORTION_CHECKS // max(1, criteria.items)))
        for start in range(first, last + 1, portion):
            if not self._chain.is_canonical(tip.hash):
                break
            end = min(start + portion - 1, last)
            wanted = [
                block_hash
                for block_hash, bloom in self._chain.blooms(start, end)
                if criteria.in_bloom(bloom)
            ]
            await self._search(wanted, criteria, found)
            if found.exceeded is not None:
                raise RpcError(
                    LIMIT_EXCEEDED,
                    f"query exceeds max results {found.exceeded}, retry with a smaller range than "
                    f"{first}-{end}",
                )
            await trio.lowlevel.checkpoint()
        return found

    async def _search(self, wanted: Sequence[Hash32], criteria: Criteria, found: Found) -> None:
        """Add what these blocks hold, until it is more than one search may find."""
        batch: list[Block] = []
        held = 0
        for block_hash in wanted:
            block = self._chain.block_by_hash(block_hash)
            if block is None:  # a reorganisation took it away meanwhile, and the last one with it
                continue
            batch.append(block)
            held += len(block.rlp) + len(block.receipts)
            if held > READ_BYTES_MAX:
                found.add(await self._read(batch, criteria))
                batch, held = [], 0
                if found.exceeded is not None:
                    return
        if batch:
            found.add(await self._read(batch, criteria))

    async def _read(
        self, blocks: Sequence[Block], criteria: Criteria, *, removed: bool = False
    ) -> list[bytes]:
        pairs = [(block.rlp, block.receipts) for block in blocks]
        return await self._worker.run(
            lambda: self._engine.logs_json(
                pairs, criteria.addresses, criteria.topics, removed=removed
            )
        )


def check_followed(criteria: Criteria) -> None:
    """Refuse a range that nobody can follow, as geth does where filters and subscriptions begin. Raises RpcError."""
    first = 0 if criteria.first is Tag.EARLIEST else criteria.first
    last = criteria.last
    if Tag.PENDING in (first, last):
        raise RpcError(INVALID_PARAMS, PENDING_WORDS)
    if last is Tag.LATEST and (first is Tag.LATEST or isinstance(first, int)):
        return
    if not isinstance(first, int) or not isinstance(last, int) or first > last:
        raise RpcError(INVALID_PARAMS, RANGE_WORDS)


def range_of(criteria: Criteria, number_of: Callable[[Tag], int]) -> tuple[int, int]:
    """First and last number of a search. Raises RpcError for a range that makes no sense."""
    numbers: list[int] = []
    for bound in (criteria.first, criteria.last):
        if bound is Tag.PENDING:
            raise RpcError(INVALID_PARAMS, PENDING_WORDS)
        assert not isinstance(bound, BlockHash)
        numbers.append(number_of(bound) if isinstance(bound, Tag) else bound)
    first, last = numbers
    # What follows the head ends there: geth takes no other end, not even where the head is that block.
    if first > last or (criteria.first is Tag.LATEST and criteria.last is not Tag.LATEST):
        raise RpcError(INVALID_PARAMS, RANGE_WORDS)
    return first, last
