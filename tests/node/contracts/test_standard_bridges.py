"""Ether and tokens over the standard bridges, both ways: what is locked here is what is there, in both forms of each event."""

from __future__ import annotations

from typing import Final

import pytest
from eth_abi.abi import encode

from node.contracts import addresses, messages
from node.contracts.artifacts import load
from node.eth.primitives import Address
from tests.kit.contract_network import GUARDIAN, forwarder
from tests.kit.contract_world import Contract, Reverted
from tests.kit.crossing import ACCEPT, EXTRA, FRIEND, GAS, ME, REFUSE, SILENT, Pair, instruct
from tests.kit.execution_chain import CHAIN_ID, PAUPER, SENDER, SPONSOR, address_of, sign
from tests.kit.two_worlds import (
    L1_BRIDGE,
    L1_MESSENGER,
    L2_BRIDGE,
    L2_MESSENGER,
    SYSTEM_CONFIG,
    TwoWorlds,
    deploy_l2,
    withdrawals_of,
)

TOKEN: Final = load("OptimismMintableERC20")

ETHER: Final = "0x" + "00" * 20
LEGACY: Final = "0x" + addresses.LEGACY_ETHER.hex()


@pytest.fixture
def worlds() -> TwoWorlds:
    """Both chains."""
    return TwoWorlds.open()


def pair_on_l1(remote: bytes) -> bytes:
    """Init code of a token of L1 that stands for one of L2, as its issuer deploys it."""
    kinds = ["address", "address", "string", "string", "uint8"]
    return TOKEN.init + encode(kinds, [L1_BRIDGE.address, remote, "Stand-in", "STI", 18])


def ether_event(sender: bytes, to: bytes, amount: int, extra: bytes) -> dict[str, object]:
    """An event of Ether, without older names."""
    return {
        "sender": "0x" + sender.hex(),
        "to": "0x" + to.hex(),
        "amount": amount,
        "extraData": extra,
    }


# -- Ether


@pytest.mark.parametrize(
    ("name", "arguments", "to"),
    [
        ("bridgeETH", (GAS, EXTRA), ME),
        ("bridgeETHTo", (FRIEND, GAS, EXTRA), FRIEND),
        ("depositETH", (GAS, EXTRA), ME),
        ("depositETHTo", (FRIEND, GAS, EXTRA), FRIEND),
    ],
)
def test_ether_goes_to_l2(
    worlds: TwoWorlds, name: str, arguments: tuple[object, ...], to: Address
) -> None:
    before = worlds.l2.balance(to)
    sent = worlds.l1.transact(SENDER, L1_BRIDGE, name, *arguments, value=7)
    (receipt,) = worlds.deliver()

    event = ether_event(ME, to, 7, EXTRA)
    assert L1_BRIDGE.events(sent, "ETHDepositInitiated") == [event]
    assert L1_BRIDGE.events(sent, "ETHBridgeInitiated") == [event]
    assert L2_BRIDGE.events(receipt, "ETHBridgeFinalized") == [event]
    assert L2_BRIDGE.events(receipt, "DepositFinalized") == [
        {"l1Token": ETHER, "l2Token": LEGACY, **event}
    ]
    assert worlds.l2.balance(to) == before + 7
    assert worlds.locked_wei() == 7
    assert worlds.l1.balance(L1_BRIDGE.address) == worlds.l2.balance(L2_BRIDGE.address) == 0


@pytest.mark.parametrize(
    ("name", "arguments", "to"),
    [
        ("bridgeETH", (GAS, EXTRA), ME),
        ("bridgeETHTo", (FRIEND, GAS, EXTRA), FRIEND),
        ("withdraw", (addresses.LEGACY_ETHER, 7, GAS, EXTRA), ME),
        ("withdrawTo", (addresses.LEGACY_ETHER, FRIEND, 7, GAS, EXTRA), FRIEND),
    ],
)
def test_ether_goes_to_l1(
    worlds: TwoWorlds, name: str, arguments: tuple[object, ...], to: Address
) -> None:
    worlds.l1.transact(SENDER, L1_BRIDGE, "depositETHTo", FRIEND, GAS, b"", value=9)
    worlds.deliver()
    sent = worlds.l2.transact(SENDER, L2_BRIDGE, name, *arguments, value=7)
    before = worlds.l1.balance(FRIEND)
    (receipt,) = worlds.settle(*withdrawals_of(sent))

    event = ether_event(ME, to, 7, EXTRA)
    assert L2_BRIDGE.events(sent, "WithdrawalInitiated") == [
        {"l1Token": ETHER, "l2Token": LEGACY, **event}
    ]
    assert L2_BRIDGE.events(sent, "ETHBridgeInitiated") == [event]
    assert L1_BRIDGE.events(receipt, "ETHWithdrawalFinalized") == [event]
    assert L1_BRIDGE.events(receipt, "ETHBridgeFinalized") == [event]
    assert worlds.l1.balance(FRIEND) - before == (7 if to == FRIEND else 0)
    assert worlds.locked_wei() == 2


