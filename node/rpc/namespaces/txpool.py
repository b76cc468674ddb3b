"""`txpool`: what waits for a block.

    txpool_status, txpool_content, txpool_contentFrom, txpool_inspect

Senders are printed with EIP-55 checksums and nonces in decimal, as geth does. A pool too large for one response is cut short.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import orjson

from node.eth.hashing import keccak256
from node.eth.primitives import Address
from node.rpc import parameters
from node.rpc.backend import Engine, Pool, PooledTransaction
from node.rpc.dispatch import Caller, Method
from node.rpc.parameters import Params
from node.runtime.worker import Worker

BySender = Mapping[Address, Sequence[PooledTransaction]]

Listed = dict[Address, Sequence[PooledTransaction]]

LISTED_BYTES_MAX: Final = 16 << 20
"""Raw bytes of transactions that are listed, executable and queued together: their JSON stays within one response."""


class TxpoolNamespace:
    """Lists the pool."""

    def __init__(self, pool: Pool, engine: Engine, worker: Worker) -> None:
        self._pool: Final = pool
        self._engine: Final = engine
        self._worker: Final = worker

    def methods(self) -> dict[str, Method]:
        """The methods of this module."""
        return {
            "txpool_status": Method(self.status, 0),
            "txpool_content": Method(self.content, 0),
            "txpool_contentFrom": Method(self.content_from, 1),
            "txpool_inspect": Method(self.inspect, 0),
        }

    def status(self, _: Params, __: Caller) -> dict[str, str]:
        """How many wait."""
        executable, queued = self._pool.counts()
        return {"pending": hex(executable), "queued": hex(queued)}

    def content(self, _: Params, __: Caller) -> object:
        """Every waiting transaction."""
        return self._print(self._print_whole)

    def content_from(self, params: Params, _: Caller) -> object:
        """The waiting transactions of one sender."""
        executable, queued = self._pool.of_sender(parameters.address(params, 0))
        return self._print_sender(executable, queued)

    def inspect(self, _: Params, __: Caller) -> object:
        """Every waiting transaction, one line each."""
        return self._print(_summaries)

    async def _print(self, form: Callable[[Listed], dict[str, object]]) -> orjson.Fragment:
        """Print the pool away from the loop: a full one takes half a second."""
        executable, room = _listed(self._pool.executable(), LISTED_BYTES_MAX)
        queued, _ = _listed(self._pool.queued(), room)
        return orjson.Fragment(
            await self._worker.run(
                lambda: orjson.dumps({"pending": form(executable), "queued": form(queued)})
            )
        )

    async def _print_sender(
        self, executable: Sequence[PooledTransaction], queued: Sequence[PooledTransaction]
    ) -> orjson.Fragment:
        return orjson.Fragment(
            await self._worker.run(
                lambda: orjson.dumps(
                    {"pending": self._rows(executable), "queued": self._rows(queued)}
                )
            )
        )

    def _print_whole(self, listed: Listed) -> dict[str, object]:
        return {checksummed(sender): self._rows(waiting) for sender, waiting in listed.items()}

    def _rows(self, waiting: Sequence[PooledTransaction]) -> dict[str, object]:
        rows = self._engine.pending_json([one.raw for one in waiting])
        return {
            str(one.nonce): orjson.Fragment(row) for one, row in zip(waiting, rows, strict=True)
        }


def _listed(by_sender: BySender, room: int) -> tuple[Listed, int]:
    """As many as fit into so many raw bytes, and the room that is left."""
    listed: Listed = {}
    for sender, waiting in by_sender.items():
        size = sum(len(one.raw) for one in waiting)
        if size > room:
            return listed, 0
        listed[sender] = waiting
        room -= size
    return listed, room


def _summaries(listed: Listed) -> dict[str, object]:
    return {
        checksummed(sender): {str(one.nonce): _summary(one) for one in waiting}
        for sender, waiting in listed.items()
    }


def _summary(one: PooledTransaction) -> str:
    target = "contract creation" if one.to is None else checksummed(one.to)
    return f"{target}: {one.value} wei + {one.gas_limit} gas × {one.max_fee_per_gas} wei"  # noqa: RUF001  # geth's sign


def checksummed(address: bytes) -> str:
    """Print an address with the checksum of EIP-55."""
    digits = address.hex()
    nibbles = keccak256(digits.encode("ascii")).hex()
    return "0x" + "".join(
        digit.upper() if int(nibble, 16) >= 8 else digit
        for digit, nibble in zip(digits, nibbles, strict=False)
    )
