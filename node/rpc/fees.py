"""What to pay: tips of recent blocks, and the fees of the next one.

    recent blocks -> Fees.tip -> eth_maxPriorityFeePerGas, eth_gasPrice
    a range       -> Fees.history -> eth_feeHistory

geth's gas price oracle: some low tips of each of the last blocks, and of all of them the 60th percentile. A block's tips never
change, so they are remembered by its hash. On the L2 the tip is a constant, as op-geth's is while blocks have room: with blocks
of milliseconds the next one always has.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import trio

from node.eth.blocks import Block
from node.eth.headers import Header
from node.eth.primitives import Hash32
from node.rpc.backend import Chain, Engine
from node.rpc.jsonrpc import SERVER_ERROR, RpcError
from node.runtime.worker import Worker

CHECKED_BLOCKS: Final = 20
"""Blocks the oracle looks at."""

CHECKED_PERCENTILE: Final = 60
"""Of all samples."""

SAMPLED: Final = (0.0, 25.0, 50.0)
"""Percentiles of a block's gas at which its tips are sampled: its cheap half, as geth takes the three lowest."""

TIP_IGNORED_WEI: Final = 2
"""Lower tips say nothing about the market."""

TIP_DEFAULT_WEI: Final = 1_000_000_000
"""What is suggested while no block holds a tip: 1 gwei."""

TIP_MAX_WEI: Final = 500_000_000_000
"""Most that is suggested: 500 gwei."""

HISTORY_BLOCKS_MAX: Final = 1_024
"""Blocks in one fee history: geth's limit."""

PERCENTILES_MAX: Final = 100
"""Reward percentiles in one fee history: geth's limit."""

REMEMBERED_BLOCKS: Final = 256
"""Blocks whose tips are remembered."""

PORTION_BLOCKS: Final = 32
"""Blocks that are loaded without giving way to others."""

PORTION_BYTES: Final = 8 << 20
"""Bytes of blocks that are held at once."""

BlobFee = Callable[[Header], int]
"""Wei a unit of blob gas in a block with this header."""