def test_a_plain_payment_of_a_key_goes_to_itself(worlds: TwoWorlds) -> None:
    sent = worlds.l1.send(SENDER, L1_BRIDGE.address, value=9)
    (receipt,) = worlds.deliver()
    event = ether_event(ME, ME, 9, b"")
    assert L1_BRIDGE.events(sent, "ETHBridgeInitiated") == [event]
    assert L2_BRIDGE.events(receipt, "ETHBridgeFinalized") == [event]
    sent = worlds.l2.send(SENDER, L2_BRIDGE.address, value=7)
    (receipt,) = worlds.settle(*withdrawals_of(sent))
    assert L1_BRIDGE.events(receipt, "ETHBridgeFinalized") == [ether_event(ME, ME, 7, b"")]
    (message,) = messages.sent_messages(sent.logs, L2_MESSENGER.address)
    assert message.gas_limit == GAS


@pytest.mark.parametrize("value", [6, 8, 0])
def test_ether_is_what_is_paid(worlds: TwoWorlds, value: int) -> None:
    with pytest.raises(Reverted, match="bridging ETH must include sufficient ETH value"):
        worlds.l2.transact(
            SENDER, L2_BRIDGE, "withdraw", addresses.LEGACY_ETHER, 7, GAS, b"", value=value
        )


def test_ether_for_a_target_that_refuses_waits_in_the_messenger(worlds: TwoWorlds) -> None:
    """Given a receiver on L2 that refuses, then its Ether waits, and is paid out by a replay once it accepts."""
    puppet = deploy_l2(worlds.l2, "Puppet")
    worlds.l2.send(SENDER, puppet.address, instruct(puppet, REFUSE))
    sent = worlds.l1.transact(SENDER, L1_BRIDGE, "bridgeETHTo", puppet.address, GAS, b"", value=7)
    (message,) = messages.sent_messages(sent.logs, L1_MESSENGER.address)
    (receipt,) = worlds.deliver()
    assert messages.outcomes(receipt.logs, L2_MESSENGER.address) == {message.hash(): False}
    assert worlds.l2.balance(L2_MESSENGER.address) == 7
    worlds.l2.send(SENDER, puppet.address, instruct(puppet, ACCEPT))
    worlds.l2.send(SENDER, L2_MESSENGER.address, message.relay())
    assert worlds.l2.read(puppet, "paid") == 7
    assert worlds.l2.balance(L2_MESSENGER.address) == 0


@pytest.mark.parametrize(
    "target", [addresses.L2_STANDARD_BRIDGE, addresses.L2_CROSS_DOMAIN_MESSENGER]
)
def test_ether_for_the_bridge_itself_is_not_paid_out(worlds: TwoWorlds, target: Address) -> None:
    """Given the other bridge or messenger as receiver, then the transfer fails for good, and nothing becomes theirs."""
    worlds.l1.transact(SENDER, L1_BRIDGE, "bridgeETHTo", target, GAS, b"", value=7)
    (receipt,) = worlds.deliver()
    (outcome,) = messages.outcomes(receipt.logs, L2_MESSENGER.address).values()
    assert outcome is False
    assert L2_BRIDGE.events(receipt, "ETHBridgeFinalized") == []


# -- tokens


def test_tokens_go_to_l2_and_back(worlds: TwoWorlds) -> None:
    pair = Pair(worlds)
    token = {"l1Token": "0x" + pair.l1.address.hex(), "l2Token": "0x" + pair.l2.address.hex()}
    local = {"localToken": token["l2Token"], "remoteToken": token["l1Token"]}

    receipt = pair.deposit(400)
    event = ether_event(ME, ME, 400, EXTRA)
    assert L2_BRIDGE.events(receipt, "DepositFinalized") == [{**token, **event}]
    assert L2_BRIDGE.events(receipt, "ERC20BridgeFinalized") == [{**local, **event}]
    assert pair.l2.events(receipt, "Mint") == [{"account": "0x" + ME.hex(), "amount": 400}]
    assert (pair.balances(), pair.held()) == ((600, 400, 400), 400)

    receipt = pair.withdraw(150)
    event = ether_event(ME, ME, 150, EXTRA)
    mirrored = {"localToken": token["l1Token"], "remoteToken": token["l2Token"]}
    assert L1_BRIDGE.events(receipt, "ERC20WithdrawalFinalized") == [{**token, **event}]
    assert L1_BRIDGE.events(receipt, "ERC20BridgeFinalized") == [{**mirrored, **event}]
    assert (pair.balances(), pair.held()) == ((750, 250, 250), 250)
    assert worlds.l2.read(pair.l2, "totalSupply") == 250


