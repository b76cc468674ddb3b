"""What the pool's rules are for blob transactions: geth's of its blob pool, in the same pool."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from node.eth.blobs import CELLS, NetworkForm, versioned_hash
from node.eth.fees import GAS_PER_BLOB
from node.eth.primitives import Hash32
from node.txpool.blob_room import Prices
from node.txpool.limits import PoolLimits
from node.txpool.pool import Added
from node.txpool.selection import ASIDE_MAX
from node.txpool.transaction import AccountFacts
from node.txpool.validation import check_sidecar
from tests.node.txpool.fakes import ETHER, GWEI, OTHER, SENDER, FakeTransaction
from tests.node.txpool.test_pool import added, admit, head, message, new_pool, nonces

NAMES: list[bytes] = [versioned_hash(bytes([number]) * 48) for number in range(1, 9)]

BLOBS = FakeTransaction(kind=3, blob_hashes=[NAMES[0]], max_fee_per_blob_gas=GWEI)

PLAIN = FakeTransaction()


@pytest.mark.parametrize(
    ("transaction", "words"),
    [
        (replace(BLOBS, blob_hashes=[]), "blobless blob transaction"),
        (
            replace(BLOBS, blob_hashes=NAMES[:7]),
            "transaction blob limit exceeded: blob count 7, limit 6",
        ),
        (
            replace(BLOBS, max_fee_per_blob_gas=0),
            "transaction gas price below minimum: blob fee cap 0, minimum needed 1",
        ),
        (replace(BLOBS, nonce=2), "nonce too high: tx nonce 2, gapped nonce 0"),
        (
            replace(BLOBS, max_fee_per_blob_gas=ETHER),
            "insufficient funds for gas * price + value: balance 1000000000000000000000, "
            f"tx cost {21_000 * 10 * GWEI + GAS_PER_BLOB * ETHER}, "
            f"overshot {21_000 * 10 * GWEI + GAS_PER_BLOB * ETHER - 1_000 * ETHER}",
        ),
    ],
)
def test_refusals_have_geths_words(transaction: FakeTransaction, words: str) -> None:
    assert message(admit(new_pool(), transaction)) == words


def test_a_sender_has_blobs_or_none() -> None:
    """As in geth, where two pools reserve accounts."""
    pool = new_pool()
    added(pool, BLOBS)
    assert message(admit(pool, replace(PLAIN, nonce=1))) == "address already reserved"
    added(pool, replace(PLAIN, sender=OTHER))
    assert message(admit(pool, replace(BLOBS, sender=OTHER, nonce=1))) == "address already reserved"
    head(pool, nonce=1)
    added(pool, replace(PLAIN, nonce=1))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"max_fee_per_gas": 10 * GWEI},
            "new tx gas fee cap 10000000000 <= 10000000000 queued",
        ),
        (
            {"max_fee_per_gas": 19 * GWEI},
            "new tx gas fee cap 19000000000 < 10000000000 queued + 100% replacement penalty",
        ),
        (
            {"max_priority_fee_per_gas": GWEI},
            "new tx gas tip cap 1000000000 <= 1000000000 queued",
        ),
        (
            {"max_fee_per_blob_gas": 2 * GWEI - 1},
            "new tx blob gas fee cap 1999999999 < 1000000000 queued + 100% replacement penalty",
        ),
    ],
)
def test_a_replacement_pays_twice_as_much_in_every_respect(
    change: dict[str, int], words: str
) -> None:
    pool = new_pool()
    added(pool, BLOBS)
    better = replace(
        BLOBS,
        max_fee_per_gas=20 * GWEI,
        max_priority_fee_per_gas=2 * GWEI,
        max_fee_per_blob_gas=2 * GWEI,
    )
    poorer = replace(better, **change)  # type: ignore[arg-type]
    refused = message(admit(pool, poorer))
    assert refused == f"replacement transaction underpriced: {words}"
    assert [one.hash for one in added(pool, better).dropped] == [BLOBS.hash]
    assert pool.blob_count == 1


def test_one_sender_has_sixteen() -> None:
    pool = new_pool()
    for nonce in range(16):
        added(pool, replace(BLOBS, nonce=nonce))
    refused = message(admit(pool, replace(BLOBS, nonce=16)))
    assert refused == "account limit exceeded: pooled 16 txs"


def test_blobs_push_out_cheaper_blobs_only() -> None:
    """Given a pool that is full of blobs, then a better payer takes the last of the cheapest sender, and no plain one's place."""
    pool = new_pool(PoolLimits(blobs_max=4))
    added(pool, replace(PLAIN, sender=OTHER, max_priority_fee_per_gas=1))
    cheap, dear = b"\x05" * 20, b"\x06" * 20
    for nonce in range(2):
        added(pool, replace(BLOBS, sender=cheap, nonce=nonce))
    added(pool, replace(BLOBS, sender=dear, blob_hashes=NAMES[:2], max_priority_fee_per_gas=3))
    assert message(admit(pool, replace(BLOBS, max_priority_fee_per_gas=2))) == (
        "transaction underpriced"
    )
    answer = added(pool, replace(BLOBS, max_priority_fee_per_gas=2 * GWEI))
    assert [(one.sender, one.nonce) for one in answer.dropped] == [(dear, 0)]
    answer = added(pool, replace(BLOBS, nonce=1, max_priority_fee_per_gas=2 * GWEI))
    assert pool.blob_count == 4
    assert answer.dropped == ()
    answer = added(pool, replace(BLOBS, nonce=2, max_priority_fee_per_gas=2 * GWEI))
    assert [(one.sender, one.nonce) for one in answer.dropped] == [(cheap, 1)]
    assert pool.by_hash(replace(PLAIN, sender=OTHER, max_priority_fee_per_gas=1).hash) is not None


