"""Finalizing withdrawals: when, once, with the gas that was asked for, and whatever the target does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from node.contracts import addresses
from node.contracts.bindings import MessagePassed
from node.eth.primitives import Address
from tests.kit.contract_network import GUARDIAN, LOCKED_WEI
from tests.kit.contract_world import Contract, Receipt, Reverted
from tests.kit.execution_chain import DEPOSITOR, ETHER, SENDER, SPONSOR, address_of
from tests.kit.withdrawal_world import (
    ALIEN,
    CHALLENGER_WINS,
    DEFENDER_WINS,
    MATURE_BLOCKS,
    Claimed,
    WithdrawalWorld,
    game_address,
    slot_of,
    transaction,
)

ESTIMATOR: Final = (1).to_bytes(20)
"""In whose name nodes estimate gas."""

NOBODY: Final = "0x000000000000000000000000000000000000dead"
"""`l2Sender` outside of a withdrawal."""


def target(number: int) -> Address:
    """Where a test's target stands."""
    return Address((0x7A00 + number).to_bytes(20))


def pushed(address: bytes) -> bytes:
    """PUSH20."""
    return b"\x73" + address


PORTAL: Final = pushed(addresses.PORTAL)

TARGETS: Final = {
    "reverts": bytes.fromhex("5f5ffd"),
    "reverts with a megabyte": bytes.fromhex("621000005ffd"),
    "returns a megabyte": bytes.fromhex("621000005ff3"),
    "burns all gas": bytes.fromhex("fe"),
    "loops": bytes.fromhex("5b5f56"),
    "destroys itself": pushed(ALIEN) + b"\xff",
    "logs who sent it": (
        # l2Sender() of the portal, then what was paid and who called.
        bytes.fromhex("639bf62d825f5260205f6004601c")
        + PORTAL
        + bytes.fromhex("5afa50")
        # The answer, the payment, the caller, as one log without topics.
        + bytes.fromhex("346020523360405260605fa000")
    ),
    "calls the portal with its input": (
        bytes.fromhex("365f5f375f5f365f5f")
        + PORTAL
        + bytes.fromhex("5af1")
        # Success, and what came back: one log without topics.
        + bytes.fromhex("5f523d5f60203e3d6020015fa000")
    ),
}
"""Code of targets by what they do."""

PLACES: Final = {name: target(number) for number, name in enumerate(TARGETS)}
"""Where they stand."""


@pytest.fixture
def world() -> WithdrawalWorld:
    """Stand-ins and targets."""
    return WithdrawalWorld.open(
        extra_accounts={
            "0x" + PLACES[name].hex(): {
                "balance": "0x0",
                "nonce": "0x1",
                "code": "0x" + code.hex(),
            }
            for name, code in TARGETS.items()
        }
    )


def refusal(act: Callable[[], object]) -> str:
    """The error that an act ends with."""
    with pytest.raises(Reverted) as reverted:
        act()
    return reverted.value.name


def asked(world: WithdrawalWorld, message: MessagePassed, submitter: bytes) -> str:
    """What `checkWithdrawal` says; nothing if the withdrawal can be finalized."""
    try:
        world.world.read(
            world.network.portal, "checkWithdrawal", message.withdrawal_hash, submitter
        )
    except Reverted as reverted:
        return reverted.name
    return ""


def is_settled(world: WithdrawalWorld, message: MessagePassed) -> bool:
    """Whether the portal says so."""
    return bool(
        world.world.read(world.network.portal, "finalizedWithdrawals", message.withdrawal_hash)
    )


# -- what it is


@pytest.mark.parametrize("by_another", [False, True])
def test_a_withdrawal_pays_and_is_settled(world: WithdrawalWorld, by_another: bool) -> None:
    """Given a proof that is old enough and a game that was won, then the target has the Ether, from either form."""
    message = world.initiate(value=3 * ETHER)
    world.ready(message)
    assert asked(world, message, address_of(DEPOSITOR)) == ""
    assert not is_settled(world, message)

    if by_another:
        receipt = world.finalize(message, caller=SPONSOR, submitter=DEPOSITOR)
    else:
        receipt = world.finalize(message)

    assert world.network.portal.events(receipt, "WithdrawalFinalized") == [
        {"withdrawalHash": message.withdrawal_hash, "success": True}
    ]
    assert world.world.balance(ALIEN) == 3 * ETHER
    assert world.locked_wei == LOCKED_WEI - 3 * ETHER
    assert is_settled(world, message)


