"""Execution requests are split by type and cut into records, or refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from node.errors import Rejected
from node.eth.primitives import Address, Gwei
from node.eth.reasons import EncodingReason
from node.eth.requests import (
    DEPOSIT_BYTES,
    EXIT_BYTES,
    DepositRecord,
    ExitRecord,
    deposit_records,
    encode_deposit,
    encode_exit,
    exit_records,
    requests_hash,
    split_requests,
)

DEPOSIT = DepositRecord(
    public_key=b"\x01" * 48,
    withdrawal_credentials=b"\x02" * 32,
    amount_gwei=Gwei(32 * 10**9),
    signature=b"\x03" * 96,
    index=5,
)
EXIT = ExitRecord(
    source_address=Address(b"\x04" * 20), public_key=b"\x05" * 48, amount_gwei=Gwei(0)
)


def test_records_round_trip_in_the_lengths_of_the_eips() -> None:
    assert len(encode_deposit(DEPOSIT)) == DEPOSIT_BYTES
    assert len(encode_exit(EXIT)) == EXIT_BYTES
    assert deposit_records(encode_deposit(DEPOSIT) * 2) == [DEPOSIT, DEPOSIT]
    assert exit_records(encode_exit(EXIT) * 3) == [EXIT] * 3


def test_amounts_are_little_endian() -> None:
    assert encode_deposit(DEPOSIT)[80:88] == (32 * 10**9).to_bytes(8, "little")


def test_requests_are_split_by_ascending_type() -> None:
    assert split_requests([b"\x00abc", b"\x01de", b"\x7ef"]) == {0: b"abc", 1: b"de", 0x7E: b"f"}


@pytest.mark.parametrize("requests", [[b"\x01a", b"\x00b"], [b"\x00a", b"\x00b"], [b"\x00"], [b""]])
def test_disorder_is_refused(requests: list[bytes]) -> None:
    with pytest.raises(Rejected) as refusal:
        split_requests(requests)
    assert refusal.value.reason is EncodingReason.REQUEST_ORDER


@pytest.mark.parametrize("read", [deposit_records, exit_records])
def test_half_a_record_is_refused(
    read: Callable[[bytes], list[DepositRecord | ExitRecord]],
) -> None:
    with pytest.raises(Rejected) as refusal:
        read(b"\x00" * 100)
    assert refusal.value.reason is EncodingReason.WRONG_LENGTH


def test_the_commitment_hashes_each_request_and_skips_empty_ones() -> None:
    inner = hashlib.sha256(b"\x00abc").digest() + hashlib.sha256(b"\x01d").digest()
    expected = hashlib.sha256(inner).digest()
    assert requests_hash([b"\x00abc", b"\x01d"]) == expected
    assert requests_hash([b"\x00abc", b"\x01d", b"\x02"]) == expected


@given(st.lists(st.binary(max_size=400), max_size=4))
def test_no_requests_raise_anything_but_a_rejection(requests: list[bytes]) -> None:
    with suppress(Rejected):
        for kind, data in split_requests(requests).items():
            (deposit_records if kind == 0 else exit_records)(data)
