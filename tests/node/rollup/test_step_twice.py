"""STEP against a second one by other people's libraries: whatever the input, both refuse it or both give the same root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Final

from hypothesis import event, given, settings, strategies as st

from node.errors import Rejected
from node.eth import rlp
from node.eth.hashing import keccak256, sha256
from node.eth.headers import decode_header
from node.eth.primitives import BlockNumber, Hash32
from node.execution.adapter import encode_batch
from node.execution.engine import PackedBlock
from node.rollup.outputs import output_of
from node.rollup.records import RecordKind
from node.rollup.step import StepInput
from tests.kit.execution_chain import KEEPER, SENDER, word
from tests.kit.rollup import portal_log, raw_portal_log
from tests.kit.rollup_chain import FAUCET, sign_l2
from tests.kit.second_step import second_step
from tests.kit.step_world import PARAMETERS, Around, StepWorld

numbers = st.one_of(
    st.integers(0, 3),
    st.sampled_from([20_999, 100_000, 3_000_000, (1 << 64) - 1]),
    st.integers(0, (1 << 64) - 1),
)

good_logs = st.builds(
    lambda index, to, mint, gas, is_creation, data: portal_log(
        index, sender=FAUCET, to=to, mint=mint, gas=gas, is_creation=is_creation, data=data
    ),
    st.integers(0, 40),
    st.sampled_from([KEEPER, b"\x77" * 20]),
    st.sampled_from([0, 1, (1 << 128) - 1, 1 << 128]),
    numbers,
    st.booleans(),
    st.one_of(st.binary(max_size=70), st.just(bytes(20_000))),
)
bad_logs = st.one_of(
    st.binary(min_size=1, max_size=40),
    st.builds(raw_portal_log, st.integers(0, 9), st.just(FAUCET), st.just(KEEPER), st.binary()),
    st.builds(lambda log, cut: log[:cut], good_logs, st.integers(1, 200)),
)
requests = st.lists(st.one_of(good_logs, good_logs, bad_logs), max_size=18)

entries = st.lists(
    st.tuples(
        numbers,
        st.booleans(),
        st.lists(st.one_of(st.binary(max_size=5), st.just(bytes(16_000))), max_size=3),
    ),
    min_size=1,
    max_size=6,
)


@cache
def world() -> StepWorld:
    """A rollup with one block."""
    found = StepWorld.open()
    found.commit(found.make([sign_l2(nonce=0, to=KEEPER, data=word(1) + word(2), gas=100_000)]))
    return found


def both(data: bytes) -> bytes | None:
    """What both answer; None for a refusal."""
    try:
        first: bytes | None = world().ask(data)
    except Rejected:
        first = None
    second = second_step(PARAMETERS, world().chain.engine, data)
    assert first == second
    event("refused" if first is None else "answered")
    return first


@given(
    place=st.integers(0, 5),
    before=st.integers(0, 5),
    after=st.integers(0, 3),
    advances=st.booleans(),
    claimed=numbers,
    logs=requests,
    others=st.lists(st.binary(min_size=2, max_size=40), max_size=2),
    kind=st.sampled_from(RecordKind),
    excess=st.sampled_from([0, 10**9, 178 * 11_684_671, 178 * 11_684_671 + 1, (1 << 64) - 1]),
    sends=st.integers(0, 2),
)
@settings(max_examples=60)
def test_blocks_of_any_record_step_to_one_root(
    place: int,
    before: int,
    after: int,
    advances: bool,
    claimed: int,
    logs: list[bytes],
    others: list[bytes],
    kind: RecordKind,
    excess: int,
    sends: int,
) -> None:
    """Given any record, requests and transactions, when stepped, then both give the replica's root."""
    is_empty = kind is RecordKind.EMPTY
    around = Around(
        place=min(place, before) if is_empty else place,
        advances_before=min(place, before),
        blocks_after=after,
        kind=kind,
    )
    raws = [sign_l2(SENDER, nonce=1 + n, value=n) for n in range(sends)]
    found = world().make(
        raws,
        advances=advances or is_empty,
        logs=logs,
        others=others,
        claimed=claimed,
        around=around,
        change_origin=lambda header: replace(header, excess_blob_gas=excess),
    )
    assert both(found.given.encode()) == found.output_root


