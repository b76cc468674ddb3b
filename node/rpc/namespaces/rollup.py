"""`optimism` and `rollup`: what the L2 says of itself beside its blocks, as op-node does.

    optimism_outputAtBlock, optimism_syncStatus, optimism_rollupConfig, optimism_version,
    rollup_batchOf, rollup_transactionStatus

Field names are op-node's (op-service/eth/output.go, sync_status.go, op-node/rollup/types.go), and so is the mixture of numbers: JSON
integers in references to blocks, quantities where a caller gives a block.
What the OP Stack has and this rollup has not is zero: a fixed block time, channels, a system config on L1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from node.eth.blocks import Block
from node.eth.headers import Header
from node.eth.primitives import ZERO_ADDRESS, Hash32
from node.rollup.outputs import OUTPUT_VERSION, output_of
from node.rollup.parameters import RollupParameters
from node.rpc import parameters
from node.rpc.backend import BlockPlace, Pool, RollupView
from node.rpc.blocks import Blocks
from node.rpc.dispatch import Caller, Method
from node.rpc.jsonrpc import SERVER_ERROR, RpcError
from node.rpc.parameters import Params, Tag

UPGRADES: Final = (
    "regolith",
    "canyon",
    "delta",
    "ecotone",
    "fjord",
    "granite",
    "holocene",
    "isthmus",
)
"""Upgrades of the OP Stack whose rules hold from genesis on."""

Explain = Callable[[Hash32], str | None]
"""Why a transaction of the pool is in no block yet, one line; None where nobody knows."""

_SCALAR_VERSION = 1
"""First byte of the fee scalars' word since Ecotone."""


