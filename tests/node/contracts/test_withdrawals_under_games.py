"""Withdrawals under the real games: an L2 of its own, real STEP, L1's own finality, the contracts as they are.

message on L2 -> Inbox -> game -> proof -> window, finality, air gap -> finalized;    or the game falls first
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from node.contracts import addresses
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32
from node.rollup.outputs import (
    BridgeWithdrawal,
    message_nonce,
    sent_messages_slot,
)
from tests.kit.contract_network import LOCKED_WEI
from tests.kit.contract_world import Reverted
from tests.kit.dispute_world import (
    AIR_GAP,
    ANCHORS,
    CHALLENGE_WINDOW,
    CHALLENGER_WINS,
    FACTORY,
    LIAR,
    wrong_root,
)
from tests.kit.execution_chain import DEPOSITOR, ETHER, SENDER, address_of
from tests.kit.tries import Trie
from tests.kit.withdrawal_world import transaction, words
from tests.kit.withdrawing import LAST, TARGET, Withdrawing, named

STEP: Final = Address((0x0101).to_bytes(20))
"""The precompile."""

INVALID: Final = "OptimismPortal_InvalidRootClaim"
"""The game's claim does not stand, or not yet."""


def refusal(act: Callable[[], object]) -> str:
    """The error that an act ends with."""
    with pytest.raises(Reverted) as reverted:
        act()
    return reverted.value.name


def test_a_message_of_l2_is_paid_on_l1() -> None:
    """Given an honest game, then each stage has its own refusal, and what L2 burnt L1 pays, to the wei."""
    it = Withdrawing.open()
    assert refusal(it.finalize) == "OptimismPortal_Unproven"
    game = it.world.game(LAST)
    it.prove(0)
    assert refusal(it.finalize) == "OptimismPortal_ProofNotOldEnough"
    it.mature()
    it.win(game)
    # The block of the resolution plus the air gap is still too early; the next one is not.
    it.world.pass_blocks(AIR_GAP - 1)
    assert refusal(it.finalize) == INVALID
    it.world.pass_blocks(1)
    receipt = it.finalize()
    assert it.portal.events(receipt, "WithdrawalFinalized") == [
        {"withdrawalHash": it.message.withdrawal_hash, "success": True}
    ]
    assert it.world.network.world.balance(TARGET) == 3 * ETHER
    assert it.locked_wei() == LOCKED_WEI - 3 * ETHER
    assert refusal(it.finalize) == "OptimismPortal_AlreadyFinalized"


def test_a_later_game_holds_earlier_messages_and_an_earlier_one_does_not_hold_later_ones() -> None:
    it = Withdrawing.open()
    first = it.world.game(1)
    it.world.game(LAST, parent=first)
    expected = "OptimismPortal_InvalidMerkleProof"
    early = (transaction(it.message), 0, words(it.output(1)), it.nodes(LAST))
    network = it.world.network.world
    assert (
        refusal(
            lambda: network.transact(DEPOSITOR, it.portal, "proveWithdrawalTransaction", *early)
        )
        == expected
    )
    assert refusal(lambda: it.prove(0, 1)) == expected
    it.prove(1)


def test_a_game_of_the_same_block_is_too_young() -> None:
    """Given a proof in the very block that creates its game, then it is refused; in the next block it is not."""
    it = Withdrawing.open()
    world = it.world.network.world
    tree = it.world.tree(0, LAST)
    it.world.publish(tree)
    before = it.world.moment()
    it.world.create(tree, start=it.world.anchor())
    create = world.chain.engine.raw_transactions(world.chain.head.block)
    it.world.reorganise(before)
    # The same creation again, and the proof behind it in one block.
    data = it.portal.input("proveWithdrawalTransaction", *it.arguments(0))
    proof = world.signed(DEPOSITOR, addresses.PORTAL, data)
    created, proven = world.mine([*create, proof])
    assert created.succeeded
    assert not proven.succeeded
    assert it.world.network.world.number(FACTORY, "gameCount") == 1
    it.prove(0)


def test_there_is_no_game_behind_the_last_one() -> None:
    it = Withdrawing.open()
    it.world.game(LAST)
    for index in (1, 2**255):
        with pytest.raises(Reverted):
            it.prove(index)


