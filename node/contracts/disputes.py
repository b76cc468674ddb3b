"""Calls, answers and logs of the contracts in which claims about the L2 are disputed.

    typed arguments -> calldata        answers -> values, or None        topics, data -> a frozen log, or None

Deliberately absent: what a claim says (node.rollup.claims), STEP's input (node.rollup.step), and sending anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, cast

from node.contracts.abi import Value, decode, encode_call
from node.errors import Rejected
from node.eth.hashing import keccak256
from node.eth.primitives import Address, BlockNumber, Hash32

GAME_TYPE: Final = 900
"""Type of the NativeFaultGame."""

INPUT_BYTES_MAX: Final = 360_448
"""Longest input of STEP that `proveFault` takes."""

ROOTS_PUBLISHED: Final = keccak256(b"RootsPublished(bytes32,bytes32,bytes32,bytes32[])")
"""First topic of the RootRegistry's log of one publication."""

ROOTS_SPANNED: Final = keccak256(b"RootsSpanned(bytes32,bytes32,bytes32,uint256,bytes32[])")
"""First topic of the RootRegistry's log of joined publications."""

GAME_CREATED: Final = keccak256(b"DisputeGameCreated(address,uint32,bytes32)")
"""First topic of the factory's log."""

FAULT_PROVEN: Final = keccak256(b"FaultProven(address,uint256,bytes32,bytes32)")
"""First topic of a game's log of its end by a proof."""

RESOLVED: Final = keccak256(b"Resolved(uint8)")
"""First topic of a game's log of its end."""


class GameStatus(IntEnum):
    """What a game has come to, as the OP Stack numbers it."""

    IN_PROGRESS = 0
    """Nothing is decided."""
    CHALLENGER_WINS = 1
    """The claim is false, or starts from a false one."""
    DEFENDER_WINS = 2
    """The claim stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootsPublished:
    """Output roots were published."""

    id: Hash32
    """Their name."""
    tree: Hash32
    """The top of their tree."""
    last: Hash32
    """The last of them."""
    roots: tuple[Hash32, ...]
    """All of them; 1 to 1,024."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootsSpanned:
    """Published chunks were joined."""

    id: Hash32
    """Name of all their roots."""
    tree: Hash32
    """The top of the tree over the chunks."""
    last: Hash32
    """The last root."""
    count: int
    """How many roots they have together."""
    trees: tuple[Hash32, ...]
    """The chunks' trees in order; each is the second topic of a RootsPublished log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GameCreated:
    """A game was made."""

    game: Address
    """Its address; 20 bytes."""
    game_type: int
    """Its type."""
    root_claim: Hash32
    """What it claims."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultProven:
    """A game was lost because one of its roots is false."""

    prover: Address
    """Who showed it; 20 bytes."""
    block_number: BlockNumber
    """The L2 block whose root it is."""
    claimed: Hash32
    """The root that the game claims."""
    computed: Hash32
    """The root that the rules give."""


# -- RootRegistry


def publish(roots: Sequence[Hash32]) -> bytes:
    """Publish output roots of consecutive blocks; 1 to 1,024."""
    return encode_call("publish(bytes32[])", roots)


def span(trees: Sequence[Hash32], lasts: Sequence[Hash32], count: int) -> bytes:
    """Join published chunks by their trees and last roots; all but the last have 1,024 roots."""
    return encode_call("span(bytes32[],bytes32[],uint256)", trees, lasts, count)


def tree_of(roots_id: Hash32) -> bytes:
    """Ask whether roots are published; the answer is one word: their tree, or zero if not within the last 256 blocks."""
    return encode_call("treeOf(bytes32)", roots_id)


# -- DisputeGameFactory


def create(root_claim: Hash32, extra_data: bytes) -> bytes:
    """Make a game; the bond goes along."""
    return encode_call("create(uint32,bytes32,bytes)", GAME_TYPE, root_claim, extra_data)


def game_of_claim(root_claim: Hash32, extra_data: bytes) -> bytes:
    """Ask for the game that makes a claim: `read_game_of_claim`."""
    return encode_call("games(uint32,bytes32,bytes)", GAME_TYPE, root_claim, extra_data)


def game_count() -> bytes:
    """Ask how many games there are; the answer is one word."""
    return encode_call("gameCount()")


def game_at_index(index: int) -> bytes:
    """Ask for a game by its place: `read_game_at_index`."""
    return encode_call("gameAtIndex(uint256)", index)


def read_game_of_claim(answer: bytes) -> Address | None:
    """Read the answer to `game_of_claim`; None if there is no such game. Raises Rejected."""
    game, _ = decode(("address", "uint64"), answer)
    assert isinstance(game, bytes)
    return Address(game) if any(game) else None


def read_game_at_index(answer: bytes) -> tuple[int, int, Address]:
    """Read the answer to `game_at_index`: type, when it was made, and its address. Raises Rejected."""
    game_type, created_at, game = decode(("uint32", "uint64", "address"), answer)
    assert isinstance(game_type, int)
    assert isinstance(created_at, int)
    assert isinstance(game, bytes)
    return game_type, created_at, Address(game)


# -- NativeFaultGame


def prove_fault(
    claimed: Hash32, before: Sequence[Hash32], branch: Sequence[Hash32], step_input: bytes
) -> bytes:
    """Prove that a claimed root is false.

    Args:
        claimed: the root after the block.
        before: branch of the root before it; empty for the first block of the claim.
        branch: branch of the root after it.
        step_input: STEP's, whose words name the block, its record and the root before.
    """
    return encode_call(
        "proveFault(bytes32,bytes32[],bytes32[],bytes)", claimed, before, branch, step_input
    )


