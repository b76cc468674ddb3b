"""What the rest of a node does when the chain moves.

    Chain.subscribe -> HeadChanged -> pool follows -> JSON-RPC tells its subscribers
    SyncService     -> progress    -> JSON-RPC tells who subscribed to `syncing`

The pool follows first, so that who hears of a block finds its transactions gone from the pool.
A lapsed subscription is not an error: the follower looks at the chain as it is now, tells of the blocks that it missed, and
goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NoReturn, Protocol

import structlog
import trio

from node.chain.events import HeadChanged, Subscription
from node.eth.blocks import Block
from node.eth.primitives import Hash32
from node.rpc.backend import SyncProgress

MISSED_MAX: Final = 1_024
"""Blocks told of after a lapse; who missed more has to look for itself."""

RETURNED_MAX: Final = 64
"""Blocks that were dropped meanwhile whose transactions the pool takes back after a lapse, the old head first."""

SYNC_LOOK_S: Final = 0.5
"""How often catching up is looked at: a slot has several of these."""

_log = structlog.get_logger()


class FollowedChain(Protocol):
    """What is followed."""

    @property
    def head(self) -> Block:
        """The head."""

    def block_by_hash(self, block_hash: Hash32) -> Block | None:
        """Any kept block."""

    def canonical_hash(self, number: int) -> Hash32 | None:
        """Hash of the canonical block of a number."""

    def is_canonical(self, block_hash: Hash32) -> bool:
        """Whether a block lies on the head's chain."""

    def subscribe(self) -> Subscription:
        """Every event from now on."""


class FollowingPool(Protocol):
    """Follows first."""

    async def on_head(self, head: Block, dropped: Sequence[Block] = ()) -> None:
        """A new head; `dropped` blocks from the old head down."""


class FollowingRpc(Protocol):
    """Follows second."""

    async def head_changed(self, added: Sequence[Block], dropped: Sequence[Block]) -> None:
        """New blocks ascending, dropped ones from the old head down."""


async def follow_chain(
    chain: FollowedChain,
    pool: FollowingPool,
    rpc: FollowingRpc | None,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> NoReturn:
    """Pass on every change of the head, for ever."""
    told = chain.head
    started = False
    while True:
        with chain.subscribe() as events:
            head = chain.head
            dropped, added = missed(chain, told, head)
            await pool.on_head(head, _blocks(chain, dropped[:RETURNED_MAX]))
            if rpc is not None:
                await _tell_one_by_one(chain, rpc, dropped, added)
            told = head
            if not started:
                started = True
                task_status.started()
            async for event in events:
                if isinstance(event, HeadChanged):
                    await pool.on_head(event.head, event.dropped)
                    if rpc is not None:
                        await rpc.head_changed(event.added, event.dropped)
                    told = event.head
            _log.warning("chain_follower_lapsed", head=chain.head.header.number)


def missed(chain: FollowedChain, told: Block, head: Block) -> tuple[list[Hash32], list[Hash32]]:
    """What stopped being canonical since a block was the head, descending, and what became so, ascending."""
    dropped: list[Hash32] = []
    block: Block | None = told
    while block is not None and not chain.is_canonical(block.hash) and len(dropped) < MISSED_MAX:
        dropped.append(block.hash)
        block = chain.block_by_hash(block.header.parent_hash)
    fork_number = told.header.number - len(dropped)
    first = max(fork_number + 1, head.header.number + 1 - MISSED_MAX)
    numbers = range(first, head.header.number + 1)
    added = [found for one in numbers if (found := chain.canonical_hash(one)) is not None]
    return dropped, added


async def _tell_one_by_one(
    chain: FollowedChain, rpc: FollowingRpc, dropped: Sequence[Hash32], added: Sequence[Hash32]
) -> None:
    for block_hash in dropped:
        for block in _blocks(chain, (block_hash,)):
            await rpc.head_changed((), (block,))
    for block_hash in added:
        for block in _blocks(chain, (block_hash,)):
            await rpc.head_changed((block,), ())


def _blocks(chain: FollowedChain, hashes: Sequence[Hash32]) -> list[Block]:
    """Those of them that are kept."""
    return [block for one in hashes if (block := chain.block_by_hash(one)) is not None]


async def follow_sync(
    progress: Callable[[], SyncProgress | None], tell: Callable[[SyncProgress | None], None]
) -> NoReturn:
    """Tell when catching up begins and when it has ended, for ever."""
    was_syncing = False
    while True:
        found = progress()
        if (found is not None) != was_syncing:
            was_syncing = found is not None
            tell(found)
        await trio.sleep(SYNC_LOOK_S)
