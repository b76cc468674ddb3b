"""Roots found in the logs of the real Registry, whatever L1 and others do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from bridge.games import publications
from bridge.games.publications import AGE_MAX, Publications
from node.contracts import disputes
from node.contracts.addresses import ROOT_REGISTRY
from node.contracts.alloc import DisputeTerms, dispute_allocations
from node.eth.blocks import Block
from node.eth.hashing import keccak256
from node.eth.headers import decode_header
from node.eth.primitives import ZERO_HASH, Hash32
from node.execution.engine import BlockResult
from node.rollup.claims import CHUNK_ROOTS, RootTree
from node.runtime.worker import InlineWorker
from tests.kit.contract_network import FORCER, Network
from tests.kit.execution_chain import header_bytes

TERMS = DisputeTerms(
    config_hash=Hash32(b"\xc0" * 32),
    anchor_root=Hash32(b"\xa0" * 32),
    window_blocks=6,
    quiet_blocks=3,
    air_gap_blocks=2,
    bond_wei=10**18,
)


def roots(count: int, salt: int = 0) -> tuple[Hash32, ...]:
    return tuple(keccak256(bytes([salt]) + number.to_bytes(8)) for number in range(count))


def as_block(result: BlockResult) -> Block:
    return Block(
        hash=Hash32(result.block_hash),
        header=decode_header(header_bytes(result.block)),
        rlp=result.block,
        receipts=result.receipts,
    )


@dataclass(slots=True)
class Registry:
    """The Registry on a chain of its own; also what of a chain is read."""

    network: Network = field(
        default_factory=lambda: Network.open(extra_accounts=dispute_allocations(TERMS))
    )
    final: int = 0
    canonical: list[Block] = field(default_factory=list)
    left: dict[Hash32, Block] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sync()

    def sync(self) -> None:
        """The network's chain is the canonical one."""
        self.canonical = [as_block(one) for one in self.network.world.chain.blocks]
        self.left |= {block.hash: block for block in self.canonical}

    def send(self, *calls: bytes) -> int:
        """One block with these calls; gives its number."""
        world = self.network.world
        raws = [world.signed(FORCER, ROOT_REGISTRY, data) for data in calls]
        assert all(receipt.succeeded for receipt in world.mine(raws))
        self.sync()
        return self.head.header.number

    def publish(self, published: Sequence[Hash32]) -> int:
        return self.send(disputes.publish(published))

    def leave(self, number: int) -> None:
        """L1 leaves every block from a number on."""
        world = self.network.world
        del world.chain.blocks[number:]
        world.nonces.clear()
        state = world.chain.engine.account(
            world.chain.head.state_root, bytes.fromhex(FORCER.address[2:])
        )
        assert state is not None
        world.nonces[FORCER.address] = state.nonce
        self.sync()

    def index(self) -> Publications:
        return Publications(self, self.network.world.chain.engine, InlineWorker())

    # -- a chain

    @property
    def head(self) -> Block:
        return self.canonical[-1]

    @property
    def finalized(self) -> Block:
        return self.canonical[self.final]

    def block_by_hash(self, block_hash: Hash32) -> Block | None:
        return self.left.get(block_hash)

    def canonical_hash(self, number: int) -> Hash32 | None:
        return self.canonical[number].hash if number < len(self.canonical) else None

    def blooms(self, first: int, last: int) -> list[tuple[Hash32, bytes]]:
        return [(one.hash, one.header.logs_bloom) for one in self.canonical[first : last + 1]]


async def test_one_publication_and_a_span_are_put_together() -> None:
    registry = Registry()
    small, large = RootTree(roots(3)), RootTree(roots(CHUNK_ROOTS + 5, salt=1))
    registry.publish(small.roots)
    for chunk in large.chunks:
        registry.publish(chunk.roots)
    trees, lasts = [one.tree for one in large.chunks], [one.last for one in large.chunks]
    made_in = registry.send(disputes.span(trees, lasts, len(large.roots)))
    index = registry.index()
    await index.catch_up()
    assert await index.find(small.id, made_in) == small.roots
    assert await index.find(large.id, made_in) == large.roots
    assert await index.find(Hash32(b"\x09" * 32), made_in) is None


async def test_zeros_behind_a_chunk_make_another_name_and_do_not_confuse_a_span() -> None:
    # Given two chunks of one tree: trees are filled up with zeros
    registry = Registry()
    large = RootTree(roots(CHUNK_ROOTS + 2))
    tail = large.chunks[1].roots
    registry.publish(large.chunks[0].roots)
    registry.publish(tail)
    registry.publish((*tail, ZERO_HASH))
    trees, lasts = [one.tree for one in large.chunks], [one.last for one in large.chunks]
    made_in = registry.send(disputes.span(trees, lasts, len(large.roots)))
    index = registry.index()
    await index.catch_up()
    assert await index.find(large.id, made_in) == large.roots


async def test_after_a_reorganisation_both_are_found_once_l1_holds_them() -> None:
    registry = Registry()
    index = registry.index()
    first, second = RootTree(roots(2)), RootTree(roots(2, salt=1))
    number = registry.publish(first.roots)
    await index.catch_up()
    # When L1 leaves the block and goes on with another one
    registry.leave(number)
    registry.publish(second.roots)
    number = registry.publish(roots(2, salt=2))
    await index.catch_up()
    assert await index.find(second.id, number) == second.roots
    # A name commits to its roots, so what is known of a block that was left is no lie
    assert await index.find(first.id, number) == first.roots


async def test_names_that_were_pushed_out_are_found_where_they_must_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publications, "NAMES_MAX", 4)
    registry = Registry()
    tree = RootTree(roots(2))
    published = registry.publish(tree.roots)
    for salt in range(1, 9):
        registry.publish(roots(1, salt=salt))
    index = registry.index()
    await index.catch_up()
    assert await index.find(tree.id, published + 1) == tree.roots


async def test_what_was_published_too_long_before_a_game_is_not_looked_for() -> None:
    registry = Registry()
    tree = RootTree(roots(2))
    published = registry.publish(tree.roots)
    registry.network.pass_blocks(2 * AGE_MAX + 8)
    registry.sync()
    index = registry.index()
    await index.catch_up()
    assert await index.find(tree.id, published + AGE_MAX + 1) is None
    assert await index.find(tree.id, published + AGE_MAX) == tree.roots
