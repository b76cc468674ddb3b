"""Blocks of every kind of transaction: built here, judged again elsewhere, the same in both."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest
from eth_account import Account

from node.errors import MissingState
from node.eth.headers import Withdrawal, header_bytes_of_block, header_of_block
from node.execution.engine import InvalidTransaction
from tests.kit.execution_chain import (
    DEPOSITOR,
    GWEI,
    KEEPER,
    PAUPER,
    PROPOSER,
    SENDER,
    SPONSOR,
    ExecutionChain,
    address_of,
    sign,
    word,
)

RECEIVER = bytes([0x77] * 20)


@pytest.fixture
def chain() -> ExecutionChain:
    return ExecutionChain.open()


def every_kind() -> list[bytes]:
    """Types 0, 1, 2 and 4, and a creation."""
    authorization = SPONSOR.sign_authorization(
        {"chainId": 900, "address": "0x" + KEEPER.hex(), "nonce": 0}
    )
    access_list = [{"address": "0x" + KEEPER.hex(), "storageKeys": ["0x" + word(7).hex()]}]
    store = word(7) + word(8)
    return [
        sign(SENDER, nonce=0, gasPrice=5 * GWEI, value=1),
        sign(
            SENDER,
            nonce=1,
            gasPrice=5 * GWEI,
            accessList=access_list,
            to=KEEPER,
            data=store,
            gas=99_000,
        ),
        sign(SENDER, nonce=2, value=3),
        sign(SENDER, nonce=3, to=b"", data=bytes.fromhex("60015f5360015ff3"), gas=99_000),
        sign(
            DEPOSITOR,
            nonce=0,
            to=address_of(SPONSOR),
            data=word(1) + word(2),
            gas=200_000,
            authorizationList=[authorization],
        ),
    ]


def test_a_block_of_every_kind_is_judged_as_it_was_built(chain: ExecutionChain) -> None:
    """Given types 0, 1, 2, 4 and a creation, when built, then another engine gives the same block and states."""
    # Given
    other = ExecutionChain.open()
    withdrawal = Withdrawal(index=0, validator_index=3, address=PROPOSER, amount_gwei=5)

    # When
    built = chain.grow(every_kind(), withdrawals=[withdrawal])
    judged = other.execute(built.block)
    other.engine.commit(judged)

    # Then
    assert (judged.block_hash, judged.state_root) == (built.block_hash, built.state_root)
    assert (judged.receipts, judged.requests) == (built.receipts, built.requests)
    assert judged.transaction_hashes == built.transaction_hashes
    assert judged.senders == [address_of(SENDER)] * 4 + [address_of(DEPOSITOR)]
    engine, root = other.engine, judged.state_root
    assert engine.storage(root, KEEPER, word(7)) == word(8)
    assert engine.storage(root, address_of(SPONSOR), word(1)) == word(2)
    assert engine.code(root, address_of(SPONSOR)) == bytes.fromhex("ef0100") + KEEPER
    assert engine.accounts(root, [address_of(SENDER), RECEIVER]) == [
        (4, engine.accounts(root, [address_of(SENDER)])[0][1]),
        (0, 4),
    ]


def test_the_header_follows_its_parent(chain: ExecutionChain) -> None:
    """Given attributes, when sealed, then the header holds them, the parent's hash and an EIP-1559 base fee."""
    # Given
    parent = header_of_block(chain.head.block)

    # When
    header = header_of_block(chain.grow().block)

    # Then
    assert header.parent_hash == chain.blocks[0].block_hash
    assert (header.number, header.timestamp, header.gas_limit) == (1, 102, parent.gas_limit)
    assert header.base_fee_per_gas == parent.base_fee_per_gas * 7 // 8
    assert header.extra_data == b"\x0e" * 32
    assert header.hash() == chain.head.block_hash


