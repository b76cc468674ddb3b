"""The factory: which claims become games, what a game costs, how games are found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.contracts import addresses
from node.contracts.disputes import read_game_created
from node.eth.hashing import keccak256
from node.eth.headers import header_of_block
from node.eth.primitives import ZERO_HASH, Address, BlockNumber, Hash32
from node.rollup.claims import Claim, RootTree
from tests.kit.contract_network import FORCER, GUARDIAN
from tests.kit.contract_world import Reverted
from tests.kit.dispute_world import (
    ANCHORS,
    BOND,
    FACTORY,
    IMPLEMENTATION,
    LIAR,
    PROPOSER,
    VAULT,
    DisputeWorld,
    wrong_root,
)
from tests.kit.execution_chain import address_of

OTHER_PARENT = Address(b"\x77" * 20)
"""No game."""


@pytest.fixture
def world() -> DisputeWorld:
    """Two records of four blocks each."""
    opened = DisputeWorld.open()
    opened.append([[]] * 4, advances=2)
    opened.append([[]] * 4, advances=1)
    return opened


def published(world: DisputeWorld, last: int, wrong: dict[int, Hash32] | None = None) -> RootTree:
    """Roots from genesis on."""
    tree = world.tree(0, last, wrong)
    world.publish(tree)
    return tree


# -- a game


def test_a_game_says_what_it_was_made_with(world: DisputeWorld) -> None:
    """Given a claim from the anchor, then each view, the log and the vault say what was put in."""
    tree = published(world, 6)
    game = world.create(tree, start=world.anchor())
    made = world.height

    def answer(name: str) -> object:
        return world.network.world.read(game.contract, name)

    extra_data = Claim(
        l2_block=BlockNumber(6), parent=None, roots_id=tree.id, accumulator=world.accumulator(6)
    ).encode()
    timestamp = header_of_block(world.network.world.chain.head.block).timestamp
    assert answer("gameData") == (900, tree.last, extra_data)
    assert (answer("gameType"), answer("rootClaim"), answer("extraData")) == (
        900,
        tree.last,
        extra_data,
    )
    assert (answer("status"), answer("resolvedAt"), answer("resolvedBlock")) == (0, 0, 0)
    assert (answer("createdAt"), answer("createdBlock")) == (timestamp, made)
    assert answer("gameCreator") == PROPOSER.address.lower()
    assert answer("l2BlockNumber") == answer("l2SequenceNumber") == 6
    assert (answer("startingBlockNumber"), answer("startingRootHash")) == (0, world.roots[0])
    assert answer("parentGame") == "0x" + "00" * 20
    assert (answer("rootsId"), answer("accumulator")) == (tree.id, world.accumulator(6))
    assert answer("wasRespectedGameTypeWhenCreated") is True
    assert answer("resolvableFrom") == made + 6
    assert answer("configHash") == world.parameters.config_hash()
    assert world.network.world.read(VAULT, "locked", game.address) == BOND
    assert world.network.world.balance(addresses.BOND_VAULT) == BOND


def test_a_child_starts_where_its_parent_ends(world: DisputeWorld) -> None:
    parent = world.game(3)
    child = world.game(8, parent=parent)
    read = world.network.world.read
    assert read(child.contract, "startingBlockNumber") == 3
    assert read(child.contract, "startingRootHash") == world.roots[3]
    assert read(child.contract, "parentGame") == "0x" + parent.address.hex()
    assert child.tree.roots == tuple(world.roots[4:9])


def test_a_claim_of_many_chunks_is_a_game(world: DisputeWorld) -> None:
    """Given more blocks than a chunk has roots, then a span of chunks is claimed."""
    for _ in range(3):
        world.append([[]] * 400)
    game = world.game(1_208)
    assert len(game.tree.chunks) == 2
    assert world.network.world.read(game.contract, "l2BlockNumber") == 1_208


# -- what is no claim


def refused(world: DisputeWorld, wanted: str, tree: RootTree, **changes: object) -> None:
    """A claim from the anchor that is refused, with its reason, and its bond is not taken."""
    held = world.network.world.balance(address_of(PROPOSER))
    with pytest.raises(Reverted) as reverted:
        world.create(tree, start=world.anchor(), **changes)  # type: ignore[arg-type]
    assert str(reverted.value) == wanted
    assert world.network.world.number(FACTORY, "gameCount") == 0
    assert world.network.world.balance(address_of(PROPOSER)) == held


def test_unpublished_roots_are_refused(world: DisputeWorld) -> None:
    tree = world.tree(0, 6)
    refused(world, f"UnknownRoots{(tree.id,)}", tree)


def test_roots_of_long_ago_are_refused(world: DisputeWorld) -> None:
    """Given roots that were published more than 256 blocks ago, then nobody need look for them: they make no game."""
    tree = published(world, 6)
    world.pass_blocks(256)
    refused(world, f"UnknownRoots{(tree.id,)}", tree)
    world.publish(tree)
    world.pass_blocks(255)
    world.create(tree, start=world.anchor())


def test_one_root_short_or_long_is_refused(world: DisputeWorld) -> None:
    """Given a claim of another block than its roots reach, then their name does not fit."""
    tree = published(world, 6)
    for block in (5, 7):
        accumulator = world.accumulator(block)
        refused(world, f"WrongRoots({block},)", tree, l2_block=block, accumulator=accumulator)


def test_a_last_root_that_is_not_the_claim_is_refused(world: DisputeWorld) -> None:
    tree = published(world, 6)
    claim = Claim(
        l2_block=BlockNumber(6), parent=None, roots_id=tree.id, accumulator=world.accumulator(6)
    )
    for other in (wrong_root(), world.roots[5], world.roots[7]):
        with pytest.raises(Reverted, match=r"WrongRoots\(6,\)"):
            world.network.world.transact(
                PROPOSER, FACTORY, "create", 900, other, claim.encode(), value=BOND
            )
    with pytest.raises(Reverted, match=r"ZeroClaim\(\)"):
        world.network.world.transact(
            PROPOSER, FACTORY, "create", 900, ZERO_HASH, claim.encode(), value=BOND
        )


def test_a_claim_without_blocks_or_with_too_many_is_refused(world: DisputeWorld) -> None:
    tree = published(world, 6)
    for block in (0, 65_537, 2**64 - 1, 2**64, 2**256 - 1):
        refused(world, "WrongCount(0,)", tree, l2_block=block, accumulator=ZERO_HASH)


def test_a_claim_beyond_the_inbox_is_refused(world: DisputeWorld) -> None:
    """Given roots of blocks that no record makes, then the Inbox itself refuses."""
    tree = RootTree((*world.roots[1:], wrong_root()))
    world.publish(tree)
    refused(world, "UnknownBlock(9,)", tree)


def test_a_claim_for_another_history_costs_nothing(world: DisputeWorld) -> None:
    """Given the accumulator of another record or of another fork, then the claim is refused with the right one."""
    tree = published(world, 6)
    right = world.accumulator(6)
    for other in (world.accumulator(2), wrong_root(), ZERO_HASH):
        refused(world, f"WrongAccumulator{(right,)}", tree, accumulator=other)


def test_a_parent_that_is_no_game_is_refused(world: DisputeWorld) -> None:
    """Given an account, a contract, the implementation or a game that looks like one, then it is no parent."""
    tree = published(world, 6)
    for parent in (
        OTHER_PARENT,
        address_of(PROPOSER),
        addresses.INBOX,
        addresses.NATIVE_FAULT_GAME,
        addresses.DISPUTE_GAME_FACTORY,
    ):
        refused(world, "InvalidParentGame()", tree, parent=parent)


def test_a_lost_stopped_or_retired_parent_is_refused(world: DisputeWorld) -> None:
    lost = world.game(2, wrong={2: wrong_root()}, sender=LIAR)
    stopped, retired = world.game(3), world.game(4)
    tree = world.tree(2, 6)
    world.publish(tree)
    world.prove(lost, 2)
    world.network.world.transact(GUARDIAN, ANCHORS, "blacklistDisputeGame", stopped.address)
    for parent in (lost, stopped):
        with pytest.raises(Reverted, match=r"InvalidParentGame\(\)"):
            world.game(6, parent=parent)
    world.game(6, parent=retired)
    world.network.world.transact(GUARDIAN, ANCHORS, "updateRetirementTimestamp")
    with pytest.raises(Reverted, match=r"InvalidParentGame\(\)"):
        world.game(7, parent=retired)


def test_a_parent_that_was_not_respected_is_refused(world: DisputeWorld) -> None:
    """Given a game made while games did not count, then it is a game, and no foundation of others."""
    world.network.world.transact(GUARDIAN, ANCHORS, "setRespectedGameType", 1)
    parent = world.game(3)
    assert world.network.world.read(parent.contract, "wasRespectedGameTypeWhenCreated") is False
    world.network.world.transact(GUARDIAN, ANCHORS, "setRespectedGameType", 900)
    with pytest.raises(Reverted, match=r"InvalidParentGame\(\)"):
        world.game(6, parent=parent)


@pytest.mark.parametrize("size", [0, 31, 100, 115, 117, 256])
def test_extra_data_of_another_length_is_refused(world: DisputeWorld, size: int) -> None:
    with pytest.raises(Reverted, match=r"BadExtraData\(\)"):
        world.network.world.transact(
            PROPOSER, FACTORY, "create", 900, wrong_root(), bytes(size), value=BOND
        )


def test_longer_extra_data_does_not_decode(world: DisputeWorld) -> None:
    with pytest.raises(Reverted, match=r"^\(\)$"):
        world.network.world.transact(
            PROPOSER, FACTORY, "create", 900, wrong_root(), bytes(257), value=BOND
        )


@pytest.mark.parametrize("value", [0, BOND - 1, BOND + 1])
def test_a_game_costs_its_bond_to_the_wei(world: DisputeWorld, value: int) -> None:
    refused(world, "IncorrectBondAmount()", published(world, 6), value=value)


@pytest.mark.parametrize("other", [0, 1, 6, 899, 901, 2**32 - 1])
def test_there_is_one_type_of_game(world: DisputeWorld, other: int) -> None:
    read = world.network.world.read
    with pytest.raises(Reverted, match=rf"NoImplementation\({other},\)"):
        world.network.world.transact(
            PROPOSER, FACTORY, "create", other, wrong_root(), bytes(116), value=BOND
        )
    assert read(FACTORY, "gameImpls", other) == "0x" + "00" * 20
    assert read(FACTORY, "initBonds", other) == 0
    assert read(FACTORY, "gameImpls", 900) == "0x" + addresses.NATIVE_FAULT_GAME.hex()
    assert read(FACTORY, "initBonds", 900) == BOND


# -- names


def test_a_squatted_claim_is_as_good_as_ones_own(world: DisputeWorld) -> None:
    """Given somebody who copied a true claim and was first, then it can't be made twice, and nobody can prove it false."""
    tree = published(world, 4)
    squatted = world.create(tree, start=world.anchor(), sender=LIAR)
    with pytest.raises(Reverted, match="GameAlreadyExists"):
        world.create(tree, start=world.anchor(), sender=PROPOSER)
    for number in range(1, 5):
        with pytest.raises(Reverted, match=r"NoFault\(\)"):
            world.prove(squatted, number)
    assert world.network.world.read(squatted.contract, "gameCreator") == LIAR.address.lower()