def test_a_forged_message_under_a_false_claim_is_never_paid() -> None:
    """Given a claim whose message passer holds what L2 never sent, then it can be proven, until one proof of fault fells it."""
    it = Withdrawing.open()
    loot = named(
        BridgeWithdrawal(
            nonce=message_nonce(1),
            sender=address_of(LIAR),
            target=address_of(LIAR),
            value=LOCKED_WEI,
            gas_limit=0,
            data=b"",
        )
    )
    slot = sent_messages_slot(loot.withdrawal_hash)
    forged = Trie({bytes(keccak256(slot)): b"\x01"})
    lie = replace(it.output(), message_passer_root=Hash32(forged.root))
    game = it.world.game(LAST, wrong={LAST: lie.root()}, sender=LIAR)
    world = it.world.network.world
    arguments = (transaction(loot), 0, words(lie), forged.proof(keccak256(slot)))
    finalize = (LIAR, it.portal, "finalizeWithdrawalTransaction", transaction(loot))
    world.transact(LIAR, it.portal, "proveWithdrawalTransaction", *arguments)

    it.mature()
    assert refusal(lambda: world.transact(*finalize)) == INVALID
    it.world.prove(game, LAST)
    assert it.world.status(game) == CHALLENGER_WINS
    assert refusal(lambda: world.transact(*finalize)) == INVALID
    again = refusal(
        lambda: world.transact(LIAR, it.portal, "proveWithdrawalTransaction", *arguments)
    )
    assert again == "OptimismPortal_InvalidDisputeGame"
    it.mature()
    assert refusal(lambda: world.transact(*finalize)) == INVALID
    assert it.locked_wei() == LOCKED_WEI


def test_proven_then_lost_then_proven_again() -> None:
    """Given a true message under a claim that is false elsewhere, then it waits for a true game, and is paid once."""
    it = Withdrawing.open()
    # The last root is true, one before it is not: the message's own output is right, the game is not.
    false = it.world.game(LAST, wrong={1: wrong_root()}, sender=LIAR)
    it.prove(0)
    it.world.prove(false, 1)
    it.mature()
    assert refusal(it.finalize) == INVALID

    true = it.world.game(LAST)
    it.prove(1)
    it.win(true)
    it.mature()
    it.finalize()
    assert it.world.network.world.balance(TARGET) == 3 * ETHER


def test_a_child_of_a_false_game_pays_nothing() -> None:
    """Given a true claim on a false parent, then it falls with it, and what was proven under it waits."""
    it = Withdrawing.open()
    parent = it.world.game(1, wrong={1: wrong_root()}, sender=LIAR)
    child = it.world.game(LAST, parent=parent)
    it.prove(1)
    it.world.prove(parent, 1)
    created = it.world.network.world.number(child.contract, "createdBlock")
    it.mature()
    it.world.pass_until_final(created + CHALLENGE_WINDOW)
    it.world.resolve(child)
    assert it.world.status(child) == CHALLENGER_WINS
    it.mature()
    assert refusal(it.finalize) == INVALID


def test_no_time_is_long_enough_while_nothing_is_final() -> None:
    """Given a stalled finality, then a proof matures for nothing; once blocks are final again it goes on."""
    it = Withdrawing.open()
    game = it.world.game(LAST)
    it.prove(0)
    it.world.stalled_at = it.world.finalized(it.world.height)
    it.world.pass_blocks(100)
    with pytest.raises(Reverted):
        it.world.resolve(game)
    assert refusal(it.finalize) == INVALID
    it.world.stalled_at = None
    it.world.pass_blocks(2)
    it.win(game)
    it.world.pass_blocks(AIR_GAP)
    it.finalize()


@pytest.mark.parametrize("is_won", [False, True])
def test_what_the_guardian_strikes_pays_nothing(is_won: bool) -> None:
    """Given a game struck before or after it was won, within its air gap, then neither old nor new proofs count."""
    it = Withdrawing.open()
    game = it.world.game(LAST)
    it.prove(0)
    it.mature()
    if is_won:
        it.win(game)
    it.guard(ANCHORS, "blacklistDisputeGame", game.address)
    assert it.world.network.world.read(it.portal, "disputeGameBlacklist", game.address) is True
    it.mature()
    assert refusal(it.finalize) == INVALID
    assert refusal(lambda: it.prove(0)) == "OptimismPortal_ImproperDisputeGame"


