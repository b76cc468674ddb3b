"""STEP over states that never were: whoever calls it may invent a parent, a state root and every node below it.

A root or a refusal may come out, the same for everybody; an exception would stop L1, and work that nobody pays would slow it.
"""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from typing import Final

import pytest
from hypothesis import given, settings, strategies as st

from node.errors import Rejected
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.headers import decode_header
from node.rollup.step import StepInput
from tests.kit.execution_chain import KEEPER, SENDER, address_of, word
from tests.kit.rollup import portal_log
from tests.kit.rollup_chain import FAUCET, HISTORIAN, L1_BLOCK, sign_l2
from tests.kit.step_world import Stepped, StepWorld, forged, replant
from tests.kit.witness_world import BEACON_ROOTS, HISTORY, LOOPER_CODE

EXTREMES: Final = (b"", b"\x01", b"\xff" * 8, b"\xff" * 31, b"\xff" * 32, b"\x80" + bytes(31))
"""Numbers of accounts and slots."""

DELEGATION: Final = b"\xef\x01\x00"
"""EIP-7702."""

CODES: Final = (
    DELEGATION + address_of(SENDER),
    DELEGATION + KEEPER,
    DELEGATION,
    b"\xef\x01\x01" + KEEPER,
    b"\xef\x00",
    b"\xef\x00\x01",
    b"\x5b" * 100_000,
    b"\x60" * 24_577,
    b"\xfe",
    bytes.fromhex("5b5f56"),
    bytes.fromhex("5f35ff"),
    bytes.fromhex("5f5f5f5f5f335af1"),
)
"""Codes that accounts are given: no delegations, too long ones, endless ones."""


@cache
def world() -> StepWorld:
    found = StepWorld.open()
    found.commit(found.make(transactions(0)))
    return found


@cache
def stepped() -> Stepped:
    """A block of deposits and of transactions that store, move and look back."""
    logs = [
        portal_log(1, sender=FAUCET, to=KEEPER, mint=10**18, data=word(1) + word(9), gas=200_000),
        portal_log(4, sender=b"\x31" * 20, to=address_of(SENDER), mint=3, value=1),
        portal_log(5, sender=b"\x32" * 20, to=b"\x33" * 20, is_creation=True, data=b"\x5f5ff3"),
    ]
    found = world().make(transactions(3), logs=logs)
    assert found.derived.is_full
    assert world().ask(found.given.encode()) == found.output_root
    return found


def transactions(nonce: int) -> list[bytes]:
    return [
        sign_l2(nonce=nonce, to=KEEPER, data=word(3) + word(nonce + 5), gas=100_000),
        sign_l2(nonce=nonce + 1, value=5),
        sign_l2(nonce=nonce + 2, to=HISTORIAN, data=word(598), gas=100_000),
    ]


def answer(given: StepInput) -> bytes | None:
    """What STEP says; None for a refusal. Anything else is raised."""
    try:
        return world().ask(given.encode())
    except Rejected:
        return None


def invent(dice: random.Random, changes: int) -> StepInput:
    """The input on a state in which nodes are others, with every name above them."""
    found = stepped().given
    parent = decode_header(found.parent_header)
    nodes, root = found.nodes, parent.state_root
    for _ in range(changes):
        old = dice.choice(nodes)
        new = other_node(dice, old, found.nodes)
        if new not in (old, b""):
            nodes, root = replant(nodes, root, old, new)
    header = replace(parent, state_root=root)
    return forged(found, header, nodes=nodes, codes=(*found.codes, *CODES))


def other_node(dice: random.Random, node: bytes, nodes: tuple[bytes, ...]) -> bytes:
    """Any bytes, or a well-made node of another meaning."""
    flat = bytearray(node)
    match dice.randrange(7):
        case 0:
            flat[dice.randrange(len(flat))] ^= 1 << dice.randrange(8)
        case 1:
            del flat[dice.randrange(len(flat)) :]
        case 2:
            flat += dice.randbytes(dice.randrange(1, 40))
        case 3:
            return dice.choice(nodes)
        case _:
            return meaningful(dice, node)
    return bytes(flat)


