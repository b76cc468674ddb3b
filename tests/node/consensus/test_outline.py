"""Outlines say what the whole state says, and whole states stay within their bound."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from node.consensus.outline import WholeStates, decode_outline, outline_of
from node.consensus.state import ConsensusState
from node.errors import Rejected
from node.eth.primitives import Hash32
from tests.node.consensus.network import network
from tests.node.consensus.test_fork_choice import grown

STATE = network(4).genesis_state


def name(number: int) -> Hash32:
    return Hash32(number.to_bytes(32))


def test_an_outline_read_from_bytes_is_that_of_the_whole_state() -> None:
    state = grown().state()
    assert state.tallies, "the state must hold more than an outline shows"
    assert decode_outline(state.encode()) == outline_of(state)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_state_are_rejected(data: bytes) -> None:
    with pytest.raises(Rejected):
        decode_outline(data)


def test_what_was_used_last_stays_and_the_rest_is_recalled() -> None:
    asked: list[Hash32] = []

    def recall(block_hash: Hash32) -> ConsensusState:
        asked.append(block_hash)
        return STATE

    states = WholeStates(recall, capacity=3)
    for number in range(3):
        states.put(name(number), STATE)
    states.get(name(0))
    states.put(name(3), STATE)
    assert (len(states), asked) == (3, [])
    states.get(name(1))
    assert (len(states), asked) == (3, [name(1)])
    states.forget([name(0), name(1), name(9)])
    assert len(states) == 1


def test_without_recall_nothing_is_let_go() -> None:
    states = WholeStates(capacity=1)
    for number in range(4):
        states.put(name(number), STATE)
    assert len(states) == 4
    with pytest.raises(KeyError):
        states.get(name(4))
