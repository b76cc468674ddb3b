"""The predeploys on the L2's own engine: what is charged is what GasPriceOracle says, and fees and withdrawals arrive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, cast

import orjson
import pytest

from node.contracts import addresses
from node.contracts.alloc import FeeTerms, VaultTerms, l2_allocations
from node.eth import rlp
from node.eth.headers import decode_header, header_of_block
from node.eth.primitives import Address, Hash32
from node.execution.engine import BlockResult
from node.rollup.deposits import attributes_deposit, encode_deposit
from node.rollup.outputs import sent_messages_slot
from node.rollup.parameters import RollupParameters
from tests.kit.contract_network import FEE_RECIPIENT, Network
from tests.kit.contract_world import Contract
from tests.kit.execution_chain import DEPOSITOR, SENDER, address_of
from tests.kit.rollup_chain import RollupChain, sign_l2
from tests.node.contracts.fastlz_model import SIGNATURE_BYTES, compressed_length, l1_fee

TERMS: Final = FeeTerms(
    l1_base_fee_wei=2 * 10**9,
    l1_base_fee_scalar=3_000_000,
    l1_blob_base_fee_scalar=810_949,
    operator_fee_scalar=25_000,
    operator_fee_constant=7,
    l1_blob_base_fee_wei=3,
)
"""At genesis."""

NEW_TERMS: Final = RollupParameters(
    batcher=Address(b"\xba" * 20),
    sequencer_key=bytes(32),
    l1_base_fee_scalar=1_368,
    l1_blob_base_fee_scalar=5_000_000,
    operator_fee_scalar=4_000_000,
    operator_fee_constant=1_000,
)
"""After the attributes deposit."""

LIBRARY: Final = Network.open()
"""Its contracts' ABIs; the chain is not used."""

CALLS: Final = {
    "transfer": (b"\x77" * 20, b""),
    "zeros": (b"\x77" * 20, bytes(2_000)),
    "varied": (b"\x77" * 20, b"".join(number.to_bytes(2) for number in range(1_500))),
    "wrapping": (bytes(addresses.WETH), LIBRARY.weth.input("deposit")),
    "withdrawing": (
        bytes(addresses.MESSAGE_PASSER),
        LIBRARY.passer.input("initiateWithdrawal", b"\x01" * 20, 21_000, b"hello"),
    ),
}
"""Transactions whose fees are compared: target and input."""


@pytest.fixture
def chain() -> RollupChain:
    """The L2 with its real predeploys."""
    vaults = VaultTerms(recipient=FEE_RECIPIENT, minimum_wei=0)
    return RollupChain.open(extra_accounts=l2_allocations(fees=TERMS, vaults=vaults))


def ask(chain: RollupChain, contract: Contract, name: str, *arguments: object) -> object:
    """A call on the head."""
    call = {
        "to": "0x" + contract.address.hex(),
        "input": "0x" + contract.input(name, *arguments).hex(),
        "gas": hex(50_000_000),
    }
    result = chain.engine.call(
        chain.head.state_root, chain.header, b"", orjson.dumps(call), gas_cap=50_000_000
    )
    assert result.status == "success", result
    return contract.output(name, result.output)


def receipts(chain: RollupChain, block: BlockResult) -> list[dict[str, object]]:
    """As the RPC gives them."""
    rows = orjson.loads(chain.engine.receipts_json(block.block, block.receipts))
    return cast(list[dict[str, object]], rows)


def unsigned(raw: bytes) -> bytes:
    """A signed EIP-1559 transaction as it was signed."""
    fields = rlp.as_list(rlp.decode(raw[1:]), 12)
    return raw[:1] + rlp.encode(fields[:9])


def quantity(row: dict[str, object], name: str) -> int:
    """A number of a receipt."""
    return int(str(row[name]), 16)


def attributes(block: bytes) -> bytes:
    """The attributes deposit of some L1 block."""
    header = decode_header(block)
    return encode_deposit(attributes_deposit(NEW_TERMS, 5, Hash32(b"\x05" * 32), header))


def balances(chain: RollupChain) -> dict[Address, int]:
    """What each vault holds."""
    return {vault: chain.balance(vault) for vault in addresses.FEE_VAULTS}


