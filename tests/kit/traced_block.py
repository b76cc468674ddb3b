"""A block worth tracing: nested calls with logs, a failure, a store, a creation and a destruction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from node.execution.engine import BlockResult
from tests.kit.execution_chain import (
    DEPOSITOR,
    KEEPER,
    PROPOSER,
    SENDER,
    ExecutionChain,
    header_bytes,
    sign,
    word,
)
from tests.kit.questions import ACCOUNTS, encoded

PARENT: Final = bytes([0x50] * 20)
"""Logs, calls CHILD with one wei, calls SHA-256, then logs again."""

CHILD: Final = bytes([0x43] * 20)
"""Logs and reverts with Error("no")."""

ENDER: Final = bytes([0x45] * 20)
"""Destroys itself in favour of PROPOSER."""

REASON: Final = bytes.fromhex("08c379a0") + word(32) + word(2) + b"no".ljust(32, b"\0")
"""Solidity's Error("no")."""

LOG: Final = "5f5fa0"

TRACED: Final[Mapping[str, object]] = dict(ACCOUNTS) | {
    "0x" + PARENT.hex(): {
        "balance": "0x5",
        "code": f"0x{LOG}5f5f5f5f600173{CHILD.hex()}5af15060205f60205f60025afa50{LOG}00",
    },
    "0x" + CHILD.hex(): {
        "balance": "0x0",
        # The reason stands behind the code, which is 15 bytes long.
        "code": f"0x{LOG}6064600f60003960645ffd00{REASON.hex()}",
    },
    "0x" + ENDER.hex(): {"balance": "0x7", "code": f"0x73{PROPOSER.hex()}ff"},
}


@dataclass(frozen=True, slots=True)
class Traced:
    """A block on a chain, and its parent's state."""

    chain: ExecutionChain
    parent: BlockResult
    block: BlockResult

    @property
    def ancestors(self) -> bytes:
        return self.parent.block_hash + self.chain.blocks[0].block_hash

    def transaction(
        self,
        index: int,
        options: Mapping[str, object] | None = None,
        *,
        deadline_us: int | None = None,
    ) -> object:
        trace = self.chain.engine.trace_transaction(
            self.parent.state_root,
            self.block.block,
            self.ancestors,
            index,
            b"" if options is None else json.dumps(options).encode(),
            deadline_us=deadline_us,
        )
        return cast("object", json.loads(trace))

    def all(self, options: Mapping[str, object]) -> list[dict[str, object]]:
        trace = self.chain.engine.trace_block(
            self.parent.state_root, self.block.block, self.ancestors, json.dumps(options).encode()
        )
        return cast("list[dict[str, object]]", json.loads(trace))

    def call(
        self,
        arguments: Mapping[str, object],
        options: Mapping[str, object],
        *,
        gas_cap: int = 50_000_000,
        deadline_us: int | None = None,
    ) -> dict[str, object]:
        trace = self.chain.engine.trace_call(
            self.block.state_root,
            header_bytes(self.block.block),
            self.ancestors,
            encoded(dict(arguments)),
            encoded(dict(options)),
            gas_cap=gas_cap,
            deadline_us=deadline_us,
        )
        return cast("dict[str, object]", json.loads(trace))

    def within(
        self, index: int, arguments: Mapping[str, object], options: Mapping[str, object]
    ) -> dict[str, object]:
        """A call before a transaction of the block."""
        trace = self.chain.engine.trace_call(
            self.parent.state_root,
            header_bytes(self.block.block),
            self.ancestors,
            encoded(dict(arguments)),
            encoded(dict(options)),
            block=self.block.block,
            index=index,
        )
        return cast("dict[str, object]", json.loads(trace))


def traced_block() -> Traced:
    """The block, after one of its own."""
    chain = ExecutionChain.open(extra_accounts=TRACED)
    parent = chain.grow([sign(SENDER, nonce=0)])
    block = chain.grow(
        [
            sign(DEPOSITOR, nonce=0, to=PARENT, gas=200_000),
            sign(SENDER, nonce=1, to=PARENT, data=b"\x01\x02\x03\x04rest", gas=200_000),
            sign(SENDER, nonce=2, to=KEEPER, data=word(1) + word(2), gas=100_000),
            sign(SENDER, nonce=3, to=b"", data=bytes.fromhex("60015f5360015ff3"), gas=99_000),
            sign(SENDER, nonce=4, to=ENDER, gas=99_000),
        ]
    )
    return Traced(chain, parent, block)


def hex_of(address: bytes) -> str:
    """Bytes as JSON-RPC writes them."""
    return "0x" + address.hex()
