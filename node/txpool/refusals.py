"""Why a transaction is not taken: one enum, and messages that are geth's to the letter.

Wallets match on these texts (viem and ethers read "nonce too low", "insufficient funds", "underpriced"), so they are
an interface: core/error.go, core/txpool/errors.go and core/txpool/validation.go of go-ethereum are their source.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from node.eth.blobs import BLOB_KIND


class RefusalReason(StrEnum):
    """Stable names of refusals, for metrics and verdicts."""

    UNDECODABLE = "undecodable"
    """Bytes that are no transaction of this chain."""
    ALREADY_KNOWN = "already_known"
    OVERSIZED = "oversized"
    INITCODE_SIZE = "initcode_size"
    GAS_LIMIT = "gas_limit"
    TIP_ABOVE_FEE = "tip_above_fee"
    NONCE_MAX = "nonce_max"
    INTRINSIC_GAS = "intrinsic_gas"
    NO_AUTHORISATION = "no_authorisation"
    UNDERPRICED = "underpriced"
    NONCE_TOO_LOW = "nonce_too_low"
    NONCE_TOO_HIGH = "nonce_too_high"
    """A gap before a blob transaction."""
    ADDRESS_RESERVED = "address_reserved"
    """The sender has transactions of the other sort here: with blobs or without."""
    NO_SIDECAR = "no_sidecar"
    """A blob transaction without its blobs."""
    SIDECAR = "sidecar"
    """Blobs, commitments, proofs and hashes whose numbers or versions do not fit together."""
    BLOB_PROOF = "blob_proof"
    """A blob that is not what its commitment or its proofs say."""
    BLOBLESS = "blobless"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    ACCOUNT_LIMIT = "account_limit"
    DELEGATED_LIMIT = "delegated_limit"
    AUTHORITY_RESERVED = "authority_reserved"
    REPLACEMENT_UNDERPRICED = "replacement_underpriced"
    POOL_FULL = "pool_full"
    BUSY = "busy"
    """The service has more waiting than it takes."""
    QUARANTINED = "quarantined"
    """This node's execution failed on it, which is a fault of the node: what it would do is not known."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A transaction that was not taken."""

    reason: RefusalReason
    """Which rule."""
    message: str
    """As geth words it."""


BLAMED: Final = frozenset(
    {
        RefusalReason.UNDECODABLE,
        RefusalReason.OVERSIZED,
        RefusalReason.INITCODE_SIZE,
        RefusalReason.TIP_ABOVE_FEE,
        RefusalReason.NONCE_MAX,
        RefusalReason.INTRINSIC_GAS,
        RefusalReason.NO_AUTHORISATION,
    }
)
"""Refusals that depend on the transaction alone: no honest node sends it on."""

EARLY: Final = frozenset(
    {
        RefusalReason.NONCE_TOO_HIGH,
        RefusalReason.ADDRESS_RESERVED,
        RefusalReason.INSUFFICIENT_FUNDS,
        RefusalReason.DELEGATED_LIMIT,
        RefusalReason.AUTHORITY_RESERVED,
    }
)
"""Refusals that the next block may lift: whoever sends what a receipt allows may be a block ahead of us."""