def meaningful(dice: random.Random, node: bytes) -> bytes:
    """The node with another account, slot or child."""
    try:
        items = rlp.as_list(rlp.decode(node))
    except Rejected:
        return b""  # It was changed before, and is no node any more.
    if len(items) == 17:
        one: rlp.Item = items[dice.randrange(17)]
        inner: rlp.Item = [b"\x20ab", b"\x01"]
        items[dice.randrange(17)] = dice.choice((b"", keccak256(b"absent"), b"\x01", one, inner))
        return rlp.encode(items)
    if len(items) != 2:
        return b""
    try:
        account = rlp.as_list(rlp.decode(rlp.as_bytes(items[1])), 4)
    except Rejected:
        items[1] = rlp.encode(dice.choice(EXTREMES))
        return rlp.encode(items)
    account[dice.randrange(2)] = dice.choice(EXTREMES)
    if dice.random() < 0.5:
        account[3] = keccak256(dice.choice(CODES))
    if dice.random() < 0.2:
        account[2] = keccak256(dice.choice((b"absent", b"\x80")))
    items[1] = rlp.encode(account)
    return rlp.encode(items)


@given(seed=st.integers(0, 1 << 32), changes=st.integers(1, 4))
@settings(max_examples=500)
def test_an_invented_state_is_answered_or_refused(seed: int, changes: int) -> None:
    """Given nodes replaced and named up to the root, when stepped twice, then both answer the same and nothing else happens."""
    found = invent(random.Random(seed), changes)
    assert answer(found) == answer(found)


@given(garbage=st.lists(st.binary(max_size=200), max_size=12))
def test_garbage_as_a_state_is_refused(garbage: list[bytes]) -> None:
    """Given arbitrary bytes named as the state's root, when stepped, then it is refused."""
    found = stepped().given
    parent = decode_header(found.parent_header)
    for node in garbage:
        header = replace(parent, state_root=keccak256(node))
        assert answer(forged(found, header, nodes=tuple(garbage))) is None


def test_a_chain_of_nodes_without_end_is_refused() -> None:
    """Given extension nodes one under the other by the thousand, when stepped, then it is refused before the stack is gone."""
    found = stepped().given
    parent = decode_header(found.parent_header)
    nodes, name = [], keccak256(b"bottom")
    for _ in range(6_000):
        nodes.append(rlp.encode([b"\x11", name]))
        name = keccak256(nodes[-1])
    assert answer(forged(found, replace(parent, state_root=name), nodes=tuple(nodes))) is None


# -- what nobody pays for


def with_code(address: bytes, code: bytes) -> StepInput:
    """The input on a state in which an account has this code."""
    found = stepped().given
    parent = decode_header(found.parent_header)
    engine = world().chain.engine
    leaf = engine.proof(parent.state_root, address, []).nodes[-1]
    items = rlp.as_list(rlp.decode(leaf))
    account = rlp.as_list(rlp.decode(rlp.as_bytes(items[1])), 4)
    account[3] = keccak256(code)
    items[1] = rlp.encode(account)
    nodes, root = replant(found.nodes, parent.state_root, leaf, rlp.encode(items))
    header = replace(parent, state_root=root)
    return forged(found, header, nodes=nodes, codes=(*found.codes, code))


@pytest.mark.parametrize("address", [HISTORY, BEACON_ROOTS])
def test_system_contracts_are_what_they_were_at_genesis(address: str) -> None:
    """Given a state whose system contract spends all it is given, when stepped, then it is refused without being run.

    Every block calls it with 30M gas that nobody pays: eight such STEPs would hold a block of L1 up for a quarter of a minute.
    """
    contract = bytes.fromhex(address[2:])
    assert answer(with_code(contract, b"\x5b\x5f\x56")) is None
    assert answer(with_code(contract, LOOPER_CODE)) is None


def test_a_contract_that_pays_for_itself_may_be_any() -> None:
    """Given a state whose L1Block is another contract, when stepped, then it is executed for its deposit's gas."""
    found = answer(with_code(L1_BLOCK, b"\x5b\x5f\x56"))
    assert found not in (None, stepped().output_root)
