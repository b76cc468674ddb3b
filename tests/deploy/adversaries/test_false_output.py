"""A false output, on an L1 of real contracts whose STEP tells the truth."""

from __future__ import annotations

import pytest

from deploy.adversaries.acting import Reverted, balance, read_number
from deploy.adversaries.claims import claim, truth
from deploy.adversaries.false_output import FALSE_OUTPUT, STOLEN_WEI, false_output, lie
from deploy.adversaries.stage import AttackFailed, Speaker
from node.contracts import disputes
from node.contracts.addresses import DISPUTE_GAME_FACTORY, PORTAL
from node.eth.primitives import Address
from tests.deploy.adversaries.bridge_world import BridgeWorld, open_world

THIEF = Address(b"\x66" * 20)


@pytest.fixture
def world() -> BridgeWorld:
    return open_world()


@pytest.mark.parametrize(("at", "place"), [("first", 0), ("middle", 1), ("last", 2)])
def test_a_lie_is_true_up_to_its_place_and_pays_in_the_end(
    world: BridgeWorld, at: str, place: int
) -> None:
    honest = truth(world.stage)
    told = lie(honest, at, THIEF, salt=7)
    assert told.first_false == place
    assert told.roots[:place] == honest.roots[:place]
    assert all(a != b for a, b in zip(told.roots[place:], honest.roots[place:], strict=True))
    assert told.roots[-1] == told.theft.output.root()
    assert told.theft.output.state_root == honest.outputs[-1].state_root


@pytest.mark.parametrize("at", ["first", "middle", "last"])
@pytest.mark.parametrize("parent", ["valid", "orphan"])
def test_the_lie_falls_wherever_it_begins(world: BridgeWorld, at: str, parent: str) -> None:
    before = balance(world.l1, PORTAL)
    verdict = false_output(world.stage, FALSE_OUTPUT.read({"at": at, "parent": parent}))
    assert verdict.held, (verdict, world.told.lines)
    seen = world.told.of(Speaker.NETWORK)
    assert any("is CHALLENGER_WINS" in line for line in seen)
    assert any(line.startswith("the bond: 0.1 ETH to 0x") for line in seen)
    assert any("0.9 ETH burned, 0 ETH left in the vault" in line for line in seen)
    assert balance(world.l1, PORTAL) == before
    assert before > STOLEN_WEI


def test_the_frozen_withdrawal_is_shown(world: BridgeWorld) -> None:
    assert false_output(world.stage, FALSE_OUTPUT.read({})).held
    seen = world.told.of(Speaker.NETWORK)
    [proven] = [line for line in seen if line.startswith("the withdrawal was proven in L1 block")]
    assert "is frozen: a lost game never becomes valid (OptimismPortal_" in proven
    assert "proving it again is refused: OptimismPortal_InvalidDisputeGame()" in seen


def test_a_lie_that_nobody_answers_is_told(world: BridgeWorld) -> None:
    world.processes.running.discard("watchtower")
    with pytest.raises(
        AttackFailed, match="waited 90 s in vain for a proof against the false game"
    ):
        false_output(world.stage, FALSE_OUTPUT.read({}))


def test_a_truth_starts_from_the_newest_true_game(world: BridgeWorld) -> None:
    # Given a true game, and a false one after it
    first = truth(world.stage)
    assert (first.parent, first.start) == (None, 0)
    true_game = claim(world.stage, world.proposer, first, first.roots)
    verdict = false_output(world.stage, FALSE_OUTPUT.read({}))
    assert verdict.held
    # When somebody asks what can be claimed
    found = truth(world.stage)
    # Then it starts from the true one
    assert (found.parent, found.start) == (true_game.game, first.last_block)
    assert read_number(world.stage, DISPUTE_GAME_FACTORY, disputes.game_count()) == 2


def test_an_unknown_place_is_refused() -> None:
    with pytest.raises(ValueError, match="false-output: parameter 'at': want one of first, "):
        FALSE_OUTPUT.read({"at": "second"})


def test_a_call_that_reverts_names_the_contracts_reason(world: BridgeWorld) -> None:
    with pytest.raises(Reverted, match=r"IncorrectBondAmount\(\)"):
        world.proposer.send(
            DISPUTE_GAME_FACTORY, disputes.create(world.l2.output(1).root(), bytes(116))
        )
