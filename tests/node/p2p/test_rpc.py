"""gossipsub's bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.rsa import create_new_key_pair as create_rsa_key_pair
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.validators import signature_validator

from node.errors import Rejected
from node.p2p.rpc import (
    ANNOUNCED,
    INLINE,
    decode_payload,
    decode_rpc,
    encode_announcement,
    encode_publish,
    message_id_of,
    sign_message,
    verify_message,
)
from node.p2p.scores import Misbehaviour
from node.p2p.wire import split_uvarint_frame
from tests.node.p2p.nodes import reason_of

AUTHOR = create_new_key_pair(b"\x07" * 32)
TOPIC = "/faultline/00010203/l1.vote"


def test_signed_message_is_what_upstream_verifies_and_we_do() -> None:
    signed = sign_message(AUTHOR, 5, TOPIC, INLINE + b"vote")

    assert signature_validator(signed.message)
    assert verify_message(signed.message) == signed
    assert signed.author == ID.from_pubkey(AUTHOR.public_key).to_base58()
    assert signed.message_id == message_id_of(signed.message)


@pytest.mark.parametrize("field", ["data", "seqno", "signature"])
def test_changed_message_is_rejected(field: str) -> None:
    message = sign_message(AUTHOR, 5, TOPIC, INLINE + b"vote").message
    original = getattr(message, field)
    setattr(message, field, bytes([original[0] ^ 1]) + original[1:])

    with pytest.raises(Rejected) as caught:
        verify_message(message)

    assert caught.value.reason is Misbehaviour.BAD_SIGNATURE


def test_message_of_another_topic_is_rejected() -> None:
    message = sign_message(AUTHOR, 5, TOPIC, INLINE + b"vote").message
    message.topicIDs[0] = TOPIC + "s"

    with pytest.raises(Rejected, match="bad_signature"):
        verify_message(message)


@pytest.mark.parametrize("topics", [[], [TOPIC, TOPIC]])
def test_message_has_exactly_one_topic(topics: list[str]) -> None:
    message = sign_message(AUTHOR, 5, TOPIC, INLINE + b"vote").message
    del message.topicIDs[:]
    message.topicIDs.extend(topics)

    with pytest.raises(Rejected, match="a message has exactly one topic"):
        verify_message(message)


def test_author_that_is_no_ed25519_identity_is_rejected() -> None:
    message = sign_message(AUTHOR, 5, TOPIC, INLINE + b"vote").message
    message.from_id = ID.from_pubkey(create_rsa_key_pair().public_key).to_bytes()

    with pytest.raises(Rejected) as caught:
        message_id_of(message)

    assert caught.value.reason is Misbehaviour.MALFORMED_MESSAGE


def test_published_rpc_decodes() -> None:
    signed = sign_message(AUTHOR, 5, TOPIC, INLINE + b"vote")

    split = split_uvarint_frame(bytearray(encode_publish(signed.message)), 0, 10_000)

    assert split is not None
    assert list(decode_rpc(split[0]).publish) == [signed.message]


def test_crowded_rpcs_are_rejected() -> None:
    crowds = [
        rpc_pb2.RPC(publish=[rpc_pb2.Message()] * 257),
        rpc_pb2.RPC(subscriptions=[rpc_pb2.RPC.SubOpts()] * 65),
        rpc_pb2.RPC(control=rpc_pb2.ControlMessage(graft=[rpc_pb2.ControlGraft()] * 65)),
        rpc_pb2.RPC(
            control=rpc_pb2.ControlMessage(iwant=[rpc_pb2.ControlIWant(messageIDs=[b""] * 5_001)])
        ),
    ]

    for rpc in crowds:
        with pytest.raises(Rejected, match="oversized"):
            decode_rpc(rpc.SerializeToString())


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_are_rejected(junk: bytes) -> None:
    reason = reason_of(lambda: decode_rpc(junk))

    assert reason in (None, Misbehaviour.MALFORMED_MESSAGE, Misbehaviour.OVERSIZED)


@given(st.binary(max_size=38), st.binary(max_size=9), st.binary(max_size=70), st.text(max_size=9))
def test_no_message_of_strangers_verifies(
    author: bytes, sequence: bytes, signature: bytes, topic: str
) -> None:
    prefixed = bytes.fromhex("002408011220") + author
    message = rpc_pb2.Message(
        from_id=prefixed[:38], seqno=sequence, signature=signature, topicIDs=[topic]
    )

    def judge() -> None:
        message_id_of(message)
        verify_message(message)

    assert reason_of(judge) in (Misbehaviour.MALFORMED_MESSAGE, Misbehaviour.BAD_SIGNATURE)


def test_payloads_survive() -> None:
    body = b"x" * 5_000
    announcement, payload = encode_announcement(body)

    assert decode_payload(INLINE + b"vote", 100) == b"vote"
    assert decode_payload(payload, 5_000) == announcement
    assert announcement.size == 5_000


@given(st.binary(max_size=60), st.sampled_from([b"", INLINE, ANNOUNCED]))
def test_any_payload_decodes_or_is_rejected(rest: bytes, kind: bytes) -> None:
    reason = reason_of(lambda: decode_payload(kind + rest, 1_000))

    assert reason in (None, Misbehaviour.MALFORMED_MESSAGE, Misbehaviour.OVERSIZED)


def test_oversized_payloads_are_rejected() -> None:
    _, announced = encode_announcement(bytes(1_001))

    with pytest.raises(Rejected, match="oversized: a message of 1001 bytes"):
        decode_payload(INLINE + bytes(1_001), 1_000)
    with pytest.raises(Rejected, match="oversized: an announced message of 1001 bytes"):
        decode_payload(announced, 1_000)
