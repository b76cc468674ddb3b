"""Merkle-Patricia tries of any shape, and proofs of them that hash together whatever was changed in them.

    entries -> Trie -> proof(key) -> taken_apart -> a change -> sealed -> nodes and the root that fits them

`proves` is the rule itself, told once more and differently: by items and references, where the contract reads bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from node.errors import Rejected
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.primitives import Hash32

NIBBLES: Final = 64
"""Of a key of 32 bytes."""

HASHED_MIN: Final = 32
"""A node of so many bytes is referred to by its hash."""

BRANCH: Final = 17
"""Items of a branch."""

EMPTY: Final = rlp.encode(b"")
"""A reference to nothing."""

Header = Callable[[int], bytes]
"""The prefix of a list of so many bytes."""

Reference = Callable[[bytes], bytes]
"""How a parent refers to a node."""


def nibbles_of(key: bytes) -> str:
    """A key's nibbles, as hexadecimal digits."""
    return key.hex()


def path_of(nibbles: str, *, is_leaf: bool) -> bytes:
    """Hex-prefix encoding."""
    flags = 2 if is_leaf else 0
    if len(nibbles) % 2:
        return bytes.fromhex(f"{flags + 1:x}{nibbles}")
    return bytes.fromhex(f"{flags:x}0{nibbles}")


def header_of(length: int) -> bytes:
    """The one prefix of a list of so many bytes."""
    return rlp.encode_list([bytes(length)])[:-length] if length else b"\xc0"


def reference_to(node: bytes) -> bytes:
    """The one way to refer to a node."""
    return rlp.encode(bytes(keccak256(node))) if len(node) >= HASHED_MIN else node


@dataclass(frozen=True, slots=True)
class Trie:
    """A trie of keys of 32 bytes."""

    entries: Mapping[bytes, bytes]
    """What the leaves hold, by key: RLP of the value."""

    @property
    def root(self) -> Hash32:
        """Hash of the first node."""
        return keccak256(self._node(sorted(self.entries), 0))

    def proof(self, key: bytes) -> list[bytes]:
        """All nodes on a key's way, those in their parents as well, as far as there are any."""
        nodes: list[bytes] = []
        keys, depth = sorted(self.entries), 0
        while keys:
            nodes.append(self._node(keys, depth))
            shared = _shared(keys)
            if len(keys) == 1 or not nibbles_of(key).startswith(shared):
                break
            if len(shared) > depth:
                nodes.append(self._node(keys, len(shared)))
            depth = len(shared) + 1
            keys = [it for it in keys if nibbles_of(it)[:depth] == nibbles_of(key)[:depth]]
        return nodes

    def _node(self, keys: Sequence[bytes], depth: int) -> bytes:
        if len(keys) == 1:
            path = path_of(nibbles_of(keys[0])[depth:], is_leaf=True)
            return rlp.encode([path, self.entries[keys[0]]])
        shared = _shared(keys)
        if len(shared) > depth:
            below = reference_to(self._node(keys, len(shared)))
            path = path_of(shared[depth:], is_leaf=False)
            return rlp.encode_list([rlp.encode(path), below])
        children = []
        for digit in "0123456789abcdef":
            inside = [key for key in keys if nibbles_of(key)[depth] == digit]
            children.append(
                reference_to(self._node(inside, depth + 1)) if inside else rlp.encode(b"")
            )
        return rlp.encode_list([*children, rlp.encode(b"")])


def _shared(keys: Sequence[bytes]) -> str:
    """What all keys begin with; keys are sorted."""
    first, last = nibbles_of(keys[0]), nibbles_of(keys[-1])
    return first[: next((at for at in range(NIBBLES) if first[at] != last[at]), NIBBLES)]


@dataclass(slots=True)
class Part:
    """A node on a path, taken apart around its reference to the next one."""

    before: bytes
    """Payload before the reference; all of a leaf's."""
    after: bytes = b""
    """Payload behind it."""
    has_child: bool = True
    """Whether there is a reference."""
    header: Header = header_of
    """How the list begins."""
    reference: Reference = reference_to
    """How the parent refers to this node."""


def taken_apart(nodes: Sequence[bytes]) -> list[Part]:
    """Parts of a proof's nodes; `sealed` puts them together again."""
    parts: list[Part] = []
    for at, node in enumerate(nodes):
        payload = node[rlp.spans(node)[0][1] :]
        if at + 1 == len(nodes):
            parts.append(Part(payload, has_child=False))
            continue
        found = reference_to(nodes[at + 1])
        start = payload.rindex(found)
        parts.append(Part(payload[:start], payload[start + len(found) :]))
    return parts


def sealed(parts: Sequence[Part]) -> tuple[Hash32, list[bytes]]:
    """The root and the nodes that parts give: every hash fits."""
    nodes: list[bytes] = []
    below = b""
    for part in reversed(parts):
        payload = part.before + (below if part.has_child else b"") + part.after
        node = part.header(len(payload)) + payload
        nodes.append(node)
        below = part.reference(node)
    return keccak256(nodes[-1]), nodes[::-1]


def proves(root: bytes, key: bytes, nodes: Sequence[bytes], value: bytes = b"\x01") -> bool:
    """Whether these nodes, and no others, lead from the root to the key's leaf with that value.

    What lies within a child beside the path is nobody's business: the claim of the root answers for it.
    """
    try:
        return _leads(rlp.encode(root), nibbles_of(key), nodes, rlp.encode(value))
    except Rejected:
        return False


def _leads(expected: bytes, rest: str, nodes: Sequence[bytes], value: bytes) -> bool:
    """The same, from a reference and the nibbles that are left. Raises Rejected where a list or a path is none."""
    after_extension = False
    for at, node in enumerate(nodes):
        items = [node[start:end] for _, start, _, end in rlp.spans(node)]
        if reference_to(node) != expected:
            return False
        if len(items) == BRANCH:
            children = items[:16]
            if items[16] != EMPTY or not rest or not all(map(_is_reference, children)):
                return False
            if sum(child != EMPTY for child in children) < 2:
                return False
            expected, rest, after_extension = children[int(rest[0], 16)], rest[1:], False
        else:
            step = _short_node(items)
            if step is None or after_extension or not rest.startswith(step[1]):
                return False
            is_leaf, path = step
            rest = rest[len(path) :]
            if is_leaf:
                return not rest and items[1] == value and at + 1 == len(nodes)
            if not path or not rest or not _is_reference(items[1]):
                return False
            expected, after_extension = items[1], True
    return False


def _is_reference(item: bytes) -> bool:
    """Whether it is nothing, a hash, or a list of something that is shorter than one."""
    if item == EMPTY or (item[0] == 0xA0 and len(item) == 1 + HASHED_MIN):
        return True
    return 1 < len(item) < HASHED_MIN and item[0] > 0xC0


def _short_node(items: list[bytes]) -> tuple[bool, str] | None:
    """Whether it is a leaf, and its path; None if it is neither leaf nor extension."""
    if len(items) != 2:
        return None
    encoded = rlp.as_bytes(rlp.decode(items[0]))
    if not encoded:
        return None
    digits = encoded.hex()
    path = digits[1:] if int(digits[0], 16) & 1 else digits[2:]
    is_leaf = int(digits[0], 16) >= 2
    return (is_leaf, path) if path_of(path, is_leaf=is_leaf) == encoded else None
