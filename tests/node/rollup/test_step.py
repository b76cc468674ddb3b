"""STEP's framing: what it answers for every kind of record, and by which name it refuses everything else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Final

import brotli  # type: ignore[import-untyped]
import pytest
from eth_abi.abi import encode
from hypothesis import given, settings, strategies as st

from node.errors import MissingState, Rejected
from node.eth import rlp
from node.eth.hashing import keccak256, sha256
from node.eth.headers import decode_header
from node.eth.primitives import BlockNumber, Hash32
from node.execution.adapter import encode_batch
from node.execution.engine import PackedBlock
from node.execution.stepping import read_batch
from node.rollup.derivation import BlockAttributes
from node.rollup.reasons import StepReason
from node.rollup.records import RecordKind, origins_hash
from node.rollup.step import (
    FIXED_BYTES,
    STEP_INPUT_BYTES_MAX,
    WITNESS_ITEMS_MAX,
    StepInput,
    decode_step,
    step,
)
from tests.kit.execution_chain import KEEPER, SENDER, word
from tests.kit.rollup import portal_log
from tests.kit.rollup_chain import FAUCET, sign_l2
from tests.kit.step_world import PARAMETERS, Around, Stepped, StepWorld, forged

STAKING: Final = (b"\x00" + bytes(192), b"\x01" + bytes(76))
"""What else an L1 block may ask."""


def transactions(nonce: int) -> list[bytes]:
    """Two that store and move something."""
    call = sign_l2(nonce=nonce, to=KEEPER, data=word(3) + word(nonce + 5), gas=100_000)
    return [call, sign_l2(SENDER, nonce=nonce + 1, value=5)]


def logs(count: int = 2) -> list[bytes]:
    """Deposits that store something."""
    return [
        portal_log(index, sender=FAUCET, to=KEEPER, mint=7, data=word(index) + word(9))
        for index in range(1, count + 1)
    ]


@cache
def world() -> StepWorld:
    """A rollup of two blocks, the last of which holds deposits and transactions."""
    found = StepWorld.open()
    found.commit(found.make(transactions(0), logs=logs()))
    return found


@cache
def stepped() -> Stepped:
    """Its next block: deposits, transactions, in the middle of a record, from an L1 block with other requests."""
    around = Around(place=3, advances_before=2, blocks_after=4)
    return world().make(transactions(2), logs=logs(), others=STAKING, around=around)


def refusal(given: StepInput | bytes) -> str:
    """The name by which an input is refused."""
    with pytest.raises(Rejected) as refused:
        world().ask(given if isinstance(given, bytes) else given.encode())
    return str(refused.value)


def pack(*blocks: tuple[int, bool, Sequence[bytes]]) -> bytes:
    return encode_batch([PackedBlock(time, new, tuple(raws)) for time, new, raws in blocks], 1)


# -- what it answers


def test_the_words_are_the_abis() -> None:
    """Given an input, when encoded, then it begins with what a contract writes, and reads back as it was."""
    found = stepped().given
    record = found.record
    kinds = (
        "bytes32", "bytes32", "uint256", "uint8", "bytes32",
        "uint64", "uint32", "uint64", "uint64", "bytes32",
    )  # fmt: skip
    values = (
        found.config_hash, found.pre_root, found.number, int(record.kind), record.batch_hash,
        record.first_block, record.block_count, record.previous_origin, record.origin,
        record.origins_hash,
    )  # fmt: skip
    data = found.encode()
    assert data[:FIXED_BYTES] == found.words() == encode(kinds, values)
    assert decode_step(data) == found


@pytest.mark.parametrize(
    "around",
    [
        Around(),
        Around(place=0, blocks_after=511),
        Around(place=511),
        Around(place=300, advances_before=255, blocks_after=211),
        Around(place=3, advances_before=1, blocks_after=2),
    ],
    ids=["alone", "first of 512", "last of 512", "256th advance", "middle"],
)
@pytest.mark.parametrize("advances", [True, False])
def test_every_place_of_a_record(around: Around, advances: bool) -> None:
    """Given a block anywhere in a record, when stepped, then the root is the replica's, with its transactions in it."""
    found = world().make(transactions(2), advances=advances, logs=logs(), around=around)
    assert found.derived.is_full
    assert len(found.attributes.deposits) == (3 if advances else 0)
    assert world().ask(found.given.encode()) == found.output_root


