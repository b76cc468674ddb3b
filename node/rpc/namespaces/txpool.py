"""`txpool`: what waits for a block.

    txpool_status, txpool_content, txpool_contentFrom, txpool_inspect

Senders are printed with EIP-55 checksums and nonces in decimal, as geth does. A pool too large for one response is cut short.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
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

LISTED_BYTES_MAX: Final = 16 << 20
"""Raw bytes of transactions that are listed: their JSON stays within one response."""


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

    async def _content(self) -> dict[str, object]:
        return {
            "pending": await self._print_all(self._pool.executable()),
            "queued": await self._print_all(self._pool.queued()),
        }

    def content(self, _: Params, __: Caller) -> object:
        """Every waiting transaction."""
        return self._content()

    def content_from(self, params: Params, _: Caller) -> object:
        """The waiting transactions of one sender."""
        sender = parameters.address(params, 0)
        return {
            "pending": self._print(self._pool.executable().get(sender, ())),
            "queued": self._print(self._pool.queued().get(sender, ())),
        }

    def inspect(self, _: Params, __: Caller) -> object:
        """Every waiting transaction, one line each."""
        return {
            "pending": _summaries(self._pool.executable()),
            "queued": _summaries(self._pool.queued()),
        }

    def _print(self, waiting: Sequence[PooledTransaction]) -> dict[str, object]:
        rows = self._engine.pending_json([one.raw for one in waiting])
        return {
            str(one.nonce): orjson.Fragment(row) for one, row in zip(waiting, rows, strict=True)
        }

    async def _print_all(self, by_sender: BySender) -> dict[str, object]:
        listed = _listed(by_sender)
        raws = [one.raw for one in chain.from_iterable(listed.values())]
        rows = iter(await self._worker.run(lambda: self._engine.pending_json(raws)))
        return {
            checksummed(sender): {str(one.nonce): orjson.Fragment(next(rows)) for one in waiting}
            for sender, waiting in listed.items()
        }


def _listed(by_sender: BySender) -> dict[Address, list[PooledTransaction]]:
    """As many as fit a response."""
    listed: dict[Address, list[PooledTransaction]] = {}
    room = LISTED_BYTES_MAX
    for sender, waiting in by_sender.items():
        kept: list[PooledTransaction] = []
        for one in waiting:
            room -= len(one.raw)
            if room < 0:
                return listed
            kept.append(one)
        listed[sender] = kept
    return listed


def _summaries(by_sender: BySender) -> dict[str, dict[str, str]]:
    return {
        checksummed(sender): {str(one.nonce): _summary(one) for one in waiting}
        for sender, waiting in _listed(by_sender).items()
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
