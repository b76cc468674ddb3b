"""Headers re-hash to what other clients say, and a block's parts are found without reading its transactions."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from node.errors import Rejected
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.headers import (
    EMPTY_OMMERS_HASH,
    EMPTY_REQUESTS_HASH,
    EMPTY_TRIE_ROOT,
    Header,
    Withdrawal,
    decode_header,
    header_bytes_of_block,
    header_of_block,
    withdrawals_of_block,
)
from node.eth.primitives import Address, Hash32
from node.eth.reasons import EncodingReason
from node.eth.requests import requests_hash

VECTORS = Path(__file__).parents[4] / "shared" / "vectors" / "execution-apis"

HEADER = Header(
    parent_hash=Hash32(b"\x01" * 32),
    fee_recipient=Address(b"\x02" * 20),
    state_root=Hash32(b"\x03" * 32),
    number=7,
    gas_limit=120_000_000,
    gas_used=21_000,
    timestamp=1_700_000_000,
    extra_data=b"\x04" * 32,
    mix_hash=Hash32(b"\x05" * 32),
    base_fee_per_gas=10**9,
    parent_beacon_block_root=Hash32(b"\x06" * 32),
)


def chain_blocks() -> list[bytes]:
    """Cut chain.rlp into its blocks."""
    path = VECTORS / "chain.rlp"
    if not path.exists():
        pytest.skip(f"the vectors are not at {VECTORS}")
    data, blocks = path.read_bytes(), []
    while data:
        width = data[0] - 0xF7
        size = 1 + width + int.from_bytes(data[1 : 1 + width])
        blocks.append(data[:size])
        data = data[size:]
    return blocks


def test_headers_of_other_clients_hash_to_the_parent_hash_of_the_next() -> None:
    blocks = chain_blocks()
    complete = [block for block in blocks if len(_header_items(block)) == 21]
    assert len(complete) > 5
    for block, following in pairwise(complete):
        header = header_of_block(block)
        assert header.encode() == header_bytes_of_block(block)
        assert header.hash() == header_of_block(following).parent_hash
        assert header.ommers_hash == EMPTY_OMMERS_HASH
    head = json.loads((VECTORS / "headfcu.json").read_text())
    hashes = json.dumps(head)
    assert header_of_block(blocks[-1]).hash().hex() in hashes


def _header_items(block: bytes) -> list[rlp.Item]:
    _, start, _, end = rlp.spans(block)[0]
    return rlp.as_list(rlp.decode(block[start:end]))


def test_older_headers_are_refused_by_their_number_of_fields() -> None:
    _, start, _, end = rlp.spans(chain_blocks()[0])[0]
    with pytest.raises(Rejected) as refusal:
        decode_header(chain_blocks()[0][start:end])
    assert refusal.value.reason is EncodingReason.WRONG_LENGTH
    assert refusal.value.message == "15 items, want 21"


def test_constants_are_the_hashes_of_nothing() -> None:
    assert keccak256(rlp.encode([])) == EMPTY_OMMERS_HASH
    assert keccak256(rlp.encode(b"")) == EMPTY_TRIE_ROOT
    assert requests_hash([]) == EMPTY_REQUESTS_HASH


def test_a_header_round_trips() -> None:
    assert decode_header(HEADER.encode()) == HEADER
    assert HEADER.hash() == keccak256(HEADER.encode())


def test_a_block_is_cut_without_reading_its_transactions() -> None:
    paid = Withdrawal(index=3, validator_index=1, address=Address(b"\x07" * 20), amount_gwei=9)
    garbage = rlp.encode([b"\xff" * 100])
    block = rlp.encode_list(
        [HEADER.encode(), garbage, b"\xc0", rlp.encode([(3, 1, b"\x07" * 20, 9)])]
    )
    assert header_of_block(block) == HEADER
    assert withdrawals_of_block(block) == (paid,)


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (rlp.encode_list([HEADER.encode(), b"\xc0", b"\xc0"]), EncodingReason.WRONG_LENGTH),
        (rlp.encode_list([HEADER.encode()] + [b"\xc0"] * 4), EncodingReason.TOO_MANY_ITEMS),
        (rlp.encode_list([HEADER.encode(), b"\x80", b"\xc0", b"\xc0"]), EncodingReason.WRONG_TYPE),
        (rlp.encode_list([b"\x80", b"\xc0", b"\xc0", b"\xc0"]), EncodingReason.WRONG_TYPE),
        (b"\x80", EncodingReason.WRONG_TYPE),
        (b"", EncodingReason.TRUNCATED),
    ],
)
def test_what_is_no_block_is_refused(block: bytes, reason: EncodingReason) -> None:
    for read in (header_of_block, withdrawals_of_block):
        with pytest.raises(Rejected) as refusal:
            read(block)
        assert refusal.value.reason is reason


def test_extra_data_ends_at_32_bytes() -> None:
    long = replace(HEADER, extra_data=b"\x04" * 33)
    with pytest.raises(Rejected) as refusal:
        decode_header(long.encode())
    assert refusal.value.reason is EncodingReason.WRONG_LENGTH
    assert refusal.value.message == "extra data of 33 bytes, at most 32"


@given(st.data())
def test_mutated_headers_are_read_or_refused(data: st.DataObject) -> None:
    encoded = bytearray(HEADER.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(encoded) - 1))
        encoded[place] = data.draw(st.integers(0, 255))
    try:
        header = decode_header(bytes(encoded))
    except Rejected:
        return
    assert header.encode() == bytes(encoded)


@given(st.binary(max_size=700))
def test_no_bytes_raise_anything_but_a_rejection(data: bytes) -> None:
    for read in (decode_header, header_of_block, withdrawals_of_block):
        with suppress(Rejected):
            read(data)
