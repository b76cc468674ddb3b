"""Which games count: registered, respected, not stopped, decided, and the air gap behind them; where new ones start."""

from __future__ import annotations

from typing import Final

import pytest

from node.contracts import addresses
from node.contracts.disputes import game_at_index, read_game_at_index
from node.eth.primitives import Address
from tests.kit.contract_network import FORCER, GUARDIAN
from tests.kit.contract_world import Contract, Reverted
from tests.kit.dispute_world import (
    AIR_GAP,
    ANCHORS,
    BOND,
    CHALLENGER,
    CHALLENGER_WINS,
    DEFENDER_WINS,
    FACTORY,
    IMPLEMENTATION,
    LIAR,
    PROPOSER,
    DisputeWorld,
    Game,
    wrong_root,
)
from tests.kit.execution_chain import address_of
from tests.node.contracts.disputes.ends import stand

QUESTIONS: Final = (
    "isGameRegistered",
    "isGameRespected",
    "isGameBlacklisted",
    "isGameRetired",
    "isGameResolved",
    "isGameProper",
    "isGameFinalized",
    "isGameClaimValid",
    "isGameFoundation",
)
"""What can be asked about a game."""


def answers(world: DisputeWorld, game: Game) -> set[str]:
    """The questions that are answered with yes."""
    return {name for name in QUESTIONS if world.network.world.read(ANCHORS, name, game.address)}


def guardian(world: DisputeWorld, name: str, *arguments: object) -> None:
    """One act of the guardian's."""
    world.network.world.transact(GUARDIAN, ANCHORS, name, *arguments)


def pause(world: DisputeWorld, name: str = "pause") -> None:
    """The guardian pauses everything, or lets go."""
    world.network.world.transact(GUARDIAN, world.network.system_config, name, bytes(20))


FRESH: Final = {"isGameRegistered", "isGameRespected", "isGameProper", "isGameFoundation"}
"""Of a game that was just made."""


# -- a game's life


def test_a_game_counts_when_the_air_gap_is_over(world: DisputeWorld) -> None:
    """Given a game resolved in block R, then up to R + 2 it does not count, and in R + 3 it does."""
    game = world.game(6)
    assert answers(world, game) == FRESH
    stand(world, game)
    for _ in range(AIR_GAP + 1):
        assert answers(world, game) == FRESH | {"isGameResolved"}
        world.pass_blocks(1)
    assert world.height == world.network.world.number(game.contract, "resolvedBlock") + AIR_GAP + 1
    assert answers(world, game) == FRESH | {
        "isGameResolved",
        "isGameFinalized",
        "isGameClaimValid",
    }


def test_a_lost_game_never_counts(world: DisputeWorld) -> None:
    game = world.game(6, wrong={3: wrong_root()}, sender=LIAR)
    world.prove(game, 3)
    world.pass_blocks(AIR_GAP + 2)
    assert answers(world, game) == {
        "isGameRegistered",
        "isGameRespected",
        "isGameProper",
        "isGameResolved",
        "isGameFinalized",
    }
    with pytest.raises(Reverted, match="InvalidAnchorGame"):
        world.network.world.transact(LIAR, game.contract, "closeGame")


# -- the anchor


def test_the_first_games_start_from_genesis(world: DisputeWorld) -> None:
    read = world.network.world.read
    assert world.anchor() == (world.roots[0], 0)
    assert read(ANCHORS, "anchors", 900) == read(ANCHORS, "getAnchorRoot")
    assert read(ANCHORS, "anchorGame") == "0x" + "00" * 20
    assert read(ANCHORS, "startingRoot") == world.roots[0]


def test_the_anchor_moves_to_valid_claims_and_forwards_only(world: DisputeWorld) -> None:
    """Given valid claims of blocks 4, 6 and 6 again by another parent, then the anchor takes the first newer one each time."""
    first, second = world.game(4), world.game(6)
    third = world.game(6, parent=first)
    for game in (first, second, third):
        stand(world, game)

    def close(game: Game) -> None:
        world.network.world.transact(FORCER, game.contract, "closeGame")

    with pytest.raises(Reverted, match="InvalidAnchorGame"):
        close(third)
    world.pass_blocks(AIR_GAP)
    close(second)
    assert world.anchor() == (world.roots[6], 6)
    for game in (first, second, third):
        with pytest.raises(Reverted, match="InvalidAnchorGame"):
            close(game)
    assert world.anchor() == (world.roots[6], 6)

    after = world.game(8)
    assert (after.start_block, after.start_root) == (6, world.roots[6])
    wrong = world.game(7, wrong={7: wrong_root()}, sender=LIAR)
    world.prove(wrong, 7)
    assert world.status(wrong) == CHALLENGER_WINS


