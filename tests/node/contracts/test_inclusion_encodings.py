"""Nodes of a trie before the Portal: one encoding each, and only shapes that a trie has, however well the hashes fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import pytest

from node.contracts.withdrawals import MAX_NODE_BYTES, MAX_PROOF_NODES, whole_proof
from node.errors import Rejected
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.primitives import Hash32
from tests.kit.tries import (
    HASHED_MIN,
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
from tests.node.contracts.inclusion import (
    DEEPEST,
    EXTENDED,
    INLINED,
    JUDGE,
    KEY,
    ONE,
    REFUSED,
    SHALLOW,
    SLOT,
    TRIES,
    TWO,
    beside,
)


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


def test_what_lies_within_a_child_beside_the_path_is_not_read() -> None:
    """Given a sibling in its parent that holds no RLP, then the proof counts; given one that says another length, it does not."""
    parts = taken_apart(INLINED.proof(KEY))
    beside_it = parts[2].after
    assert beside_it.startswith(b"\xce\x8c")
    parts[2].after = b"\xce\xbf" + beside_it[2:]
    root, nodes = sealed(parts)
    with pytest.raises(Rejected):
        rlp.decode(nodes[2])
    assert proves(root, KEY, nodes)
    assert JUDGE.refusal(root, nodes) is None
    parts[2].after = b"\xcd" + beside_it[1:]
    root, nodes = sealed(parts)
    assert not proves(root, KEY, nodes)
    assert JUDGE.refusal(root, nodes) == REFUSED


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