ALREADY_KNOWN = Refused(RefusalReason.ALREADY_KNOWN, "already known")
QUARANTINED = Refused(
    RefusalReason.QUARANTINED, "execution of this transaction failed on this node"
)
GAS_LIMIT = Refused(RefusalReason.GAS_LIMIT, "exceeds block gas limit")
TIP_ABOVE_FEE = Refused(
    RefusalReason.TIP_ABOVE_FEE, "max priority fee per gas higher than max fee per gas"
)
NONCE_MAX = Refused(RefusalReason.NONCE_MAX, "nonce has max value")
NO_AUTHORISATION = Refused(
    RefusalReason.NO_AUTHORISATION, "set code tx must have at least one authorization tuple"
)
DELEGATED_GAP = Refused(RefusalReason.DELEGATED_LIMIT, "gapped-nonce tx from delegated accounts")
DELEGATED_IN_FLIGHT = Refused(
    RefusalReason.DELEGATED_LIMIT, "in-flight transaction limit reached for delegated accounts"
)
AUTHORITY_RESERVED = Refused(RefusalReason.AUTHORITY_RESERVED, "authority already reserved")
REPLACEMENT_UNDERPRICED = Refused(
    RefusalReason.REPLACEMENT_UNDERPRICED, "replacement transaction underpriced"
)
UNDERPRICED = Refused(RefusalReason.UNDERPRICED, "transaction underpriced")
FUTURE_REPLACES_PENDING = Refused(
    RefusalReason.POOL_FULL, "future transaction tries to replace pending"
)
ADDRESS_RESERVED = Refused(RefusalReason.ADDRESS_RESERVED, "address already reserved")
NO_BLOBS = Refused(
    RefusalReason.UNDECODABLE,
    "transaction type not supported: tx type 3 not supported by this pool",
)
NO_SIDECAR = Refused(RefusalReason.NO_SIDECAR, "missing sidecar in blob transaction")
BLOBLESS = Refused(RefusalReason.BLOBLESS, "blobless blob transaction")
BLOB_PROOF = Refused(RefusalReason.BLOB_PROOF, "KZG verification error: invalid cell proofs")
WHOLE_BLOB_PROOF = Refused(
    RefusalReason.BLOB_PROOF, "KZG verification error: invalid blob proof: invalid proof"
)
BUSY = Refused(RefusalReason.BUSY, "txpool is full")


def oversized(size: int, limit: int) -> Refused:
    """Refuse for its length in bytes."""
    return Refused(
        RefusalReason.OVERSIZED, f"oversized data: transaction size {size}, limit {limit}"
    )


def oversized_on_rollup(raw: bytes, limit: int) -> Refused:
    """The same where blobs have no network: with blobs a transaction is always too long, and that is not what is wrong with it."""
    return NO_BLOBS if raw[:1] == bytes((BLOB_KIND,)) else oversized(len(raw), limit)


def initcode_too_long(size: int, limit: int) -> Refused:
    """Refuse a creation for the length of its code in bytes (EIP-3860)."""
    return Refused(
        RefusalReason.INITCODE_SIZE,
        f"max initcode size exceeded: code size {size} limit {limit}",
    )


def gas_above_cap(gas_limit: int, cap: int) -> Refused:
    """Refuse for a gas limit above EIP-7825's."""
    return Refused(
        RefusalReason.GAS_LIMIT, f"transaction gas limit too high (cap: {cap}, tx: {gas_limit})"
    )


def intrinsic_gas(gas_limit: int, needed: int) -> Refused:
    """Refuse for a gas limit below what the transaction costs before it runs."""
    return Refused(
        RefusalReason.INTRINSIC_GAS,
        f"intrinsic gas too low: gas {gas_limit}, minimum needed {needed}",
    )


def tip_below_minimum(tip: int, minimum: int) -> Refused:
    """Refuse for a tip below what this pool asks."""
    return Refused(
        RefusalReason.UNDERPRICED,
        f"transaction gas price below minimum: gas tip cap {tip}, minimum needed {minimum}",
    )


def nonce_too_low(next_nonce: int, nonce: int) -> Refused:
    """Refuse for a nonce that is used up."""
    return Refused(
        RefusalReason.NONCE_TOO_LOW, f"nonce too low: next nonce {next_nonce}, tx nonce {nonce}"
    )


def insufficient_funds(balance: int, cost: int) -> Refused:
    """Refuse what the sender cannot pay by itself."""
    return Refused(
        RefusalReason.INSUFFICIENT_FUNDS,
        "insufficient funds for gas * price + value: "
        f"balance {balance}, tx cost {cost}, overshot {cost - balance}",
    )