@pytest.mark.parametrize("early", range(AIR_GAP + 1))
def test_the_anchor_waits_for_the_air_gap(world: DisputeWorld, early: int) -> None:
    game = world.game(6)
    stand(world, game)
    world.pass_blocks(early)
    data = game.contract.input("closeGame")
    (receipt,) = world.network.world.mine(
        [world.network.world.signed(FORCER, game.address, data, gas=1_000_000)]
    )
    assert receipt.succeeded is (early == AIR_GAP)
    assert world.anchor()[1] == (6 if early == AIR_GAP else 0)


def test_no_game_starts_behind_the_anchor(world: DisputeWorld) -> None:
    """Given an anchor at block 6, then a game that ends at 4 is no parent any more, and one that ends at 6 or 7 is.

    Who watches keeps the L2's states from the anchor on: what starts before it could not be proven false.
    """
    behind, anchor = world.game(4), world.game(6)
    ahead = world.game(7, parent=anchor)
    stand(world, behind)
    stand(world, anchor)
    world.pass_blocks(AIR_GAP)
    world.game(5, parent=behind)
    world.network.world.transact(FORCER, anchor.contract, "closeGame")
    with pytest.raises(Reverted, match=r"InvalidParentGame\(\)"):
        world.game(8, parent=behind)
    for parent in (anchor, ahead):
        assert world.game(8, parent=parent).start_block == parent.last_block


def anchored(world: DisputeWorld, *blocks: int) -> list[Game]:
    """Games from genesis to each of these blocks that all stand and whose air gaps have passed."""
    games = [world.game(block) for block in blocks]
    for game in games:
        stand(world, game)
    world.pass_blocks(AIR_GAP)
    return games


def close(world: DisputeWorld, game: Game) -> None:
    """Anybody makes a game the anchor."""
    world.network.world.transact(FORCER, game.contract, "closeGame")


def lowest_start(world: DisputeWorld) -> int:
    """Below which L2 block no game starts any more."""
    return world.network.world.number(ANCHORS, "lowestStart")


def test_a_blacklisted_anchor_gives_way_to_the_one_before(world: DisputeWorld) -> None:
    """Given anchors at 4 and 6, when the guardian stops that at 6, then games start at 4, and none below.

    Nodes have dropped what lies below the anchor before: a false claim that starts there could not be proven false.
    """
    oldest, first, between, second = anchored(world, 2, 4, 5, 6)
    close(world, first)
    assert (world.anchor(), lowest_start(world)) == ((world.roots[4], 4), 0)
    close(world, second)
    assert (world.anchor(), lowest_start(world)) == ((world.roots[6], 6), 4)
    guardian(world, "blacklistDisputeGame", second.address)
    assert (world.anchor(), lowest_start(world)) == ((world.roots[4], 4), 4)

    assert world.game(8).start_block == 4
    for parent in (oldest, second):
        with pytest.raises(Reverted, match=r"^InvalidParentGame\(\)$"):
            world.game(8, parent=parent, wrong={8: wrong_root()}, sender=LIAR)
    for game in (oldest, first, second):
        with pytest.raises(Reverted, match="InvalidAnchorGame"):
            close(world, game)

    # And the chain of claims goes on from there, as if the stopped one had never been the anchor
    close(world, between)
    assert (world.anchor(), lowest_start(world)) == ((world.roots[5], 5), 4)
    guardian(world, "blacklistDisputeGame", between.address)
    assert world.anchor() == (world.roots[4], 4)


