"""Appends on their way to L1: which of them still hold, and what the next one must connect to. PURE.

    Inbox on L1's head + account nonce there -> settle -> live posts (a chain of accumulators), extent, next nonce
    live posts -> overdue -> which are sent again

Each post expects the accumulator that the one before it leaves, so those that L1 takes, it takes in this order or not at
all. Whatever breaks the chain (a reorganisation, forceEmpty, a reset of the L2) frees the nonces from there on: they
are used again by batches made from what L1 really holds, at a fee that replaces the old ones.
Posts that L1 holds are kept until finality, so that a reorganisation finds them again as they were.
Deliberately absent: encoding, signing, sending, and time other than numbers of L1 blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from node.eth.primitives import Hash32
from node.rollup.records import InboxTip
from sequencer.batching.fees import Fee

REMEMBERED_MAX: Final = 256
"""Posts kept at most, 8 MiB: those of ten busy slots. Of more, the oldest are forgotten and would be made again."""

IsLocal = Callable[[int, Hash32], bool]
"""Whether the L2 chain of this node holds a block: its number and hash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Where a chain of records stands."""

    next_block: int
    """Number of the first L2 block after it."""
    origin: int
    """Number of the L1 origin it has reached."""
    accumulator: Hash32
    """Of the Inbox; 32 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """An append that was signed."""

    nonce: int
    """Of the batcher's account."""
    before: Hash32
    """The accumulator it expects; 32 bytes."""
    after: Extent
    """Where it leaves the Inbox."""
    last_hash: Hash32
    """Hash of its last L2 block on the chain of this node."""
    gas_limit: int
    """Of the transaction."""
    fee: Fee
    """What it offers."""
    hash: Hash32
    """Of the signed transaction."""
    raw: bytes
    """The signed transaction."""
    sent_at: int
    """L1 block number at which it was sent last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Posts against one state of L1."""

    posts: tuple[Post, ...]
    """All that are worth remembering, ascending nonces without a gap: those L1 holds above finality, then the live ones."""
    live: tuple[Post, ...]
    """Those that L1 does not hold and that connect to it, in order."""
    extent: Extent
    """What the next batch continues."""
    next_nonce: int
    """The next batch's nonce."""
    loose: int
    """How many waited for L1 and connect to it no more."""


def settle(
    posts: Sequence[Post], tip: InboxTip, *, nonce: int, final_nonce: int, is_local: IsLocal
) -> Settled:
    """Tell which posts hold on an L1 block with this Inbox; `posts` ascend by nonce.

    `nonce` is the account's on that block, `final_nonce` its nonce on the finalized one.
    """
    extent = Extent(next_block=tip.next_block, origin=tip.last_origin, accumulator=tip.accumulator)
    waiting = [post for post in posts if post.nonce >= nonce]
    live: list[Post] = []
    for post in waiting:
        connects = post.nonce == nonce + len(live) and post.before == extent.accumulator
        if not connects or not is_local(post.after.next_block - 1, post.last_hash):
            break
        live.append(post)
        extent = post.after
    held: list[Post] = []
    for post in reversed(posts):
        if final_nonce <= post.nonce == nonce - 1 - len(held):
            held.insert(0, post)
    return Settled(
        posts=(*held, *live)[-REMEMBERED_MAX:],
        live=tuple(live),
        extent=extent,
        next_nonce=nonce + len(live),
        loose=len(waiting) - len(live),
    )


def replaced(posts: Sequence[Post], post: Post) -> tuple[Post, ...]:
    """Put a post into the place of the one with its nonce."""
    return tuple(post if one.nonce == post.nonce else one for one in posts)


def overdue(live: Sequence[Post], l1_number: int, patience_blocks: int) -> tuple[Post, ...]:
    """Choose the live posts that L1 should have taken by now; those sent last wait for the ones before them."""
    if not live or l1_number - live[0].sent_at < patience_blocks:
        return ()
    return tuple(post for post in live if l1_number - post.sent_at >= patience_blocks)
