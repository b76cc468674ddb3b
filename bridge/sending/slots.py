"""The nonces of one account that are not final yet, and which transactions were signed for each. PURE.

    nonce -> Slot: version 0 (first offer) | version 1 (raised, or for another want) | ...
      L1 holds one of them -> past, may come back until it is final        L1 holds none -> live: the newest version is the one that counts

Deliberately absent: what to do with them (planning) and where they are kept (journal).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from node.eth import rlp
from node.eth.primitives import Address, Hash32
from sequencer.batching.fees import Fee
from sequencer.batching.signing import CALL_DATA_FIELD, L1Account

EMPTY_KEY: Final = ""
"""Key of a transfer of nothing to oneself: it takes the nonce of what nobody wants any more."""

_TIP_FIELD: Final = 2
_MAX_FEE_FIELD: Final = 3
_GAS_FIELD: Final = 4
_TO_FIELD: Final = 5
_VALUE_FIELD: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One transaction that was signed for a nonce."""

    hash: Hash32
    """Its hash."""
    key: str
    """The want that it is for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a transaction says."""

    to: Address
    """The contract."""
    call_data: bytes
    """Its input."""
    value_wei: int
    """What is paid along."""
    gas_limit: int
    """Gas."""
    fee: Fee
    """For a unit of gas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A nonce and what was signed for it."""

    nonce: int
    """The nonce."""
    versions: tuple[Version, ...]
    """Oldest first, at least one; any of them may be what L1 takes."""
    raw: bytes
    """The newest version, EIP-2718."""
    sent_at: int
    """L1 block number at which it was signed or last given away."""

    @property
    def key(self) -> str:
        """The want that the newest version is for."""
        return self.versions[-1].key

    @property
    def hash(self) -> Hash32:
        """Hash of the newest version."""
        return self.versions[-1].hash

    def offer(self) -> Offer:
        """What the newest version says."""
        fields = rlp.as_list(rlp.decode(self.raw[1:]))
        return Offer(
            to=Address(rlp.as_bytes(fields[_TO_FIELD], 20)),
            call_data=rlp.as_bytes(fields[CALL_DATA_FIELD]),
            value_wei=rlp.as_integer(fields[_VALUE_FIELD], 256),
            gas_limit=rlp.as_integer(fields[_GAS_FIELD]),
            fee=Fee(
                max_fee_wei=rlp.as_integer(fields[_MAX_FEE_FIELD], 256),
                tip_wei=rlp.as_integer(fields[_TIP_FIELD], 256),
            ),
        )


def signed(
    account: L1Account, offer: Offer, *, nonce: int, key: str, sent_at: int, before: Slot | None
) -> Slot:
    """Sign an offer for a nonce; `before` is what was signed for it so far."""
    done = account.sign(
        nonce=nonce,
        to=offer.to,
        call_data=offer.call_data,
        gas_limit=offer.gas_limit,
        fee=offer.fee,
        value_wei=offer.value_wei,
    )
    version = Version(hash=done.hash, key=key)
    if before is None:
        return Slot(nonce=nonce, versions=(version,), raw=done.raw, sent_at=sent_at)
    return replace(before, versions=(*before.versions, version), raw=done.raw, sent_at=sent_at)
