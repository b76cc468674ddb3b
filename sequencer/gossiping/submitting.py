"""The sequencer takes the transactions that replicas hand on.

    l2_submit request -> Intake.offer for each, in order -> all told -> answer

Deliberately absent: trust in replicas. What they hand on is judged as any user's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import trio

from node.eth.primitives import Hash32
from node.p2p.network import PeerId
from node.rpc.backend import Intake, Submission
from sequencer.gossiping.wire import Answered, decode_forwarded, encode_answers

TOLD_TIMEOUT_S: Final = 7.0
"""The network gives a handler ten seconds."""

STILL_WAITING: Final = "the sequencer is busy; the transaction may still be included"
"""For a transaction that was offered and has not been answered in time."""


def serve_submissions(intake: Intake) -> Callable[[PeerId, bytes], Awaitable[bytes]]:
    """Make the handler of l2_submit requests; it raises Rejected for what is no list of transactions."""

    async def serve(_: PeerId, request: bytes) -> bytes:
        transactions = decode_forwarded(request)
        answers: dict[int, Answered] = {}
        done = trio.Event()

        def told(place: int, submission: Submission) -> None:
            answers[place] = Answered(submission.hash, submission.refusal)
            if len(answers) == len(transactions):
                done.set()

        for place, raw in enumerate(transactions):
            intake.offer(raw, partial(told, place))
        if transactions:
            with trio.move_on_after(TOLD_TIMEOUT_S):
                await done.wait()
        late = Answered(Hash32(bytes(32)), STILL_WAITING)
        return encode_answers([answers.get(place, late) for place in range(len(transactions))])

    return serve
