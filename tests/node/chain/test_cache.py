"""Blocks in memory are bounded, and what is not in memory is read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.chain.cache import CACHE_BLOCKS_MAX, CACHE_BYTES_MAX, BlockCache, BlockRun
from node.eth.blocks import Block
from node.eth.headers import decode_header
from node.eth.primitives import Hash32
from node.storage.chain_database import ChainDatabase
from tests.kit.chain_harness import make_network
from tests.kit.memory_tables import MemoryTables


def some_block() -> Block:
    builder = make_network(1).builder
    built = builder.blocks[builder.genesis_hash]
    header = decode_header(built.header)
    return Block(hash=built.hash, header=header, rlp=built.result.block, receipts=b"")


def empty_cache() -> BlockCache:
    return BlockCache(ChainDatabase(MemoryTables(), folder="folder"))


def test_the_number_of_blocks_is_bounded_and_the_least_used_goes() -> None:
    cache, block = empty_cache(), some_block()
    hashes = [Hash32(number.to_bytes(32)) for number in range(CACHE_BLOCKS_MAX + 1)]
    for block_hash in hashes[:-1]:
        cache.put(replace(block, hash=block_hash))
    assert cache.get(hashes[0]) is not None

    cache.put(replace(block, hash=hashes[-1]))

    assert cache.get(hashes[0]) is not None
    assert cache.get(hashes[1]) is None
    assert len(cache._blocks) == CACHE_BLOCKS_MAX


def test_their_bytes_are_bounded_and_given_back() -> None:
    cache, block = empty_cache(), some_block()
    large = bytes(CACHE_BYTES_MAX // 4)
    hashes = [Hash32(number.to_bytes(32)) for number in range(10)]
    for block_hash in hashes:
        cache.put(replace(block, hash=block_hash, rlp=large))
        cache.put(replace(block, hash=block_hash, rlp=large))

    assert [cache.get(one) is not None for one in hashes] == [False] * 7 + [True] * 3
    for block_hash in hashes:
        cache.forget(block_hash)
    assert cache._bytes == 0


def test_a_run_of_blocks_reads_them_one_by_one_and_leaves_out_what_is_gone() -> None:
    cache, block = empty_cache(), some_block()
    hashes = [Hash32(number.to_bytes(32)) for number in range(4)]
    assert not BlockRun((), cache)
    for block_hash in hashes:
        cache.put(replace(block, hash=block_hash))
    run = BlockRun(hashes, cache)
    cache.forget(hashes[2])

    assert len(run) == 4
    assert [one.hash for one in run] == [hashes[0], hashes[1], hashes[3]]
    assert [one.hash for one in reversed(run)] == [hashes[3], hashes[1], hashes[0]]
    assert [one.hash for one in run[-2:]] == [hashes[3]]
    assert run[0].hash == hashes[0]
    with pytest.raises(KeyError):
        run[2]
    with pytest.raises(IndexError):
        run[4]
