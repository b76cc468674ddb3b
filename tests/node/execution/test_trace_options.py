"""The options of traces as geth reads them: durations in Go's words, options that are no object, empty quantities."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from node.errors import InvalidCall
from tests.kit.execution_chain import KEEPER
from tests.kit.traced_block import Traced, traced_block


@pytest.fixture(scope="module")
def traced() -> Traced:
    return traced_block()


@pytest.mark.parametrize("timeout", ["1m30s", "500ms", "1.5h", "10us", "0", "+5s", "3µs"])
def test_durations_are_gos(traced: Traced, timeout: str) -> None:
    assert traced.call({"to": KEEPER}, {"tracer": "noopTracer", "timeout": timeout}) == {}


@pytest.mark.parametrize(
    ("timeout", "words"),
    [
        ("", 'time: invalid duration ""'),
        ("x", 'time: invalid duration "x"'),
        ("5", 'time: missing unit in duration "5"'),
        ("5x", 'time: unknown unit "x" in duration "5x"'),
        ("1.2.3s", 'time: invalid duration "1.2.3s"'),
        ("-", 'time: invalid duration "-"'),
    ],
)
def test_what_is_no_duration_is_told_in_gos_words(traced: Traced, timeout: str, words: str) -> None:
    with pytest.raises(InvalidCall) as told:
        traced.call({"to": KEEPER}, {"timeout": timeout})
    assert str(told.value) == words


@pytest.mark.parametrize("tracer", ["callTracer", "prestateTracer", "flatCallTracer", "muxTracer"])
def test_options_are_an_object(traced: Traced, tracer: str) -> None:
    with pytest.raises(InvalidCall, match=r"^tracerConfig: an array where an object"):
        traced.call({"to": KEEPER}, {"tracer": tracer, "tracerConfig": []})


@pytest.mark.parametrize("field", ["value", "nonce", "gasPrice"])
def test_an_empty_quantity_is_none(traced: Traced, field: str) -> None:
    empty: Mapping[str, object] = {"to": KEEPER, field: ""}
    trace = traced.call(empty, {"tracer": "callTracer"})
    assert trace["to"] == "0x" + KEEPER.hex()
