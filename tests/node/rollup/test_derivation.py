"""Every record yields exactly its blocks, each derivable alone, whatever its batch holds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from node.eth.primitives import BlockNumber
from node.rollup.batches import BatchBlock, Content, DecodedBlock, content_of
from node.rollup.deposits import (
    DEPOSIT_TYPE,
    attributes_deposit,
    encode_deposit,
    user_deposits,
)
from node.rollup.derivation import (
    BlockAttributes,
    BlockInput,
    Origin,
    attributes_of,
    block_of,
    blocks_of,
    deposits_of,
    timestamp_of,
    transactions_within,
)
from node.rollup.records import LoggedRecord, Record, RecordKind
from tests.kit.rollup import (
    GENESIS_TIME,
    PARAMETERS,
    ModelInbox,
    encode_batch,
    l1_block,
    l2_header,
    model_decode_batch,
    portal_log,
)

UINT64 = st.integers(0, (1 << 64) - 1)
RAWS = st.lists(st.binary(max_size=40), max_size=3)
BLOCKS: st.SearchStrategy[list[DecodedBlock]] = st.lists(
    st.tuples(UINT64, st.booleans(), RAWS), min_size=1, max_size=8
)
BATCHES = BLOCKS.map(encode_batch) | st.binary(max_size=60)


@st.composite
def histories(draw: st.DrawFn) -> list[LoggedRecord]:
    """Records of an Inbox: right batches, batches of other counts, garbage and forced advances."""
    inbox = ModelInbox()
    for _ in range(draw(st.integers(1, 4))):
        if draw(st.booleans()) and draw(st.booleans()):
            inbox.force_empty(inbox.tip.last_origin + draw(st.integers(1, 3)))
            continue
        blocks = draw(BLOCKS)
        batch = draw(st.just(encode_batch(blocks)) | st.just(encode_batch(blocks)) | BATCHES)
        advances = draw(st.just(sum(block[1] for block in blocks)) | st.integers(0, 3))
        count = max(1, advances, draw(st.just(len(blocks)) | st.integers(1, 8)))
        inbox.append(batch, blocks=count, origin=inbox.tip.last_origin + advances)
    return inbox.logged


def content(logged: LoggedRecord) -> Content:
    return content_of(PARAMETERS, logged.record, logged.batch, model_decode_batch)


def origin_with_deposits(number: int) -> Origin:
    return l1_block(number, logs=[portal_log(index, mint=number) for index in range(number % 3)])


# -- blocks of a record


@given(histories())
def test_a_record_yields_exactly_its_blocks_and_ends_at_its_origin(
    history: list[LoggedRecord],
) -> None:
    number, origin = 0, 0
    for logged in history:
        blocks = blocks_of(logged.record, content(logged))
        assert len(blocks) == logged.record.block_count
        for block in blocks:
            number += 1
            origin += block.advances_origin
            assert (block.number, block.origin_number) == (number, origin)
        assert origin == logged.record.origin


@given(histories())
def test_each_block_follows_alone(history: list[LoggedRecord]) -> None:
    for logged in history:
        found = content(logged)
        assert blocks_of(logged.record, found) == tuple(
            block_of(logged.record, found, index) for index in range(logged.record.block_count)
        )


def test_a_batch_says_what_its_blocks_are() -> None:
    batch = encode_batch([(5, False, [b"one"]), (6, True, []), (7, False, [b"two", b"three"])])
    logged = ModelInbox().append(batch, blocks=3, origin=1)
    assert blocks_of(logged.record, content(logged)) == (
        said(1, 0, False, 5, b"one"),
        said(2, 1, True, 6),
        said(3, 1, False, 7, b"two", b"three"),
    )


@pytest.mark.parametrize("kind", RecordKind)
def test_without_content_the_origin_advances_at_once(kind: RecordKind) -> None:
    inbox = ModelInbox()
    inbox.append(encode_batch([(1, True, [])]), blocks=1, origin=1)
    logged = (
        inbox.force_empty(3)
        if kind is RecordKind.EMPTY
        else inbox.append(b"garbage", blocks=4, origin=3)
    )
    blocks = [said(2, 2, True, 0), said(3, 3, True, 0), said(4, 3, False, 0), said(5, 3, False, 0)]
    assert content(logged) is None
    assert blocks_of(logged.record, None) == tuple(blocks[: logged.record.block_count])


def test_the_largest_record_yields_512_blocks() -> None:
    logged = ModelInbox().append(b"garbage", blocks=512, origin=256)
    blocks = blocks_of(logged.record, content(logged))
    assert (len(blocks), blocks[255].origin_number, blocks[511].origin_number) == (512, 256, 256)


@pytest.mark.parametrize("index", [-1, 3])
def test_a_block_outside_its_record_is_our_bug(index: int) -> None:
    record = ModelInbox().append(b"garbage", blocks=3, origin=0).record
    with pytest.raises(AssertionError, match="outside its record"):
        block_of(record, None, index)


def said(
    number: int, origin: int, advances: bool, claimed: int, *transactions: bytes
) -> BlockInput:
    return BlockInput(
        number=BlockNumber(number),
        origin_number=BlockNumber(origin),
        advances_origin=advances,
        claimed_timestamp=claimed,
        transactions=transactions,
    )


# -- timestamps


@pytest.mark.parametrize(
    ("claimed", "parent", "origin", "found"),
    [
        (0, 100, 50, 100),
        (0, 50, 100, 100),
        (99, 100, 100, 100),
        (100, 100, 100, 100),
        (700, 100, 100, 700),
        (701, 100, 100, 700),
        ((1 << 64) - 1, 100, 100, 700),
        ((1 << 64) - 1, 700, 100, 700),
        (0, 800, 100, 800),
        ((1 << 64) - 1, 0, (1 << 64) - 600, (1 << 64) - 1),
        ((1 << 64) - 1, (1 << 64) - 1, 0, (1 << 64) - 1),
    ],
)
def test_a_timestamp_is_clamped(claimed: int, parent: int, origin: int, found: int) -> None:
    assert timestamp_of(claimed, parent, origin, 600) == found


@given(UINT64, UINT64, UINT64, st.integers(1, 1 << 31))
def test_any_timestamp_fits_its_field_and_never_goes_back(
    claimed: int, parent: int, origin: int, drift: int
) -> None:
    timestamp = timestamp_of(claimed, parent, origin, drift)
    assert max(parent, origin) <= timestamp < 1 << 64
    assert timestamp <= max(origin + drift, parent)


@given(st.lists(st.tuples(UINT64, st.booleans()), max_size=30))
def test_the_range_of_a_chain_is_never_empty(claims: list[tuple[int, bool]]) -> None:
    origin, timestamp = 0, l1_block(0).header.timestamp
    for claimed, advances in claims:
        origin += advances
        earliest = l1_block(origin).header.timestamp
        assert max(timestamp, earliest) <= earliest + PARAMETERS.max_drift_seconds
        timestamp = timestamp_of(claimed, timestamp, earliest, PARAMETERS.max_drift_seconds)
        assert earliest <= timestamp <= earliest + PARAMETERS.max_drift_seconds


# -- attributes of a block


def test_a_block_that_advances_begins_with_the_deposits_of_its_origin() -> None:
    origin = origin_with_deposits(2)
    attributes = attributes_of(
        PARAMETERS, l2_header(6, GENESIS_TIME), said(7, 2, True, GENESIS_TIME + 9, b"raw"), origin
    )
    users = user_deposits(origin.hash, origin.requests)
    assert len(users) == 2
    assert attributes == BlockAttributes(
        timestamp=GENESIS_TIME + 9,
        mix_hash=origin.header.mix_hash,
        parent_beacon_block_root=origin.header.parent_beacon_block_root,
        deposits=(
            encode_deposit(attributes_deposit(PARAMETERS, 2, origin.hash, origin.header)),
            *(encode_deposit(deposit) for deposit in users),
        ),
        transactions=(b"raw",),
    )


def test_a_block_that_does_not_advance_holds_no_deposits() -> None:
    origin = origin_with_deposits(2)
    attributes = attributes_of(
        PARAMETERS, l2_header(6, GENESIS_TIME), said(7, 2, False, 0, b"raw"), origin
    )
    assert attributes == BlockAttributes(
        timestamp=origin.header.timestamp,
        mix_hash=origin.header.mix_hash,
        parent_beacon_block_root=origin.header.parent_beacon_block_root,
        deposits=(),
        transactions=(b"raw",),
    )


def test_deposits_are_of_type_7e_and_the_attributes_are_always_there() -> None:
    for number in range(3):
        deposits = deposits_of(PARAMETERS, origin_with_deposits(number))
        assert len(deposits) == 1 + number % 3
        assert all(deposit[0] == DEPOSIT_TYPE for deposit in deposits)


def test_a_block_over_the_limit_of_bytes_holds_no_transactions() -> None:
    limit = PARAMETERS.transactions_limit_bytes
    half = bytes(limit // 2)
    assert transactions_within(PARAMETERS, (half, half)) == (half, half)
    assert transactions_within(PARAMETERS, (half, half, b"")) == (half, half, b"")
    assert transactions_within(PARAMETERS, (half, half, b"x")) == ()
    assert transactions_within(PARAMETERS, ()) == ()


def test_another_parent_or_origin_is_our_bug() -> None:
    block, parent = said(7, 2, True, 0), l2_header(6, GENESIS_TIME)
    with pytest.raises(AssertionError, match="another parent"):
        attributes_of(PARAMETERS, replace(parent, number=7), block, l1_block(2))
    with pytest.raises(AssertionError, match="another origin"):
        attributes_of(PARAMETERS, parent, block, l1_block(3))


# -- whole chains


def derive(history: list[LoggedRecord], salt: int = 0) -> list[BlockAttributes]:
    timestamp, derived = GENESIS_TIME, []
    for logged in history:
        for block in blocks_of(logged.record, content(logged)):
            attributes = attributes_of(
                PARAMETERS,
                l2_header(block.number - 1, timestamp),
                block,
                replace(
                    origin_with_deposits(block.origin_number),
                    hash=l1_block(block.origin_number, salt=salt).hash,
                ),
            )
            derived.append(attributes)
            timestamp = attributes.timestamp
    return derived


@settings(max_examples=50)
@given(histories())
def test_any_history_gives_one_chain(history: list[LoggedRecord]) -> None:
    chain = derive(history)
    assert chain == derive(history)
    times = [GENESIS_TIME, *(attributes.timestamp for attributes in chain)]
    assert times == sorted(times)
    assert len(chain) == sum(logged.record.block_count for logged in history)


@settings(max_examples=25)
@given(histories())
def test_another_l1_gives_other_deposits_and_the_same_transactions(
    history: list[LoggedRecord],
) -> None:
    for one, other in zip(derive(history), derive(history, salt=1), strict=True):
        assert one.transactions == other.transactions
        assert bool(one.deposits) == bool(other.deposits)
        assert not one.deposits or one.deposits != other.deposits


@settings(max_examples=25)
@given(histories(), st.integers(0, 3))
def test_a_later_record_changes_no_earlier_block(history: list[LoggedRecord], kept: int) -> None:
    earlier = history[:kept]
    assert derive(history)[: len(derive(earlier))] == derive(earlier)


@given(
    st.builds(
        BatchBlock, timestamp=UINT64, advances_origin=st.just(False), transactions=RAWS.map(tuple)
    )
)
def test_a_single_block_is_what_its_batch_says(block: BatchBlock) -> None:
    record: Record = ModelInbox().append(b"any", blocks=1, origin=0).record
    assert block_of(record, (block,), 0) == said(1, 0, False, block.timestamp, *block.transactions)