def test_what_no_block_takes_gives_way_whatever_tip_it_names() -> None:
    """Given a pool full of blobs that cannot pay what blobs cost now, then one that can takes their place, poorer tip or not."""
    pool = new_pool(PoolLimits(blobs_max=3))
    squatters = [bytes([place + 10]) * 20 for place in range(3)]
    rich = replace(BLOBS, max_fee_per_gas=90 * GWEI, max_priority_fee_per_gas=90 * GWEI)
    for place, fee in ((0, 1), (1, GWEI), (2, 1)):
        added(pool, replace(rich, sender=squatters[place], max_fee_per_blob_gas=fee))
    payer = replace(BLOBS, max_fee_per_blob_gas=50)
    assert message(admit(pool, payer)) == "transaction underpriced"
    prices = Prices(base_fee=GWEI, blob_base_fee=50)
    pool.update({}, block_gas_limit=30_000_000, now_ms=0, prices=prices)
    assert [one.sender for one in added(pool, payer).dropped] == [squatters[0]]
    # Who cannot pay more than those that stayed does not get in, and who cannot pay for gas neither.
    assert message(admit(pool, replace(rich, sender=squatters[0], max_fee_per_blob_gas=1))) == (
        "transaction underpriced"
    )
    low = replace(BLOBS, sender=OTHER, max_fee_per_gas=GWEI - 1, max_priority_fee_per_gas=1)
    assert message(admit(pool, low)) == "transaction underpriced"


def test_what_stands_behind_what_no_block_takes_is_worth_no_more() -> None:
    """Given a sender whose first cannot pay for gas, then its later ones push out nobody who can, and give way to them."""
    pool = new_pool(PoolLimits(blobs_max=3))
    prices = Prices(base_fee=GWEI)
    pool.update({}, block_gas_limit=30_000_000, now_ms=0, prices=prices)
    stuck = replace(BLOBS, max_fee_per_gas=GWEI - 1, max_priority_fee_per_gas=1)
    rich = replace(BLOBS, max_fee_per_gas=90 * GWEI, max_priority_fee_per_gas=90 * GWEI)
    honest, late = b"\x05" * 20, b"\x06" * 20
    added(pool, stuck)
    added(pool, replace(rich, nonce=1))
    added(pool, replace(BLOBS, sender=honest))
    assert message(admit(pool, replace(rich, nonce=2))) == "transaction underpriced"
    dropped = added(pool, replace(BLOBS, sender=late, max_priority_fee_per_gas=1)).dropped
    assert [(one.sender, one.nonce) for one in dropped] == [(SENDER, 1)]
    # Once the first can pay, those behind it count for what they offer.
    added(pool, replace(rich, max_fee_per_blob_gas=2 * GWEI))
    dropped = added(pool, replace(rich, nonce=1)).dropped
    assert [(one.sender, one.nonce) for one in dropped] == [(late, 0)]


def test_what_stands_behind_a_cheap_one_is_worth_no_more() -> None:
    """As in geth: the least of each price, over the sender's transactions up to this one."""
    pool = new_pool(PoolLimits(blobs_max=3))
    cheap = replace(BLOBS, max_priority_fee_per_gas=1)
    rich = replace(BLOBS, max_priority_fee_per_gas=5 * GWEI)
    honest, late = b"\x05" * 20, b"\x06" * 20
    for nonce, one in enumerate((cheap, rich)):
        added(pool, replace(one, nonce=nonce))
    added(pool, replace(BLOBS, sender=honest, max_priority_fee_per_gas=2))
    assert message(admit(pool, replace(rich, nonce=2))) == "transaction underpriced"
    dropped = added(pool, replace(BLOBS, sender=late, max_priority_fee_per_gas=2)).dropped
    assert [(one.sender, one.nonce) for one in dropped] == [(SENDER, 1)]


def test_blobs_behind_a_gap_give_way_to_those_that_could_run() -> None:
    pool = new_pool(PoolLimits(blobs_max=3))
    rich = replace(BLOBS, max_priority_fee_per_gas=5 * GWEI)
    for nonce in range(3):
        added(pool, replace(rich, nonce=nonce))
    pool.drop(rich.hash)
    added(pool, replace(BLOBS, sender=OTHER))
    answer = added(pool, replace(BLOBS, sender=b"\x09" * 20, max_fee_per_blob_gas=2 * GWEI))
    assert [(one.sender, one.nonce) for one in answer.dropped] == [(SENDER, 2)]


