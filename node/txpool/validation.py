"""The checks a transaction passes before the pool looks for room, in geth's order, so that the first message is geth's.

    check_alone      what the transaction and the block limit say
    check_account    nonce, funds and number, given the sender
    check_delegation EIP-7702: a delegated account's balance can vanish, so it has one transaction in flight
    check_sidecar    EIP-4844: a blob transaction's numbers and versioned hashes against its blobs'

Each gives a Refused or None and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from node.eth import rlp
from node.eth.blobs import (
    BLOB_KIND,
    BLOBS_PER_TRANSACTION_MAX,
    CELL_PROOFS,
    CELLS,
    NetworkForm,
    versioned_hash,
)
from node.eth.primitives import Address
from node.eth.transactions import Transaction
from node.txpool import refusals
from node.txpool.limits import PoolLimits
from node.txpool.refusals import Refused
from node.txpool.sender import Sender
from node.txpool.transaction import PooledTransaction

NONCE_MAX: Final = (1 << 64) - 1
"""EIP-2681: a transaction's nonce is below this."""

INITCODE_BYTES_MAX: Final = 49_152
"""EIP-3860: a contract's creation code is no longer."""

INPUT_FIELD: Final = {0: 5, 1: 6, 2: 7}
"""Place of the input in a transaction's RLP list, by EIP-2718 type; other types create nothing."""

SET_CODE_KIND: Final = 4
"""EIP-2718 type of EIP-7702 transactions."""


def check_alone(
    transaction: Transaction, limits: PoolLimits, block_gas_limit: int
) -> Refused | None:
    """Check what needs no state."""
    size = transaction.size
    if size > limits.transaction_bytes_max:
        return refusals.oversized(size, limits.transaction_bytes_max)
    if size > INITCODE_BYTES_MAX and transaction.to is None:
        initcode_bytes = _input_bytes(transaction)
        if initcode_bytes > INITCODE_BYTES_MAX:
            return refusals.initcode_too_long(initcode_bytes, INITCODE_BYTES_MAX)
    gas_limit = transaction.gas_limit
    if gas_limit > limits.transaction_gas_max:
        return refusals.gas_above_cap(gas_limit, limits.transaction_gas_max)
    if gas_limit > block_gas_limit:
        return refusals.GAS_LIMIT
    tip = transaction.max_priority_fee_per_gas
    if tip > transaction.max_fee_per_gas:
        return refusals.TIP_ABOVE_FEE
    if transaction.nonce >= NONCE_MAX:
        return refusals.NONCE_MAX
    if gas_limit < transaction.intrinsic_gas:
        return refusals.intrinsic_gas(gas_limit, transaction.intrinsic_gas)
    if tip < limits.tip_min_wei:
        return refusals.tip_below_minimum(tip, limits.tip_min_wei)
    if transaction.kind == BLOB_KIND and transaction.max_fee_per_blob_gas < limits.blob_fee_min_wei:
        return refusals.blob_fee_below_minimum(
            transaction.max_fee_per_blob_gas, limits.blob_fee_min_wei
        )
    if transaction.kind == SET_CODE_KIND and not transaction.authorities:
        return refusals.NO_AUTHORISATION
    return None


def check_blobs_named(transaction: Transaction) -> Refused | None:
    """Check how many blobs a blob transaction names (EIP-4844, EIP-7594)."""
    if transaction.kind != BLOB_KIND:
        return None
    hashes = transaction.blob_hashes
    if not hashes:
        return refusals.BLOBLESS
    if len(hashes) > BLOBS_PER_TRANSACTION_MAX:
        return refusals.blob_limit(len(hashes), BLOBS_PER_TRANSACTION_MAX)
    return None


def check_sidecar(transaction: Transaction, form: NetworkForm, version: int) -> Refused | None:
    """Check what came with a blob transaction, all but the proofs themselves, in geth's order."""
    hashes = transaction.blob_hashes
    if len(form.commitments) != len(hashes):
        return refusals.commitment_count(len(form.commitments), len(hashes))
    for place, (commitment, named) in enumerate(zip(form.commitments, hashes, strict=True)):
        computed = versioned_hash(commitment)
        if computed != named:
            return refusals.blob_hash_mismatch(place, computed, named)
    if len(hashes) > BLOBS_PER_TRANSACTION_MAX:
        return refusals.blob_limit(len(hashes), BLOBS_PER_TRANSACTION_MAX)
    if form.version != version:
        return refusals.sidecar_version(form.version, version)
    wanted = len(hashes) * (CELLS if version == CELL_PROOFS else 1)
    if len(form.proofs) != wanted:
        return refusals.proof_count(len(form.proofs), wanted)
    if not hashes:
        return refusals.BLOBLESS
    if len(form.blobs) != len(hashes):
        return refusals.blob_count(len(form.blobs), len(hashes))
    return None


