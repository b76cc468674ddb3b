"""May a key sign this? The EIP-3076 minimal strategy, for votes that carry a slot and may do without their FFG part.

    SigningRecord, VoteData -> judge_vote -> SIGN | HEAD_ONLY | REFUSE, and the record after it

High-water marks only: what a key signed is not remembered, what it may never sign again is.
They exclude all four slashable pairs (node/README.md section 5): R1 and R4 by the slots, R2 and R3 because targets only
rise, sources never fall, and one target keeps its link.
PURE: the database and the keys are elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from node.consensus.containers import Checkpoint, VoteData

NOTHING = -1
"""A mark that nothing has been signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningRecord:
    """What one key has signed so far, as far as it binds what it may sign next."""

    last_block_slot: int = NOTHING
    """Slot of its newest proposal."""
    last_vote_slot: int = NOTHING
    """Slot of its newest vote."""
    last_vote_data: VoteData | None = None
    """That vote; None if it was imported and only its marks are known."""
    last_vote_signature: bytes = b""
    """64 bytes, or empty beside None."""
    max_source_epoch: int = NOTHING
    """Highest source it has voted from."""
    last_target_epoch: int = NOTHING
    """Highest target it has voted for."""
    last_link: tuple[Checkpoint, Checkpoint] | None = None
    """Source and target of that vote; None if it was imported."""

    def merged(self, other: SigningRecord) -> SigningRecord:
        """Combine two histories of one key so that neither can be contradicted."""
        newer = self if self.last_vote_slot > other.last_vote_slot else other
        same_vote = self.last_vote_slot == other.last_vote_slot
        keeps_vote = not same_vote or self.last_vote_data == other.last_vote_data
        farther = self if self.last_target_epoch > other.last_target_epoch else other
        same_target = self.last_target_epoch == other.last_target_epoch
        keeps_link = not same_target or self.last_link == other.last_link
        return SigningRecord(
            last_block_slot=max(self.last_block_slot, other.last_block_slot),
            last_vote_slot=newer.last_vote_slot,
            last_vote_data=newer.last_vote_data if keeps_vote else None,
            last_vote_signature=newer.last_vote_signature if keeps_vote else b"",
            max_source_epoch=max(self.max_source_epoch, other.max_source_epoch),
            last_target_epoch=farther.last_target_epoch,
            last_link=farther.last_link if keeps_link else None,
        )


class Permission(StrEnum):
    """What a key may do with a vote."""

    SIGN = "sign"
    """Sign it as it is."""
    HEAD_ONLY = "head_only"
    """Sign its head, without source and target."""
    RESEND = "resend"
    """It was signed before: send the stored signature."""
    REFUSE = "refuse"
    """Sign nothing for this slot."""


def head_only(data: VoteData) -> VoteData:
    """Leave out source and target."""
    return replace(data, source=None, target=None)


def judge_vote(record: SigningRecord, data: VoteData) -> Permission:
    """Decide whether a key with this record may sign this vote."""
    if data.slot <= record.last_vote_slot:
        stored = record.last_vote_data
        if stored is not None and stored in (data, head_only(data)):
            return Permission.RESEND
        return Permission.REFUSE
    if data.source is None or data.target is None:
        return Permission.SIGN
    return Permission.SIGN if _may_link(record, data.source, data.target) else Permission.HEAD_ONLY


def judge_block(record: SigningRecord, slot: int) -> bool:
    """Decide whether a key with this record may propose at this slot."""
    return slot > record.last_block_slot


def after_vote(record: SigningRecord, data: VoteData, signature: bytes) -> SigningRecord:
    """The record once this vote is signed."""
    voted = replace(
        record,
        last_vote_slot=data.slot,
        last_vote_data=data,
        last_vote_signature=signature,
    )
    if data.source is None or data.target is None:
        return voted
    return replace(
        voted,
        max_source_epoch=data.source.epoch,
        last_target_epoch=data.target.epoch,
        last_link=(data.source, data.target),
    )


def after_block(record: SigningRecord, slot: int) -> SigningRecord:
    """The record once a proposal for this slot is signed."""
    return replace(record, last_block_slot=slot)


def _may_link(record: SigningRecord, source: Checkpoint, target: Checkpoint) -> bool:
    if source.epoch >= target.epoch or source.epoch < record.max_source_epoch:
        return False
    return target.epoch > record.last_target_epoch or (source, target) == record.last_link
