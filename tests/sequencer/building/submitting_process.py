"""A sequencer that submits to itself and says what was acknowledged, until it is killed.

    python -m tests.sequencer.building.submitting_process FOLDER

Prints the hash of every acknowledged transaction, a line each, written before the next one is offered.
Every fiftieth block it drops some blocks, as deriving does; what was acknowledged stays acknowledged.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import trio

from node.eth.primitives import Hash32
from node.runtime.clock import SystemClock
from node.runtime.worker import ThreadWorker
from sequencer.building.waiting import Submission
from tests.kit.building import USERS, Site, building, transfer, users

RESET_EVERY = 50
"""Blocks between resets."""

RESET_DEPTH = 7
"""Blocks that are dropped."""


async def submit_for_ever(site: Site) -> None:
    """Offer the next nonce of every user at once, again and again."""
    round_ = 0
    while True:
        root = site.chain.head.header.state_root
        nonces = [site.engine.account(root, user.address) for user in users()]
        heard: list[Submission] = []
        done = trio.Event()

        def told(
            answer: Submission, heard: list[Submission] = heard, done: trio.Event = done
        ) -> None:
            heard.append(answer)
            os.write(1, answer.hash.hex().encode() + b"\n")
            if len(heard) == USERS:
                done.set()

        for user, account in enumerate(nonces):
            assert account is not None
            site.builder.offer(transfer(user, account.nonce), told)
        await done.wait()
        assert all(answer.refusal is None for answer in heard), heard
        round_ += 1
        if round_ % RESET_EVERY == 0:
            await reset(site, [answer.hash for answer in heard])


async def reset(site: Site, newest: list[Hash32]) -> None:
    """Drop some blocks, and wait until the newest transactions are back."""
    with site.chain.subscribe() as events:
        site.chain.reset_to(max(0, site.chain.head.header.number - RESET_DEPTH))
        while any(site.chain.transaction_block(one) is None for one in newest):
            await events.receive()


async def main(folder: Path) -> None:
    """Run until killed."""
    async with building(
        folder,
        worker=ThreadWorker(threads_max=2),
        sealing_worker=ThreadWorker(threads_max=1),
        wall=SystemClock(),
    ) as site:
        os.write(1, b"ready\n")
        await submit_for_ever(site)


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]))
