"""A proposal: a claim of one's own, and the calls that make a game of it. PURE.

    start, RootTree, accumulator -> Proposal -> wants: publish (chunk by chunk), span, create
    a signed create, read back   -> recall   -> what was claimed: the journal is the proposer's memory

Deliberately absent: whether it is time for one (deciding), and whether it is true (own).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bridge.sending.wants import Want
from node.contracts import disputes
from node.contracts.abi import decode, encode
from node.contracts.addresses import DISPUTE_GAME_FACTORY, ROOT_REGISTRY
from node.errors import Rejected
from node.eth.hashing import keccak256
from node.eth.primitives import Hash32
from node.rollup.claims import Claim, RootTree, decode_claim

CREATE_PREFIX: Final = "create:"
"""Keys of games that shall be made begin so; the claim's UUID follows."""

PUBLISH_PREFIX: Final = "publish:"
"""Keys of publications begin so; the roots' name follows."""

CREATE_GAS: Final = 700_000
"""Of a `create` that cannot be simulated because its roots are on their way; a test holds what it really uses below."""

SPAN_GAS: Final = 1_000_000
"""The same of a `span` of 64 chunks."""

_SELECTOR_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What a game of ours says, or will say."""

    root_claim: Hash32
    """The output root after the last block."""
    claim: Claim
    """The rest."""

    @property
    def uuid(self) -> Hash32:
        """Its name in the factory."""
        kinds = ("uint32", "bytes32", "bytes")
        return keccak256(encode(kinds, (disputes.GAME_TYPE, self.root_claim, self.claim.encode())))

    @property
    def key(self) -> str:
        """Of the want that makes the game."""
        return f"{CREATE_PREFIX}{self.uuid.hex()}"


def recall(call_data: bytes) -> Claimed | None:
    """Read back what a signed `create` claims; None for any other call."""
    try:
        _, root_claim, extra_data = decode(
            ("uint32", "bytes32", "bytes"), call_data[_SELECTOR_BYTES:]
        )
    except Rejected:
        return None
    if not isinstance(root_claim, bytes) or not isinstance(extra_data, bytes):
        return None
    claim = decode_claim(extra_data)
    return None if claim is None else Claimed(root_claim=Hash32(root_claim), claim=claim)


def recall_roots(call_data: bytes) -> tuple[Hash32, ...]:
    """Read back what a signed `publish` says; nothing for any other call."""
    try:
        (roots,) = decode(("bytes32[]",), call_data[_SELECTOR_BYTES:])
    except Rejected:
        return ()
    found = () if isinstance(roots, int | bytes) else roots
    return tuple(Hash32(root) for root in found if isinstance(root, bytes))


def roots_to_publish(tree: RootTree) -> tuple[Hash32, ...]:
    """Names that the Registry has to know before a game can claim a tree, in order; the last is the tree's own."""
    chunks = tuple(chunk.id for chunk in tree.chunks)
    return chunks if len(chunks) == 1 else (*chunks, tree.id)


def wants_of(
    claimed: Claimed, tree: RootTree, *, published: frozenset[Hash32], bond_wei: int
) -> Iterator[Want]:
    """The calls that make a game, as far as the Registry does not know its roots already."""
    assert tree.id == claimed.claim.roots_id, "a claim is made of its roots"
    last: str | None = None
    chunks = tree.chunks
    for chunk in chunks:
        if chunk.id not in published:
            last = f"{PUBLISH_PREFIX}{chunk.id.hex()}"
            yield Want(key=last, to=ROOT_REGISTRY, call_data=disputes.publish(chunk.roots))
    if len(chunks) > 1 and tree.id not in published:
        span = f"span:{tree.id.hex()}"
        call = disputes.span(
            [one.tree for one in chunks], [one.last for one in chunks], len(tree.roots)
        )
        yield Want(key=span, to=ROOT_REGISTRY, call_data=call, follows=last, gas_limit=SPAN_GAS)
        last = span
    yield Want(
        key=claimed.key,
        to=DISPUTE_GAME_FACTORY,
        call_data=disputes.create(claimed.root_claim, claimed.claim.encode()),
        value_wei=bond_wei,
        follows=last,
        gas_limit=CREATE_GAS,
    )
