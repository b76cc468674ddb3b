"""The codec: geth's codes and messages, and no input that makes it fail otherwise."""

from __future__ import annotations

import json
from collections.abc import Callable

import orjson
import pytest
from hypothesis import given, strategies as st

from node.rpc import jsonrpc
from node.rpc.jsonrpc import NOTIFICATION, InvalidRequest, RpcError, StrayAnswer

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


def refusal(work: Callable[[], object]) -> RpcError | None:
    """What work is refused with; None if it is done. Other exceptions fail the test."""
    try:
        work()
    except RpcError as error:
        return error
    return None


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_are_a_parse_error(body: bytes) -> None:
    refused = refusal(lambda: jsonrpc.parse(body))
    assert refused is None or (refused.code, refused.message) == (-32700, "parse error")


@given(JSON)
def test_any_json_is_a_call_or_an_invalid_request(message: object) -> None:
    refused = refusal(lambda: jsonrpc.read_call(message))
    if refused is None:
        method, _, identity = jsonrpc.read_call(message)
        assert method
    else:
        assert isinstance(refused, InvalidRequest)
        assert (refused.code, refused.message) == (-32600, "invalid request")
        identity = refused.identity
    assert not isinstance(identity, (dict, list))


@given(st.none() | st.integers(-(2**63), 2**63) | st.text(max_size=8) | st.booleans(), JSON, JSON)
def test_a_call_keeps_its_parts(identity: object, params: object, result: object) -> None:
    message = {"jsonrpc": "2.0", "id": identity, "method": "eth_call", "params": params}
    assert jsonrpc.read_call(jsonrpc.parse(orjson.dumps(message))) == (
        "eth_call",
        params,
        identity,
    )
    answer = orjson.loads(jsonrpc.result_text(identity, result))
    assert answer == {"jsonrpc": "2.0", "id": identity, "result": result}


@pytest.mark.parametrize(
    ("message", "identity"),
    [
        (None, None),
        (1, None),
        ({}, None),
        ({"jsonrpc": "2.0", "id": 1}, 1),
        ({"jsonrpc": "1.0", "id": 2, "method": "x"}, 2),
        ({"jsonrpc": "2.0", "id": "a", "method": ""}, "a"),
        ({"jsonrpc": "2.0", "id": 3, "method": 7}, 3),
        ({"jsonrpc": "2.0", "id": {}, "method": "x"}, None),
        ({"jsonrpc": "2.0", "id": [], "method": "x"}, None),
    ],
)
def test_what_is_no_call_is_refused_with_its_id(message: object, identity: object) -> None:
    with pytest.raises(InvalidRequest, match=r"^invalid request$") as refused:
        jsonrpc.read_call(message)
    assert refused.value.identity == identity


@pytest.mark.parametrize(
    ("message", "is_passed_over"),
    [
        ({"jsonrpc": "2.0", "id": 1, "result": "0x1"}, True),
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": 1}}, True),
        ({"jsonrpc": "2.0", "id": 1, "result": None}, False),
        ({"jsonrpc": "2.0", "id": 1, "params": [], "result": 1}, False),
        ({"jsonrpc": "2.0", "result": 1}, False),
        ({"jsonrpc": "1.0", "id": 1, "result": 1}, False),
    ],
)
def test_an_answer_is_passed_over(message: object, is_passed_over: bool) -> None:
    """Given a message that answers a call nobody made, when read, then it is no wrong call."""
    with pytest.raises(StrayAnswer if is_passed_over else InvalidRequest):
        jsonrpc.read_call(message)


def test_a_message_without_id_is_a_notification() -> None:
    _, params, identity = jsonrpc.read_call({"jsonrpc": "2.0", "method": "x"})
    assert params is None
    assert identity is NOTIFICATION


def test_an_empty_batch_and_a_long_one_are_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"^empty batch$"):
        jsonrpc.check_batch([])
    call = {"jsonrpc": "2.0", "method": "x", "id": 7}
    jsonrpc.check_batch([call] * 1_000)
    with pytest.raises(InvalidRequest, match=r"^batch too large$") as refused:
        jsonrpc.check_batch([{"jsonrpc": "2.0", "method": "note"}, 5] + [call] * 999)
    assert refused.value.identity == 7