def test_the_gas_limit_moves_by_less_than_a_1024th(chain: ExecutionChain) -> None:
    """Given a gas limit far away, when built, then the header's moves as far as the rule lets it."""
    # Given
    parent = header_of_block(chain.head.block).gas_limit

    for aim, step in ((1, -1), (2**40, 1)):
        # When
        attributes = replace(chain.attributes(), gas_limit=aim)
        block = chain.engine.builder(chain.header, attributes, chain.ancestors).seal(b"")

        # Then
        assert header_of_block(block.block).gas_limit == parent + step * (parent // 1024 - 1)
        assert chain.execute(block.block).block_hash == block.block_hash


def test_what_does_not_execute_is_left_out_by_its_reason(chain: ExecutionChain) -> None:
    """Given bad transactions between good ones, when pushed, then the good ones are in and each bad one has a reason."""
    # Given
    offered = {
        "nonce_too_high": sign(SENDER, nonce=5),
        "": sign(SENDER, nonce=0),
        "nonce_too_low": sign(SENDER, nonce=0, value=1),
        "balance": sign(PAUPER, nonce=0, value=1),
        "fee": sign(SENDER, nonce=1, maxFeePerGas=1, maxPriorityFeePerGas=0),
        "gas_limit": sign(SENDER, nonce=1, gas=2**24 + 1),
        "invalid": b"\x02\xc0",
        "block_full": sign(SENDER, nonce=1, data=b"\x01" * (4 << 20), gas=16_000_000),
    }
    builder = chain.engine.builder(chain.header, chain.attributes(), chain.ancestors)
    gas, size = builder.gas_left, builder.bytes_left

    # When
    outcomes = builder.push(list(offered.values()))

    # Then
    assert [outcome.reason for outcome in outcomes] == list(offered)
    assert [outcome.included for outcome in outcomes] == [not reason for reason in offered]
    assert all(outcome.message for outcome in outcomes if not outcome.included)
    assert builder.gas_left == gas - 21_000
    assert size - 200 < builder.bytes_left < size - 100
    block = builder.seal(b"")
    assert chain.execute(block.block).gas_used == 21_000


def test_a_block_fills_up(chain: ExecutionChain) -> None:
    """Given more gas than a block has, when pushed, then the rest is block_full and the block is valid."""
    # Given
    heavy = [sign(SENDER, nonce=nonce, to=b"", data=b"\xfe", gas=15_000_000) for nonce in range(5)]
    builder = chain.engine.builder(chain.header, chain.attributes(), chain.ancestors)

    # When
    reasons = [outcome.reason for raw in heavy for outcome in builder.push([raw])]

    # Then
    assert reasons == ["", "", "", "", "block_full"]
    assert chain.execute(builder.seal(b"").block).gas_used == 60_000_000


def test_a_builder_is_spent_once(chain: ExecutionChain) -> None:
    """Given a sealed builder, when used again, then it says so."""
    builder = chain.engine.builder(chain.header, chain.attributes(), chain.ancestors)
    builder.seal(b"")
    with pytest.raises(RuntimeError, match="the builder is spent"):
        builder.push([])


def test_a_bad_argument_is_the_callers(chain: ExecutionChain) -> None:
    """Given wrong arguments, when building, then ValueError says which."""
    attributes = chain.attributes()
    builder = chain.engine.builder(chain.header, attributes, chain.ancestors)
    with pytest.raises(ValueError, match="extra_data: 33 bytes"):
        builder.seal(b"x" * 33)
    with pytest.raises(ValueError, match="timestamp: 100 is not above 100"):
        chain.engine.builder(chain.header, replace(attributes, timestamp=100), chain.ancestors)
    with pytest.raises(ValueError, match="ancestors"):
        chain.engine.builder(chain.header, attributes, b"x")
    with pytest.raises(ValueError, match="header"):
        chain.engine.builder(b"\xc0", attributes, b"")
    with pytest.raises(ValueError, match="want 32 bytes, got 1"):
        chain.engine.has_state(b"x")


def test_blocks_need_their_parents_state(chain: ExecutionChain) -> None:
    """Given a block on an uncommitted one, when judged or built on, then MissingState."""
    # Given
    first = chain.seal([sign(SENDER, nonce=0)])
    header = header_bytes_of_block(first.block)
    attributes = replace(chain.attributes(), timestamp=200)

    # Then
    with pytest.raises(MissingState):
        chain.engine.builder(header, attributes, first.block_hash)
    with pytest.raises(MissingState):
        chain.engine.accounts(first.state_root, [PROPOSER])
    assert not chain.engine.has_state(first.state_root)


def test_forks_live_side_by_side(chain: ExecutionChain) -> None:
    """Given two children of one block, when both are committed, then both states can be read."""
    # Given
    siblings = [chain.seal([sign(SENDER, nonce=0, value=value)]) for value in (1, 2)]

    # When
    for block in siblings:
        chain.engine.commit(block)

    # Then
    balances = [chain.engine.accounts(block.state_root, [RECEIVER]) for block in siblings]
    assert balances == [[(0, 1)], [(0, 2)]]


def test_decoding_gives_what_a_pool_needs(chain: ExecutionChain) -> None:
    """Given every kind, when decoded, then fields, senders and intrinsic gas are right."""
    # When
    decoded = chain.engine.decode(every_kind())

    # Then
    assert not any(isinstance(it, InvalidTransaction) for it in decoded)
    transactions = [it for it in decoded if not isinstance(it, InvalidTransaction)]
    assert [it.kind for it in transactions] == [0, 1, 2, 2, 4]
    assert [it.raw for it in transactions] == every_kind()
    assert [it.size for it in transactions] == [len(raw) for raw in every_kind()]
    assert [it.nonce for it in transactions] == [0, 1, 2, 3, 0]
    assert [it.to for it in transactions] == [RECEIVER, KEEPER, RECEIVER, None, address_of(SPONSOR)]
    assert [it.authorities for it in transactions] == [[], [], [], [], [address_of(SPONSOR)]]
    assert transactions[0].max_priority_fee_per_gas == transactions[0].max_fee_per_gas == 5 * GWEI
    assert (transactions[2].max_fee_per_gas, transactions[2].max_priority_fee_per_gas) == (
        10 * GWEI,
        GWEI,
    )
    assert transactions[0].intrinsic_gas == 21_000
    # EIP-2930: 2,400 + 1,900; input of 62 zeros and 2 others, whose EIP-7623 floor (21,000 + 700) is lower.
    assert transactions[1].intrinsic_gas == 21_000 + 4_300 + 62 * 4 + 2 * 16
    # EIP-2, EIP-3860: 32,000 for a creation, 2 a word of its code.
    assert transactions[3].intrinsic_gas == 53_000 + 8 * 16 + 2
    assert transactions[4].intrinsic_gas == 21_000 + 25_000 + 62 * 4 + 2 * 16


@pytest.mark.parametrize(
    ("raw", "code", "message"),
    [
        (b"", "undecodable", "typed transaction too short"),
        (b"\x05\x01", "type", "transaction type not supported"),
        (b"\x02\xc0", "undecodable", "rlp: value size exceeds available input length"),
        (
            sign(SENDER, nonce=0, chainId=1),
            "chain_id",
            "invalid sender: invalid chain id for signer: have 1 want 900",
        ),
        (b"\x03\xc0", "undecodable", "rlp: value size exceeds available input length"),
        (
            sign(SENDER, nonce=0)[:-1],
            "undecodable",
            "rlp: value size exceeds available input length",
        ),
    ],
)
def test_what_is_no_transaction_has_geths_words(
    chain: ExecutionChain, raw: bytes, code: str, message: str
) -> None:
    assert chain.engine.decode([raw]) == [InvalidTransaction(code, message)]


def test_a_high_s_is_no_signature(chain: ExecutionChain) -> None:
    """Given the other signature of the same message (EIP-2), when decoded, then it is refused."""
    # Given
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    raw = next(
        raw
        for raw in (sign(SENDER, nonce=nonce) for nonce in count())
        if raw[-33] == raw[-66] == 0xA0 and raw[-67] in {0x80, 0x01}
    )
    flipped = (order - int.from_bytes(raw[-32:], "big")).to_bytes(32, "big")
    parity = b"\x01" if raw[-67] == 0x80 else b"\x80"
    malleable = raw[:-67] + parity + raw[-66:-32] + flipped

    # When
    (refusal,) = chain.engine.decode([malleable])

    # Then
    assert refusal == InvalidTransaction(
        "signature", "invalid sender: invalid transaction v, r, s values"
    )


def test_an_empty_account_is_none(chain: ExecutionChain) -> None:
    stranger = address_of(Account.from_key("0x" + "55" * 32))
    assert chain.engine.account(chain.head.state_root, stranger) is None
    assert chain.engine.accounts(chain.head.state_root, [stranger]) == [(0, 0)]
    assert chain.engine.code(chain.head.state_root, stranger) == b""
    assert chain.engine.storage(chain.head.state_root, stranger, word(0)) == word(0)
