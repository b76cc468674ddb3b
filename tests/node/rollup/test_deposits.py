"""Deposits are the OP Stack's, byte for byte; and any bytes of a request have one meaning."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from node.contracts.addresses import DEPOSITOR, L1_BLOCK
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32
from node.rollup.deposits import (
    DEPOSIT_TYPE,
    TRANSACTION_DEPOSITED,
    Deposit,
    alias,
    attributes_data,
    attributes_deposit,
    encode_deposit,
    origin_blob_base_fee,
    portal_logs,
    read_log,
    source_hash,
    user_deposits,
)
from tests.kit.rollup import PARAMETERS, abi_bytes, l1_block, portal_log, raw_portal_log

ORIGIN = Hash32(b"\x0f" * 32)
HASHES = st.binary(min_size=32, max_size=32).map(Hash32)
ADDRESSES = st.binary(min_size=20, max_size=20).map(Address)
DEPOSITS = st.builds(
    Deposit,
    source_hash=HASHES,
    sender=ADDRESSES,
    to=st.none() | ADDRESSES,
    mint=st.integers(0, (1 << 128) - 1),
    value=st.integers(0, (1 << 256) - 1),
    gas=st.integers(0, (1 << 64) - 1),
    data=st.binary(max_size=100),
)


def request(*logs: bytes) -> tuple[bytes, ...]:
    return (bytes((DEPOSIT_TYPE,)) + b"".join(logs),)


# -- published


def test_viem_published_these_source_hashes() -> None:
    block_hash = Hash32(
        bytes.fromhex("9ba3933dc6ce43c145349770a39c30f9b647f17668f004bd2e05c80a2e7262f7")
    )
    assert source_hash(0, block_hash, 196).hex() == (
        "d0868c8764d81f1749edb7dec4a550966963540d9fe50aefce8cdb38ea7b2213"
    )
    assert source_hash(1, block_hash, 1).hex() == (
        "722c43232e2f9dc07ebc07a02a3056993a2ed1328a1c81377ea99d135af39536"
    )


def test_optimism_published_this_source_hash() -> None:
    block_hash = Hash32(
        bytes.fromhex("d25df7858efc1778118fb133ac561b138845361626dfb976699c5287ed0f4959")
    )
    assert source_hash(0, block_hash, 1).hex() == (
        "f923fb07134d7d287cb52c770cc619e17e82606c21a875c92f4c63b65280a5cc"
    )


def test_viem_published_the_l2_hash_of_this_log() -> None:
    """Log 109 of block 0x634c52...1d57 of Ethereum, a deposit that calls its sender with 69 wei."""
    person = bytes.fromhex("1a1e021a302c237453d3d45c7b82b19ceeb7e2e6")
    item = portal_log(109, sender=person, to=person, value=0x45, gas=21_000)
    block_hash = Hash32(
        bytes.fromhex("634c52556471c589f42db9131467e0c9484f5c73049e32d1a74e2a4ce0f91d57")
    )
    (deposit,) = user_deposits(block_hash, request(item))
    assert keccak256(encode_deposit(deposit)).hex() == (
        "0a60b983815ed475c5919609025204a479654d93afc610feca7d99ae0befc329"
    )


BASE_ORIGIN = Hash32(
    bytes.fromhex("abf52777e63959936b1bf633a2a643f0da38d63deffe49452fed1bf8a44975d5")
)
"""Block 22,882,175 of Ethereum, an origin of Base."""

BASE_ATTRIBUTES = bytes.fromhex(
    "7ef90104a06c0c775b6b492bab9d7e81abdf27f77cafb698551226455a82f559e0f93fea3794deaddeaddeaddeaddeaddeaddead"
    "deaddead00019442000000000000000000000000000000000000158080830f424080b8b0098999be000008dd00101c1200000000"
    "000000020000000068869d6300000000015f277f00000000000000000000000000000000000000000000000000"
    "0000000d42ac290000000000000000000000000000000000000000000000000000000000000001"
    "abf52777e63959936b1bf633a2a643f0da38d63deffe49452fed1bf8a44975d5"
    "0000000000000000000000005050f69a9786f081509234f1a7f4684b5e5b76c9000000000000000000000000"
)
"""The third attributes deposit of that origin, as Base included it."""


def test_base_included_these_attributes() -> None:
    parameters = replace(
        PARAMETERS,
        batcher=Address(bytes.fromhex("5050f69a9786f081509234f1a7f4684b5e5b76c9")),
        l1_base_fee_scalar=2_269,
        l1_blob_base_fee_scalar=1_055_762,
    )
    header = replace(
        l1_block(0x15F277F).header,
        timestamp=0x68869D63,
        base_fee_per_gas=0xD42AC29,
        excess_blob_gas=0,
    )
    assert keccak256(BASE_ATTRIBUTES).hex() == (
        "ba56c8b0deb460ff070f8fca8e2ee01e51a3db27841cc862fdd94cc1a47662b6"
    )
    ours = attributes_deposit(parameters, 0x15F277F, BASE_ORIGIN, header)
    third_of_its_epoch = replace(
        ours,
        source_hash=source_hash(1, BASE_ORIGIN, 2),
        data=ours.data[:12] + (2).to_bytes(8) + ours.data[20:],
    )
    assert encode_deposit(third_of_its_epoch) == BASE_ATTRIBUTES


def test_the_topic_is_that_of_the_portal() -> None:
    assert TRANSACTION_DEPOSITED.hex() == (
        "b3813568d9991fc951961fcb4c784893574240a28925604d09fc577c55bb7c32"
    )


# -- the transaction


@given(DEPOSITS)
def test_a_deposit_is_typed_rlp_of_eight_fields(deposit: Deposit) -> None:
    encoded = encode_deposit(deposit)
    fields = rlp.as_list(rlp.decode(encoded[1:]), 8)
    assert encoded[0] == 0x7E
    assert fields[:3] == [deposit.source_hash, deposit.sender, deposit.to or b""]
    assert [rlp.as_integer(field, 256) for field in fields[3:6]] == [
        deposit.mint,
        deposit.value,
        deposit.gas,
    ]
    assert fields[6:] == [b"", deposit.data]


@pytest.mark.parametrize(
    ("address", "aliased"),
    [
        ("00" * 20, "1111000000000000000000000000000000001111"),
        ("ff" * 20, "1111000000000000000000000000000000001110"),
        ("eeeeffffffffffffffffffffffffffffffffeeee", "ff" * 20),
        ("eeeeffffffffffffffffffffffffffffffffeeef", "00" * 20),
    ],
)
def test_an_alias_wraps_around(address: str, aliased: str) -> None:
    assert alias(Address(bytes.fromhex(address))).hex() == aliased


# -- attributes


def test_attributes_are_packed_in_176_bytes() -> None:
    origin = l1_block(7)
    parameters = replace(
        PARAMETERS,
        l1_base_fee_scalar=1,
        l1_blob_base_fee_scalar=2,
        operator_fee_scalar=3,
        operator_fee_constant=4,
    )
    data = attributes_data(parameters, 7, origin.hash, origin.header)
    assert data[:4] == keccak256(b"setL1BlockValuesIsthmus()")[:4]
    assert data[4:36] == b"".join(
        (
            (1).to_bytes(4),
            (2).to_bytes(4),
            bytes(8),
            origin.header.timestamp.to_bytes(8),
            (7).to_bytes(8),
        )
    )
    assert int.from_bytes(data[36:68]) == origin.header.base_fee_per_gas
    assert int.from_bytes(data[68:100]) == origin_blob_base_fee(origin.header.excess_blob_gas) == 1
    assert data[100:132] == origin.hash
    assert data[132:164] == bytes(12) + parameters.batcher
    assert data[164:] == (3).to_bytes(4) + (4).to_bytes(8)
    assert len(data) == 176


def test_attributes_come_from_the_depositor_and_go_to_l1block() -> None:
    origin = l1_block(7)
    deposit = attributes_deposit(PARAMETERS, 7, origin.hash, origin.header)
    assert (deposit.sender, deposit.to, deposit.gas) == (DEPOSITOR, L1_BLOCK, 1_000_000)
    assert (deposit.mint, deposit.value) == (0, 0)
    assert deposit.source_hash == source_hash(1, origin.hash, 0)


@pytest.mark.parametrize("excess", [(1 << 64) - 1, 1 << 40, 178 * 11_684_671 + 1])
def test_no_excess_of_blob_gas_stalls(excess: int) -> None:
    assert origin_blob_base_fee(excess) == (1 << 256) - 1


@given(st.integers(0, 178 * 11_684_671))
def test_blob_gas_has_a_price_of_256_bits(excess: int) -> None:
    assert 1 <= origin_blob_base_fee(excess) < 1 << 256


# -- what the Portal logs


def test_a_log_becomes_a_deposit() -> None:
    item = portal_log(
        5, sender=b"\x01" * 20, to=b"\x02" * 20, mint=3, value=4, gas=50_000, data=b"call"
    )
    assert user_deposits(ORIGIN, request(item)) == (
        Deposit(
            source_hash=source_hash(0, ORIGIN, 5),
            sender=Address(b"\x01" * 20),
            to=Address(b"\x02" * 20),
            mint=3,
            value=4,
            gas=50_000,
            data=b"call",
        ),
    )


def test_a_creation_calls_nobody() -> None:
    (deposit,) = user_deposits(ORIGIN, request(portal_log(5, is_creation=True, data=b"code")))
    assert (deposit.to, deposit.data) == (None, b"code")


def test_extremes_of_every_field_are_deposits() -> None:
    item = portal_log((1 << 64) - 1, mint=(1 << 128) - 1, value=(1 << 256) - 1, gas=3_000_000)
    (deposit,) = user_deposits(ORIGIN, request(item))
    assert (deposit.mint, deposit.value, deposit.gas) == (
        (1 << 128) - 1,
        (1 << 256) - 1,
        3_000_000,
    )
    assert deposit.source_hash == source_hash(0, ORIGIN, (1 << 64) - 1)


def test_a_log_may_ask_for_any_gas() -> None:
    read = read_log(ORIGIN, portal_log(1, gas=(1 << 64) - 1))
    assert read is not None
    assert read[1].gas == (1 << 64) - 1


def test_only_the_request_of_their_type_holds_deposits() -> None:
    item = portal_log(1)
    assert user_deposits(ORIGIN, ()) == ()
    assert user_deposits(ORIGIN, (b"\x00" + item, b"", b"\x7f" + item)) == ()
    assert len(user_deposits(ORIGIN, (b"\x00" + item, *request(portal_log(1))))) == 1
    assert len(user_deposits(ORIGIN, (*request(item), *request(item, portal_log(2))))) == 1


OPAQUE = bytes(32 + 32) + (21_000).to_bytes(8) + b"\0"


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(b"\x80", id="bytes"),
        pytest.param(rlp.encode((1, [])), id="two fields"),
        pytest.param(rlp.encode((1, [], b"")), id="no topic"),
        pytest.param(rlp.encode((1, [TRANSACTION_DEPOSITED] * 3, b"")), id="three topics"),
        pytest.param(rlp.encode((1, [TRANSACTION_DEPOSITED] * 5, b"")), id="five topics"),
        pytest.param(rlp.encode((1, [b"\0" * 31] * 4, b"")), id="short topics"),
        pytest.param(
            rlp.encode((1, [keccak256(b"other"), *[bytes(32)] * 3], abi_bytes(OPAQUE))),
            id="another event",
        ),
        pytest.param(
            raw_portal_log(1 << 64, b"", b"", abi_bytes(OPAQUE)), id="an index beyond 64 bits"
        ),
        pytest.param(raw_portal_log(1, b"", b"", abi_bytes(OPAQUE), version=1), id="version 1"),
        pytest.param(raw_portal_log(1, b"\1" * 21, b"", abi_bytes(OPAQUE)), id="a long sender"),
        pytest.param(raw_portal_log(1, b"", b"\1" * 21, abi_bytes(OPAQUE)), id="a long target"),
        pytest.param(raw_portal_log(1, b"", b"", b""), id="no data"),
        pytest.param(raw_portal_log(1, b"", b"", OPAQUE), id="data without the ABI"),
        pytest.param(raw_portal_log(1, b"", b"", abi_bytes(OPAQUE[:-1])), id="72 opaque bytes"),
        pytest.param(raw_portal_log(1, b"", b"", abi_bytes(b"")), id="no opaque bytes"),
        pytest.param(raw_portal_log(1, b"", b"", abi_bytes(OPAQUE)[:-1]), id="padding too short"),
        pytest.param(
            raw_portal_log(1, b"", b"", abi_bytes(OPAQUE) + bytes(32)), id="a word behind"
        ),
        pytest.param(
            raw_portal_log(1, b"", b"", abi_bytes(OPAQUE)[:-1] + b"\1"), id="padding not zero"
        ),
        pytest.param(
            raw_portal_log(1, b"", b"", (64).to_bytes(32) + abi_bytes(OPAQUE)[32:]),
            id="another offset",
        ),
        pytest.param(
            raw_portal_log(1, b"", b"", (32).to_bytes(32) + b"\xff" * 32 + OPAQUE),
            id="a length beyond everything",
        ),
        pytest.param(portal_log(1, mint=1 << 128), id="a mint beyond 128 bits"),
        pytest.param(portal_log(1, gas=3_000_001), id="more gas than all may have"),
        pytest.param(portal_log(1, data=bytes(32_769)), id="more data than all may have"),
    ],
)
def test_what_the_portal_never_logs_is_skipped(item: bytes) -> None:
    before, after = portal_log(0), portal_log(2, value=7)
    deposits = user_deposits(ORIGIN, request(before, item, after))
    assert deposits == user_deposits(ORIGIN, request(before, after))
    assert len(deposits) == 2


def test_a_malformed_log_in_the_middle_of_the_request_takes_only_itself() -> None:
    assert [
        read_log(ORIGIN, item) is None for item in portal_logs(request(portal_log(1), b"\0"))
    ] == [
        False,
        True,
    ]


@pytest.mark.parametrize("tail", [b"\xf8", b"\xc2\x01", b"\xb8\x01\x00", b"\x81\x01"])
def test_a_request_that_does_not_cut_into_items_has_no_deposits(tail: bytes) -> None:
    assert user_deposits(ORIGIN, request(portal_log(1), tail)) == ()


def test_indexes_ascend() -> None:
    first, again, lower, higher = (
        portal_log(5),
        portal_log(5, value=1),
        portal_log(4),
        portal_log(6),
    )
    assert user_deposits(ORIGIN, request(first, again, lower, higher)) == user_deposits(
        ORIGIN, request(first, higher)
    )


def test_sixteen_logs_are_all_there_are() -> None:
    logs = [portal_log(index, gas=21_000) for index in range(17)]
    assert len(user_deposits(ORIGIN, request(*logs[:16]))) == 16
    assert user_deposits(ORIGIN, request(*logs)) == ()


def test_a_request_of_more_than_64_kib_has_no_deposits() -> None:
    item = portal_log(1)
    filler = rlp.encode(bytes(65_536 - len(item) - 3))
    assert len(item + filler) == 65_536
    assert len(user_deposits(ORIGIN, request(item, filler))) == 1
    assert user_deposits(ORIGIN, request(item, rlp.encode(bytes(65_537 - len(item) - 3)))) == ()


def test_gas_of_all_deposits_is_limited_and_smaller_ones_behind_still_fit() -> None:
    logs = [
        portal_log(0, gas=2_000_000),
        portal_log(1, gas=1_000_001),
        portal_log(2, gas=1_000_000),
        portal_log(3, gas=1),
        portal_log(4, gas=0),
    ]
    assert [deposit.gas for deposit in user_deposits(ORIGIN, request(*logs))] == [
        2_000_000,
        1_000_000,
        0,
    ]


def test_data_of_all_deposits_is_limited_and_smaller_ones_behind_still_fit() -> None:
    logs = [
        portal_log(0, gas=1, data=bytes(30_000)),
        portal_log(1, gas=1, data=bytes(2_769)),
        portal_log(2, gas=1, data=bytes(2_768)),
        portal_log(3, gas=1, data=b"x"),
    ]
    assert [len(deposit.data) for deposit in user_deposits(ORIGIN, request(*logs))] == [
        30_000,
        2_768,
    ]


@given(st.lists(st.binary(max_size=200), max_size=3))
def test_any_requests_have_a_meaning(requests: list[bytes]) -> None:
    assert user_deposits(ORIGIN, requests) == ()
    assert user_deposits(ORIGIN, [bytes((DEPOSIT_TYPE,)) + data for data in requests]) == ()


@given(st.binary(max_size=200))
def test_any_opaque_data_has_a_meaning(opaque: bytes) -> None:
    read = read_log(ORIGIN, raw_portal_log(1, b"\1" * 20, b"\2" * 20, abi_bytes(opaque)))
    is_deposit = len(opaque) >= 73 and not any(opaque[:16])
    assert (read is not None) == is_deposit


@given(st.data())
def test_any_changed_byte_has_a_meaning(data: st.DataObject) -> None:
    encoded = bytearray(b"".join(portal_log(index, data=b"call") for index in range(3)))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] = data.draw(st.integers(0, 255))
    deposits = user_deposits(ORIGIN, request(bytes(encoded)))
    assert len(deposits) <= 3
    assert all(deposit.gas <= 3_000_000 and deposit.mint < 1 << 128 for deposit in deposits)
