"""Whatever is pipelined, however the bytes are cut and whenever blocks are sealed: every request has its answer, in order."""

from __future__ import annotations

from dataclasses import dataclass

import trio
from hypothesis import HealthCheck, given, settings, strategies as st
from trio.testing import wait_all_tasks_blocked

from node.eth.hashing import keccak256
from tests.node.rpc.clients import HttpClient, call_text, http_post, running_with
from tests.node.rpc.l2 import SETTINGS, L2Backend

SEND = "eth_sendRawTransaction"
SYNC = "eth_sendRawTransactionSync"


@dataclass(frozen=True, slots=True)
class Step:
    """A request and what it is answered with."""

    body: bytes
    expected: object


def answer(identity: int, result: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": identity, "result": result}


def send(at: int) -> Step:
    raw = b"\x02%d" % at
    return Step(
        call_text(SEND, "0x" + raw.hex(), identity=at), answer(at, "0x" + keccak256(raw).hex())
    )


def sync(at: int) -> Step:
    raw = b"\x03%d" % at
    return Step(
        call_text(SYNC, "0x" + raw.hex(), identity=at),
        answer(at, {"transactionHash": "0x" + keccak256(raw).hex()}),
    )


def read(at: int) -> Step:
    return Step(call_text("eth_chainId", identity=at), answer(at, "0x385"))


def late_read(at: int) -> Step:
    return Step(call_text("eth_call", {}, "latest", identity=at), answer(at, "0x2a"))


def batch(at: int) -> Step:
    steps = [send(100 * at), read(100 * at + 1), sync(100 * at + 2), send(100 * at + 3)]
    return Step(
        b"[" + b",".join(step.body for step in steps) + b"]", [step.expected for step in steps]
    )


def malformed(at: int) -> Step:
    error = {"code": -32602, "message": "missing value for required argument 0"}
    return Step(call_text(SEND, identity=at), {"jsonrpc": "2.0", "id": at, "error": error})


KINDS = (send, send, send, sync, read, late_read, batch, malformed)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.sampled_from(KINDS), min_size=1, max_size=30),
    st.lists(st.integers(1, 700), min_size=1, max_size=8),
    st.booleans(),
    st.booleans(),
)
def test_every_request_is_answered_in_order(
    kinds: list[object], cuts: list[int], seals_at_once: bool, closes_half: bool
) -> None:
    steps = [kind(1 + at) for at, kind in enumerate(kinds) if callable(kind)]

    async def run() -> None:
        backend = L2Backend()
        backend.intake.seals_at_once = seals_at_once
        async with running_with(backend, settings=SETTINGS) as server:
            client = await server.http()
            async with trio.open_nursery() as sealing:
                sealing.start_soon(_seal, backend)
                async with trio.open_nursery() as sending:
                    sending.start_soon(_send_in_pieces, client, steps, cuts, closes_half)
                    answers = [(await client.reply()).json() for _ in steps]
                sealing.cancel_scope.cancel()
            assert answers == [step.expected for step in steps]
            if closes_half:
                assert await client.ended()

    trio.run(run)


async def _send_in_pieces(
    client: HttpClient, steps: list[Step], cuts: list[int], closes_half: bool
) -> None:
    data = b"".join(http_post(step.body) for step in steps)
    position = at = 0
    while position < len(data):
        size = cuts[at % len(cuts)]
        await client.send(data[position : position + size])
        position, at = position + size, at + 1
        if at % 3 == 0:
            await wait_all_tasks_blocked()
    if closes_half:
        await client.stream.send_eof()


async def _seal(backend: L2Backend) -> None:
    while True:
        await wait_all_tasks_blocked()
        if backend.intake.waiting:
            backend.intake.seal()
