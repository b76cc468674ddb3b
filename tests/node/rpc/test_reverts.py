"""Reasons in revert data."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from hypothesis import given, strategies as st

from node.rpc.reverts import ERROR_SELECTOR, PANIC_SELECTOR, revert_reason


@given(st.text(max_size=100))
def test_an_error_string_is_read(reason: str) -> None:
    assert revert_reason(ERROR_SELECTOR + encode(["string"], [reason])) == reason


@given(st.binary(max_size=200), st.sampled_from([b"", ERROR_SELECTOR, PANIC_SELECTOR]))
def test_any_data_gives_a_reason_or_none(data: bytes, selector: bytes) -> None:
    reason = revert_reason(selector + data)
    assert reason is None or isinstance(reason, str)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1, "assert(false)"),
        (0x11, "arithmetic underflow or overflow"),
        (0x99, "unknown panic code: 0x99"),
    ],
)
def test_panics_are_named(code: int, reason: str) -> None:
    assert revert_reason(PANIC_SELECTOR + encode(["uint256"], [code])) == reason


def test_an_offset_that_leads_nowhere_is_no_reason() -> None:
    assert revert_reason(ERROR_SELECTOR + b"\xff" * 64) is None
    assert revert_reason(ERROR_SELECTOR + encode(["uint256", "uint256"], [32, 99])) is None
