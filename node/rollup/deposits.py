"""Deposits: transactions that L1 puts into L2 blocks, as the OP Stack has them.

    L1 header (requests_hash) -> requests -> portal_logs -> read_log -> user_deposits -+
    L1 header -> attributes_deposit ---------------------------------------------------+-> encode_deposit -> derivation

The Portal's logs come as the L1 block's request of type 0x7e: RLP items [log index in the block, [topics], data], one after
the other, so that a deposit is proven by an L1 header and its short list of requests.
The Portal writes no log that is skipped here and lets no L1 block cross a limit; yet *any* bytes have one meaning.
Deliberately absent: what executing a deposit does (the engine), and metering (the Portal).

Source: OP Stack specification, "Deposits" and "Isthmus: L1 attributes".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from node.contracts.addresses import DEPOSITOR, L1_BLOCK
from node.errors import Rejected
from node.eth import rlp
from node.eth.fees import BLOB_UPDATE_FRACTION, blob_base_fee
from node.eth.hashing import keccak256
from node.eth.headers import Header
from node.eth.primitives import Address, Hash32
from node.rollup.limits import (
    ATTRIBUTES_GAS,
    MAX_DEPOSITS,
    MAX_DEPOSITS_DATA_BYTES,
    MAX_DEPOSITS_GAS,
    MAX_DEPOSITS_REQUEST_BYTES,
)
from node.rollup.parameters import RollupParameters

DEPOSIT_TYPE: Final = 0x7E
"""EIP-2718 type of a deposit transaction; also our EIP-7685 type of the Portal's logs."""

TRANSACTION_DEPOSITED: Final = keccak256(b"TransactionDeposited(address,address,uint256,bytes)")
"""First topic of the Portal's log."""

ATTRIBUTES_SELECTOR: Final = bytes.fromhex("098999be")
"""setL1BlockValuesIsthmus()"""

USER_DOMAIN: Final = 0
"""Of source hashes that count by log index."""

ATTRIBUTES_DOMAIN: Final = 1
"""Of source hashes that count by place in the epoch; ours is always the first."""

ALIAS_OFFSET: Final = 0x1111000000000000000000000000000000001111
"""Added to a contract's address, so that nobody is a contract of the same address on L2."""

_WORD = 32
_OPAQUE_HEAD_BYTES = 73
_MAX_LOG_ITEMS = 8
_ADDRESSES = 1 << 160
_MAX_UINT256 = (1 << 256) - 1
_MINT_BITS = 128
_DEAREST_EXCESS = 178 * BLOB_UPDATE_FRACTION


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """A transaction of type 0x7E."""

    source_hash: Hash32
    """Makes it unique: names where it comes from."""
    sender: Address
    """Who it is from, aliased if a contract; 20 bytes."""
    to: Address | None
    """Who it calls; None creates a contract."""
    mint: int
    """Wei created for the sender before anything else, below 2^128; stays if the rest fails."""
    value: int
    """Wei sent along."""
    gas: int
    """Gas limit; paid for on L1."""
    data: bytes
    """Calldata or init code."""


def encode_deposit(deposit: Deposit) -> bytes:
    """Encode as the block holds it: 0x7E || rlp[sourceHash, from, to, mint, value, gas, isSystemTx = false, data]."""
    return bytes((DEPOSIT_TYPE,)) + rlp.encode(
        (
            deposit.source_hash,
            deposit.sender,
            deposit.to or b"",
            deposit.mint,
            deposit.value,
            deposit.gas,
            False,
            deposit.data,
        )
    )


def source_hash(domain: int, origin_hash: Hash32, number: int) -> Hash32:
    """Compute keccak(domain || keccak(L1 block hash || number)), domain and number as words of 32 bytes."""
    return keccak256(domain.to_bytes(_WORD) + keccak256(origin_hash + number.to_bytes(_WORD)))


def alias(address: Address) -> Address:
    """Find who a contract of L1 is on L2."""
    return Address(((int.from_bytes(address) + ALIAS_OFFSET) % _ADDRESSES).to_bytes(20))


# -- the attributes of an origin


def attributes_deposit(
    parameters: RollupParameters, number: int, origin_hash: Hash32, header: Header
) -> Deposit:
    """Build the deposit that tells L1Block of a new origin; the first transaction of its block."""
    return Deposit(
        source_hash=source_hash(ATTRIBUTES_DOMAIN, origin_hash, 0),
        sender=DEPOSITOR,
        to=L1_BLOCK,
        mint=0,
        value=0,
        gas=ATTRIBUTES_GAS,
        data=attributes_data(parameters, number, origin_hash, header),
    )


