"""Every way in which a block, vote or piece of evidence can break a rule of consensus.

A name is stable: it is counted in metrics, logged, sent to nobody, and each has a test.
Bytes that do not decode at all are refused by `node.eth.reasons.EncodingReason` before they get here.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why something was rejected."""

    # -- containers
    PAYLOAD_VERSION = "payload_version"
    """A payload of another version."""
    PAYLOAD_TOO_LARGE = "payload_too_large"
    """More bytes, votes or evidence than a payload may hold."""
    MALFORMED_VOTE = "malformed_vote"
    """Source without target or target without source."""
    MALFORMED_AGGREGATE = "malformed_aggregate"
    """A bitlist that is empty, padded, or counts other than the signatures."""
    MALFORMED_EVIDENCE = "malformed_evidence"
    """Evidence of an unknown kind."""
    BLOCK_TOO_LARGE = "block_too_large"
    """More bytes than an EVM block may have."""

    # -- header mapping
    TIMESTAMP = "timestamp"
    """Not the start of a slot of this chain."""
    SLOT_NOT_AFTER_PARENT = "slot_not_after_parent"
    """The slot is not above the parent's."""
    PAYLOAD_SLOT = "payload_slot"
    """The payload names another slot than the header's timestamp."""
    EXTRA_DATA = "extra_data"
    """extra_data is not the root of the payload."""
    PARENT_STATE_ROOT = "parent_state_root"
    """parent_beacon_block_root is not the root of the parent's consensus state."""
    MIX_HASH = "mix_hash"
    """mix_hash is not the mix after the parent."""
    POST_MERGE = "post_merge"
    """difficulty, nonce or ommers hash is not what it is after the merge."""
    WITHDRAWALS = "withdrawals"
    """Another list of withdrawals than the parent's state demands."""

    # -- proposer
    PROPOSER = "proposer"
    """Another proposer than the slot's."""
    PROPOSAL_SIGNATURE = "proposal_signature"
    """The proposal's signature does not verify."""
    REVEAL = "reveal"
    """The reveal is not the preimage of the proposer's commitment."""

    # -- votes
    VOTE_INDEX = "vote_index"
    """A validator index outside the registry."""
    VOTE_SLOT = "vote_slot"
    """A vote whose slot is not below the block's."""
    VOTE_DUPLICATE = "vote_duplicate"
    """The same vote data twice in one block."""
    VOTE_EPOCHS = "vote_epochs"
    """A source not before its target, or a target after the vote's own epoch."""
    VOTE_STALE = "vote_stale"
    """A head-only vote too old to matter."""
    VOTE_SIGNATURE = "vote_signature"
    """A vote's signature does not verify."""

    # -- evidence
    EVIDENCE_COUNT = "evidence_count"
    """More evidence than a block may hold."""
    EVIDENCE_INDEX = "evidence_index"
    """Evidence against an index outside the registry."""
    EVIDENCE_NOT_SLASHABLE = "evidence_not_slashable"
    """Two messages that do not contradict each other."""
    EVIDENCE_TOO_OLD = "evidence_too_old"
    """An offence from before the oldest stake that can still pay for it."""
    EVIDENCE_SIGNATURE = "evidence_signature"
    """A signature in the evidence does not verify."""

    # -- genesis
    GENESIS = "genesis"
    """The genesis file lacks a key, or a key holds what it must not."""

    # -- finality certificates
    CERTIFICATE_CHECKPOINT = "certificate_checkpoint"
    """The link's checkpoints are not those of the headers."""
    CERTIFICATE_BRANCH = "certificate_branch"
    """The Merkle branch does not lead to the root in the header."""
    CERTIFICATE_QUORUM = "certificate_quorum"
    """Fewer than two thirds of a set version signed the link."""
    CERTIFICATE_SIGNATURE = "certificate_signature"
    """A signature of the certificate does not verify."""
