"""The judgement over others' blocks: every rule, field by field, and blocks that are no blocks."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import given, settings, strategies as st

from node.errors import InvalidBlock
from node.eth import rlp
from node.eth.headers import Header, Withdrawal, header_of_block
from node.execution.engine import BlockResult
from tests.kit.execution_chain import (
    KEEPER,
    PROPOSER,
    SENDER,
    ExecutionChain,
    address_of,
    sign,
    with_header_bytes,
    with_header_fields,
    word,
)


@dataclass(frozen=True, slots=True)
class Judged:
    """A chain, and a valid block on its head."""

    chain: ExecutionChain
    block: BlockResult


@pytest.fixture(scope="module")
def judged() -> Judged:
    chain = ExecutionChain.open()
    chain.grow([sign(SENDER, nonce=0)])
    store = sign(SENDER, nonce=1, to=KEEPER, data=word(1) + word(2), gas=100_000)
    withdrawal = Withdrawal(index=0, validator_index=0, address=PROPOSER, amount_gwei=1)
    return Judged(chain, chain.seal([store, sign(SENDER, nonce=2)], withdrawals=[withdrawal]))


def refusal(judged: Judged, block: bytes) -> InvalidBlock:
    """How a block is refused."""
    with pytest.raises(InvalidBlock) as caught:
        judged.chain.execute(block)
    return caught.value


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("parent_hash", bytes(32), "parent_hash"),
        ("number", 1, "number"),
        ("number", 3, "number"),
        ("timestamp", 102, "timestamp"),
        ("extra_data", b"x" * 33, "extra_data"),
        ("gas_limit", 60_000_000 + 60_000_000 // 1024, "gas_limit"),
        ("gas_limit", 60_000_000 - 60_000_000 // 1024, "gas_limit"),
        ("gas_used", 60_000_001, "gas_used"),
        ("gas_used", 21_000, "gas_used"),
        ("difficulty", 1, "difficulty"),
        ("nonce", b"\x00" * 7 + b"\x01", "nonce"),
        ("ommers_hash", bytes(32), "ommers_hash"),
        ("base_fee_per_gas", 875_000_001, "base_fee_per_gas"),
        ("excess_blob_gas", 1, "excess_blob_gas"),
        ("blob_gas_used", 131_072, "blob_gas_used"),
        ("transactions_root", bytes(32), "transactions_root"),
        ("withdrawals_root", bytes(32), "withdrawals_root"),
        ("receipts_root", bytes(32), "receipts_root"),
        ("logs_bloom", b"\x01" * 256, "logs_bloom"),
        ("requests_hash", bytes(32), "requests_hash"),
        ("state_root", bytes(32), "state_root"),
        ("fee_recipient", bytes(20), "state_root"),
        ("parent_beacon_block_root", bytes(32), "state_root"),
    ],
)
def test_each_wrong_field_is_named(judged: Judged, field: str, value: object, named: str) -> None:
    """Given a valid block with one field changed, when judged, then the refusal names the field and both values."""
    error = refusal(judged, with_header_fields(judged.block.block, **{field: value}))
    assert error.field == named
    assert error.want
    assert error.got


def test_the_refusal_says_what_was_wanted(judged: Judged) -> None:
    block = judged.block
    error = refusal(judged, with_header_fields(block.block, state_root=bytes(32)))
    assert (error.want, error.got) == ("0x" + block.state_root.hex(), "0x" + "00" * 32)
    error = refusal(judged, with_header_fields(block.block, gas_used=5))
    assert (error.want, error.got) == (str(block.gas_used), "5")


def test_fields_that_execution_does_not_read_may_differ(judged: Judged) -> None:
    """Given other extra_data, when judged, then it is another valid block with the same state."""
    other = judged.chain.execute(with_header_fields(judged.block.block, extra_data=b"other"))
    assert other.block_hash != judged.block.block_hash
    assert other.state_root == judged.block.state_root


def header_items(header: Header) -> list[rlp.Item]:
    return rlp.as_list(rlp.decode(header.encode()))


@pytest.mark.parametrize(
    ("fields", "named"), [(20, "requests_hash"), (19, "parent_beacon_block_root"), (22, "rlp")]
)
def test_a_field_stands_from_its_fork_on(judged: Judged, fields: int, named: str) -> None:
    """Given a header with a field too few or too many, when judged, then it is refused."""
    items = [*header_items(header_of_block(judged.block.block)), bytes(32)]
    block = with_header_bytes(judged.block.block, rlp.encode(items[:fields]))
    assert refusal(judged, block).field in {named, "block_access_list_hash"}


def body(block: bytes) -> list[bytes]:
    """A block's items, encoded."""
    return [block[start:end] for _, start, _, end in rlp.spans(block)]


