"""Genesis allocations of the network's contracts: what a deployment would leave, without deploying.

    rollup's constants -> l1_allocations, l2_allocations -> `alloc` of the genesis documents (geth's format)

Code is the compiled runtime followed by its immutables; a test compares it with a real deployment, storage included.
No contract has anything to initialise: storage of zeros is the start. L1Block alone begins with the fees' terms, so
that L2 blocks before the first attributes deposit charge what later ones do.
Deliberately absent: funded accounts, and published contracts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from node.contracts import addresses
from node.contracts.artifacts import load
from node.eth.primitives import Address

MAX_BATCH_LIMIT_BYTES: Final = 32_768
"""Longest batch that the Inbox's bytecode has room for."""


class WithdrawalNetwork(IntEnum):
    """Where a fee vault pays to, as the OP Stack numbers it."""

    L1 = 0
    """Through the message passer, like any withdrawal."""
    L2 = 1
    """By a call on L2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeTerms:
    """What L2 transactions pay besides their gas, until the first attributes deposit says it anew."""

    l1_base_fee_wei: int
    """Base fee of L1's genesis block."""
    l1_base_fee_scalar: int
    """Millionths."""
    l1_blob_base_fee_scalar: int
    """Millionths."""
    operator_fee_scalar: int
    """Millionths of a wei for each gas."""
    operator_fee_constant: int
    """Wei for each transaction."""
    l1_blob_base_fee_wei: int = 1
    """Blob base fee of L1's genesis block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultTerms:
    """To whom, where and from which amount on the fee vaults pay."""

    recipient: Address
    """20 bytes."""
    network: WithdrawalNetwork = WithdrawalNetwork.L2
    """Where."""
    minimum_wei: int = 10**16
    """Least that is paid out at once."""


def l1_allocations(
    *,
    batcher: Address,
    sequencing_window_blocks: int,
    batch_limit_bytes: int,
    locked_wei: int,
) -> dict[str, dict[str, object]]:
    """Inbox and Portal.

    Args:
        batcher: who may append.
        sequencing_window_blocks: L1 blocks after which anyone may force an origin.
        batch_limit_bytes: most bytes of a batch.
        locked_wei: what the portal holds at the start: all that L2's genesis gives away.
    """
    if not 0 < batch_limit_bytes <= MAX_BATCH_LIMIT_BYTES:
        raise ValueError(f"batch_limit_bytes: {batch_limit_bytes}, not 1..{MAX_BATCH_LIMIT_BYTES}")
    inbox = load("Inbox").code(
        batcher=batcher, sequencingWindow=sequencing_window_blocks, batchLimit=batch_limit_bytes
    )
    return {
        _hex(addresses.INBOX): _account(inbox),
        _hex(addresses.PORTAL): _account(load("Portal").code(), balance_wei=locked_wei),
    }


def l2_allocations(*, fees: FeeTerms, vaults: VaultTerms) -> dict[str, dict[str, object]]:
    """The predeploys of L2."""
    vault = load("FeeVault").code(
        RECIPIENT=vaults.recipient,
        MIN_WITHDRAWAL_AMOUNT=vaults.minimum_wei,
        WITHDRAWAL_NETWORK=vaults.network,
    )
    return {
        _hex(addresses.WETH): _account(load("WETH").code()),
        _hex(addresses.GAS_PRICE_ORACLE): _account(load("GasPriceOracle").code()),
        _hex(addresses.L1_BLOCK): _account(load("L1Block").code(), storage=_l1_block_storage(fees)),
        _hex(addresses.MESSAGE_PASSER): _account(load("L2ToL1MessagePasser").code()),
        **{_hex(address): _account(vault) for address in addresses.FEE_VAULTS},
    }


def _l1_block_storage(fees: FeeTerms) -> dict[int, int]:
    return {
        1: fees.l1_base_fee_wei,
        3: fees.l1_base_fee_scalar << 96 | fees.l1_blob_base_fee_scalar << 64,
        7: fees.l1_blob_base_fee_wei,
        8: fees.operator_fee_scalar << 64 | fees.operator_fee_constant,
    }


def _account(
    code: bytes, *, balance_wei: int = 0, storage: Mapping[int, int] | None = None
) -> dict[str, object]:
    # Nonce 1, as a deployment leaves it (EIP-161).
    account: dict[str, object] = {
        "balance": hex(balance_wei),
        "nonce": "0x1",
        "code": "0x" + code.hex(),
    }
    words = {slot: value for slot, value in (storage or {}).items() if value}
    if words:
        account["storage"] = {f"0x{slot:064x}": f"0x{words[slot]:064x}" for slot in sorted(words)}
    return account


def _hex(address: Address) -> str:
    return "0x" + address.hex()
