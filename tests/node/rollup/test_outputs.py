"""Output roots, withdrawals and their slots are those of the OP Stack: published figures."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from hypothesis import given, strategies as st

from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32
from node.rollup.outputs import (
    BridgeWithdrawal,
    Output,
    decode_output,
    message_nonce,
    output_of,
    sent_messages_slot,
    withdrawal_hash,
)
from tests.kit.rollup import l2_header

HASHES = st.binary(min_size=32, max_size=32).map(Hash32)


def padded(digits: str) -> Hash32:
    return Hash32(bytes.fromhex(digits).rjust(32, b"\0"))


def test_kona_published_this_output_root() -> None:
    output = Output(
        state_root=padded("beef"), message_passer_root=padded("babe"), block_hash=padded("c0de")
    )
    assert output.root().hex() == "0c39fb6b07cf6694b13e63e59f7b15255be1c93a4d6d3e0da6c99729647c0d11"
    assert output.encode() == bytes(32) + padded("beef") + padded("babe") + padded("c0de")


def test_op_mainnet_hashed_this_withdrawal() -> None:
    """The message that transaction 0x7b5cedccfaf9abe6ce3d07982f57bcb9176313b019ff0fc602a0b70342fe3147 sent."""
    person, value = "0xbcce5f55dfda11600e48e91598ad0f8645466142", 13_000_000_000_000_000
    finalize = bytes.fromhex("1635f5fd") + encode(
        ["address", "address", "uint256", "bytes"], [person, person, value, b""]
    )
    relay = bytes.fromhex("d764ad0b") + encode(
        ["uint256", "address", "address", "uint256", "uint256", "bytes"],
        [
            message_nonce(0x2D49),
            "0x4200000000000000000000000000000000000010",
            "0x99c9fc46f92e8a1c0dec1b1747d010903e884be1",
            value,
            0,
            finalize,
        ],
    )
    withdrawal = BridgeWithdrawal(
        nonce=1766847064778384329583297500742918515827483896875618958121606201292631369,
        sender=Address(bytes.fromhex("4200000000000000000000000000000000000007")),
        target=Address(bytes.fromhex("25ace71c97b33cc4729cf772ae268934f7ab5fa1")),
        value=value,
        gas_limit=287_624,
        data=relay,
    )
    assert withdrawal_hash(withdrawal).hex() == (
        "178f1e0216fb50bef160eb8af7d1d98000026a84371cef4a13d8d79996cc8589"
    )
    assert withdrawal.nonce == message_nonce(0x2D49)


def test_viem_published_this_slot() -> None:
    name = Hash32(bytes.fromhex("b1c3824def40047847145e069bf467aa67e906611b9f5ef31515338db0aabfa2"))
    assert sent_messages_slot(name).hex() == (
        "4a932049252365b3eedbc5190e18949f2ec11f39d3bef2d259764799a1b27d99"
    )


def test_a_header_has_its_output_in_it() -> None:
    header = l2_header(7, 1)
    output = output_of(header)
    assert output == Output(
        state_root=header.state_root,
        message_passer_root=header.withdrawals_root,
        block_hash=header.hash(),
    )


@given(HASHES, HASHES, HASHES)
def test_what_is_encoded_is_decoded(state: Hash32, passer: Hash32, block: Hash32) -> None:
    output = Output(state_root=state, message_passer_root=passer, block_hash=block)
    assert decode_output(output.encode()) == output
    assert output.root() == keccak256(output.encode())


@given(st.binary(max_size=160))
def test_any_bytes_are_an_output_or_none(encoded: bytes) -> None:
    output = decode_output(encoded)
    assert output is None or output.encode() == encoded


def test_another_version_is_none() -> None:
    assert decode_output(b"\1" + bytes(127)) is None
    assert decode_output(bytes(128)) is not None


def test_a_nonce_has_its_version_in_front() -> None:
    assert message_nonce(0) == 1 << 240
    assert message_nonce((1 << 240) - 1) == (1 << 241) - 1
    for impossible in (-1, 1 << 240):
        with pytest.raises(AssertionError, match="more messages"):
            message_nonce(impossible)
