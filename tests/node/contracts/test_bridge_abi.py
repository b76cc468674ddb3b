"""The bridge's ABI as the world knows it: selectors and topics as published, not as our own sources give them."""

from __future__ import annotations

from typing import Final

import pytest

from node.contracts.artifacts import load
from node.eth.hashing import keccak256
from tests.kit.compiled import FOLDER, HELPERS, compiled
from tests.kit.contract_world import selector, signature

MESSENGERS: Final = ("L1CrossDomainMessenger", "L2CrossDomainMessenger")
BRIDGES: Final = ("L1StandardBridge", "L2StandardBridge")

SELECTORS: Final = {
    MESSENGERS: {
        "sendMessage": "3dbb202b",
        "relayMessage": "d764ad0b",
        "xDomainMessageSender": "6e296e45",
        "messageNonce": "ecc70428",
        "baseGas": "b28ade25",
        "successfulMessages": "b1b1b209",
        "failedMessages": "a4e7f8bd",
        "OTHER_MESSENGER": "9fce812c",
        "MESSAGE_VERSION": "3f827a5a",
        "paused": "5c975abb",
        "version": "54fd4d50",
    },
    ("L1CrossDomainMessenger",): {"portal": "6425666b", "PORTAL": "0ff754ea"},
    ("L2CrossDomainMessenger",): {"l1CrossDomainMessenger": "a7119869"},
    BRIDGES: {
        "bridgeETH": "09fc8843",
        "bridgeETHTo": "e11013dd",
        "bridgeERC20": "87087623",
        "bridgeERC20To": "540abf73",
        "finalizeBridgeETH": "1635f5fd",
        "finalizeBridgeERC20": "0166a07a",
        "deposits": "8f601f66",
        "MESSENGER": "927ede2d",
        "OTHER_BRIDGE": "7f46ddb2",
    },
    ("L1StandardBridge",): {
        "depositETH": "b1a1a882",
        "depositETHTo": "9a2ac6d5",
        "depositERC20": "58a997f6",
        "depositERC20To": "838b2520",
        "finalizeETHWithdrawal": "1532ec34",
        "finalizeERC20Withdrawal": "a9f9e675",
        "l2TokenBridge": "91c49bf8",
    },
    ("L2StandardBridge",): {
        "withdraw": "32b7006d",
        "withdrawTo": "a3a79548",
        "l1TokenBridge": "36c717c1",
    },
    ("OptimismMintableERC20Factory",): {
        "createStandardL2Token": "896f93d1",
        "createOptimismMintableERC20": "ce5ac90f",
        "createOptimismMintableERC20WithDecimals": "8cf0629c",
    },
    ("OptimismMintableERC20",): {
        "mint": "40c10f19",
        "burn": "9dc29fac",
        "l1Token": "c01e1bd6",
        "l2Bridge": "ae1f6aaf",
        "remoteToken": "d6c0b2c4",
        "bridge": "e78cea92",
        "permit": "d505accf",
        "DOMAIN_SEPARATOR": "3644e515",
        "nonces": "7ecebe00",
        "transferFrom": "23b872dd",
        "increaseAllowance": "39509351",
        "decreaseAllowance": "a457c2d7",
    },
}
"""By the contracts that have them."""