def test_the_target_sees_who_sent_it_and_nobody_else_does(world: WithdrawalWorld) -> None:
    message = world.initiate(
        PLACES["logs who sent it"], value=5, data=b"\xff" * 100, sender=SPONSOR
    )
    world.ready(message)
    receipt = world.finalize(message)
    (log,) = [it for it in receipt.logs if it.address == message.target]
    assert log.data == b"".join(
        (
            address_of(SPONSOR).rjust(32, b"\0"),
            (5).to_bytes(32),
            addresses.PORTAL.rjust(32, b"\0"),
        )
    )
    assert world.world.read(world.network.portal, "l2Sender") == NOBODY


# -- when


def test_nothing_is_finalized_that_this_submitter_did_not_prove(world: WithdrawalWorld) -> None:
    """Given another's proof, then it counts under its own name alone."""
    message = world.initiate()
    assert refusal(lambda: world.finalize(message)) == "OptimismPortal_Unproven"
    world.ready(message)
    unproven = "OptimismPortal_Unproven"
    assert refusal(lambda: world.finalize(message, caller=SENDER)) == unproven
    assert refusal(lambda: world.finalize(message, submitter=SENDER)) == unproven
    assert asked(world, message, address_of(SENDER)) == unproven
    assert asked(world, message, bytes(20)) == unproven
    world.finalize(message, caller=SENDER, submitter=DEPOSITOR)


def test_a_proof_matures_to_the_second(world: WithdrawalWorld) -> None:
    """Given blocks of two seconds, then 26 seconds are too few and 28 enough."""
    message = world.initiate()
    claimed = world.claimed(message)
    world.resolve(claimed.game)
    world.prove(message, claimed)
    # The next block is `MATURE_BLOCKS - 1` blocks after the proof's: exactly the delay.
    world.network.pass_blocks(MATURE_BLOCKS - 2)
    assert refusal(lambda: world.finalize(message)) == "OptimismPortal_ProofNotOldEnough"
    world.network.pass_blocks(1)
    world.finalize(message)


def test_one_submitter_s_clock_is_not_another_s(world: WithdrawalWorld) -> None:
    """Given others that prove at the last moment, then the first proof's clock runs on; a proof of one's own starts anew."""
    message = world.initiate()
    claimed = world.claimed(message)
    world.resolve(claimed.game)
    world.prove(message, claimed, submitter=DEPOSITOR)
    world.prove(message, claimed, submitter=SENDER)
    world.network.pass_blocks(MATURE_BLOCKS - 2)
    world.prove(message, claimed, submitter=SPONSOR)
    world.prove(message, claimed, submitter=SENDER)
    not_yet = "OptimismPortal_ProofNotOldEnough"
    assert refusal(lambda: world.finalize(message, submitter=SPONSOR)) == not_yet
    assert refusal(lambda: world.finalize(message, submitter=SENDER)) == not_yet
    world.finalize(message)


def test_a_claim_has_to_stand(world: WithdrawalWorld) -> None:
    """Given a game in progress, lost, or struck after it was won, then its claim is not valid; the registry decides."""
    message = world.initiate()
    claimed = world.claimed(message)
    world.prove(message, claimed)
    world.network.pass_blocks(MATURE_BLOCKS)
    invalid = "OptimismPortal_InvalidRootClaim"
    assert refusal(lambda: world.finalize(message)) == invalid
    world.resolve(claimed.game, CHALLENGER_WINS)
    assert refusal(lambda: world.finalize(message)) == invalid
    world.resolve(claimed.game, DEFENDER_WINS)
    assert asked(world, message, address_of(DEPOSITOR)) == ""
    world.judge(claimed.game, "isGameClaimValid", False)
    assert asked(world, message, address_of(DEPOSITOR)) == invalid
    assert refusal(lambda: world.finalize(message)) == invalid
    world.judge(claimed.game, "isGameClaimValid", True)
    world.finalize(message)