def test_the_first_anchor_gives_way_to_genesis(world: DisputeWorld) -> None:
    """Given the first anchor, when the guardian stops it, then games start from genesis: no state was dropped yet."""
    (first,) = anchored(world, 4)
    close(world, first)
    guardian(world, "blacklistDisputeGame", first.address)
    guardian(world, "blacklistDisputeGame", bytes(20))
    assert (world.anchor(), lowest_start(world)) == ((world.roots[0], 0), 0)
    assert world.game(8).start_block == 0


def test_without_an_anchor_claims_start_from_games_that_count_alone(world: DisputeWorld) -> None:
    """Given two anchors that the guardian stops both, then only games not below the older one are built on."""
    oldest, first = anchored(world, 2, 4)
    beside = world.game(4, parent=world.game(3))
    between, second = anchored(world, 5, 6)
    close(world, first)
    close(world, second)
    # Also the older one first, which changes nothing yet
    guardian(world, "blacklistDisputeGame", first.address)
    assert world.anchor() == (world.roots[6], 6)
    guardian(world, "blacklistDisputeGame", second.address)
    assert (world.anchor(), lowest_start(world)) == ((bytes(32), 4), 4)
    for parent in (None, oldest, first, second):
        with pytest.raises(Reverted, match=r"^InvalidParentGame\(\)$"):
            world.game(8, parent=parent, wrong={8: wrong_root()}, sender=LIAR)
    for parent in (beside, between):
        assert world.game(8, parent=parent).start_block == parent.last_block
    for game in (oldest, first, second):
        with pytest.raises(Reverted, match="InvalidAnchorGame"):
            close(world, game)

    # And a valid game above makes claims without a parent possible again
    close(world, between)
    assert (world.anchor(), lowest_start(world)) == ((world.roots[5], 5), 4)
    assert world.game(7).start_block == 5


def test_retired_anchors_stay_anchors(world: DisputeWorld) -> None:
    """Given an anchor that is stopped and all games retired, as after a lie that stood, then claims go on from the one before."""
    first, second = anchored(world, 4, 6)
    close(world, first)
    close(world, second)
    guardian(world, "blacklistDisputeGame", second.address)
    guardian(world, "updateRetirementTimestamp")
    world.pass_blocks(1)
    after = world.game(8)
    assert after.start_block == 4
    stand(world, after)
    world.pass_blocks(AIR_GAP)
    close(world, after)
    assert (world.anchor(), lowest_start(world)) == ((world.roots[8], 8), 4)


def test_a_claim_made_before_the_anchor_moved_is_refused(world: DisputeWorld) -> None:
    """Given a claim that starts from genesis, when the anchor has moved on meanwhile, then it costs nothing."""
    game = world.game(4)
    tree = world.tree(0, 8)
    world.publish(tree)
    stand(world, game)
    world.pass_blocks(AIR_GAP)
    world.network.world.transact(FORCER, game.contract, "closeGame")
    with pytest.raises(Reverted, match=r"WrongRoots\(4,\)"):
        world.create(tree, start=(world.roots[0], 0))


# -- the guardian


def test_nobody_but_the_guardian_stops_games(world: DisputeWorld) -> None:
    game = world.game(6)
    for sender in (PROPOSER, CHALLENGER, FORCER):
        for name, arguments in (
            ("blacklistDisputeGame", (game.address,)),
            ("updateRetirementTimestamp", ()),
            ("setRespectedGameType", (1,)),
        ):
            with pytest.raises(Reverted, match="AnchorStateRegistry_Unauthorized"):
                world.network.world.transact(sender, ANCHORS, name, *arguments)
    assert answers(world, game) == FRESH


def test_a_blacklisted_game_counts_no_more(world: DisputeWorld) -> None:
    """Given a game that stands, then the guardian stops it for good, and its bond is its maker's all the same."""
    game, other = world.game(6), world.game(5)
    stand(world, game)
    guardian(world, "blacklistDisputeGame", game.address)
    world.pass_blocks(AIR_GAP)
    assert answers(world, game) == {
        "isGameRegistered",
        "isGameRespected",
        "isGameBlacklisted",
        "isGameResolved",
        "isGameFinalized",
    }
    assert world.network.world.read(ANCHORS, "disputeGameBlacklist", game.address) is True
    assert answers(world, other) == FRESH
    with pytest.raises(Reverted, match="InvalidAnchorGame"):
        world.network.world.transact(FORCER, game.contract, "closeGame")
    world.network.world.transact(FORCER, game.contract, "claimCredit", address_of(PROPOSER))


