"""Storage proofs before the Portal: exactly the true ones count, however well the hashes of others fit.

Every trie here is one that a game could claim; every change is sealed anew, so that only its encoding is at fault.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import pytest
from hypothesis import given, settings, strategies as st

from node.contracts import addresses
from node.contracts.bindings import MessagePassed
from node.contracts.withdrawals import MAX_NODE_BYTES, MAX_PROOF_NODES, whole_proof
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32
from node.rollup.outputs import (
    BridgeWithdrawal,
    Output,
    message_nonce,
    sent_messages_slot,
    withdrawal_hash,
)
from tests.kit.contract_world import Reverted
from tests.kit.execution_chain import DEPOSITOR, SENDER, address_of
from tests.kit.tries import (
    HASHED_MIN,
    NIBBLES,
    Part,
    Trie,
    header_of,
    nibbles_of,
    path_of,
    proves,
    reference_to,
    sealed,
    taken_apart,
)
from tests.kit.withdrawal_world import WithdrawalWorld, game_address, slot_of, transaction, words

REFUSED: Final = "OptimismPortal_InvalidMerkleProof"
"""What is no proof gets."""

ONE: Final = b"\x01"
"""RLP of the value of a message that was sent."""

WITHDRAWAL: Final = BridgeWithdrawal(
    nonce=message_nonce(0),
    sender=address_of(DEPOSITOR),
    target=Address(b"\x7a" * 20),
    value=0,
    gas_limit=21_000,
    data=b"",
)
"""What is proven."""

SLOT: Final = sent_messages_slot(withdrawal_hash(WITHDRAWAL))
"""Its slot."""

KEY: Final = bytes(keccak256(SLOT))
"""Its key in the trie."""

MESSAGE: Final = MessagePassed(
    nonce=WITHDRAWAL.nonce,
    sender=WITHDRAWAL.sender,
    target=WITHDRAWAL.target,
    value=0,
    gas_limit=WITHDRAWAL.gas_limit,
    data=b"",
    withdrawal_hash=withdrawal_hash(WITHDRAWAL),
)
"""The same as the passer logs it."""


@dataclass(slots=True)
class Judge:
    """The Portal, asked about proofs under any root."""

    world: WithdrawalWorld
    """One game stands, and claims what it is told."""

    @classmethod
    def open(cls) -> Judge:
        """A chain with one game."""
        world = WithdrawalWorld.open(games=1)
        world.open_game(bytes(32))
        return cls(world)

    def refusal(self, root: bytes, nodes: Sequence[bytes]) -> str | None:
        """Why a proof under a root does not count; None if it does."""
        output = Output(
            state_root=Hash32(b"\x51" * 32),
            message_passer_root=Hash32(root),
            block_hash=Hash32(b"\x52" * 32),
        )
        claim = {slot_of("rootClaim()"): int.from_bytes(output.root())}
        self.world.tell(game_address(0), claim)
        portal = self.world.network.portal
        data = portal.input(
            "proveWithdrawalTransaction", transaction(MESSAGE), 0, words(output), list(nodes)
        )
        try:
            answer = self.world.world.ask(portal, data, sender=address_of(SENDER))
        except Reverted as reverted:
            return reverted.name
        assert answer == b""
        return None


JUDGE: Final = Judge.open()
"""Asked by every test: it keeps nothing from one question to the next."""


def beside(shared: int, number: int = 0) -> bytes:
    """A key that shares exactly so many nibbles with the message's, and little behind them."""
    digits = nibbles_of(KEY)
    other = f"{(int(digits[shared], 16) + 1 + number) % 16:x}"
    rest = "".join(f"{15 - int(digit, 16):x}" for digit in digits[shared + 1 :])
    return bytes.fromhex(digits[:shared] + other + rest)


TWO: Final = b"\x02"
"""RLP of what no message has, for other entries."""

ALONE: Final = Trie({KEY: ONE})
"""A leaf."""

SHALLOW: Final = Trie({KEY: ONE, beside(0): ONE, beside(0, 3): ONE})
"""A branch and a leaf."""

EXTENDED: Final = Trie({KEY: ONE, beside(5): ONE, beside(0): ONE, beside(2): ONE})
"""Two branches, an extension, a branch, a leaf."""

INLINED: Final = Trie({KEY: ONE, beside(40): ONE, beside(0): ONE})
"""A branch, an extension, a branch that holds the leaf."""

DEEPEST: Final = Trie({KEY: ONE, **{beside(depth): TWO for depth in range(NIBBLES)}})
"""Sixty-four branches, those at the end within their parents, and a leaf."""

WIDE: Final = Trie(
    {KEY: ONE, **{beside(depth, number): ONE for depth in (0, 1, 2) for number in range(15)}}
)
"""Full branches."""

