"""The Inbox: who may append what and where, what it keeps, what it logs; forced records."""

from __future__ import annotations

import pytest

from node.contracts import addresses
from node.eth.primitives import BlockNumber, Hash32
from node.rollup.records import (
    GENESIS_TIP,
    InboxTip,
    LoggedRecord,
    RecordKind,
    decode_record_log,
    follows,
    origins_hash,
    tip_after,
)
from tests.kit.contract_network import BATCH_LIMIT, BATCHER, FORCER, WINDOW, Network
from tests.kit.contract_world import Receipt, Reverted
from tests.kit.execution_chain import address_of


@pytest.fixture
def network() -> Network:
    """Ten blocks, no record."""
    opened = Network.open()
    opened.pass_blocks(10)
    return opened


def logged(receipt: Receipt) -> LoggedRecord:
    """The one record that a transaction added, as nodes read it."""
    (log,) = receipt.logs
    assert log.address == addresses.INBOX
    record = decode_record_log(log.topics, log.data)
    assert record is not None
    return record


def tip(network: Network) -> InboxTip:
    """The Inbox's state in the words of the rules."""
    world, inbox = network.world, network.inbox
    return InboxTip(
        record_count=world.number(inbox, "recordCount"),
        next_block=BlockNumber(world.number(inbox, "nextBlock")),
        last_origin=BlockNumber(world.number(inbox, "lastOrigin")),
        accumulator=Hash32(world.word(inbox, "accumulator")),
    )


def fields(entry: LoggedRecord) -> tuple[object, ...]:
    """A record as the contract returns it."""
    record = entry.record
    return (
        record.kind,
        record.batch_hash,
        record.first_block,
        record.block_count,
        record.previous_origin,
        record.origin,
        record.origins_hash,
    )


# -- what it keeps


def test_inbox_begins_with_the_state_that_the_rules_begin_with(network: Network) -> None:
    assert tip(network) == GENESIS_TIP


def test_appended_records_are_those_of_the_rules(network: Network) -> None:
    """Given appends and a forced record, then log, state and each look-up say what node.rollup.records says."""
    world, inbox = network.world, network.inbox
    state, records = GENESIS_TIP, []

    receipts = [
        network.append(b"first", first_block=1, block_count=3, origin=2),
        network.append(b"", first_block=4, block_count=512, origin=2),
        network.append(b"\xff" * BATCH_LIMIT, first_block=516, block_count=8, origin=10),
    ]
    network.pass_blocks(WINDOW)
    receipts.append(world.transact(FORCER, inbox, "forceEmpty", 12))

    for receipt in receipts:
        record = logged(receipt)
        assert follows(state, record)
        state = tip_after(state, record)
        records.append(record)
    assert tip(network) == state
    assert [entry.record.kind for entry in records] == [RecordKind.BATCH] * 3 + [RecordKind.EMPTY]
    assert [entry.batch for entry in records] == [b"first", b"", b"\xff" * BATCH_LIMIT, b""]
    for entry in records:
        assert world.read(inbox, "record", entry.index) == fields(entry)
        assert world.read(inbox, "accumulatorAt", entry.index) == entry.accumulator
        expected = [
            Hash32(network.block_hash(number))
            for number in range(entry.record.previous_origin, entry.record.origin + 1)
        ]
        assert entry.record.origins_hash == origins_hash(expected)


