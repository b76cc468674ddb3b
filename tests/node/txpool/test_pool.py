"""What the pool takes, refuses, replaces, drops and offers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.eth.primitives import Address
from node.txpool.limits import PoolLimits
from node.txpool.pool import Added, Pool
from node.txpool.refusals import Refused
from node.txpool.transaction import AccountFacts
from tests.node.txpool.fakes import ETHER, GWEI, OTHER, RICH, SENDER, FakeTransaction

BLOCK_GAS = 120_000_000


def new_pool(limits: PoolLimits | None = None) -> Pool:
    return Pool(limits or PoolLimits(), block_gas_limit=BLOCK_GAS)


def admit(
    pool: Pool, transaction: FakeTransaction, account: AccountFacts = RICH, now_ms: int = 0
) -> Added | Refused:
    known = pool.knows(transaction.sender)
    return pool.admit(transaction, None if known else account, now_ms=now_ms)


def added(
    pool: Pool, transaction: FakeTransaction, account: AccountFacts = RICH, now_ms: int = 0
) -> Added:
    answer = admit(pool, transaction, account, now_ms)
    assert isinstance(answer, Added), answer
    return answer


def message(answer: Added | Refused) -> str:
    assert isinstance(answer, Refused), answer
    return answer.message


def nonces(pool: Pool, sender: Address = SENDER) -> tuple[list[int], list[int]]:
    content = pool.content_from(sender)
    return [one.nonce for one in content.executable], [one.nonce for one in content.queued]


def head(pool: Pool, nonce: int, balance: int = 1_000 * ETHER, sender: Address = SENDER) -> None:
    facts = AccountFacts(nonce=nonce, balance=balance, has_code=False)
    pool.update({sender: facts}, block_gas_limit=BLOCK_GAS, now_ms=0)


# -- messages, to the letter


SMALL = FakeTransaction()


@pytest.mark.parametrize(
    ("transaction", "account", "expected"),
    [
        (
            replace(SMALL, nonce=3),
            AccountFacts(5, ETHER, False),
            "nonce too low: next nonce 5, tx nonce 3",
        ),
        (
            replace(SMALL, value=1),
            AccountFacts(0, 1_000, False),
            "insufficient funds for gas * price + value: "
            "balance 1000, tx cost 210000000000001, overshot 209999999999001",
        ),
        (
            replace(SMALL, gas_limit=20_999),
            RICH,
            "intrinsic gas too low: gas 20999, minimum needed 21000",
        ),
        (
            replace(SMALL, max_priority_fee_per_gas=11 * GWEI),
            RICH,
            "max priority fee per gas higher than max fee per gas",
        ),
        (
            replace(SMALL, max_priority_fee_per_gas=0),
            RICH,
            "transaction gas price below minimum: gas tip cap 0, minimum needed 1",
        ),
        (
            replace(SMALL, size=512 * 1024 + 1),
            RICH,
            "oversized data: transaction size 524289, limit 524288",
        ),
        (
            replace(SMALL, gas_limit=(1 << 24) + 1),
            RICH,
            "transaction gas limit too high (cap: 16777216, tx: 16777217)",
        ),
        (replace(SMALL, nonce=(1 << 64) - 1), RICH, "nonce has max value"),
        (
            replace(SMALL, kind=4),
            RICH,
            "set code tx must have at least one authorization tuple",
        ),
    ],
)
def test_refusals_read_as_geths(
    transaction: FakeTransaction, account: AccountFacts, expected: str
) -> None:
    pool = new_pool()
    assert message(admit(pool, transaction, account)) == expected
    assert len(pool) == 0
    assert not pool.knows(transaction.sender)


def test_a_gas_limit_above_the_blocks_is_refused() -> None:
    pool = Pool(PoolLimits(), block_gas_limit=30_000)
    assert message(admit(pool, replace(SMALL, gas_limit=30_001))) == "exceeds block gas limit"


def test_a_known_transaction_is_refused() -> None:
    pool = new_pool()
    added(pool, SMALL)
    assert message(admit(pool, SMALL)) == "already known"


def test_funds_are_counted_over_everything_executable() -> None:
    # Given an account that can pay for one transaction and a half
    account = AccountFacts(0, 315_000 * GWEI, False)
    pool = new_pool()
    added(pool, SMALL, account)

    # When it sends another
    answer = admit(pool, replace(SMALL, nonce=1), account)

    # Then the overdraft is named, and so is one made by a replacement
    assert message(answer) == (
        "insufficient funds for gas * price + value: balance 315000000000000, "
        "queued cost 210000000000000, tx cost 210000000000000, overshot 105000000000000"
    )
    dearer = replace(SMALL, max_fee_per_gas=15 * GWEI, value=1, max_priority_fee_per_gas=2 * GWEI)
    assert message(admit(pool, dearer, account)) == (
        "insufficient funds for gas * price + value: balance 315000000000000, tx cost "
        "315000000000001, overshot 1"
    )
    added(pool, replace(dearer, value=0), account)


def test_a_replacement_that_overdraws_names_what_it_adds() -> None:
    account = AccountFacts(0, 500_000 * GWEI, False)
    pool = new_pool()
    added(pool, SMALL, account)
    added(pool, replace(SMALL, nonce=1), account)
    dearer = replace(SMALL, nonce=1, max_fee_per_gas=15 * GWEI, max_priority_fee_per_gas=2 * GWEI)
    assert message(admit(pool, dearer, account)) == (
        "insufficient funds for gas * price + value: balance 500000000000000, "
        "queued cost 420000000000000, tx bumped 105000000000000, overshot 25000000000000"
    )


# -- replacement


@pytest.mark.parametrize(
    ("fee", "tip", "taken"),
    [
        (11 * GWEI, 1_100_000_000, True),
        (11 * GWEI - 1, 1_100_000_000, False),
        (11 * GWEI, 1_099_999_999, False),
        (20 * GWEI, 1 * GWEI, False),
        (10 * GWEI, 2 * GWEI, False),
    ],
)
def test_a_replacement_pays_a_tenth_more_of_both(fee: int, tip: int, *, taken: bool) -> None:
    pool = new_pool()
    first = added(pool, SMALL).transaction
    answer = admit(pool, replace(SMALL, max_fee_per_gas=fee, max_priority_fee_per_gas=tip))
    if taken:
        assert isinstance(answer, Added)
        assert answer.dropped == (first,)
        assert pool.by_hash(first.hash) is None
    else:
        assert message(answer) == "replacement transaction underpriced"
        assert pool.by_hash(first.hash) is first
    assert len(pool) == 1


def test_a_fee_of_a_few_wei_is_replaced_by_a_higher_one_only() -> None:
    pool = new_pool()
    added(pool, replace(SMALL, max_fee_per_gas=5, max_priority_fee_per_gas=5))
    same = replace(SMALL, max_fee_per_gas=5, max_priority_fee_per_gas=5, salt=1)
    assert message(admit(pool, same)) == "replacement transaction underpriced"
    added(pool, replace(SMALL, max_fee_per_gas=6, max_priority_fee_per_gas=6))


# -- nonces


def test_a_gap_waits_and_its_closing_promotes() -> None:
    pool = new_pool()
    assert added(pool, replace(SMALL, nonce=2)).executable == ()
    assert added(pool, replace(SMALL, nonce=1)).executable == ()
    assert (pool.executable_count, pool.queued_count, pool.pending_nonce(SENDER)) == (0, 2, 0)

    closing = added(pool, SMALL)

    assert [one.nonce for one in closing.executable] == [0, 1, 2]
    assert (pool.executable_count, pool.queued_count, pool.pending_nonce(SENDER)) == (3, 0, 3)


def test_a_dropped_transaction_sends_later_ones_back_to_the_queue() -> None:
    pool = new_pool()
    kept = [added(pool, replace(SMALL, nonce=nonce)).transaction for nonce in range(3)]
    pool.drop(kept[1].hash)
    assert nonces(pool) == ([0], [2])


def test_a_head_takes_out_what_it_includes() -> None:
    pool = new_pool()
    for nonce in (0, 1, 2, 5):
        added(pool, replace(SMALL, nonce=nonce))
    head(pool, 2)
    assert nonces(pool) == ([2], [5])
    head(pool, 5)
    assert nonces(pool) == ([5], [])
    head(pool, 6)
    assert not pool.knows(SENDER)
    assert (len(pool), pool.bytes_total, pool.queued_count) == (0, 0, 0)


def test_a_head_takes_out_what_waited_for_a_nonce_that_is_used_up() -> None:
    pool = new_pool()
    for nonce in (0, 5, 7):
        added(pool, replace(SMALL, nonce=nonce))
    head(pool, 6)
    assert nonces(pool) == ([], [7])
    assert len(pool) == 1


def test_a_reorganisation_waits_for_what_it_took_out_of_blocks() -> None:
    # Given a pool in which nonces 0 and 1 are in blocks already
    pool = new_pool()
    added(pool, replace(SMALL, nonce=2), AccountFacts(2, ETHER, False))

    # When both blocks are dropped
    head(pool, 0)

    # Then nonce 2 waits until the dropped ones are back
    assert nonces(pool) == ([], [2])
    added(pool, SMALL)
    added(pool, replace(SMALL, nonce=1))
    assert nonces(pool) == ([0, 1, 2], [])


def test_a_fallen_balance_drops_what_cannot_be_paid() -> None:
    pool = new_pool()
    added(pool, SMALL)
    added(pool, replace(SMALL, nonce=1, value=ETHER))
    added(pool, replace(SMALL, nonce=2))
    head(pool, 0, balance=ETHER)
    assert nonces(pool) == ([0], [2])


def test_a_fallen_block_gas_limit_drops_what_no_longer_fits() -> None:
    pool = new_pool()
    added(pool, replace(SMALL, gas_limit=1_000_000))
    facts = AccountFacts(0, RICH.balance, False)
    changed = pool.update({SENDER: facts}, block_gas_limit=999_999, now_ms=0)
    assert [one.nonce for one in changed.dropped] == [0]


# -- bounds


def test_a_sender_has_bounded_room() -> None:
    pool = new_pool(PoolLimits(sender_executable_max=2, sender_queued_max=2))
    for nonce in (0, 1, 5, 6):
        added(pool, replace(SMALL, nonce=nonce))
    assert message(admit(pool, replace(SMALL, nonce=2))) == "account limit exceeded: pooled 2 txs"
    assert message(admit(pool, replace(SMALL, nonce=7))) == "account limit exceeded: pooled 4 txs"
    added(pool, replace(SMALL, nonce=4))
    assert nonces(pool) == ([0, 1], [4, 5])


def test_a_full_queue_loses_the_farthest_of_whoever_was_silent_longest() -> None:
    pool = new_pool(PoolLimits(queued_max=3))
    silent, busy = replace(SMALL, sender=OTHER), SMALL
    added(pool, replace(silent, nonce=1))
    added(pool, replace(silent, nonce=2))
    added(pool, replace(busy, nonce=1))
    added(pool, replace(busy, nonce=2))
    assert (nonces(pool, OTHER), nonces(pool)) == (([], [1]), ([], [1, 2]))


def test_a_full_pool_drops_the_last_of_whoever_pays_least() -> None:
    # Given a full pool
    pool = new_pool(PoolLimits(transactions_max=3))
    cheap = replace(SMALL, sender=OTHER, max_priority_fee_per_gas=5)
    added(pool, cheap)
    added(pool, replace(cheap, nonce=1, max_priority_fee_per_gas=9))
    added(pool, SMALL)

    # When one arrives that pays more, and one that does not
    dear = replace(SMALL, sender=b"\x03" * 20)
    poor = replace(SMALL, sender=b"\x04" * 20, max_priority_fee_per_gas=4)

    # Then the cheapest's sender loses its last one, and the poorer one is refused
    assert message(admit(pool, poor)) == "transaction underpriced"
    assert [one.nonce for one in added(pool, dear).dropped] == [1]
    assert nonces(pool, OTHER) == ([0], [])
    assert len(pool) == 3


def test_a_full_pool_keeps_its_own_when_a_newcomer_is_worth_the_same() -> None:
    pool = new_pool(PoolLimits(transactions_max=1))
    added(pool, SMALL)
    assert message(admit(pool, replace(SMALL, sender=OTHER))) == "transaction underpriced"


def test_nobody_makes_room_for_himself_by_opening_a_gap() -> None:
    pool = new_pool(PoolLimits(transactions_max=2))
    added(pool, replace(SMALL, max_priority_fee_per_gas=1))
    added(pool, replace(SMALL, nonce=1, max_priority_fee_per_gas=1))
    assert message(admit(pool, replace(SMALL, nonce=2))) == "transaction underpriced"
    assert nonces(pool) == ([0, 1], [])


def test_a_replacement_needs_no_room() -> None:
    pool = new_pool(PoolLimits(transactions_max=1, bytes_max=110))
    added(pool, SMALL)
    added(pool, replace(SMALL, max_fee_per_gas=20 * GWEI, max_priority_fee_per_gas=2 * GWEI))
    assert (len(pool), pool.bytes_total) == (1, 110)


def test_what_left_does_not_pile_up_in_the_order_by_price() -> None:
    pool = new_pool()
    for salt in range(3_000):
        pool.drop(added(pool, replace(SMALL, salt=salt)).transaction.hash)
    assert len(pool._by_price) <= 1_100


def test_a_full_pool_gives_up_queued_ones_first() -> None:
    pool = new_pool(PoolLimits(transactions_max=2))
    added(pool, replace(SMALL, max_priority_fee_per_gas=5))
    added(pool, replace(SMALL, sender=OTHER, nonce=7))
    poor = replace(SMALL, sender=b"\x04" * 20, max_priority_fee_per_gas=4)
    added(pool, poor)
    assert not pool.knows(OTHER)
    waiting = replace(SMALL, sender=OTHER, nonce=7)
    assert message(admit(pool, waiting)) == "future transaction tries to replace pending"


def test_bytes_are_bounded() -> None:
    pool = new_pool(PoolLimits(bytes_max=1_000))
    added(pool, replace(SMALL, size=600))
    dear = replace(SMALL, sender=OTHER, size=500, max_priority_fee_per_gas=2 * GWEI)
    assert [one.size for one in added(pool, dear).dropped] == [600]
    assert pool.bytes_total == 500
    cheap = replace(SMALL, size=501)
    assert message(admit(pool, cheap)) == "transaction underpriced"
    assert pool.bytes_total == 500


def test_what_waits_does_not_wait_for_ever() -> None:
    pool = new_pool(PoolLimits(queued_lifetime_ms=1_000))
    added(pool, SMALL, now_ms=0)
    added(pool, replace(SMALL, nonce=2), now_ms=0)
    assert pool.expire(999) == []
    assert [one.nonce for one in pool.expire(1_000)] == [2]
    assert nonces(pool) == ([0], [])


# -- EIP-7702


def test_a_delegated_account_has_one_transaction_in_flight() -> None:
    delegated = AccountFacts(0, ETHER, True)
    pool = new_pool()
    gap = message(admit(pool, replace(SMALL, nonce=1), delegated))
    assert gap == "gapped-nonce tx from delegated accounts"
    added(pool, SMALL, delegated)
    assert message(admit(pool, replace(SMALL, nonce=1))) == (
        "in-flight transaction limit reached for delegated accounts"
    )
    added(pool, replace(SMALL, max_fee_per_gas=20 * GWEI, max_priority_fee_per_gas=2 * GWEI))


def test_an_account_about_to_be_delegated_is_limited_too() -> None:
    pool = new_pool()
    authorise = replace(SMALL, sender=OTHER, kind=4, authorities=[SENDER])
    carrier = added(pool, authorise).transaction
    added(pool, SMALL)
    assert message(admit(pool, replace(SMALL, nonce=1))) == (
        "in-flight transaction limit reached for delegated accounts"
    )
    pool.drop(carrier.hash)
    added(pool, replace(SMALL, nonce=1))


def test_an_authority_with_several_transactions_is_reserved() -> None:
    pool = new_pool()
    added(pool, SMALL)
    added(pool, replace(SMALL, nonce=1))
    authorise = replace(SMALL, sender=OTHER, kind=4, authorities=[SENDER])
    assert message(admit(pool, authorise)) == "authority already reserved"


# -- selection


def test_the_best_tip_goes_first_and_nonces_keep_their_order() -> None:
    pool = new_pool()
    low = replace(SMALL, max_priority_fee_per_gas=1)
    added(pool, low)
    added(pool, replace(low, nonce=1, max_priority_fee_per_gas=9 * GWEI))
    added(pool, replace(SMALL, sender=OTHER, max_priority_fee_per_gas=5))
    added(pool, replace(SMALL, sender=b"\x03" * 20, max_priority_fee_per_gas=5))
    chosen = pool.select(GWEI).take(gas=BLOCK_GAS, size=1 << 20, count=100)
    assert [(one.sender[0], one.nonce) for one in chosen] == [(2, 0), (3, 0), (1, 0), (1, 1)]


def test_a_fee_below_the_base_fee_keeps_its_sender_out() -> None:
    pool = new_pool()
    added(pool, replace(SMALL, max_fee_per_gas=2 * GWEI))
    added(pool, replace(SMALL, nonce=1))
    assert pool.select(3 * GWEI).take(gas=BLOCK_GAS, size=1 << 20, count=100) == []


def test_what_does_not_fit_is_offered_again() -> None:
    pool = new_pool()
    added(pool, replace(SMALL, gas_limit=100_000, max_priority_fee_per_gas=2 * GWEI))
    added(pool, replace(SMALL, sender=OTHER))
    selection = pool.select(0)
    assert [one.sender for one in selection.take(gas=50_000, size=1 << 20, count=9)] == [OTHER]
    assert selection.take(gas=50_000, size=1 << 20, count=9) == []
    assert [one.sender for one in selection.take(gas=100_000, size=1 << 20, count=9)] == [SENDER]
    assert selection.take(gas=BLOCK_GAS, size=1 << 20, count=9) == []


def test_size_and_count_are_respected() -> None:
    pool = new_pool()
    for nonce in range(10):
        added(pool, replace(SMALL, nonce=nonce))
    selection = pool.select(0)
    assert len(selection.take(gas=BLOCK_GAS, size=330, count=9)) == 3
    assert len(selection.take(gas=BLOCK_GAS, size=1 << 20, count=2)) == 2
    assert len(selection.take(gas=BLOCK_GAS, size=1 << 20, count=9)) == 5


def test_a_refused_sender_is_not_offered_again() -> None:
    pool = new_pool()
    for nonce in range(3):
        added(pool, replace(SMALL, nonce=nonce))
    selection = pool.select(0)
    assert len(selection.take(gas=BLOCK_GAS, size=1 << 20, count=1)) == 1
    selection.refuse(SENDER)
    assert selection.take(gas=BLOCK_GAS, size=1 << 20, count=9) == []
