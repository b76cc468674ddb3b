"""How many blocks one append takes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial

from hypothesis import given, settings, strategies as st

from node.eth import rlp
from node.execution.adapter import decode_batch, encode_batch
from node.execution.engine import PackedBlock
from sequencer.batching.packing import (
    ADVANCES_MAX,
    BLOCKS_MAX,
    Packer,
    PackingLimits,
    size_of,
)

LIMITS = PackingLimits(batch_bytes_max=32_768, decompressed_bytes_max=262_144)


def packer(limits: PackingLimits = LIMITS) -> Packer:
    return Packer(partial(encode_batch, quality=5), limits)


def block(*sizes: int, seed: int = 0, advances: bool = False) -> PackedBlock:
    dice = random.Random(seed)
    return PackedBlock(
        1_700_000_000 + seed, advances, tuple(dice.randbytes(size) for size in sizes)
    )


def test_a_stream_of_transfers_fills_batches_with_two_encodes_each_or_fewer() -> None:
    # Given more blocks than a batch holds, again and again
    ours = packer()
    blocks = [block(110, seed=seed) for seed in range(2_000)]
    batches = 0
    while len(blocks) > 300:
        packed = ours.pack(blocks)
        # Then each is nearly full, and holds the blocks from the first on
        assert 0.94 * 32_768 <= len(packed.data) <= 32_768
        count = packed.block_count
        assert decode_batch(packed.data, 262_144, count) == tuple(blocks[:count])
        assert packed.transaction_count == count
        assert packed.is_full
        blocks = blocks[count:]
        batches += 1
    assert ours.encodes <= 2 * batches


def test_what_compresses_well_is_packed_until_a_limit_before_compression() -> None:
    # Given transactions of zeros
    blocks = [PackedBlock(0, False, (bytes(20_000),)) for _ in range(40)]
    packed = packer().pack(blocks)
    # Then what comes out of the batch stays below the limit
    assert packed.block_count == 13
    assert decode_batch(packed.data, 262_144, 13) is not None


def test_records_have_a_bound_on_blocks_and_on_origins() -> None:
    empty = [block(seed=seed) for seed in range(700)]
    assert packer().pack(empty).block_count == BLOCKS_MAX
    advancing = [block(seed=seed, advances=True) for seed in range(700)]
    assert packer().pack(advancing).block_count == ADVANCES_MAX


def test_the_largest_block_there_can_be_fits() -> None:
    assert packer().pack([block(*[1_000] * 31, 744)]).block_count == 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 9_000), max_size=3), min_size=1, max_size=60),
    st.integers(0, 2**32),
    st.booleans(),
)
def test_any_blocks_give_a_batch_within_the_limits(
    shapes: Sequence[Sequence[int]], seed: int, compressible: bool
) -> None:
    blocks = [block(*sizes, seed=seed + place) for place, sizes in enumerate(shapes)]
    if compressible:
        blocks = [
            PackedBlock(
                one.timestamp, place % 7 == 0, tuple(bytes(len(raw)) for raw in one.transactions)
            )
            for place, one in enumerate(blocks)
        ]
    ours = packer()
    packed = ours.pack(blocks)
    assert 1 <= packed.block_count <= len(blocks)
    assert len(packed.data) <= 32_768
    assert decode_batch(packed.data, 262_144, packed.block_count) == tuple(
        blocks[: packed.block_count]
    )
    assert packed.is_full == (packed.block_count < len(blocks))
    assert ours.encodes <= 9


@given(st.lists(st.integers(0, 70_000), max_size=4), st.integers(0, 2**64 - 1), st.booleans())
def test_the_size_before_compression_is_a_bound(
    sizes: Sequence[int], timestamp: int, advances: bool
) -> None:
    one = PackedBlock(timestamp, advances, tuple(bytes(size) for size in sizes if size < 65_000))
    encoded = rlp.encode((one.timestamp, one.advances_origin, one.transactions))
    assert len(encoded) <= size_of(one)


def test_whether_a_batch_is_full_is_told_from_the_last_ratio() -> None:
    ours = packer()
    blocks = [block(110, seed=seed) for seed in range(1_000)]
    sizes = [size_of(one) for one in blocks]
    count = ours.pack(blocks).block_count
    assert ours.fills(count + 20, sum(sizes[: count + 20]))
    assert not ours.fills(count // 2, sum(sizes[: count // 2]))
    assert not ours.is_plenty(count + 20, sum(sizes[: count + 20]))
    assert ours.is_plenty(2 * count, sum(sizes[: 2 * count]))
    assert ours.fills(BLOCKS_MAX, 0)
