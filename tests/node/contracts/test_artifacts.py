"""Artifacts: what is checked in is what the sources give; what tools need is in them."""

from __future__ import annotations

import pytest

from deploy.contracts_build import CONTRACTS, compiled_artifacts
from node.contracts.artifacts import load
from node.eth.hashing import keccak256
from tests.kit.contract_world import selector, signature

NAMES = sorted(file.stem for file in (CONTRACTS / "artifacts").glob("*.json"))
"""Every contract."""

CODE_BYTES_MAX = 24_576
"""EIP-170."""

OPTIMISM_SELECTORS = {
    "Portal": {
        "depositTransaction": "e9e05c42",
        "donateETH": "8b4c40b0",
        "minimumGasLimit": "a35d99df",
        "params": "cff0ab96",
        "version": "54fd4d50",
        "checkWithdrawal": "71c1566e",
        "disputeGameBlacklist": "45884d32",
        "disputeGameFactory": "f2b4e617",
        "disputeGameFinalityDelaySeconds": "952b2797",
        "finalizeWithdrawalTransaction": "8c3152e9",
        "finalizeWithdrawalTransactionExternalProof": "43ca1c50",
        "finalizedWithdrawals": "a14238e7",
        "guardian": "452a9320",
        "l2Sender": "9bf62d82",
        "numProofSubmitters": "513747ab",
        "paused": "5c975abb",
        "proofMaturityDelaySeconds": "bf653a5c",
        "proofSubmitters": "a3860f48",
        "proveWithdrawalTransaction": "4870496f",
        "provenWithdrawals": "bb2c727e",
        "respectedGameType": "3c9f397c",
        "respectedGameTypeUpdatedAt": "4fd0434c",
        "superchainConfig": "35e80ab3",
        "systemConfig": "33d7e2bd",
        "anchorStateRegistry": "5c0cba33",
    },
    "L1Block": {
        "setL1BlockValuesIsthmus": "098999be",
        "operatorFeeScalar": "4d5d9a2a",
        "operatorFeeConstant": "16d3bc7f",
    },
    "L2ToL1MessagePasser": {
        "MESSAGE_VERSION": "3f827a5a",
        "burn": "44df8e70",
        "initiateWithdrawal": "c2b3e5ac",
        "messageNonce": "ecc70428",
        "sentMessages": "82e3702d",
        "version": "54fd4d50",
    },
    "GasPriceOracle": {
        "DECIMALS": "2e0f2625",
        "baseFee": "6ef25c3a",
        "decimals": "313ce567",
        "gasPrice": "fe173b97",
        "getL1Fee": "49948e0e",
        "getL1GasUsed": "de26c4a1",
        "l1BaseFee": "519b4bd3",
        "overhead": "0c18c162",
        "scalar": "f45e65d8",
        "version": "54fd4d50",
    },
}
"""What viem 2.46.3 calls, by its ABI."""

OPTIMISM_TOPICS = {
    "Portal": {
        "TransactionDeposited": "b3813568d9991fc951961fcb4c784893574240a28925604d09fc577c55bb7c32",
        "WithdrawalFinalized": "db5c7652857aa163daadd670e116628fb42e869d8ac4251ef8971d9e5727df1b",
        "WithdrawalProven": "67a6208cfcc0801d50f6cbe764733f4fddf66ac0b04442061a8a8c0cb6b63f62",
        "WithdrawalProvenExtension1": (
            "798f9f13695f8f045aa5f80ed8efebb695f3c7fe65da381969f2f28bf3c60b97"
        ),
    },
    "L2ToL1MessagePasser": {
        "MessagePassed": "02a52367d10742d8032712c1bb8e0144ff1ec5ffda1ed7d70bb05a2744955054",
        "WithdrawerBalanceBurnt": "7967de617a5ac1cc7eba2d6f37570a0135afa950d8bb77cdd35f0d0b4e85a16f",
    },
    "FeeVault": {"Withdrawal": "38e04cbeb8c10f8f568618aa75be0f10b6729b8b4237743b4de20cbcde2839ee"},
}
"""First topics of the logs that tools look for."""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_checked_in_artifacts_are_what_the_sources_give() -> None:
    """Given a fresh compile in the compiler's own environment, then not a byte differs; if not: `make contracts`."""
    fresh = compiled_artifacts()
    stored = {file.name: file.read_bytes() for file in (CONTRACTS / "artifacts").glob("*.json")}
    assert stored == fresh


@pytest.mark.parametrize("name", NAMES)
def test_code_is_short_enough_to_be_deployed(name: str) -> None:
    artifact = load(name)
    immutables = sum(place.size for place in artifact.immutables.values())
    assert len(artifact.runtime) + immutables <= CODE_BYTES_MAX
    assert artifact.runtime in artifact.init


@pytest.mark.parametrize("name", [name for name in NAMES if name != "NativeFaultGame"])
def test_no_contract_can_be_initialised_later(name: str) -> None:
    """Given any contract but a game, whose maker initialises it once (tests/node/contracts/disputes), then nobody can."""
    functions = [
        str(entry.get("name", "")) for entry in load(name).abi if entry["type"] == "function"
    ]
    assert not [function for function in functions if "initializ" in function.lower()]


@pytest.mark.parametrize("name", NAMES)
def test_every_contract_implements_its_own_interface(name: str) -> None:
    source = (CONTRACTS / load(name).source).read_text()
    assert f"implements: I{name}\n" in source
    assert (CONTRACTS / "interfaces" / f"I{name}.vyi").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_selectors_are_unique(name: str) -> None:
    kinds = ("function", "error")
    selectors = [selector(entry) for entry in load(name).abi if entry["type"] in kinds]
    assert len(set(selectors)) == len(selectors)


@pytest.mark.parametrize(
    ("name", "function", "expected"),
    [
        (name, function, expected)
        for name, functions in OPTIMISM_SELECTORS.items()
        for function, expected in functions.items()
    ],
)
def test_functions_are_those_that_viem_calls(name: str, function: str, expected: str) -> None:
    (entry,) = [it for it in load(name).abi if it["type"] == "function" and it["name"] == function]
    assert selector(entry).hex() == expected


@pytest.mark.parametrize(
    ("name", "event", "expected"),
    [
        (name, event, expected)
        for name, events in OPTIMISM_TOPICS.items()
        for event, expected in events.items()
    ],
)
def test_events_are_those_that_tools_look_for(name: str, event: str, expected: str) -> None:
    (entry,) = [it for it in load(name).abi if it["type"] == "event" and it["name"] == event]
    assert keccak256(signature(entry).encode()).hex() == expected


def test_an_unknown_contract_has_no_artifact() -> None:
    with pytest.raises(FileNotFoundError):
        load("Outbox")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "immutables are batcher, sequencingWindow, batchLimit; got "),
        (
            {"batcher": b"", "sequencingWindow": 1, "limit": 1},
            "got batcher, sequencingWindow, limit",
        ),
        ({"batcher": bytes(33), "sequencingWindow": -1, "batchLimit": 1}, "no word: -1"),
        ({"batcher": b"\1" * 33, "sequencingWindow": 1, "batchLimit": 1}, "no word: "),
    ],
)
def test_code_needs_every_immutable(values: dict[str, bytes | int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load("Inbox").code(**values)