def test_what_is_here_is_needed() -> None:
    pool = new_pool()
    added(pool, replace(BLOBS, blob_hashes=NAMES[:2]))
    added(pool, replace(BLOBS, sender=OTHER))
    assert pool.needs_blob(Hash32(NAMES[0]))
    assert pool.needs_blob(Hash32(NAMES[1]))
    pool.drop(replace(BLOBS, blob_hashes=NAMES[:2]).hash)
    assert pool.needs_blob(Hash32(NAMES[0]))
    assert not pool.needs_blob(Hash32(NAMES[1]))


def test_a_dry_run_changes_nothing() -> None:
    pool = new_pool()
    rich = AccountFacts(nonce=0, balance=ETHER, has_code=False)
    assert pool.refusal(BLOBS, rich) is None
    assert (len(pool), pool.blob_count) == (0, 0)
    assert pool.refusal(replace(BLOBS, nonce=1), rich) is not None


def test_a_reorganisation_keeps_later_ones_until_the_first_is_back() -> None:
    pool = new_pool()
    for nonce in range(3):
        added(pool, replace(BLOBS, nonce=nonce))
    head(pool, nonce=1)
    head(pool, nonce=0)
    assert nonces(pool) == ([], [1, 2])
    added(pool, BLOBS)
    assert nonces(pool) == ([0, 1, 2], [])


@given(
    room=st.integers(0, 21),
    price=st.integers(0, 3),
    offers=st.lists(st.tuples(st.integers(1, 6), st.integers(1, 3)), max_size=8),
)
def test_a_builder_is_offered_what_fits_and_pays(
    room: int, price: int, offers: list[tuple[int, int]]
) -> None:
    """Given senders with one blob transaction each, then no offer exceeds the room or pays less than the price."""
    pool = new_pool()
    for place, (count, fee) in enumerate(offers):
        added(
            pool,
            replace(
                BLOBS,
                sender=bytes([place + 10]) * 20,
                blob_hashes=NAMES[:count],
                max_fee_per_blob_gas=fee,
            ),
        )
    selection = pool.select(0, price)
    taken = selection.take(gas=10**9, size=10**9, count=100, blobs=room)
    assert sum(len(one.blob_hashes) for one in taken) <= room
    assert all(one.max_fee_per_blob_gas >= price for one in taken)
    waiting = [count for count, fee in offers if fee >= price]
    if sum(waiting) <= room:
        assert len(taken) == len(waiting)
    assert pool.select(0, price).take(gas=10**9, size=10**9, count=9) == []


def test_blobs_without_room_do_not_hide_what_carries_none() -> None:
    """Given more senders of blobs than a call looks past, all of them better payers, then a plain transaction is still offered."""
    pool = new_pool()
    for place in range(ASIDE_MAX + 30):
        added(
            pool,
            replace(BLOBS, sender=place.to_bytes(20), max_priority_fee_per_gas=5 * GWEI),
        )
    added(pool, replace(PLAIN, sender=OTHER))
    selection = pool.select(0, 1)
    first = selection.take(gas=10**9, size=10**9, count=21, blobs=21)
    assert [len(one.blob_hashes) for one in first] == [1] * 21
    then = selection.take(gas=10**9, size=10**9, count=100, blobs=0)
    assert [one.sender for one in then] == [OTHER]
    assert len(selection.take(gas=10**9, size=10**9, count=500, blobs=480)) == ASIDE_MAX + 9


def form(
    blobs: int = 1, commitments: int = 1, proofs: int = CELLS, version: int = 1
) -> NetworkForm:
    """A form of these numbers of parts, the first commitment NAMES[0]'s."""
    return NetworkForm(
        raw=b"",
        version=version,
        blobs=(b"",) * blobs,
        commitments=tuple(bytes([number + 1]) * 48 for number in range(commitments)),
        proofs=(b"",) * proofs,
    )


@pytest.mark.parametrize(
    ("given_form", "words"),
    [
        (form(version=0), "Wrong sidecar format: unexpected sidecar version, want: 1, got: 0"),
        (form(blobs=2), "invalid number of 2 blobs compared to 1 commitments"),
        (form(commitments=2), "invalid number of 2 blob commitments compared to 1 blob hashes"),
        (form(proofs=1), "Wrong sidecar format: invalid number of 1 blob proofs expected 128"),
    ],
)
def test_numbers_that_do_not_fit_have_geths_words(given_form: NetworkForm, words: str) -> None:
    refused = check_sidecar(BLOBS, given_form, 1)
    assert refused is not None
    assert refused.message == words


def test_a_commitment_is_the_one_named() -> None:
    refused = check_sidecar(replace(BLOBS, blob_hashes=[NAMES[1]]), form(), 1)
    assert refused is not None
    assert refused.message == (
        f"blob 0: computed hash 0x{NAMES[0].hex()} mismatches transaction one 0x{NAMES[1].hex()}"
    )
    assert check_sidecar(BLOBS, form(), 1) is None
    assert isinstance(admit(new_pool(), replace(BLOBS, sender=SENDER)), Added)