def test_every_block_is_found_in_its_record(network: Network) -> None:
    sizes = [1, 512, 7, 1, 1, 40]
    first = 1
    for size in sizes:
        network.append(b"", first_block=first, block_count=size, origin=0)
        first += size

    first = 1
    for index, size in enumerate(sizes):
        for number in {first, first + size // 2, first + size - 1}:
            assert network.world.read(network.inbox, "recordOf", number) == index
        first += size
    for unknown in (0, first, 2**64 - 1):
        with pytest.raises(Reverted) as reverted:
            network.world.read(network.inbox, "recordOf", unknown)
        assert (reverted.value.name, reverted.value.values) == ("UnknownBlock", (first,))


def test_no_block_is_found_before_the_first_record(network: Network) -> None:
    with pytest.raises(Reverted, match=r"UnknownBlock\(1,\)"):
        network.world.read(network.inbox, "recordOf", 1)


@pytest.mark.parametrize("name", ["record", "accumulatorAt"])
def test_a_record_that_is_not_there_is_not_answered(network: Network, name: str) -> None:
    network.append(b"", first_block=1, block_count=1, origin=0)
    with pytest.raises(Reverted, match=r"UnknownRecord\(1,\)"):
        network.world.read(network.inbox, name, 1)


def test_constants_are_those_of_the_allocation(network: Network) -> None:
    answers = {
        name: network.world.read(network.inbox, name)
        for name in ("batcher", "sequencingWindow", "batchLimit", "MAX_BLOCKS", "MAX_ORIGINS")
    }
    assert answers == {
        "batcher": BATCHER.address.lower(),
        "sequencingWindow": WINDOW,
        "batchLimit": BATCH_LIMIT,
        "MAX_BLOCKS": 512,
        "MAX_ORIGINS": 256,
    }


# -- what it refuses


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"batch": bytes(BATCH_LIMIT + 1)}, "BatchTooLong(32768,)"),
        ({"batch": bytes(33_792)}, "BatchTooLong(32768,)"),
        ({"firstBlock": 3}, "WrongFirstBlock(4,)"),
        ({"firstBlock": 5}, "WrongFirstBlock(4,)"),
        ({"firstBlock": 0}, "WrongFirstBlock(4,)"),
        ({"blockCount": 0}, "WrongBlockCount()"),
        ({"blockCount": 513}, "WrongBlockCount()"),
        ({"blockCount": 2, "originNumber": 6}, "WrongBlockCount()"),
        ({"originNumber": 2}, "OriginTooOld(3,)"),
        ({"originNumber": 0}, "OriginTooOld(3,)"),
        ({"originNumber": 12}, "OriginTooNew(11,)"),
        ({"originNumber": 2**64 - 1}, "OriginTooNew(11,)"),
    ],
)
def test_append_refuses(network: Network, change: dict[str, object], refusal: str) -> None:
    network.append(b"", first_block=1, block_count=3, origin=3)
    before = tip(network)
    call: dict[str, object] = {
        "batch": b"",
        "firstBlock": 4,
        "blockCount": 8,
        "originNumber": 11,
        "expectedAccumulator": network.accumulator(),
    }

    with pytest.raises(Reverted) as reverted:
        network.world.transact(BATCHER, network.inbox, "append", *{**call, **change}.values())

    assert str(reverted.value) == refusal
    assert tip(network) == before
    network.world.transact(BATCHER, network.inbox, "append", *call.values())


def test_append_refuses_everybody_but_the_batcher(network: Network) -> None:
    with pytest.raises(Reverted, match=r"NotBatcher\(\)"):
        network.world.transact(FORCER, network.inbox, "append", b"", 1, 1, 0, network.accumulator())


def test_append_refuses_another_history(network: Network) -> None:
    """Given a forced record that came first, then a batch that was made without it is refused."""
    stale = network.accumulator()
    network.pass_blocks(WINDOW)
    network.world.transact(FORCER, network.inbox, "forceEmpty", 1)

    with pytest.raises(Reverted) as reverted:
        network.world.transact(BATCHER, network.inbox, "append", b"", 2, 1, 1, stale)

    assert reverted.value.name == "WrongAccumulator"
    assert reverted.value.values == (network.accumulator(),)


def test_a_batch_far_over_the_limit_does_not_decode(network: Network) -> None:
    with pytest.raises(Reverted, match=r"^\(\)$"):
        network.append(bytes(33_793), first_block=1, block_count=1, origin=0)


def test_a_lower_limit_holds() -> None:
    network = Network.open(batch_limit_bytes=100)
    network.append(bytes(100), first_block=1, block_count=1, origin=0)
    with pytest.raises(Reverted, match=r"BatchTooLong\(100,\)"):
        network.append(bytes(101), first_block=2, block_count=1, origin=0)


def test_a_record_reaches_at_most_256_origins() -> None:
    network = Network.open()
    network.pass_blocks(300)
    with pytest.raises(Reverted, match=r"TooManyOrigins\(\)"):
        network.append(b"", first_block=1, block_count=257, origin=257)

    network.append(b"", first_block=1, block_count=256, origin=256)
    assert tip(network).last_origin == 256


