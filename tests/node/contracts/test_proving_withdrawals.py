"""Proving withdrawals: which games, which outputs, which messages count, and whose clock starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from typing import Final

import pytest

from node.contracts import addresses
from node.contracts.bindings import MessagePassed
from node.contracts.withdrawals import MAX_NODE_BYTES
from node.eth.hashing import keccak256
from node.eth.primitives import ZERO_HASH, Address, Hash32
from node.rollup.outputs import Output
from tests.kit.contract_network import GUARDIAN, Network
from tests.kit.contract_world import Reverted
from tests.kit.execution_chain import DEPOSITOR, ETHER, SENDER, address_of
from tests.kit.withdrawal_world import (
    ALIEN,
    CHALLENGER_WINS,
    DEFENDER_WINS,
    Claimed,
    WithdrawalWorld,
    game_address,
    slot_of,
    transaction,
    words,
)

NOBODY: Final = "0x" + bytes(20).hex()


@pytest.fixture
def world() -> WithdrawalWorld:
    """Stand-ins, no game."""
    return WithdrawalWorld.open()


def refusal(act: Callable[[], object]) -> str:
    """The error that an act ends with."""
    with pytest.raises(Reverted) as reverted:
        act()
    return reverted.value.name


def test_a_proof_is_kept_and_logged(world: WithdrawalWorld) -> None:
    portal = world.network.portal
    message = world.initiate(value=ETHER, data=b"hello")
    claimed = world.claimed(message)
    name = message.withdrawal_hash
    assert world.world.read(portal, "provenWithdrawals", name, DEPOSITOR.address) == (NOBODY, 0)
    assert world.world.read(portal, "numProofSubmitters", name) == 0

    receipt = world.prove(message, claimed)

    assert portal.events(receipt, "WithdrawalProven") == [
        {
            "withdrawalHash": name,
            "sender": DEPOSITOR.address.lower(),
            "to": "0x" + ALIEN.hex(),
        }
    ]
    assert portal.events(receipt, "WithdrawalProvenExtension1") == [
        {"withdrawalHash": name, "proofSubmitter": DEPOSITOR.address.lower()}
    ]
    game = "0x" + game_address(claimed.game).hex()
    proven = world.world.read(portal, "provenWithdrawals", name, DEPOSITOR.address)
    assert proven == (game, world.now)
    assert world.world.read(portal, "numProofSubmitters", name) == 1
    assert world.world.read(portal, "proofSubmitters", name, 0) == DEPOSITOR.address.lower()
    assert world.locked_wei == Network.open().world.balance(addresses.PORTAL)


def test_each_submitter_has_a_proof_of_its_own(world: WithdrawalWorld) -> None:
    """Given two submitters, and one that proves again, then nobody's clock but its own starts anew; all are listed."""
    portal = world.network.portal
    message = world.initiate()
    first = world.claimed(message)
    second = Claimed(world.open_game(first.output.root()), first.output, first.nodes)
    kept: dict[str, object] = {}
    for submitter, claimed in ((DEPOSITOR, first), (SENDER, second), (DEPOSITOR, second)):
        world.prove(message, claimed, submitter=submitter)
        kept[submitter.address] = ("0x" + game_address(claimed.game).hex(), world.now)
        for address, expected in kept.items():
            name = message.withdrawal_hash
            assert world.world.read(portal, "provenWithdrawals", name, address) == expected
    submitters = [
        world.world.read(portal, "proofSubmitters", message.withdrawal_hash, at) for at in range(3)
    ]
    assert submitters == [it.address.lower() for it in (DEPOSITOR, SENDER, DEPOSITOR)]
    assert world.world.read(portal, "numProofSubmitters", message.withdrawal_hash) == 3
    with pytest.raises(Reverted):
        world.world.read(portal, "proofSubmitters", message.withdrawal_hash, 3)


# -- games


def test_a_game_that_the_registry_does_not_own_to_is_refused(world: WithdrawalWorld) -> None:
    """Given a game that is struck, retired, of no factory, or none at all, then it is improper."""
    message = world.initiate()
    claimed = world.claimed(message)
    world.judge(claimed.game, "isGameProper", False)
    assert refusal(lambda: world.prove(message, claimed)) == "OptimismPortal_ImproperDisputeGame"
    none = replace(claimed, game=7)
    assert refusal(lambda: world.prove(message, none)) == "OptimismPortal_ImproperDisputeGame"
    world.judge(claimed.game, "isGameProper", True)
    world.prove(message, claimed)


def test_a_game_of_another_type_is_refused(world: WithdrawalWorld) -> None:
    message = world.initiate()
    claimed = world.claimed(message)
    world.judge(claimed.game, "isGameRespected", False)
    assert refusal(lambda: world.prove(message, claimed)) == "OptimismPortal_InvalidDisputeGame"


