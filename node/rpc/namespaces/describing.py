"""`eth`: what this node knows of its chain's rules and keeps of its history.

    eth_config (EIP-7910), eth_capabilities

What is kept is looked for, by bisection: a node that lets old states or blocks go has the newest of them without a gap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from node.eth.forks import ChainConfig
from node.rpc.backend import Engine
from node.rpc.blocks import Blocks
from node.rpc.dispatch import Caller, Method
from node.rpc.fork_config import describe_forks, rollup_config
from node.rpc.jsonrpc import SERVER_ERROR, RpcError
from node.rpc.parameters import UINT64_MAX, Params


class DescribingNamespace:
    """Tells what callers may ask for."""

    def __init__(
        self, blocks: Blocks, engine: Engine, forks: ChainConfig | None, *, chain_id: int
    ) -> None:
        """`forks` is None on an L2, whose rules are always the same."""
        self._blocks: Final = blocks
        self._engine: Final = engine
        self._forks: Final = rollup_config(chain_id) if forks is None else forks
        self._rollup: Final = forks is None

    def methods(self) -> dict[str, Method]:
        """The methods of this module."""
        return {
            "eth_config": Method(self.config, 0),
            "eth_capabilities": Method(self.capabilities, 0),
        }

    def config(self, _: Params, __: Caller) -> object:
        """The rules in force, the next and the last that are planned."""
        genesis = self._blocks.chain.block_by_number(0)
        if genesis is None:
            raise RpcError(SERVER_ERROR, "unable to load genesis")
        return describe_forks(
            self._forks,
            genesis.hash,
            genesis.header.timestamp,
            self._blocks.chain.head.header.timestamp,
            rollup=self._rollup,
        )

    def capabilities(self, _: Params, __: Caller) -> object:
        """The oldest block of which each kind of thing can be asked for."""
        chain = self._blocks.chain
        head = chain.head

        def has_state(number: int) -> bool:
            block = chain.block_by_number(number)
            return block is not None and self._engine.has_state(block.header.state_root)

        blocks = _since(
            _oldest(lambda number: chain.block_by_number(number) is not None, head.header.number)
        )
        states = _since(_oldest(has_state, head.header.number))
        window = {"type": "window", "retentionBlocks": hex(UINT64_MAX)}  # all of them
        return {
            "head": {"number": hex(head.header.number), "hash": "0x" + head.hash.hex()},
            "state": states,
            "tx": blocks,
            "logs": {**blocks, "deleteStrategy": window},
            "receipts": blocks,
            "blocks": blocks,
            "stateproofs": states,
        }


def _oldest(kept: Callable[[int], bool], head: int) -> int:
    """The lowest number that is kept, if all from there to the head are."""
    low, high = 0, head
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if kept(middle) else (middle + 1, high)
    return low


def _since(number: int) -> dict[str, object]:
    return {"disabled": False, "oldestBlock": hex(number)}
