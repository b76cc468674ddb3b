"""STEP: one L2 block executed again from what one L1 transaction carries; what L1's precompile at 0x0101 answers.

    ten fixed words || rlp witness -> decode -> StepInput
      -> record, batch, origin, requests, parent: each hashes to what the words before it say
      -> content_of, block_of, attributes_of (the rules that a replica derives by)
      -> execute (the engine's, from nodes and codes alone) -> header -> output root

    words:   config hash, pre output root, block number, the record's seven (`Record.words`)
    witness: [parent header, batch, origin hashes, origin header, last request, digests of the requests before it, nodes, codes]

Whoever calls a game's `proveFault` brings the witness; the game looks at the words alone. Anybody may call the precompile with
any bytes, so nothing here is believed: a refusal is `Rejected` with a `StepReason`, and its text is the reason and nothing
else, because L1 hands it to contracts and every node must give the same. Everything else that is raised is a bug.
The root that comes out is never compared with a claim here.
Deliberately absent: gas, and the length of an input (the engine's, before any of this), execution, games.

Source: node/rollup/README.md, section 13.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from node.errors import MissingState, Rejected
from node.eth import rlp
from node.eth.hashing import keccak256, sha256
from node.eth.headers import Header, decode_header
from node.eth.primitives import BlockNumber, Hash32
from node.rollup.batches import BatchDecoder, content_of
from node.rollup.derivation import BlockAttributes, BlockInput, Origin, attributes_of, block_of
from node.rollup.outputs import output_of
from node.rollup.parameters import RollupParameters
from node.rollup.reasons import StepReason
from node.rollup.records import Record, is_batch_of, record_of_words

STEP_INPUT_BYTES_MAX: Final = 352 << 10
"""Of a whole input: what the worst legal block needs is 344 KiB (node/execution/WITNESS.md). The engine refuses more."""

FIXED_BYTES: Final = 320
"""Of the words that a game fixes."""

WITNESS_ITEMS_MAX: Final = 8_192
"""Nodes, and codes: a node that is named by hash has at least 32 bytes, and its parent at least as many for the name."""

_WORD = 32
_TAIL_ITEMS = 8
_DIGEST_BYTES = 32


class StatelessExecutor(Protocol):
    """Executes one L2 block from a witness; re-entrant, reads nothing else and remembers nothing."""

    def __call__(
        self,
        parent_header: bytes,
        attributes: BlockAttributes,
        nodes: Sequence[bytes],
        codes: Sequence[bytes],
    ) -> bytes:
        """Give the header, RLP, of the block that these inputs make on this parent.

        Total for whatever nodes, codes and transactions: if nodes and codes do not suffice, or are none, it raises
        MissingState, and nothing else ever.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class StepInput:
    """One L2 block and what proves it."""

    config_hash: Hash32
    """Names the rules."""
    pre_root: Hash32
    """Output root before the block."""
    number: BlockNumber
    """The block's."""
    record: Record
    """The record that yields it."""
    parent_header: bytes
    """RLP of the L2 header before the block; its output is the pre root's."""
    batch: bytes
    """The record's; empty for none."""
    origin_hashes: bytes
    """Of every L1 block from the record's previous origin to its origin, joined."""
    origin_header: bytes
    """RLP of the block's L1 origin."""
    last_request: bytes
    """The origin's last request, with its type; empty if it has none. Not looked at unless the block advances the origin."""
    other_digests: bytes
    """SHA-256 of each of the origin's requests before that, joined: they may be long, and say nothing to the L2."""
    nodes: tuple[bytes, ...]
    """Of the tries that the block reads, in any order."""
    codes: tuple[bytes, ...]
    """That the block runs or reads, in any order."""

    def words(self) -> bytes:
        """The ten words that a game fixes."""
        return self.config_hash + self.pre_root + self.number.to_bytes(_WORD) + self.record.words()

    def encode(self) -> bytes:
        """Encode as the precompile gets it."""
        tail: list[rlp.Encodable] = [
            self.parent_header,
            self.batch,
            self.origin_hashes,
            self.origin_header,
            self.last_request,
            self.other_digests,
            list(self.nodes),
            list(self.codes),
        ]
        return self.words() + rlp.encode(tail)


