"""Malformed requests are answered as geth answers them: HTTP status, id, code, and the message where it is promised.

    malformed_requests -> this node over the recorded chain -> compared with recordings of geth 1.17.8

What differs on purpose stands in `OTHER_CODES` and `OTHER_WORDS`, each with its reason; an entry that nothing needs fails the test.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import pytest
import trio

from node.rpc.service import RpcSettings
from tests.kit.malformed_answers import outcome_of, recorded, request_of
from tests.kit.malformed_requests import Malformed, malformed_requests
from tests.kit.recorded_chain import needs_recordings
from tests.node.rpc.clients import HttpClient, Running, running_with
from tests.node.rpc.recorded import CHAIN_ID, RecordedBackend, recorded_backend

OUTCOME: Final = ("status", "text", "answer", "answers", "first", "last")
"""What of a recording is compared."""

OTHER_CODES: Final[Mapping[str, str]] = {
    r"^body: (very deeply nested params|a surrogate alone)": "our JSON parser refuses what is nested beyond 1,024, and half a character",
    r'^method: "eth_fillTransaction"': "INTERFACE: viem falls back, and signs what it asked for",
    r"^http: an unknown parameter": "of a content type only the type is read",
    r"^http: (PATCH|TRACE|GET with a body)": "calls come by POST, and by nothing else",
    r"^http: HEAD": "whoever looks whether the port is alive gets a 200, as with GET",
    r"^eth_sendTransaction: 0 is \{": "nothing is signed here, so what is to be signed is not read",
    r"^eth_subscribe: params is": "arguments are looked at before the connection is",
    r"^debug_traceBlock: 1 is \{": "the block is decoded before the engine reads the options",
}  # fmt: skip
"""Why an answer differs altogether: a pattern over "NAME -> MESSAGE OF GETH", and the reason."""

OTHER_WORDS: Final[Mapping[str, str]] = {
    r'^method: "x+': "names of methods are cut where they are longer than any we know",
    r"Go struct field|cannot unmarshal object into Go value of type string": "INTERFACE: the field is named; Go's types say nothing to others",
    r"^eth_(call|estimateGas|createAccessList): \d is \{.*(hex string|missing required field)": "INTERFACE: the field is named",
    r"^debug_traceCall: 0 is \{.*(hex string|missing required field)": "INTERFACE: the field is named",
    r"^eth_(call|estimateGas|createAccessList): 2 is \{.*OverrideAccount": "INTERFACE: the field is named",
    r"storage key|^eth_getStorageValues: 0": "the words that execution-apis recorded; Go's map types say nothing to others",
    r"^eth_createAccessList: .*failed to apply transaction: 0x": "geth adds the hash of a transaction that nobody signed",
    r"^debug_getRaw(Header|Block): .*#\[171 171": "geth prints the bytes of the hash as a list of numbers; we print the hash",
    r"^debug_executionWitness: .*not found": "geth prints a Go struct; we print the number or the hash",
    r"^debug_trace.*SyntaxError": "there is no JavaScript here whose syntax could be wrong",
    r"^debug_trace.*native\.|^debug_trace.*json\.RawMessage": "a tracer's options are named, not Go's types",
    r"^debug_traceBlock: .*could not decode block": "our decoder's words",
    # -- raw transactions
    r"^eth_sendRawTransaction: .*rlp: ": "what is wrong is said, not in which of Go's types",
    r"^eth_sendRawTransaction: .*only replay-protected": "deployers of deterministic addresses need transactions of no chain (before EIP-155)",
    r"^eth_sendRawTransaction: .*exceeds the configured cap": "ether costs nothing here; the pool's own limits speak",
    r"^eth_sendRawTransaction: .*intrinsic gas too low": "the gas that would do is named, EIP-7623's floor included",
    r"^eth_sendRawTransaction: .*oversized data": "the pool takes 512 KiB: batches and fault proofs need it",
    r'^eth_sendRawTransaction: 0 is "0x02f8\w{2}870c72dd9d5e883e80018502540be400825208941+\.\.\. \w+ .*insufficient funds': "no amount of wei has more than 256 bits",
    r"^eth_sendRawTransaction: .*invalid transaction v, r, s values": "a parity that is neither 0 nor 1 is no transaction",
    r'^eth_sendRawTransaction: 0 is "0x03" ->|^eth_sendRawTransaction: 0 is "0x03c0" -> unexpected EOF': "a blob transaction that ends early, in our decoder's words",
}  # fmt: skip
"""Why a message differs where the code is the same."""


async def ask(server: Running[RecordedBackend], client: HttpClient, one: Malformed) -> object:
    """Our answer, as it is recorded."""
    body = one.body.encode()
    kind = "" if one.content_type is None else f"Content-Type: {one.content_type}\r\n"
    head = f"{one.http_method} / HTTP/1.1\r\nHost: localhost\r\n{kind}Content-Length: {len(body)}"
    with suppress(trio.BrokenResourceError):  # It may answer before it has read everything.
        await client.send(f"{head}\r\n\r\n".encode() + body)
    reply = await client.reply(one.http_method)
    return outcome_of(reply.status, reply.body)


def code_of(outcome: object) -> object:
    """All of an outcome but messages and data of a single error."""
    assert isinstance(outcome, dict)
    answer = outcome.get("answer")
    if not isinstance(answer, dict) or "code" not in answer:
        return outcome
    return outcome["status"], answer["id"], answer["code"]


def message_of(outcome: Mapping[str, object]) -> str:
    """The message of an answer, if there is one."""
    answer = outcome.get("answer")
    return str(answer.get("message", "")) if isinstance(answer, dict) else ""


async def differing() -> dict[str, tuple[object, object]]:
    """(geth's, ours) by the name of the request, with geth's message behind it."""
    found: dict[str, tuple[object, object]] = {}
    wanted = recorded()
    settings = RpcSettings(
        port=0, chain_id=CHAIN_ID, client_version="faultline/test", gas_cap=50_000_000
    )
    async with (
        recorded_backend() as backend,
        running_with(backend, settings=settings) as server,
    ):
        shared = await server.http()
        for one in malformed_requests():
            alone = one.name.startswith(("http: ", "body: "))
            client = await server.http() if alone else shared
            ours = await ask(server, client, one)
            line = wanted[one.name]
            geths: dict[str, object] = {key: line[key] for key in OUTCOME if key in line}
            if ours != geths:
                found[f"{one.name} -> {message_of(geths)}"] = (geths, ours)
    return found


def test_the_recordings_are_of_these_requests() -> None:
    requests = {one.name: request_of(one) for one in malformed_requests()}
    lines = recorded()
    assert len(requests) >= 1_500
    assert {
        name: {key: value for key, value in line.items() if key not in OUTCOME}
        for name, line in lines.items()
    } == requests


@needs_recordings
@pytest.mark.slow
async def test_malformed_requests_are_answered_as_geth_does() -> None:
    """Given every malformed request, when it is sent, then the answer is geth's but for what is explained."""
    unexplained: dict[str, tuple[object, object]] = {}
    needed: set[str] = set()
    for name, answers in (await differing()).items():
        geths, ours = map(code_of, answers)
        table = OTHER_WORDS if geths == ours else OTHER_CODES
        pattern = next((pattern for pattern in table if re.search(pattern, name)), None)
        if pattern is None:
            unexplained[name] = answers
        else:
            needed.add(pattern)
    assert unexplained == {}
    assert needed == {*OTHER_CODES, *OTHER_WORDS}