class RollupNamespace:
    """Tells how the L2 follows from L1."""

    def __init__(
        self,
        blocks: Blocks,
        pool: Pool,
        view: RollupView,
        rules: RollupParameters,
        *,
        version: str,
        explain: Explain,
    ) -> None:
        self._blocks: Final = blocks
        self._pool: Final = pool
        self._explain: Final = explain
        self._view: Final = view
        self._rules: Final = rules
        self._version: Final = version

    def methods(self) -> dict[str, Method]:
        """The methods of this module."""
        return {
            "optimism_outputAtBlock": Method(self.output_at_block, 1),
            "optimism_syncStatus": Method(self.sync_status, 0),
            "optimism_rollupConfig": Method(self.rollup_config, 0),
            "optimism_version": Method(self.version, 0),
            "rollup_batchOf": Method(self.batch_of, 1),
            "rollup_transactionStatus": Method(self.transaction_status, 1),
        }

    def version(self, _: Params, __: Caller) -> str:
        """Name and version of this program."""
        return self._version

    def output_at_block(self, params: Params, _: Caller) -> object:
        """The output root after a block, with its preimage."""
        block = self._blocks.require(parameters.quantity(params, 0))
        output = output_of(block.header)
        return {
            "version": _hex(OUTPUT_VERSION),
            "outputRoot": _hex(output.root()),
            "blockRef": self._reference(block),
            "withdrawalStorageRoot": _hex(output.message_passer_root),
            "stateRoot": _hex(output.state_root),
            "syncStatus": self._status(),
        }

    def sync_status(self, _: Params, __: Caller) -> object:
        """Heads of L1 and of the L2 as this node sees them."""
        return self._status()

    def batch_of(self, params: Params, _: Caller) -> object:
        """Where L1 holds a block's data; null while the block is unsafe."""
        given = parameters.own_block_number(params, 0)
        block = self._blocks.require(given)
        return self._batch(block)

    def transaction_status(self, params: Params, _: Caller) -> object:
        """How far a transaction has come, and why no further: unknown, waiting, unsafe, safe, finalized."""
        wanted = parameters.hash32(params, 0)
        found = self._blocks.chain.transaction_block(wanted)
        if found is None:
            waits = self._pool.get(wanted) is not None
            reason = self._explain(wanted) if waits else None
            return {"status": "waiting" if waits else "unknown", "reason": reason}
        block, index = found
        return {
            "status": self._standing(block),
            "reason": None,
            "blockHash": _hex(block.hash),
            "blockNumber": hex(block.header.number),
            "transactionIndex": hex(index),
            "batch": self._batch(block),
        }

    def _standing(self, block: Block) -> str:
        chain, number = self._blocks.chain, block.header.number
        if number <= chain.finalized.header.number:
            return "finalized"
        return "safe" if number <= chain.safe.header.number else "unsafe"

    def _batch(self, block: Block) -> dict[str, object] | None:
        place = self._view.batch_of(block.header.number)
        if place is None:
            return None
        return {
            "blockNumber": hex(block.header.number),
            "recordIndex": hex(place.record_index),
            "l1TransactionHash": _hex(place.transaction_hash),
            "l1BlockNumber": hex(place.l1_number),
            "l1BlockHash": _hex(place.l1_hash),
        }

    def rollup_config(self, _: Params, __: Caller) -> object:
        """The constants of this rollup; `faultline` holds those that the OP Stack has no name for."""
        rules, genesis = self._rules, self._blocks.require(Tag.EARLIEST)
        return {
            "genesis": {
                "l1": _place(self._origin(genesis)),
                "l2": {"hash": _hex(genesis.hash), "number": genesis.header.number},
                "l2_time": genesis.header.timestamp,
                "system_config": self._system_config(),
            },
            "block_time": 0,
            "max_sequencer_drift": rules.max_drift_seconds,
            "seq_window_size": rules.sequencing_window_blocks,
            "channel_timeout": 0,
            "l1_chain_id": rules.l1_chain_id,
            "l2_chain_id": rules.chain_id,
            **{f"{upgrade}_time": 0 for upgrade in UPGRADES},
            "batch_inbox_address": _hex(rules.inbox),
            "deposit_contract_address": _hex(rules.portal),
            "l1_system_config_address": _hex(ZERO_ADDRESS),
            "protocol_versions_address": _hex(ZERO_ADDRESS),
            "faultline": rules.document() | {"config_hash": _hex(rules.config_hash())},
        }

    def _system_config(self) -> dict[str, object]:
        rules = self._rules
        scalars = (
            bytes([_SCALAR_VERSION])
            + bytes(23)
            + rules.l1_blob_base_fee_scalar.to_bytes(4)
            + rules.l1_base_fee_scalar.to_bytes(4)
        )
        operator = (
            bytes(20)
            + rules.operator_fee_scalar.to_bytes(4)
            + rules.operator_fee_constant.to_bytes(8)
        )
        return {
            "batcherAddr": _hex(rules.batcher),
            "overhead": _hex(bytes(32)),
            "scalar": _hex(scalars),
            "gasLimit": rules.gas_limit,
            "eip1559Params": _hex(bytes(8)),
            "operatorFeeParams": _hex(operator),
        }

    def _status(self) -> dict[str, object]:
        l1, chain = self._view.l1, self._blocks.chain
        unsafe, safe = self._reference(chain.head), self._reference(chain.safe)
        return {
            "current_l1": _l1_reference(l1.current),
            "current_l1_finalized": _l1_reference(l1.finalized),
            "head_l1": _l1_reference(l1.head),
            "safe_l1": _l1_reference(l1.safe),
            "finalized_l1": _l1_reference(l1.finalized),
            "unsafe_l2": unsafe,
            "safe_l2": safe,
            "finalized_l2": self._reference(chain.finalized),
            "pending_safe_l2": safe,
            "cross_unsafe_l2": unsafe,
            "local_safe_l2": safe,
        }

    def _reference(self, block: Block) -> dict[str, object]:
        return {
            "hash": _hex(block.hash),
            "number": block.header.number,
            "parentHash": _hex(block.header.parent_hash),
            "timestamp": block.header.timestamp,
            "l1origin": _place(self._origin(block)),
            "sequenceNumber": self._sequence_number(block),
        }

    def _origin(self, block: Block) -> BlockPlace:
        """Where a block stands on L1. Raises RpcError for one that a reorganisation has just taken."""
        origin = self._view.origin_of(block.hash)
        if origin is None:
            raise RpcError(SERVER_ERROR, f"origin of block {block.header.number} not available")
        return origin

    def _sequence_number(self, block: Block) -> int:
        """How many blocks of the same origin lie below: origins never fall, so steps may double and then halve."""
        origin, number = self._origin(block).number, block.header.number
        step, below = 1, number
        while step and below:
            candidate = max(0, below - step)
            if self._origin_number(candidate) == origin:
                below, step = candidate, 2 * step
            else:
                step //= 2
        return number - below

    def _origin_number(self, number: int) -> int:
        return self._origin(self._blocks.require(number)).number


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _place(place: BlockPlace) -> dict[str, object]:
    return {"hash": _hex(place.hash), "number": place.number}


def _l1_reference(header: Header) -> dict[str, object]:
    return {
        "hash": _hex(header.hash()),
        "number": header.number,
        "parentHash": _hex(header.parent_hash),
        "timestamp": header.timestamp,
    }
