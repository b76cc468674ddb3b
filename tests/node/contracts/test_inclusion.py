"""Storage proofs before the Portal: exactly the true ones count, however well the hashes of others fit.

Encodings and shapes of nodes: `test_inclusion_encodings`. Tries and judge: `inclusion`.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from node.contracts import addresses
from node.contracts.withdrawals import MAX_NODE_BYTES, MAX_PROOF_NODES
from node.eth import rlp
from node.eth.hashing import keccak256
from node.rollup.outputs import message_nonce, sent_messages_slot, withdrawal_hash
from tests.kit.contract_world import Reverted
from tests.kit.execution_chain import DEPOSITOR
from tests.kit.tries import HASHED_MIN, Trie, proves, sealed, taken_apart
from tests.kit.withdrawal_world import WithdrawalWorld, transaction, words
from tests.node.contracts.inclusion import (
    ALONE,
    DEEPEST,
    JUDGE,
    KEY,
    MESSAGE,
    ONE,
    REFUSED,
    SLOT,
    TRIES,
    WIDE,
    WITHDRAWAL,
    beside,
)


@pytest.mark.parametrize("name", TRIES)
def test_a_true_proof_counts(name: str) -> None:
    trie = TRIES[name]
    nodes = trie.proof(KEY)
    assert proves(trie.root, KEY, nodes)
    assert JUDGE.refusal(trie.root, nodes) is None


def test_the_longest_proof_is_one_that_a_trie_has() -> None:
    assert len(DEEPEST.proof(KEY)) == MAX_PROOF_NODES
    assert max(map(len, WIDE.proof(KEY))) == MAX_NODE_BYTES


@pytest.mark.parametrize("name", TRIES)
def test_a_part_of_a_proof_or_more_than_it_does_not_count(name: str) -> None:
    """Given no nodes, one missing, one twice, two swapped, one more: each time the same refusal."""
    trie = TRIES[name]
    nodes = trie.proof(KEY)
    others: list[list[bytes]] = [[]]
    for at in range(len(nodes)):
        others.append(nodes[:at] + nodes[at + 1 :])
        if len(nodes) < MAX_PROOF_NODES:
            others.append([*nodes[:at], nodes[at], *nodes[at:]])
    if len(nodes) < MAX_PROOF_NODES:
        others += [[*nodes, b""], [*nodes, ONE], [*nodes, b"\xc0"], [b"", *nodes]]
    others += [
        [*nodes[:at], nodes[at + 1], nodes[at], *nodes[at + 2 :]] for at in range(len(nodes) - 1)
    ]
    for other in others:
        assert JUDGE.refusal(trie.root, other) == REFUSED


@pytest.mark.parametrize("root", [bytes(32), keccak256(b"\x80"), keccak256(b""), b"\xff" * 32])
def test_a_root_that_is_no_trie_s_proves_nothing(root: bytes) -> None:
    """Given zero, the empty trie's root or the empty hash, then neither nothing nor what hashes to it counts."""
    for nodes in ([], [b""], [b"\x80"], ALONE.proof(KEY)):
        assert JUDGE.refusal(root, nodes) == REFUSED


def test_an_absent_key_is_not_included() -> None:
    """Given proofs that a key is absent (no child, another leaf, another path), then none of them counts."""
    for others in ([beside(0)], [beside(0), beside(0, 1)], [beside(3), beside(3, 1)], [beside(63)]):
        trie = Trie(dict.fromkeys(others, ONE))
        nodes = trie.proof(KEY)
        assert nodes
        assert JUDGE.refusal(trie.root, nodes) == REFUSED
        assert JUDGE.refusal(trie.root, trie.proof(others[0])) == REFUSED