def test_what_the_guardian_retires_pays_nothing_and_new_games_do() -> None:
    it = Withdrawing.open()
    old = it.world.game(LAST)
    it.prove(0)
    it.win(old)
    it.guard(ANCHORS, "updateRetirementTimestamp")
    it.mature()
    assert refusal(it.finalize) == INVALID
    assert refusal(lambda: it.prove(0)) == "OptimismPortal_ImproperDisputeGame"
    it.world.append([[]])
    young = it.world.game(LAST + 1)
    it.prove(1, LAST + 1)
    it.win(young)
    it.mature()
    it.finalize()


def test_a_pause_stops_everything_and_nothing_is_lost() -> None:
    it = Withdrawing.open()
    game = it.world.game(LAST)
    it.prove(0)
    it.win(game)
    it.mature()
    system = it.world.network.system_config
    it.guard(system, "pause", bytes(20))
    assert refusal(it.finalize) == "OptimismPortal_CallPaused"
    assert refusal(lambda: it.prove(0)) == "OptimismPortal_CallPaused"
    check = (it.portal, "checkWithdrawal", it.message.withdrawal_hash, address_of(DEPOSITOR))
    assert refusal(lambda: it.world.network.world.read(*check)) == INVALID
    it.guard(system, "unpause", bytes(20))
    assert it.world.network.world.read(*check) == ()
    it.finalize()


def test_a_reorganisation_takes_a_proof_and_its_game_and_they_come_back() -> None:
    """Given an L1 that drops the proof, then the game, then the settlement, then each is done again, and paid once."""
    it = Withdrawing.open()
    before_game = it.world.moment()
    it.world.game(LAST)
    before_proof = it.world.moment()
    it.prove(0)
    it.world.reorganise(before_proof)
    assert refusal(it.finalize) == "OptimismPortal_Unproven"
    it.prove(0)
    it.world.reorganise(before_game)
    with pytest.raises(Reverted):
        it.prove(0)
    game = it.world.game(LAST)
    it.prove(0)
    it.win(game)
    it.mature()
    before_end = it.world.moment()
    it.finalize()
    it.world.reorganise(before_end)
    assert it.locked_wei() == LOCKED_WEI
    it.finalize()
    assert refusal(it.finalize) == "OptimismPortal_AlreadyFinalized"
    assert it.locked_wei() == LOCKED_WEI - 3 * ETHER


def test_the_anchor_s_move_leaves_older_games_as_they_are() -> None:
    """Given an older game whose successor became the anchor, then what was proven under it is still paid."""
    it = Withdrawing.open()
    first = it.world.game(LAST)
    it.prove(0)
    it.world.append([[], []])
    second = it.world.game(LAST + 2, parent=first)
    it.win(first)
    it.win(second)
    it.mature()
    it.world.network.world.transact(SENDER, ANCHORS, "setAnchorState", second.address)
    assert it.world.anchor()[1] == LAST + 2
    it.finalize()


@pytest.mark.parametrize(
    ("data", "gas_limit"),
    [
        (b"", 0),
        (b"\xc0" * 30_000, 10_000_000),
        (bytes(320) + b"\xf8", 10_000_000),
        (bytes(1_000), 1_000_000),
    ],
    ids=["nothing", "nested", "truncated", "too little gas"],
)
def test_step_as_a_target_is_a_call_that_fails(data: bytes, gas_limit: int) -> None:
    """Given messages that call STEP with hostile bytes, then they are settled as failed, and their Ether stays."""
    it = Withdrawing.open(target=STEP, value=1, data=data, gas_limit=gas_limit)
    game = it.world.game(LAST)
    it.prove(0)
    it.win(game)
    it.mature()
    receipt = it.finalize()
    (event,) = it.portal.events(receipt, "WithdrawalFinalized")
    assert event["success"] is False
    assert it.locked_wei() == LOCKED_WEI
    assert it.world.network.world.balance(STEP) == 0
    assert refusal(it.finalize) == "OptimismPortal_AlreadyFinalized"


def test_eight_hours_without_a_block_are_no_window() -> None:
    """Given all asleep for eight hours after a proof, then it has matured, and the window has not passed: it counts blocks."""
    it = Withdrawing.open()
    game = it.world.game(LAST, wrong={1: wrong_root()}, sender=LIAR)
    it.prove(0)
    chain = it.world.network.world.chain
    seconds, chain.seconds = chain.seconds, 8 * 3_600
    it.world.pass_blocks(1)
    chain.seconds = seconds
    with pytest.raises(Reverted):
        it.world.resolve(game)
    assert refusal(it.finalize) == INVALID
    it.world.prove(game, 1)
    assert it.world.status(game) == CHALLENGER_WINS
