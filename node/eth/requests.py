"""Execution requests (EIP-7685): what contracts ask of consensus, as the engine hands it over.

    engine -> [type byte || records] -> split_requests -> deposit_records / exit_records -> node.consensus.registry

Deliberately absent: what a request does, and requests of other types, which are consensus's to ignore.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node.errors import Rejected
from node.eth.hashing import sha256
from node.eth.primitives import Address, Gwei, Hash32
from node.eth.reasons import EncodingReason

DEPOSIT_TYPE = 0x00
"""EIP-6110."""

EXIT_TYPE = 0x01
"""EIP-7002."""

DEPOSIT_BYTES = 192
"""48 public key, 32 withdrawal credentials, 8 amount, 96 signature, 8 index (EIP-6110)."""

EXIT_BYTES = 76
"""20 source address, 48 public key, 8 amount (EIP-7002)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositRecord:
    """A deposit that a block's execution logged (EIP-6110)."""

    public_key: bytes
    """48 bytes; the deposit contract does not look into them."""
    withdrawal_credentials: bytes
    """32 bytes."""
    amount_gwei: Gwei
    """Little-endian in the record."""
    signature: bytes
    """96 bytes."""
    index: int
    """Counts the contract's deposits; little-endian in the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRecord:
    """A withdrawal request (EIP-7002); amount 0 asks for the whole stake."""

    source_address: Address
    """Who called the contract; 20 bytes."""
    public_key: bytes
    """48 bytes."""
    amount_gwei: Gwei
    """Little-endian in the record."""


def split_requests(requests: Sequence[bytes]) -> dict[int, bytes]:
    """Split requests into their type and data. Raises Rejected if types do not ascend or one is empty."""
    found: dict[int, bytes] = {}
    previous = -1
    for request in requests:
        if len(request) < 2 or request[0] <= previous:
            raise Rejected(EncodingReason.REQUEST_ORDER, "empty, or types do not ascend")
        previous = request[0]
        found[previous] = request[1:]
    return found


def requests_hash(requests: Sequence[bytes]) -> Hash32:
    """Compute the commitment in the header: SHA-256 over the SHA-256 of each request."""
    return sha256(b"".join(sha256(request) for request in requests if len(request) > 1))


def deposit_records(data: bytes) -> list[DepositRecord]:
    """Read the records of a deposit request. Raises Rejected."""
    return [_deposit(record) for record in _records(data, DEPOSIT_BYTES)]


def exit_records(data: bytes) -> list[ExitRecord]:
    """Read the records of a withdrawal request. Raises Rejected."""
    return [_exit(record) for record in _records(data, EXIT_BYTES)]


def encode_deposit(record: DepositRecord) -> bytes:
    """Write a deposit as the contract's log is cut."""
    return (
        record.public_key
        + record.withdrawal_credentials
        + record.amount_gwei.to_bytes(8, "little")
        + record.signature
        + record.index.to_bytes(8, "little")
    )


def encode_exit(record: ExitRecord) -> bytes:
    """Write a withdrawal request as the contract's queue gives it."""
    return record.source_address + record.public_key + record.amount_gwei.to_bytes(8, "little")


def _records(data: bytes, size: int) -> list[bytes]:
    if len(data) % size:
        raise Rejected(EncodingReason.WRONG_LENGTH, f"{len(data)} bytes of records of {size}")
    return [data[start : start + size] for start in range(0, len(data), size)]


def _deposit(record: bytes) -> DepositRecord:
    return DepositRecord(
        public_key=record[:48],
        withdrawal_credentials=record[48:80],
        amount_gwei=Gwei(int.from_bytes(record[80:88], "little")),
        signature=record[88:184],
        index=int.from_bytes(record[184:192], "little"),
    )


def _exit(record: bytes) -> ExitRecord:
    return ExitRecord(
        source_address=Address(record[:20]),
        public_key=record[20:68],
        amount_gwei=Gwei(int.from_bytes(record[68:76], "little")),
    )