def test_retired_games_count_no_more_and_later_ones_do(world: DisputeWorld) -> None:
    """Given games before, in and after the block of the guardian's act, then only those after count."""
    before = world.game(4)
    tree = world.tree(0, 5)
    world.publish(tree)
    kit = world.network.world
    retire = kit.signed(GUARDIAN, ANCHORS.address, ANCHORS.input("updateRetirementTimestamp"))
    kit.mine([retire])
    after = world.game(6)
    assert answers(world, before) == {"isGameRegistered", "isGameRespected", "isGameRetired"}
    assert answers(world, after) == FRESH
    guardian(world, "updateRetirementTimestamp")
    same = world.network.world.number(ANCHORS, "retirementTimestamp")
    assert same > world.network.world.number(after.contract, "createdAt")
    assert "isGameRetired" in answers(world, after)


def test_the_guardian_stops_games_of_a_type_and_past_ones_stay(world: DisputeWorld) -> None:
    past = world.game(4)
    guardian(world, "setRespectedGameType", 0)
    assert world.network.world.read(ANCHORS, "respectedGameType") == 0
    unrespected = world.game(5)
    guardian(world, "setRespectedGameType", 900)
    assert world.network.world.read(ANCHORS, "respectedGameType") == 900
    assert answers(world, past) == FRESH
    assert answers(world, unrespected) == {"isGameRegistered", "isGameProper"}


def test_a_game_of_the_very_block_is_retired(world: DisputeWorld) -> None:
    """Given a game made behind the guardian's act in the same block, then it is retired with those before it."""
    tree = world.tree(0, 5)
    world.publish(tree)
    kit = world.network.world
    claim = world.claim(tree, start=world.anchor())
    create = FACTORY.input("create", 900, tree.last, claim.encode())
    raws = [
        kit.signed(GUARDIAN, ANCHORS.address, ANCHORS.input("updateRetirementTimestamp")),
        kit.signed(PROPOSER, FACTORY.address, create, value=BOND, gas=2_000_000),
    ]
    assert [receipt.succeeded for receipt in kit.mine(raws)] == [True, True]
    address = read_game_at_index(kit.ask(FACTORY, game_at_index(0)))[2]
    assert kit.read(ANCHORS, "isGameRegistered", address) is True
    assert kit.read(ANCHORS, "isGameRetired", address) is True


def test_a_game_that_was_not_respected_never_counts(world: DisputeWorld) -> None:
    """Given a game made while games did not count, then it may stand, and its claim is still worth nothing."""
    guardian(world, "setRespectedGameType", 0)
    game = world.game(5)
    guardian(world, "setRespectedGameType", 900)
    stand(world, game)
    world.pass_blocks(AIR_GAP + 1)
    assert answers(world, game) == {
        "isGameRegistered",
        "isGameProper",
        "isGameResolved",
        "isGameFinalized",
    }
    with pytest.raises(Reverted, match="InvalidAnchorGame"):
        world.network.world.transact(FORCER, game.contract, "closeGame")


def test_a_pause_stops_what_leaves_and_not_what_protects(world: DisputeWorld) -> None:
    """Given a pause, then no claim counts and no bond is paid; games are made, proven false and resolved as ever."""
    stands = world.game(4)
    stand(world, stands)
    world.pass_blocks(AIR_GAP)
    pause(world)
    assert world.network.world.read(ANCHORS, "paused") is True
    assert answers(world, stands) == (FRESH | {"isGameResolved", "isGameFinalized"}) - {
        "isGameProper"
    }
    with pytest.raises(Reverted, match="InvalidAnchorGame"):
        world.network.world.transact(FORCER, stands.contract, "closeGame")
    with pytest.raises(Reverted, match=r"^Paused\(\)$"):
        world.network.world.transact(FORCER, stands.contract, "claimCredit", address_of(PROPOSER))
    false, true = world.game(8, wrong={7: wrong_root()}, sender=LIAR), world.game(6)
    world.prove(false, 7)
    stand(world, true)
    assert (world.status(false), world.status(true)) == (CHALLENGER_WINS, DEFENDER_WINS)
    pause(world, "unpause")
    world.network.world.transact(FORCER, stands.contract, "claimCredit", address_of(PROPOSER))
    assert world.is_valid(stands)