@given(
    batch=st.one_of(st.binary(max_size=80), entries.map(lambda them: packed(them))),
    count=st.integers(1, 7),
)
@settings(max_examples=150)
def test_any_batch_is_read_alike(batch: bytes, count: int) -> None:
    """Given any bytes as a batch, when a block of its record is stepped, then both read the same of it."""
    base = world().make((), advances=False, around=Around(batch=b"", blocks_after=count - 1)).given
    for advances in range(3):
        hashes = base.origin_hashes + b"".join(word(9 + n) for n in range(advances))
        record = replace(
            base.record,
            batch_hash=keccak256(batch),
            origin=BlockNumber(base.record.origin + advances),
            origins_hash=keccak256(hashes),
        )
        both(replace(base, record=record, batch=batch, origin_hashes=hashes).encode())


def packed(blocks: list[tuple[int, bool, list[bytes]]]) -> bytes:
    """A batch."""
    return encode_batch([PackedBlock(time, new, tuple(raws)) for time, new, raws in blocks], 1)


@cache
def rich() -> StepInput:
    """An input in which everything occurs."""
    logs = [portal_log(3, sender=FAUCET, to=KEEPER, mint=7, data=word(1) + word(9))]
    around = Around(place=3, advances_before=2, blocks_after=4)
    others = (b"\x00" + bytes(192), b"\x01" + bytes(76))
    raws = [sign_l2(SENDER, nonce=1, value=5)]
    return world().make(raws, logs=logs, others=others, around=around).given


Change = Callable[[StepInput, bytes], StepInput]
"""Something of an input replaced by arbitrary bytes, with whatever names it."""


def with_batch(found: StepInput, data: bytes) -> StepInput:
    record = replace(found.record, batch_hash=keccak256(data))
    return replace(found, batch=data, record=record)


def with_hashes(found: StepInput, data: bytes) -> StepInput:
    record = replace(found.record, origins_hash=keccak256(data))
    return replace(found, origin_hashes=data, record=record)


def with_origin(found: StepInput, data: bytes) -> StepInput:
    hashes = found.origin_hashes[:96] + keccak256(data)
    return replace(with_hashes(found, hashes), origin_header=data)


def with_request(found: StepInput, data: bytes) -> StepInput:
    digest = sha256(found.other_digests + sha256(data))
    header = replace(decode_header(found.origin_header), requests_hash=digest)
    return replace(with_origin(found, header.encode()), last_request=data)


def with_parent(found: StepInput, data: bytes) -> StepInput:
    return replace(found, parent_header=data, pre_root=Hash32(keccak256(data)))


def with_parent_field(place: int) -> Change:
    """A field of the parent, and the pre root of that."""

    def change(found: StepInput, data: bytes) -> StepInput:
        fields = rlp.as_list(rlp.decode(found.parent_header))
        fields[place] = data
        encoded = rlp.encode(fields)
        try:
            root = output_of(decode_header(encoded)).root()
        except Rejected:
            root = found.pre_root
        return replace(found, parent_header=encoded, pre_root=root)

    return change


CHANGES: Final[tuple[Change, ...]] = (
    with_batch,
    with_hashes,
    with_origin,
    with_request,
    with_parent,
    *map(with_parent_field, range(21)),
    lambda found, data: replace(found, other_digests=data),
    lambda found, data: replace(found, nodes=(*found.nodes, data)),
    lambda found, data: replace(found, codes=(data, *found.codes)),
)


@given(
    change=st.sampled_from(CHANGES),
    data=st.one_of(st.binary(max_size=300), numbers.map(lambda n: n.to_bytes(9).lstrip(b"\0"))),
)
@settings(max_examples=400)
def test_whatever_an_adversary_names_is_read_alike(change: Change, data: bytes) -> None:
    """Given a part replaced by any bytes and named by its hash, when stepped, then both refuse it or both answer the same."""
    both(change(rich(), data).encode())


@given(data=st.data())
@settings(max_examples=300)
def test_changed_words_are_read_alike(data: st.DataObject) -> None:
    """Given any of the ten words replaced, when stepped, then both refuse or both answer the same."""
    encoded = bytearray(rich().encode())
    place = data.draw(st.integers(0, 9))
    value = data.draw(st.one_of(st.integers(0, 700), numbers, st.integers(0, (1 << 256) - 1)))
    encoded[32 * place : 32 * place + 32] = value.to_bytes(32)
    both(bytes(encoded))


@given(
    tail=st.recursive(
        st.binary(max_size=8), lambda inner: st.lists(inner, max_size=9), max_leaves=20
    )
)
@settings(max_examples=100)
def test_arbitrary_tails_are_read_alike(tail: rlp.Encodable) -> None:
    both(rich().words() + rlp.encode(tail))
