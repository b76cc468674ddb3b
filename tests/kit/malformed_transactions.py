"""Raw transactions that no node takes, of each type: undecodable, unsigned, underpaid, oversized.

Signatures are deterministic (RFC 6979), so the list is the same every time. The signers have nothing on any chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_account.types import TransactionDictType

from node.eth import rlp

CHAIN_ID: Final = 3_503_995_874_084_926
"""Of the recorded chain."""

SIGNER: Final[LocalAccount] = Account.from_key("0x" + "77" * 32)
"""Has nothing."""

TARGET: Final = "0x" + "11" * 20
"""Any account."""

_FEES: Final = {"maxFeePerGas": 10**10, "maxPriorityFeePerGas": 1}


def _signed(**fields: object) -> bytes:
    legacy = "gasPrice" in fields
    defaults = {
        "chainId": CHAIN_ID,
        "nonce": 0,
        "gas": 21_000,
        "to": TARGET,
        "value": 0,
        "data": b"",
    }
    transaction = cast(TransactionDictType, {**defaults, **({} if legacy else _FEES), **fields})
    return bytes(SIGNER.sign_transaction(transaction).raw_transaction)


def _with(raw: bytes, place: int, value: bytes) -> bytes:
    """A typed transaction with another item in its list."""
    items = rlp.decode(raw[1:], max_bytes=1 << 20, max_items=1 << 12)
    assert isinstance(items, list)
    return raw[:1] + rlp.encode([*items[:place], value, *items[place + 1 :]])


def raw_transactions() -> Sequence[str]:
    """All of them, hexadecimal."""
    legacy = _signed(gasPrice=10**10)
    listed = _signed(gasPrice=10**10, accessList=[{"address": TARGET, "storageKeys": []}])
    dynamic = _signed()
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    raws = [
        # Not decodable.
        b"\x00", b"\x01", b"\x02", b"\x03", b"\x04", b"\x05\xc0", b"\x7e\xc0", b"\x7f", b"\x80", b"\xc0", b"\xf8",
        b"\xc1\x80", b"\x02\xc0", b"\x03\xc0", b"\x04\xc0", b"\x02" + b"\x80", legacy[:-1], legacy + b"\x00", dynamic[:-1],
        dynamic + b"\x00", b"\x01" + dynamic[1:], b"\x02" + listed[1:], rlp.encode([b""] * 9), rlp.encode([b"\x00"] * 9),
        _with(dynamic, 1, b"\x00\x01"), _with(dynamic, 1, b"\x01" * 9), _with(dynamic, 5, b"\x11" * 19),
        _with(dynamic, 6, b"\x01" * 33),
        # Signed wrongly.
        _with(dynamic, 10, b""), _with(dynamic, 11, b""), _with(dynamic, 9, b"\x02"),
        _with(dynamic, 11, (order - 1).to_bytes(32, "big")), _with(dynamic, 10, b"\xff" * 32),
        # Of another chain, or of none.
        _signed(chainId=1), _signed(chainId=1, gasPrice=10**10), _signed(chainId=1, gasPrice=10**10, accessList=[]),
        bytes(SIGNER.sign_transaction(cast(TransactionDictType, {
            "nonce": 0, "gas": 21_000, "to": TARGET, "value": 0, "data": b"", "gasPrice": 10**10,
        })).raw_transaction),
        # What it asks for cannot be.
        legacy, listed, dynamic, _signed(gas=20_999), _signed(gas=0), _signed(gas=1 << 24), _signed(gas=(1 << 24) + 1),
        _signed(gas=1 << 40), _signed(gas=(1 << 64) - 1), _signed(value=1), _signed(value=1 << 255), _signed(nonce=1), _signed(nonce=(1 << 64) - 1),
        _signed(maxFeePerGas=0, maxPriorityFeePerGas=0), _signed(maxFeePerGas=1, maxPriorityFeePerGas=2),
        _signed(maxFeePerGas=1 << 255), _signed(gasPrice=0), _signed(gasPrice=1 << 255), _signed(data=b"\x01", gas=21_000),
        _signed(data=b"\x01" * 1_000, gas=30_000), _signed(to=b"", data=b"\x5f", gas=40_000), _signed(to=b"", data=bytes(49_153), gas=10_000_000),
        _signed(data=bytes(140_000), gas=10_000_000),
    ]  # fmt: skip
    raws += _blob_transactions() + _delegations()
    return ["0x" + raw.hex() for raw in raws]


def _blob_transactions() -> list[bytes]:
    """Type 3: without its blobs, without a callee, with wrong hashes. Raw lists, for no library signs most of them."""
    versioned = b"\x01" + b"\x22" * 31
    fields: list[rlp.Encodable] = [
        _number(CHAIN_ID), b"", b"\x01", _number(10**10), _number(21_000), bytes.fromhex(TARGET[2:]), b"", b"", [], _number(10**9),
        [versioned], b"", b"\x33" * 32, b"\x33" * 32,
    ]  # fmt: skip
    changes: list[tuple[int, rlp.Encodable]] = [
        (1, b""), (5, b""), (10, []), (10, [b"\x02" + b"\x22" * 31]), (10, [b"\x01"]), (10, [versioned] * 7), (9, b""), (0, b"\x01"),
    ]  # fmt: skip
    bodies = [[*fields[:place], value, *fields[place + 1 :]] for place, value in changes]
    plain = [b"\x03" + rlp.encode(body) for body in bodies]
    # A network form whose sidecar is empty, of another version, or not a list.
    wrapped: list[list[rlp.Encodable]] = [
        [bodies[0], [], [], []],
        [bodies[0], b"\x01", [], [], []],
        [bodies[0], b"\x02", [], [], []],
        [bodies[0], b""],
    ]
    return plain + [b"\x03" + rlp.encode(one) for one in wrapped]


def _delegations() -> list[bytes]:
    """Type 4: without authorisations, without a callee, with one that is no list."""
    authorisation: rlp.Encodable = [
        _number(CHAIN_ID),
        bytes.fromhex(TARGET[2:]),
        b"",
        b"",
        b"\x44" * 32,
        b"\x44" * 32,
    ]
    fields: list[rlp.Encodable] = [
        _number(CHAIN_ID), b"", b"\x01", _number(10**10), _number(100_000), bytes.fromhex(TARGET[2:]), b"", b"", [],
        [authorisation], b"", b"\x33" * 32, b"\x33" * 32,
    ]  # fmt: skip
    changes: list[tuple[int, rlp.Encodable]] = [
        (1, b""),
        (5, b""),
        (9, []),
        (9, [b""]),
        (9, [[]]),
        (0, b"\x01"),
        (4, _number(21_000)),
    ]
    bodies = [[*fields[:place], value, *fields[place + 1 :]] for place, value in changes]
    return [b"\x04" + rlp.encode(body) for body in bodies]


def _number(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