@pytest.mark.parametrize("renewed", [False, True])
@pytest.mark.parametrize("name", sorted(CALLS))
def test_what_is_charged_is_what_the_oracle_says(
    chain: RollupChain, name: str, renewed: bool
) -> None:
    """Given terms of genesis, or of an attributes deposit, then each fee is the oracle's to the wei.

    The L1 fee is asked for before signing: the oracle reckons 68 bytes for a signature, whose compressed length is
    known only once it is there; with the length as signed the two formulas agree exactly.
    """
    if renewed:
        chain.grow(deposits=[attributes(LIBRARY.header(0))])
    to, data = CALLS[name]
    raw = sign_l2(SENDER, nonce=0, to=to, data=data, gas=600_000, value=10**6)
    oracle = LIBRARY.oracle
    asked = ask(chain, oracle, "getL1Fee", unsigned(raw))
    terms = {
        "base_fee": cast(int, ask(chain, oracle, "l1BaseFee")),
        "base_fee_scalar": cast(int, ask(chain, oracle, "baseFeeScalar")),
        "blob_base_fee": cast(int, ask(chain, oracle, "blobBaseFee")),
        "blob_base_fee_scalar": cast(int, ask(chain, oracle, "blobBaseFeeScalar")),
    }
    before = balances(chain)

    block = chain.grow([raw])

    (row,) = receipts(chain, block)
    assert row["status"] == "0x1"
    charged = quantity(row, "l1Fee")
    assert charged == l1_fee(compressed_length(raw), **terms)
    assert asked == l1_fee(compressed_length(unsigned(raw)) + SIGNATURE_BYTES, **terms)
    assert abs(compressed_length(unsigned(raw)) + SIGNATURE_BYTES - compressed_length(raw)) <= 8
    gained = {vault: wei - before[vault] for vault, wei in balances(chain).items()}
    gas_used = quantity(row, "gasUsed")
    assert gained[addresses.L1_FEE_VAULT] == charged
    assert gained[addresses.OPERATOR_FEE_VAULT] == ask(chain, oracle, "getOperatorFee", gas_used)
    assert (
        gained[addresses.BASE_FEE_VAULT] == gas_used * header_of_block(block.block).base_fee_per_gas
    )


def test_attributes_reach_the_getters(chain: RollupChain) -> None:
    """Given the rules' attributes deposit in a block, then L1Block answers with the L1 header's values."""
    header = decode_header(LIBRARY.header(0))
    block = chain.grow(deposits=[attributes(LIBRARY.header(0))])
    (row,) = receipts(chain, block)
    assert row["status"] == "0x1"
    answers = {
        name: ask(chain, LIBRARY.l1_block, name)
        for name in ("number", "timestamp", "basefee", "hash", "batcherHash", "sequenceNumber")
    }
    assert answers == {
        "number": 5,
        "timestamp": header.timestamp,
        "basefee": header.base_fee_per_gas,
        "hash": b"\x05" * 32,
        "batcherHash": bytes(12) + b"\xba" * 20,
        "sequenceNumber": 0,
    }


def test_an_attributes_deposit_needs_a_tenth_of_its_gas(chain: RollupChain) -> None:
    """Given one million gas, then the first takes what the README says, and later ones less: no slot is new."""
    costs = []
    for salt in range(2):
        header = replace(decode_header(LIBRARY.header(0)), timestamp=100 + salt)
        deposit = attributes_deposit(NEW_TERMS, 5 + salt, Hash32(bytes([1 + salt]) * 32), header)
        (row,) = receipts(chain, chain.grow(deposits=[encode_deposit(deposit)]))
        costs.append(quantity(row, "gasUsed"))
    assert costs[0] <= 109_595
    assert costs[1] < 50_000


def test_a_withdrawal_is_in_the_header_s_root(chain: RollupChain) -> None:
    """Given a withdrawal, then `withdrawals_root` is the passer's storage root, and eth_getProof shows the message."""
    to, data = CALLS["withdrawing"]
    block = chain.grow([sign_l2(SENDER, nonce=0, to=to, data=data, gas=600_000, value=9)])

    (row,) = receipts(chain, block)
    (log,) = cast(list[dict[str, object]], row["logs"])
    name = Hash32(bytes.fromhex(str(log["data"])[2:])[96:128])
    account = chain.engine.account(chain.head.state_root, addresses.MESSAGE_PASSER)
    assert account is not None
    assert header_of_block(block.block).withdrawals_root == account.storage_root
    proof = chain.engine.proof(
        chain.head.state_root, addresses.MESSAGE_PASSER, [sent_messages_slot(name)]
    )
    assert proof.slots[0][0] == (1).to_bytes(32)


def test_vaults_pay_what_fees_brought(chain: RollupChain) -> None:
    to, data = CALLS["zeros"]
    chain.grow([sign_l2(SENDER, nonce=0, to=to, data=data, gas=600_000)])
    before = balances(chain)
    assert all(wei > 0 for wei in before.values())

    vault = addresses.L1_FEE_VAULT
    call = LIBRARY.vault.input("withdraw")
    block = chain.grow([sign_l2(DEPOSITOR, nonce=0, to=vault, data=call, gas=600_000)])

    (row,) = receipts(chain, block)
    assert row["status"] == "0x1"
    assert chain.balance(FEE_RECIPIENT) == before[vault]
    # Its own fee came after.
    assert chain.balance(vault) == quantity(row, "l1Fee")


def test_burning_lowers_the_supply(chain: RollupChain) -> None:
    """Given a withdrawal and a burn, then the Ether is in no account any more."""
    holders = [*addresses.FEE_VAULTS, addresses.MESSAGE_PASSER, address_of(SENDER)]

    def supply(accounts: Sequence[Address]) -> int:
        return sum(chain.balance(account) for account in accounts)

    before = supply(holders)
    to, data = CALLS["withdrawing"]
    burn = LIBRARY.passer.input("burn")
    chain.grow(
        [
            sign_l2(SENDER, nonce=0, to=to, data=data, gas=600_000, value=10**9),
            sign_l2(SENDER, nonce=1, to=to, data=burn, gas=600_000),
        ]
    )
    assert chain.balance(addresses.MESSAGE_PASSER) == 0
    assert supply(holders) == before - 10**9