@pytest.mark.parametrize(
    ("name", "to"),
    [
        ("bridgeERC20", None),
        ("depositERC20", None),
        ("bridgeERC20To", FRIEND),
        ("depositERC20To", FRIEND),
    ],
)
def test_tokens_go_to_l2_by_every_name(worlds: TwoWorlds, name: str, to: Address | None) -> None:
    pair = Pair(worlds)
    receiver = () if to is None else (to,)
    sent = worlds.l1.transact(
        SENDER, L1_BRIDGE, name, pair.l1.address, pair.l2.address, *receiver, 5, GAS, EXTRA
    )
    token = {"l1Token": "0x" + pair.l1.address.hex(), "l2Token": "0x" + pair.l2.address.hex()}
    mirrored = {"localToken": token["l1Token"], "remoteToken": token["l2Token"]}
    event = ether_event(ME, to or ME, 5, EXTRA)
    assert L1_BRIDGE.events(sent, "ERC20DepositInitiated") == [{**token, **event}]
    assert L1_BRIDGE.events(sent, "ERC20BridgeInitiated") == [{**mirrored, **event}]
    worlds.deliver()
    assert worlds.l2.read(pair.l2, "balanceOf", to or ME) == 5


@pytest.mark.parametrize("name", ["withdraw", "withdrawTo", "bridgeERC20", "bridgeERC20To"])
def test_tokens_go_to_l1_by_every_name(worlds: TwoWorlds, name: str) -> None:
    pair = Pair(worlds)
    pair.deposit(100)
    remote = (pair.l1.address,) if name.startswith("bridge") else ()
    to = FRIEND if name.endswith("To") else None
    receiver = () if to is None else (to,)
    sent = worlds.l2.transact(
        SENDER, L2_BRIDGE, name, pair.l2.address, *remote, *receiver, 40, GAS, EXTRA
    )
    token = {"l1Token": "0x" + pair.l1.address.hex(), "l2Token": "0x" + pair.l2.address.hex()}
    event = ether_event(ME, to or ME, 40, EXTRA)
    assert L2_BRIDGE.events(sent, "WithdrawalInitiated") == [{**token, **event}]
    assert len(L2_BRIDGE.events(sent, "ERC20BridgeInitiated")) == 1
    worlds.settle(*withdrawals_of(sent))
    assert worlds.l1.read(pair.l1, "balanceOf", to or ME) == (40 if to else 940)
    assert pair.held() == 60


def test_a_token_of_l2_is_kept_there_and_minted_on_l1(worlds: TwoWorlds) -> None:
    """Given a token of L2 and a counterpart on L1 that L1's bridge mints, then the same rules hold the other way round."""
    native = deploy_l2(worlds.l2, "OddToken")
    init = pair_on_l1(native.address)
    created = worlds.l1.send(SENDER, None, init)
    assert created.contract is not None
    stand_in = Contract(TOKEN, Address(created.contract))
    worlds.l2.transact(SENDER, native, "issue", ME, 1_000)
    worlds.l2.transact(SENDER, native, "approve", L2_BRIDGE.address, 1_000)

    sent = worlds.l2.transact(
        SENDER, L2_BRIDGE, "bridgeERC20", native.address, stand_in.address, 300, GAS, b""
    )
    worlds.settle(*withdrawals_of(sent))

    assert worlds.l1.read(stand_in, "balanceOf", ME) == 300
    assert worlds.l2.read(L2_BRIDGE, "deposits", native.address, stand_in.address) == 300
    worlds.l1.transact(
        SENDER, L1_BRIDGE, "bridgeERC20", stand_in.address, native.address, 100, GAS, b""
    )
    worlds.deliver()
    assert worlds.l1.read(stand_in, "totalSupply") == 200
    assert worlds.l2.read(native, "balanceOf", ME) == 800
    assert worlds.l2.read(L2_BRIDGE, "deposits", native.address, stand_in.address) == 200


