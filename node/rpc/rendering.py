"""Blocks as JSON: rendered once, in place when small, in a worker when large.

    Block -> Renderer.block -> (memory | engine.block_json) -> Fragment -> response

Wallets ask for the same head again and again, and a full block is a megabyte of JSON.
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
