"""The `pending` block: that of the next slot, with what a builder would be offered now.

    Pool.upcoming, Chain.next_header -> PendingBlock -> namespaces of blocks and transactions

It was not executed, so it has no roots, no gas used and no receipts of its own, and everybody who asks about it is answered from
the same list: its count, its places and its transactions agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson

from node.eth.fees import GAS_PER_BLOB
from node.rpc.backend import Chain, Engine, Pool, PooledTransaction
from node.rpc.fees import BlobFee, BlobGasMax
from node.runtime.worker import Worker

TRANSACTIONS_MAX: Final = 1_000
"""Transactions listed in it."""

IN_PLACE_MAX: Final = 64
"""So many are rendered in place; more in a worker."""


class PendingBlock:
    """Answers for the block after the head."""

    def __init__(
        self,
        chain: Chain,
        engine: Engine,
        pool: Pool,
        worker: Worker,
        *,
        blob_fee: BlobFee,
        blob_gas_max: BlobGasMax,
    ) -> None:
        self._chain: Final = chain
        self._engine: Final = engine
        self._pool: Final = pool
        self._worker: Final = worker
        self._blob_fee: Final = blob_fee
        self._blob_gas_max: Final = blob_gas_max

    def transactions(self) -> Sequence[PooledTransaction]:
        """What it would hold, in order."""
        header = self._chain.next_header()
        return self._pool.upcoming(
            base_fee=header.base_fee_per_gas,
            gas=header.gas_limit,
            count=TRANSACTIONS_MAX,
            blob_base_fee=self._blob_fee(header),
            blobs=self._blob_gas_max(header) // GAS_PER_BLOB,
        )

    def header(self) -> dict[str, object]:
        """Its header: hash, nonce and fee recipient are not known yet, as in geth."""
        encoded = self._chain.next_header().encode()
        rendered: dict[str, object] = orjson.loads(self._engine.header_json(encoded))
        return rendered | {"hash": None, "nonce": None, "miner": None}

    async def block(self, *, full: bool) -> dict[str, object]:
        """All of it, with transaction hashes or full transactions."""
        rendered, listed = self.header(), self.transactions()
        size = len(self._chain.next_header().encode()) + sum(len(one.raw) for one in listed)
        return rendered | {
            "size": hex(size),
            "transactions": await self._printed(listed)
            if full
            else ["0x" + one.hash.hex() for one in listed],
            "uncles": [],
            "withdrawals": [],
        }

    async def _printed(self, listed: Sequence[PooledTransaction]) -> list[orjson.Fragment]:
        raws = [one.raw for one in listed]
        if len(raws) <= IN_PLACE_MAX:
            rows = self._engine.pending_json(raws)
        else:
            rows = await self._worker.run(lambda: self._engine.pending_json(raws))
        return [orjson.Fragment(row) for row in rows]