def test_a_token_that_answers_nothing_goes_over(worlds: TwoWorlds) -> None:
    """Given a token of before the standard, whose transfers answer nothing, then it goes both ways."""
    pair = Pair(worlds)
    worlds.l1.transact(SENDER, pair.l1, "behave", SILENT, 0, bytes(20))
    pair.deposit(400)
    pair.withdraw(400)
    assert (pair.balances(), pair.held()) == ((1_000, 0, 0), 0)


# -- who may


def test_only_keys_send_to_themselves(worlds: TwoWorlds) -> None:
    """Given a contract, then what goes to its own address on the other side is refused: nobody may own that address there."""
    code = {"balance": "0x0", "code": "0x" + forwarder(L1_BRIDGE.address).hex()}
    relayed = TwoWorlds.open(l1_accounts={"0x" + "0c" * 20: code})
    via = Address(b"\x0c" * 20)
    calls = [
        L1_BRIDGE.input("bridgeETH", GAS, b""),
        L1_BRIDGE.input("depositETH", GAS, b""),
        b"",
        L1_BRIDGE.input("bridgeERC20", via, via, 0, GAS, b""),
        L1_BRIDGE.input("depositERC20", via, via, 0, GAS, b""),
    ]
    for call in calls:
        with pytest.raises(Reverted, match="function can only be called from an EOA"):
            relayed.l1.ask(Contract(L1_BRIDGE.artifact, via), call, sender=ME)
    sent = relayed.l1.send(SENDER, via, L1_BRIDGE.input("bridgeETHTo", FRIEND, GAS, b""), value=3)
    assert L1_BRIDGE.events(sent, "ETHBridgeInitiated") == [ether_event(via, FRIEND, 3, b"")]


def test_only_keys_withdraw_to_themselves(worlds: TwoWorlds) -> None:
    code = {"balance": "0x0", "code": "0x" + forwarder(L2_BRIDGE.address).hex()}
    relayed = TwoWorlds.open(l2_accounts={"0x" + "0c" * 20: code})
    via = Contract(L2_BRIDGE.artifact, Address(b"\x0c" * 20))
    for call in (
        L2_BRIDGE.input("withdraw", addresses.LEGACY_ETHER, 0, GAS, b""),
        L2_BRIDGE.input("bridgeETH", GAS, b""),
        L2_BRIDGE.input("bridgeERC20", FRIEND, FRIEND, 0, GAS, b""),
        b"",
    ):
        with pytest.raises(Reverted, match="function can only be called from an EOA"):
            relayed.l2.ask(via, call, sender=ME)


def test_a_key_that_delegates_to_code_is_a_key(worlds: TwoWorlds) -> None:
    """Given an account with a delegation (EIP-7702) that others call, then it may send to itself."""
    code = {"balance": "0x0", "code": "0x" + forwarder(L1_BRIDGE.address).hex()}
    via = Address(b"\x0c" * 20)
    relayed = TwoWorlds.open(l1_accounts={"0x" + via.hex(): code})
    terms = {"chainId": CHAIN_ID, "address": via, "nonce": 0}
    raw = sign(
        SPONSOR,
        nonce=0,
        to=address_of(PAUPER),
        data=L1_BRIDGE.input("bridgeETH", GAS, b""),
        value=3,
        gas=2_000_000,
        authorizationList=[PAUPER.sign_authorization(terms)],
    )
    (sent,) = relayed.l1.mine([raw])
    pauper = address_of(PAUPER)
    assert L1_BRIDGE.events(sent, "ETHBridgeInitiated") == [ether_event(pauper, pauper, 3, b"")]


FINALIZATIONS: Final = {
    "finalizeBridgeETH": (ME, FRIEND, 0, b""),
    "finalizeETHWithdrawal": (ME, FRIEND, 0, b""),
    "finalizeBridgeERC20": (FRIEND, FRIEND, ME, FRIEND, 0, b""),
    "finalizeERC20Withdrawal": (FRIEND, FRIEND, ME, FRIEND, 0, b""),
}
"""What only the other bridge may call."""


