"""The pool against a model that keeps every promise the slow way, over random histories."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from node.eth.primitives import Address
from node.txpool.limits import PoolLimits
from node.txpool.pool import Added, Pool
from node.txpool.transaction import AccountFacts, PooledTransaction
from tests.node.txpool.fakes import GWEI, FakeTransaction

SENDERS = [Address(bytes([number]) * 20) for number in range(1, 6)]
COST = 21_000 * 10 * GWEI
LIMITS = PoolLimits(
    transactions_max=12,
    queued_max=6,
    bytes_max=2_000,
    sender_executable_max=5,
    sender_queued_max=3,
    queued_lifetime_ms=50,
)

senders = st.sampled_from(SENDERS)
tips = st.sampled_from([1, 2, 3, 100, GWEI])
sizes = st.sampled_from([100, 110, 700])


class PoolMachine(RuleBasedStateMachine):
    """Sends, replaces, mines, reorganises, impoverishes, delegates, drops and expires."""

    @initialize()
    def begin(self) -> None:
        self.pool = Pool(LIMITS, block_gas_limit=1_000_000)
        self.accounts = {sender: AccountFacts(0, 100 * COST, False) for sender in SENDERS}
        self.kept: dict[bytes, PooledTransaction] = {}
        self.now_ms = 0
        self.salt = 0

    def forget(self, gone: tuple[PooledTransaction, ...] | list[PooledTransaction]) -> None:
        for one in gone:
            del self.kept[one.hash]

    @rule(
        sender=senders,
        ahead=st.integers(min_value=-1, max_value=8),
        tip=tips,
        size=sizes,
        authority=st.one_of(st.none(), senders),
    )
    def send(
        self, sender: Address, ahead: int, tip: int, size: int, authority: Address | None
    ) -> None:
        self.salt += 1
        account = self.accounts[sender]
        transaction = FakeTransaction(
            sender=sender,
            nonce=max(0, account.nonce + ahead),
            max_priority_fee_per_gas=tip,
            size=size,
            salt=self.salt,
            kind=2 if authority is None else 4,
            authorities=[] if authority is None else [authority],
        )
        before = self.snapshot()
        known = self.pool.knows(sender)
        answer = self.pool.admit(transaction, None if known else account, now_ms=self.now_ms)
        if isinstance(answer, Added):
            self.kept[transaction.hash] = answer.transaction
            self.forget(answer.dropped)
        else:
            assert self.snapshot() == before, "a refused transaction changed the pool"

    @rule(sender=senders, step=st.integers(min_value=-2, max_value=8), poor=st.booleans())
    def new_head(self, sender: Address, step: int, *, poor: bool) -> None:
        old = self.accounts[sender]
        nonce = max(0, old.nonce + step)
        balance = COST - 1 if poor else 100 * COST
        self.accounts[sender] = replace(old, nonce=nonce, balance=balance)
        changed = self.pool.update(self.accounts, block_gas_limit=1_000_000, now_ms=self.now_ms)
        assert all(one.nonce < self.accounts[one.sender].nonce for one in changed.included)
        self.forget((*changed.included, *changed.dropped))

    @rule(sender=senders)
    def delegate(self, sender: Address) -> None:
        old = self.accounts[sender]
        self.accounts[sender] = replace(old, has_code=not old.has_code)
        changed = self.pool.update(self.accounts, block_gas_limit=1_000_000, now_ms=self.now_ms)
        self.forget((*changed.included, *changed.dropped))

    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        if self.kept:
            chosen = data.draw(st.sampled_from(sorted(self.kept)))
            self.pool.drop(chosen)
            del self.kept[chosen]

    @rule(passed_ms=st.integers(min_value=1, max_value=60))
    def expire(self, passed_ms: int) -> None:
        self.now_ms += passed_ms
        self.forget(self.pool.expire(self.now_ms))

    def snapshot(self) -> object:
        return (
            {address: (one.executable, one.queued) for address, one in self.pool.content().items()},
            self.pool.bytes_total,
            self.pool.executable_count,
            self.pool.queued_count,
        )

    @invariant()
    def bounds_hold(self) -> None:
        pool = self.pool
        assert len(pool) <= LIMITS.transactions_max
        assert pool.bytes_total <= LIMITS.bytes_max
        assert pool.bytes_total == sum(one.size for one in self.kept.values())

    @invariant()
    def nothing_is_lost_and_nothing_appears(self) -> None:
        content = self.pool.content()
        found = [one for entry in content.values() for one in (*entry.executable, *entry.queued)]
        assert {one.hash for one in found} == set(self.kept)
        assert all(self.pool.by_hash(one.hash) is one for one in found)
        assert self.pool.queued_count == sum(len(entry.queued) for entry in content.values())

    @invariant()
    def executable_is_what_follows_the_account(self) -> None:
        for address, entry in self.pool.content().items():
            nonce = self.accounts[address].nonce
            held = {one.nonce for one in (*entry.executable, *entry.queued)}
            run = 0
            while nonce + run in held:
                run += 1
            assert [one.nonce for one in entry.executable] == list(range(nonce, nonce + run))
            assert all(one.nonce > nonce + run for one in entry.queued)
            assert len(entry.executable) + len(entry.queued) > 0

    @invariant()
    def selection_offers_every_executable_one_once_in_order(self) -> None:
        selection = self.pool.select(0)
        offered: list[PooledTransaction] = []
        while taken := selection.take(gas=50_000, size=10_000, count=2):
            offered += taken
        assert {one.hash for one in offered} == {
            one.hash for row in self.pool.executable_by_sender().values() for one in row
        }
        for address in SENDERS:
            mine = [one.nonce for one in offered if one.sender == address]
            assert mine == sorted(set(mine))


PoolMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestPool = PoolMachine.TestCase
