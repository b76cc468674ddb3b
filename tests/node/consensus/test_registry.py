"""Deposits, exits and withdrawals: what the contracts ask, what consensus takes in, what it pays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from node.consensus import registry
from node.consensus.limits import MAX_PENDING_DEPOSITS
from node.consensus.state import ConsensusState
from node.errors import Rejected
from node.eth.primitives import Address, Epoch, Gwei, Slot
from node.eth.reasons import EncodingReason
from node.eth.requests import DepositRecord, ExitRecord
from tests.node.consensus.network import (
    Keys,
    deposit_request,
    exit_of,
    exit_request,
    network,
)

NETWORK = network(4, real=True)
JOINER = Keys(name="joiner")
DEPOSIT = NETWORK.deposit(JOINER)
SLOT = Slot(12)


def apply(*requests: bytes, state: ConsensusState | None = None) -> ConsensusState:
    return registry.apply_requests(
        NETWORK.rules, state or NETWORK.genesis_state, SLOT, requests, NETWORK.verify
    )


def test_a_proven_deposit_waits_for_finality() -> None:
    (pending,) = apply(deposit_request([DEPOSIT])).deposits
    assert pending.public_key == JOINER.public_key
    assert pending.withdrawal_address == JOINER.withdrawal_address
    assert pending.commitment == JOINER.commitment(32)
    assert (pending.amount_gwei, pending.slot) == (32 * 10**9, SLOT)


DAMAGE: list[tuple[str, Callable[[DepositRecord], DepositRecord]]] = [
    ("padding", lambda d: replace(d, public_key=d.public_key[:47] + b"\x01")),
    ("key", lambda d: replace(d, public_key=b"\x01" * 32 + bytes(16))),
    ("signature", lambda d: replace(d, signature=bytes(64) + d.signature[64:])),
    ("commitment", lambda d: replace(d, signature=d.signature[:64] + bytes(32))),
    ("address", lambda d: replace(d, withdrawal_credentials=b"\x01" + bytes(31))),
    ("BLS credentials", lambda d: replace(d, withdrawal_credentials=bytes(32))),
    ("too little", lambda d: replace(d, amount_gwei=Gwei(32 * 10**9 - 1))),
]


@pytest.mark.parametrize(("what", "damage"), DAMAGE, ids=[what for what, _ in DAMAGE])
def test_a_deposit_that_proves_nothing_is_not_taken_in(
    what: str, damage: Callable[[DepositRecord], DepositRecord]
) -> None:
    assert apply(deposit_request([damage(DEPOSIT)])) == NETWORK.genesis_state


def test_more_for_a_known_key_is_kept_for_it_without_weight() -> None:
    known = NETWORK.keys_of(NETWORK.genesis_state, 1)
    after = apply(deposit_request([NETWORK.deposit(known, 10**9), DEPOSIT, DEPOSIT]))
    assert after.validators[1].balance_gwei == 33 * 10**9
    assert after.sets == NETWORK.genesis_state.sets
    assert [entry.amount_gwei for entry in after.deposits] == [64 * 10**9]


def test_the_queue_of_deposits_is_bounded() -> None:
    (pending,) = apply(deposit_request([DEPOSIT])).deposits
    many = tuple(
        replace(pending, public_key=number.to_bytes(32)) for number in range(MAX_PENDING_DEPOSITS)
    )
    full = replace(NETWORK.genesis_state, deposits=many)
    assert apply(deposit_request([DEPOSIT]), state=full) == full
    almost = replace(NETWORK.genesis_state, deposits=many[:-1])
    assert len(apply(deposit_request([DEPOSIT]), state=almost).deposits) == MAX_PENDING_DEPOSITS


LEAVER = NETWORK.keys_of(NETWORK.genesis_state, 2)


def test_a_validators_own_address_lets_it_leave_once() -> None:
    once = apply(exit_request([exit_of(LEAVER), exit_of(LEAVER)]))
    assert [(entry.validator_index, entry.slot) for entry in once.exits] == [(2, SLOT)]
    assert apply(exit_request([exit_of(LEAVER)]), state=once) == once


@pytest.mark.parametrize(
    "record",
    [
        exit_of(LEAVER, amount_gwei=1),
        replace(exit_of(LEAVER), source_address=Address(bytes(20))),
        replace(exit_of(LEAVER), public_key=LEAVER.public_key + b"\x01" * 16),
        exit_of(JOINER),
    ],
    ids=["partial", "somebody else", "another key", "unknown key"],
)
def test_other_exits_are_ignored(record: ExitRecord) -> None:
    assert apply(exit_request([record])) == NETWORK.genesis_state


def test_who_has_left_cannot_leave_again() -> None:
    validators = list(NETWORK.genesis_state.validators)
    validators[2] = replace(validators[2], exit_epoch=Epoch(3))
    gone = replace(NETWORK.genesis_state, validators=tuple(validators))
    assert apply(exit_request([exit_of(LEAVER)]), state=gone) == gone


def test_requests_of_other_types_are_ignored() -> None:
    assert apply(b"\x02" + bytes(116), b"\x7e\x01\x02") == NETWORK.genesis_state


@pytest.mark.parametrize(
    ("requests", "reason"),
    [
        ((b"\x00" + bytes(191),), EncodingReason.WRONG_LENGTH),
        ((b"\x01" + bytes(77),), EncodingReason.WRONG_LENGTH),
        ((b"\x01" + bytes(76), b"\x00" + bytes(192)), EncodingReason.REQUEST_ORDER),
    ],
)
def test_malformed_requests_are_refused(
    requests: tuple[bytes, ...], reason: EncodingReason
) -> None:
    with pytest.raises(Rejected) as refusal:
        apply(*requests)
    assert refusal.value.reason is reason


def unbonded(count: int, epoch: int = 5) -> ConsensusState:
    net = network(count)
    validators = tuple(
        replace(entry, withdrawable_epoch=Epoch(epoch)) for entry in net.genesis_state.validators
    )
    return replace(net.genesis_state, validators=validators, next_withdrawal_index=7)


@pytest.mark.parametrize(("slot", "paid"), [(9, 0), (10, 3), (11, 3)])
def test_balances_are_swept_from_the_withdrawable_epoch_on(slot: int, paid: int) -> None:
    state = replace(unbonded(3), slot=Slot(slot))
    assert len(registry.expected_withdrawals(NETWORK.rules, state)) == paid


def test_a_block_pays_sixteen_at_most_and_the_next_goes_on() -> None:
    state = replace(unbonded(20), slot=Slot(10))
    first = registry.expected_withdrawals(NETWORK.rules, state)
    assert [entry.index for entry in first] == list(range(7, 23))
    assert [entry.validator_index for entry in first] == list(range(16))
    assert {entry.amount_gwei for entry in first} == {32 * 10**9}
    after = registry.apply_withdrawals(state, first)
    second = registry.expected_withdrawals(NETWORK.rules, after)
    assert [(entry.index, entry.validator_index) for entry in second] == [
        (23 + place, 16 + place) for place in range(4)
    ]
    done = registry.apply_withdrawals(after, second)
    assert registry.expected_withdrawals(NETWORK.rules, done) == ()
    assert done.next_withdrawal_index == 27