def attributes_data(
    parameters: RollupParameters, number: int, origin_hash: Hash32, header: Header
) -> bytes:
    """Pack the attributes in Isthmus's format: 176 bytes, the selector included; the sequence number is always 0."""
    return b"".join(
        (
            ATTRIBUTES_SELECTOR,
            parameters.l1_base_fee_scalar.to_bytes(4),
            parameters.l1_blob_base_fee_scalar.to_bytes(4),
            bytes(8),
            header.timestamp.to_bytes(8),
            number.to_bytes(8),
            header.base_fee_per_gas.to_bytes(_WORD),
            origin_blob_base_fee(header.excess_blob_gas).to_bytes(_WORD),
            origin_hash,
            bytes(12) + parameters.batcher,
            parameters.operator_fee_scalar.to_bytes(4),
            parameters.operator_fee_constant.to_bytes(8),
        )
    )


def origin_blob_base_fee(excess_blob_gas: int) -> int:
    """Price blob gas on L1, wei; 2^256 - 1 where it would be more, which takes no series to find out."""
    if excess_blob_gas > _DEAREST_EXCESS:
        return _MAX_UINT256
    return min(blob_base_fee(excess_blob_gas), _MAX_UINT256)


# -- the deposits of users


def user_deposits(origin_hash: Hash32, requests: Sequence[bytes]) -> tuple[Deposit, ...]:
    """List the user deposits of an L1 block, in log order.

    Skipped: a log that is not the Portal's (`read_log`), whose index is not above the one before, or whose deposit would
    take the block's deposits over 3M gas or over 32 KiB of data. Those after it stand.
    """
    deposits: list[Deposit] = []
    last_index, gas, data_bytes = -1, 0, 0
    for item in portal_logs(requests):
        read = read_log(origin_hash, item)
        if read is None or read[0] <= last_index:
            continue
        last_index, deposit = read
        fits = (
            gas + deposit.gas <= MAX_DEPOSITS_GAS
            and data_bytes + len(deposit.data) <= MAX_DEPOSITS_DATA_BYTES
        )
        if fits:
            deposits.append(deposit)
            gas += deposit.gas
            data_bytes += len(deposit.data)
    return tuple(deposits)


def portal_logs(requests: Sequence[bytes]) -> Iterator[bytes]:
    """Cut the request of type 0x7e into its RLP items; none if it is too long, does not cut or has more than 16."""
    data = next((request[1:] for request in requests if request[:1] == bytes((DEPOSIT_TYPE,))), b"")
    if len(data) > MAX_DEPOSITS_REQUEST_BYTES:
        return
    framed = rlp.encode_list([data])
    try:
        found = rlp.spans(framed, max_items=MAX_DEPOSITS)
    except Rejected:
        return
    for _, start, _, end in found:
        yield framed[start:end]


def read_log(origin_hash: Hash32, item: bytes) -> tuple[int, Deposit] | None:
    """Read [log index, [topics], data] as its index and a deposit; None if the Portal writes no such log.

    It writes four topics (signature, from, to, version 0) and `abi.encode(opaqueData)`.
    """
    try:
        fields = rlp.as_list(rlp.decode(item, max_items=_MAX_LOG_ITEMS), 3)
        index = rlp.as_integer(fields[0])
        topics = [rlp.as_bytes(topic, _WORD) for topic in rlp.as_list(fields[1], 4)]
        data = rlp.as_bytes(fields[2])
    except Rejected:
        return None
    opaque = _abi_bytes(data)
    if topics[0] != TRANSACTION_DEPOSITED or any(topics[3]) or opaque is None:
        return None
    if any(topics[1][:12]) or any(topics[2][:12]):
        return None
    deposit = _of_opaque_data(
        source_hash(USER_DOMAIN, origin_hash, index),
        Address(topics[1][12:]),
        Address(topics[2][12:]),
        opaque,
    )
    return None if deposit is None else (index, deposit)


def _of_opaque_data(source: Hash32, sender: Address, to: Address, opaque: bytes) -> Deposit | None:
    """Read version 0: mint(32) || value(32) || gas(8) || creation(1) || data; a mint is below 2^128."""
    if len(opaque) < _OPAQUE_HEAD_BYTES:
        return None
    mint = int.from_bytes(opaque[:32])
    if mint >> _MINT_BITS:
        return None
    return Deposit(
        source_hash=source,
        sender=sender,
        to=None if opaque[72] else to,
        mint=mint,
        value=int.from_bytes(opaque[32:64]),
        gas=int.from_bytes(opaque[64:72]),
        data=opaque[_OPAQUE_HEAD_BYTES:],
    )


def _abi_bytes(data: bytes) -> bytes | None:
    """Read `abi.encode(bytes)`; None unless it is exactly that, padding included."""
    length = int.from_bytes(data[_WORD : 2 * _WORD])
    start, end = 2 * _WORD, 2 * _WORD + length
    padded = start + -(-length // _WORD) * _WORD
    if len(data) < start or len(data) != padded or int.from_bytes(data[:_WORD]) != _WORD:
        return None
    return data[start:end] if not any(data[end:]) else None
