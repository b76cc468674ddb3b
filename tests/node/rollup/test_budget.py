"""What a block's witness starts from, and what sets and deposits weigh."""

from __future__ import annotations

from hypothesis import given, strategies as st

from node.contracts.addresses import L1_BLOCK, MESSAGE_PASSER
from node.eth.primitives import Address, Hash32
from node.rollup.budget import (
    BEACON_ROOTS,
    BLOCK_HASHES,
    CODE_BYTES_MAX,
    always_touched,
    deposit_allowance_bytes,
    deposit_room_bytes,
    room_bytes,
    witness_bytes,
)
from node.rollup.deposits import Deposit
from node.rollup.limits import ATTRIBUTES_GAS, MAX_DEPOSITS, MAX_DEPOSITS_GAS
from tests.kit.rollup import PARAMETERS


def deposit_of(sender: bytes) -> Deposit:
    return Deposit(
        source_hash=Hash32(bytes(32)),
        sender=Address(sender),
        to=None,
        mint=0,
        value=0,
        gas=0,
        data=b"",
    )


def test_nodes_and_codes_count_once_and_removals_count_a_branch() -> None:
    assert witness_bytes([b"node", b"node", b"other"], [b"code", b"code"], 2) == 4 + 5 + 4 + 1_064


@given(st.lists(st.binary(max_size=8)), st.lists(st.binary(max_size=8)), st.integers(0, 9))
def test_order_and_repetition_weigh_nothing(
    nodes: list[bytes], codes: list[bytes], cleared: int
) -> None:
    weight = witness_bytes(nodes, codes, cleared)
    assert weight == witness_bytes(sorted(nodes) * 2, reversed(codes), cleared)


def test_system_contracts_vaults_and_senders_are_touched_by_every_block() -> None:
    sender = b"\x01" * 20
    touched = always_touched(8_192, 10_000, [deposit_of(sender), deposit_of(L1_BLOCK)])
    assert touched[BLOCK_HASHES] == {8_191 % 8_191}
    assert touched[BEACON_ROOTS] == {10_000 - 8_191, 10_000}
    assert touched[L1_BLOCK] == set(range(9))
    assert touched[MESSAGE_PASSER] == touched[Address(sender)] == frozenset()
    assert {
        Address(bytes.fromhex("42" + "00" * 18 + suffix))
        for suffix in ("11", "16", "19", "1a", "1b")
    } <= set(touched)
    assert len(touched) == 10


def test_a_transaction_has_what_the_block_has_left() -> None:
    assert [room_bytes(1_000, counted) for counted in (0, 999, 1_000, 1_001)] == [1_000, 1, 0, 0]


def test_a_deposit_may_add_by_its_gas() -> None:
    assert [deposit_allowance_bytes(gas) for gas in (0, 999, 21_000, 3_000_000)] == [
        3_072,
        3_072 + 41,
        3_072 + 882,
        3_072 + 126_000,
    ]


def test_a_deposit_has_the_least_of_its_own_room_and_the_blocks() -> None:
    limit = PARAMETERS.witness_limit_bytes
    assert CODE_BYTES_MAX == 24 * 1024
    assert deposit_room_bytes(limit, limit - 10, 0, 0, spilled=True) == 10
    assert deposit_room_bytes(limit, 0, 0, 0, spilled=False) == 3_072
    assert deposit_room_bytes(limit, 0, 3_000, 0, spilled=False) == 72
    assert deposit_room_bytes(limit, 0, 3_073, 0, spilled=False) == 0
    assert deposit_room_bytes(limit, limit - CODE_BYTES_MAX - 10, 0, 0, spilled=False) == 10
    assert deposit_room_bytes(limit, limit - CODE_BYTES_MAX, 0, 0, spilled=False) == 0
    assert deposit_room_bytes(limit, limit - CODE_BYTES_MAX, 0, 0, spilled=True) == 3_072


def test_all_deposits_together_stay_within_a_block() -> None:
    most = MAX_DEPOSITS * deposit_allowance_bytes(0) + 42 * MAX_DEPOSITS_GAS // 1_000
    assert most + CODE_BYTES_MAX < PARAMETERS.witness_limit_bytes
    assert PARAMETERS.gas_limit > MAX_DEPOSITS_GAS + ATTRIBUTES_GAS
