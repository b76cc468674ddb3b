"""A theft that an output could pay for: a withdrawal that nobody made, and the output root under which it is proven.

    thief, amount -> BridgeWithdrawal -> a storage trie with one leaf -> Output with that root -> the claim of a false game

The output's state root and block hash are the real ones, so only the message passer's storage differs from the truth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32
from node.rollup.outputs import (
    BridgeWithdrawal,
    Output,
    message_nonce,
    sent_messages_slot,
    withdrawal_hash,
)

LEAF_OF_EVEN_PATH: Final = 0x20
"""First byte of a leaf's path with an even number of nibbles (yellow paper, appendix C)."""

SENT: Final = b"\x01"
"""What the slot of a withdrawal holds, RLP of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Theft:
    """A withdrawal out of nothing, with what proves it."""

    withdrawal: BridgeWithdrawal
    """Who is paid how much."""
    output: Output
    """Preimage of the output root that has to be believed."""
    proof: tuple[bytes, ...]
    """Nodes of the storage trie, from the root down."""

    @property
    def name(self) -> Hash32:
        """The withdrawal's hash."""
        return withdrawal_hash(self.withdrawal)


def theft(truth: Output, *, thief: Address, value_wei: int, salt: int) -> Theft:
    """Forge an output after a block in which a thief withdrew.

    Args:
        truth: the real output of that block.
        thief: who is paid; 20 bytes.
        value_wei: how much.
        salt: makes one theft differ from the next; less than 2^64.
    """
    withdrawal = BridgeWithdrawal(
        nonce=message_nonce(1 << 64 | salt),
        sender=thief,
        target=thief,
        value=value_wei,
        gas_limit=21_000,
        data=b"",
    )
    path = keccak256(sent_messages_slot(withdrawal_hash(withdrawal)))
    leaf = rlp.encode([bytes([LEAF_OF_EVEN_PATH]) + path, SENT])
    return Theft(
        withdrawal=withdrawal,
        output=replace(truth, message_passer_root=keccak256(leaf)),
        proof=(leaf,),
    )