BATCHES: Final[dict[str, bytes]] = {
    "empty": b"",
    "garbage": b"\xc3\x1b\x00\xff garbage",
    "no brotli": rlp.encode([1, [[5, 0, [b"raw"]]]]),
    "cut off": pack((5, False, [b"raw"]))[:-1],
    "trailing": pack((5, False, [b"raw"])) + b"\0",
    "another version": brotli.compress(rlp.encode([2, [[5, 0, []]]])),
    "nothing": brotli.compress(b""),
    "one block too many": pack((5, False, [b"raw"]), (5, False, [])),
    "an advance too many": pack((5, True, [b"raw"])),
    "a bomb": brotli.compress(bytes(200 << 20), quality=1),
    "nested": brotli.compress(b"\xc0" * (1 << 18), quality=1),
    "deep": brotli.compress(b"\xf9\xff\xfd" * 80_000, quality=1),
    "long": bytes(PARAMETERS.batch_limit_bytes + 1),
}


@pytest.mark.parametrize("name", BATCHES)
def test_a_wrong_shape_is_an_empty_block(name: str) -> None:
    """Given a batch of a wrong shape, when stepped, then the block is the replica's: no transactions, and never a refusal."""
    found = world().make((), advances=False, around=Around(batch=BATCHES[name]))
    assert found.attributes.transactions == ()
    assert world().ask(found.given.encode()) == found.output_root


def test_an_empty_record() -> None:
    """Given a forced record, when its last block is stepped, then it holds deposits and no transactions."""
    around = Around(kind=RecordKind.EMPTY, place=2, advances_before=2)
    found = world().make((), logs=logs(), around=around)
    assert len(found.attributes.deposits) == 3
    assert world().ask(found.given.encode()) == found.output_root


@pytest.mark.parametrize("claimed", [0, 99, 101, 700, 701, (1 << 64) - 1])
def test_claimed_times_are_clamped(claimed: int) -> None:
    found = world().make((), claimed=claimed)
    assert world().ask(found.given.encode()) == found.output_root


def test_transactions_that_cannot_be_executed_leave_the_deposits() -> None:
    for raws in ([b"\x7d"], [b""], [transactions(3)[0]], [sign_l2(nonce=2, gas=7_000_001)]):
        found = world().make(raws, logs=logs())
        assert not found.derived.is_full
        assert world().ask(found.given.encode()) == found.output_root


# -- what it refuses


def changed(**changes: object) -> StepInput:
    """The good input, changed."""
    return replace(stepped().given, **changes)  # type: ignore[arg-type]


def with_record(**changes: object) -> StepInput:
    """The good input with a changed record."""
    return changed(record=replace(stepped().given.record, **changes))  # type: ignore[arg-type]


def flipped(data: bytes) -> bytes:
    return bytes((data[0] ^ 1,)) + data[1:]


def with_hashes(hashes: bytes) -> StepInput:
    """Other origins that the record does name."""
    return replace(with_record(origins_hash=keccak256(hashes)), origin_hashes=hashes)


def with_origin(**changes: object) -> StepInput:
    """Another origin that the record does name."""
    found = stepped().given
    header = replace(decode_header(found.origin_header), **changes)  # type: ignore[arg-type]
    hashes = [found.origin_hashes[start : start + 32] for start in range(0, 96, 32)]
    named = origins_hash([*map(Hash32, hashes), header.hash()])
    return replace(
        with_record(origins_hash=named),
        origin_hashes=b"".join([*hashes, header.hash()]),
        origin_header=header.encode(),
    )


