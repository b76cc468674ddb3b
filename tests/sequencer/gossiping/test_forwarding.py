"""Transactions that a replica hands on to the sequencer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
import trio
from hypothesis import given, strategies as st
from trio.testing import MockClock

from node.errors import Rejected
from node.eth.hashing import keccak256
from node.eth.primitives import Hash32
from node.p2p.network import PeerId, RequestFailed
from node.rpc.backend import Submission
from node.txpool import refusals
from sequencer.gossiping.forwarding import (
    BUSY,
    SEEN_TIMEOUT_S,
    UNREACHABLE,
    WAITING_MAX,
    ForwardingPool,
)
from sequencer.gossiping.submitting import STILL_WAITING, TOLD_TIMEOUT_S, serve_submissions
from sequencer.gossiping.wire import (
    FORWARDED_MAX,
    TRANSACTION_BYTES_MAX,
    Answered,
    decode_answers,
    decode_forwarded,
    decode_range,
    encode_answers,
    encode_forwarded,
    encode_range,
)

PEER = PeerId("replica")


@dataclass(slots=True)
class ModelIntake:
    """Takes everything but what it refuses; `holds_back` answers nothing."""

    refused: dict[bytes, str] = field(default_factory=dict)
    holds_back: bool = False
    taken: list[bytes] = field(default_factory=list)

    def offer(self, raw: bytes, told: Callable[[Submission], None]) -> None:
        if self.holds_back:
            return
        self.taken.append(raw)
        told(Answered(Hash32(keccak256(raw)), self.refused.get(raw)))


def run(history: Callable[[], Awaitable[None]]) -> None:
    trio.run(history, clock=MockClock(autojump_threshold=0))


def test_what_is_handed_in_reaches_the_sequencer_in_order_and_is_told_once_it_is_seen() -> None:
    async def history() -> None:
        intake = ModelIntake(refused={b"bad": "nonce too low"})
        serve = serve_submissions(intake)
        here: set[Hash32] = set()
        pool = ForwardingPool(lambda body: serve(PEER, body), here.__contains__)
        told: list[tuple[Hash32, str | None]] = []
        async with trio.open_nursery() as nursery:
            await nursery.start(pool.run)
            for raw in (b"one", b"bad", b"two"):
                pool.offer(raw, lambda found: told.append((found.hash, found.refusal)))
            await trio.testing.wait_all_tasks_blocked()
            assert intake.taken == [b"one", b"bad", b"two"]
            assert told == [(keccak256(b"bad"), "nonce too low")]
            here.add(Hash32(keccak256(b"two")))
            pool.look()
            assert told[1:] == [(keccak256(b"two"), None)]
            await trio.sleep(2 * SEEN_TIMEOUT_S)
            assert told[2] == (keccak256(b"one"), None)
            nursery.cancel_scope.cancel()

    run(history)


def test_a_sequencer_that_is_gone_is_named() -> None:
    async def history() -> None:
        async def gone(_: bytes) -> bytes:
            raise RequestFailed("gone")

        pool = ForwardingPool(gone, lambda _: False)
        async with trio.open_nursery() as nursery:
            await nursery.start(pool.run)
            assert (await pool.submit(b"one")).refusal == UNREACHABLE
            nursery.cancel_scope.cancel()

    run(history)


def test_nonsense_in_place_of_answers_is_no_answer() -> None:
    async def history() -> None:
        async def nonsense(_: bytes) -> bytes:
            return encode_answers([])

        pool = ForwardingPool(nonsense, lambda _: False)
        async with trio.open_nursery() as nursery:
            await nursery.start(pool.run)
            assert (await pool.submit(b"one")).refusal == UNREACHABLE
            nursery.cancel_scope.cancel()

    run(history)


def test_bounds() -> None:
    async def history() -> None:
        async def never(_: bytes) -> bytes:
            await trio.sleep_forever()
            raise AssertionError("nobody wakes it")

        pool = ForwardingPool(never, lambda _: False)
        told: list[str | None] = []
        pool.offer(bytes(TRANSACTION_BYTES_MAX + 1), lambda found: told.append(found.refusal))
        pool.offer(b"\x03" + bytes(TRANSACTION_BYTES_MAX), lambda found: told.append(found.refusal))
        for _ in range(WAITING_MAX + 1):
            pool.offer(b"x", lambda found: told.append(found.refusal))
        oversized = "oversized data: transaction size 30721, limit 30720"
        assert told == [oversized, refusals.NO_BLOBS.message, BUSY]

    run(history)


def test_many_are_handed_on_in_few_requests() -> None:
    async def history() -> None:
        serve = serve_submissions(ModelIntake())
        sizes: list[int] = []

        async def ask(body: bytes) -> bytes:
            sizes.append(len(decode_forwarded(body)))
            return await serve(PEER, body)

        pool = ForwardingPool(ask, lambda _: True)
        told: list[object] = []
        async with trio.open_nursery() as nursery:
            await nursery.start(pool.run)
            for number in range(1_000):
                pool.offer(b"%d" % number, told.append)
            await trio.sleep(10)
            assert len(told) == 1_000
            nursery.cancel_scope.cancel()
        assert sizes == [FORWARDED_MAX, FORWARDED_MAX, FORWARDED_MAX, 1_000 - 3 * FORWARDED_MAX]

    run(history)


def test_a_sequencer_that_is_busy_says_so_in_time() -> None:
    async def history() -> None:
        serve = serve_submissions(ModelIntake(holds_back=True))
        before = trio.current_time()
        answers = decode_answers(await serve(PEER, encode_forwarded([b"one"])))
        assert [one.refusal for one in answers] == [STILL_WAITING]
        assert trio.current_time() - before == pytest.approx(TOLD_TIMEOUT_S)

    run(history)


@given(st.binary(max_size=300))
def test_decoders_raise_nothing_but_rejected(message: bytes) -> None:
    for decode in (decode_forwarded, decode_answers, decode_range):
        try:
            decode(message)
        except Rejected:
            continue


@given(
    st.lists(
        st.builds(
            Answered,
            st.binary(min_size=32, max_size=32).map(Hash32),
            st.none() | st.text(min_size=1, max_size=100),
        ),
        max_size=10,
    )
)
def test_answers_are_read_as_written(answers: list[Answered]) -> None:
    assert decode_answers(encode_answers(answers)) == tuple(answers)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_questions_are_read_within_bounds(first: int, count: int) -> None:
    found, at_most = decode_range(encode_range(first, count))
    assert found == first
    assert 1 <= at_most <= 512