def decode_step(data: bytes) -> StepInput:
    """Read a STEP's input: its form, and that its record is possible. Raises Rejected with a StepReason."""
    if len(data) > STEP_INPUT_BYTES_MAX:
        raise Rejected(StepReason.MALFORMED)
    words, tail = data[:FIXED_BYTES], data[FIXED_BYTES:]
    try:
        fields = _items(tail, _TAIL_ITEMS, lists=(6, 7))
        _must(len(fields) == _TAIL_ITEMS, StepReason.MALFORMED)
        nodes, codes = (_items(fields[place], WITNESS_ITEMS_MAX) for place in (6, 7))
    except Rejected as error:
        raise Rejected(StepReason.MALFORMED) from error
    record = record_of_words(words[3 * _WORD :])
    if record is None:
        raise Rejected(StepReason.RECORD)
    number = int.from_bytes(words[2 * _WORD : 3 * _WORD])
    if not record.first_block <= number < record.first_block + record.block_count:
        raise Rejected(StepReason.NUMBER)
    return StepInput(
        config_hash=Hash32(words[:_WORD]),
        pre_root=Hash32(words[_WORD : 2 * _WORD]),
        number=BlockNumber(number),
        record=record,
        parent_header=fields[0],
        batch=fields[1],
        origin_hashes=fields[2],
        origin_header=fields[3],
        last_request=fields[4],
        other_digests=fields[5],
        nodes=tuple(nodes),
        codes=tuple(codes),
    )


def step(
    parameters: RollupParameters,
    given: StepInput,
    *,
    decode: BatchDecoder,
    execute: StatelessExecutor,
) -> Hash32:
    """Find the output root after a block. Raises Rejected with a StepReason where the input does not prove one."""
    _must(given.config_hash == parameters.config_hash(), StepReason.CONFIG)
    parent = _parent(parameters, given)
    block = _block(parameters, given, decode)
    origin = _origin(given, block)
    attributes = attributes_of(parameters, parent, block, origin)
    try:
        header = execute(given.parent_header, attributes, given.nodes, given.codes)
    except MissingState as error:
        raise Rejected(StepReason.INSUFFICIENT) from error
    return output_of(decode_header(header)).root()


def _parent(parameters: RollupParameters, given: StepInput) -> Header:
    """Read the parent: its output is the pre root's, and what every block of this rollup has in common it has too."""
    parent = _header(given.parent_header, StepReason.PARENT)
    is_ours = (
        parent.gas_limit == parameters.gas_limit
        and parent.base_fee_per_gas == parameters.base_fee_wei
    )
    _must(is_ours and parent.number + 1 == given.number, StepReason.PARENT)
    _must(output_of(parent).root() == given.pre_root, StepReason.PARENT)
    return parent


def _block(parameters: RollupParameters, given: StepInput, decode: BatchDecoder) -> BlockInput:
    """Find what the record says of the block."""
    record = given.record
    _must(is_batch_of(record, given.batch), StepReason.BATCH)
    content = content_of(parameters, record, given.batch, decode)
    return block_of(record, content, given.number - record.first_block)


def _origin(given: StepInput, block: BlockInput) -> Origin:
    """Find the block's L1 origin among the record's, and its deposits where the block has to hold them."""
    record, hashes = given.record, given.origin_hashes
    _must(len(hashes) == _WORD * (record.advances + 1), StepReason.ORIGIN)
    _must(keccak256(hashes) == record.origins_hash, StepReason.ORIGIN)
    start = _WORD * (block.origin_number - record.previous_origin)
    origin_hash = keccak256(given.origin_header)
    _must(origin_hash == hashes[start : start + _WORD], StepReason.ORIGIN)
    header = _header(given.origin_header, StepReason.ORIGIN)
    _must(header.number == block.origin_number, StepReason.ORIGIN)
    if block.advances_origin:
        _check_requests(header, given.last_request, given.other_digests)
    return Origin(
        number=block.origin_number,
        hash=origin_hash,
        header=header,
        requests=(given.last_request,) if block.advances_origin else (),
    )


def _check_requests(header: Header, last: bytes, other_digests: bytes) -> None:
    """Check that this is the last of an L1 block's requests.

    Types ascend and 0x7e is the highest: if the last one is of another type, nobody deposited. What a digest stands for can't
    be told, so the last one is always given in full; L1 sees to it that it is never long (README section 7).
    """
    _must(bool(last) or not other_digests, StepReason.REQUESTS)
    _must(len(other_digests) % _DIGEST_BYTES == 0, StepReason.REQUESTS)
    digests = other_digests + sha256(last) if last else b""
    _must(sha256(digests) == header.requests_hash, StepReason.REQUESTS)


def _header(encoded: bytes, reason: StepReason) -> Header:
    try:
        return decode_header(encoded)
    except Rejected as error:
        raise Rejected(reason) from error


def _items(data: bytes, items_max: int, *, lists: tuple[int, ...] = ()) -> list[bytes]:
    """Cut a list of byte strings; those at the places of lists are given whole, with their prefix."""
    found = rlp.spans(data, max_items=items_max)
    for place, (is_list, *_) in enumerate(found):
        if is_list is not (place in lists):
            raise Rejected(StepReason.MALFORMED)
    return [data[outer if is_list else start : end] for is_list, outer, start, end in found]


def _must(holds: bool, reason: StepReason) -> None:
    if not holds:
        raise Rejected(reason)