def test_a_withdrawal_outlives_the_game_that_it_was_proven_under(world: WithdrawalWorld) -> None:
    """Given a proof whose game is lost, then it settles nothing; under another game the same withdrawal settles once."""
    message = world.initiate(value=1)
    lost = world.claimed(message)
    world.prove(message, lost)
    world.resolve(lost.game, CHALLENGER_WINS)
    world.network.pass_blocks(MATURE_BLOCKS)
    assert refusal(lambda: world.finalize(message)) == "OptimismPortal_InvalidRootClaim"

    won = world.claimed(message)
    world.prove(message, won)
    world.resolve(won.game)
    assert refusal(lambda: world.finalize(message)) == "OptimismPortal_ProofNotOldEnough"
    world.network.pass_blocks(MATURE_BLOCKS)
    world.finalize(message)
    assert world.world.balance(ALIEN) == 1


def test_a_proof_is_younger_than_its_game(world: WithdrawalWorld) -> None:
    """Given a game whose birth is told anew at or after the proof, then nothing rests on it."""
    message = world.initiate()
    claimed = world.claimed(message)
    world.prove(message, claimed)
    proven_at = world.now
    world.resolve(claimed.game)
    world.network.pass_blocks(MATURE_BLOCKS)
    for created in (proven_at, 2**63):
        world.tell(game_address(claimed.game), {slot_of("createdAt()"): created})
        assert refusal(lambda: world.finalize(message)) == "OptimismPortal_InvalidProofTimestamp"
    world.tell(game_address(claimed.game), {slot_of("createdAt()"): proven_at - 1})
    world.finalize(message)


