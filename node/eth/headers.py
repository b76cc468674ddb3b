"""A block's header, with every field up to EIP-7685's requests hash.

    block RLP -> header_of_block / withdrawals_of_block -> rules of consensus, without decoding one transaction
              -> any_header_of_block -> chains of others, from Frontier on

A block of ours has all 21 fields; `decode_header` takes nothing else. Earlier forks end a header sooner (`FIELD_COUNTS`).

Deliberately absent: the rules of the fields. The engine judges execution's, `node.consensus` its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node.errors import Rejected
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32
from node.eth.reasons import EncodingReason

EMPTY_OMMERS_HASH = Hash32(
    bytes.fromhex("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347")
)
"""keccak-256 of the RLP of the empty list: no block after the merge has ommers (EIP-3675)."""

EMPTY_TRIE_ROOT = Hash32(
    bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")
)
"""Root of a trie without entries."""

EMPTY_REQUESTS_HASH = Hash32(
    bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
)
"""SHA-256 of nothing: the requests hash of a block without requests (EIP-7685)."""

ZERO_NONCE = bytes(8)
"""The nonce of every block after the merge (EIP-3675)."""

FIELD_COUNT = 21
"""Fields since Prague: all of ours have them."""

FIELD_COUNTS = (15, 16, 17, 20, FIELD_COUNT)
"""Fields at the beginning, and since London, Shanghai, Cancun and Prague."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """An EIP-4895 withdrawal, as the block holds it."""

    index: int
    """Counts all withdrawals of the chain."""
    validator_index: int
    """Whose balance it leaves."""
    address: Address
    """Who is credited; 20 bytes."""
    amount_gwei: int
    """How much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A block header."""

    parent_hash: Hash32
    """Hash of the header below."""
    ommers_hash: Hash32 = EMPTY_OMMERS_HASH
    """Since the merge that of the empty list."""
    fee_recipient: Address
    """Who gets the priority fees; 20 bytes."""
    state_root: Hash32
    """Root of the state after the block."""
    transactions_root: Hash32 = EMPTY_TRIE_ROOT
    """Root of the trie of transactions."""
    receipts_root: Hash32 = EMPTY_TRIE_ROOT
    """Root of the trie of receipts."""
    logs_bloom: bytes = bytes(256)
    """Bloom filter of all logs; 256 bytes."""
    difficulty: int = 0
    """0 since the merge."""
    number: int
    """Blocks below this one."""
    gas_limit: int
    """Most gas the block may use."""
    gas_used: int
    """Gas of all transactions."""
    timestamp: int
    """Seconds since the epoch of Unix."""
    extra_data: bytes
    """At most 32 bytes; on L1 the root of the consensus payload."""
    mix_hash: Hash32
    """prevRandao (EIP-4399)."""
    nonce: bytes = ZERO_NONCE
    """8 bytes, zero since the merge."""
    base_fee_per_gas: int
    """Wei (EIP-1559); 0 before."""
    withdrawals_root: Hash32 = EMPTY_TRIE_ROOT
    """Root of the trie of withdrawals (EIP-4895)."""
    blob_gas_used: int = 0
    """Blob gas of all transactions (EIP-4844)."""
    excess_blob_gas: int = 0
    """Running total that prices blob gas (EIP-4844)."""
    parent_beacon_block_root: Hash32
    """On L1 the root of the consensus state after the parent (EIP-4788)."""
    requests_hash: Hash32 = EMPTY_REQUESTS_HASH
    """Commitment to the execution requests (EIP-7685)."""
    field_count: int = FIELD_COUNT
    """How many of the fields above its fork has, one of `FIELD_COUNTS`; the others are as here by default."""

    def encode(self) -> bytes:
        """Encode the header in RLP."""
        fields = (
            self.parent_hash,
            self.ommers_hash,
            self.fee_recipient,
            self.state_root,
            self.transactions_root,
            self.receipts_root,
            self.logs_bloom,
            self.difficulty,
            self.number,
            self.gas_limit,
            self.gas_used,
            self.timestamp,
            self.extra_data,
            self.mix_hash,
            self.nonce,
            self.base_fee_per_gas,
            self.withdrawals_root,
            self.blob_gas_used,
            self.excess_blob_gas,
            self.parent_beacon_block_root,
            self.requests_hash,
        )
        return rlp.encode(fields[: self.field_count])

    def hash(self) -> Hash32:
        """Hash the header; this is the block's hash."""
        return keccak256(self.encode())


def decode_header(encoded: bytes) -> Header:
    """Decode a header with all 21 fields. Raises Rejected with an EncodingReason."""
    return _header_of(rlp.as_list(_items(encoded), FIELD_COUNT))


def decode_any_header(encoded: bytes) -> Header:
    """Decode a header of any fork. Raises Rejected with an EncodingReason."""
    fields = rlp.as_list(_items(encoded))
    if len(fields) not in FIELD_COUNTS:
        raise Rejected(EncodingReason.WRONG_LENGTH, f"a header of {len(fields)} fields")
    return _header_of(fields)


