"""Signatures and gas limits, against other people's encoders."""

from __future__ import annotations

from eth_account import Account

from node.eth.primitives import Address
from sequencer.batching.fees import Fee
from sequencer.batching.signing import L1Account, gas_limit

SECRET = b"\x11" * 32


def test_a_signature_is_what_wallets_read() -> None:
    # Given our transaction
    ours = L1Account(SECRET, 900).sign(
        nonce=3,
        to=Address(b"\x44" * 20),
        call_data=b"\x01\x00\x02",
        gas_limit=100_000,
        fee=Fee(max_fee_wei=10**9, tip_wei=10**8),
    )
    # Then eth-account names the same signer and hash
    assert Account.recover_transaction(ours.raw) == Account.from_key(SECRET).address
    signed = Account.from_key(SECRET).sign_transaction(
        {
            "type": 2,
            "chainId": 900,
            "nonce": 3,
            "to": "0x" + "44" * 20,
            "value": 0,
            "data": "0x010002",
            "gas": 100_000,
            "maxFeePerGas": 10**9,
            "maxPriorityFeePerGas": 10**8,
        }
    )
    assert bytes(signed.hash) == ours.hash


def test_the_gas_limit_is_never_below_the_floor_of_call_data() -> None:
    data = bytes(100) + b"\x01" * 100
    assert gas_limit(data, 0) == 21_000 + 10 * 500
    assert gas_limit(data, 10**6) == 21_000 + 4 * 500 + 10**6
