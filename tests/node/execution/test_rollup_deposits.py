"""Transactions of type 0x7E: what L1 has paid for happens, whatever becomes of the call."""

from __future__ import annotations

import json

import pytest

from node.eth.hashing import keccak256
from node.execution.engine import BlockResult
from tests.kit.execution_chain import ETHER, SENDER, word
from tests.kit.rollup_chain import (
    FAUCET,
    GAS_LIMIT,
    L1_BLOCK,
    LOGGER,
    REVERTER,
    RollupChain,
    deposit,
    fee_slots,
    keep,
    sign_l2,
)

PAYEE = bytes([0x77] * 20)
"""Has nothing at genesis."""


def receipts(chain: RollupChain, block: BlockResult) -> list[dict[str, object]]:
    """The receipts of a block."""
    answer: list[dict[str, object]] = json.loads(
        chain.engine.receipts_json(block.block, block.receipts)
    )
    return answer


def outcome(chain: RollupChain, raw: bytes) -> tuple[object, object]:
    """Status and gas of a deposit in a block of its own."""
    (receipt,) = receipts(chain, chain.grow(deposits=[raw]))
    return receipt["status"], receipt["gasUsed"]


def test_mint_is_credited_and_value_is_sent() -> None:
    chain = RollupChain.open()
    assert outcome(chain, deposit(mint=10, value=4)) == ("0x1", hex(21_000))
    assert (chain.balance(FAUCET), chain.balance(PAYEE), chain.nonce(FAUCET)) == (6, 4, 1)


def test_deposit_pays_no_fee() -> None:
    chain = RollupChain.open()
    chain.grow(deposits=[deposit(mint=ETHER, data=b"\x01" * 100)])
    assert chain.balance(FAUCET) == ETHER


@pytest.mark.parametrize(
    ("raw", "gas_used"),
    [
        (deposit(mint=10, value=4, to=REVERTER), None),
        (deposit(mint=10, value=11), 100_000),
        (deposit(mint=10, gas=20_999), 20_999),
        (deposit(mint=10, data=b"\x01" * 1_000, gas=30_000), 30_000),
        (deposit(mint=10, to=b"", data=b"\xfe"), 100_000),
        (deposit(mint=10, is_system=True), 100_000),
        (deposit(mint=10, gas=GAS_LIMIT + 1), GAS_LIMIT),
        (deposit(mint=10, source=bytes(32), value=11), 100_000),
    ],
    ids=[
        "reverts",
        "value above balance",
        "gas below intrinsic",
        "gas below the floor of its data",
        "creation that halts",
        "system transaction",
        "more gas than a block has",
        "source of zeros",
    ],
)
def test_failed_deposit_keeps_the_mint_and_moves_the_nonce(
    raw: bytes, gas_used: int | None
) -> None:
    chain = RollupChain.open()
    status, gas = outcome(chain, raw)
    assert status == "0x0"
    if gas_used is not None:
        assert gas == hex(gas_used)
    assert (chain.balance(FAUCET), chain.nonce(FAUCET)) == (10, 1)
    assert chain.balance(PAYEE) == chain.balance(REVERTER) == 0


def test_gas_of_a_deposit_that_reverts_is_what_it_used() -> None:
    status, gas = outcome(RollupChain.open(), deposit(to=REVERTER))
    assert (status, gas) == ("0x0", hex(21_004))


def test_deposit_that_wants_more_gas_than_is_left_fails_with_the_rest() -> None:
    """The portal's limits prevent it; a block is derived nevertheless."""
    chain = RollupChain.open()
    loop = bytes.fromhex("5b5f56")
    greedy = deposit(to=b"", data=loop, gas=GAS_LIMIT - 50_000)
    block = chain.grow(deposits=[greedy, deposit(mint=3, gas=60_000), deposit(mint=4)])
    used = [receipt["gasUsed"] for receipt in receipts(chain, block)]
    assert used == [hex(GAS_LIMIT - 50_000), hex(50_000), "0x0"]
    assert (chain.balance(FAUCET), chain.nonce(FAUCET)) == (7, 3)


def test_creation_is_named_by_the_depositors_nonce() -> None:
    chain = RollupChain.open()
    chain.grow(deposits=[deposit(mint=1)])
    init = bytes.fromhex("6001600c60003960016000f3" + "00")
    block = chain.grow(deposits=[deposit(to=b"", data=init)])
    (receipt,) = receipts(chain, block)
    created = keccak256(b"\xd6\x94" + FAUCET + b"\x01")[12:]
    assert receipt["contractAddress"] == "0x" + created.hex()
    assert receipt["depositNonce"] == "0x1"
    assert chain.engine.code(chain.head.state_root, created) == b"\x00"


def test_logs_of_a_deposit_count() -> None:
    chain = RollupChain.open()
    topic = word(5)
    block = chain.grow(
        [sign_l2(nonce=0, to=LOGGER, data=topic, gas=100_000)],
        deposits=[deposit(to=LOGGER, data=topic)],
    )
    logs = chain.engine.logs(block.receipts, LOGGER, topic)
    assert [(log.index, log.data) for log in logs] == [(0, topic), (1, topic)]


def test_sender_may_be_a_contract_or_have_spent_every_nonce() -> None:
    chain = RollupChain.open()
    block = chain.grow(deposits=[deposit(sender=REVERTER, mint=2, value=2)])
    assert receipts(chain, block)[0]["status"] == "0x1"
    assert chain.balance(PAYEE) == 2


def test_new_fees_hold_from_their_block_on() -> None:
    """What a deposit writes into L1Block is what the transactions behind it pay."""
    chain = RollupChain.open()
    before = chain.grow([sign_l2(nonce=0)])
    slots = fee_slots(l1_base_fee=5 * 10**9, operator_fee_scalar=0, operator_fee_constant=0)
    changes = [keep(slot, value, source=slot) for slot, value in slots.items()]
    after = chain.grow([sign_l2(nonce=1)], deposits=changes)
    later = chain.grow([sign_l2(nonce=2)])
    fees = [receipts(chain, block)[-1] for block in (before, after, later)]
    assert [fee["l1GasPrice"] for fee in fees] == [hex(2 * 10**9), hex(5 * 10**9), hex(5 * 10**9)]
    assert fees[1]["l1Fee"] == fees[2]["l1Fee"] != fees[0]["l1Fee"]
    assert "operatorFeeScalar" in fees[0]
    assert "operatorFeeScalar" not in fees[1]
    assert chain.engine.storage(chain.head.state_root, L1_BLOCK, word(1)) == word(5 * 10**9)


def test_deposit_that_is_none_is_the_callers_fault() -> None:
    chain = RollupChain.open()
    good = deposit()
    for raw, words in [
        (b"", "not of type 0x7e"),
        (sign_l2(nonce=0), "not of type 0x7e"),
        (good + b"\x00", "deposit:"),
        (good[:-1], "deposit:"),
        (b"\x7e\xf8" + bytes([len(good) - 2]) + good[2:], "deposit:"),
    ]:
        with pytest.raises(ValueError, match=words):
            chain.derive(deposits=[raw])


def test_accounts_of_depositors_and_senders_do_not_mix() -> None:
    """A depositor with a key sends both ways, and its nonce counts both."""
    chain = RollupChain.open()
    sender = bytes.fromhex(SENDER.address[2:])
    chain.grow([sign_l2(nonce=1)], deposits=[deposit(sender=sender, mint=5)])
    assert chain.nonce(sender) == 2
    assert not chain.derive([sign_l2(nonce=1)]).is_full
