"""`eth`: calls that change nothing.

    eth_call, eth_estimateGas, eth_createAccessList, eth_simulateV1

`eth_call` runs in the environment of the block it names. Gas is estimated in the environment of the *next* slot unless a block
is named: a transaction will run there, and an estimate for the head's own time fails for what the head has just made possible.
`eth_simulateV1` builds blocks on the one that is named, in a worker; nothing is pending here, so `pending` means the head.
What the engine refuses before it runs carries geth's message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import orjson

from node.errors import MissingState
from node.rpc import parameters, simulation
from node.rpc.backend import CallResult, Engine
from node.rpc.blocks import Blocks, Environment
from node.rpc.dispatch import Caller, Method
from node.rpc.parameters import Params, Tag
from node.runtime.worker import Worker

CALL_TYPE: Final = "ethapi.TransactionArgs"
STATE_OVERRIDES_TYPE: Final = "override.StateOverride"
BLOCK_OVERRIDES_TYPE: Final = "override.BlockOverrides"
SIMULATION_TYPE: Final = "ethapi.simOpts"

SIMULATION_GAS_MAX: Final = 50_000_000
"""Gas of all calls of a simulation together: geth's `rpc.gascap`, which shows in its answers."""


class Simulation(Protocol):
    """`Engine.call` or `Engine.estimate_gas`."""

    def __call__(
        self,
        root: bytes,
        header: bytes,
        ancestors: bytes,
        call: bytes,
        *,
        gas_cap: int,
        state_overrides: bytes | None = None,
        block_overrides: bytes | None = None,
        deadline_us: int | None = None,
    ) -> CallResult:
        """Simulate. Raises InvalidCall, MissingState, TimeoutError, ValueError."""


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
            "eth_simulateV1": Method(self.simulate, 2),
        }

    def call(self, params: Params, _: Caller) -> object:
        """What a call returns."""
        return self._simulate(params, Tag.LATEST, self._engine.call, _output)

    def estimate_gas(self, params: Params, _: Caller) -> object:
        """The gas a transaction needs."""
        return self._simulate(params, Tag.PENDING, self._engine.estimate_gas, _gas)

    def _simulate(
        self,
        params: Params,
        default: Tag,
        method: Simulation,
        answer: Callable[[CallResult], str],
    ) -> object:
        """Run in place as long as it is short."""
        call, state, block = _arguments(params)
        at = self._blocks.environment(parameters.block_id(params, 1, default))

        def work(deadline_us: int) -> CallResult:
            return method(
                at.root,
                at.header,
                at.ancestors,
                call,
                gas_cap=self._gas_cap,
                state_overrides=state,
                block_overrides=block,
                deadline_us=deadline_us,
            )

        try:
            return answer(work(simulation.IN_PLACE_US))
        except TimeoutError:
            return self._simulate_later(at, work, answer)
        except (MissingState, ValueError) as error:
            raise simulation.told(error, at.root) from error

    async def _simulate_later(
        self,
        at: Environment,
        work: Callable[[int], CallResult],
        answer: Callable[[CallResult], str],
    ) -> str:
        return answer(await simulation.run(self._worker, at.root, work))

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
                lambda limit_us: self._engine.access_list(
                    at.root,
                    at.header,
                    at.ancestors,
                    call,
                    gas_cap=self._gas_cap,
                    state_overrides=state,
                    deadline_us=limit_us,
                ),
            )
        )

    def simulate(self, params: Params, _: Caller) -> object:
        """Blocks of calls on top of a block."""
        request = parameters.json_object(params, 0, SIMULATION_TYPE)
        block_id = parameters.block_id(params, 1)
        at = self._blocks.environment(Tag.LATEST if block_id is Tag.PENDING else block_id)
        return self._simulate_blocks(at, request)

    async def _simulate_blocks(self, at: Environment, request: bytes) -> orjson.Fragment:
        return orjson.Fragment(
            await simulation.run(
                self._worker,
                at.root,
                lambda limit_us: self._engine.simulate(
                    at.root,
                    at.header,
                    at.ancestors,
                    request,
                    gas_cap=min(self._gas_cap, SIMULATION_GAS_MAX),
                    deadline_us=limit_us,
                ),
            )
        )


def _output(result: CallResult) -> str:
    return "0x" + simulation.succeeded(result).output.hex()


def _gas(result: CallResult) -> str:
    return hex(simulation.succeeded(result).gas_used)


def _arguments(params: Params) -> tuple[bytes, bytes | None, bytes | None]:
    """Call object, state overrides, block overrides."""
    return (
        parameters.json_object(params, 0, CALL_TYPE),
        parameters.optional_json_object(params, 2, STATE_OVERRIDES_TYPE),
        parameters.optional_json_object(params, 3, BLOCK_OVERRIDES_TYPE),
    )