def test_the_slot_is_that_of_sent_messages() -> None:
    """Given the hash under another mapping's slot, as a key that is not hashed, or the hash itself: refused."""
    name = withdrawal_hash(WITHDRAWAL)
    slots = [keccak256(name + (1).to_bytes(32)), name, keccak256(bytes(32) + name)]
    for key in [bytes(keccak256(slot)) for slot in slots] + [bytes(SLOT)]:
        trie = Trie({key: ONE, beside(0): ONE})
        assert JUDGE.refusal(trie.root, trie.proof(key)) == REFUSED


@pytest.mark.parametrize(
    "value",
    [
        b"\x02",
        b"\x00",
        b"\x80",
        b"\x81\x01",
        b"\x82\x00\x01",
        b"\xa0" + bytes(31) + ONE,
        b"\xc1\x01",
        b"\x81\x80",
    ],
    ids=bytes.hex,
)
@pytest.mark.parametrize("name", TRIES)
def test_the_value_is_one_in_one_encoding(name: str, value: bytes) -> None:
    """Given 2, 0, nothing, or one in a longer form, then the leaf does not count."""
    parts = taken_apart(TRIES[name].proof(KEY))
    assert parts[-1].before.endswith(ONE)
    parts[-1].before = parts[-1].before[:-1] + value
    assert JUDGE.refusal(*sealed(parts)) == REFUSED


# -- any trie, any change


@st.composite
def tries(draw: st.DrawFn) -> Trie:
    """Tries around the message's key, of any depth, with values of any length."""
    values = st.binary(min_size=1, max_size=32).map(rlp.encode)
    near = st.builds(beside, st.integers(0, 63), st.integers(0, 14))
    keys = draw(st.lists(st.one_of(near, near, st.binary(min_size=32, max_size=32)), max_size=12))
    entries = {key: draw(st.one_of(st.just(ONE), values)) for key in keys if key != KEY}
    return Trie({**entries, KEY: ONE})


@given(tries())
@settings(max_examples=60, deadline=None)
def test_the_proof_of_any_trie_counts_and_no_other_key_s(trie: Trie) -> None:
    nodes = trie.proof(KEY)
    assert proves(trie.root, KEY, nodes)
    assert JUDGE.refusal(trie.root, nodes) is None
    for other in list(trie.entries)[:3]:
        if trie.proof(other) != nodes:
            assert JUDGE.refusal(trie.root, trie.proof(other)) == REFUSED
    without = Trie({key: value for key, value in trie.entries.items() if key != KEY})
    if without.entries:
        assert JUDGE.refusal(without.root, without.proof(KEY)) == REFUSED
        assert JUDGE.refusal(without.root, nodes) == REFUSED


@given(tries(), st.data())
@settings(max_examples=60, deadline=None)
def test_a_changed_byte_makes_a_proof_of_nothing(trie: Trie, data: st.DataObject) -> None:
    """Given one byte of a node changed, added or taken away, under the same root, then it is refused."""
    nodes = trie.proof(KEY)
    at = data.draw(st.integers(0, len(nodes) - 1))
    place = data.draw(st.integers(0, len(nodes[at]) - 1))
    byte = data.draw(st.integers(1, 255))
    node = nodes[at]
    for changed in (
        node[:place] + bytes([node[place] ^ byte]) + node[place + 1 :],
        node[:place] + node[place + 1 :],
        node[:place] + bytes([byte]) + node[place:],
    ):
        if len(changed) <= MAX_NODE_BYTES and changed != node:
            assert JUDGE.refusal(trie.root, [*nodes[:at], changed, *nodes[at + 1 :]]) == REFUSED