def test_a_name_and_an_address_follow_from_the_claim(world: DisputeWorld) -> None:
    """Given the same claim on two forks of L1, then its game has one address: nothing else goes into it."""
    game = world.game(4)
    again = DisputeWorld.open()
    again.append([[]] * 4, advances=2)
    again.append([[]] * 4, advances=1)
    again.game(7, sender=LIAR)
    assert again.game(4, sender=LIAR).address == game.address
    _, claim, extra_data = world.data(game)
    read = world.network.world.read
    uuid = read(FACTORY, "getGameUUID", 900, claim, extra_data)
    proxy = bytes.fromhex("602d3d8160093d39f3363d3d373d3d3d363d73") + addresses.NATIVE_FAULT_GAME
    proxy += bytes.fromhex("5af43d82803e903d91602b57fd5bf3")
    assert isinstance(uuid, bytes)
    made = keccak256(b"\xff" + addresses.DISPUTE_GAME_FACTORY + uuid + keccak256(proxy))
    assert made[12:] == game.address
    assert read(FACTORY, "gameByUUID", uuid) == "0x" + game.address.hex()


def test_games_are_found_by_claim_by_place_and_from_the_newest(world: DisputeWorld) -> None:
    """Given three games, then each way to look for them gives the same."""
    games = [world.game(last) for last in (2, 3, 5)]
    read = world.network.world.read
    created = [read(game.contract, "createdAt") for game in games]
    assert read(FACTORY, "gameCount") == 3
    for index, game in enumerate(games):
        _, claim, extra_data = world.data(game)
        address = "0x" + game.address.hex()
        assert read(FACTORY, "gameAtIndex", index) == (900, created[index], address)
        assert read(FACTORY, "games", 900, claim, extra_data) == (address, created[index])
    for count in (0, 3, 2**256 - 1):
        with pytest.raises(Reverted, match=r"UnknownGame\(3,\)"):
            read(FACTORY, "gameAtIndex", count + 3 if count < 9 else count)

    def found(start: int, count: int, game_type: int = 900) -> list[int]:
        rows = read(FACTORY, "findLatestGames", game_type, start, count)
        assert isinstance(rows, tuple)
        for index, metadata, timestamp, claim, extra_data in rows:
            packed = int.from_bytes(metadata)
            assert packed >> 224 == 900
            assert packed >> 160 & (2**64 - 1) == timestamp == created[index]
            assert (packed & (2**160 - 1)).to_bytes(20) == games[index].address
            assert claim == games[index].tree.last
            assert int.from_bytes(extra_data[:32]) == games[index].last_block
        return [row[0] for row in rows]

    assert found(2, 100) == [2, 1, 0]
    assert found(2, 2) == [2, 1]
    assert found(1, 100) == [1, 0]
    assert found(2, 0) == found(3, 100) == found(2, 100, 1) == found(2**256 - 1, 100) == []
    assert found(2, 2**256 - 1) == [2, 1, 0]


