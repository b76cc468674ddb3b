"""HTTP without a socket: framing, limits, hosts and origins."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from node.rpc.http import (
    HEAD_BYTES_MAX,
    Budget,
    HttpRequest,
    Policy,
    RequestReader,
    response,
)
from node.rpc.jsonrpc import BODY_BYTES_MAX

POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def reader(limit: int = 1 << 30) -> RequestReader:
    return RequestReader(Budget(limit=limit))


def complete(body: bytes) -> bytes:
    return POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def chunked(parts: list[bytes]) -> bytes:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part)
    return POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


@given(
    st.lists(st.lists(st.binary(max_size=30), max_size=4), min_size=1, max_size=4),
    st.lists(st.integers(1, 40), min_size=1, max_size=8),
)
def test_requests_survive_any_cut_of_the_stream(bodies: list[list[bytes]], cuts: list[int]) -> None:
    stream = b"".join(
        chunked(parts) if index % 2 else complete(b"".join(parts))
        for index, parts in enumerate(bodies)
    )
    one = reader()
    found: list[HttpRequest] = []
    position = 0
    while position < len(stream):
        for cut in cuts:
            found += one.feed(stream[position : position + cut])
            position += cut
    assert one.refused is None
    assert [request.body for request in found] == [b"".join(parts) for parts in bodies]
    assert not one.in_request


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=60) | st.just(POST) | st.just(b"\r\n\r\n"), max_size=8))
def test_hostile_bytes_never_raise(parts: list[bytes]) -> None:
    one = reader()
    for part in parts:
        one.feed(part)
    one.close()


def test_a_head_without_end_is_refused() -> None:
    one = reader()
    one.feed(b"POST / HTTP/1.1\r\nX: ")
    while one.refused is None:
        one.feed(b"a" * 1_000)
    assert (one.refused.status, one.refused.message) == (431, "request header too large")
    assert one._raw_bytes <= HEAD_BYTES_MAX + 1_000


def test_a_body_that_says_it_is_too_long_is_refused_at_its_head() -> None:
    one = reader()
    one.feed(POST + b"Content-Length: %d\r\n\r\n" % (BODY_BYTES_MAX + 1))
    assert one.refused is not None
    assert (one.refused.status, one.refused.message) == (
        413,
        f"content length too large ({BODY_BYTES_MAX + 1}>{BODY_BYTES_MAX})",
    )


def test_a_chunked_body_that_grows_too_long_is_refused() -> None:
    one = reader()
    one.feed(POST + b"Transfer-Encoding: chunked\r\n\r\n")
    while one.refused is None:
        one.feed(b"10000\r\n" + bytes(65_536) + b"\r\n")
    assert one.refused.status == 413
    assert one._budget.used <= BODY_BYTES_MAX + 65_536
    one.close()
    assert one._budget.used == 0


def test_trailers_without_end_are_refused() -> None:
    one = reader()
    one.feed(POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ")
    for _ in range(400):
        one.feed(b"a" * 65_536)
        if one.refused is not None:
            break
    assert one.refused is not None
    assert one.refused.status == 413


def test_bodies_of_all_connections_share_one_budget() -> None:
    budget = Budget(limit=1_000)
    first, second = RequestReader(budget), RequestReader(budget)
    first.feed(POST + b"Content-Length: 800\r\n\r\n" + bytes(700))
    second.feed(POST + b"Content-Length: 800\r\n\r\n" + bytes(700))
    assert first.refused is None
    assert second.refused is not None
    assert second.refused.status == 503
    second.close()
    assert len(first.feed(bytes(100))) == 1
    assert budget.used == 0


def test_a_head_that_came_before_is_read_alike() -> None:
    one = reader()
    first, second = one.feed(complete(b"[1]")), one.feed(complete(b"[2]"))
    assert second[0].head is first[0].head
    assert (first[0].body, second[0].body) == (b"[1]", b"[2]")
    # When the body does not come with the head, or more comes behind it
    assert one.feed(complete(b"[3]")[:-1]) == []
    assert [request.body for request in one.feed(b"]")] == [b"[3]"]
    both = one.feed(complete(b"[4]") + complete(b"[5]"))
    assert [request.body for request in both] == [b"[4]", b"[5]"]
    for length in range(100):
        assert one.feed(complete(bytes(length)))[0].body == bytes(length)
    assert len(one._heads) <= 8


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/1.1\r\nOrigin: http://a\r\nOrigin: http://b\r\n\r\n",
    ],
)
def test_ambiguous_requests_are_refused(head: bytes) -> None:
    one = reader()
    assert one.feed(head) == []
    assert one.refused is not None
    assert one.refused.status == 400


def test_what_was_complete_before_a_malformed_request_is_still_served() -> None:
    one = reader()
    ready = one.feed(complete(b"{}") + b"nonsense\r\n\r\n")
    assert [request.body for request in ready] == [b"{}"]
    assert one.refused is not None


def test_a_client_that_waits_before_its_body_is_noticed() -> None:
    one = reader()
    one.feed(POST + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert one.wants_continue
    assert len(one.feed(b"{}")) == 1
    assert not one.wants_continue


def test_another_upgrade_than_websocket_is_plain_http() -> None:
    one = reader()
    ready = one.feed(
        POST
        + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n{}"
        + complete(b"[]")
    )
    assert [request.body for request in ready] == [b"{}", b"[]"]
    assert one.upgraded is None


def test_what_follows_a_websocket_request_is_kept() -> None:
    one = reader()
    ready = one.feed(
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x80"
    )
    assert ready[0].head.websocket
    assert one.upgraded == b"\x81\x80"


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        (None, True),
        (b"localhost", True),
        (b"LOCALHOST:8545", True),
        (b"127.0.0.1:8545", True),
        (b"[::1]:8545", True),
        (b"192.168.1.4", True),
        (b"node.internal:8545", True),
        (b"evil.example", False),
        (b"localhost.evil.example", False),
        (b"127.0.0.1.evil.example:8545", False),
        (b"a:b:c", False),
    ],
)
def test_only_names_of_this_server_are_hosts(host: bytes | None, allowed: bool) -> None:
    policy = Policy(loopback=True, allowed_hosts=("node.internal",))
    assert policy.host_allowed(host) is allowed
    assert policy.host_allowed(host) is allowed


@pytest.mark.parametrize(
    ("loopback", "origins", "origin", "allowed"),
    [
        (True, (), None, True),
        (True, (), b"https://app.example", True),
        (True, ("https://app.example",), b"https://app.example", True),
        (True, ("https://app.example",), b"https://evil.example", False),
        (False, (), None, True),
        (False, (), b"https://app.example", False),
        (False, ("*",), b"https://app.example", True),
        (False, ("https://app.example",), b"https://APP.example", True),
    ],
)
def test_origins_are_free_on_loopback_and_listed_elsewhere(
    loopback: bool, origins: tuple[str, ...], origin: bytes | None, allowed: bool
) -> None:
    assert Policy(loopback=loopback, allowed_origins=origins).origin_allowed(origin) is allowed


def test_a_response_says_whether_the_connection_stays() -> None:
    assert response(200, b"x", keep_alive=False).endswith(
        b"connection: close\r\ncontent-length: 1\r\n\r\nx"
    )
    assert b"connection: keep-alive" in response(200, b"", say_keep_alive=True)
    assert response(200, b"xy", head_only=True).endswith(b"content-length: 2\r\n\r\n")