REFUSED: Final[dict[str, tuple[Callable[[], StepInput], StepReason]]] = {
    "other rules": (lambda: changed(config_hash=Hash32(bytes(32))), StepReason.CONFIG),
    "another pre root": (lambda: changed(pre_root=Hash32(bytes(32))), StepReason.PARENT),
    "the block before": (
        lambda: changed(number=BlockNumber(stepped().given.number - 1)),
        StepReason.PARENT,
    ),
    "the block after": (
        lambda: changed(number=BlockNumber(stepped().given.number + 1)),
        StepReason.PARENT,
    ),
    "below the record": (
        lambda: changed(number=BlockNumber(stepped().given.record.first_block - 1)),
        StepReason.NUMBER,
    ),
    "above the record": (
        lambda: changed(number=BlockNumber(stepped().given.record.first_block + 8)),
        StepReason.NUMBER,
    ),
    "no blocks": (lambda: with_record(block_count=0), StepReason.RECORD),
    "513 blocks": (lambda: with_record(block_count=513), StepReason.RECORD),
    "origins that go back": (lambda: with_record(origin=39), StepReason.RECORD),
    "more advances than blocks": (lambda: with_record(origin=49), StepReason.RECORD),
    "an empty record with a batch hash": (
        lambda: with_record(kind=RecordKind.EMPTY, block_count=3),
        StepReason.RECORD,
    ),
    "another batch": (lambda: changed(batch=b"another"), StepReason.BATCH),
    "no batch": (lambda: changed(batch=b""), StepReason.BATCH),
    "an origin too few": (
        lambda: changed(origin_hashes=stepped().given.origin_hashes[32:]),
        StepReason.ORIGIN,
    ),
    "an origin too few, named": (
        lambda: with_hashes(stepped().given.origin_hashes[32:]),
        StepReason.ORIGIN,
    ),
    "origins reordered": (
        lambda: changed(
            origin_hashes=stepped().given.origin_hashes[96:] + stepped().given.origin_hashes[:96]
        ),
        StepReason.ORIGIN,
    ),
    "another origin's header": (
        lambda: changed(origin_header=stepped().given.parent_header),
        StepReason.ORIGIN,
    ),
    "no header": (lambda: changed(origin_header=b""), StepReason.ORIGIN),
    "an origin of another number": (lambda: with_origin(number=44), StepReason.ORIGIN),
    "no deposits": (lambda: changed(last_request=b""), StepReason.REQUESTS),
    "fewer deposits": (
        lambda: changed(last_request=b"\x7e" + logs(1)[0]),
        StepReason.REQUESTS,
    ),
    "requests left out": (lambda: changed(other_digests=b""), StepReason.REQUESTS),
    "requests reordered": (
        lambda: changed(other_digests=b"".join(map(sha256, reversed(STAKING)))),
        StepReason.REQUESTS,
    ),
    "half a digest": (
        lambda: changed(other_digests=stepped().given.other_digests[:-1]),
        StepReason.REQUESTS,
    ),
    # The digests of all requests do open the header; but then nobody can see what the last one says.
    "deposits behind a digest": (
        lambda: changed(
            last_request=b"",
            other_digests=stepped().given.other_digests + sha256(stepped().given.last_request),
        ),
        StepReason.REQUESTS,
    ),
    "no parent": (lambda: changed(parent_header=b""), StepReason.PARENT),
    "the origin as parent": (
        lambda: changed(parent_header=stepped().given.origin_header),
        StepReason.PARENT,
    ),
    "no nodes": (lambda: changed(nodes=()), StepReason.INSUFFICIENT),
    "no codes": (lambda: changed(codes=()), StepReason.INSUFFICIENT),
    "nodes of nothing": (
        lambda: changed(nodes=tuple(map(flipped, stepped().given.nodes))),
        StepReason.INSUFFICIENT,
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_prove_it_is_refused_by_name(name: str) -> None:
    """Given an input that is wrong in one thing, when stepped, then its refusal is that thing's name and no word more."""
    make, reason = REFUSED[name]
    assert refusal(make()) == str(reason)


def test_a_block_without_requests_needs_none() -> None:
    """Given an origin that asks nothing, when stepped with an invented request, then it is refused."""
    found = world().make((), others=())
    assert world().ask(found.given.encode()) == found.output_root
    for invented in (b"\x7e" + logs(1)[0], b"\x7e\x80", b"\x7e"):
        assert refusal(replace(found.given, last_request=invented)) == "step_requests"
    assert refusal(replace(found.given, other_digests=sha256(b""))) == "step_requests"


def test_an_origin_that_only_asks_consensus_has_no_deposits() -> None:
    """Given an L1 block whose last request is consensus's, when stepped, then its block holds the attributes alone."""
    for others in (STAKING, STAKING[:1], (b"\x00" + bytes(192 * 80),)):
        found = world().make((), others=others)
        assert len(found.attributes.deposits) == 1
        assert world().ask(found.given.encode()) == found.output_root


def test_a_request_that_only_marks_the_end_holds_no_deposits() -> None:
    """Given the request that L1 writes behind a long one, when stepped, then its block holds the attributes alone."""
    found = world().make((), logs=[b"\x80"], others=(b"\x00" + bytes(192 * 100),))
    assert found.given.last_request == b"\x7e\x80"
    assert len(found.attributes.deposits) == 1
    assert world().ask(found.given.encode()) == found.output_root


@pytest.mark.parametrize(
    "changes",
    [
        {"base_fee_per_gas": 1 << 70},
        {"base_fee_per_gas": 999_999},
        {"gas_limit": (1 << 64) - 1},
        {"number": (1 << 64) - 1},
        {"number": 0},
    ],
)
def test_a_parent_that_this_rollup_never_makes_is_refused(changes: dict[str, object]) -> None:
    """Given an invented parent and the pre root that names it, when stepped, then it is refused before the engine sees it."""
    found = stepped().given
    header = replace(decode_header(found.parent_header), **changes)  # type: ignore[arg-type]
    assert refusal(forged(found, header)) == "step_parent"


def test_a_parent_of_another_time_is_answered() -> None:
    """Given an invented parent from the end of time, when stepped, then it is a block like any other: nobody compares here."""
    found = stepped().given
    header = replace(decode_header(found.parent_header), timestamp=(1 << 64) - 1)
    assert len(world().ask(forged(found, header).encode())) == 32


# -- the witness


def test_a_witness_without_one_of_its_parts_proves_nothing() -> None:
    """Given a witness, when any one node or code is taken out, then the refusal says so, whichever it is."""
    found = stepped().given
    for place in range(len(found.nodes)):
        nodes = found.nodes[:place] + found.nodes[place + 1 :]
        assert refusal(replace(found, nodes=nodes)) == "step_insufficient"
    for place in range(len(found.codes)):
        codes = found.codes[:place] + found.codes[place + 1 :]
        assert refusal(replace(found, codes=codes)) == "step_insufficient"


def test_order_repetition_and_foreign_parts_change_nothing() -> None:
    """Given a witness reordered, doubled, with foreign parts, when stepped, then the root is the same."""
    found, root = stepped().given, stepped().output_root
    foreign = tuple(word(one) * 2 for one in range(50))
    for nodes, codes in (
        (found.nodes[::-1], found.codes[::-1]),
        (found.nodes * 3, found.codes * 3),
        (foreign + found.nodes, foreign + found.codes),
        (found.nodes + found.codes + (b"", b"\x80", b"\xc0"), found.codes + found.nodes),
    ):
        assert world().ask(replace(found, nodes=nodes, codes=codes).encode()) == root


def test_a_node_among_the_codes_is_no_node() -> None:
    found = stepped().given
    assert refusal(replace(found, nodes=found.codes, codes=found.nodes)) == "step_insufficient"


def test_the_number_of_parts_is_bounded() -> None:
    """Given as many nodes as there may be and one more, when stepped, then only the latter is refused."""
    found = stepped().given
    room = WITNESS_ITEMS_MAX - len(found.nodes)
    fits = replace(found, nodes=found.nodes + (b"",) * room)
    assert world().ask(fits.encode()) == stepped().output_root
    assert refusal(replace(found, nodes=found.nodes + (b"",) * (room + 1))) == "step_malformed"


def test_the_length_of_an_input_is_bounded() -> None:
    """Given the longest input and one byte more, when stepped, then only the latter is refused."""
    found = stepped().given
    # The length of a code of more than 64 KiB takes three bytes, of a list of them as well.
    spare = STEP_INPUT_BYTES_MAX - len(
        replace(found, codes=(*found.codes, bytes(1 << 17))).encode()
    )
    longest = replace(found, codes=(*found.codes, bytes((1 << 17) + spare)))
    assert len(longest.encode()) == STEP_INPUT_BYTES_MAX
    assert world().ask(longest.encode()) == stepped().output_root
    longer = replace(found, codes=(*found.codes, bytes((1 << 17) + spare + 1)))
    assert refusal(longer) == "step_malformed"


# -- bytes


MALFORMED: Final[dict[str, Callable[[bytes, bytes], bytes]]] = {
    "nothing": lambda words, tail: b"",
    "words alone": lambda words, tail: words,
    "cut words": lambda words, tail: words[:-1],
    "cut off": lambda words, tail: words + tail[:-1],
    "trailing": lambda words, tail: words + tail + b"\0",
    "no list": lambda words, tail: words + b"\x80",
    "too few": lambda words, tail: words + rlp.encode([b""] * 6 + [[]]),
    "too many": lambda words, tail: words + rlp.encode([b""] * 6 + [[], [], []]),
    "lists for bytes": lambda words, tail: words + rlp.encode([[]] * 8),
    "bytes for lists": lambda words, tail: words + rlp.encode([b""] * 8),
    "lists among nodes": lambda words, tail: words + rlp.encode([b""] * 6 + [[[]], []]),
    "nested": lambda words, tail: words + b"\xc1" * 300_000 + b"\xc0",
    "lists of lists": lambda words, tail: words + b"\xfa\x04\x93\xdc" + b"\xc0" * 299_996,
    "a length of 2^63": lambda words, tail: words + b"\xff\x80" + bytes(7),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_input_is_malformed(name: str) -> None:
    data = stepped().given.encode()
    assert refusal(MALFORMED[name](data[:FIXED_BYTES], data[FIXED_BYTES:])) == "step_malformed"


@given(data=st.binary(max_size=600))
def test_arbitrary_bytes_are_malformed(data: bytes) -> None:
    assert refusal(data).startswith("step_")
    assert refusal(stepped().given.words() + data) == "step_malformed"


@given(place=st.integers(0), by=st.integers(1, 255), cut=st.integers(0, 3))
@settings(max_examples=300)
def test_any_changed_byte_of_a_witness_is_refused(place: int, by: int, cut: int) -> None:
    """Given one byte behind the words changed, when stepped, then it is refused: the words commit to all that was read."""
    words, tail = stepped().given.words(), bytearray(stepped().given.encode()[FIXED_BYTES:])
    tail[place % len(tail)] ^= by
    assert refusal(words + bytes(tail[: len(tail) - cut])).startswith("step_")


# -- the executor


class Executor:
    """Remembers what it was asked, and answers with a header or fails."""

    def __init__(self, answer: bytes | Exception) -> None:
        self.answer = answer
        self.asked: list[tuple[bytes, BlockAttributes, Sequence[bytes], Sequence[bytes]]] = []

    def __call__(
        self,
        parent_header: bytes,
        attributes: BlockAttributes,
        nodes: Sequence[bytes],
        codes: Sequence[bytes],
    ) -> bytes:
        self.asked.append((parent_header, attributes, nodes, codes))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_the_executor_is_asked_for_exactly_what_a_replica_derives() -> None:
    found = stepped()
    executor = Executor(found.given.parent_header)
    root = step(PARAMETERS, found.given, decode=read_batch, execute=executor)
    assert root == found.given.pre_root
    given = found.given
    assert executor.asked == [(given.parent_header, found.attributes, given.nodes, given.codes)]


def test_only_a_lack_of_state_is_a_refusal_all_else_is_a_bug() -> None:
    """Given an executor that fails, when stepped, then MissingState has a name and everything else comes out as it was."""
    found = stepped().given
    with pytest.raises(Rejected) as refused:
        step(PARAMETERS, found, decode=read_batch, execute=Executor(MissingState("node 0xab")))
    assert str(refused.value) == "step_insufficient"
    for bug in (RuntimeError("panicked"), ValueError("argument"), MemoryError()):
        with pytest.raises(type(bug)):
            step(PARAMETERS, found, decode=read_batch, execute=Executor(bug))
