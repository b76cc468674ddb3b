"""Blocks as JSON: rendered once, in place when small, in a worker when large.

    Block -> Renderer.block -> (memory | engine.block_json) -> Fragment -> response

Wallets ask for the same head again and again, and a full block is a megabyte of JSON. Whoever sent many transactions asks for
their receipts one by one: the second one asked for of a block has all of them rendered, for each costs the engine a look at the
whole block.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Final

import orjson

from node.eth.blocks import Block
from node.eth.primitives import Hash32
from node.rpc.backend import Engine
from node.runtime.worker import Worker

IN_PLACE_BYTES_MAX: Final = 32 << 10
"""A block up to this length is rendered in place: tens of microseconds to a millisecond."""

KEPT_BYTES_MAX: Final = 16 << 20
"""Rendered blocks that are kept."""

RECEIPTS_BYTES_MAX: Final = 48 << 10
"""All receipts of a block up to this length are rendered when a second one is asked for: a full block of the L2, 0.4 ms."""

ASKED_BLOCKS_MAX: Final = 1_024
"""Blocks of which one receipt was asked for that are remembered."""

Rendered = orjson.Fragment | Coroutine[object, object, orjson.Fragment]
"""JSON, now or later."""


class Renderer:
    """Renders blocks and keeps the newest renderings."""

    def __init__(self, engine: Engine, worker: Worker) -> None:
        self.engine: Final = engine
        """Renders."""
        self._worker: Final = worker
        self._kept: OrderedDict[tuple[Hash32, str], bytes] = OrderedDict()
        self._kept_bytes = 0
        self._receipts: OrderedDict[Hash32, list[bytes]] = OrderedDict()
        self._receipts_bytes = 0
        self._asked: OrderedDict[Hash32, None] = OrderedDict()

    def block(self, block: Block, *, full: bool) -> Rendered:
        """A block with transaction hashes or full transactions."""
        return self._render(
            block,
            "full" if full else "hashes",
            lambda: self.engine.block_json(block.rlp, block.receipts, full=full),
        )

    def receipts(self, block: Block) -> Rendered:
        """All receipts of a block."""
        return self._render(
            block, "receipts", lambda: self.engine.receipts_json(block.rlp, block.receipts)
        )

    def receipt(self, block: Block, index: int) -> Rendered:
        """One receipt of a block; index as in the block."""
        kept = self._kept_receipt(block, index)
        if kept is not None:
            return orjson.Fragment(kept)
        return self.one(block, lambda: self.engine.receipt_json(block.rlp, block.receipts, index))

    def receipt_now(self, block: Block, index: int) -> orjson.Fragment:
        """As `receipt`, for a block that was sealed just now: in place, however long it is."""
        kept = self._kept_receipt(block, index)
        if kept is None:
            kept = self.engine.receipt_json(block.rlp, block.receipts, index)
        return orjson.Fragment(kept)

    def _kept_receipt(self, block: Block, index: int) -> bytes | None:
        receipts = self._receipts.get(block.hash)
        if receipts is None:
            if len(block.rlp) > RECEIPTS_BYTES_MAX or not self._was_asked(block.hash):
                return None
            receipts = self._keep_receipts(block)
        return receipts[index]

    def _was_asked(self, block_hash: Hash32) -> bool:
        """Whether a receipt of this block was asked for before."""
        if block_hash in self._asked:
            return True
        self._asked[block_hash] = None
        if len(self._asked) > ASKED_BLOCKS_MAX:
            self._asked.popitem(last=False)
        return False

    def _keep_receipts(self, block: Block) -> list[bytes]:
        receipts = split_receipts(self.engine.receipts_json(block.rlp, block.receipts))
        size = sum(map(len, receipts))
        if size <= KEPT_BYTES_MAX // 4:
            self._receipts[block.hash] = receipts
            self._receipts_bytes += size
            while self._receipts_bytes > KEPT_BYTES_MAX:
                self._receipts_bytes -= sum(map(len, self._receipts.popitem(last=False)[1]))
        return receipts

    def one(self, block: Block, render: Callable[[], bytes]) -> Rendered:
        """Something small of a block, which may be large to read; not kept."""
        if len(block.rlp) <= 8 * IN_PLACE_BYTES_MAX:
            return orjson.Fragment(render())
        return self._later(render)

    def _render(self, block: Block, form: str, render: Callable[[], bytes]) -> Rendered:
        key = (block.hash, form)
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            return orjson.Fragment(kept)
        if len(block.rlp) <= IN_PLACE_BYTES_MAX:
            return orjson.Fragment(self._keep(key, render()))
        return self._render_later(key, render)

    async def _render_later(
        self, key: tuple[Hash32, str], render: Callable[[], bytes]
    ) -> orjson.Fragment:
        return orjson.Fragment(self._keep(key, await self._worker.run(render)))

    async def _later(self, render: Callable[[], bytes]) -> orjson.Fragment:
        return orjson.Fragment(await self._worker.run(render))

    def _keep(self, key: tuple[Hash32, str], text: bytes) -> bytes:
        if key not in self._kept and len(text) <= KEPT_BYTES_MAX // 4:
            self._kept[key] = text
            self._kept_bytes += len(text)
            while self._kept_bytes > KEPT_BYTES_MAX:
                self._kept_bytes -= len(self._kept.popitem(last=False)[1])
        return text


_NAMED = b'"transactionHash":"0x'


def transaction_of(receipt: bytes) -> Hash32:
    """Which transaction a receipt, JSON as the engine prints it, is of; its logs name no other one."""
    start = receipt.index(_NAMED) + len(_NAMED)
    return Hash32(bytes.fromhex(receipt[start : start + 64].decode("ascii")))


def split_receipts(array: bytes) -> list[bytes]:
    """The receipts of a JSON array, each as it is written.

    Splitting the text is ten times as fast as decoding it. All receipts begin with the same key, unless one of them is a blob
    transaction's, and logs with another; each has `cumulativeGasUsed` once, which tells whether that has held.
    """
    first_key = array[1 : array.find(b":") + 1]
    parts = array[1:-1].split(b"}," + first_key)
    if len(parts) != array.count(b'"cumulativeGasUsed":'):
        return [orjson.dumps(one) for one in orjson.loads(array)]
    last = len(parts) - 1
    return [
        b"%b%b%b" % (first_key if place else b"", part, b"}" if place < last else b"")
        for place, part in enumerate(parts)
    ]
