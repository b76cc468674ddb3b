"""From blocks to a signed append: what runs beside the loop for each batch.

    Start (where the chain of records stands) + blocks -> pack -> [spoiled on purpose] -> record -> call data -> sign -> Post

Deliberately absent: which blocks, which nonce, when (service).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from node.contracts import bindings
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.primitives import Address, BlockNumber, Hash32
from node.execution.engine import PackedBlock
from node.rollup.records import Record, RecordKind, next_accumulator, origins_hash
from sequencer.batching.fees import Fee
from sequencer.batching.gas import append_gas
from sequencer.batching.misbehaving import Deed, spoiled
from sequencer.batching.packing import Packer
from sequencer.batching.planning import Extent, Post
from sequencer.batching.signing import CALL_DATA_FIELD, L1Account, gas_limit
from sequencer.batching.unposted import UnpostedBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What one batch is to be made of."""

    extent: Extent
    """What it continues."""
    parent_hash: Hash32
    """Hash of the L2 block before its first."""
    origin_hash: Hash32
    """Hash of that block's L1 origin."""
    nonce: int
    """Of the account."""
    fee: Fee
    """What it offers."""
    l1_number: int
    """L1's head."""
    blocks: Sequence[UnpostedBlock]
    """What is there to be posted; the batch takes as many as fit."""
    claimed: Sequence[PackedBlock] | None
    """What the batch is to say instead; None for what they are."""
    deed: Deed | None
    """What to do wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A signed append."""

    post: Post
    """As it is sent and remembered."""
    batch_bytes: int
    """Length of what stands for the batch."""
    transaction_count: int
    """User transactions of the blocks it carries."""


def make_post(order: Order, packer: Packer, account: L1Account, inbox: Address) -> Made:
    """Pack and sign one batch."""
    claimed = order.claimed
    packed = packer.pack([one.packed for one in order.blocks] if claimed is None else claimed)
    carried = order.blocks[: packed.block_count]
    data = packed.data
    if order.deed is not None:
        data = spoiled(order.deed, data)
    record = _record(order, carried, data)
    before = order.extent
    after = Extent(
        next_block=record.first_block + record.block_count,
        origin=record.origin,
        accumulator=next_accumulator(before.accumulator, record),
    )
    last_hash = carried[-1].hash
    first_block = before.next_block
    if order.deed is Deed.OVERLAPPING:
        # The Inbox will refuse it, so it leaves everything as it is, for the batch that comes after.
        after, last_hash, first_block = before, order.parent_hash, max(0, first_block - 1)
    call_data = bindings.append(
        data,
        first_block=first_block,
        block_count=record.block_count,
        origin=record.origin,
        expected=before.accumulator,
    )
    unsigned = Post(
        nonce=order.nonce,
        before=before.accumulator,
        after=after,
        last_hash=last_hash,
        gas_limit=gas_limit(call_data, append_gas(data, record.advances)),
        fee=order.fee,
        hash=Hash32(bytes(32)),
        raw=b"",
        sent_at=order.l1_number,
    )
    return Made(
        post=_signed(unsigned, call_data, account, inbox),
        batch_bytes=len(data),
        transaction_count=packed.transaction_count,
    )


def signed_again(post: Post, account: L1Account, inbox: Address) -> Post:
    """Sign a post anew, with the fee it has now."""
    fields = rlp.as_list(rlp.decode(post.raw[1:]))
    return _signed(post, rlp.as_bytes(fields[CALL_DATA_FIELD]), account, inbox)


def _signed(post: Post, call_data: bytes, account: L1Account, inbox: Address) -> Post:
    done = account.sign(
        nonce=post.nonce,
        to=inbox,
        call_data=call_data,
        gas_limit=post.gas_limit,
        fee=post.fee,
    )
    return replace(post, hash=done.hash, raw=done.raw)


def _record(order: Order, carried: Sequence[UnpostedBlock], data: bytes) -> Record:
    """What the Inbox will keep of a batch."""
    reached = [one.origin.hash for one in carried if one.packed.advances_origin]
    return Record(
        kind=RecordKind.BATCH,
        batch_hash=keccak256(data),
        first_block=BlockNumber(order.extent.next_block),
        block_count=len(carried),
        previous_origin=BlockNumber(order.extent.origin),
        origin=BlockNumber(carried[-1].origin.number),
        origins_hash=origins_hash([order.origin_hash, *reached]),
    )
