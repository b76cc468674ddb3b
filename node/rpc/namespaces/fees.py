"""`eth`: fees.

eth_gasPrice, eth_maxPriorityFeePerGas, eth_baseFee, eth_blobBaseFee, eth_feeHistory
"""

from __future__ import annotations

import math
from typing import Final

from node.eth.blocks import Block
from node.rpc import parameters
from node.rpc.blocks import Blocks
from node.rpc.dispatch import Caller, Method
from node.rpc.fees import Fees, check_percentiles
from node.rpc.jsonrpc import SERVER_ERROR, RpcError
from node.rpc.parameters import Params
from node.runtime.worker import Worker


class FeesNamespace:
    """Tells fees."""

    def __init__(self, blocks: Blocks, fees: Fees, worker: Worker) -> None:
        self._blocks: Final = blocks
        self._fees: Final = fees
        self._worker: Final = worker

    def methods(self) -> dict[str, Method]:
        """The methods of this module."""
        return {
            "eth_gasPrice": Method(self.gas_price, 0),
            "eth_maxPriorityFeePerGas": Method(self.max_priority_fee_per_gas, 0),
            "eth_baseFee": Method(self.base_fee, 0),
            "eth_blobBaseFee": Method(self.blob_base_fee, 0),
            "eth_feeHistory": Method(self.fee_history, 3),
        }

    def gas_price(self, _: Params, __: Caller) -> str:
        """Wei a unit of gas to offer."""
        return hex(self._fees.gas_price())

    def max_priority_fee_per_gas(self, _: Params, __: Caller) -> str:
        """Wei a unit of gas to offer the proposer."""
        return hex(self._fees.tip())

    def base_fee(self, _: Params, __: Caller) -> str:
        """Base fee of the next block."""
        return hex(self._fees.next_base_fee())

    def blob_base_fee(self, _: Params, __: Caller) -> str:
        """Blob base fee of the next block."""
        return hex(self._fees.blob_base_fee())

    def fee_history(self, params: Params, _: Caller) -> object:
        """Fees of consecutive blocks."""
        count = parameters.decimal_or_hex(params, 0)
        newest_id = parameters.block_number(params, 1)
        percentiles = _percentiles(parameters.required(params, 2))
        if not count:
            return {"oldestBlock": "0x0", "gasUsedRatio": None}
        check_percentiles(percentiles)
        head = self._blocks.chain.head.header.number
        if isinstance(newest_id, int) and newest_id > head:
            raise RpcError(
                SERVER_ERROR,
                f"request beyond head block: requested {newest_id}, head {head}",
            )
        return self._history(self._blocks.require(newest_id), count, percentiles)

    async def _history(
        self, newest: Block, count: int, percentiles: list[float]
    ) -> dict[str, object]:
        found = await self._fees.history(newest, count, percentiles, self._worker)
        printed: dict[str, object] = {"oldestBlock": hex(found.oldest_block)}
        if found.rewards is not None:
            printed["reward"] = [[hex(reward) for reward in row] for row in found.rewards]
        printed["baseFeePerGas"] = [hex(fee) for fee in found.base_fees]
        printed["gasUsedRatio"] = [_number(ratio) for ratio in found.gas_used_ratios]
        printed["baseFeePerBlobGas"] = [hex(fee) for fee in found.blob_base_fees]
        printed["blobGasUsedRatio"] = [_number(ratio) for ratio in found.blob_gas_used_ratios]
        return printed


def _percentiles(value: object) -> list[float]:
    if not isinstance(value, list):
        raise parameters.unfit(value, 2, "[]float64")
    percentiles: list[float] = []
    for one in value:
        if isinstance(one, bool) or not isinstance(one, (int, float)) or not math.isfinite(one):
            raise parameters.unfit(one, 2, "float64")
        percentiles.append(float(one))
    return percentiles


def _number(ratio: float) -> float | int:
    """Print 0 and 1 without a fraction, as Go does."""
    return int(ratio) if ratio.is_integer() else ratio
