"""Unsafe blocks: what the sequencer has sealed and L1 does not hold yet, signed and gossiped.

    builder -> UnsafeBlocks -> encode_body -> sign signing_message -> encode_message -> gossip
      -> open_message -> inputs_of -> derivation.attributes_of (deposits from the follower's own L1) -> engine -> same hash?

A message carries inputs, no blocks: a follower derives each block as it would from L1 and compares the hash.
Deterministic CBOR:

    [generation, first number, parent hash, [[timestamp, origin number, origin hash, [raw transaction, ...], block hash], ...], signature]

    signature = Ed25519 of keccak(domain || keccak(body)),    body = the encoded items before it
    domain = keccak("unsafe/1" || L2 chain id || L2 genesis hash)

`generation` grows when the sequencer replaces blocks that it had published (a reset): a higher generation may replace a
lower one's blocks; one generation that contradicts itself is equivocation.
Deliberately absent: keys, and which of two generations a node follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from node.consensus.signing import SignatureVerifier, domain
from node.errors import Rejected
from node.eth import cbor
from node.eth.hashing import keccak256
from node.eth.primitives import BlockNumber, Hash32
from node.eth.reasons import EncodingReason
from node.rollup.derivation import BlockInput
from node.rollup.limits import MAX_UINT64, MAX_UNSAFE_BLOCKS, MAX_UNSAFE_BYTES
from node.rollup.parameters import RollupParameters
from node.rollup.reasons import RollupReason

SIGNATURE_BYTES: Final = 64
"""Length of an Ed25519 signature."""

MIN_TRANSACTION_GAS: Final = 21_000
"""Bounds how many transactions a block can execute in full."""

_BLOCK_OVERHEAD_BYTES = 96
_MESSAGE_OVERHEAD_BYTES = 160
_SIGNATURE_FIELD_BYTES = 2 + SIGNATURE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsafeBlock:
    """One sealed block, as the inputs it follows from."""

    timestamp: int
    """Seconds since the epoch of Unix."""
    origin_number: BlockNumber
    """Its L1 origin."""
    origin_hash: Hash32
    """That origin's hash: it may be on a fork the follower does not see."""
    transactions: tuple[bytes, ...]
    """Raw user transactions."""
    block_hash: Hash32
    """What they make of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsafeBlocks:
    """A run of sealed blocks."""

    generation: int
    """How often the sequencer has replaced blocks that it had published."""
    first_number: BlockNumber
    """L2 number of the first block."""
    parent_hash: Hash32
    """Hash of the block below it."""
    blocks: tuple[UnsafeBlock, ...]
    """At least one, ascending."""

    @property
    def last_number(self) -> BlockNumber:
        """L2 number of the last block."""
        return BlockNumber(self.first_number + len(self.blocks) - 1)


def unsafe_domain(chain_id: int, genesis_hash: Hash32) -> Hash32:
    """Derive what every signed message of this L2 starts with."""
    return domain("unsafe", chain_id, genesis_hash)


def signing_message(unsafe_domain_hash: Hash32, body: bytes) -> Hash32:
    """Build what the sequencer signs: 32 bytes."""
    return keccak256(unsafe_domain_hash + keccak256(body))


# -- writing


def encode_body(unsafe: UnsafeBlocks) -> bytes:
    """Encode all that is signed. Raises ValueError beyond the bounds of a message; `split` keeps within them."""
    if not 1 <= len(unsafe.blocks) <= MAX_UNSAFE_BLOCKS:
        raise ValueError(f"{len(unsafe.blocks)} blocks, want 1 to {MAX_UNSAFE_BLOCKS}")
    parts = [
        cbor.unsigned(unsafe.generation),
        cbor.unsigned(unsafe.first_number),
        cbor.byte_string(unsafe.parent_hash),
        cbor.array_head(len(unsafe.blocks)),
    ]
    for block in unsafe.blocks:
        parts += (
            cbor.array_head(5),
            cbor.unsigned(block.timestamp),
            cbor.unsigned(block.origin_number),
            cbor.byte_string(block.origin_hash),
            cbor.byte_strings(block.transactions),
            cbor.byte_string(block.block_hash),
        )
    body = b"".join(parts)
    if len(body) + 1 + _SIGNATURE_FIELD_BYTES > MAX_UNSAFE_BYTES:
        raise ValueError(f"{len(body)} bytes do not fit a message of {MAX_UNSAFE_BYTES}")
    return body


def encode_message(body: bytes, signature: bytes) -> bytes:
    """Put the signature to an encoded body."""
    return cbor.array_head(5) + body + cbor.byte_string(signature)


def split(unsafe: UnsafeBlocks) -> Iterator[UnsafeBlocks]:
    """Cut a run of any length into messages within the bounds, in order."""
    parent_hash, number = unsafe.parent_hash, unsafe.first_number
    run: list[UnsafeBlock] = []
    size = _MESSAGE_OVERHEAD_BYTES
    for block in unsafe.blocks:
        bytes_of_block = _BLOCK_OVERHEAD_BYTES + sum(5 + len(raw) for raw in block.transactions)
        if run and (len(run) == MAX_UNSAFE_BLOCKS or size + bytes_of_block > MAX_UNSAFE_BYTES):
            yield _run(unsafe, number, parent_hash, run)
            parent_hash, number = run[-1].block_hash, BlockNumber(number + len(run))
            run, size = [], _MESSAGE_OVERHEAD_BYTES
        run.append(block)
        size += bytes_of_block
    if run:
        yield _run(unsafe, number, parent_hash, run)


# -- reading


def open_message(
    encoded: bytes,
    parameters: RollupParameters,
    unsafe_domain_hash: Hash32,
    verify: SignatureVerifier,
) -> UnsafeBlocks:
    """Read a message of the sequencer. Raises Rejected.

    The signature comes first, so that nobody else makes a node read more than a message's length.
    """
    body, signature = _split_signature(encoded)
    message = signing_message(unsafe_domain_hash, body)
    if verify([(parameters.sequencer_key, message, signature)]) != [True]:
        raise Rejected(RollupReason.UNSAFE_SIGNATURE, "not the sequencer's")
    return decode_body(body, parameters)


def decode_body(body: bytes, parameters: RollupParameters) -> UnsafeBlocks:
    """Decode what is signed. Raises Rejected."""
    reader = cbor.Reader(body, bytes_max=MAX_UNSAFE_BYTES)
    generation, first_number, parent_hash = reader.unsigned(), reader.unsigned(), reader.hash()
    count = reader.array_upto(MAX_UNSAFE_BLOCKS)
    if count == 0:
        raise Rejected(RollupReason.UNSAFE_EMPTY, "no block")
    if not 1 <= first_number <= MAX_UINT64 - count:
        raise Rejected(RollupReason.UNSAFE_NUMBER, f"{count} blocks from {first_number}")
    blocks = tuple(_read_block(reader, parameters) for _ in range(count))
    reader.end()
    for before, block in pairwise(blocks):
        _check_origin(before.origin_number, before.origin_hash, block)
    return UnsafeBlocks(
        generation=generation,
        first_number=BlockNumber(first_number),
        parent_hash=parent_hash,
        blocks=blocks,
    )


def inputs_of(
    unsafe: UnsafeBlocks, parent_origin_number: int, parent_origin_hash: Hash32
) -> tuple[BlockInput, ...]:
    """Say of each block what a record would say; from here its derivation is that of any block.

    The parent is the block below the first, its origin known to the follower. Raises Rejected(UNSAFE_ORIGIN).
    """
    inputs: list[BlockInput] = []
    number, origin_hash = parent_origin_number, parent_origin_hash
    for place, block in enumerate(unsafe.blocks):
        _check_origin(number, origin_hash, block)
        inputs.append(
            BlockInput(
                number=BlockNumber(unsafe.first_number + place),
                origin_number=block.origin_number,
                advances_origin=block.origin_number != number,
                claimed_timestamp=block.timestamp,
                transactions=block.transactions,
            )
        )
        number, origin_hash = block.origin_number, block.origin_hash
    return tuple(inputs)


def _run(
    unsafe: UnsafeBlocks, number: BlockNumber, parent_hash: Hash32, blocks: list[UnsafeBlock]
) -> UnsafeBlocks:
    return UnsafeBlocks(
        generation=unsafe.generation,
        first_number=number,
        parent_hash=parent_hash,
        blocks=tuple(blocks),
    )


def _split_signature(encoded: bytes) -> tuple[bytes, bytes]:
    """Cut a message between its head, its body and the signature, both ends in their one encoding."""
    if len(encoded) > MAX_UNSAFE_BYTES:
        raise Rejected(
            EncodingReason.TOO_LARGE, f"{len(encoded)} bytes, at most {MAX_UNSAFE_BYTES}"
        )
    cbor.Reader(encoded, bytes_max=MAX_UNSAFE_BYTES).array(5)
    end = max(1, len(encoded) - _SIGNATURE_FIELD_BYTES)
    tail = cbor.Reader(encoded[end:], bytes_max=_SIGNATURE_FIELD_BYTES)
    signature = tail.bytes_of(SIGNATURE_BYTES)
    tail.end()
    return encoded[1:end], signature


def _read_block(reader: cbor.Reader, parameters: RollupParameters) -> UnsafeBlock:
    reader.array(5)
    timestamp, origin_number, origin_hash = reader.unsigned(), reader.unsigned(), reader.hash()
    transactions = reader.byte_strings(
        items_max=parameters.gas_limit // MIN_TRANSACTION_GAS,
        bytes_max=parameters.transactions_limit_bytes,
    )
    if (size := sum(len(raw) for raw in transactions)) > parameters.transactions_limit_bytes:
        raise Rejected(
            RollupReason.UNSAFE_TRANSACTIONS,
            f"{size} bytes, at most {parameters.transactions_limit_bytes}",
        )
    return UnsafeBlock(
        timestamp=timestamp,
        origin_number=BlockNumber(origin_number),
        origin_hash=origin_hash,
        transactions=transactions,
        block_hash=reader.hash(),
    )


def _check_origin(number: int, origin_hash: Hash32, block: UnsafeBlock) -> None:
    """Refuse an origin that is neither the one before nor the next, and one hash under two numbers."""
    is_same = block.origin_number == number and block.origin_hash == origin_hash
    is_next = block.origin_number == number + 1 and block.origin_hash != origin_hash
    if not is_same and not is_next:
        raise Rejected(
            RollupReason.UNSAFE_ORIGIN,
            f"origin {block.origin_number} {block.origin_hash.hex()} after {number} {origin_hash.hex()}",
        )
