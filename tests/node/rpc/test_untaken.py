"""One bound for what clients have not taken, and who pays for it."""

from __future__ import annotations

from hypothesis import given, strategies as st
from trio.testing import wait_all_tasks_blocked

from node.rpc.limits import ServerLimits
from node.rpc.untaken import Untaken
from tests.node.rpc.clients import call_text, http_post, running, running_with
from tests.node.rpc.fakes import Backend, FakeResult
from tests.node.rpc.l2 import SETTINGS, L2Backend


class Client:
    """Remembers that it was ended."""

    def __init__(self) -> None:
        self.ended = False

    def cut_off(self) -> None:
        self.ended = True


def test_the_one_that_holds_most_is_ended_and_the_others_are_not() -> None:
    untaken, small, large, next_one = Untaken(limit=100), Client(), Client(), Client()
    untaken.hold(small, 20)
    untaken.hold(large, 40)
    untaken.hold(large, 40)
    untaken.hold(next_one, 30)
    assert [one.ended for one in (small, large, next_one)] == [False, True, False]
    assert untaken.used == 50
    untaken.release(large, 80)
    untaken.release(small, 20)
    untaken.let_go(next_one)
    assert untaken.used == 0


STEPS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["hold", "release", "let_go"]), st.integers(0, 60))
)


@given(STEPS)
def test_the_bound_holds_and_what_is_held_adds_up(steps: list[tuple[int, str, int]]) -> None:
    untaken, clients = Untaken(limit=100), [Client() for _ in range(4)]
    for which, what, size in steps:
        if what == "hold":
            untaken.hold(clients[which], size)
        elif what == "release":
            untaken.release(clients[which], size)
        else:
            untaken.let_go(clients[which])
        assert 0 <= untaken.used <= 100
        assert untaken.used == sum(untaken._held.values())


async def test_answers_that_nobody_reads_have_one_bound() -> None:
    """Given clients that do not read, when all together hold too much, then the server lets go of some and serves others."""
    backend = Backend()
    backend.engine.result = FakeResult("success", bytes(4 << 20))
    limit = 24 << 20
    async with running(backend, limits=ServerLimits(answer_bytes_max=limit)) as server:
        untaken = server.service.server.untaken
        opened = 0
        while server.service.server.connections()[0] == opened and opened < 20:
            deaf = await server.http()
            await deaf.send(http_post(call_text("eth_call", {}, "latest")))
            opened += 1
            await wait_all_tasks_blocked()
            assert untaken.used <= limit
        assert 3 <= opened < 20
        backend.engine.result = FakeResult("success", b"*")
        assert await (await server.http()).result("eth_call", {}, "latest") == "0x2a"


async def test_a_websocket_that_is_gone_holds_nothing_when_its_send_is_sealed() -> None:
    backend = L2Backend()
    backend.intake.seals_at_once = False
    async with running_with(backend, settings=SETTINGS) as server:
        client = await server.websocket()
        await client.send(call_text("eth_sendRawTransaction", "0x02"))
        while not backend.intake.waiting:
            await wait_all_tasks_blocked()
        await client.stream.aclose()
        while server.service.server.connections() != (0, 0):
            await wait_all_tasks_blocked()
        backend.intake.seal()
        assert server.service.server.untaken.used == 0
