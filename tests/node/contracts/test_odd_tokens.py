"""Tokens that lie, keep a fee, answer false or call back: none is paid out of what others have brought."""

from __future__ import annotations

from typing import Final

import pytest

from node.contracts import messages
from tests.kit.contract_network import WITHDRAWALS
from tests.kit.contract_world import Contract, Receipt, Reverted
from tests.kit.crossing import (
    ACCEPT,
    GAS,
    ME,
    PLAIN,
    REFUSING,
    Pair,
    instruct,
)
from tests.kit.execution_chain import SENDER
from tests.kit.two_worlds import (
    BLOCK_SECONDS,
    L1_BRIDGE,
    L1_MESSENGER,
    L2_BRIDGE,
    L2_MESSENGER,
    PORTAL,
    TwoWorlds,
    create_token,
    deploy_l1,
    deploy_l2,
    fields,
    withdrawals_of,
)

NOBODY: Final = bytes(20)

ERC165: Final = bytes.fromhex("01ffc9a7")
LEGACY: Final = bytes.fromhex("1d1d8b63")
MODERN: Final = bytes.fromhex("ec4fc8e3")

HONEST, BOASTER, SHORT, MUTE, GREEDY, LOUD = range(6)
"""A liar's ways to answer about interfaces."""


@pytest.fixture
def worlds() -> TwoWorlds:
    """Both chains."""
    return TwoWorlds.open()


def is_delivered(receipt: Receipt) -> bool:
    """Whether the one message of a transaction was delivered."""
    found = {
        **messages.outcomes(receipt.logs, L1_MESSENGER.address),
        **messages.outcomes(receipt.logs, L2_MESSENGER.address),
    }
    (delivered,) = found.values()
    return delivered


def liar_on_l2(
    worlds: TwoWorlds,
    remote: bytes,
    *,
    way: int = HONEST,
    ids: tuple[bytes, ...] = (ERC165, MODERN),
) -> Contract:
    """A liar that stands for a token of L1, if one believes it."""
    liar = deploy_l2(worlds.l2, "Liar")
    worlds.l2.transact(SENDER, liar, "pretend", way, list(ids), remote)
    return liar


# -- fakes


@pytest.mark.parametrize("ids", [(ERC165, MODERN), (ERC165, LEGACY), (ERC165, LEGACY, MODERN)])
def test_a_fake_of_l2_withdraws_nothing_of_the_real_one(
    worlds: TwoWorlds, ids: tuple[bytes, ...]
) -> None:
    """Given a liar that burns whatever it is asked and names the real token, then its pair holds nothing: underflow."""
    pair = Pair(worlds)
    pair.deposit(400)
    liar = liar_on_l2(worlds, pair.l1.address, ids=ids)

    sent = worlds.l2.transact(
        SENDER, L2_BRIDGE, "bridgeERC20", liar.address, pair.l1.address, 400, GAS, b""
    )
    (receipt,) = worlds.settle(*withdrawals_of(sent))

    assert worlds.l2.read(liar, "burnt") == 400
    assert not is_delivered(receipt)
    assert (pair.balances(), pair.held(), pair.held(liar)) == ((600, 400, 400), 400, 0)


def test_a_fake_gives_back_what_was_sent_to_it_and_no_more(worlds: TwoWorlds) -> None:
    """Given tokens that were sent to a fake, then it holds these alone: more fails, and the real one's stay."""
    pair = Pair(worlds)
    pair.deposit(400)
    liar = liar_on_l2(worlds, pair.l1.address)
    pair.deposit(50, remote=liar)
    assert (pair.held(), pair.held(liar)) == (400, 50)
    for amount, delivered in ((51, False), (50, True), (1, False)):
        sent = worlds.l2.transact(
            SENDER, L2_BRIDGE, "bridgeERC20", liar.address, pair.l1.address, amount, GAS, b""
        )
        (receipt,) = worlds.settle(*withdrawals_of(sent))
        assert is_delivered(receipt) is delivered
    assert (pair.balances(), pair.held(), pair.held(liar)) == ((600, 400, 400), 400, 0)


def test_the_real_token_is_minted_for_its_own_counterpart_only(worlds: TwoWorlds) -> None:
    """Given a worthless token of L1 sent to the real one of L2, then nothing is minted: it stands for another."""
    pair = Pair(worlds)
    worthless = Pair(worlds)
    worlds.l1.transact(
        SENDER,
        L1_BRIDGE,
        "bridgeERC20",
        worthless.l1.address,
        pair.l2.address,
        400,
        GAS,
        b"",
    )
    (receipt,) = worlds.deliver()
    assert not is_delivered(receipt)
    assert worlds.l2.read(pair.l2, "totalSupply") == 0