def _items(encoded: bytes) -> rlp.Item:
    return rlp.decode(encoded, max_bytes=4096, max_items=64)


def _header_of(fields: Sequence[rlp.Item]) -> Header:
    """Reads as many fields as there are."""
    extra_data = rlp.as_bytes(fields[12])
    if len(extra_data) > 32:
        raise Rejected(
            EncodingReason.WRONG_LENGTH, f"extra data of {len(extra_data)} bytes, at most 32"
        )
    count = len(fields)
    return Header(
        parent_hash=Hash32(rlp.as_bytes(fields[0], 32)),
        ommers_hash=Hash32(rlp.as_bytes(fields[1], 32)),
        fee_recipient=Address(rlp.as_bytes(fields[2], 20)),
        state_root=Hash32(rlp.as_bytes(fields[3], 32)),
        transactions_root=Hash32(rlp.as_bytes(fields[4], 32)),
        receipts_root=Hash32(rlp.as_bytes(fields[5], 32)),
        logs_bloom=rlp.as_bytes(fields[6], 256),
        difficulty=rlp.as_integer(fields[7], 256),
        number=rlp.as_integer(fields[8]),
        gas_limit=rlp.as_integer(fields[9]),
        gas_used=rlp.as_integer(fields[10]),
        timestamp=rlp.as_integer(fields[11]),
        extra_data=extra_data,
        mix_hash=Hash32(rlp.as_bytes(fields[13], 32)),
        nonce=rlp.as_bytes(fields[14], 8),
        base_fee_per_gas=rlp.as_integer(fields[15], 256) if count > 15 else 0,
        withdrawals_root=Hash32(rlp.as_bytes(fields[16], 32)) if count > 16 else EMPTY_TRIE_ROOT,
        blob_gas_used=rlp.as_integer(fields[17]) if count > 17 else 0,
        excess_blob_gas=rlp.as_integer(fields[18]) if count > 17 else 0,
        parent_beacon_block_root=(
            Hash32(rlp.as_bytes(fields[19], 32)) if count > 17 else Hash32(bytes(32))
        ),
        requests_hash=Hash32(rlp.as_bytes(fields[20], 32)) if count > 20 else EMPTY_REQUESTS_HASH,
        field_count=count,
    )


def header_bytes_of_block(block_rlp: bytes) -> bytes:
    """Cut the header's RLP out of a block's; its keccak-256 is the block's hash."""
    _, start, _, end = _block_spans(block_rlp)[0]
    return block_rlp[start:end]


def header_of_block(block_rlp: bytes) -> Header:
    """Decode only the header of a block's RLP. Raises Rejected with an EncodingReason."""
    return decode_header(header_bytes_of_block(block_rlp))


def any_header_of_block(block_rlp: bytes) -> tuple[Header, bytes]:
    """Decode only the header of a block of any fork; gives its RLP too. Raises Rejected with an EncodingReason."""
    parts = rlp.spans(block_rlp, max_items=4)
    if len(parts) < 3:
        raise Rejected(EncodingReason.WRONG_LENGTH, f"a block of {len(parts)} parts, want 3 or 4")
    _, start, _, end = parts[0]
    encoded = block_rlp[start:end]
    return decode_any_header(encoded), encoded


def withdrawals_of_block(block_rlp: bytes) -> tuple[Withdrawal, ...]:
    """Decode only the withdrawals of a block's RLP. Raises Rejected with an EncodingReason."""
    _, start, _, end = _block_spans(block_rlp)[3]
    items = rlp.as_list(rlp.decode(block_rlp[start:end], max_bytes=4096, max_items=512))
    return tuple(_decode_withdrawal(item) for item in items)


def ommers_of_block(block_rlp: bytes) -> list[bytes]:
    """Cut the headers of the ommers out of the RLP of a block of any fork. Raises Rejected with an EncodingReason."""
    parts = rlp.spans(block_rlp, max_items=4)
    if len(parts) < 3:
        raise Rejected(EncodingReason.WRONG_LENGTH, f"a block of {len(parts)} parts, want 3 or 4")
    _, start, _, end = parts[2]
    ommers = block_rlp[start:end]
    return [ommers[begin:finish] for _, begin, _, finish in rlp.spans(ommers)]


def _block_spans(block_rlp: bytes) -> list[tuple[bool, int, int, int]]:
    found = rlp.spans(block_rlp, max_items=4)
    if len(found) != 4:
        raise Rejected(EncodingReason.WRONG_LENGTH, f"a block of {len(found)} parts, want 4")
    if not all(is_list for is_list, *_ in found):
        raise Rejected(EncodingReason.WRONG_TYPE, "bytes where a part of a block belongs")
    return found


def _decode_withdrawal(item: rlp.Item) -> Withdrawal:
    index, validator_index, address, amount_gwei = rlp.as_list(item, 4)
    return Withdrawal(
        index=rlp.as_integer(index),
        validator_index=rlp.as_integer(validator_index),
        address=Address(rlp.as_bytes(address, 20)),
        amount_gwei=rlp.as_integer(amount_gwei),
    )
