"""Blobs between real processes: kept over a kill, and kept back by a proposer that nobody follows."""

from __future__ import annotations

from functools import partial
from typing import Final

import pytest
from coincurve import PrivateKey
from eth_account import Account

from node.eth.hashing import keccak256
from tests.e2e.devnet import Devnet, RpcFailure, wait_for
from tests.kit.blobs import make_blob, sign_network_form
from tests.kit.transfers import Sender

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

MNEMONIC: Final = "test test test test test test test test test test test junk"

VALIDATORS: Final = range(4)

LIAR: Final = 2

HONEST: Final = tuple(validator for validator in VALIDATORS if validator != LIAR)

WAITED: Final = 'faultline_chain_imports_total{outcome="unavailable"}'
"""Blocks that a node could not take in for want of their blobs."""


def wallet(index: int) -> Sender:
    """One of the accounts that every devnet funds."""
    Account.enable_unaudited_hdwallet_features()
    account = Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}")
    key = PrivateKey(bytes(account.key))
    return Sender(key, keccak256(key.public_key.format(compressed=False)[1:])[12:])


def send(devnet: Devnet, index: int, blob: int, validator: int) -> str:
    """Send a blob transaction to one validator; its hash."""
    sender = wallet(index)
    address = "0x" + sender.address.hex()
    nonce = int(str(devnet.rpc("eth_getTransactionCount", address, "pending")), 16)
    raw = sign_network_form(sender, [make_blob(blob)], nonce=nonce)
    return str(devnet.rpc("eth_sendRawTransaction", "0x" + raw.hex(), validator=validator))


def is_final(devnet: Devnet, transaction: str) -> bool:
    """Whether every validator has finalized a block that holds a transaction."""
    for validator in VALIDATORS:
        receipt = devnet.rpc("eth_getTransactionReceipt", transaction, validator=validator)
        if not isinstance(receipt, dict):
            return False
        if int(receipt["blockNumber"], 16) > devnet.number("finalized", validator):
            return False
    return True


def wait_until_final(devnet: Devnet, transaction: str) -> None:
    """Wait until no reorganisation can touch a transaction any more."""
    wait_for("blobs in a finalized block", partial(is_final, devnet, transaction))


def serves(devnet: Devnet, transaction: str, blob: int, validator: int) -> bool:
    """Whether a validator gives the blob of a transaction; not while it is down, or has not caught up."""
    try:
        found = devnet.rpc("eth_getBlobSidecarByTxHash", transaction, validator=validator)
    except (OSError, RpcFailure):
        return False
    if not isinstance(found, dict):
        return False
    assert found["blobSidecar"]["blobs"] == ["0x" + make_blob(blob).data.hex()]
    return True


def wait_until_served(devnet: Devnet, transaction: str, blob: int) -> None:
    """Wait until every validator gives the blob of a transaction."""
    for validator in VALIDATORS:
        wait_for(
            f"the blob on validator-{validator}",
            partial(serves, devnet, transaction, blob, validator),
        )


def has_seen_one_wait(devnet: Devnet, validator: int, before: float) -> bool:
    """Whether a validator has got a block that it cannot take in for want of its blobs."""
    return devnet.metrics(validator).get(WAITED, 0.0) > before


def test_a_killed_validator_serves_the_blobs_it_held(devnet_to_break: Devnet) -> None:
    """Given a final blob, when a validator is killed and starts again, then it has the blob: nobody else needs to give it."""
    devnet = devnet_to_break
    transaction = send(devnet, 9, blob=11, validator=0)
    wait_until_final(devnet, transaction)
    wait_until_served(devnet, transaction, blob=11)
    before = devnet.kill_process("validator-1")
    wait_for("another process", partial(devnet.has_restarted, "validator-1", before))
    wait_until_served(devnet, transaction, blob=11)


def test_a_block_whose_blobs_are_kept_back_is_nobodys(devnet_to_break: Devnet) -> None:
    """Given a proposer that keeps blobs back, then nobody takes its block in and the chain goes on without it.

    When it is healed, then all include the transaction, vote for its block and have the blob.
    """
    devnet = devnet_to_break
    waited = {one: devnet.metrics(one).get(WAITED, 0.0) for one in HONEST}
    devnet.rpc("devnet_break", "withhold-blobs", {}, validator=LIAR)
    transaction = send(devnet, 9, blob=12, validator=LIAR)
    for validator in HONEST:
        wait_for(
            f"its block on validator-{validator}",
            partial(has_seen_one_wait, devnet, validator, waited[validator]),
        )
    devnet.wait_for_final(devnet.number() + 2)
    for validator in HONEST:
        assert devnet.rpc("eth_getTransactionReceipt", transaction, validator=validator) is None
        assert not serves(devnet, transaction, 12, validator)
    assert not is_final(devnet, transaction)
    devnet.rpc("devnet_heal", "withhold-blobs", validator=LIAR)
    wait_until_final(devnet, transaction)
    wait_until_served(devnet, transaction, blob=12)
