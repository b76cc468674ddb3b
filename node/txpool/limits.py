"""What the pool holds at most, and what it asks of a transaction."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """Bounds of one pool; the defaults hold ten seconds of 3,000 transactions a second."""

    transactions_max: int = 32_768
    """Executable and queued together."""
    queued_max: int = 8_192
    """Of them, those that wait for an earlier nonce."""
    bytes_max: int = 96 * 1024 * 1024
    """Their raw bytes together; this bounds what a flood of large ones costs."""
    sender_executable_max: int = 4_096
    """Executable ones of one sender: a load test may send from one account."""
    sender_queued_max: int = 1_024
    """Queued ones of one sender: many connections send one account's nonces in any order."""
    transaction_bytes_max: int = 512 * 1024
    """One transaction: geth's 128 KiB is too small for batches and fault proofs."""
    transaction_gas_max: int = 1 << 24
    """EIP-7825."""
    replacement_percent: int = 10
    """A replacement pays so much more, tip and fee."""
    tip_min_wei: int = 1
    """Least tip, as geth's default."""
    blobs_max: int = 480
    """Blobs of all transactions: 63 MiB on disk, half a minute of full blocks."""
    sender_blob_transactions_max: int = 16
    """Blob transactions of one sender, as in geth."""
    blob_replacement_percent: int = 100
    """A replacement of a blob transaction pays so much more, tip and both fees: its blobs cost everybody's links."""
    blob_fee_min_wei: int = 1
    """EIP-4844's least price of blob gas."""
    queued_lifetime_ms: int = 3 * 60 * 60 * 1_000
    """A sender's queued transactions are dropped when it did nothing for so long."""