def resolve(header: bytes, epoch: int, branch: Sequence[Hash32], timestamp: int) -> bytes:
    """Decide a game that nobody disproved; a game whose parent is lost needs nothing (`resolve(b"", 0, (), 0)`).

    Args:
        header: RLP of the header of L1's finalized block.
        epoch: of the finalized checkpoint.
        branch: from the checkpoint to the consensus state's root.
        timestamp: of a recent L1 block whose parent_beacon_block_root is that root.
    """
    return encode_call("resolve(bytes,uint64,bytes32[],uint64)", header, epoch, branch, timestamp)


def close_game() -> bytes:
    """Make a game's claim the anchor."""
    return encode_call("closeGame()")


def claim_credit(recipient: Address) -> bytes:
    """Pay what somebody gets out of a game's bond."""
    return encode_call("claimCredit(address)", recipient)


def credit(recipient: Address) -> bytes:
    """Ask what somebody gets out of a game's bond; the answer is one word, wei."""
    return encode_call("credit(address)", recipient)


def ask(name: str) -> bytes:
    """Ask a game, or a registry, one thing that takes no argument, as its ABI names it: `status`, `rootClaim` ..."""
    return encode_call(f"{name}()")


def read_game_data(answer: bytes) -> tuple[int, Hash32, bytes]:
    """Read the answer to `gameData`: type, claimed root, extra data (node.rollup.claims). Raises Rejected."""
    game_type, root_claim, extra_data = decode(("uint32", "bytes32", "bytes"), answer)
    assert isinstance(game_type, int)
    assert isinstance(root_claim, bytes)
    assert isinstance(extra_data, bytes)
    return game_type, Hash32(root_claim), extra_data


# -- AnchorStateRegistry, BondVault


def read_anchor(answer: bytes) -> tuple[Hash32, BlockNumber]:
    """Read the answer to `getAnchorRoot`: output root and L2 block. Raises Rejected."""
    root, number = decode(("bytes32", "uint64"), answer)
    assert isinstance(root, bytes)
    assert isinstance(number, int)
    return Hash32(root), BlockNumber(number)


def is_game(question: str, game: Address) -> bytes:
    """Ask the AnchorStateRegistry about a game: `isGameProper`, `isGameClaimValid` ...; the answer is one word."""
    return encode_call(f"{question}(address)", game)


def blacklist(game: Address) -> bytes:
    """Let a game count no more; the guardian's."""
    return encode_call("blacklistDisputeGame(address)", game)


def retire_games() -> bytes:
    """Let all games so far count no more; the guardian's."""
    return encode_call("updateRetirementTimestamp()")


def payable_from(game: Address, recipient: Address) -> bytes:
    """Ask the BondVault from which L1 block on a credit is paid; the answer is one word, zero without a credit."""
    return encode_call("payableFrom(address,address)", game, recipient)


# -- logs


def read_roots_published(topics: Sequence[bytes], data: bytes) -> RootsPublished | None:
    """Read a log of the RootRegistry; None if it is no RootsPublished."""
    values = _log(topics, data, ROOTS_PUBLISHED, ("bytes32[]",))
    if values is None:
        return None
    name, tree, last = topics[1:]
    roots = _hashes(values[0])
    return RootsPublished(id=Hash32(name), tree=Hash32(tree), last=Hash32(last), roots=roots)


def read_roots_spanned(topics: Sequence[bytes], data: bytes) -> RootsSpanned | None:
    """Read a log of the RootRegistry; None if it is no RootsSpanned."""
    values = _log(topics, data, ROOTS_SPANNED, ("uint256", "bytes32[]"))
    if values is None:
        return None
    name, tree, last = topics[1:]
    count = values[0]
    assert isinstance(count, int)
    return RootsSpanned(
        id=Hash32(name),
        tree=Hash32(tree),
        last=Hash32(last),
        count=count,
        trees=_hashes(values[1]),
    )


def read_game_created(topics: Sequence[bytes], data: bytes) -> GameCreated | None:
    """Read a log of the factory; None if it is no DisputeGameCreated."""
    if _log(topics, data, GAME_CREATED, ()) is None:
        return None
    return GameCreated(
        game=Address(topics[1][12:]),
        game_type=int.from_bytes(topics[2]),
        root_claim=Hash32(topics[3]),
    )


def read_fault_proven(topics: Sequence[bytes], data: bytes) -> FaultProven | None:
    """Read a log of a game; None if it is no FaultProven."""
    if len(topics) != 3:
        return None
    values = _log((*topics, b""), data, FAULT_PROVEN, ("bytes32", "bytes32"))
    if values is None:
        return None
    claimed, computed = values
    assert isinstance(claimed, bytes)
    assert isinstance(computed, bytes)
    return FaultProven(
        prover=Address(topics[1][12:]),
        block_number=BlockNumber(int.from_bytes(topics[2])),
        claimed=Hash32(claimed),
        computed=Hash32(computed),
    )


def read_resolved(topics: Sequence[bytes], data: bytes) -> GameStatus | None:
    """Read a log of a game: what it has come to; None if it is no Resolved."""
    if len(topics) != 2 or topics[0] != RESOLVED or data:
        return None
    status = int.from_bytes(topics[1])
    return GameStatus(status) if status in set(GameStatus) else None


def _log(
    topics: Sequence[bytes], data: bytes, event: Hash32, kinds: Sequence[str]
) -> tuple[Value, ...] | None:
    """What is not indexed of an event with three indexed parameters; None if it is another event."""
    if len(topics) != 4 or topics[0] != event:
        return None
    try:
        return decode(kinds, data)
    except Rejected:
        return None


def _hashes(values: Value) -> tuple[Hash32, ...]:
    return tuple(Hash32(cast(bytes, value)) for value in cast(Sequence[Value], values))
