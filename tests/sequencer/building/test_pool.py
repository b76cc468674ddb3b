"""What waits for an L2 block: order, gaps, replacement, bounds; a machine against any history."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node.txpool.refusals import RefusalReason, Refused
from sequencer.building.limits import TRANSACTION_BYTES_MAX, WaitingLimits
from sequencer.building.pool import L2Pool
from sequencer.building.waiting import Standing, Submission, Waiting
from tests.sequencer.building.offers import BASE_FEE, GAS_LIMIT, Judge, Offered, account


def new_pool(limits: WaitingLimits | None = None) -> L2Pool:
    return L2Pool(limits or WaitingLimits(), block_gas_limit=GAS_LIMIT, base_fee=BASE_FEE)


def added(pool: L2Pool, one: Offered) -> list[Waiting]:
    answer = pool.admit(one, None, now_ms=0)
    assert not isinstance(answer, Refused), answer
    return answer


def refused(pool: L2Pool, one: Offered) -> Refused:
    answer = pool.admit(one, None, now_ms=0)
    assert isinstance(answer, Refused)
    return answer


def taken(pool: L2Pool, count: int = 1_000) -> list[tuple[bytes, int]]:
    return [(one.sender, one.nonce) for one in pool.take(count=count, size=1 << 30)]


def step(pool: L2Pool, judge: Judge, room: int = 1_000) -> list[Waiting]:
    """One block."""
    sealed = judge.seal(pool.take(count=1_000, size=1 << 30), room)
    pool.settle(sealed, now_ms=0)
    return sealed.included


A, B, C = account(1), account(2), account(3)


def test_first_come_first_served_whatever_the_tip() -> None:
    pool = new_pool()
    for sender, tip in ((A, 0), (B, 9), (C, 5)):
        added(pool, Offered(sender, 0, max_priority_fee_per_gas=tip))
    assert taken(pool) == [(A, 0), (B, 0), (C, 0)]


def test_each_sender_s_go_in_order_of_nonce_in_the_places_it_has() -> None:
    pool = new_pool()
    for sender, nonce in ((A, 2), (B, 0), (A, 0), (A, 1)):
        added(pool, Offered(sender, nonce))
    assert taken(pool) == [(A, 0), (B, 0), (A, 1), (A, 2)]


def test_a_gap_waits_and_goes_once_it_closes() -> None:
    pool, judge = new_pool(), Judge()
    for nonce in (1, 2, 4):
        added(pool, Offered(A, nonce))
    assert step(pool, judge) == []
    assert (pool.ready_count, pool.gapped_count) == (0, 3)
    added(pool, Offered(A, 0))
    assert [one.nonce for one in step(pool, judge)] == [0]
    assert (pool.ready_count, pool.gapped_count) == (2, 1)
    assert [one.nonce for one in step(pool, judge)] == [1, 2]
    ready, gapped = pool.of_sender(A)
    assert (ready, [one.nonce for one in gapped]) == ([], [4])


def test_what_did_not_fit_is_first_in_the_next_block() -> None:
    pool, judge = new_pool(), Judge()
    for sender in (A, B, C):
        added(pool, Offered(sender, 0))
    added(pool, Offered(B, 1))
    assert [one.sender for one in step(pool, judge, room=1)] == [A]
    added(pool, Offered(A, 1))
    assert [one.why for one in pool.in_order()][:2] == ["block_full", "block_full"]
    assert [(one.sender, one.nonce) for one in step(pool, judge)] == [
        (B, 0),
        (C, 0),
        (B, 1),
        (A, 1),
    ]


def test_a_block_s_bytes_bound_what_it_is_offered_and_one_is_always_offered() -> None:
    pool = new_pool()
    for nonce in range(3):
        added(pool, Offered(A, nonce, size=100))
    assert len(pool.take(count=9, size=250)) == 2
    assert len(pool.take(count=9, size=50)) == 1


def test_given_back_transactions_keep_their_place() -> None:
    pool = new_pool()
    for sender in (A, B):
        added(pool, Offered(sender, 0))
    first = pool.take(count=9, size=1 << 20)
    added(pool, Offered(C, 0))
    pool.give_back(first)
    assert taken(pool) == [(A, 0), (B, 0), (C, 0)]


def test_a_replacement_pays_ten_percent_more() -> None:
    pool = new_pool()
    old = Offered(A, 0, max_priority_fee_per_gas=100, max_fee_per_gas=10**9)
    added(pool, old)
    cheap = replace(old, max_priority_fee_per_gas=110)
    assert refused(pool, cheap).message == "replacement transaction underpriced"
    better = replace(old, max_priority_fee_per_gas=110, max_fee_per_gas=11 * 10**8)
    assert [one.hash for one in added(pool, better)] == [old.hash]
    assert pool.get(old.hash) is None
    assert [one.hash for one in pool.take(count=9, size=1 << 20)] == [better.hash]


def test_what_a_block_has_taken_is_not_replaced() -> None:
    pool = new_pool()
    added(pool, Offered(A, 0))
    pool.take(count=1, size=1 << 20)
    dear = Offered(A, 0, max_priority_fee_per_gas=50, max_fee_per_gas=10**10)
    assert refused(pool, dear).message == "nonce too low: next nonce 1, tx nonce 0"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"size": TRANSACTION_BYTES_MAX + 1},
            "oversized data: transaction size 30721, limit 30720",
        ),
        ({"gas_limit": GAS_LIMIT + 1}, "exceeds block gas limit"),
        (
            {"gas_limit": 20_999},
            "intrinsic gas too low: gas 20999, minimum needed 21000",
        ),
        (
            {"max_priority_fee_per_gas": 10**9 + 1},
            "max priority fee per gas higher than max fee per gas",
        ),
        ({"nonce": (1 << 64) - 1}, "nonce has max value"),
        ({"kind": 4}, "set code tx must have at least one authorization tuple"),
        (
            {"max_fee_per_gas": BASE_FEE - 1},
            f"max fee per gas less than block base fee: address 0x{A.hex()}, "
            "maxFeePerGas: 999999, baseFee: 1000000",
        ),
    ],
)
def test_what_no_block_takes_is_refused_in_geth_s_words(
    change: dict[str, int], message: str
) -> None:
    pool = new_pool()
    assert refused(pool, replace(Offered(A, 0), **change)).message == message  # type: ignore[arg-type]
    assert len(pool) == 0


def test_the_same_transaction_is_taken_once() -> None:
    pool = new_pool()
    added(pool, Offered(A, 0))
    assert refused(pool, Offered(A, 0)).message == "already known"


def test_a_full_pool_refuses_unless_gaps_make_room() -> None:
    pool, judge = new_pool(WaitingLimits(transactions_max=3)), Judge()
    added(pool, Offered(A, 5))
    added(pool, Offered(A, 7))
    step(pool, judge)
    added(pool, Offered(B, 0))
    assert [one.nonce for one in added(pool, Offered(C, 0))] == [7]
    assert [one.nonce for one in added(pool, Offered(C, 1))] == [5]
    assert refused(pool, Offered(C, 2)).reason is RefusalReason.BUSY
    assert len(pool) == 3


def test_bytes_are_bounded_too() -> None:
    pool = new_pool(WaitingLimits(bytes_max=250))
    added(pool, Offered(A, 0))
    added(pool, Offered(B, 0))
    assert refused(pool, Offered(C, 0)).reason is RefusalReason.BUSY
    assert pool.bytes_total == 220


def test_one_sender_has_a_bound_of_its_own() -> None:
    pool = new_pool(WaitingLimits(sender_max=2))
    added(pool, Offered(A, 0))
    added(pool, Offered(A, 1))
    assert refused(pool, Offered(A, 2)).message == "account limit exceeded: pooled 2 txs"
    added(pool, Offered(B, 0))


def test_gaps_are_bounded_for_a_sender_and_for_all() -> None:
    pool = new_pool(WaitingLimits(sender_gapped_max=2, gapped_max=3))
    for sender, nonces in ((A, (5, 6, 7)), (B, (5, 6))):
        for nonce in nonces:
            added(pool, Offered(sender, nonce))
    sealed = Judge().seal(pool.take(count=9, size=1 << 20), 9)
    dropped = pool.settle(sealed, now_ms=0)
    assert {(one.sender, one.nonce) for one in dropped} == {(A, 7), (A, 6)}
    assert pool.gapped_count == 3
    assert len(pool) == 3


def test_the_bytes_of_gaps_are_bounded_and_forgotten_with_them() -> None:
    pool, judge = new_pool(WaitingLimits(gapped_bytes_max=250)), Judge()
    for sender in (A, B, C):
        added(pool, Offered(sender, 5))
        step(pool, judge)
    assert [len(pool.of_sender(sender)[1]) for sender in (A, B, C)] == [0, 1, 1]
    assert [pool.gapped_cost(sender) for sender in (A, B)] == [0, 21_000 * 10**9 + 1]
    pool.expire(pool.limits.gapped_lifetime_ms)
    for sender in (A, B):
        added(pool, Offered(sender, 5))
        step(pool, judge)
    assert pool.gapped_count == 2


def test_the_silent_lose_their_gaps() -> None:
    pool, judge = new_pool(), Judge()
    added(pool, Offered(A, 5))
    step(pool, judge)
    lifetime_ms = pool.limits.gapped_lifetime_ms
    assert pool.expire(lifetime_ms - 1) == []
    assert [one.nonce for one in pool.expire(lifetime_ms)] == [5]
    assert (len(pool), pool.gapped_count) == (0, 0)


def test_an_authority_s_gaps_are_offered_again() -> None:
    """Given a transaction that moved another account's nonce (EIP-7702), that account's gaps are judged anew."""
    pool, judge = new_pool(), Judge()
    added(pool, Offered(A, 1))
    step(pool, judge)
    added(pool, Offered(B, 0, kind=4, authorities=[A]))
    sealed = judge.seal(pool.take(count=9, size=1 << 20), 9)
    judge.nonces[A] = 1
    pool.settle(sealed, now_ms=0)
    assert [one.sender for one in step(pool, judge)] == [A]


def test_held_transactions_wait_until_they_are_released() -> None:
    pool, judge = new_pool(), Judge()
    added(pool, Offered(A, 0))
    pool.hold(pool.take(count=1, size=1 << 20))
    assert (pool.ready_count, pool.held_count, len(pool)) == (0, 1, 1)
    assert step(pool, judge) == []
    pool.release()
    assert [one.sender for one in step(pool, judge)] == [A]


def test_what_a_reset_dropped_goes_first_and_takes_its_place_back() -> None:
    pool, judge = new_pool(), Judge()
    heard: list[Submission] = []
    pool.admit(Offered(A, 0, max_priority_fee_per_gas=7), heard.append, now_ms=0)
    added(pool, Offered(C, 0))
    displaced = pool.put_first([Offered(A, 0), Offered(A, 1), Offered(B, 0)], now_ms=0)
    assert [(one.nonce, one.max_priority_fee_per_gas) for one in displaced] == [(0, 7)]
    assert [(one.sender, one.nonce) for one in step(pool, judge)] == [
        (A, 0),
        (A, 1),
        (B, 0),
        (C, 0),
    ]
    assert len(pool) == 0


class PoolMachine(RuleBasedStateMachine):
    """Any order of offers, blocks, resets and held senders: nothing is lost, doubled or over a bound."""

    LIMITS = WaitingLimits(
        transactions_max=40, sender_max=20, gapped_max=12, sender_gapped_max=6, bytes_max=6_000
    )

    def __init__(self) -> None:
        super().__init__()
        self.pool = new_pool(self.LIMITS)
        self.judge = Judge()
        self.known: dict[bytes, Offered] = {}
        """Taken, and in no block nor dropped, as far as the pool has said."""

    @rule(sender=st.integers(1, 4), ahead=st.integers(-1, 8), tip=st.integers(0, 3))
    def offer(self, sender: int, ahead: int, tip: int) -> None:
        nonce = max(0, self.judge.nonces.get(account(sender), 0) + ahead)
        fee = 10**9 * (1 + tip)
        one = Offered(account(sender), nonce, tip * 10**6, fee)
        answer = self.pool.admit(one, None, now_ms=0)
        if isinstance(answer, Refused):
            return
        self._gone(answer)
        self.known[one.hash] = one

    @rule(room=st.integers(0, 10), count=st.integers(1, 30))
    def block(self, room: int, count: int) -> None:
        sealed = self.judge.seal(self.pool.take(count=count, size=5_000), room)
        dropped = self.pool.settle(sealed, now_ms=0)
        self._gone([*sealed.included, *dropped, *(one.one for one in sealed.refused)])

    @rule(count=st.integers(1, 30))
    def thrown_away(self, count: int) -> None:
        before = len(self.pool)
        self.pool.give_back(self.pool.take(count=count, size=5_000))
        assert len(self.pool) == before

    @rule(depth=st.integers(1, 6))
    def reset(self, depth: int) -> None:
        gone = self.judge.chain[-depth:]
        del self.judge.chain[-depth:]
        for one in reversed(gone):
            self.judge.nonces[one.sender] = one.nonce
        offered = [
            Offered(one.sender, one.nonce, one.max_priority_fee_per_gas, one.max_fee_per_gas)
            for one in gone
        ]
        self._gone(self.pool.put_first(offered, now_ms=0))
        self.known |= {one.hash: one for one in offered}
        self.pool.retry_gapped()

    @rule(count=st.integers(1, 5))
    def hold(self, count: int) -> None:
        self.pool.hold(self.pool.take(count=count, size=5_000))

    @rule()
    def release(self) -> None:
        self.pool.release()

    @rule()
    def everything_goes_once_it_can(self) -> None:
        self.pool.release()
        for _ in range(200):
            if not self.pool.ready_count:
                break
            self.block(100, 100)
        assert not self.pool.ready_count
        for one in self.pool.all():
            assert one.nonce > self.judge.nonces.get(one.sender, 0)

    def _gone(self, several: list[Waiting]) -> None:
        for one in several:
            del self.known[one.hash]

    @invariant()
    def nothing_is_lost(self) -> None:
        assert {one.hash for one in self.pool.all()} == set(self.known)

    @invariant()
    def nothing_is_doubled(self) -> None:
        waiting = [(one.sender, one.nonce) for one in self.pool.all()]
        assert len(waiting) == len(set(waiting))
        ready = list(self.pool.in_order())
        assert len(ready) == len(set(ready)) == self.pool.ready_count

    @invariant()
    def sealed_chains_are_without_gaps(self) -> None:
        nonces: dict[bytes, int] = {}
        for one in self.judge.chain:
            assert one.nonce == nonces.get(one.sender, 0)
            nonces[one.sender] = one.nonce + 1

    @invariant()
    def bounds_hold(self) -> None:
        assert self.pool.gapped_count <= self.LIMITS.gapped_max
        standings = [one.standing for one in self.pool.all()]
        assert standings.count(Standing.GAPPED) == self.pool.gapped_count
        assert standings.count(Standing.HELD) == self.pool.held_count
        assert standings.count(Standing.TAKEN) == 0
        assert self.pool.bytes_total == 110 * len(self.pool)


TestPoolMachine = PoolMachine.TestCase
TestPoolMachine.settings = settings(max_examples=60, stateful_step_count=40)
