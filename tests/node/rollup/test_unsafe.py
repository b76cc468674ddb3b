"""Unsafe blocks: one encoding, signed by the sequencer, within bounds; a follower makes of them what L1 would."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import cbor2
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, strategies as st

from node.consensus.signing import SignedMessage
from node.errors import Rejected
from node.eth.hashing import keccak256
from node.eth.primitives import BlockNumber, Hash32
from node.eth.reasons import EncodingReason
from node.rollup.derivation import BlockInput
from node.rollup.limits import MAX_UNSAFE_BLOCKS, MAX_UNSAFE_BYTES
from node.rollup.reasons import RollupReason
from node.rollup.unsafe import (
    UnsafeBlock,
    UnsafeBlocks,
    decode_body,
    encode_body,
    encode_message,
    inputs_of,
    open_message,
    signing_message,
    split,
    unsafe_domain,
)
from tests.kit.rollup import PARAMETERS as DEFAULTS

KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"\x08" * 32)
PARAMETERS = replace(DEFAULTS, sequencer_key=KEY.public_key().public_bytes_raw())
DOMAIN = unsafe_domain(901, keccak256(b"genesis"))
UINT64 = st.integers(0, (1 << 64) - 1)
HASHES = st.binary(min_size=32, max_size=32).map(Hash32)


def verify(messages: Sequence[SignedMessage]) -> list[bool]:
    return [_verifies(*message) for message in messages]


def _verifies(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def origin_hash(number: int) -> Hash32:
    return keccak256(b"origin" + number.to_bytes(8))


def block(number: int, origin: int, *raws: bytes, salt: bytes = b"") -> UnsafeBlock:
    return UnsafeBlock(
        timestamp=1_000 + number,
        origin_number=BlockNumber(origin),
        origin_hash=origin_hash(origin),
        transactions=raws,
        block_hash=keccak256(b"block" + number.to_bytes(8) + salt),
    )


def run_of(first: int, *blocks: UnsafeBlock, generation: int = 3) -> UnsafeBlocks:
    return UnsafeBlocks(
        generation=generation,
        first_number=BlockNumber(first),
        parent_hash=keccak256(b"block" + (first - 1).to_bytes(8)),
        blocks=blocks,
    )


def signed(body: bytes, key: Ed25519PrivateKey = KEY, domain: Hash32 = DOMAIN) -> bytes:
    return encode_message(body, key.sign(signing_message(domain, body)))


RUN = run_of(10, block(10, 4, b"raw"), block(11, 5), block(12, 5, b"one", b"two"))


@st.composite
def runs(draw: st.DrawFn) -> UnsafeBlocks:
    origin = draw(st.integers(0, (1 << 64) - 10))
    blocks = []
    for _ in range(draw(st.integers(1, 5))):
        origin += draw(st.booleans())
        blocks.append(
            UnsafeBlock(
                timestamp=draw(UINT64),
                origin_number=BlockNumber(origin),
                origin_hash=origin_hash(origin),
                transactions=tuple(draw(st.lists(st.binary(max_size=30), max_size=3))),
                block_hash=draw(HASHES),
            )
        )
    return UnsafeBlocks(
        generation=draw(UINT64),
        first_number=BlockNumber(draw(st.integers(1, (1 << 64) - 10))),
        parent_hash=draw(HASHES),
        blocks=tuple(blocks),
    )


# -- one encoding


@given(runs())
def test_what_is_signed_is_read(run: UnsafeBlocks) -> None:
    assert open_message(signed(encode_body(run)), PARAMETERS, DOMAIN, verify) == run


@given(runs())
def test_a_message_is_canonical_cbor_of_five_items(run: UnsafeBlocks) -> None:
    message = signed(encode_body(run))
    assert cbor2.loads(message) == [
        run.generation,
        run.first_number,
        run.parent_hash,
        [
            [b.timestamp, b.origin_number, b.origin_hash, list(b.transactions), b.block_hash]
            for b in run.blocks
        ],
        message[-64:],
    ]
    assert cbor2.dumps(cbor2.loads(message), canonical=True) == message


def test_the_signature_covers_chain_genesis_and_every_byte() -> None:
    body = encode_body(RUN)
    assert keccak256(b"unsafe/1" + (901).to_bytes(8) + keccak256(b"genesis")) == DOMAIN
    assert signing_message(DOMAIN, body) == keccak256(DOMAIN + keccak256(body))


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(signed(encode_body(RUN), OTHER_KEY), id="another key"),
        pytest.param(
            signed(encode_body(RUN), domain=unsafe_domain(902, keccak256(b"genesis"))),
            id="another chain",
        ),
        pytest.param(
            signed(encode_body(RUN), domain=unsafe_domain(901, keccak256(b"other"))),
            id="another genesis",
        ),
        pytest.param(encode_message(encode_body(RUN), bytes(64)), id="no signature"),
        pytest.param(signed(encode_body(RUN))[:-1] + b"\xff", id="a changed signature"),
    ],
)
def test_what_the_sequencer_did_not_sign_is_refused(message: bytes) -> None:
    with pytest.raises(Rejected) as refusal:
        open_message(message, PARAMETERS, DOMAIN, verify)
    assert refusal.value.reason is RollupReason.UNSAFE_SIGNATURE


@given(st.data())
def test_a_changed_byte_is_refused(data: st.DataObject) -> None:
    message = bytearray(signed(encode_body(RUN)))
    place = data.draw(st.integers(0, len(message) - 1))
    message[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Rejected):
        open_message(bytes(message), PARAMETERS, DOMAIN, verify)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(message: bytes) -> None:
    with pytest.raises(Rejected):
        open_message(message, PARAMETERS, DOMAIN, verify)


@given(st.binary(max_size=300))
def test_any_signed_bytes_are_read_or_refused(body: bytes) -> None:
    with suppress(Rejected):
        assert encode_body(open_message(signed(body), PARAMETERS, DOMAIN, verify)) == body


@given(st.data())
def test_any_change_that_the_sequencer_signs_is_read_or_refused(data: st.DataObject) -> None:
    body = bytearray(encode_body(RUN))
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] = data.draw(st.integers(0, 255))
    with suppress(Rejected):
        assert encode_body(decode_body(bytes(body), PARAMETERS)) == body


def test_nothing_is_read_before_the_signature_is_good() -> None:
    asked: list[SignedMessage] = []

    def refuse(messages: Sequence[SignedMessage]) -> list[bool]:
        asked.extend(messages)
        return [False]

    garbage = b"\x85" + b"\xff" * 40 + b"\x58\x40" + bytes(64)
    with pytest.raises(Rejected) as refusal:
        open_message(garbage, PARAMETERS, DOMAIN, refuse)
    assert refusal.value.reason is RollupReason.UNSAFE_SIGNATURE
    assert asked == [(PARAMETERS.sequencer_key, signing_message(DOMAIN, b"\xff" * 40), bytes(64))]


# -- bounds


def reason_of(body: bytes) -> object:
    with pytest.raises(Rejected) as refusal:
        decode_body(body, PARAMETERS)
    return refusal.value.reason


def encoded_with(*, count: int = 1, first: int = 1, raws: Sequence[bytes] = ()) -> bytes:
    one = [1_000, 4, origin_hash(4), list(raws), keccak256(b"block")]
    items = (3, first, keccak256(b"parent"), [one] * count)
    return b"".join(cbor2.dumps(item, canonical=True) for item in items)


def test_a_message_has_a_block() -> None:
    assert reason_of(encoded_with(count=0)) is RollupReason.UNSAFE_EMPTY


def test_a_message_has_at_most_512_blocks() -> None:
    assert len(decode_body(encoded_with(count=512), PARAMETERS).blocks) == 512
    assert reason_of(encoded_with(count=513)) is EncodingReason.TOO_MANY_ITEMS


@pytest.mark.parametrize("first", [0, (1 << 64) - 1, (1 << 64) - 2])
def test_numbers_have_64_bits_and_genesis_is_not_sealed(first: int) -> None:
    assert reason_of(encoded_with(first=first, count=2)) is RollupReason.UNSAFE_NUMBER


def test_the_last_numbers_are_numbers() -> None:
    last = (1 << 64) - 3
    assert decode_body(encoded_with(first=last, count=2), PARAMETERS).last_number == last + 1


def test_a_message_may_have_a_whole_mebibyte() -> None:
    def filled(size: int) -> UnsafeBlocks:
        return run_of(1, *[block(1, 4, bytes(31_000))] * 33, block(1, 4, bytes(size)))

    spare = MAX_UNSAFE_BYTES - len(signed(encode_body(filled(10_000))))
    body = encode_body(filled(10_000 + spare))
    assert len(signed(body)) == MAX_UNSAFE_BYTES
    assert len(open_message(signed(body), PARAMETERS, DOMAIN, verify).blocks) == 34
    with pytest.raises(ValueError, match="do not fit"):
        encode_body(filled(10_001 + spare))


def test_a_block_has_at_most_the_bytes_of_its_limit() -> None:
    half = bytes(PARAMETERS.transactions_limit_bytes // 2)
    (read,) = decode_body(encoded_with(raws=[half, half]), PARAMETERS).blocks
    assert read.transactions == (half, half)
    assert reason_of(encoded_with(raws=[half, half, b"x"])) is RollupReason.UNSAFE_TRANSACTIONS
    assert reason_of(encoded_with(raws=[half + half + b"x"])) is EncodingReason.TOO_LARGE


def test_a_block_has_at_most_as_many_transactions_as_its_gas_pays() -> None:
    (read,) = decode_body(encoded_with(raws=[b""] * 333), PARAMETERS).blocks
    assert len(read.transactions) == 333
    assert reason_of(encoded_with(raws=[b""] * 334)) is EncodingReason.TOO_MANY_ITEMS


def test_a_message_has_at_most_a_mebibyte() -> None:
    with pytest.raises(Rejected) as refusal:
        open_message(bytes(MAX_UNSAFE_BYTES + 1), PARAMETERS, DOMAIN, verify)
    assert refusal.value.reason is EncodingReason.TOO_LARGE


def test_a_builder_that_breaks_the_bounds_hears_it() -> None:
    with pytest.raises(ValueError, match="0 blocks"):
        encode_body(run_of(1))
    with pytest.raises(ValueError, match="513 blocks"):
        encode_body(run_of(1, *[block(1, 1)] * 513))
    with pytest.raises(ValueError, match="do not fit"):
        encode_body(run_of(1, *[block(1, 1, bytes(31_000))] * 34))


# -- any run fits messages


def long_run(sizes: Sequence[int]) -> UnsafeBlocks:
    return run_of(1, *(block(1 + place, 4, bytes(size)) for place, size in enumerate(sizes)))


@pytest.mark.parametrize(
    ("sizes", "least"),
    [
        ([1], 1),
        ([0] * 512, 1),
        ([0] * 513, 2),
        ([0] * 1_500, 3),
        ([31_744] * 40, 2),
        ([31_744, 0] * 60, 2),
    ],
)
def test_a_run_of_any_length_is_split_within_the_bounds(sizes: list[int], least: int) -> None:
    run = long_run(sizes)
    messages = list(split(run))
    assert len(messages) == least
    for message in messages:
        assert len(message.blocks) <= MAX_UNSAFE_BLOCKS
        assert decode_body(encode_body(message), PARAMETERS) == message
    assert [one for message in messages for one in message.blocks] == list(run.blocks)
    number, parent_hash = run.first_number, run.parent_hash
    for message in messages:
        assert (message.first_number, message.parent_hash) == (number, parent_hash)
        number, parent_hash = BlockNumber(message.last_number + 1), message.blocks[-1].block_hash


def test_a_run_of_nothing_is_no_message() -> None:
    assert list(split(run_of(1))) == []


# -- what a follower makes of it


def test_a_run_says_what_a_record_would() -> None:
    assert inputs_of(RUN, 4, origin_hash(4)) == (
        said(10, 4, False, b"raw"),
        said(11, 5, True),
        said(12, 5, False, b"one", b"two"),
    )
    assert inputs_of(RUN, 3, origin_hash(3))[0] == said(10, 4, True, b"raw")


def said(number: int, origin: int, advances: bool, *raws: bytes) -> BlockInput:
    return BlockInput(
        number=BlockNumber(number),
        origin_number=BlockNumber(origin),
        advances_origin=advances,
        claimed_timestamp=1_000 + number,
        transactions=raws,
    )


@pytest.mark.parametrize(
    ("number", "parent_origin_hash"),
    [(2, origin_hash(2)), (5, origin_hash(5)), (4, origin_hash(99))],
)
def test_an_origin_that_does_not_follow_its_parents_is_refused(
    number: int, parent_origin_hash: Hash32
) -> None:
    with pytest.raises(Rejected) as refusal:
        inputs_of(RUN, number, parent_origin_hash)
    assert refusal.value.reason is RollupReason.UNSAFE_ORIGIN


@pytest.mark.parametrize(
    "second",
    [block(11, 3), block(11, 6), replace(block(11, 4), origin_hash=origin_hash(99))],
)
def test_an_origin_that_jumps_or_has_two_hashes_is_refused(second: UnsafeBlock) -> None:
    assert reason_of(encode_body(run_of(10, block(10, 4), second))) is RollupReason.UNSAFE_ORIGIN
