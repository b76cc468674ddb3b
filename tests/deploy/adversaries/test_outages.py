"""Attacks on those who keep the bridge, and by number, on an L1 of real contracts."""

from __future__ import annotations

import pytest

from deploy.adversaries.acting import Actor, read_number
from deploy.adversaries.attack import Attack
from deploy.adversaries.guardian_pause import GUARDIAN_PAUSE
from deploy.adversaries.late_challenger import LATE_CHALLENGER
from deploy.adversaries.proposer_dead import PROPOSER_DEAD
from deploy.adversaries.stage import AttackFailed, Speaker
from deploy.adversaries.thousand_games import THOUSAND_GAMES, thousand_games
from node.contracts import disputes
from node.contracts.addresses import DISPUTE_GAME_FACTORY, SYSTEM_CONFIG
from node.contracts.withdrawals import is_paused
from tests.deploy.adversaries.bridge_world import BridgeWorld, open_world


@pytest.fixture
def world() -> BridgeWorld:
    return open_world()


def play(world: BridgeWorld, attack: Attack, **values: object) -> list[str]:
    """Play an attack that the network must hold against; gives what the network did."""
    verdict = attack.run(world.stage, attack.read(values))
    world.stage.clean_up()
    assert verdict.held, (verdict, world.told.lines)
    return world.told.of(Speaker.NETWORK)


def test_every_one_of_many_games_falls(world: BridgeWorld) -> None:
    seen = play(world, THOUSAND_GAMES, count=12)
    assert seen[-1].startswith("12 games are CHALLENGER_WINS")
    assert read_number(world.stage, DISPUTE_GAME_FACTORY, disputes.game_count()) == 12


def test_games_that_nobody_answers_are_told(world: BridgeWorld) -> None:
    world.processes.running.discard("watchtower")
    verdict = thousand_games(world.stage, THOUSAND_GAMES.read({"count": 2}))
    assert not verdict.held
    assert verdict.summary.startswith("2 of 2 false games were not disproved within ")


def test_who_comes_back_with_the_windows_last_block_is_in_time(world: BridgeWorld) -> None:
    seen = play(world, LATE_CHALLENGER)
    assert world.processes.asked == [("stop", "watchtower"), ("start", "watchtower")]
    assert any("proved the output false" in line for line in seen)


def test_a_stranger_claims_while_the_bridge_is_dead(world: BridgeWorld) -> None:
    world.propose()
    world.l2.number = 4
    world.l1.after_block.append(world.l2.grow)
    seen = play(world, PROPOSER_DEAD)
    assert world.processes.asked == [("stop", "bridge"), ("start", "bridge")]
    assert any(line.startswith("a stranger claimed L2 blocks") for line in seen)


def test_only_the_guardian_pauses_and_only_what_leaves(world: BridgeWorld) -> None:
    # Given an L2 on which deposits arrive
    world.propose()
    world.l2.number = 4
    world.l1.after_block.append(world.l2.grow)
    world.l2.is_generous = True
    seen = play(world, GUARDIAN_PAUSE)
    assert seen.count("refused: SuperchainConfig_OnlyGuardian()") == 2
    assert "proving: refused with OptimismPortal_CallPaused()" in seen
    assert not read_number(world.stage, SYSTEM_CONFIG, is_paused())


def test_a_pause_ends_though_the_attack_fails_in_the_middle(world: BridgeWorld) -> None:
    # Given an L2 on which no deposit ever arrives
    world.l2.number = 1
    with pytest.raises(AttackFailed, match="waited 120 s in vain for the deposit on the L2"):
        GUARDIAN_PAUSE.run(world.stage, {})
    assert read_number(world.stage, SYSTEM_CONFIG, is_paused())
    # When what it leaves is cleaned up
    world.stage.clean_up()
    # Then the bridge goes on
    assert not read_number(world.stage, SYSTEM_CONFIG, is_paused())


def test_without_the_guardians_key_there_is_nothing_to_play(world: BridgeWorld) -> None:
    world.stage.guardian = None
    with pytest.raises(AttackFailed, match="the guardian's key is not in this devnet's folder"):
        GUARDIAN_PAUSE.run(world.stage, {})


def test_an_adversary_never_acts_from_the_first_account(world: BridgeWorld) -> None:
    first = world.stage.accounts[0].address
    others = [Actor(world.stage, world.stage.account(place)) for place in (0, 1)]
    assert first not in [actor.account.address for actor in others]
