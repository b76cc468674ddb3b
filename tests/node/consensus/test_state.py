"""A state has one encoding, one root, and branches that prove its fields."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields, replace

import pytest
from hypothesis import given, strategies as st

from node.consensus.merkle import root_of_branch
from node.consensus.state import (
    FIELD_ORDER,
    ConsensusState,
    PendingDeposit,
    PendingExit,
    StateField,
    decode_sets,
    decode_state,
    encode_sets,
)
from node.errors import Rejected
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Gwei, Hash32, Slot, ValidatorIndex
from tests.node.consensus.network import Chain, network


def busy_state() -> ConsensusState:
    """A state in which no field is empty."""
    grown = Chain(network=network(4))
    grown.run(4, 9)
    deposit = PendingDeposit(
        public_key=b"\x01" * 32,
        withdrawal_address=Address(b"\x02" * 20),
        amount_gwei=Gwei(32 * 10**9),
        commitment=Hash32(b"\x03" * 32),
        slot=Slot(9),
    )
    return replace(
        grown.state(),
        deposits=(deposit,),
        exits=(PendingExit(validator_index=ValidatorIndex(1), slot=Slot(8)),),
        stall=3,
        active=0b101,
        next_withdrawal_index=4,
    )


STATE = busy_state()


def test_the_tree_has_the_fields_of_the_state_in_order() -> None:
    assert [entry.name for entry in fields(ConsensusState) if entry.init] == list(FIELD_ORDER)


def test_a_state_round_trips() -> None:
    assert decode_state(STATE.encode()) == STATE
    assert decode_state(STATE.encode()).root() == STATE.root()


@pytest.mark.parametrize("name", FIELD_ORDER)
def test_every_field_moves_the_root_and_is_proven_by_its_branch(name: StateField) -> None:
    place = FIELD_ORDER.index(name)
    leaf = STATE.field_roots()[place]
    assert root_of_branch(leaf, place, STATE.branch(name)) == STATE.root()
    genesis = network(5).genesis_state
    other = replace(STATE, **{name: getattr(genesis, name)})
    assert other.field_roots()[place] != leaf
    assert other.root() != STATE.root()


def test_the_leaf_of_sets_is_the_hash_of_their_encoding() -> None:
    leaf = keccak256(encode_sets(STATE.sets))
    assert leaf == STATE.field_roots()[FIELD_ORDER.index(StateField.SETS)]
    assert decode_sets(encode_sets(STATE.sets)) == STATE.sets


@given(st.data())
def test_damaged_states_are_read_or_refused(data: st.DataObject) -> None:
    encoded = bytearray(STATE.encode())
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] = data.draw(st.integers(0, 255))
    with suppress(Rejected):
        assert decode_state(bytes(encoded)).encode() == bytes(encoded)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_a_rejection(data: bytes) -> None:
    for read in (decode_state, decode_sets):
        with suppress(Rejected):
            read(data)