TOPICS: Final = {
    MESSENGERS: {
        "SentMessage": "cb0f7ffd78f9aee47a248fae8db181db6eee833039123e026dcbff529522e52a",
        "SentMessageExtension1": "8ebb2ec2465bdb2a06a66fc37a0963af8a2a6a1479d81d56fdb8cbb98096d546",
        "RelayedMessage": "4641df4a962071e12719d8c8c8e5ac7fc4d97b927346a3d7a335b1f7517e133c",
        "FailedRelayedMessage": "99d0e048484baa1b1540b1367cb128acd7ab2946d1ed91ec10e3c85e4bf51b8f",
    },
    BRIDGES: {
        "ETHBridgeInitiated": "2849b43074093a05396b6f2a937dee8565b15a48a7b3d4bffb732a5017380af5",
        "ETHBridgeFinalized": "31b2166ff604fc5672ea5df08a78081d2bc6d746cadce880747f3643d819e83d",
        "ERC20BridgeInitiated": "7ff126db8024424bbfd9826e8ab82ff59136289ea440b04b39a0df1b03b9cabf",
        "ERC20BridgeFinalized": "d59c65b35445225835c83f50b6ede06a7be047d22e357073e250d9af537518cd",
    },
    ("L1StandardBridge",): {
        "ETHDepositInitiated": "35d79ab81f2b2017e19afb5c5571778877782d7a8786f5907f93b0f4702f4f23",
        "ERC20DepositInitiated": "718594027abd4eaed59f95162563e0cc6d0e8d5b86b1c7be8b1b0ac3343d0396",
        "ETHWithdrawalFinalized": "2ac69ee804d9a7a0984249f508dfab7cb2534b465b6ce1580f99a38ba9c5e631",
        "ERC20WithdrawalFinalized": "3ceee06c1e37648fcbb6ed52e17b3e1f275a1f8c7b22a84b2b84732431e046b3",
    },
    ("L2StandardBridge",): {
        "WithdrawalInitiated": "73d170910aba9e6d50b102db522b1dbcd796216f5128b445aa2135272886497e",
        "DepositFinalized": "b0444523268717a02698be47d0803aa7468c00acbed2f8bd93a0459cde61dd89",
    },
    ("OptimismMintableERC20Factory",): {
        "OptimismMintableERC20Created": "52fe89dd5930f343d25650b62fd367bae47088bcddffd2a88350a6ecdd620cdb",
        "StandardL2TokenCreated": "ceeb8e7d520d7f3b65fc11a262b91066940193b05d4f93df07cfdced0eb551cf",
    },
    ("OptimismMintableERC20",): {
        "Mint": "0f6798a560793a54c3bcfe86a93cde1e73087d944c0ea20544137d4121396885",
        "Burn": "cc16f5dbb4873280815c1ee09dbd06736cffcc184412cf7a71a0fdb75d397ca5",
    },
}
"""By the contracts that log them."""


def entry(contract: str, kind: str, name: str) -> dict[str, object]:
    """The ABI's one entry of that kind and name."""
    (found,) = [it for it in load(contract).abi if it["type"] == kind and it.get("name") == name]
    return dict(found)


@pytest.mark.parametrize(
    ("contract", "function", "expected"),
    [
        (contract, function, expected)
        for contracts, functions in SELECTORS.items()
        for contract in contracts
        for function, expected in functions.items()
    ],
)
def test_functions_are_those_that_tools_call(contract: str, function: str, expected: str) -> None:
    assert selector(entry(contract, "function", function)).hex() == expected


@pytest.mark.parametrize(
    ("contract", "event", "expected"),
    [
        (contract, event, expected)
        for contracts, events in TOPICS.items()
        for contract in contracts
        for event, expected in events.items()
    ],
)
def test_events_are_those_that_tools_look_for(contract: str, event: str, expected: str) -> None:
    assert keccak256(signature(entry(contract, "event", event)).encode()).hex() == expected


@pytest.mark.parametrize("name", MESSENGERS)
def test_both_messengers_have_one_common_part(name: str) -> None:
    """Given the functions of the other messenger, then this one has them all but those that name its own side's contracts."""
    configuration = {"portal", "PORTAL", "systemConfig", "superchainConfig"}
    own = {"L1CrossDomainMessenger": {*configuration, "resendMessage", "sentMessages"}}
    names = {
        contract: {str(it["name"]) for it in load(contract).abi if it["type"] == "function"}
        for contract in MESSENGERS
    }
    expected = own.get(name, {"l1CrossDomainMessenger"})
    (other,) = set(MESSENGERS) - {name}
    assert names[name] - names[other] == expected


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", HELPERS)
def test_contracts_of_tests_are_what_their_sources_give(name: str) -> None:
    """Given a fresh compile, then not a byte differs; if not: `python -m tests.kit.compiled`."""
    assert (FOLDER / f"{name}.json").read_bytes() == compiled(name)