def test_the_real_token_leaves_for_its_own_counterpart_only(worlds: TwoWorlds) -> None:
    pair = Pair(worlds)
    pair.deposit(400)
    other = deploy_l1(worlds.l1, "OddToken")
    with pytest.raises(
        Reverted, match="wrong remote token for Optimism Mintable ERC20 local token"
    ):
        worlds.l2.transact(
            SENDER, L2_BRIDGE, "bridgeERC20", pair.l2.address, other.address, 400, GAS, b""
        )


def test_more_than_one_has_does_not_leave(worlds: TwoWorlds) -> None:
    pair = Pair(worlds)
    pair.deposit(400)
    with pytest.raises(Reverted, match="ERC20: burn amount exceeds balance"):
        worlds.l2.transact(SENDER, L2_BRIDGE, "withdraw", pair.l2.address, 401, GAS, b"")
    with pytest.raises(Reverted):
        pair.deposit(601)
    assert (pair.balances(), pair.held()) == ((600, 400, 400), 400)


def test_ether_is_not_sent_along_with_tokens(worlds: TwoWorlds) -> None:
    pair = Pair(worlds)
    pair.deposit(400)
    with pytest.raises(Reverted, match="StandardBridge: cannot send value"):
        worlds.l2.transact(SENDER, L2_BRIDGE, "withdraw", pair.l2.address, 1, GAS, b"", value=1)


@pytest.mark.parametrize("token", [bytes(20), b"\x7a" * 20, b"\x00" * 19 + b"\x04"])
def test_what_has_no_code_is_no_token(worlds: TwoWorlds, token: bytes) -> None:
    """Given an account without code, or a precompile that answers whatever it is asked, then it is no token."""
    with pytest.raises(Reverted):
        worlds.l1.transact(SENDER, L1_BRIDGE, "bridgeERC20", token, token, 1, GAS, b"")
    with pytest.raises(Reverted):
        worlds.l2.transact(SENDER, L2_BRIDGE, "withdraw", token, 1, GAS, b"")


# -- interfaces


@pytest.mark.parametrize(
    ("way", "ids", "mintable"),
    [
        (HONEST, (ERC165, LEGACY), True),
        (HONEST, (ERC165, MODERN), True),
        (LOUD, (ERC165, MODERN), True),
        (HONEST, (MODERN,), False),
        (HONEST, (ERC165,), False),
        (BOASTER, (ERC165, MODERN), False),
        (SHORT, (ERC165, MODERN), False),
        (MUTE, (ERC165, MODERN), False),
        (GREEDY, (ERC165, MODERN), False),
    ],
)
def test_interfaces_are_asked_for_as_eip_165_has_it(
    worlds: TwoWorlds, way: int, ids: tuple[bytes, ...], mintable: bool
) -> None:
    """Given each way to answer, then only whole and consistent answers make a token mintable; others are kept, not burnt."""
    remote = b"\x7a" * 20
    liar = liar_on_l2(worlds, remote, way=way, ids=ids)
    worlds.l2.transact(SENDER, L2_BRIDGE, "bridgeERC20", liar.address, remote, 7, GAS, b"")
    burnt, kept = worlds.l2.read(liar, "burnt"), worlds.l2.read(liar, "owned")
    assert (burnt, kept) == ((7, 0) if mintable else (0, 7))
    held = worlds.l2.read(L2_BRIDGE, "deposits", liar.address, remote)
    assert held == (0 if mintable else 7)


def test_identifiers_are_those_of_the_functions() -> None:
    """Given EIP-165's rule, then the two identifiers are the exclusive or of their functions' selectors."""
    token = create_token(TwoWorlds.open(), b"\x7a" * 20)

    def selectors(*names: str) -> bytes:
        found = 0
        for name in names:
            arguments = [b"\x00" * 20, 0] if name in ("mint", "burn") else []
            found ^= int.from_bytes(token.input(name, *arguments)[:4])
        return found.to_bytes(4)

    assert selectors("mint", "burn", "l1Token") == LEGACY
    assert selectors("mint", "burn", "remoteToken", "bridge") == MODERN


# -- fees, refusals


@pytest.mark.parametrize("fee", [1, 399, 400])
def test_a_token_that_keeps_a_fee_is_refused(worlds: TwoWorlds, fee: int) -> None:
    """Given a token whose transfers arrive short, then it is refused: the shortfall would be taken from other holders."""
    pair = Pair(worlds)
    pair.deposit(100)
    worlds.l1.transact(SENDER, pair.l1, "behave", PLAIN, fee, NOBODY)
    with pytest.raises(Reverted, match="StandardBridge: token does not arrive in full"):
        pair.deposit(400)
    assert pair.held() == 100


