"""STEP as the design has it, on the rules and the engine: its input, and the callable behind the precompile.

    fixed words (the game's) || rlp witness (the caller's) > read > checked against the words > derived > output root

Deliberately absent: games. The rules of the input may still move; what it carries does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from node.errors import MissingState, Rejected
from node.eth import rlp
from node.eth.hashing import keccak256, sha256
from node.eth.headers import decode_header, header_of_block
from node.eth.primitives import BlockNumber, Hash32
from node.execution.adapter import RevmEngine, decode_batch
from node.execution.engine import L2Attributes
from node.rollup.batches import BatchBlock, Content
from node.rollup.derivation import Origin, attributes_of, block_of
from node.rollup.outputs import Output, output_of
from node.rollup.parameters import RollupParameters
from node.rollup.records import Record, RecordKind

WORD: Final = 32
FIXED_WORDS: Final = 10
"""Config hash, pre output root, block number, and the record's seven."""

NODES_MAX: Final = 8_192
"""Items of a witness: more than any witness of 352 KiB can have that is not made of nodes too short to be any."""


class StepReason(StrEnum):
    """Why an input proves nothing."""

    MALFORMED = "malformed"
    FOREIGN = "foreign"
    INSUFFICIENT = "insufficient"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepInput:
    """One block and what proves it."""

    config_hash: Hash32
    """Names the rules."""
    pre_root: Hash32
    """Output root before the block."""
    number: int
    """The block's."""
    record: Record
    """The record that yields it."""
    parent_header: bytes
    """RLP of the L2 header below."""
    batch: bytes
    """The record's; empty for none."""
    origin_hashes: bytes
    """Of every L1 block that is an origin in the record, concatenated."""
    origin_header: bytes
    """RLP of the block's L1 origin."""
    deposit_request: bytes
    """The origin's request of type 0x7e; empty if it has none."""
    other_requests: bytes
    """SHA-256 of each of the origin's other requests, concatenated: they may be long, and say nothing here."""
    nodes: tuple[bytes, ...]
    """Of the state's tries."""
    codes: tuple[bytes, ...]
    """That the block runs or reads."""

    def encode(self) -> bytes:
        """As the precompile gets it."""
        fixed = self.config_hash + self.pre_root + self.number.to_bytes(WORD) + self.record.words()
        pre = output_of(decode_header(self.parent_header)).encode()
        tail: list[rlp.Encodable] = [
            pre,
            self.parent_header,
            self.batch,
            self.origin_hashes,
            self.origin_header,
            self.deposit_request,
            self.other_requests,
            list(self.nodes),
            list(self.codes),
        ]
        return fixed + rlp.encode(tail)


def step_of(
    engine: RevmEngine, parameters: RollupParameters
) -> Callable[[bytes, bytes, bool], bytes]:
    """The precompile's callable: the output root after the block that an input proves."""

    def step(data: bytes, _caller: bytes, _is_static: bool) -> bytes:
        return _after(engine, parameters, _read(data)).root()

    return step


def _must(holds: bool, what: str) -> None:
    if not holds:
        raise Rejected(StepReason.FOREIGN, what)


def _read(data: bytes) -> StepInput:
    words = [data[WORD * place :][:WORD] for place in range(FIXED_WORDS)]
    number, kind, first, count, previous, origin = (
        int.from_bytes(words[place]) for place in (2, 3, 5, 6, 7, 8)
    )
    tail = rlp.decode(data[FIXED_WORDS * WORD :], max_bytes=1 << 20, max_items=NODES_MAX)
    pre, parent, batch, hashes, header, request, others, nodes, codes = rlp.as_list(tail, 9)
    _must(kind in (0, 1) and 0 < count <= 512 and first <= number < first + count, "record")
    _must(keccak256(rlp.as_bytes(pre)) == words[1], "pre output")
    record = Record(
        kind=RecordKind(kind),
        batch_hash=Hash32(words[4]),
        first_block=BlockNumber(first),
        block_count=count,
        previous_origin=BlockNumber(previous),
        origin=BlockNumber(origin),
        origins_hash=Hash32(words[9]),
    )
    return StepInput(
        config_hash=Hash32(words[0]),
        pre_root=Hash32(words[1]),
        number=number,
        record=record,
        parent_header=rlp.as_bytes(parent),
        batch=rlp.as_bytes(batch),
        origin_hashes=rlp.as_bytes(hashes),
        origin_header=rlp.as_bytes(header),
        deposit_request=rlp.as_bytes(request),
        other_requests=rlp.as_bytes(others),
        nodes=tuple(rlp.as_bytes(item) for item in rlp.as_list(nodes)),
        codes=tuple(rlp.as_bytes(item) for item in rlp.as_list(codes)),
    )


def content_of_batch(parameters: RollupParameters, record: Record, batch: bytes) -> Content:
    """What a record's batch holds, as the rules read it."""
    if record.kind is RecordKind.EMPTY or len(batch) > parameters.batch_limit_bytes:
        return None
    decoded = decode_batch(batch, parameters.decompressed_limit_bytes, record.block_count)
    if decoded is None or sum(one.advances_origin for one in decoded) != record.advances:
        return None
    return tuple(
        BatchBlock(
            timestamp=one.timestamp,
            advances_origin=one.advances_origin,
            transactions=tuple(one.transactions),
        )
        for one in decoded
    )


def _after(engine: RevmEngine, parameters: RollupParameters, given: StepInput) -> Output:
    record = given.record
    _must(given.config_hash == parameters.config_hash(), "config")
    _must(keccak256(given.origin_hashes) == record.origins_hash, "origins")
    _must(record.kind is RecordKind.EMPTY or keccak256(given.batch) == record.batch_hash, "batch")
    parent = decode_header(given.parent_header)
    _must(output_of(parent).root() == given.pre_root, "parent")
    block = block_of(
        record, content_of_batch(parameters, record, given.batch), given.number - record.first_block
    )
    place = WORD * (block.origin_number - record.previous_origin)
    _must(keccak256(given.origin_header) == given.origin_hashes[place : place + WORD], "origin")
    header = decode_header(given.origin_header)
    requests = (given.deposit_request,) if given.deposit_request else ()
    if block.advances_origin:
        # Types ascend, and ours is the last.
        digests = given.other_requests + b"".join(sha256(request) for request in requests)
        _must(sha256(digests) == header.requests_hash, "requests")
    origin = Origin(
        number=BlockNumber(header.number),
        hash=Hash32(keccak256(given.origin_header)),
        header=header,
        requests=requests,
    )
    attributes = attributes_of(parameters, parent, block, origin)
    told = L2Attributes(
        timestamp=attributes.timestamp,
        mix_hash=attributes.mix_hash,
        parent_beacon_block_root=attributes.parent_beacon_block_root,
    )
    try:
        derived = engine.derive_stateless(
            given.parent_header,
            told,
            attributes.deposits,
            attributes.transactions,
            given.nodes,
            given.codes,
        )
    except MissingState as error:
        raise Rejected(StepReason.INSUFFICIENT, str(error)) from error
    return output_of(header_of_block(derived.result.block))
