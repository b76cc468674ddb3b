"""`eth`: the blobs of a block or of a transaction, for as long as they are kept.

    eth_getBlobSidecars(block, full = true)       eth_getBlobSidecarByTxHash(hash, full = true)

No method of Ethereum's own JSON-RPC gives blobs; names and shape are those of the chains that have one (BNB Smart Chain).
`proofs` are those of the cells (EIP-7594), 128 for each blob. With `full` false a blob is its first 32 bytes.
Blobs that are no longer kept are error 4444, as history that a node has dropped is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from node.eth.blobs import COMMITMENT_BYTES, Blob
from node.eth.blocks import Block
from node.eth.primitives import Hash32
from node.rpc import parameters
from node.rpc.blocks import Blocks
from node.rpc.dispatch import Caller, Method
from node.rpc.jsonrpc import RpcError
from node.rpc.parameters import Params, Tag

PRUNED: Final = 4444
"""geth's code for history that is not kept."""

SHORT_BYTES: Final = 32
"""What is shown of a blob where it is not asked for in full."""


class BlobTransaction(Protocol):
    """A blob transaction's place in its block."""

    @property
    def index(self) -> int:
        """Its index."""

    @property
    def hash(self) -> Hash32:
        """Its hash."""

    @property
    def blob_hashes(self) -> tuple[Hash32, ...]:
        """Versioned hashes of its blobs."""


class BlobReader(Protocol):
    """What finds blob transactions."""

    def blob_transactions(self, block: bytes) -> Sequence[BlobTransaction]:
        """Blob transactions of an RLP block, in order."""


class KeptBlobs(Protocol):
    """Where blobs lie."""

    async def load(self, hashes: Sequence[Hash32]) -> tuple[Blob, ...] | None:
        """These blobs, in order; None if one of them is not here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobParts:
    """Where blobs are found."""

    reader: BlobReader
    """Reads blocks."""
    kept: KeptBlobs
    """Blobs by versioned hash."""


class BlobsNamespace:
    """Reads blobs."""

    def __init__(self, blocks: Blocks, engine: BlobReader, blobs: KeptBlobs) -> None:
        self._blocks: Final = blocks
        self._engine: Final = engine
        self._blobs: Final = blobs

    def methods(self) -> dict[str, Method]:
        """The methods of this module."""
        return {
            "eth_getBlobSidecars": Method(self.of_block, 2),
            "eth_getBlobSidecarByTxHash": Method(self.of_transaction, 2),
        }

    async def of_block(self, params: Params, _: Caller) -> object:
        """Every blob transaction's blobs, in block order; null where there is no such block."""
        block_id = parameters.required_block_id(params, 0)
        full = parameters.boolean(params, 1, default=True)
        block = None if block_id is Tag.PENDING else self._blocks.find(block_id)
        if block is None:
            return None
        return [await self._sidecar(block, one, full=full) for one in self._listed(block)]

    async def of_transaction(self, params: Params, _: Caller) -> object:
        """One transaction's blobs; null where no canonical block holds it, or it carries none."""
        wanted = Hash32(parameters.hash32(params, 0))
        full = parameters.boolean(params, 1, default=True)
        found = self._blocks.chain.transaction_block(wanted)
        if found is None:
            return None
        for one in self._listed(found[0]):
            if one.hash == wanted:
                return await self._sidecar(found[0], one, full=full)
        return None

    def _listed(self, block: Block) -> Sequence[BlobTransaction]:
        return self._engine.blob_transactions(block.rlp) if block.header.blob_gas_used else ()

    async def _sidecar(
        self, block: Block, transaction: BlobTransaction, *, full: bool
    ) -> dict[str, object]:
        blobs = await self._blobs.load(transaction.blob_hashes)
        if blobs is None:
            raise RpcError(PRUNED, "pruned history unavailable")
        return {
            "blobSidecar": {
                "blobs": [_hex(one.data if full else one.data[:SHORT_BYTES]) for one in blobs],
                "commitments": [_hex(one.commitment) for one in blobs],
                "proofs": [
                    _hex(one.proofs[start : start + COMMITMENT_BYTES])
                    for one in blobs
                    for start in range(0, len(one.proofs), COMMITMENT_BYTES)
                ],
            },
            "blockHash": _hex(block.hash),
            "blockNumber": hex(block.header.number),
            "txHash": _hex(transaction.hash),
            "txIndex": hex(transaction.index),
        }


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()
