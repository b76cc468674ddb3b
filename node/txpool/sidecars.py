"""What comes with a blob transaction: taken off, checked, kept apart from the pool, put back on for peers.

    network form -> open -> Offered(raw, form) -> engine.decode -> [numbers, hashes] -> would the pool take it?
                                             -> BlobStore.add (proofs, beside the loop) -> Pool.admit
    a peer asks  -> network_form -> BlobStore.load -> network form

The pool keeps a blob transaction as a block does, without its blobs; those lie in files, by versioned hash, for longer
than the transaction waits: a reorganised block's transactions come back without them.
What costs most is asked last: proofs are checked for what the pool would take.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from node.errors import Rejected, Temporary
from node.eth.blobs import (
    BLOB_BYTES,
    BLOB_KIND,
    CELL_PROOFS,
    COMMITMENT_BYTES,
    PROOFS_BYTES,
    WHOLE_BLOB_PROOFS,
    Blob,
    NetworkForm,
    UnknownForm,
    decode_network_form,
    encode_network_form,
)
from node.eth.primitives import Hash32
from node.eth.transactions import Transaction
from node.txpool import refusals
from node.txpool.refusals import RefusalReason, Refused
from node.txpool.transaction import PooledTransaction
from node.txpool.validation import check_sidecar

NETWORK_FORM_BYTES_MAX: Final = 1 << 20
"""A longer blob transaction is refused, as in geth: six blobs with their proofs take 0.8 MB."""

BLOB_PARTS_BYTES: Final = BLOB_BYTES + COMMITMENT_BYTES + PROOFS_BYTES
"""What a blob adds to a network form, at least."""

SHORTEST_BYTES: Final = 2
"""What is shorter has no form; the engine has the words for it, as for every type."""

UNSOUND: Final = frozenset(
    {RefusalReason.SIDECAR, RefusalReason.BLOB_PROOF, RefusalReason.NO_SIDECAR}
)
"""Refusals for what came with a transaction: the peer that sent it has not done what it announced."""


class BlobStore(Protocol):
    """Where blobs are kept."""

    def missing(self, hashes: Sequence[Hash32]) -> list[Hash32]:
        """Those that are not here."""

    async def load(self, hashes: Sequence[Hash32]) -> tuple[Blob, ...] | None:
        """These blobs, in order; None if one of them is not here."""

    async def add(self, blobs: Sequence[Blob], *, own: bool) -> bool:
        """Check and keep a user's (`own`) or a peer's blobs; False if one of them is wrong. Raises Temporary."""

    async def modernise(self, form: NetworkForm) -> NetworkForm | None:
        """Prove the cells of a form's blobs; None if their proofs are wrong. Raises Temporary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A transaction somebody offers."""

    raw: bytes
    """As a block holds it."""
    form: NetworkForm | None = None
    """What came with it, if it carries blobs."""


WouldRefuse = Callable[[Transaction], Refused | None]
"""Why the pool would not take it; None if it would."""


class Sidecars:
    """The pool's way to blobs; without a store no blob transaction is taken."""

    def __init__(self, store: BlobStore | None, are_withheld: Callable[[], bool]) -> None:
        self._store = store
        self.are_withheld: Final = are_withheld
        """Whether this node keeps blobs to itself: a fault."""

    def open(self, raw: bytes, bytes_max: int) -> Offered | Refused:
        """Take a transaction's blobs off; `bytes_max` bounds one without."""
        if raw[:1] != bytes((BLOB_KIND,)):
            return (
                refusals.oversized(len(raw), bytes_max)
                if len(raw) > bytes_max
                else Offered(raw=raw)
            )
        if self._store is None:
            return refusals.NO_BLOBS
        if len(raw) > NETWORK_FORM_BYTES_MAX:
            return refusals.oversized(len(raw), NETWORK_FORM_BYTES_MAX)
        if len(raw) < SHORTEST_BYTES:
            return Offered(raw=raw)
        try:
            form = decode_network_form(raw)
        except UnknownForm as error:
            return refusals.unknown_form(error.version)
        except Rejected as error:
            return Refused(RefusalReason.UNDECODABLE, f"rlp: {error.message}")
        return Offered(raw=raw if form is None else form.raw, form=form)

    def refusal_without(self, hashes: Sequence[Hash32]) -> Refused | None:
        """Why a transaction that comes without its blobs is refused; None if they are all here."""
        if self._store is None:
            return refusals.NO_BLOBS
        return refusals.NO_SIDECAR if self._store.missing(hashes) else None

    async def keep(
        self,
        decoded: Transaction,
        form: NetworkForm | None,
        *,
        alone: WouldRefuse,
        now: WouldRefuse,
        own: bool,
    ) -> Refused | None:
        """Check and keep what came with a transaction, or say why not; `own` ones may come in the older form.

        `alone` says why the pool would take it from nobody, `now` why it would not take it at this moment: geth's order.
        """
        refusal = alone(decoded)
        if refusal is not None:
            return refusal
        if form is None or self._store is None:
            return refusals.NO_SIDECAR
        is_older = own and form.version == WHOLE_BLOB_PROOFS
        version = WHOLE_BLOB_PROOFS if is_older else CELL_PROOFS
        refusal = check_sidecar(decoded, form, version) or now(decoded)
        if refusal is not None:
            return refusal
        try:
            if is_older:
                modern = await self._store.modernise(form)
                if modern is None:
                    return refusals.WHOLE_BLOB_PROOF
                form = modern
            held = await self._store.add(form.sidecar(), own=own)
        except Temporary:
            return refusals.BUSY
        return None if held else refusals.BLOB_PROOF

    async def network_form(self, one: PooledTransaction, bytes_max: int) -> bytes | None:
        """A transaction as peers get it; None if it is longer than `bytes_max`, or its blobs are lost or withheld.

        Nothing is read from disk for what has no room: a request of 16 hashes would cost 12 MB of reading.
        """
        if one.size + BLOB_PARTS_BYTES * len(one.blob_hashes) > bytes_max:
            return None
        if not one.blob_hashes:
            return one.raw
        if self._store is None or self.are_withheld():
            return None
        blobs = await self._store.load(one.blob_hashes)
        form = None if blobs is None else encode_network_form(one.raw, blobs)
        return None if form is None or len(form) > bytes_max else form
