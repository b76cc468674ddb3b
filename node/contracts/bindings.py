"""The calls that the network's processes and tools make of its contracts, and the logs they read.

    typed arguments -> calldata        topics, data -> a frozen log, or None

Deliberately absent: the Inbox's and the Portal's logs, which are rules (node.rollup.records, node.rollup.deposits).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from node.contracts.abi import decode, encode_call
from node.errors import Rejected
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32

MESSAGE_PASSED: Final = keccak256(
    b"MessagePassed(uint256,address,address,uint256,uint256,bytes,bytes32)"
)
"""First topic of the message passer's log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePassed:
    """A withdrawal as L2 logged it: everything that proving it on L1 needs."""

    nonce: int
    """How many came before it, below version 1 in the highest 16 bits."""
    sender: Address
    """Who sent it; 20 bytes."""
    target: Address
    """Whom it calls on L1; 20 bytes."""
    value: int
    """Wei that it takes along."""
    gas_limit: int
    """Least gas of the call on L1."""
    data: bytes
    """The call's input."""
    withdrawal_hash: Hash32
    """Its name."""


# -- Inbox


def append(
    batch: bytes, *, first_block: int, block_count: int, origin: int, expected: Hash32
) -> bytes:
    """Record a batch that builds on an accumulator."""
    return encode_call(
        "append(bytes,uint64,uint32,uint64,bytes32)",
        batch,
        first_block,
        block_count,
        origin,
        expected,
    )


def force_empty(origin: int) -> bytes:
    """Make the L2 take in overdue L1 blocks, up to one."""
    return encode_call("forceEmpty(uint64)", origin)


def anchor_headers(newest: int, headers: Sequence[bytes]) -> bytes:
    """Prove hashes of old L1 blocks; headers in RLP, from the newest down."""
    return encode_call("anchorHeaders(uint64,bytes[])", newest, headers)


# -- Portal


def deposit_transaction(to: Address | None, *, value: int, gas: int, data: bytes = b"") -> bytes:
    """Make a transaction happen on L2; None creates a contract from the data."""
    return encode_call(
        "depositTransaction(address,uint256,uint64,bool,bytes)",
        to or bytes(20),
        value,
        gas,
        to is None,
        data,
    )


# -- message passer, vaults, oracle


def initiate_withdrawal(target: Address, *, gas_limit: int, data: bytes = b"") -> bytes:
    """Send a message, and the Ether that is paid along, to L1."""
    return encode_call("initiateWithdrawal(address,uint256,bytes)", target, gas_limit, data)


def burn() -> bytes:
    """Take the Ether of all withdrawals so far out of the L2's supply."""
    return encode_call("burn()")


def withdraw_fees() -> bytes:
    """Pay a vault's fees to its recipient."""
    return encode_call("withdraw()")


def l1_fee(unsigned: bytes) -> bytes:
    """Ask for the L1 fee of a transaction that is not signed yet; the answer is one word, wei."""
    return encode_call("getL1Fee(bytes)", unsigned)


def read_message_passed(topics: Sequence[bytes], data: bytes) -> MessagePassed | None:
    """Read a log of the message passer; None if it is no MessagePassed."""
    if len(topics) != 4 or topics[0] != MESSAGE_PASSED:
        return None
    try:
        nonce, sender, target = decode(("uint256", "address", "address"), b"".join(topics[1:]))
        value, gas_limit, message, name = decode(("uint256", "uint256", "bytes", "bytes32"), data)
    except Rejected:
        return None
    assert isinstance(nonce, int)
    assert isinstance(value, int)
    assert isinstance(gas_limit, int)
    assert isinstance(sender, bytes)
    assert isinstance(target, bytes)
    assert isinstance(message, bytes)
    assert isinstance(name, bytes)
    return MessagePassed(
        nonce=nonce,
        sender=Address(sender),
        target=Address(target),
        value=value,
        gas_limit=gas_limit,
        data=message,
        withdrawal_hash=Hash32(name),
    )