def test_a_token_that_begins_to_keep_a_fee_costs_its_receiver(worlds: TwoWorlds) -> None:
    """Given a fee that came later, then who withdraws gets less, and the pair still holds what it says."""
    pair = Pair(worlds)
    pair.deposit(400)
    worlds.l1.transact(SENDER, pair.l1, "behave", PLAIN, 10, NOBODY)
    pair.withdraw(100)
    assert (pair.balances(), pair.held()) == ((690, 300, 300), 300)


def test_a_token_that_answers_false_is_not_taken(worlds: TwoWorlds) -> None:
    pair = Pair(worlds)
    worlds.l1.transact(SENDER, pair.l1, "behave", REFUSING, 0, NOBODY)
    with pytest.raises(Reverted, match="SafeERC20: ERC20 operation did not succeed"):
        pair.deposit(400)


def test_a_token_that_answers_false_waits_and_is_given_out_later(worlds: TwoWorlds) -> None:
    """Given a token that stops, then a withdrawal fails and waits, and a replay gives it out once the token moves again."""
    pair = Pair(worlds)
    pair.deposit(400)
    worlds.l1.transact(SENDER, pair.l1, "behave", REFUSING, 0, NOBODY)
    sent = worlds.l2.transact(SENDER, L2_BRIDGE, "withdraw", pair.l2.address, 100, GAS, b"")
    (message,) = messages.sent_messages(sent.logs, L2_MESSENGER.address)
    (receipt,) = worlds.settle(*withdrawals_of(sent))
    assert not is_delivered(receipt)
    assert (pair.balances(), pair.held()) == ((600, 400, 300), 400)

    worlds.l1.transact(SENDER, pair.l1, "behave", PLAIN, 0, NOBODY)
    receipt = worlds.l1.send(SENDER, L1_MESSENGER.address, message.relay())
    assert is_delivered(receipt)
    assert (pair.balances(), pair.held()) == ((700, 300, 300), 300)
    with pytest.raises(Reverted, match="already been relayed"):
        worlds.l1.ask(L1_MESSENGER, message.relay())


# -- calls back


def test_a_deposit_within_a_deposit_is_refused(worlds: TwoWorlds) -> None:
    """Given a token that lets its payer deposit again while it is taken, then nothing is counted twice."""
    pair = Pair(worlds)
    puppet = deploy_l1(worlds.l1, "Puppet")
    inner = messages.bridge_tokens(pair.l1.address, pair.l2.address, ME, 10)
    worlds.l1.transact(SENDER, pair.l1, "issue", puppet.address, 1_000)
    approve = messages.approve(L1_BRIDGE.address, 1_000)
    worlds.l1.send(SENDER, puppet.address, instruct(puppet, ACCEPT, pair.l1.address, approve))
    worlds.l1.send(SENDER, puppet.address)
    worlds.l1.send(SENDER, puppet.address, instruct(puppet, ACCEPT, L1_BRIDGE.address, inner))
    worlds.l1.transact(SENDER, pair.l1, "behave", PLAIN, 0, puppet.address)

    pair.deposit(400)

    assert worlds.l1.read(puppet, "succeeded") is False
    assert (pair.balances(), pair.held()) == ((600, 400, 400), 400)


def test_a_withdrawal_within_a_withdrawal_waits(worlds: TwoWorlds) -> None:
    """Given a receiver on L1 that finalizes another withdrawal while it is paid, then that one is not lost."""
    puppet = deploy_l1(worlds.l1, "Puppet")
    worlds.l1.transact(SENDER, L1_MESSENGER, "sendMessage", ME, b"", 0, value=100)
    worlds.deliver()
    inner = worlds.l2.transact(SENDER, L2_BRIDGE, "bridgeETHTo", b"\x7e" * 20, GAS, b"", value=3)
    outer = worlds.l2.transact(
        SENDER, L2_BRIDGE, "bridgeETHTo", puppet.address, 2_000_000, b"", value=4
    )
    (held,), (calling,) = withdrawals_of(inner), withdrawals_of(outer)
    worlds.prove([held, calling])
    worlds.network.pass_blocks(WITHDRAWALS.proof_maturity_s // BLOCK_SECONDS + 1)
    finalize = PORTAL.input("finalizeWithdrawalTransactionExternalProof", fields(held), ME)
    worlds.l1.send(SENDER, puppet.address, instruct(puppet, ACCEPT, PORTAL.address, finalize))
    receipt = worlds.l1.transact(SENDER, PORTAL, "finalizeWithdrawalTransaction", fields(calling))
    assert is_delivered(receipt)
    assert worlds.l1.read(puppet, "paid") == 4
    assert worlds.l1.read(puppet, "succeeded") is False
    assert worlds.l1.balance(b"\x7e" * 20) == 0
    worlds.l1.transact(SENDER, PORTAL, "finalizeWithdrawalTransaction", fields(held))
    assert worlds.l1.balance(b"\x7e" * 20) == 3