@pytest.mark.parametrize("name", sorted(FINALIZATIONS))
def test_only_the_other_bridge_gives_out(worlds: TwoWorlds, name: str) -> None:
    """Given anyone, the messenger without a message and a message of another, then nothing is given out."""
    refused = "function can only be called from the other bridge"
    call = L1_BRIDGE.input(name, *FINALIZATIONS[name])
    for sender in (ME, L2_BRIDGE.address, addresses.PORTAL):
        with pytest.raises(Reverted, match=refused):
            worlds.l1.ask(L1_BRIDGE, call, sender=sender)
    with pytest.raises(Reverted, match="xDomainMessageSender is not set"):
        worlds.l1.ask(L1_BRIDGE, call, sender=L1_MESSENGER.address)
    sent = worlds.l2.transact(SENDER, L2_MESSENGER, "sendMessage", L1_BRIDGE.address, call, GAS)
    (receipt,) = worlds.settle(*withdrawals_of(sent))
    assert list(messages.outcomes(receipt.logs, L1_MESSENGER.address).values()) == [False]

    if name in ("finalizeBridgeETH", "finalizeBridgeERC20"):
        with pytest.raises(Reverted, match=refused):
            worlds.l2.ask(L2_BRIDGE, call, sender=ME)
        worlds.l1.transact(SENDER, L1_MESSENGER, "sendMessage", L2_BRIDGE.address, call, GAS)
        (receipt,) = worlds.deliver()
        assert list(messages.outcomes(receipt.logs, L2_MESSENGER.address).values()) == [False]


def test_a_pause_holds_back_what_comes_from_l2(worlds: TwoWorlds) -> None:
    """Given a pause, then deposits go on and withdrawals wait: none is lost."""
    pair = Pair(worlds)
    pair.deposit(100)
    sent = worlds.l2.transact(SENDER, L2_BRIDGE, "withdraw", pair.l2.address, 30, GAS, b"")
    worlds.prove(withdrawals_of(sent))
    worlds.l1.transact(GUARDIAN, SYSTEM_CONFIG, "pause", bytes(20))

    assert worlds.l1.read(L1_BRIDGE, "paused") is True
    assert worlds.l2.read(L2_BRIDGE, "paused") is False
    with pytest.raises(Reverted):
        worlds.settle(*withdrawals_of(sent))
    pair.deposit(10)
    assert (pair.balances(), pair.held()) == ((890, 110, 80), 110)
    worlds.l1.transact(GUARDIAN, SYSTEM_CONFIG, "unpause", bytes(20))
    worlds.settle(*withdrawals_of(sent))
    assert (pair.balances(), pair.held()) == ((920, 80, 80), 80)


def test_counterparts_are_named_by_old_and_new_names(worlds: TwoWorlds) -> None:
    l1, l2 = worlds.l1.read, worlds.l2.read
    for name in ("otherBridge", "OTHER_BRIDGE"):
        assert l1(L1_BRIDGE, name) == "0x" + L2_BRIDGE.address.hex()
        assert l2(L2_BRIDGE, name) == "0x" + L1_BRIDGE.address.hex()
    for name in ("messenger", "MESSENGER"):
        assert l1(L1_BRIDGE, name) == "0x" + L1_MESSENGER.address.hex()
        assert l2(L2_BRIDGE, name) == "0x" + L2_MESSENGER.address.hex()
    assert l1(L1_BRIDGE, "l2TokenBridge") == "0x" + L2_BRIDGE.address.hex()
    assert l2(L2_BRIDGE, "l1TokenBridge") == "0x" + L1_BRIDGE.address.hex()
    for name in ("systemConfig", "superchainConfig"):
        assert l1(L1_BRIDGE, name) == "0x" + addresses.SYSTEM_CONFIG.hex()


def test_unknown_functions_take_nothing(worlds: TwoWorlds) -> None:
    assert not worlds.l1.send(SENDER, L1_BRIDGE.address, b"\xde\xad\xbe\xef", value=1).succeeded
    assert not worlds.l2.send(SENDER, L2_BRIDGE.address, b"\xde\xad\xbe\xef", value=1).succeeded


@pytest.mark.parametrize("length", [0, 1, 32, messages.MAX_EXTRA_BYTES])
def test_extra_data_of_every_length_arrives(worlds: TwoWorlds, length: int) -> None:
    extra = bytes(index % 255 + 1 for index in range(length))
    worlds.l1.transact(SENDER, L1_BRIDGE, "bridgeETHTo", FRIEND, GAS, extra, value=1)
    (receipt,) = worlds.deliver()
    (event,) = L2_BRIDGE.events(receipt, "ETHBridgeFinalized")
    assert event["extraData"] == extra


def test_extra_data_beyond_the_bound_is_refused(worlds: TwoWorlds) -> None:
    extra = bytes(messages.MAX_EXTRA_BYTES + 1)
    with pytest.raises(Reverted, match=r"^\(\)$"):
        worlds.l1.transact(SENDER, L1_BRIDGE, "bridgeETHTo", FRIEND, GAS, extra, value=1)
