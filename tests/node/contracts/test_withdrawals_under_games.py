"""Withdrawals under the real games: an L2 of its own, real STEP, L1's own finality, the contracts as they are.

message on L2 -> Inbox -> game -> proof -> window, finality, air gap -> finalized;    or the game falls first
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import pytest

from node.contracts import addresses
from node.contracts.bindings import MessagePassed, initiate_withdrawal
from node.contracts.withdrawals import whole_proof
from node.eth.hashing import keccak256
from node.eth.headers import decode_header
from node.eth.primitives import Address, Hash32
from node.rollup.outputs import (
    BridgeWithdrawal,
    Output,
    message_nonce,
    output_of,
    sent_messages_slot,
    withdrawal_hash,
)
from tests.kit.contract_network import GUARDIAN, LOCKED_WEI, WITHDRAWALS
from tests.kit.contract_world import Contract, Receipt, Reverted
from tests.kit.dispute_world import (
    AIR_GAP,
    ANCHORS,
    CHALLENGE_WINDOW,
    CHALLENGER_WINS,
    DEFENDER_WINS,
    FACTORY,
    LIAR,
    DisputeWorld,
    Game,
    wrong_root,
)
from tests.kit.execution_chain import DEPOSITOR, ETHER, SENDER, address_of, header_bytes
from tests.kit.rollup_chain import sign_l2
from tests.kit.tries import Trie
from tests.kit.withdrawal_world import transaction, words

TARGET: Final = Address(b"\x7a" * 20)
"""Nothing is there."""

LAST: Final = 3
"""L2 blocks of the first record; the message is in the second of them."""

INVALID: Final = "OptimismPortal_InvalidRootClaim"
"""The game's claim does not stand, or not yet."""


def refusal(act: Callable[[], object]) -> str:
    """The error that an act ends with."""
    with pytest.raises(Reverted) as reverted:
        act()
    return reverted.value.name


@dataclass(slots=True)
class Withdrawing:
    """A message of L2 and what has become of it."""

    world: DisputeWorld
    """Both chains."""
    message: MessagePassed
    """The message."""

    @classmethod
    def open(cls, *, value: int = 3 * ETHER) -> Withdrawing:
        """A record of three L2 blocks; the middle one holds the message."""
        world = DisputeWorld.open()
        raw = sign_l2(
            SENDER,
            nonce=0,
            to=addresses.MESSAGE_PASSER,
            value=value,
            data=initiate_withdrawal(TARGET, gas_limit=50_000),
            gas=300_000,
        )
        world.append([[], [raw], []])
        withdrawal = BridgeWithdrawal(
            nonce=message_nonce(0),
            sender=address_of(SENDER),
            target=TARGET,
            value=value,
            gas_limit=50_000,
            data=b"",
        )
        return cls(world, named(withdrawal))

    @property
    def portal(self) -> Contract:
        """The Portal."""
        return self.world.network.portal

    def output(self, number: int = LAST) -> Output:
        """Of an L2 block."""
        return output_of(decode_header(header_bytes(self.world.l2.blocks[number].block)))

    def nodes(self, number: int = LAST) -> list[bytes]:
        """The message's storage proof after an L2 block."""
        slot = sent_messages_slot(self.message.withdrawal_hash)
        root = self.world.l2.blocks[number].state_root
        proof = self.world.l2.engine.proof(root, addresses.MESSAGE_PASSER, [slot])
        return whole_proof(slot, proof.slots[0][1])

    def arguments(
        self, index: int, number: int = LAST, output: Output | None = None
    ) -> tuple[object, ...]:
        """Of proving under a game that claims an L2 block."""
        return (
            transaction(self.message),
            index,
            words(output or self.output(number)),
            self.nodes(number),
        )

    def prove(self, index: int, number: int = LAST) -> Receipt:
        """Raises Reverted."""
        return self.world.network.world.transact(
            DEPOSITOR, self.portal, "proveWithdrawalTransaction", *self.arguments(index, number)
        )

    def finalize(self) -> Receipt:
        """Raises Reverted."""
        return self.world.network.world.transact(
            DEPOSITOR, self.portal, "finalizeWithdrawalTransaction", transaction(self.message)
        )

    def win(self, game: Game) -> None:
        """Waits until a game can be resolved, and resolves it; its air gap lies ahead."""
        created = self.world.network.world.number(game.contract, "createdBlock")
        self.world.pass_until_final(created + CHALLENGE_WINDOW)
        self.world.resolve(game)
        assert self.world.status(game) == DEFENDER_WINS

    def mature(self) -> None:
        """Blocks after which any proof is old enough and any air gap over."""
        self.world.pass_blocks(WITHDRAWALS.proof_maturity_s // 2 + 1)

    def guard(self, contract: Contract, name: str, *arguments: object) -> None:
        """The guardian acts."""
        self.world.network.world.transact(GUARDIAN, contract, name, *arguments)

    def locked_wei(self) -> int:
        """In the Portal."""
        return self.world.network.world.balance(addresses.PORTAL)


def named(withdrawal: BridgeWithdrawal) -> MessagePassed:
    """A withdrawal as the passer logs it."""
    return MessagePassed(
        nonce=withdrawal.nonce,
        sender=withdrawal.sender,
        target=withdrawal.target,
        value=withdrawal.value,
        gas_limit=withdrawal.gas_limit,
        data=withdrawal.data,
        withdrawal_hash=withdrawal_hash(withdrawal),
    )


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
