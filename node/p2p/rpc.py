"""gossipsub's bytes: RPCs, signed messages, and the payload inside them.

    payload -> sign -> message -> RPC -> varint frame -> stream, and back with every check before its use

No input or output. The protobuf types are py-libp2p's; the messages are StrictSign, Ed25519 identities only.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from google.protobuf.message import DecodeError
from libp2p.crypto.keys import KeyPair
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2

from node.errors import Rejected
from node.p2p.network import PeerId
from node.p2p.scores import Misbehaviour
from node.p2p.wire import frame_uvarint

RPC_BYTES_MAX: Final = 1024 * 1024
"""Longest RPC read: three of the largest inline messages, which others may send as one."""

MESSAGES_PER_RPC_MAX: Final = 256
"""Messages of one RPC."""

SUBSCRIPTIONS_PER_RPC_MAX: Final = 64
"""Subscriptions, grafts, prunes and announcements of one RPC; we have six topics."""

IDS_PER_RPC_MAX: Final = 5_000
"""Message ids of one RPC; go-libp2p's bound."""

SIGNED_PREFIX: Final = b"libp2p-pubsub:"
"""What a signature covers in front of the message, by the specification."""

ED25519_IDENTITY_PREFIX: Final = bytes.fromhex("002408011220")
"""An identity that holds its own Ed25519 key: identity multihash of the key's protobuf."""

SEQUENCE_BYTES: Final = 8
"""A sequence number is this long, by the specification."""

INLINE: Final = b"\x00"
"""First byte of a payload that holds the message itself."""

ANNOUNCED: Final = b"\x01"
"""First byte of a payload that holds the message's hash and length."""

HASH_BYTES: Final = 32
"""SHA-256, which the machine computes faster than anything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedMessage:
    """A message whose author is proven."""

    message_id: bytes
    """Author and sequence number."""
    author: PeerId
    """Who published it."""
    topic: str
    """Topic name on the wire."""
    payload: bytes
    """INLINE or ANNOUNCED, and what follows."""
    message: rpc_pb2.Message
    """The message as it is forwarded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """A large message that is fetched by stream."""

    body_hash: bytes
    """SHA-256 of it."""
    size: int
    """Its length in bytes."""


def decode_rpc(frame: bytes) -> rpc_pb2.RPC:
    """An RPC within its bounds.

    Raises:
        Rejected: it does not decode, or holds more than any honest peer sends.
    """
    try:
        rpc = rpc_pb2.RPC.FromString(frame)
    except DecodeError as error:
        raise Rejected(
            Misbehaviour.MALFORMED_MESSAGE, f"an RPC does not decode: {error}"
        ) from error
    control = rpc.control
    lengths = (
        len(rpc.subscriptions),
        len(control.graft),
        len(control.prune),
        len(control.ihave),
        len(control.iwant),
    )
    if len(rpc.publish) > MESSAGES_PER_RPC_MAX:
        raise Rejected(Misbehaviour.OVERSIZED, f"an RPC of {len(rpc.publish)} messages")
    if max(lengths) > SUBSCRIPTIONS_PER_RPC_MAX:
        raise Rejected(Misbehaviour.OVERSIZED, "an RPC of too many control entries")
    ids = sum(len(entry.messageIDs) for entry in control.ihave)
    ids += sum(len(entry.messageIDs) for entry in control.iwant)
    if ids > IDS_PER_RPC_MAX:
        raise Rejected(Misbehaviour.OVERSIZED, f"an RPC of {ids} message ids")
    return rpc


def sign_message(keys: KeyPair, sequence: int, topic: str, payload: bytes) -> SignedMessage:
    """A message of ours."""
    author = ID.from_pubkey(keys.public_key)
    message = rpc_pb2.Message(
        from_id=author.to_bytes(),
        data=payload,
        seqno=sequence.to_bytes(SEQUENCE_BYTES, "big"),
        topicIDs=[topic],
    )
    message.signature = keys.private_key.sign(SIGNED_PREFIX + message.SerializeToString())
    message.key = keys.public_key.serialize()
    return _signed_message(message, topic)


def message_id_of(message: rpc_pb2.Message) -> bytes:
    """What makes it a duplicate of another; not proven before `verify_message`.

    Raises:
        Rejected: no Ed25519 identity, or no sequence number of SEQUENCE_BYTES.
    """
    author = message.from_id
    is_identity = author.startswith(ED25519_IDENTITY_PREFIX) and len(author) == 38
    if not is_identity or len(message.seqno) != SEQUENCE_BYTES:
        raise Rejected(
            Misbehaviour.MALFORMED_MESSAGE, "a message without Ed25519 author and sequence number"
        )
    return author + message.seqno


def verify_message(message: rpc_pb2.Message) -> SignedMessage:
    """Check the author's signature.

    Raises:
        Rejected: not of exactly one topic, or not signed by its author.
    """
    if len(message.topicIDs) != 1:
        raise Rejected(Misbehaviour.MALFORMED_MESSAGE, "a message has exactly one topic")
    topic = message.topicIDs[0]
    unsigned = rpc_pb2.Message(
        from_id=message.from_id, data=message.data, seqno=message.seqno, topicIDs=[topic]
    )
    key = Ed25519PublicKey.from_public_bytes(message.from_id[len(ED25519_IDENTITY_PREFIX) :])
    try:
        key.verify(message.signature, SIGNED_PREFIX + unsigned.SerializeToString())
    except InvalidSignature as error:
        raise Rejected(Misbehaviour.BAD_SIGNATURE, "its author did not sign a message") from error
    return _signed_message(message, topic)


def _signed_message(message: rpc_pb2.Message, topic: str) -> SignedMessage:
    return SignedMessage(
        message_id=message_id_of(message),
        author=PeerId(ID(message.from_id).to_base58()),
        topic=topic,
        payload=message.data,
        message=message,
    )


def encode_publish(message: rpc_pb2.Message) -> bytes:
    """An RPC that holds one message, framed; encoded once for all peers."""
    return frame_uvarint(rpc_pb2.RPC(publish=[message]).SerializeToString())


def encode_announcement(body: bytes) -> tuple[Announcement, bytes]:
    """What is gossiped instead of a large message."""
    announcement = Announcement(body_hash=hashlib.sha256(body).digest(), size=len(body))
    return announcement, ANNOUNCED + announcement.body_hash + len(body).to_bytes(4, "big")


def decode_payload(payload: bytes, bytes_max: int) -> bytes | Announcement:
    """The message itself, or where to fetch it.

    Raises:
        Rejected: neither, or longer than this topic allows.
    """
    kind, rest = payload[:1], payload[1:]
    if kind == INLINE:
        if len(rest) > bytes_max:
            raise Rejected(Misbehaviour.OVERSIZED, f"a message of {len(rest)} bytes")
        return rest
    if kind != ANNOUNCED or len(rest) != HASH_BYTES + 4:
        raise Rejected(Misbehaviour.MALFORMED_MESSAGE, "neither a message nor an announcement")
    size = int.from_bytes(rest[HASH_BYTES:], "big")
    if size > bytes_max:
        raise Rejected(Misbehaviour.OVERSIZED, f"an announced message of {size} bytes")
    return Announcement(body_hash=rest[:HASH_BYTES], size=size)