def test_appends_in_one_block_follow_one_another(network: Network) -> None:
    """Given two batches in one block, the second made for the first, then both are taken; in another order one is."""
    world, inbox = network.world, network.inbox
    first = inbox.input("append", b"a", 1, 2, 1, bytes(32))
    middle = logged(network.append(b"a", first_block=1, block_count=2, origin=1)).accumulator
    second = inbox.input("append", b"b", 3, 2, 2, middle)

    def outcomes(order: list[bytes]) -> list[bool]:
        fresh = Network.open()
        fresh.pass_blocks(10)
        # The same history, so that the same origins give the same accumulator.
        assert fresh.block_hash(2) == network.block_hash(2)
        raws = [fresh.world.signed(BATCHER, inbox.address, data, gas=2_000_000) for data in order]
        return [receipt.succeeded for receipt in fresh.world.mine(raws)]

    assert world is network.world
    assert outcomes([first, second]) == [True, True]
    assert outcomes([second, first]) == [False, True]


def test_a_batch_never_lands_on_another_fork() -> None:
    """Given two forks of L1 after block 5 and a batch for the first, then the second refuses it by its accumulator."""

    def fork(salt: int) -> Network:
        opened = Network.open()
        opened.pass_blocks(5)
        opened.world.send(FORCER, b"\x77" * 20, value=salt, gas=21_000)
        opened.pass_blocks(4)
        return opened

    one, other = fork(1), fork(2)
    assert one.block_hash(5) == other.block_hash(5)
    assert one.block_hash(6) != other.block_hash(6)
    for network in (one, other):
        network.append(b"", first_block=1, block_count=9, origin=6)
    made_for_one = one.accumulator()
    call = (b"", 10, 1, 6, made_for_one)

    with pytest.raises(Reverted, match="WrongAccumulator"):
        other.world.transact(BATCHER, other.inbox, "append", *call)
    one.world.transact(BATCHER, one.inbox, "append", *call)


def test_a_contract_of_the_batcher_may_not_append_for_it(network: Network) -> None:
    """What counts is the caller, not whose transaction it is."""
    with pytest.raises(Reverted, match="NotBatcher"):
        network.world.read(
            network.inbox,
            "append",
            b"",
            1,
            1,
            0,
            network.accumulator(),
            sender=address_of(FORCER),
        )


# -- forced records


def test_force_empty_begins_when_the_window_has_passed() -> None:
    """Given block 1, then it can be forced in block 1 + WINDOW and not in the one before."""
    network = Network.open()
    network.pass_blocks(WINDOW - 1)
    with pytest.raises(Reverted, match=r"OriginTooNew\(0,\)"):
        network.world.transact(FORCER, network.inbox, "forceEmpty", 1)

    network.pass_blocks(1)
    record = logged(network.world.transact(FORCER, network.inbox, "forceEmpty", 1)).record

    assert network.height == WINDOW + 1
    assert (record.first_block, record.block_count, record.origin) == (1, 1, 1)
    with pytest.raises(Reverted, match=r"OriginTooNew\(2,\)"):
        network.world.transact(FORCER, network.inbox, "forceEmpty", 3)
    with pytest.raises(Reverted, match=r"OriginTooOld\(1,\)"):
        network.world.transact(FORCER, network.inbox, "forceEmpty", 1)
    with pytest.raises(Reverted, match=r"OriginTooOld\(1,\)"):
        network.world.transact(FORCER, network.inbox, "forceEmpty", 0)


def test_force_empty_is_refused_while_the_window_is_longer_than_the_chain(network: Network) -> None:
    with pytest.raises(Reverted, match=r"OriginTooNew\(0,\)"):
        network.world.transact(FORCER, network.inbox, "forceEmpty", 2**64 - 1)


def test_force_empty_reaches_at_most_256_origins() -> None:
    network = Network.open()
    network.pass_blocks(WINDOW + 300)
    with pytest.raises(Reverted, match=r"TooManyOrigins\(\)"):
        network.world.transact(FORCER, network.inbox, "forceEmpty", 257)

    record = logged(network.world.transact(FORCER, network.inbox, "forceEmpty", 256)).record
    assert (record.block_count, record.origin) == (256, 256)


def test_a_batcher_that_keeps_up_cannot_be_displaced(network: Network) -> None:
    """Given a batcher whose last origin is inside the window, then nothing can be forced."""
    for _ in range(4):
        last = network.height
        network.append(b"", first_block=tip(network).next_block, block_count=40, origin=last)
        network.pass_blocks(WINDOW - 5)
        with pytest.raises(Reverted, match="OriginTooNew"):
            network.world.transact(FORCER, network.inbox, "forceEmpty", last + 1)


def test_plain_payments_and_unknown_functions_are_refused(network: Network) -> None:
    for data, value in ((b"", 1), (b"\xde\xad\xbe\xef", 0)):
        with pytest.raises(Reverted):
            network.world.ask(network.inbox, data, sender=address_of(FORCER), value=value)
