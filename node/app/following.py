"""What the rest of a node does when the chain moves.

    Chain.subscribe -> HeadChanged -> pool follows -> JSON-RPC tells its subscribers

The pool follows first, so that who hears of a block finds its transactions gone from the pool.
A lapsed subscription is not an error: the follower looks at the chain as it is now and goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn, Protocol

import structlog
import trio

from node.chain.events import HeadChanged, SafetyFaultSeen, Subscription
from node.eth.blocks import Block

_log = structlog.get_logger()


class FollowedChain(Protocol):
    """What is followed."""

    @property
    def head(self) -> Block:
        """The head."""

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
    started = False
    while True:
        with chain.subscribe() as events:
            await pool.on_head(chain.head)
            if not started:
                started = True
                task_status.started()
            async for event in events:
                if isinstance(event, HeadChanged):
                    await pool.on_head(event.head, event.dropped)
                    if rpc is not None:
                        await rpc.head_changed(event.added, event.dropped)
                elif isinstance(event, SafetyFaultSeen):
                    _log.error("safety_fault_seen", message=event.message)
            _log.warning("chain_follower_lapsed", head=chain.head.header.number)
