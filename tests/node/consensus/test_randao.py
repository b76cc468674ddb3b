"""Onions never run out, and proposers are drawn from what was fixed before."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from node.consensus import randao
from node.consensus.parameters import Parameters
from node.consensus.reasons import Reason
from node.consensus.state import Validator
from node.errors import Rejected
from node.eth.hashing import keccak256
from node.eth.primitives import ZERO_HASH, Address, Gwei, Hash32, Slot
from tests.node.consensus.network import network

PARAMETERS = Parameters()
SEED = b"\x05" * 32


def fresh_validator() -> Validator:
    return Validator(
        public_key=bytes(32),
        withdrawal_address=Address(bytes(20)),
        balance_gwei=Gwei(0),
        commitment=randao.onion_tip(SEED, 0, 32),
        next_commitment=ZERO_HASH,
    )


def test_layers_peel_to_the_next_one() -> None:
    for reveals in range(31):
        layer = randao.onion_layer(SEED, reveals, 32)
        assert keccak256(randao.onion_layer(SEED, reveals + 1, 32)) == layer
    assert randao.onion_layer(SEED, 31, 32) == keccak256(SEED + (0).to_bytes(8))
    assert randao.onion_layer(SEED, 63, 32) == keccak256(SEED + (1).to_bytes(8))


def test_a_hundred_onions_open_without_end() -> None:
    validator = fresh_validator()
    for reveals in range(3_200):
        assert validator.reveals == reveals
        reveal, renewal = randao.reveal_and_renewal(SEED, reveals, 32)
        validator = randao.open_layer(PARAMETERS, validator, reveal, renewal)


def test_only_the_renewal_half_an_onion_ahead_counts() -> None:
    validator = fresh_validator()
    for reveals in range(32):
        reveal, tip = randao.reveal_and_renewal(SEED, reveals, 32)
        renewal = tip if reveals == 15 else Hash32(b"\xbb" * 32)
        validator = randao.open_layer(PARAMETERS, validator, reveal, renewal)
    assert validator.commitment == randao.onion_tip(SEED, 1, 32)


def test_the_same_layer_does_not_open_twice() -> None:
    reveal, renewal = randao.reveal_and_renewal(SEED, 0, 32)
    opened = randao.open_layer(PARAMETERS, fresh_validator(), reveal, renewal)
    with pytest.raises(Rejected) as refusal:
        randao.open_layer(PARAMETERS, opened, reveal, renewal)
    assert refusal.value.reason is Reason.REVEAL
    assert refusal.value.message == "the reveal does not hash to the proposer's commitment"


def test_mixes_are_kept_as_long_as_they_draw() -> None:
    mixes = tuple((Slot(slot), Hash32(bytes((slot,)) * 32)) for slot in (0, 2, 5, 6, 9))
    assert randao.keep_mixes(PARAMETERS, mixes, Slot(9)) == mixes[3:]
    assert randao.keep_mixes(PARAMETERS, mixes, Slot(8)) == mixes[2:]
    assert randao.keep_mixes(PARAMETERS, mixes, Slot(2)) == mixes
    assert randao.keep_mixes(PARAMETERS, mixes, Slot(100)) == mixes[4:]


def test_the_draw_looks_back_four_slots() -> None:
    net = network(16)
    late = (Slot(50), Hash32(b"\x09" * 32))
    before, after = (
        net.genesis_state,
        replace(net.genesis_state, recent_mixes=(*net.genesis_state.recent_mixes, late)),
    )
    for slot in range(40, 54):
        drawn = randao.proposer_index(net.rules, before, Slot(slot))
        assert randao.proposer_index(net.rules, after, Slot(slot)) == drawn
    draws = [
        [randao.proposer_index(net.rules, state, Slot(slot)) for slot in range(54, 64)]
        for state in (before, after)
    ]
    assert draws[0] != draws[1]


def test_the_draw_is_fair_and_by_the_written_rule() -> None:
    net = network(4)
    draws = [randao.proposer_index(net.rules, net.genesis_state, Slot(s)) for s in range(4_000)]
    assert all(900 < count < 1_100 for count in Counter(draws).values())
    word = keccak256(b"prop" + net.genesis_hash + (7).to_bytes(8))
    assert draws[7] == int.from_bytes(word) % 4


def test_if_everybody_is_slashed_somebody_still_proposes() -> None:
    net = network(2)
    slashed = tuple(replace(entry, slashed=True) for entry in net.genesis_state.validators)
    state = replace(net.genesis_state, validators=slashed)
    assert {randao.proposer_index(net.rules, state, Slot(slot)) for slot in range(50)} == {0, 1}