def test_a_game_that_was_lost_is_refused_and_one_that_was_won_is_not(
    world: WithdrawalWorld,
) -> None:
    message = world.initiate()
    claimed = world.claimed(message)
    world.resolve(claimed.game, CHALLENGER_WINS)
    assert refusal(lambda: world.prove(message, claimed)) == "OptimismPortal_InvalidDisputeGame"
    world.resolve(claimed.game, DEFENDER_WINS)
    world.prove(message, claimed)


@pytest.mark.parametrize("ahead", [0, 1, 2**63])
def test_a_game_of_the_same_block_or_later_is_refused(world: WithdrawalWorld, ahead: int) -> None:
    message = world.initiate()
    claimed = world.claimed(message)
    created = slot_of("createdAt()")
    game = game_address(claimed.game)
    # Both follow in blocks two seconds apart.
    world.tell(game, {created: world.now + 4 + ahead})
    expected = "OptimismPortal_InvalidProofTimestamp"
    assert refusal(lambda: world.prove(message, claimed)) == expected
    if ahead == 0:
        world.network.pass_blocks(1)
        world.prove(message, claimed)


# -- outputs


def test_the_claim_is_the_hash_of_the_four_words_in_order(world: WithdrawalWorld) -> None:
    """Given the words in any other order, or one of them changed, then the claim is of something else."""
    message = world.initiate()
    claimed = world.claimed(message)
    portal = world.network.portal
    own = words(claimed.output)

    def prove(shown: tuple[bytes, ...]) -> None:
        world.world.transact(
            DEPOSITOR,
            portal,
            "proveWithdrawalTransaction",
            transaction(message),
            claimed.game,
            shown,
            list(claimed.nodes),
        )

    others = [it for it in permutations(own) if it != own]
    for at in range(4):
        changed = bytes([own[at][0] ^ 1]) + own[at][1:]
        others.append((*own[:at], changed, *own[at + 1 :]))
    for other in others:
        assert refusal(lambda it=other: prove(it)) == "OptimismPortal_InvalidOutputRootProof"  # type: ignore[misc]
    prove(own)


@pytest.mark.parametrize("version", [1, 2**255])
def test_there_is_one_version_of_outputs(world: WithdrawalWorld, version: int) -> None:
    """Given a game that claims the hash of another version's words, then they are refused all the same."""
    message = world.initiate()
    output = world.output()
    shown = (version.to_bytes(32), *words(output)[1:])
    game = world.open_game(keccak256(b"".join(shown)))
    data = world.network.portal.input(
        "proveWithdrawalTransaction", transaction(message), game, shown, world.proof(message)
    )
    with pytest.raises(Reverted, match="OptimismPortal_InvalidOutputRootProof"):
        world.world.ask(world.network.portal, data)


@pytest.mark.parametrize("claim", [bytes(32), b"\xff" * 32])
def test_a_claim_of_nothing_is_nobody_s_output(world: WithdrawalWorld, claim: bytes) -> None:
    """Given a game that claims zero, as one without a claim would, then no words have that hash."""
    message = world.initiate()
    output, nodes = world.output(), world.proof(message)
    game = world.open_game(claim)
    nothing = Output(state_root=ZERO_HASH, message_passer_root=ZERO_HASH, block_hash=ZERO_HASH)
    for shown in (output, nothing):
        expected = "OptimismPortal_InvalidOutputRootProof"
        assert refusal(lambda it=shown: world.prove(message, Claimed(game, it, nodes))) == expected  # type: ignore[misc]


def test_an_empty_message_passer_proves_nothing(world: WithdrawalWorld) -> None:
    """Given a claimed output whose passer root is zero or the empty trie's, then there is no proof."""
    message = world.initiate()
    for root in (ZERO_HASH, keccak256(b"\x80"), keccak256(b"")):
        output = replace(world.output(), message_passer_root=Hash32(root))
        game = world.open_game(output.root())
        for nodes in ([], [b""], [b"\x80"], world.proof(message)):
            claimed = Claimed(game, output, nodes)
            expected = "OptimismPortal_InvalidMerkleProof"
            assert refusal(lambda it=claimed: world.prove(message, it)) == expected  # type: ignore[misc]


# -- messages


def test_every_field_is_part_of_a_message_s_name(world: WithdrawalWorld) -> None:
    message = world.initiate(value=5, data=b"\x01")
    claimed = world.claimed(message)
    others = [
        replace(message, nonce=message.nonce + 1),
        replace(message, nonce=message.nonce & (2**240 - 1)),
        replace(message, sender=address_of(SENDER)),
        replace(message, target=Address(b"\x7b" * 20)),
        replace(message, value=6),
        replace(message, gas_limit=message.gas_limit - 1),
        replace(message, data=b"\x02"),
        replace(message, data=b"\x01\x00"),
        replace(message, data=b""),
    ]
    for other in others:
        expected = "OptimismPortal_InvalidMerkleProof"
        assert refusal(lambda it=other: world.prove(it, claimed)) == expected  # type: ignore[misc]
    world.prove(message, claimed)