def _input_bytes(transaction: Transaction) -> int:
    """Length of a creation's input, found in its bytes: the engine has decoded them, so they are sound."""
    fields = transaction.raw[1:] if transaction.kind else transaction.raw
    _, _, start, end = rlp.spans(fields)[INPUT_FIELD[transaction.kind]]
    return end - start


def check_account(
    sender: Sender, nonce: int, cost: int, limits: PoolLimits, *, with_blobs: bool = False
) -> Refused | None:
    """Check nonce, funds over everything executable, and the sender's number of transactions."""
    if nonce < sender.nonce:
        return refusals.nonce_too_low(sender.nonce, nonce)
    if with_blobs and nonce > sender.next_nonce and sender.find(nonce) is None:
        return refusals.nonce_gap(nonce, sender.next_nonce)
    balance = sender.balance
    if balance < cost:
        return refusals.insufficient_funds(balance, cost)
    replaced = sender.find(nonce)
    if replaced is not None:
        bumped = cost - replaced.cost
        if balance < sender.cost + bumped:
            return refusals.replacement_overdraft(balance, sender.cost, bumped)
        return None
    if balance < sender.cost + cost:
        return refusals.overdraft(balance, sender.cost, cost)
    if nonce == sender.next_nonce:
        most = limits.sender_blob_transactions_max if with_blobs else limits.sender_executable_max
        if len(sender.executable) >= most:
            return refusals.account_limit(len(sender.executable))
    elif len(sender.queued) >= limits.sender_queued_max and nonce > max(sender.queued):
        return refusals.account_limit(len(sender.executable) + len(sender.queued))
    return None


def check_delegation(
    transaction: Transaction,
    sender: Sender,
    authorities: Mapping[Address, int],
    senders: Mapping[Address, Sender],
) -> Refused | None:
    """Check geth's limits for accounts that are delegated, or about to be.

    `authorities` counts the pooled transactions that carry an authorisation of each account.
    """
    if sender.has_code or sender.address in authorities:
        if not sender.executable:
            if transaction.nonce != sender.next_nonce:
                return refusals.DELEGATED_GAP
        elif transaction.nonce not in sender.executable:
            return refusals.DELEGATED_IN_FLIGHT
    if transaction.kind == SET_CODE_KIND:
        for authority in transaction.authorities:
            other = senders.get(Address(authority))
            if other is not None and len(other.executable) + len(other.queued) > 1:
                return refusals.AUTHORITY_RESERVED
    return None


def check_exclusive(sender: Sender, *, with_blobs: bool) -> Refused | None:
    """Check that a sender's transactions all carry blobs or none do, as in geth's two pools."""
    if not sender.is_empty and sender.carries_blobs != with_blobs:
        return refusals.ADDRESS_RESERVED
    return None


def check_replacement(
    old: PooledTransaction, new: PooledTransaction, limits: PoolLimits
) -> Refused | None:
    """Check that a replacement pays enough more in every respect."""
    if not new.blob_hashes:
        enough = pays_more(old.price, new.price, limits.replacement_percent)
        return None if enough else refusals.REPLACEMENT_UNDERPRICED
    percent = limits.blob_replacement_percent
    fees = (
        ("gas fee cap", old.max_fee_per_gas, new.max_fee_per_gas),
        ("gas tip cap", old.max_priority_fee_per_gas, new.max_priority_fee_per_gas),
        ("blob gas fee cap", old.max_fee_per_blob_gas, new.max_fee_per_blob_gas),
    )
    for factor in (100, 100 + percent):
        for kind, theirs, ours in fees:
            if ours <= theirs or ours < theirs * factor // 100:
                return refusals.blob_replacement(kind, ours, theirs, percent)
    return None


def pays_more(old: tuple[int, ...], new: tuple[int, ...], percent: int) -> bool:
    """Whether (tip, fee) `new` may replace `old`: both are higher, and by `percent` at least."""
    factor = 100 + percent
    return all(
        ours > theirs and ours >= theirs * factor // 100
        for theirs, ours in zip(old, new, strict=True)
    )
