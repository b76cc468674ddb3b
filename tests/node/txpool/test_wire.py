"""Messages between pools."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import given, strategies as st

from node.errors import Rejected
from node.eth.primitives import Hash32
from node.eth.reasons import EncodingReason
from node.txpool.wire import (
    ANNOUNCED_MAX,
    GOSSIP_BYTES_MAX,
    GossipedTransactions,
    decode_answer,
    decode_gossip,
    decode_request,
    encode_answer,
    encode_gossip,
    encode_request,
)

raws = st.lists(st.binary(max_size=600), max_size=20)
hashes = st.lists(st.binary(min_size=32, max_size=32), max_size=ANNOUNCED_MAX)


@given(raws, hashes)
def test_messages_are_read_as_written_and_are_cbor(
    transactions: list[bytes], announced: list[bytes]
) -> None:
    message = encode_gossip(transactions, announced)
    assert cbor2.loads(message) == [transactions, announced]
    assert message == cbor2.dumps([transactions, announced], canonical=True)
    assert decode_gossip(message) == GossipedTransactions(
        tuple(transactions), tuple(Hash32(one) for one in announced)
    )
    assert decode_request(encode_request(announced)) == tuple(announced)
    assert decode_answer(encode_answer(transactions[:ANNOUNCED_MAX])) == tuple(
        transactions[:ANNOUNCED_MAX]
    )


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_rejected(message: bytes) -> None:
    for decode in (decode_gossip, decode_request, decode_answer):
        reason: object = None
        try:
            decode(message)
        except Rejected as error:
            reason = error.reason
        assert reason is None or isinstance(reason, EncodingReason)


@given(raws, hashes, st.data())
def test_there_is_one_form_of_a_message(
    transactions: list[bytes], announced: list[bytes], data: st.DataObject
) -> None:
    message = bytearray(encode_gossip(transactions, announced))
    place = data.draw(st.integers(0, len(message) - 1))
    message[place] ^= data.draw(st.integers(1, 255))
    try:
        found = decode_gossip(bytes(message))
    except Rejected:
        return
    assert encode_gossip(found.transactions, found.announced) == message


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", EncodingReason.TRUNCATED),
        (b"\x82\x80", EncodingReason.TRUNCATED),
        (b"\x82\x80\x80\x00", EncodingReason.TRAILING),
        (b"\x83\x80\x80\x80", EncodingReason.WRONG_LENGTH),
        (b"\xa0", EncodingReason.WRONG_TYPE),
        (b"\x9f\xff", EncodingReason.NOT_CANONICAL),
        (b"\x82\x80\x81\x41\x00", EncodingReason.WRONG_LENGTH),
        (b"\x82\x98\x01\x41\x00\x80", EncodingReason.NOT_CANONICAL),
        (b"\x82\x81\x1a\xff\xff\xff\xff\x80", EncodingReason.WRONG_TYPE),
        (b"\x82\x81\x5a\xff\xff\xff\xff\x80", EncodingReason.TOO_LARGE),
        (b"\x82\x9a\xff\xff\xff\xff\x80", EncodingReason.TOO_MANY_ITEMS),
        (encode_gossip([], [b"h" * 32] * (ANNOUNCED_MAX + 1)), EncodingReason.TOO_MANY_ITEMS),
        (bytes(GOSSIP_BYTES_MAX + 1), EncodingReason.TOO_LARGE),
    ],
)
def test_malformed_messages_are_named(message: bytes, reason: EncodingReason) -> None:
    with pytest.raises(Rejected) as caught:
        decode_gossip(message)
    assert caught.value.reason is reason
