"""What a wallet sees of a reorganisation: logs are taken back, transactions return, everybody agrees in the end."""

from __future__ import annotations

from functools import partial
from typing import Final

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from tests.e2e.devnet import FOLLOWERS, Devnet, wait_for
from tests.kit.execution_chain import GWEI, sign

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1_500)]

VALIDATORS: Final = range(4)
GROUPS: Final = [["validator-0", "validator-1", *FOLLOWERS], ["validator-2", "validator-3"]]

SIDES: Final = (0, 2)
"""A validator of each side."""

MNEMONIC: Final = "test test test test test test test test test test test junk"

EMITTER_CODE: Final = bytes.fromhex("365f5f377f" + "ab" * 32 + "365fa100")
"""Logs its input under one topic."""

INIT_CODE: Final = bytes.fromhex(f"60{len(EMITTER_CODE):02x}80600a5f395ff3fe") + EMITTER_CODE
"""Returns the code behind it."""


def funded(place: int) -> LocalAccount:
    """One of the devnet's accounts."""
    Account.enable_unaudited_hdwallet_features()
    account: LocalAccount = Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{place}")
    return account


def send(devnet: Devnet, account: LocalAccount, validator: int = 0, **fields: object) -> str:
    """Sign and send; the hash."""
    nonce = devnet.rpc("eth_getTransactionCount", account.address, "pending", validator=validator)
    assert isinstance(nonce, str)
    fees = {"gas": 300_000, "maxFeePerGas": 10 * GWEI, "maxPriorityFeePerGas": GWEI}
    raw = sign(account, nonce=int(nonce, 16), **fees, **fields)
    sent = devnet.rpc("eth_sendRawTransaction", "0x" + raw.hex(), validator=validator)
    assert isinstance(sent, str)
    return sent


def receipt(devnet: Devnet, sent: str, validator: int) -> dict[str, object] | None:
    """The receipt as one validator has it."""
    found = devnet.rpc("eth_getTransactionReceipt", sent, validator=validator)
    assert found is None or isinstance(found, dict)
    return found


def mined(devnet: Devnet, sent: str, validator: int) -> dict[str, object]:
    """Wait for the receipt."""
    return wait_for(f"{sent} to be mined", partial(receipt, devnet, sent, validator))


def changes(devnet: Devnet, identity: object, validator: int) -> list[tuple[str, str, bool]]:
    """(transaction, block, whether it was taken back) of each log that a filter collected."""
    found = devnet.rpc("eth_getFilterChanges", identity, validator=validator)
    assert isinstance(found, list)
    return [(log["transactionHash"], log["blockHash"], log["removed"]) for log in found]


def test_logs_are_taken_back_and_transactions_return(devnet_to_break: Devnet) -> None:
    devnet = devnet_to_break
    created = mined(devnet, send(devnet, funded(8), to=b"", data=INIT_CODE), 0)
    emitter = created["contractAddress"]
    assert isinstance(emitter, str)
    target = bytes.fromhex(emitter[2:])
    for validator in VALIDATORS:
        wait_for(
            "the contract",
            partial(
                devnet.rpc,
                "eth_getTransactionReceipt",
                created["transactionHash"],
                validator=validator,
            ),
        )
    filters = {
        side: devnet.rpc("eth_newFilter", {"address": emitter}, validator=side) for side in SIDES
    }

    # When the network splits and each side takes a transaction of its own
    for validator in VALIDATORS:
        devnet.rpc("devnet_break", "partition", {"groups": GROUPS}, validator=validator)
    sent = {
        side: send(devnet, funded(6 + place), side, to=target, data=bytes([side]))
        for place, side in enumerate(SIDES)
    }
    split = {side: mined(devnet, sent[side], side)["blockHash"] for side in SIDES}
    for validator in VALIDATORS:
        devnet.rpc("devnet_heal", validator=validator)

    # Then one side's block goes, its transaction is mined again, and all agree
    for transaction in sent.values():
        wait_for("the same receipt everywhere", partial(is_everywhere, devnet, transaction))
    devnet.wait_for_final(max(devnet.number("latest", one) for one in VALIDATORS))
    wanted = {"address": emitter, "fromBlock": "earliest"}
    found = [devnet.rpc("eth_getLogs", wanted, validator=one) for one in VALIDATORS]
    assert found.count(found[0]) == len(found)
    assert isinstance(found[0], list)
    logs = [(log["transactionHash"], log["blockHash"]) for log in found[0]]
    assert sorted(name for name, _ in logs) == sorted(sent.values())

    # And who polled a filter ends with the same logs, of which it was told when they went
    losers = [side for side in SIDES if (sent[side], split[side]) not in logs]
    assert losers
    for side in SIDES:
        told = changes(devnet, filters[side], side)
        assert standing(told) == logs
        if side in losers:
            assert (sent[side], split[side], True) in told


def is_everywhere(devnet: Devnet, transaction: str) -> bool:
    """Whether every validator has a transaction in the same block."""
    blocks = {(receipt(devnet, transaction, one) or {}).get("blockHash") for one in VALIDATORS}
    return len(blocks) == 1 and None not in blocks


def standing(told: list[tuple[str, str, bool]]) -> list[tuple[str, str]]:
    """What is left of logs that came and went; one that goes must be there."""
    left: list[tuple[str, str]] = []
    for name, block, removed in told:
        if removed:
            left.remove((name, block))
        else:
            left.append((name, block))
    return left