def overdraft(balance: int, spent: int, cost: int) -> Refused:
    """Refuse what the sender cannot pay after its other transactions."""
    return Refused(
        RefusalReason.INSUFFICIENT_FUNDS,
        "insufficient funds for gas * price + value: "
        f"balance {balance}, queued cost {spent}, tx cost {cost}, overshot {spent + cost - balance}",
    )


def replacement_overdraft(balance: int, spent: int, bumped: int) -> Refused:
    """Refuse a replacement that the sender cannot pay beside its other transactions."""
    return Refused(
        RefusalReason.INSUFFICIENT_FUNDS,
        "insufficient funds for gas * price + value: "
        f"balance {balance}, queued cost {spent}, tx bumped {bumped}, "
        f"overshot {spent + bumped - balance}",
    )


def account_limit(pooled: int) -> Refused:
    """Refuse for the number of transactions this sender has here."""
    return Refused(RefusalReason.ACCOUNT_LIMIT, f"account limit exceeded: pooled {pooled} txs")


def blob_limit(count: int, limit: int) -> Refused:
    """Refuse for the number of blobs (EIP-7594)."""
    return Refused(
        RefusalReason.SIDECAR,
        f"transaction blob limit exceeded: blob count {count}, limit {limit}",
    )


def blob_fee_below_minimum(fee: int, minimum: int) -> Refused:
    """Refuse for a fee below the least price of blob gas."""
    return Refused(
        RefusalReason.UNDERPRICED,
        f"transaction gas price below minimum: blob fee cap {fee}, minimum needed {minimum}",
    )


def unknown_form(version: int) -> Refused:
    """Refuse for a network form that no fork has."""
    return Refused(RefusalReason.UNDECODABLE, f"unsupported blob tx version {version}")


def sidecar_version(found: int, wanted: int) -> Refused:
    """Refuse for a form that this chain's rules do not have."""
    return Refused(
        RefusalReason.SIDECAR,
        f"Wrong sidecar format: unexpected sidecar version, want: {wanted}, got: {found}",
    )


def blob_count(blobs: int, hashes: int) -> Refused:
    """Refuse for another number of blobs than of hashes, and so of commitments."""
    return Refused(
        RefusalReason.SIDECAR, f"invalid number of {blobs} blobs compared to {hashes} commitments"
    )


def commitment_count(commitments: int, hashes: int) -> Refused:
    """Refuse for another number of commitments than of hashes."""
    return Refused(
        RefusalReason.SIDECAR,
        f"invalid number of {commitments} blob commitments compared to {hashes} blob hashes",
    )


def proof_count(proofs: int, wanted: int) -> Refused:
    """Refuse for a wrong number of proofs."""
    return Refused(
        RefusalReason.SIDECAR,
        f"Wrong sidecar format: invalid number of {proofs} blob proofs expected {wanted}",
    )


def blob_hash_mismatch(place: int, computed: bytes, named: bytes) -> Refused:
    """Refuse for a commitment that is not the one named."""
    return Refused(
        RefusalReason.SIDECAR,
        f"blob {place}: computed hash 0x{computed.hex()} mismatches transaction one 0x{named.hex()}",
    )


def nonce_gap(nonce: int, gapped: int) -> Refused:
    """Refuse a blob transaction that would wait for an earlier nonce."""
    return Refused(
        RefusalReason.NONCE_TOO_HIGH, f"nonce too high: tx nonce {nonce}, gapped nonce {gapped}"
    )


def blob_replacement(kind: str, new: int, old: int, percent: int) -> Refused:
    """Refuse a replacement that pays too little more; `kind` of fee, wei."""
    start = f"replacement transaction underpriced: new tx {kind} {new}"
    if new <= old:
        return Refused(RefusalReason.REPLACEMENT_UNDERPRICED, f"{start} <= {old} queued")
    return Refused(
        RefusalReason.REPLACEMENT_UNDERPRICED,
        f"{start} < {old} queued + {percent}% replacement penalty",
    )
