"""Attacks on claims and on proofs of withdrawals, on an L1 of real contracts."""

from __future__ import annotations

import pytest

from deploy.adversaries.acting import balance, read, read_number
from deploy.adversaries.attack import Attack
from deploy.adversaries.bad_claims import UNAVAILABLE_ROOTS
from deploy.adversaries.copied_proof import COPIED_PROOF
from deploy.adversaries.forged_proof import FORGED_PROOF, forgeries
from deploy.adversaries.forging import theft
from deploy.adversaries.prove_then_lose import PROVE_THEN_LOSE
from deploy.adversaries.squatted_game import SQUATTED_GAME
from deploy.adversaries.stage import Speaker
from deploy.adversaries.withdrawals import provable, withdraw
from node.contracts import disputes
from node.contracts.addresses import DISPUTE_GAME_FACTORY, PORTAL
from node.contracts.withdrawals import proof_count
from node.eth.primitives import Address
from tests.deploy.adversaries.bridge_world import BridgeWorld, open_world

TARGET = Address(b"\x44" * 20)


@pytest.fixture
def world() -> BridgeWorld:
    return open_world()


def play(world: BridgeWorld, attack: Attack) -> list[str]:
    """Play an attack that the network must hold against; gives what the network did."""
    verdict = attack.run(world.stage, attack.read({}))
    assert verdict.held, (verdict, world.told.lines)
    assert verdict.summary.endswith(".")
    return world.told.of(Speaker.NETWORK)


def test_claims_that_fit_nothing_are_refused_for_their_reason(world: BridgeWorld) -> None:
    seen = play(world, UNAVAILABLE_ROOTS)
    refusals = [line.removeprefix("refused: ") for line in seen if line.startswith("refused")]
    assert len(refusals) == 10
    assert "UnknownRoots()" in refusals
    assert "UnknownBlock()" in refusals
    assert read_number(world.stage, DISPUTE_GAME_FACTORY, disputes.game_count()) == 0


def test_a_copied_proof_ends_the_game_once(world: BridgeWorld) -> None:
    seen = play(world, COPIED_PROOF)
    assert any(line.startswith("the copy was first") for line in seen)
    assert any("0.1 ETH to 0x" in line for line in seen)


def test_a_squatted_claim_is_as_good_as_the_proposers(world: BridgeWorld) -> None:
    # Given a proposer who claims what is new, and an L2 that goes on
    world.propose()
    world.l2.number = 5
    world.l1.after_block.append(world.l2.grow)
    seen = play(world, SQUATTED_GAME)
    assert any("it is the squatter's" in line for line in seen)
    first = disputes.read_game_at_index(
        read(world.l1, DISPUTE_GAME_FACTORY, disputes.game_at_index(0))
    )[2]
    creator = read(world.l1, first, disputes.ask("gameCreator"))[12:]
    assert creator.hex() == world.stage.account().address[2:].lower()


def test_a_real_withdrawal_is_provable_once_it_is_claimed(world: BridgeWorld) -> None:
    world.propose()
    message, block = withdraw(world.stage, TARGET, 7)
    ready = provable(world.stage, message, block)
    world.stage.pause(0)
    world.proposer.do(PORTAL, ready.call())
    assert read_number(world.stage, PORTAL, proof_count(message.withdrawal_hash)) == 1


def test_forged_proofs_are_refused_for_their_reason(world: BridgeWorld) -> None:
    world.propose()
    world.l2.number = 4
    world.stage.pause(0)
    seen = play(world, FORGED_PROOF)
    reasons = {line for line in seen if line.startswith("refused: ")}
    assert reasons == {
        "refused: OptimismPortal_InvalidOutputRootProof()",
        "refused: OptimismPortal_InvalidMerkleProof()",
        "refused: OptimismPortal_BadTarget()",
    }


def test_every_forgery_is_another_call(world: BridgeWorld) -> None:
    truth = world.l2.output(3)
    stolen = theft(truth, thief=TARGET, value_wei=5, salt=1)
    calls = [forgery.call for forgery in forgeries(stolen, 0, truth, (b"root", b"leaf"))]
    assert len(set(calls)) == len(calls)


def test_a_theft_that_was_proven_is_refused_once_its_game_is_lost(world: BridgeWorld) -> None:
    before = balance(world.l1, PORTAL)
    seen = play(world, PROVE_THEN_LOSE)
    assert world.processes.asked == [("stop", "watchtower"), ("start", "watchtower")]
    assert any("OptimismPortal_InvalidRootClaim()" in line for line in seen)
    assert balance(world.l1, PORTAL) == before
