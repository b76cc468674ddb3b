"""What tests of deriving share: appends as a batcher signs them, and a replica that comes late."""

from __future__ import annotations

from node.contracts import bindings
from node.execution.adapter import encode_batch
from node.execution.engine import PackedBlock
from node.rollup.records import InboxTip
from sequencer.batching.fees import Fee
from tests.kit.model_l1 import ModelBlock, ModelTree
from tests.kit.model_l2 import L2Node, batcher_account

FEE = Fee(max_fee_wei=10**10, tip_wei=10**9)


def appended(
    tree: ModelTree, nonce: int, tip: InboxTip, batch: bytes, *, blocks: int, origin: int
) -> bytes:
    """A signed append."""
    call = bindings.append(
        batch,
        first_block=tip.next_block,
        block_count=blocks,
        origin=origin,
        expected=tip.accumulator,
    )
    account = batcher_account()
    return account.sign(
        nonce=nonce, to=tree.parameters.inbox, call_data=call, gas_limit=10**6, fee=FEE
    ).raw


def packed(node: L2Node, first: int) -> list[PackedBlock]:
    """The blocks of a node from a number on, as a batch says them."""
    found: list[PackedBlock] = []
    for block in node.chain.blocks[first:]:
        parent = node.chain.blocks[block.header.number - 1]
        origin, before = (node.chain.origins[one.hash].number for one in (block, parent))
        raws = node.engine.raw_transactions(block.rlp)
        users = tuple(raw for raw in raws if raw[0] != 0x7E)
        found.append(PackedBlock(block.header.timestamp, origin != before, users))
    return found


def post(node: L2Node, nonce: int, first: int) -> bytes:
    """An append of all blocks of a node from a number on."""
    blocks = packed(node, first)
    return appended(
        node.l1.tree,
        nonce,
        node.l1.tip_block.tip,
        encode_batch(blocks, 5),
        blocks=len(blocks),
        origin=node.chain.origins[node.chain.head.hash].number,
    )


def hashes(node: L2Node, last: int | None = None) -> list[bytes]:
    """Hashes of a node's blocks from genesis on."""
    blocks = node.chain.blocks if last is None else node.chain.blocks[: last + 1]
    return [block.hash for block in blocks]


async def late_replica(node: L2Node, head: ModelBlock | None = None) -> L2Node:
    """A node that knows nothing but L1."""
    late = L2Node(node.l1.tree)
    late.l1.adopt(head or node.l1.tip_block)
    async with late.running():
        await late.caught_up()
    return late
