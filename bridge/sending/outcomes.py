"""What L1's chain holds of a transaction, read from blocks that the process's own engine executed."""

from __future__ import annotations

from typing import Protocol

import orjson

from bridge.sending.planning import Outcome
from node.eth.blocks import Block
from node.eth.primitives import Hash32


class HoldingChain(Protocol):
    """What of `node.chain.Chain` is read."""

    def transaction_block(self, transaction_hash: Hash32) -> tuple[Block, int] | None:
        """The canonical block that holds a transaction, and its index there."""


class ReceiptEngine(Protocol):
    """What of L1's engine is asked."""

    def receipt_json(self, block: bytes, receipts: bytes, index: int) -> bytes:
        """One receipt."""


class Outcomes:
    """Outcomes on one process's L1."""

    def __init__(self, chain: HoldingChain, engine: ReceiptEngine) -> None:
        self._chain = chain
        self._engine = engine

    def of(self, transaction_hash: Hash32) -> Outcome | None:
        """What became of a transaction; None where the chain does not hold it."""
        found = self._chain.transaction_block(transaction_hash)
        if found is None:
            return None
        block, index = found
        receipt = orjson.loads(self._engine.receipt_json(block.rlp, block.receipts, index))
        return Outcome(number=block.header.number, succeeded=receipt["status"] == "0x1")