def test_a_message_that_came_later_is_not_under_the_claim(world: WithdrawalWorld) -> None:
    """Given an output, and a message sent after it, then neither its newer proof nor an older message's counts."""
    early = world.initiate(value=1)
    claimed = world.claimed(early)
    late = world.initiate(value=2)
    expected = "OptimismPortal_InvalidMerkleProof"
    for nodes in (world.proof(late), list(claimed.nodes)):
        shown = Claimed(claimed.game, claimed.output, nodes)
        assert refusal(lambda it=shown: world.prove(late, it)) == expected  # type: ignore[misc]
    world.prove(early, claimed)


def test_the_portal_is_no_target(world: WithdrawalWorld) -> None:
    message = world.initiate(addresses.PORTAL)
    claimed = world.claimed(message)
    assert refusal(lambda: world.prove(message, claimed)) == "OptimismPortal_BadTarget"


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 32_768])
def test_messages_of_every_length_can_be_proven(world: WithdrawalWorld, length: int) -> None:
    """Given what the passer takes at most, then the Portal takes it too."""
    message = world.initiate(data=b"\x5a" * length)
    world.prove(message, world.claimed(message))


def test_a_message_that_no_passer_takes_has_no_room(world: WithdrawalWorld) -> None:
    message = world.initiate()
    claimed = world.claimed(message)
    longer = replace(message, data=bytes(32_769))
    assert refusal(lambda: world.prove(longer, claimed)) == ""
    long_node = replace(claimed, nodes=[bytes(MAX_NODE_BYTES + 1)])
    assert refusal(lambda: world.prove(message, long_node)) == ""


def test_words_with_bits_outside_their_type_are_refused(world: WithdrawalWorld) -> None:
    """Given an address with a bit set above its 160, then the call reverts: the same message has one encoding."""
    message = world.initiate()
    claimed = world.claimed(message)
    portal = world.network.portal
    data = portal.input(
        "proveWithdrawalTransaction",
        transaction(message),
        claimed.game,
        words(claimed.output),
        list(claimed.nodes),
    )
    head = 4 + int.from_bytes(data[4:36])
    assert world.world.ask(portal, data) == b""
    for field in (1, 2):
        at = head + 32 * field
        assert (
            refusal(
                lambda at=at: world.world.ask(portal, data[:at] + b"\x01" + data[at + 1 :])  # type: ignore[misc]
            )
            == ""
        )


# -- pause, payments


def test_a_pause_holds_proofs_up_and_deposits_go_on(world: WithdrawalWorld) -> None:
    message = world.initiate()
    claimed = world.claimed(message)
    system = world.network.system_config
    for identifier in (bytes(20), addresses.PORTAL):
        world.world.transact(GUARDIAN, system, "pause", identifier)
        assert refusal(lambda: world.prove(message, claimed)) == "OptimismPortal_CallPaused"
        assert world.world.send(DEPOSITOR, addresses.PORTAL, value=1).succeeded
        world.world.transact(GUARDIAN, system, "unpause", identifier)
    world.prove(message, claimed)


def test_proofs_take_no_payment(world: WithdrawalWorld) -> None:
    message = world.initiate()
    claimed = world.claimed(message)
    with pytest.raises(Reverted):
        world.world.transact(
            DEPOSITOR,
            world.network.portal,
            "proveWithdrawalTransaction",
            transaction(message),
            claimed.game,
            words(claimed.output),
            list(claimed.nodes),
            value=1,
        )


def test_what_the_portal_tells_of_others_is_what_they_say(world: WithdrawalWorld) -> None:
    game = world.open_game(b"\x01" * 32)
    registry = addresses.ANCHOR_STATE_REGISTRY
    struck = slot_of("isGameBlacklisted(address)", int.from_bytes(game_address(game)))
    world.tell(
        registry,
        {struck: 1, slot_of("respectedGameType()"): 900, slot_of("retirementTimestamp()"): 77},
    )
    expected = {
        ("disputeGameFactory",): "0x" + addresses.DISPUTE_GAME_FACTORY.hex(),
        ("anchorStateRegistry",): "0x" + registry.hex(),
        ("systemConfig",): "0x" + addresses.SYSTEM_CONFIG.hex(),
        ("superchainConfig",): "0x" + addresses.SYSTEM_CONFIG.hex(),
        ("respectedGameType",): 900,
        ("respectedGameTypeUpdatedAt",): 77,
        ("disputeGameBlacklist", game_address(game)): True,
        ("disputeGameBlacklist", game_address(5)): False,
        ("guardian",): GUARDIAN.address.lower(),
        ("paused",): False,
        ("proofMaturityDelaySeconds",): 26,
        ("disputeGameFinalityDelaySeconds",): 4,
        ("l2Sender",): "0x000000000000000000000000000000000000dead",
    }
    answers = {
        call: world.world.read(world.network.portal, *call)  # type: ignore[arg-type]
        for call in expected
    }
    assert answers == expected


def test_messages_of_the_test_are_those_of_the_rule(world: WithdrawalWorld) -> None:
    message: MessagePassed = world.initiate(value=3)
    assert world.world.read(world.network.passer, "sentMessages", message.withdrawal_hash) is True
