"""Typed calls, answers and logs of the dispute contracts: each call is the ABI's, each answer and log is read back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from node.contracts import addresses, disputes
from node.contracts.artifacts import load
from node.contracts.disputes import GameStatus
from node.errors import Rejected
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32
from tests.kit.contract_world import Contract, signature
from tests.kit.dispute_world import (
    ANCHORS,
    FACTORY,
    IMPLEMENTATION,
    REGISTRY,
    VAULT,
    DisputeWorld,
    Game,
)

HASHES = tuple(Hash32(bytes([number]) * 32) for number in range(1, 6))
SOME = Address(b"\x91" * 20)
OTHER = Address(b"\x92" * 20)

CALLS: list[tuple[bytes, Contract, str, tuple[object, ...]]] = [
    (disputes.publish(HASHES), REGISTRY, "publish", (HASHES,)),
    (
        disputes.span(HASHES[:2], HASHES[2:4], 1_025),
        REGISTRY,
        "span",
        (HASHES[:2], HASHES[2:4], 1_025),
    ),
    (disputes.tree_of(HASHES[0]), REGISTRY, "treeOf", (HASHES[0],)),
    (disputes.create(HASHES[0], b"x" * 116), FACTORY, "create", (900, HASHES[0], b"x" * 116)),
    (disputes.game_of_claim(HASHES[0], b"x"), FACTORY, "games", (900, HASHES[0], b"x")),
    (disputes.game_count(), FACTORY, "gameCount", ()),
    (disputes.game_at_index(7), FACTORY, "gameAtIndex", (7,)),
    (
        disputes.prove_fault(HASHES[0], HASHES[1:3], HASHES[3:], b"input"),
        IMPLEMENTATION,
        "proveFault",
        (HASHES[0], HASHES[1:3], HASHES[3:], b"input"),
    ),
    (
        disputes.resolve(b"header", 3, HASHES, 9),
        IMPLEMENTATION,
        "resolve",
        (b"header", 3, HASHES, 9),
    ),
    (disputes.close_game(), IMPLEMENTATION, "closeGame", ()),
    (disputes.claim_credit(SOME), IMPLEMENTATION, "claimCredit", (SOME,)),
    (disputes.credit(SOME), IMPLEMENTATION, "credit", (SOME,)),
    (disputes.ask("status"), IMPLEMENTATION, "status", ()),
    (disputes.is_game("isGameProper", SOME), ANCHORS, "isGameProper", (SOME,)),
    (disputes.blacklist(SOME), ANCHORS, "blacklistDisputeGame", (SOME,)),
    (disputes.retire_games(), ANCHORS, "updateRetirementTimestamp", ()),
    (disputes.payable_from(SOME, OTHER), VAULT, "payableFrom", (SOME, OTHER)),
]
"""What is sent, and what the ABI says of it."""


@pytest.mark.parametrize(("data", "contract", "name", "arguments"), CALLS)
def test_calls_are_those_of_the_abi(
    data: bytes, contract: Contract, name: str, arguments: tuple[object, ...]
) -> None:
    assert data == contract.input(name, *arguments)


@pytest.mark.parametrize(
    ("topic", "contract", "name"),
    [
        (disputes.ROOTS_PUBLISHED, "RootRegistry", "RootsPublished"),
        (disputes.ROOTS_SPANNED, "RootRegistry", "RootsSpanned"),
        (disputes.GAME_CREATED, "DisputeGameFactory", "DisputeGameCreated"),
        (disputes.FAULT_PROVEN, "NativeFaultGame", "FaultProven"),
        (disputes.RESOLVED, "NativeFaultGame", "Resolved"),
    ],
)
def test_topics_are_those_of_the_abi(topic: bytes, contract: str, name: str) -> None:
    (entry,) = [it for it in load(contract).abi if it["type"] == "event" and it["name"] == name]
    assert keccak256(signature(entry).encode()) == topic


@pytest.fixture(scope="module")
def made() -> tuple[DisputeWorld, Game]:
    """One game."""
    world = DisputeWorld.open()
    world.append([[]] * 3)
    return world, world.game(3)


def test_answers_are_read(made: tuple[DisputeWorld, Game]) -> None:
    """Given answers as the contracts give them, then each is read as what it means."""
    world, game = made

    def answer(contract: Contract, call: bytes) -> bytes:
        return world.network.world.ask(contract, call)

    _, claim, extra_data = world.data(game)
    created = world.network.world.number(game.contract, "createdAt")
    assert disputes.read_game_at_index(answer(FACTORY, disputes.game_at_index(0))) == (
        900,
        created,
        game.address,
    )
    found = disputes.read_game_of_claim(answer(FACTORY, disputes.game_of_claim(claim, extra_data)))
    assert found == game.address
    missing = answer(FACTORY, disputes.game_of_claim(claim, extra_data[:-1] + b"\0"))
    assert disputes.read_game_of_claim(missing) is None
    assert disputes.read_game_data(answer(game.contract, disputes.ask("gameData"))) == (
        900,
        claim,
        extra_data,
    )
    anchor = disputes.read_anchor(answer(ANCHORS, disputes.ask("getAnchorRoot")))
    assert anchor == (world.roots[0], 0)


@pytest.mark.parametrize(
    "read",
    [
        disputes.read_game_at_index,
        disputes.read_game_of_claim,
        disputes.read_game_data,
        disputes.read_anchor,
    ],
)
@pytest.mark.parametrize("answer", [b"", bytes(31), b"\xff" * 160])
def test_bytes_that_are_no_answer_are_refused(
    read: Callable[[bytes], object], answer: bytes
) -> None:
    with pytest.raises(Rejected):
        read(answer)


READERS: list[Callable[[list[bytes], bytes], object]] = [
    disputes.read_roots_published,
    disputes.read_roots_spanned,
    disputes.read_game_created,
    disputes.read_fault_proven,
    disputes.read_resolved,
]

TOPICS = [
    disputes.ROOTS_PUBLISHED,
    disputes.ROOTS_SPANNED,
    disputes.GAME_CREATED,
    disputes.FAULT_PROVEN,
    disputes.RESOLVED,
]


@given(
    first=st.sampled_from([*TOPICS, bytes(32)]),
    others=st.lists(st.binary(min_size=32, max_size=32), max_size=4),
    data=st.binary(max_size=256),
)
def test_any_log_is_read_or_none(first: bytes, others: list[bytes], data: bytes) -> None:
    """Given logs of hostile contracts, then no reader raises, and none takes another event for its own."""
    for reader, topic in zip(READERS, TOPICS, strict=True):
        assert first == topic or reader([first, *others], data) is None
        reader([topic, *others], data)
        assert reader([], data) is None


def test_an_end_that_is_none_is_not_read() -> None:
    for status in GameStatus:
        assert disputes.read_resolved([disputes.RESOLVED, status.to_bytes(32)], b"") is status
    for word in (bytes(31) + b"\x03", b"\xff" * 32):
        assert disputes.read_resolved([disputes.RESOLVED, word], b"") is None
    assert disputes.read_resolved([disputes.RESOLVED, bytes(32)], b"\0") is None


def test_addresses_are_those_of_the_contracts(made: tuple[DisputeWorld, Game]) -> None:
    world, game = made
    read = world.network.world.read

    def hexadecimal(address: bytes) -> str:
        return "0x" + address.hex()

    for name, address in (
        ("disputeGameFactory", addresses.DISPUTE_GAME_FACTORY),
        ("anchorStateRegistry", addresses.ANCHOR_STATE_REGISTRY),
        ("bondVault", addresses.BOND_VAULT),
        ("rootRegistry", addresses.ROOT_REGISTRY),
        ("inbox", addresses.INBOX),
    ):
        assert read(game.contract, name) == hexadecimal(address)
    assert read(FACTORY, "gameImplementation") == hexadecimal(addresses.NATIVE_FAULT_GAME)
    assert read(VAULT, "systemConfig") == hexadecimal(addresses.SYSTEM_CONFIG)