@pytest.mark.parametrize("value", [b"{}", b"[]", b"0", b'"",{"a":0}'])
def test_a_body_of_very_many_values_is_refused_before_it_is_decoded(value: bytes) -> None:
    """Decoding five megabytes of them would hold up the loop for half a second, searching them for seconds."""
    body = b"[" + b",".join([value] * (jsonrpc.VALUES_MAX + 1)) + b"]"
    with pytest.raises(InvalidRequest, match=r"^too many values in one request \(max 131072\)$"):
        jsonrpc.parse(body)
    long_text = b'{"jsonrpc":"2.0","id":1,"method":"x","params":["0x' + b"00" * 2_000_000 + b'"]}'
    assert isinstance(jsonrpc.parse(long_text), dict)


def test_the_id_of_a_long_batch_is_sought_among_its_first_calls() -> None:
    too_late: list[object] = [{}] * jsonrpc.BATCH_CALLS_MAX
    too_late.append({"jsonrpc": "2.0", "method": "x", "id": 7})
    with pytest.raises(InvalidRequest, match=r"^batch too large$") as refused:
        jsonrpc.check_batch(too_late)
    assert refused.value.identity is None


def test_errors_are_printed_as_geth_prints_them() -> None:
    assert jsonrpc.error_text(None, RpcError(-32700, "parse error")) == (
        b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}'
    )
    assert jsonrpc.error_text(1, jsonrpc.revert_error(b"\x01", "because")) == (
        b'{"jsonrpc":"2.0","id":1,"error":'
        b'{"code":3,"message":"execution reverted: because","data":"0x01"}}'
    )
    assert str(jsonrpc.method_not_found("eth_x")) == (
        "the method eth_x does not exist/is not available"
    )


def test_a_subscription_event_holds_its_json_unchanged() -> None:
    event = orjson.loads(jsonrpc.subscription_text("0x1", b'{"a":[1]}'))
    assert event == {
        "jsonrpc": "2.0",
        "method": "eth_subscription",
        "params": {"subscription": "0x1", "result": {"a": [1]}},
    }


@pytest.mark.parametrize(
    "written",
    [
        "18446744073709551615",
        "18446744073709551616",
        "123456789012345678901234567890",
        "-9223372036854775809",
        "1.0",
        "1.10",
        "1e5",
        "0.1000000000000000055511151231257827",
        "9" * 300,
    ],
)
def test_an_id_that_is_a_number_comes_back_as_it_was_written(written: str) -> None:
    body = f'{{"jsonrpc":"2.0","id":{written},"method":"m","params":[1.50,{{"id":7.0}}]}}'
    _, params, identity = jsonrpc.read_call(jsonrpc.parse(body.encode()))
    assert params == [1.5, {"id": 7.0}]
    assert f'"id":{written},'.encode() in jsonrpc.result_text(identity, None)


def test_ids_of_a_batch_come_back_as_they_were_written() -> None:
    ids = ["1", "18446744073709551616", '"a"', "null", "2.50"]
    calls = ",".join(f'{{"jsonrpc":"2.0","id":{one},"method":"m"}}' for one in ids)
    messages = jsonrpc.parse(f"[{calls},7.5,[]]".encode())
    assert isinstance(messages, list)
    answered = [jsonrpc.result_text(jsonrpc.read_call(one)[2], 0) for one in messages[:-2]]
    for written, text in zip(ids, answered, strict=True):
        assert f'"id":{written},'.encode() in text


def test_a_nested_body_with_an_odd_id_is_refused_and_no_crash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def too_deep(*_: object, **__: object) -> None:
        raise RecursionError

    body = b'{"jsonrpc":"2.0","id":1.5,"method":"m","params":[[]]}'
    monkeypatch.setattr(json, "loads", too_deep)
    with pytest.raises(InvalidRequest, match="request nested too deeply"):
        jsonrpc.parse(body)
