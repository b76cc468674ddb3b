"""L1 as the L2 reads it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio
from hypothesis import given, strategies as st

from node.contracts import bindings
from node.errors import Corruption
from node.eth.primitives import Address
from node.execution.answers import RawLog
from node.rollup.deposits import user_deposits
from node.rollup.records import RECORD_APPENDED
from sequencer.batching.fees import Fee
from sequencer.l1.latest import Latest
from sequencer.l1.places import L1Ref
from sequencer.l1.view import ORIGINS_MAX, L1View, bloom_bits, may_hold, reference
from tests.kit.model_l1 import ModelDeposit, ModelL1, ModelTree
from tests.kit.model_l2 import batcher_account, model_parameters


def view_of(l1: ModelL1) -> L1View:
    return L1View(l1, l1, l1.tree.parameters)


def garbage(l1: ModelL1, nonce: int, batch: bytes) -> bytes:
    """An append of one block."""
    tip = l1.tip_block.tip
    call = bindings.append(
        batch, first_block=tip.next_block, block_count=1, origin=0, expected=tip.accumulator
    )
    fee = Fee(max_fee_wei=10**10, tip_wei=10**9)
    inbox = l1.tree.parameters.inbox
    return (
        batcher_account().sign(nonce=nonce, to=inbox, call_data=call, gas_limit=10**6, fee=fee).raw
    )


async def test_deposits_are_made_again_from_logs_and_hash_to_the_header() -> None:
    # Given a block with two deposits among other logs
    l1 = ModelL1(ModelTree(model_parameters()))
    made = l1.mine([garbage(l1, 0, b"x")], [ModelDeposit(), ModelDeposit(data=b"second")])
    # When it is read as an origin
    origin = view_of(l1).origin(1)
    # Then its requests are what its header commits to
    assert origin is not None
    assert [one.data for one in user_deposits(origin.hash, origin.requests)] == [b"", b"second"]
    assert origin.header == made.block.header
    assert view_of(l1).origin(0) is not None
    assert view_of(l1).origin(2) is None


async def test_records_are_found_where_the_bloom_filter_lets_them_be() -> None:
    l1 = ModelL1(ModelTree(model_parameters()))
    for _ in range(3):
        l1.mine()
    made = l1.mine([garbage(l1, 0, b"first")])
    l1.mine(deposits=[ModelDeposit()])
    view = view_of(l1)
    assert view.candidates(1, 5) == [reference(made.block)]
    (found,) = view.records_of(reference(made.block))
    assert found.logged.batch == b"first"
    assert (found.block, found.log_index) == (reference(made.block), 0)


async def test_a_log_that_no_inbox_writes_is_no_l1_of_ours() -> None:
    l1 = ModelL1(ModelTree(model_parameters()))
    made = l1.mine()
    log = RawLog(0, (RECORD_APPENDED, bytes(32), bytes(32)), b"too short")
    inbox = l1.tree.parameters.inbox
    l1.tree.blocks[made.block.hash] = replace(made, logs=[(inbox, log)])
    with pytest.raises(Corruption, match="log 0 of L1 block 1 is no record"):
        view_of(l1).records_of(reference(made.block))


async def test_what_is_confirmed_but_not_canonical_here_is_no_origin() -> None:
    l1 = ModelL1(ModelTree(model_parameters()))
    l1.mine()
    other = l1.tree.make(l1.tree.genesis, (), ())

    class Confirming(ModelL1):
        confirmed = other.block

    seen = Confirming(l1.tree)
    seen.adopt(l1.tip_block)
    assert view_of(seen).confirmed == reference(l1.tree.genesis.block)
    assert view_of(l1).confirmed == reference(l1.head)


async def test_followers_hear_of_heads_and_of_finality() -> None:
    l1 = ModelL1(ModelTree(model_parameters()))
    view = view_of(l1)
    async with trio.open_nursery() as nursery:
        await nursery.start(view.run)
        version = view.moved.version
        l1.mine()
        version = await view.moved.past(version)
        assert view.moved.value == reference(l1.head)
        l1.finalize(1)
        await view.moved.past(version)
        assert view.finalized == reference(l1.head)
        nursery.cancel_scope.cancel()


async def test_a_lapsed_view_looks_for_itself() -> None:
    l1 = ModelL1(ModelTree(model_parameters()))
    view = view_of(l1)
    async with trio.open_nursery() as nursery:
        await nursery.start(view.run)
        for _ in range(1_000):
            l1.mine()
        with trio.fail_after(10):
            while view.moved.value.number != 1_000:
                await view.moved.past(view.moved.version)
        l1.mine()
        await view.moved.past(view.moved.version)
        assert view.moved.value.number == 1_001
        nursery.cancel_scope.cancel()


async def test_origins_in_memory_are_bounded() -> None:
    l1 = ModelL1(ModelTree(model_parameters()))
    view = view_of(l1)
    for _ in range(ORIGINS_MAX + 10):
        l1.mine()
    first = view.origin(1)
    for number in range(2, ORIGINS_MAX + 11):
        view.origin(number)
    assert view.origin(1) == first
    assert view.origin(1) is not first


async def test_nonces_are_read_from_the_block_that_is_asked_for() -> None:
    l1 = ModelL1(ModelTree(model_parameters()))
    view = view_of(l1)
    address = batcher_account().address
    before = l1.mine()
    after = l1.mine([garbage(l1, 0, b"x")])
    assert view.nonce(before.block.hash, address) == 0
    assert view.nonce(after.block.hash, address) == 1
    assert view.nonce(L1Ref(number=9, hash=after.block.header.parent_hash).hash, address) == 0
    assert view.nonce(after.block.header.mix_hash, address) is None


@given(st.binary(min_size=20, max_size=20), st.binary(min_size=256, max_size=256))
def test_a_bloom_filter_never_excludes_what_it_holds(address: bytes, noise: bytes) -> None:
    bits = bloom_bits(Address(address))
    held = (int.from_bytes(noise) | bits).to_bytes(256)
    assert may_hold(held, bits)
    assert not may_hold(bytes(256), bits)


async def test_a_value_that_changes_wakes_whoever_waits_once() -> None:
    latest = Latest(0)
    seen: list[int] = []

    async def watch() -> None:
        version = latest.version
        for _ in range(2):
            version = await latest.past(version)
            seen.append(latest.value)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        await trio.testing.wait_all_tasks_blocked()
        latest.set(1)
        latest.set(2)
        await trio.testing.wait_all_tasks_blocked()
        assert seen == [2]
        latest.set(3)
    assert seen == [2, 3]
