"""Blobs over JSON-RPC: of a block, of a transaction, and once they are gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest

from node.eth.blobs import Blob
from node.eth.blocks import Block
from node.eth.headers import Header
from node.eth.primitives import ZERO_ADDRESS, ZERO_HASH, Hash32
from node.execution.engine import BlobTransaction
from node.rpc.blocks import Blocks
from node.rpc.dispatch import Caller
from node.rpc.jsonrpc import RpcError
from node.rpc.namespaces.blobs import BlobsNamespace
from node.rpc.parameters import BlockId
from tests.node.blobs.test_keeper import blob, name

CALLER = cast("Caller", None)
FIRST, SECOND = Hash32(b"\x01" * 32), Hash32(b"\x02" * 32)


def block(number: int, blobs: int) -> Block:
    """A block with so many blobs."""
    header = Header(
        parent_hash=ZERO_HASH,
        fee_recipient=ZERO_ADDRESS,
        state_root=ZERO_HASH,
        number=number,
        gas_limit=0,
        gas_used=0,
        timestamp=number,
        extra_data=b"",
        mix_hash=ZERO_HASH,
        base_fee_per_gas=1,
        parent_beacon_block_root=ZERO_HASH,
        blob_gas_used=131_072 * blobs,
    )
    return Block(hash=header.hash(), header=header, rlp=b"block", receipts=b"")


WITH = block(5, 3)
WITHOUT = block(6, 0)


@dataclass(slots=True)
class Node:
    """Stands for blocks, engine and keeper."""

    kept: dict[Hash32, Blob] = field(
        default_factory=lambda: {name(number): blob(number) for number in (1, 2, 3)}
    )

    @property
    def chain(self) -> Node:
        return self

    def find(self, block_id: BlockId) -> Block | None:
        return {5: WITH, 6: WITHOUT}.get(cast("int", block_id))

    def transaction_block(self, transaction_hash: Hash32) -> tuple[Block, int] | None:
        return {FIRST: (WITH, 2), SECOND: (WITH, 4), WITHOUT.hash: (WITHOUT, 0)}.get(
            transaction_hash
        )

    def blob_transactions(self, block: bytes) -> Sequence[BlobTransaction]:
        return (
            BlobTransaction(index=2, hash=FIRST, blob_hashes=(name(1),)),
            BlobTransaction(index=4, hash=SECOND, blob_hashes=(name(2), name(3))),
        )

    async def load(self, hashes: Sequence[Hash32]) -> tuple[Blob, ...] | None:
        found = tuple(self.kept[one] for one in hashes if one in self.kept)
        return found if len(found) == len(hashes) else None


def namespace(node: Node) -> BlobsNamespace:
    return BlobsNamespace(cast("Blocks", node), node, node)


async def test_a_blocks_blobs_come_by_transaction() -> None:
    found = await namespace(Node()).of_block(("0x5",), CALLER)
    assert isinstance(found, list)
    assert [(one["txHash"], one["txIndex"]) for one in found] == [
        ("0x" + FIRST.hex(), "0x2"),
        ("0x" + SECOND.hex(), "0x4"),
    ]
    assert found[1]["blockHash"] == "0x" + WITH.hash.hex()
    assert found[1]["blockNumber"] == "0x5"
    sidecar = found[1]["blobSidecar"]
    assert sidecar["blobs"] == ["0x" + blob(number).data.hex() for number in (2, 3)]
    assert sidecar["commitments"] == ["0x" + blob(number).commitment.hex() for number in (2, 3)]
    assert len(sidecar["proofs"]) == 2 * 128
    assert "".join(one[2:] for one in sidecar["proofs"][128:]) == blob(3).proofs.hex()


async def test_a_short_answer_tells_blobs_by_their_start() -> None:
    found = await namespace(Node()).of_transaction(("0x" + FIRST.hex(), False), CALLER)
    assert isinstance(found, dict)
    assert found["blobSidecar"]["blobs"] == ["0x" + bytes(32).hex()]


async def test_where_there_is_nothing_there_is_null_or_nothing() -> None:
    served = namespace(Node())
    assert await served.of_block(("0x6",), CALLER) == []
    assert await served.of_block(("0x7",), CALLER) is None
    assert await served.of_block(("pending",), CALLER) is None
    assert await served.of_transaction(("0x" + ZERO_HASH.hex(),), CALLER) is None
    assert await served.of_transaction(("0x" + WITHOUT.hash.hex(),), CALLER) is None


async def test_blobs_that_are_no_longer_kept_are_pruned_history() -> None:
    node = Node()
    del node.kept[name(3)]
    with pytest.raises(RpcError, match="pruned history unavailable") as refused:
        await namespace(node).of_block(("0x5",), CALLER)
    assert refused.value.code == 4444
    assert isinstance(await namespace(node).of_transaction(("0x" + FIRST.hex(),), CALLER), dict)
