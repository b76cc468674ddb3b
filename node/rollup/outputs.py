"""Outputs: what one hash says of the L2 after a block, and how a withdrawal is found under it.

    L2 header -> output_root -> games on L1;    L2ToL1MessagePasser -> withdrawal_hash -> sent_messages_slot -> storage proof

Deliberately absent: who claims an output and how a claim falls (the games of L1), and proofs (the engine).

Source: OP Stack specification, "Proposals" (output root, version 0) and "Withdrawals".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from node.eth.hashing import keccak256
from node.eth.headers import Header
from node.eth.primitives import ZERO_HASH, Address, Hash32

OUTPUT_VERSION: Final = ZERO_HASH
"""The only version of an output."""

SENT_MESSAGES_SLOT: Final = 0
"""Slot of the mapping `sentMessages` in L2ToL1MessagePasser."""

MESSAGE_VERSION: Final = 1
"""Version in the highest two bytes of a withdrawal's nonce."""

_VERSION_SHIFT = 240
_WORD = 32
_OUTPUT_BYTES = 4 * _WORD
_HEAD_WORDS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The preimage of an output root."""

    state_root: Hash32
    """Of the L2 after the block."""
    message_passer_root: Hash32
    """Storage root of L2ToL1MessagePasser."""
    block_hash: Hash32
    """The block."""

    def encode(self) -> bytes:
        """Encode in four words: version 0, state root, message passer's storage root, block hash."""
        return OUTPUT_VERSION + self.state_root + self.message_passer_root + self.block_hash

    def root(self) -> Hash32:
        """Hash it: the output root."""
        return keccak256(self.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeWithdrawal:
    """A message from the L2 to L1, as L2ToL1MessagePasser keeps it."""

    nonce: int
    """`message_nonce` of how many came before it."""
    sender: Address
    """Who sent it on the L2; 20 bytes."""
    target: Address
    """Who is called on L1; 20 bytes."""
    value: int
    """Wei."""
    gas_limit: int
    """Least gas for the call on L1."""
    data: bytes
    """Calldata."""


def output_of(header: Header) -> Output:
    """Read an L2 header's output: its withdrawals root is the message passer's storage root (Isthmus)."""
    return Output(
        state_root=header.state_root,
        message_passer_root=header.withdrawals_root,
        block_hash=header.hash(),
    )


def decode_output(encoded: bytes) -> Output | None:
    """Read the preimage of an output root; None if it is none of version 0."""
    if len(encoded) != _OUTPUT_BYTES or encoded[:_WORD] != OUTPUT_VERSION:
        return None
    return Output(
        state_root=Hash32(encoded[32:64]),
        message_passer_root=Hash32(encoded[64:96]),
        block_hash=Hash32(encoded[96:128]),
    )


def message_nonce(count: int) -> int:
    """Put the version in front of how many messages came before."""
    assert 0 <= count < 1 << _VERSION_SHIFT, "more messages than a nonce can count"
    return MESSAGE_VERSION << _VERSION_SHIFT | count


def withdrawal_hash(withdrawal: BridgeWithdrawal) -> Hash32:
    """Name a withdrawal: keccak(abi.encode(nonce, sender, target, value, gasLimit, data))."""
    size = len(withdrawal.data)
    words = (
        withdrawal.nonce,
        int.from_bytes(withdrawal.sender),
        int.from_bytes(withdrawal.target),
        withdrawal.value,
        withdrawal.gas_limit,
        _HEAD_WORDS * _WORD,
        size,
    )
    return keccak256(
        b"".join(word.to_bytes(_WORD) for word in words) + withdrawal.data + bytes(-size % _WORD)
    )


def sent_messages_slot(withdrawal_name: Hash32) -> Hash32:
    """Find the slot of L2ToL1MessagePasser that holds 1 once this withdrawal was initiated."""
    return keccak256(withdrawal_name + SENT_MESSAGES_SLOT.to_bytes(_WORD))