def test_a_game_is_logged(world: DisputeWorld) -> None:
    tree = published(world, 4)
    claim = Claim(
        l2_block=BlockNumber(4), parent=None, roots_id=tree.id, accumulator=world.accumulator(4)
    )
    receipt = world.network.world.transact(
        PROPOSER, FACTORY, "create", 900, tree.last, claim.encode(), value=BOND
    )
    logs = [log for log in receipt.logs if log.address == addresses.DISPUTE_GAME_FACTORY]
    created = read_game_created(logs[0].topics, logs[0].data)
    assert created is not None
    assert (created.game_type, created.root_claim) == (900, tree.last)
    read = world.network.world.read
    assert read(FACTORY, "gameAtIndex", 0)[2] == "0x" + created.game.hex()  # type: ignore[index]


# -- made once


def test_nobody_makes_a_game_but_the_factory(world: DisputeWorld) -> None:
    """Given a game, the implementation and any caller, then neither is initialised by hand, before or after."""
    game = world.game(4)
    arguments = (wrong_root(), bytes(116), address_of(LIAR))
    for contract in (game.contract, IMPLEMENTATION):
        for sender in (LIAR, PROPOSER, GUARDIAN):
            with pytest.raises(Reverted, match=r"NotFactory\(\)"):
                world.network.world.transact(sender, contract, "initialize", *arguments)


def test_a_game_is_made_once_even_by_the_factory(world: DisputeWorld) -> None:
    """Given the factory itself as the caller, then a game that was made refuses, and its claim stays."""
    game = world.game(4)
    data = game.contract.input("initialize", wrong_root(), bytes(116), address_of(LIAR))
    with pytest.raises(Reverted, match=r"AlreadyInitialized\(\)"):
        world.network.world.ask(game.contract, data, sender=addresses.DISPUTE_GAME_FACTORY)


def test_the_implementation_is_no_game(world: DisputeWorld) -> None:
    """Given the code of all games, then it has no claim, and nothing can be done with it."""
    assert (
        world.network.world.read(ANCHORS, "isGameRegistered", addresses.NATIVE_FAULT_GAME) is False
    )
    implementation = replace(world.game(4), contract=IMPLEMENTATION)
    with pytest.raises(Reverted, match=r"NotInProgress\(0,\)"):
        world.prove(implementation, 2)
    with pytest.raises(Reverted, match=r"NotInProgress\(0,\)"):
        world.resolve(implementation)
    with pytest.raises(Reverted, match=r"InvalidAnchorGame\(\)"):
        world.network.world.transact(FORCER, IMPLEMENTATION, "closeGame")
