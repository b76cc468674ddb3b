"""Which appends still hold, whatever L1 did meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from node.eth.primitives import BlockNumber, Hash32
from node.rollup.records import GENESIS_TIP, InboxTip
from sequencer.batching.fees import Fee
from sequencer.batching.planning import (
    REMEMBERED_MAX,
    Extent,
    Post,
    overdue,
    replaced,
    settle,
)

FEE = Fee(max_fee_wei=100, tip_wei=10)


def word(number: int) -> Hash32:
    return Hash32(number.to_bytes(32))


def post(nonce: int, *, sent_at: int = 0, fee: Fee = FEE) -> Post:
    """The n-th append of a chain in which each carries ten blocks and one origin."""
    return Post(
        nonce=nonce,
        before=word(nonce),
        after=Extent(next_block=10 * nonce + 11, origin=nonce + 1, accumulator=word(nonce + 1)),
        last_hash=word(10 * nonce + 10),
        gas_limit=0,
        fee=fee,
        hash=word(1_000 + nonce),
        raw=b"",
        sent_at=sent_at,
    )


def tip(count: int) -> InboxTip:
    """The Inbox after so many of those appends."""
    return InboxTip(
        record_count=count,
        next_block=BlockNumber(10 * count + 1),
        last_origin=BlockNumber(count),
        accumulator=word(count),
    )


def anything(number: int, block_hash: Hash32) -> bool:
    return True


def posts(count: int) -> list[Post]:
    return [post(nonce) for nonce in range(count)]


def nonces(found: Sequence[Post]) -> list[int]:
    return [one.nonce for one in found]


def test_with_nothing_on_its_way_the_next_batch_continues_the_inbox() -> None:
    settled = settle((), GENESIS_TIP, nonce=0, final_nonce=0, is_local=anything)
    assert settled.extent == Extent(next_block=1, origin=0, accumulator=word(0))
    assert (settled.next_nonce, settled.live, settled.loose) == (0, (), 0)


def test_posts_that_l1_took_are_kept_until_it_has_finalized_them() -> None:
    # Given three posts, of which L1 has taken two and finalized one
    settled = settle(posts(3), tip(2), nonce=2, final_nonce=1, is_local=anything)
    # Then the last is live, and the second is remembered
    assert nonces(settled.live) == [2]
    assert nonces(settled.posts) == [1, 2]
    assert settled.extent.next_block == 31
    assert settled.next_nonce == 3


def test_a_reorganisation_finds_the_posts_that_it_dropped_as_they_were() -> None:
    # Given two posts that L1 had taken
    kept = settle(posts(3), tip(2), nonce=2, final_nonce=0, is_local=anything).posts
    # When it has dropped both
    settled = settle(kept, tip(0), nonce=0, final_nonce=0, is_local=anything)
    # Then all three are on their way again
    assert nonces(settled.live) == [0, 1, 2]
    assert settled.loose == 0


def test_a_record_of_somebody_else_breaks_the_chain_and_frees_the_nonces() -> None:
    # Given posts for an Inbox that a forced record has changed
    forced = InboxTip(
        record_count=1, next_block=BlockNumber(5), last_origin=BlockNumber(4), accumulator=word(77)
    )
    settled = settle(posts(3), forced, nonce=0, final_nonce=0, is_local=anything)
    assert settled.live == ()
    assert settled.loose == 3
    assert settled.next_nonce == 0
    assert settled.extent == Extent(next_block=5, origin=4, accumulator=word(77))


def test_a_post_that_reverted_breaks_the_chain_after_it() -> None:
    # Given a nonce that is used up and a record that is not there
    settled = settle(posts(3), tip(0), nonce=1, final_nonce=0, is_local=anything)
    assert settled.live == ()
    assert settled.loose == 2
    assert settled.next_nonce == 1


@pytest.mark.parametrize("first_gone", [0, 1, 2])
def test_posts_of_blocks_that_the_l2_dropped_are_not_waited_for(first_gone: int) -> None:
    # Given a reset of the L2 below the last block of some post
    def is_local(number: int, block_hash: Hash32) -> bool:
        assert block_hash == word(number)
        return number <= 10 * first_gone

    settled = settle(posts(3), tip(0), nonce=0, final_nonce=0, is_local=is_local)
    assert nonces(settled.live) == list(range(first_gone))
    assert settled.loose == 3 - first_gone
    assert settled.next_nonce == first_gone


def test_memory_is_bounded_when_l1_finalizes_nothing() -> None:
    many = posts(REMEMBERED_MAX + 50)
    settled = settle(many, tip(len(many)), nonce=len(many), final_nonce=0, is_local=anything)
    assert len(settled.posts) == REMEMBERED_MAX
    assert settled.posts[-1] == many[-1]


@given(
    st.integers(0, 8),
    st.integers(0, 8),
    st.integers(0, 8),
    st.integers(0, 8),
    st.sets(st.integers(0, 7)),
)
def test_what_is_live_is_always_a_chain_from_the_inbox(
    count: int, taken: int, nonce: int, final_nonce: int, missing: set[int]
) -> None:
    known = [one for one in posts(count) if one.nonce not in missing]
    settled = settle(
        known, tip(taken), nonce=nonce, final_nonce=min(nonce, final_nonce), is_local=anything
    )
    extent = Extent(
        next_block=tip(taken).next_block, origin=taken, accumulator=tip(taken).accumulator
    )
    for place, one in enumerate(settled.live):
        assert one.nonce == nonce + place
        assert one.before == extent.accumulator
        extent = one.after
    assert settled.extent == extent
    assert settled.next_nonce == nonce + len(settled.live)
    remembered = nonces(settled.posts)
    assert remembered == list(range(settled.next_nonce - len(remembered), settled.next_nonce))


def test_only_the_first_post_decides_whether_l1_is_late() -> None:
    old, young = post(0, sent_at=10), post(1, sent_at=13)
    assert overdue([old, young], 13, 4) == ()
    assert overdue([old, young], 14, 4) == (old,)
    assert overdue([old, young], 17, 4) == (old, young)
    assert overdue([young], 14, 4) == ()
    assert overdue([], 99, 4) == ()


def test_a_post_sent_again_takes_its_place() -> None:
    again = post(1, sent_at=5)
    assert replaced(posts(3), again) == (post(0), again, post(2))