def test_a_pause_holds_everything_up_until_it_ends_by_itself(world: WithdrawalWorld) -> None:
    message = world.initiate()
    world.ready(message)
    system = world.network.system_config
    world.world.transact(GUARDIAN, system, "pause", bytes(20))
    for submitter in (None, DEPOSITOR):
        paused = "OptimismPortal_CallPaused"
        assert refusal(lambda it=submitter: world.finalize(message, submitter=it)) == paused  # type: ignore[misc]
    expiry = world.world.number(system, "expiration", bytes(20))
    world.network.pass_blocks((expiry - world.now) // 2)
    world.finalize(message)


# -- once


def test_the_same_withdrawal_is_not_settled_twice(world: WithdrawalWorld) -> None:
    """Given two submitters, both forms, and a further proof, then all after the first is refused, and nothing is paid."""
    message = world.initiate(value=7)
    claimed = world.claimed(message)
    for submitter in (DEPOSITOR, SENDER):
        world.prove(message, claimed, submitter=submitter)
    world.resolve(claimed.game)
    world.network.pass_blocks(MATURE_BLOCKS)
    world.finalize(message)

    settled = "OptimismPortal_AlreadyFinalized"
    for _ in range(2):
        for submitter in (DEPOSITOR, SENDER):
            assert refusal(lambda it=submitter: world.finalize(message, caller=it)) == settled  # type: ignore[misc]
            assert refusal(lambda it=submitter: world.finalize(message, submitter=it)) == settled  # type: ignore[misc]
            assert asked(world, message, address_of(submitter)) == settled
        # Proving goes on, and changes nothing.
        world.prove(message, claimed, submitter=SENDER)
        world.network.pass_blocks(MATURE_BLOCKS)
    assert world.world.balance(ALIEN) == 7
    assert world.locked_wei == LOCKED_WEI - 7


def test_two_messages_alike_are_two_withdrawals(world: WithdrawalWorld) -> None:
    twins = [world.initiate(value=7) for _ in range(2)]
    claimed = [Claimed(0, world.output(), world.proof(twin)) for twin in twins]
    world.open_game(claimed[0].output.root())
    for twin, shown in zip(twins, claimed, strict=True):
        world.prove(twin, shown)
    world.resolve(0)
    world.network.pass_blocks(MATURE_BLOCKS)
    for twin in twins:
        world.finalize(twin)
    assert world.world.balance(ALIEN) == 14


# -- whatever the target does


@pytest.mark.parametrize(
    ("name", "succeeds"),
    [
        ("reverts", False),
        ("reverts with a megabyte", False),
        ("returns a megabyte", True),
        ("burns all gas", False),
        ("loops", False),
        ("destroys itself", True),
    ],
)
def test_a_target_cannot_hold_its_withdrawal_up(
    world: WithdrawalWorld, name: str, succeeds: bool
) -> None:
    """Given a target that fails in any way, or answers with a megabyte, then the withdrawal is settled all the same."""
    message = world.initiate(PLACES[name], value=9, gas_limit=2_500_000)
    world.ready(message)
    receipt = world.finalize(message)
    assert world.outcome(receipt) is succeeds
    assert is_settled(world, message)
    assert world.locked_wei == LOCKED_WEI - 9 * succeeds
    assert refusal(lambda: world.finalize(message)) == "OptimismPortal_AlreadyFinalized"
    assert world.world.read(world.network.portal, "l2Sender") == NOBODY


def test_an_answer_of_a_megabyte_costs_the_caller_nothing(world: WithdrawalWorld) -> None:
    """Given targets that answer with a megabyte in success and in failure, then what the portal uses beside them is the same."""
    used = {}
    for name in ("reverts", "reverts with a megabyte", "returns a megabyte"):
        message = world.initiate(PLACES[name], gas_limit=2_500_000)
        world.ready(message)
        used[name] = world.finalize(message).gas_used
    # The target's own memory is its gas; a copy of it would cost as much again.
    megabyte = 3 * 2**15 + 2**30 // 512
    for name in ("reverts with a megabyte", "returns a megabyte"):
        assert used[name] - used["reverts"] == pytest.approx(megabyte, abs=100)


@pytest.mark.parametrize(
    ("place", "succeeds"),
    [
        (addresses.MESSAGE_PASSER, False),
        (addresses.SYSTEM_CONFIG, False),
        (addresses.INBOX, False),
        (ESTIMATOR, True),
        (ALIEN, True),
    ],
)
def test_contracts_of_the_network_owe_the_portal_nothing(
    world: WithdrawalWorld, place: bytes, succeeds: bool
) -> None:
    """Given messages to what stands in the network, with hostile bytes, then they are settled and move nothing but themselves."""
    message = world.initiate(place, value=1, data=bytes.fromhex("8456cb59") + b"\xff" * 200)
    world.ready(message)
    receipt = world.finalize(message)
    assert world.outcome(receipt) is succeeds
    assert world.locked_wei == LOCKED_WEI - succeeds
    assert world.network.portal.events(receipt, "TransactionDeposited") == []


def test_nothing_is_settled_that_is_not_covered(world: WithdrawalWorld) -> None:
    """Given more than the portal holds, then the withdrawal waits for cover instead of failing for good."""
    message = world.initiate(value=LOCKED_WEI + 1)
    world.ready(message)
    assert refusal(lambda: world.finalize(message)) == "OptimismPortal_NotEnoughLocked"
    assert not is_settled(world, message)
    world.world.transact(DEPOSITOR, world.network.portal, "donateETH", value=1)
    assert world.outcome(world.finalize(message))
    assert world.locked_wei == 0


def test_finalizing_takes_no_payment(world: WithdrawalWorld) -> None:
    message = world.initiate()
    world.ready(message)
    portal = world.network.portal
    for name, more in (
        ("finalizeWithdrawalTransaction", ()),
        ("finalizeWithdrawalTransactionExternalProof", (DEPOSITOR.address,)),
    ):
        with pytest.raises(Reverted):
            world.world.transact(DEPOSITOR, portal, name, transaction(message), *more, value=1)


# -- reentrance


def inner(world: WithdrawalWorld, receipt: Receipt, place: bytes) -> tuple[bool, str]:
    """What a target's call of the portal came to: success, and the error's name."""
    (log,) = [it for it in receipt.logs if it.address == place]
    return log.data[31] == 1, world.network.portal.error(log.data[32:]).name


@pytest.mark.parametrize("form", ["own", "another's"])
@pytest.mark.parametrize("which", ["itself", "another"])
def test_a_target_cannot_finalize(world: WithdrawalWorld, form: str, which: str) -> None:
    """Given a target that finalizes the same or another withdrawal, then it is refused by name; later it settles."""
    portal: Contract = world.network.portal
    place = PLACES["calls the portal with its input"]
    other = world.initiate(value=11)
    if which == "itself":
        # No message can hold its own hash; one that is proven already stands in for it.
        world.ready(other)
        world.finalize(other)
    if form == "own":
        call = portal.input("finalizeWithdrawalTransaction", transaction(other))
    else:
        call = portal.input(
            "finalizeWithdrawalTransactionExternalProof", transaction(other), DEPOSITOR.address
        )
    message = world.initiate(place, data=call, gas_limit=500_000)
    claimed = world.claimed(message)
    world.prove(message, claimed)
    if which == "another":
        world.prove(
            other, Claimed(claimed.game, claimed.output, world_proof(world, other, claimed))
        )
    world.resolve(claimed.game)
    world.network.pass_blocks(MATURE_BLOCKS)

    receipt = world.finalize(message)

    assert inner(world, receipt, place) == (False, "OptimismPortal_NoReentrancy")
    assert world.outcome(receipt)
    if which == "another":
        world.finalize(other)
    assert world.world.balance(ALIEN) == 11


def world_proof(world: WithdrawalWorld, message: MessagePassed, claimed: Claimed) -> list[bytes]:
    """A message's proof under an output that was claimed earlier."""
    return world.proof(message, claimed.output.state_root)


def test_a_target_may_prove_and_deposit_under_its_own_name(world: WithdrawalWorld) -> None:
    """Given a target that calls the portal for what anyone may do, then it is done in the target's name, not the portal's."""
    portal = world.network.portal
    place = PLACES["calls the portal with its input"]
    deposit = portal.input("depositTransaction", ALIEN, 0, 21_000, False, b"")
    message = world.initiate(place, data=deposit, gas_limit=500_000)
    world.ready(message)
    receipt = world.finalize(message)
    assert inner(world, receipt, place)[0]
    (deposited,) = portal.events(receipt, "TransactionDeposited")
    alias = (int.from_bytes(place) + 0x1111000000000000000000000000000000001111) % 2**160
    assert deposited["sender"] == "0x" + alias.to_bytes(20).hex()


def test_a_failed_finalization_leaves_no_guard_behind(world: WithdrawalWorld) -> None:
    """Given a batch of two in one transaction of which one is refused, then the other settles."""
    portal = world.network.portal
    messages = [world.initiate(value=1), world.initiate(value=2)]
    for message in messages:
        world.ready(message)
    raws = [
        world.world.signed(
            DEPOSITOR,
            addresses.PORTAL,
            portal.input("finalizeWithdrawalTransaction", transaction(message)),
            gas=gas,
        )
        for message, gas in ((messages[0], 120_000), (messages[1], 400_000), (messages[0], 400_000))
    ]
    receipts = world.world.mine(raws)
    assert [receipt.succeeded for receipt in receipts] == [False, True, True]


# -- estimates


def test_an_estimate_is_of_success(world: WithdrawalWorld) -> None:
    """Given the name in which nodes estimate, then a failing target is an error, and a succeeding one is not."""
    portal = world.network.portal
    for name, fails in (("reverts", True), ("burns all gas", True), ("returns a megabyte", False)):
        message = world.initiate(PLACES[name], gas_limit=2_500_000)
        world.ready(message)
        data = portal.input(
            "finalizeWithdrawalTransactionExternalProof", transaction(message), DEPOSITOR.address
        )
        if fails:
            with pytest.raises(Reverted, match="OptimismPortal_GasEstimation"):
                world.world.ask(portal, data, sender=ESTIMATOR, gas=16_000_000)
        else:
            world.world.ask(portal, data, sender=ESTIMATOR, gas=16_000_000)
        assert world.world.ask(portal, data, sender=address_of(SENDER), gas=16_000_000) == b""