TRIES: Final = {
    "alone": ALONE,
    "shallow": SHALLOW,
    "extended": EXTENDED,
    "inlined": INLINED,
    "deepest": DEEPEST,
    "wide": WIDE,
}


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


# -- encodings of a node


def one_byte_more(length: int) -> bytes:
    """A list's length with a leading zero, or in the long form where the short one would do."""
    if length < 56:
        return bytes([0xF8, length])
    return b"\xf9" + length.to_bytes(2) if length < 256 else b"\xfa" + length.to_bytes(3)


HEADERS: Final = {
    "longer": one_byte_more,
    "two bytes": lambda length: b"\xf9" + length.to_bytes(2) if length < 256 else b"\xf9",
    "one short": lambda length: header_of(length - 1),
    "one long": lambda length: header_of(length + 1),
    "a string": lambda length: rlp.encode(bytes(length))[: -length or None],
    "none": lambda _: b"",
}
"""Prefixes of a list that are not its own."""


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("name", TRIES)
def test_a_node_s_list_has_one_prefix(name: str, header: str) -> None:
    nodes = TRIES[name].proof(KEY)
    for at in {0, len(nodes) // 2, len(nodes) - 1}:
        parts = taken_apart(nodes)
        parts[at].header = HEADERS[header]
        root, changed = sealed(parts)
        if len(changed[at]) > MAX_NODE_BYTES:
            continue
        assert not proves(root, KEY, changed)
        assert JUDGE.refusal(root, changed) == REFUSED


@pytest.mark.parametrize("name", TRIES)
def test_a_node_ends_where_its_list_ends(name: str) -> None:
    nodes = TRIES[name].proof(KEY)
    for at in {0, len(nodes) // 2, len(nodes) - 1}:
        for more in (b"\x80", b"\xc0", b"\x00", bytes(3), b"\xa0" + bytes(32)):
            parts = taken_apart(nodes)
            parts[at].after += more
            root, changed = sealed(parts)
            if len(changed[at]) <= MAX_NODE_BYTES:
                assert not proves(root, KEY, changed)
                assert JUDGE.refusal(root, changed) == REFUSED
        # And behind the list.
        parts = taken_apart(nodes)
        own = parts[at].header
        parts[at].header = lambda length, own=own: own(length - 1)  # type: ignore[misc]
        parts[at].after += b"\x80"
        root, changed = sealed(parts)
        if len(changed[at]) <= MAX_NODE_BYTES:
            assert JUDGE.refusal(root, changed) == REFUSED


def prefixed(path: bytes, value: bytes = ONE) -> tuple[Hash32, list[bytes]]:
    """A trie of one leaf with that RLP of a path."""
    return sealed([Part(path + value, has_child=False)])


def encoded_paths() -> dict[str, bytes]:
    """RLP of paths of the whole key that are not the one of a leaf."""
    digits = nibbles_of(KEY)
    raw = path_of(digits, is_leaf=True)
    return {
        "an extension's": rlp.encode(path_of(digits, is_leaf=False)),
        **{
            f"flags {flags:x}": rlp.encode(bytes([flags << 4]) + raw[1:])
            for flags in range(16)
            if flags != 2
        },
        **{
            f"padding {padding:x}": rlp.encode(bytes([0x20 | padding]) + raw[1:])
            for padding in range(1, 16)
        },
        "a nibble short": rlp.encode(path_of(digits[:-1], is_leaf=True)),
        "a nibble long": rlp.encode(path_of(digits + "0", is_leaf=True)),
        "a nibble short at the front": rlp.encode(path_of(digits[1:], is_leaf=True)),
        "two nibbles long": rlp.encode(path_of(digits + "00", is_leaf=True)),
        "a zero byte in front": rlp.encode(b"\x00" + raw),
        "no flags": rlp.encode(raw[1:]),
        "nothing": rlp.encode(b""),
        "a long prefix": b"\xb8" + bytes([len(raw)]) + raw,
        "a longer prefix": b"\xb9\x00" + bytes([len(raw)]) + raw,
        "a list": rlp.encode_list([raw]),
        "another key's": rlp.encode(path_of(nibbles_of(beside(63)), is_leaf=True)),
    }


@pytest.mark.parametrize("name", encoded_paths())
def test_a_path_has_one_encoding(name: str) -> None:
    root, nodes = prefixed(encoded_paths()[name])
    assert not proves(root, KEY, nodes)
    assert JUDGE.refusal(root, nodes) == REFUSED


@pytest.mark.parametrize(
    "path",
    [
        b"\x81\x20",
        b"\x80",
        b"\x00",
        b"\x10",
        b"\x30",
        b"\x21",
        b"\x82\x00\x20",
        b"\x81\xa0",
        b"\xc1\x20",
        b"\xb8\x01\x20",
    ],
    ids=bytes.hex,
)
def test_a_path_of_one_byte_is_its_own_encoding(path: bytes) -> None:
    """Given the leaf below sixty-four branches, whose path is 0x20, then no other byte and no prefix will do."""
    parts = taken_apart(DEEPEST.proof(KEY))
    assert parts[-1].before == b"\x20" + ONE
    parts[-1].before = path + ONE
    assert JUDGE.refusal(*sealed(parts)) == REFUSED


def test_an_odd_path_of_one_byte_counts() -> None:
    """Given a leaf with one nibble left, then its path is one byte with the nibble in it, and no other."""
    trie = Trie({KEY: ONE, **{beside(depth): TWO for depth in range(63)}})
    parts = taken_apart(trie.proof(KEY))
    assert parts[-1].before == bytes([0x30 | KEY[-1] & 15]) + ONE
    assert JUDGE.refusal(*sealed(parts)) is None
    for byte in range(0x80):
        if byte != 0x30 | KEY[-1] & 15:
            parts[-1].before = bytes([byte]) + ONE
            assert JUDGE.refusal(*sealed(parts)) == REFUSED


def test_a_short_node_lies_in_its_parent_and_a_long_one_does_not() -> None:
    """Given a short node behind a hash, or a long one in its parent, then the hashes fit and the proof does not count."""
    by_hash = lambda node: rlp.encode(bytes(keccak256(node)))  # noqa: E731
    for trie, reference in ((INLINED, by_hash), (SHALLOW, lambda node: node)):
        parts = taken_apart(trie.proof(KEY))
        parts[-1].reference = reference
        root, nodes = sealed(parts)
        assert (len(nodes[-1]) < HASHED_MIN) == (trie is INLINED)
        assert not proves(root, KEY, nodes)
        assert JUDGE.refusal(root, nodes) == REFUSED


def test_a_leaf_that_lies_in_its_parent_is_a_node_of_its_own() -> None:
    """Given the proof as eth_getProof has it, then the leaf is missing; `whole_proof` adds it."""
    nodes = INLINED.proof(KEY)
    assert len(nodes[-1]) < HASHED_MIN
    assert JUDGE.refusal(INLINED.root, nodes[:-1]) == REFUSED
    assert whole_proof(SLOT, nodes[:-1]) == nodes


@pytest.mark.parametrize(
    "reference",
    [
        lambda node: b"\xb8\x20" + keccak256(node),
        lambda node: b"\xb9\x00\x20" + keccak256(node),
        lambda node: b"\x9f" + keccak256(node)[:31],
        lambda node: b"\xa1" + keccak256(node) + b"\x00",
        lambda node: rlp.encode_list([rlp.encode(bytes(keccak256(node)))]),
        lambda node: rlp.encode(node),
        lambda _: b"\x80",
        lambda _: b"\xc0",
        lambda _: b"\x01",
    ],
)
def test_a_reference_is_a_hash_or_a_node(reference: Callable[[bytes], bytes]) -> None:
    for trie in (SHALLOW, EXTENDED, INLINED):
        nodes = trie.proof(KEY)
        for at in range(1, len(nodes)):
            parts = taken_apart(nodes)
            parts[at].reference = reference
            root, changed = sealed(parts)
            assert not proves(root, KEY, changed)
            assert JUDGE.refusal(root, changed) == REFUSED


# -- shapes of a trie


def branch(parts: Sequence[bytes]) -> tuple[Hash32, list[bytes]]:
    """A branch of these items, and the key's leaf below it."""
    leaf = Trie({KEY: ONE, beside(0): ONE}).proof(KEY)[-1]
    nibble = KEY[0] >> 4
    items = [*parts[:nibble], reference_to(leaf), *parts[nibble:]]
    node = rlp.encode_list(items)
    return keccak256(node), [node, leaf]


CHILD: Final = rlp.encode(b"\x77" * 32)
EMPTY: Final = rlp.encode(b"")


def test_a_branch_has_sixteen_references_and_no_value() -> None:
    """Given a value, an item more or fewer, a string or an empty list as a child, or one child alone: refused."""
    others = [CHILD] + [EMPTY] * 14
    assert JUDGE.refusal(*branch([*others, EMPTY])) is None
    refused = [
        [*others, ONE],
        [*others, CHILD],
        [*others, b"\xc1\x01"],
        others,
        [*others, EMPTY, EMPTY],
        [EMPTY] * 16,
        [ONE, *others[1:], EMPTY],
        [b"\x83abc", *others[1:], EMPTY],
        [b"\xc0", *others[1:], EMPTY],
        [rlp.encode(b"\x77" * 31), *others[1:], EMPTY],
        [rlp.encode(b"\x77" * 33), *others[1:], EMPTY],
        [rlp.encode_list([bytes(31)]), *others[1:], EMPTY],
        [b"\xb8\x20" + b"\x77" * 32, *others[1:], EMPTY],
    ]
    for items in refused:
        root, nodes = branch(items)
        assert not proves(root, KEY, nodes)
        assert JUDGE.refusal(root, nodes) == REFUSED
    # A list of 31 bytes with its prefix is the longest node that may lie in a branch; whose it is, is not the key's matter.
    longest = rlp.encode_list([bytes(30)])
    assert len(longest) == HASHED_MIN - 1
    assert JUDGE.refusal(*branch([longest, *others[1:], EMPTY])) is None


def test_an_extension_leads_to_a_branch() -> None:
    """Given an extension of nothing, two in a row, or one before a leaf, then the trie is none."""
    digits = nibbles_of(KEY)
    leaf = Part(rlp.encode(path_of(digits[5:], is_leaf=True)) + ONE, has_child=False)
    before_leaf = [Part(rlp.encode(path_of(digits[:5], is_leaf=False))), leaf]
    node, below = EXTENDED.proof(KEY)[-2:]
    deep = taken_apart(Trie({KEY: ONE, beside(5): ONE}).proof(KEY))
    in_a_row = [
        Part(rlp.encode(path_of(digits[:2], is_leaf=False))),
        Part(rlp.encode(path_of(digits[2:5], is_leaf=False))),
        *deep[1:],
    ]
    of_nothing = [Part(rlp.encode(path_of("", is_leaf=False))), *taken_apart(SHALLOW.proof(KEY))]
    to_the_end = [Part(rlp.encode(path_of(digits, is_leaf=False))), *taken_apart([node, below])]
    for parts in (before_leaf, in_a_row, of_nothing, to_the_end):
        root, nodes = sealed(parts)
        assert not proves(root, KEY, nodes)
        assert JUDGE.refusal(root, nodes) == REFUSED


def test_nothing_lies_below_the_last_nibble() -> None:
    """Given a branch where the key has ended, with a leaf below every nibble, then neither it nor a leaf of it counts."""
    *above, leaf = taken_apart(DEEPEST.proof(KEY))
    below = Part(b"", b"\xc2\x20\x01" * 15 + EMPTY)
    root, nodes = sealed([*above, below, leaf])
    assert not proves(root, KEY, nodes)
    # The decoder has no room for so many nodes; without the leaf it has.
    assert len(nodes) == MAX_PROOF_NODES + 1
    assert JUDGE.refusal(root, nodes) == ""
    assert JUDGE.refusal(root, nodes[:-1]) == REFUSED
    # An extension spares nodes, so that the leaf has room.
    spared = Part(rlp.encode(path_of(nibbles_of(KEY)[:60], is_leaf=False)))
    root, nodes = sealed([spared, *above[60:], below, leaf])
    assert JUDGE.refusal(root, nodes) == REFUSED
    assert JUDGE.refusal(root, nodes[:-1]) == REFUSED
    # One that leads to the key's end, before such a branch.
    to_the_end = Part(rlp.encode(path_of(nibbles_of(KEY), is_leaf=False)))
    root, nodes = sealed([to_the_end, below, leaf])
    assert JUDGE.refusal(root, nodes) == REFUSED
    assert JUDGE.refusal(root, nodes[:-1]) == REFUSED
    root, nodes = sealed([to_the_end, leaf])
    assert JUDGE.refusal(root, nodes) == REFUSED


@pytest.mark.parametrize("first", [0xB7, 0xA0, 0x90, 0x80, 0xF7, 0xC0, 0x00])
def test_an_item_that_ends_behind_its_node_is_refused_by_name(first: int) -> None:
    """Given a node of one item that claims more bytes than there are, all of them, or fewer, then it is no node."""
    for length in (31, 32, 40, 54):
        root, nodes = sealed([Part(bytes([first]) + bytes(length), has_child=False)])
        assert JUDGE.refusal(root, nodes) == REFUSED


def test_what_no_trie_has_is_refused_before_it_is_read() -> None:
    """Given more nodes or longer ones than any trie has, then the decoder refuses the call."""
    assert JUDGE.refusal(bytes(32), [bytes(32)] * (MAX_PROOF_NODES + 1)) == ""
    assert JUDGE.refusal(bytes(32), [bytes(MAX_NODE_BYTES + 1)]) == ""
    assert JUDGE.refusal(bytes(32), [bytes(MAX_NODE_BYTES)] * MAX_PROOF_NODES) == REFUSED


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
