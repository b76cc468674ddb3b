"""A header follows from parent, attributes and execution; nothing in it is free."""

from __future__ import annotations

from node.contracts.addresses import SEQUENCER_FEE_VAULT
from node.eth.hashing import keccak256
from node.eth.headers import EMPTY_REQUESTS_HASH, EMPTY_TRIE_ROOT, Header, decode_header
from node.eth.primitives import ZERO_HASH
from node.rollup.derivation import BlockAttributes
from node.rollup.headers import (
    EXTRA_DATA,
    Execution,
    genesis_header,
    header_of,
)
from tests.kit.rollup import GENESIS_TIME, PARAMETERS, l2_header

EXECUTION = Execution(
    state_root=keccak256(b"state"),
    transactions_root=keccak256(b"transactions"),
    receipts_root=keccak256(b"receipts"),
    logs_bloom=b"\x01" * 256,
    gas_used=21_000,
    message_passer_root=keccak256(b"messages"),
)


def test_a_header_follows_from_its_parent_its_attributes_and_execution() -> None:
    parent = l2_header(6, GENESIS_TIME)
    attributes = BlockAttributes(
        timestamp=GENESIS_TIME,
        mix_hash=keccak256(b"mix"),
        parent_beacon_block_root=keccak256(b"root"),
        deposits=(b"\x7e",),
        transactions=(b"raw",),
    )
    assert header_of(PARAMETERS, parent, attributes, EXECUTION) == Header(
        parent_hash=parent.hash(),
        fee_recipient=SEQUENCER_FEE_VAULT,
        state_root=keccak256(b"state"),
        transactions_root=keccak256(b"transactions"),
        receipts_root=keccak256(b"receipts"),
        logs_bloom=b"\x01" * 256,
        difficulty=0,
        number=7,
        gas_limit=7_000_000,
        gas_used=21_000,
        timestamp=GENESIS_TIME,
        extra_data=EXTRA_DATA,
        mix_hash=keccak256(b"mix"),
        nonce=bytes(8),
        base_fee_per_gas=1_000_000,
        withdrawals_root=keccak256(b"messages"),
        blob_gas_used=0,
        excess_blob_gas=0,
        parent_beacon_block_root=keccak256(b"root"),
        requests_hash=EMPTY_REQUESTS_HASH,
    )


def test_extra_data_is_holocenes() -> None:
    version, denominator, elasticity = EXTRA_DATA[0], EXTRA_DATA[1:5], EXTRA_DATA[5:]
    assert (version, int.from_bytes(denominator), int.from_bytes(elasticity)) == (0, 250, 6)


def test_the_genesis_header_knows_only_the_time_of_l1s() -> None:
    header = genesis_header(PARAMETERS, GENESIS_TIME, keccak256(b"state"), EMPTY_TRIE_ROOT)
    assert (header.number, header.timestamp, header.gas_used) == (0, GENESIS_TIME, 0)
    assert header.parent_hash == header.mix_hash == header.parent_beacon_block_root == ZERO_HASH
    assert (header.extra_data, header.gas_limit) == (EXTRA_DATA, 7_000_000)
    assert decode_header(header.encode()) == header
