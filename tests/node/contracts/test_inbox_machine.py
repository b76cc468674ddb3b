"""The Inbox as a whole: whatever anyone calls in whatever order, it does what the rules' own functions say.

Several calls share a block, the batcher may be stale, wrong or late, anyone forces; the model is node.rollup.records.
"""

from __future__ import annotations

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node.eth.hashing import keccak256
from node.eth.primitives import ZERO_HASH, BlockNumber, Hash32
from node.rollup.records import (
    GENESIS_TIP,
    InboxTip,
    LoggedRecord,
    Record,
    RecordKind,
    decode_record_log,
    next_accumulator,
    origins_hash,
    tip_after,
)
from tests.kit.contract_network import BATCHER, FORCER, WINDOW, Network
from tests.kit.contract_world import Receipt

MAX_BLOCKS = 512
MAX_ORIGINS = 256


class Inbox(RuleBasedStateMachine):
    """Calls are gathered and mined together; the model takes them in the same order."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Network.open()
        self.tip = GENESIS_TIP
        self.records: list[LoggedRecord] = []
        self.owners: list[int] = [-1]
        self.raws: list[bytes] = []
        self.expected: list[LoggedRecord | None] = []

    # -- the model

    @property
    def number(self) -> int:
        """Of the block that the gathered calls are going to be in."""
        return self.network.height + 1

    def add(self, record: Record, batch: bytes) -> LoggedRecord:
        logged = LoggedRecord(
            index=self.tip.record_count,
            accumulator=next_accumulator(self.tip.accumulator, record),
            record=record,
            batch=batch,
        )
        self.tip = tip_after(self.tip, logged)
        self.records.append(logged)
        self.owners += [logged.index] * record.block_count
        return logged

    def origins(self, previous: int, origin: int) -> Hash32:
        return origins_hash(
            [Hash32(self.network.block_hash(number)) for number in range(previous, origin + 1)]
        )

    # -- what happens

    @rule(
        batch=st.binary(max_size=64),
        first_shift=st.sampled_from([0, 0, 0, 0, -1, 1]),
        block_count=st.one_of(st.integers(1, 40), st.sampled_from([0, 512, 513])),
        origin_back=st.integers(0, 60),
        stale=st.sampled_from([False, False, False, True]),
        foreign=st.sampled_from([False, False, False, True]),
    )
    def append(
        self,
        batch: bytes,
        first_shift: int,
        block_count: int,
        origin_back: int,
        stale: bool,
        foreign: bool,
    ) -> None:
        first = self.tip.next_block + first_shift
        origin = max(self.number - origin_back, 0)
        accumulator = keccak256(self.tip.accumulator) if stale else self.tip.accumulator
        data = self.network.inbox.input("append", batch, first, block_count, origin, accumulator)
        sender = FORCER if foreign else BATCHER
        self.raws.append(
            self.network.world.signed(sender, self.network.inbox.address, data, gas=2_000_000)
        )
        advances = origin - self.tip.last_origin
        is_legal = (
            not (foreign or stale or first_shift)
            and origin < self.number
            and 0 <= advances <= min(block_count, MAX_ORIGINS)
            and 1 <= block_count <= MAX_BLOCKS
        )
        if not is_legal:
            self.expected.append(None)
            return
        record = Record(
            kind=RecordKind.BATCH,
            batch_hash=keccak256(batch),
            first_block=BlockNumber(first),
            block_count=block_count,
            previous_origin=self.tip.last_origin,
            origin=BlockNumber(origin),
            origins_hash=self.origins(self.tip.last_origin, origin),
        )
        self.expected.append(self.add(record, batch))

    @rule(ahead=st.integers(-2, 40))
    def force(self, ahead: int) -> None:
        origin = max(self.tip.last_origin + ahead, 0)
        data = self.network.inbox.input("forceEmpty", origin)
        self.raws.append(
            self.network.world.signed(FORCER, self.network.inbox.address, data, gas=2_000_000)
        )
        advances = origin - self.tip.last_origin
        if not (1 <= advances <= MAX_ORIGINS and origin + WINDOW <= self.number):
            self.expected.append(None)
            return
        record = Record(
            kind=RecordKind.EMPTY,
            batch_hash=ZERO_HASH,
            first_block=self.tip.next_block,
            block_count=advances,
            previous_origin=self.tip.last_origin,
            origin=BlockNumber(origin),
            origins_hash=self.origins(self.tip.last_origin, origin),
        )
        self.expected.append(self.add(record, b""))

    @rule(blocks=st.integers(1, 40))
    def pass_blocks(self, blocks: int) -> None:
        receipts = self.network.world.mine(self.raws)
        assert [self.outcome(receipt) for receipt in receipts] == self.expected
        self.raws, self.expected = [], []
        self.network.pass_blocks(blocks - 1)

    def outcome(self, receipt: Receipt) -> LoggedRecord | None:
        if not receipt.succeeded:
            assert receipt.logs == ()
            return None
        (log,) = receipt.logs
        return decode_record_log(log.topics, log.data)

    # -- what always holds

    @invariant()
    def state_is_the_model_s(self) -> None:
        if self.raws:
            return
        world, inbox = self.network.world, self.network.inbox
        assert self.tip == InboxTip(
            record_count=world.number(inbox, "recordCount"),
            next_block=BlockNumber(world.number(inbox, "nextBlock")),
            last_origin=BlockNumber(world.number(inbox, "lastOrigin")),
            accumulator=Hash32(world.word(inbox, "accumulator")),
        )

    @invariant()
    def the_newest_records_are_readable(self) -> None:
        if self.raws or not self.records:
            return
        world, inbox = self.network.world, self.network.inbox
        for logged in self.records[-2:]:
            assert world.word(inbox, "accumulatorAt", logged.index) == logged.accumulator
            for number in (
                logged.record.first_block,
                logged.record.first_block + logged.record.block_count - 1,
            ):
                assert world.number(inbox, "recordOf", number) == self.owners[number]


TestInbox = Inbox.TestCase
TestInbox.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