def test_a_body_must_be_the_headers(judged: Judged) -> None:
    """Given another body under the same header, when judged, then its root is named."""
    header, _, ommers, withdrawals = body(judged.block.block)
    empty = rlp.encode([])
    no_transactions = rlp.encode_list([header, empty, ommers, withdrawals])
    assert refusal(judged, no_transactions).field == "transactions_root"
    header, transactions, _, _ = body(judged.block.block)
    assert (
        refusal(judged, rlp.encode_list([header, transactions, ommers, empty])).field
        == "withdrawals_root"
    )
    uncle = rlp.encode_list([header])
    assert refusal(judged, rlp.encode_list([header, transactions, uncle, withdrawals])).field == (
        "ommers"
    )
    assert refusal(judged, rlp.encode_list([header, transactions, ommers])).field == (
        "withdrawals_root"
    )


@pytest.mark.parametrize(
    "spoil",
    [
        lambda block: b"",
        lambda block: block[:-1],
        lambda block: block + b"\x00",
        lambda block: b"\xc0",
        lambda block: b"\x80",
        lambda block: rlp.encode_list([*body(block), b"\x80"]),
        lambda block: rlp.encode_list([body(block)[0], rlp.encode([b"\xff"]), *body(block)[2:]]),
        lambda block: rlp.encode_list([body(block)[0], rlp.encode([b""]), *body(block)[2:]]),
    ],
)
def test_what_is_no_block_is_refused(judged: Judged, spoil: object) -> None:
    assert callable(spoil)
    assert refusal(judged, spoil(judged.block.block)).field == "rlp"


def test_a_transaction_that_does_not_execute_makes_the_block_invalid(judged: Judged) -> None:
    """Given a block that repeats a transaction, when judged, then the transaction is named."""
    # Given
    transactions = [sign(SENDER, nonce=1), sign(SENDER, nonce=1, value=1)]
    one = judged.chain.seal(transactions[:1])
    other = judged.chain.seal(transactions[1:])
    header, _, ommers, withdrawals = body(one.block)
    both = rlp.encode(transactions)
    root = refusal(judged, rlp.encode_list([header, both, ommers, withdrawals])).want

    # When
    block = with_header_fields(
        rlp.encode_list([header, both, ommers, withdrawals]),
        transactions_root=bytes.fromhex(root.removeprefix("0x")),
    )
    error = refusal(judged, block)

    # Then
    assert error.field == "transaction"
    assert other.transaction_hashes[0].hex() in error.got
    assert "nonce" in error.got


def test_a_transaction_of_another_chain_makes_the_block_invalid(judged: Judged) -> None:
    transactions = rlp.encode([sign(SENDER, nonce=1, chainId=1)])
    header, _, ommers, withdrawals = body(judged.chain.seal().block)
    block = rlp.encode_list([header, transactions, ommers, withdrawals])
    root = bytes.fromhex(refusal(judged, block).want.removeprefix("0x"))
    error = refusal(judged, with_header_fields(block, transactions_root=root))
    assert error.field == "transaction"
    assert "have 1 want 900" in error.got


@settings(max_examples=300, deadline=None)
@given(block=st.binary(max_size=600))
def test_any_bytes_are_a_block_or_refused(judged: Judged, block: bytes) -> None:
    assert refusal(judged, block).field == "rlp"


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_changed_block_is_refused_or_the_same_state(judged: Judged, data: st.DataObject) -> None:
    """Given a valid block with any bytes changed, when judged, then InvalidBlock or a block that reads the same."""
    block = bytearray(judged.block.block)
    places = data.draw(st.lists(st.integers(0, len(block) - 1), min_size=1, max_size=4))
    for place in places:
        block[place] = data.draw(st.integers(0, 255))
    with suppress(InvalidBlock):
        assert judged.chain.execute(bytes(block)).state_root == judged.block.state_root


@settings(max_examples=300, deadline=None)
@given(raw=st.binary(max_size=200), kind=st.sampled_from([b"", b"\x01", b"\x02", b"\x04", b"\xf8"]))
def test_any_bytes_are_a_transaction_or_refused(judged: Judged, raw: bytes, kind: bytes) -> None:
    (decoded,) = judged.chain.engine.decode([kind + raw])
    assert hasattr(decoded, "code")


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_changed_transaction_is_another_or_none(judged: Judged, data: st.DataObject) -> None:
    """Given a signed transaction with any byte changed, when decoded, then it is refused or somebody else's."""
    raw = bytearray(sign(SENDER, nonce=0))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    (decoded,) = judged.chain.engine.decode([bytes(raw)])
    if not hasattr(decoded, "code"):
        assert decoded.raw == bytes(raw)
        assert decoded.sender != address_of(SENDER)
