"""The only place where a validator's key meets a message: judge, sign, save, then let the signature go.

    duties -> Signer -> SlashingProtection (commit, fsync) -> signature

All keys of a duty share one commit. Work of a few milliseconds, most of it the disk's: call it from a thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from node.consensus.containers import Proposal, Vote, VoteData
from node.consensus.signing import Domains, proposal_message, vote_message
from node.eth.primitives import Hash32, Slot, ValidatorIndex
from node.validator.keys import ValidatorKey
from node.validator.protection_rules import (
    Permission,
    SigningRecord,
    after_block,
    after_vote,
    head_only,
    judge_block,
    judge_vote,
)
from node.validator.slashing_protection import ProtectionError, Rows, SlashingProtection


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteRequest:
    """A vote that a key is to cast."""

    public_key: bytes
    """Which key; 32 bytes."""
    validator_index: ValidatorIndex
    """Its place in the registry."""
    data: VoteData
    """For what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningAnswer:
    """What became of a request."""

    permission: Permission
    """What the key was allowed."""
    vote: Vote | None
    """The signed vote, without its FFG part where that was forbidden; None if refused."""


class Signer:
    """Keys under slashing protection."""

    def __init__(
        self, keys: Sequence[ValidatorKey], protection: SlashingProtection, domains: Domains
    ) -> None:
        self._keys: Mapping[bytes, ValidatorKey] = {key.public_key: key for key in keys}
        self._protection = protection
        self._domains = domains

    @property
    def public_keys(self) -> tuple[bytes, ...]:
        """Ed25519 keys it signs for; 32 bytes each."""
        return tuple(self._keys)

    def key(self, public_key: bytes) -> ValidatorKey:
        """A key, for its onion."""
        return self._keys[public_key]

    def sign_votes(self, requests: Sequence[VoteRequest]) -> list[SigningAnswer]:
        """Sign what may be signed, in order; everything is saved before anything is given out."""
        with self._protection.transaction() as rows:
            return [self._sign_vote(rows, request) for request in requests]

    def sign_proposal(
        self, public_key: bytes, *, slot: Slot, proposer_index: ValidatorIndex, block_hash: Hash32
    ) -> Proposal | None:
        """Sign a block's proposal; None if one for this slot or a later one may have been signed."""
        message = proposal_message(self._domains.proposal, slot, proposer_index, block_hash)
        with self._protection.transaction() as rows:
            record = _load(rows, public_key)
            if not judge_block(record, slot):
                return None
            signature = self._keys[public_key].sign(message)
            rows.save(public_key, after_block(record, slot))
        return Proposal(
            slot=slot, proposer_index=proposer_index, block_hash=block_hash, signature=signature
        )

    def _sign_vote(self, rows: Rows, request: VoteRequest) -> SigningAnswer:
        record = _load(rows, request.public_key)
        permission = judge_vote(record, request.data)
        if permission is Permission.REFUSE:
            return SigningAnswer(permission=permission, vote=None)
        if permission is Permission.RESEND:
            assert record.last_vote_data is not None
            data, signature = record.last_vote_data, record.last_vote_signature
        else:
            whole = permission is Permission.SIGN
            data = request.data if whole else head_only(request.data)
            signature = self._keys[request.public_key].sign(vote_message(self._domains.vote, data))
            rows.save(request.public_key, after_vote(record, data, signature))
        vote = Vote(validator_index=request.validator_index, data=data, signature=signature)
        return SigningAnswer(permission=permission, vote=vote)


def _load(rows: Rows, public_key: bytes) -> SigningRecord:
    record = rows.load(public_key)
    if record is None:
        raise ProtectionError(f"the key 0x{public_key.hex()} was never registered")
    return record