@given(tries(), st.data())
@settings(max_examples=150, deadline=None)
def test_a_change_whose_hashes_fit_counts_only_where_the_rule_says_so(
    trie: Trie, data: st.DataObject
) -> None:
    """Given a node changed anywhere and everything above it sealed anew, then Portal and rule agree."""
    parts = taken_apart(trie.proof(KEY))
    at = data.draw(st.integers(0, len(parts) - 1))
    part = parts[at]
    text = part.before if data.draw(st.booleans()) or not part.after else part.after
    place = data.draw(st.integers(0, max(len(text) - 1, 0)))
    kind = data.draw(st.sampled_from(["flip", "drop", "insert", "double"]))
    byte = data.draw(
        st.sampled_from([0, 1, 2, 0x20, 0x7F, 0x80, 0x81, 0xA0, 0xB8, 0xC0, 0xC1, 0xF8])
    )
    changed = {
        "flip": text[:place] + bytes([byte]) + text[place + 1 :],
        "drop": text[:place] + text[place + 1 :],
        "insert": text[:place] + bytes([byte]) + text[place:],
        "double": text[:place] + text[place : place + 1] * 2 + text[place + 1 :],
    }[kind]
    parts[at] = (
        replace(part, before=changed) if text is part.before else replace(part, after=changed)
    )
    root, nodes = sealed(parts)
    if max(map(len, nodes)) > MAX_NODE_BYTES:
        return
    expected = None if proves(root, KEY, nodes) else REFUSED
    assert JUDGE.refusal(root, nodes) == expected


# -- the engine's own proofs


def test_the_engine_s_proofs_count_among_many_messages() -> None:
    """Given forty messages, then each one's proof by the engine counts, and under no other message's name."""
    world = WithdrawalWorld.open(games=1)
    raws = [
        world.world.signed(
            DEPOSITOR,
            addresses.MESSAGE_PASSER,
            world.network.passer.input("initiateWithdrawal", b"\x7a" * 20, gas, b""),
            gas=200_000,
        )
        for gas in range(39)
    ]
    world.world.mine(raws)
    world.initiate(MESSAGE.target, gas_limit=39)
    output = world.output()
    world.open_game(output.root())
    portal = world.network.portal
    messages = [
        replace(MESSAGE, nonce=message_nonce(count), gas_limit=count) for count in range(40)
    ]
    for count, message in enumerate(messages):
        name = withdrawal_hash(replace(WITHDRAWAL, nonce=message.nonce, gas_limit=count))
        nodes = world.proof(replace(message, withdrawal_hash=name))
        for asked in (message, messages[count - 1]):
            data = portal.input(
                "proveWithdrawalTransaction", transaction(asked), 0, words(output), nodes
            )
            if asked is message:
                assert world.world.ask(portal, data) == b""
            else:
                with pytest.raises(Reverted, match=REFUSED):
                    world.world.ask(portal, data)


def test_the_engine_s_proof_of_a_leaf_in_its_parent_counts_once_it_is_whole() -> None:
    """Given two messages whose keys share eight nibbles, then their leaves are inlined, and both can be proven."""
    world = WithdrawalWorld.open(games=1)

    def key(count: int, gas: int) -> bytes:
        withdrawal = replace(WITHDRAWAL, nonce=message_nonce(count), gas_limit=gas)
        return keccak256(sent_messages_slot(withdrawal_hash(withdrawal)))[:4]

    # Keys found by trying: with nonces 0 and 1.
    first = {key(0, gas): gas for gas in range(70_000)}
    second = next(gas for gas in range(2**24) if key(1, gas) in first)
    twins = [
        world.initiate(MESSAGE.target, gas_limit=gas) for gas in (first[key(1, second)], second)
    ]
    for gas in range(20):
        world.initiate(MESSAGE.target, gas_limit=gas)
    output = world.output()
    world.open_game(output.root())
    portal = world.network.portal
    for twin in twins:
        nodes = world.proof(twin)
        assert len(nodes[-1]) < HASHED_MIN
        for shown, expected in ((nodes, None), (nodes[:-1], REFUSED)):
            data = portal.input(
                "proveWithdrawalTransaction", transaction(twin), 0, words(output), shown
            )
            if expected is None:
                assert world.world.ask(portal, data) == b""
            else:
                with pytest.raises(Reverted, match=expected):
                    world.world.ask(portal, data)