BlobGasMax = Callable[[Header], int]
"""Most blob gas of a block with this header; 0 where there are no blobs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeHistory:
    """Fees of consecutive blocks."""

    oldest_block: int
    """Number of the first."""
    base_fees: list[int]
    """Wei, of each block and of the one after the last."""
    gas_used_ratios: list[float]
    """Of the gas limit."""
    blob_base_fees: list[int]
    """Wei, of each block and of the one after the last."""
    blob_gas_used_ratios: list[float]
    """Of the most blob gas."""
    rewards: list[list[int]] | None
    """Wei at each percentile, if any were asked for."""


class Fees:
    """The gas price oracle."""

    def __init__(
        self,
        chain: Chain,
        engine: Engine,
        *,
        blob_fee: BlobFee,
        blob_gas_max: BlobGasMax,
        tip_wei: int | None = None,
    ) -> None:
        """`tip_wei`: a constant tip."""
        self._chain: Final = chain
        self._engine: Final = engine
        self._blob_fee: Final = blob_fee
        self._blob_gas_max: Final = blob_gas_max
        self._constant_tip: Final = tip_wei
        self._samples: OrderedDict[Hash32, list[int]] = OrderedDict()
        self._last_tip = TIP_DEFAULT_WEI
        self._last_head: Hash32 | None = None

    @property
    def learns(self) -> bool:
        """Whether new blocks have something to say to it."""
        return self._constant_tip is None

    def tip(self) -> int:
        """The priority fee to offer now, wei."""
        if self._constant_tip is not None:
            return self._constant_tip
        head = self._chain.head
        if head.hash == self._last_head:
            return self._last_tip
        samples: list[int] = []
        block: Block | None = head
        for _ in range(CHECKED_BLOCKS):
            if block is None or not block.header.number:
                break
            samples += self._tips(block) or [self._last_tip]
            block = self._chain.block_by_hash(block.header.parent_hash)
        if samples:
            samples.sort()
            chosen = samples[(len(samples) - 1) * CHECKED_PERCENTILE // 100]
            self._last_tip = min(chosen, TIP_MAX_WEI)
        self._last_head = head.hash
        return self._last_tip

    def gas_price(self) -> int:
        """The gas price to offer now in a transaction that has only one, wei."""
        return self.tip() + self._chain.head.header.base_fee_per_gas

    def next_base_fee(self) -> int:
        """Base fee of the next block, wei."""
        return self._chain.next_header().base_fee_per_gas

    def blob_base_fee(self) -> int:
        """Wei a unit of blob gas in the next block."""
        return self._blob_fee(self._chain.next_header())

    async def learn(self, block: Block, worker: Worker) -> None:
        """Sample a new block's tips away from the loop: a full block takes milliseconds."""
        if block.hash not in self._samples:
            self._remember(block, await worker.run(lambda: self._sample(block)))

    def _tips(self, block: Block) -> list[int]:
        known = self._samples.get(block.hash)
        return self._remember(block, self._sample(block)) if known is None else known

    def _sample(self, block: Block) -> list[int]:
        if not block.header.gas_used:
            return []
        found = self._engine.fee_percentiles(block.rlp, block.receipts, SAMPLED)
        return [tip for tip in found if tip >= TIP_IGNORED_WEI]

    def _remember(self, block: Block, tips: list[int]) -> list[int]:
        self._samples[block.hash] = tips
        if len(self._samples) > REMEMBERED_BLOCKS:
            self._samples.popitem(last=False)
        return tips

    async def history(
        self, newest: Block, count: int, percentiles: Sequence[float] | None, worker: Worker
    ) -> FeeHistory:
        """Fees of up to `count` blocks ending with the newest, and of the one after it.

        Blocks are read and let go in portions: a thousand full ones would take gigabytes.
        """
        following = self.following(newest)
        headers: list[Header] = []
        rewards: list[list[int]] = []
        block: Block | None = newest
        while block is not None and len(headers) < min(count, HISTORY_BLOCKS_MAX):
            room = min(count, HISTORY_BLOCKS_MAX) - len(headers)
            portion, block = self._portion(block, min(room, PORTION_BLOCKS))
            headers += [one.header for one in portion]
            if percentiles:
                rewards += await worker.run(partial(self._rewards_of, portion, percentiles))
            await trio.lowlevel.checkpoint()
        return self._told(headers[::-1], following, rewards[::-1] if percentiles else None)

    def _portion(self, newest: Block, count: int) -> tuple[list[Block], Block | None]:
        """Blocks from the newest down, as many as are read in one go, and the next one below."""
        portion: list[Block] = []
        held = 0
        block: Block | None = newest
        while block is not None and len(portion) < count and held < PORTION_BYTES:
            portion.append(block)
            held += len(block.rlp) + len(block.receipts)
            block = self._chain.block_by_hash(block.header.parent_hash)
        return portion, block

    def _told(
        self, headers: Sequence[Header], following: Header, rewards: list[list[int]] | None
    ) -> FeeHistory:
        return FeeHistory(
            oldest_block=headers[0].number,
            base_fees=[one.base_fee_per_gas for one in (*headers, following)],
            gas_used_ratios=[one.gas_used / one.gas_limit for one in headers],
            blob_base_fees=[self._blob_fee(one) for one in (*headers, following)],
            blob_gas_used_ratios=[
                one.blob_gas_used / most if (most := self._blob_gas_max(one)) else 0.0
                for one in headers
            ],
            rewards=rewards,
        )

    def following(self, block: Block) -> Header:
        """The header after a block: that of its child, or the next slot's."""
        above = self._chain.block_by_number(block.header.number + 1)
        if above is not None and above.header.parent_hash == block.hash:
            return above.header
        return self._chain.next_header()

    def _rewards_of(self, blocks: Sequence[Block], percentiles: Sequence[float]) -> list[list[int]]:
        return [self._rewards(block, percentiles) for block in blocks]

    def _rewards(self, block: Block, percentiles: Sequence[float]) -> list[int]:
        if not block.header.gas_used:
            return [0] * len(percentiles)
        return self._engine.fee_percentiles(block.rlp, block.receipts, percentiles)


def check_percentiles(percentiles: Sequence[float]) -> None:
    """Refuse percentiles that do not ascend within 0..100. Raises RpcError, worded as geth does."""
    if len(percentiles) > PERCENTILES_MAX:
        raise RpcError(
            SERVER_ERROR, f"invalid reward percentile: over the query limit {PERCENTILES_MAX}"
        )
    for index, percentile in enumerate(percentiles):
        if not 0 <= percentile <= 100:
            raise RpcError(SERVER_ERROR, f"invalid reward percentile: {percentile:f}")
        if index and percentile <= percentiles[index - 1]:
            raise RpcError(
                SERVER_ERROR,
                f"invalid reward percentile: #{index - 1}:{percentiles[index - 1]:f} >= "
                f"#{index}:{percentile:f}",
            )