def test_the_guardian_cannot_stop_a_proof(world: DisputeWorld) -> None:
    """Given a game that is blacklisted, retired, unrespected and paused, then it is still proven false."""
    game = world.game(6, wrong={3: wrong_root()}, sender=LIAR)
    guardian(world, "blacklistDisputeGame", game.address)
    guardian(world, "updateRetirementTimestamp")
    guardian(world, "setRespectedGameType", 1)
    pause(world)
    world.prove(game, 3)
    assert world.status(game) == CHALLENGER_WINS
    assert world.network.world.number(ANCHORS, "lastFaultBlock") == world.height


# -- what is no game


def test_only_games_of_the_factory_are_registered(world: DisputeWorld) -> None:
    game = world.game(6)
    read = world.network.world.read
    assert read(ANCHORS, "isGameRegistered", game.address) is True
    for other in (
        bytes(20),
        address_of(PROPOSER),
        addresses.INBOX,
        addresses.NATIVE_FAULT_GAME,
        addresses.ANCHOR_STATE_REGISTRY,
    ):
        assert read(ANCHORS, "isGameRegistered", other) is False
        assert read(ANCHORS, "isGameProper", other) is False
        assert read(ANCHORS, "isGameClaimValid", other) is False
        assert read(ANCHORS, "isGameFoundation", other) is False


def test_a_contract_that_talks_like_a_game_is_none(world: DisputeWorld) -> None:
    """Given a proxy of a true game's answers, then it is not the game, can't be the anchor, and notes no fault."""
    game = world.game(6)
    stand(world, game)
    world.pass_blocks(AIR_GAP)
    # A minimal proxy would have no claim of its own; this one asks the game itself and answers what it says.
    call = bytes.fromhex("365f5f375f5f365f5f73") + game.address + bytes.fromhex("5af1")
    code = call + bytes.fromhex("3d5f5f3e602a573d5ffd5b3d5ff3")
    init = bytes.fromhex("60") + bytes([len(code)]) + bytes.fromhex("80600a5f395ff3")
    created = world.network.world.send(LIAR, None, init.ljust(10, b"\0") + code).contract
    assert created is not None
    mimic = Contract(IMPLEMENTATION.artifact, Address(created))
    read = world.network.world.read
    assert read(mimic, "gameData") == world.data(game)
    assert read(mimic, "status") == DEFENDER_WINS
    assert read(ANCHORS, "isGameRegistered", created) is False
    assert read(ANCHORS, "isGameClaimValid", created) is False
    for name, arguments in (("setAnchorState", (created,)), ("noteFault", ())):
        with pytest.raises(Reverted, match="AnchorStateRegistry_"):
            world.network.world.transact(LIAR, ANCHORS, name, *arguments)


def test_a_stranger_notes_no_fault(world: DisputeWorld) -> None:
    """Given anybody who would hold all games back, then only a game that was proven false can."""
    for sender in (LIAR, GUARDIAN, PROPOSER):
        with pytest.raises(Reverted, match="AnchorStateRegistry_Unauthorized"):
            world.network.world.transact(sender, ANCHORS, "noteFault")
    assert world.network.world.number(ANCHORS, "lastFaultBlock") == 0


def test_the_registry_says_who_stands_behind_it(world: DisputeWorld) -> None:
    read = world.network.world.read
    assert read(ANCHORS, "disputeGameFactory") == "0x" + addresses.DISPUTE_GAME_FACTORY.hex()
    assert read(ANCHORS, "systemConfig") == "0x" + addresses.SYSTEM_CONFIG.hex()
    assert read(ANCHORS, "superchainConfig") == read(ANCHORS, "systemConfig")
    assert read(ANCHORS, "guardian") == GUARDIAN.address.lower()
    assert read(ANCHORS, "airGapBlocks") == AIR_GAP
    assert read(FACTORY, "version") == "1.2.0"
