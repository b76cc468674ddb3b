"""`eth`: calls that change nothing.

    eth_call, eth_estimateGas, eth_createAccessList

`eth_call` runs in the environment of the block it names. Gas is estimated in the environment of the *next* slot unless a block
is named: a transaction will run there, and an estimate for the head's own time fails for what the head has just made possible.
What the engine refuses before it runs carries geth's message.
"""

from __future__ import annotations

from typing import Final

import orjson

from node.rpc import parameters, simulation
from node.rpc.backend import Engine, Worker
from node.rpc.blocks import Blocks, Environment
from node.rpc.dispatch import Caller, Method
from node.rpc.parameters import Params, Tag

CALL_TYPE: Final = "ethapi.TransactionArgs"
STATE_OVERRIDES_TYPE: Final = "override.StateOverride"
BLOCK_OVERRIDES_TYPE: Final = "override.BlockOverrides"


class CallsNamespace:
    """Simulates calls."""

    def __init__(self, blocks: Blocks, engine: Engine, worker: Worker, *, gas_cap: int) -> None:
        """`gas_cap` is the most gas a call may use."""
        self._blocks: Final = blocks
        self._engine: Final = engine
        self._worker: Final = worker
        self._gas_cap: Final = gas_cap

    def methods(self) -> dict[str, Method]:
        """The methods of this module."""
        return {
            "eth_call": Method(self.call, 4),
            "eth_estimateGas": Method(self.estimate_gas, 4),
            "eth_createAccessList": Method(self.create_access_list, 3),
        }

    def call(self, params: Params, _: Caller) -> object:
        """What a call returns."""
        call, state, block = _arguments(params)
        return self._call(
            self._blocks.environment(parameters.block_id(params, 1)), call, state, block
        )

    async def _call(
        self, at: Environment, call: bytes, state: bytes | None, block: bytes | None
    ) -> str:
        result = await simulation.run(
            self._worker,
            at.root,
            lambda: self._engine.call(
                at.root,
                at.header,
                at.ancestors,
                call,
                gas_cap=self._gas_cap,
                state_overrides=state,
                block_overrides=block,
            ),
        )
        return "0x" + simulation.succeeded(result).output.hex()

    def estimate_gas(self, params: Params, _: Caller) -> object:
        """The gas a transaction needs."""
        call, state, block = _arguments(params)
        at = self._blocks.environment(parameters.block_id(params, 1, Tag.PENDING))
        return self._estimate_gas(at, call, state, block)

    async def _estimate_gas(
        self, at: Environment, call: bytes, state: bytes | None, block: bytes | None
    ) -> str:
        result = await simulation.run(
            self._worker,
            at.root,
            lambda: self._engine.estimate_gas(
                at.root,
                at.header,
                at.ancestors,
                call,
                gas_cap=self._gas_cap,
                state_overrides=state,
                block_overrides=block,
            ),
        )
        return hex(simulation.succeeded(result).gas_used)

    def create_access_list(self, params: Params, _: Caller) -> object:
        """The accounts and slots a call touches."""
        call = parameters.json_object(params, 0, CALL_TYPE)
        at = self._blocks.environment(parameters.block_id(params, 1, Tag.PENDING))
        state = parameters.optional_json_object(params, 2, STATE_OVERRIDES_TYPE)
        return self._create_access_list(at, call, state)

    async def _create_access_list(
        self, at: Environment, call: bytes, state: bytes | None
    ) -> orjson.Fragment:
        return orjson.Fragment(
            await simulation.run(
                self._worker,
                at.root,
                lambda: self._engine.access_list(
                    at.root,
                    at.header,
                    at.ancestors,
                    call,
                    gas_cap=self._gas_cap,
                    state_overrides=state,
                ),
            )
        )


def _arguments(params: Params) -> tuple[bytes, bytes | None, bytes | None]:
    """Call object, state overrides, block overrides."""
    return (
        parameters.json_object(params, 0, CALL_TYPE),
        parameters.optional_json_object(params, 2, STATE_OVERRIDES_TYPE),
        parameters.optional_json_object(params, 3, BLOCK_OVERRIDES_TYPE),
    )
