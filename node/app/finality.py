"""Certificates of finality, made the moment a checkpoint becomes final, while the states they need are still kept.

    Chain: Finalized -> the link that did it -> votes out of the payloads above -> FinalityCertificate -> devnet_finalityProof
    Chain: SafetyFaultSeen -> the same for both checkpoints, each on its own chain: together they name who lied

Certificates are kept in memory, the newest KEPT_MAX of them; a restart begins anew with the next checkpoint.
Deliberately absent: links two epochs long, which a certificate cannot show (node.consensus.finality_proof).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Final, NoReturn, Protocol

import trio

from node.chain.events import Finalized, SafetyFaultSeen, Subscription
from node.consensus.containers import AggregateVote, Checkpoint, decode_payload
from node.consensus.finality_proof import (
    FinalityCertificate,
    build_certificate,
    encode_certificate,
    votes_for_link,
)
from node.consensus.state import ConsensusState, Link
from node.consensus.wire import decode_envelope
from node.eth.blocks import Block
from node.eth.primitives import Epoch, Hash32
from node.storage.chain_database import Conflict

KEPT_MAX: Final = 1_024
"""Certificates remembered; half an hour of a devnet at two slots an epoch."""

WALK_MAX: Final = 256
"""Blocks above a target whose payloads are searched for votes."""


class ProvenChain(Protocol):
    """What certificates are made of."""

    @property
    def head(self) -> Block:
        """The head."""

    @property
    def finalized_checkpoint(self) -> Checkpoint:
        """The highest finalized checkpoint."""

    def block_by_hash(self, block_hash: Hash32) -> Block | None:
        """Any kept block."""

    def envelope(self, block_hash: Hash32) -> bytes | None:
        """A kept block as it was gossiped."""

    def consensus_state(self, block_hash: Hash32) -> ConsensusState | None:
        """The consensus state after a block, if it is kept."""

    @property
    def conflict(self) -> Conflict | None:
        """Checkpoints that exclude each other, if such were seen."""

    def subscribe(self) -> Subscription:
        """Every event from now on."""


class FinalityProofs:
    """The certificates of one node."""

    def __init__(self, chain: ProvenChain) -> None:
        self._chain = chain
        self._kept: OrderedDict[Hash32, FinalityCertificate] = OrderedDict()

    def certificate(self, block_hash: Hash32) -> FinalityCertificate | None:
        """The certificate of a checkpoint's block, if it is final and remembered."""
        return self._kept.get(block_hash)

    async def describe(self, block_hash: Hash32) -> object:
        """The same as JSON; None if there is none."""
        await trio.lowlevel.checkpoint()
        certificate = self.certificate(block_hash)
        return None if certificate is None else described(certificate)

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Make a certificate for every checkpoint that becomes final, for ever."""
        while True:
            with self._chain.subscribe() as events:
                if self._chain.conflict is not None:
                    self.note_conflict(self._chain.conflict)
                task_status.started()
                task_status = trio.TASK_STATUS_IGNORED
                async for event in events:
                    match event:
                        case Finalized(checkpoint=checkpoint):
                            self.note(checkpoint, self._chain.head.hash)
                        case SafetyFaultSeen(conflict=conflict):
                            self.note_conflict(conflict)
                        case _:
                            continue

    def note(self, finalized: Checkpoint, tip_hash: Hash32) -> None:
        """Make the certificate of a checkpoint that the chain of a block holds final, if one link shows it."""
        certificate = make_certificate(self._chain, finalized, tip_hash)
        if certificate is not None:
            self._kept[finalized.block_hash] = certificate
            while len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)

    def note_conflict(self, conflict: Conflict) -> None:
        """Make what certificates there are for checkpoints that exclude each other: one lies on our chain, one beside it."""
        for checkpoint in (conflict.first, conflict.second):
            for tip_hash in (self._chain.head.hash, conflict.block_hash):
                self.note(checkpoint, tip_hash)


def make_certificate(
    chain: ProvenChain, finalized: Checkpoint, tip_hash: Hash32
) -> FinalityCertificate | None:
    """A certificate from what is still kept of the chain of a block; None where a link two epochs long finalized."""
    link = finalizing_link(chain, finalized, tip_hash)
    if link is None:
        return None
    source = chain.block_by_hash(link.source.block_hash)
    target = chain.block_by_hash(link.target.block_hash)
    if source is None or target is None:
        return None
    state = chain.consensus_state(target.header.parent_hash)
    if state is None:
        return None
    votes = votes_for_link(payload_votes(chain, link.target.block_hash, tip_hash), link)
    return build_certificate(
        source_header=source.header,
        target_header=target.header,
        source_epoch=finalized.epoch,
        target_parent_state=state,
        votes=votes,
    )


def finalizing_link(chain: ProvenChain, finalized: Checkpoint, tip_hash: Hash32) -> Link | None:
    """The link of one epoch whose quorum the chain of a block has counted."""
    state = chain.consensus_state(tip_hash)
    if state is None:
        return None
    found = (
        link
        for link in state.links
        if link.source == finalized and link.target.epoch == Epoch(finalized.epoch + 1)
    )
    return next(found, None)


def payload_votes(
    chain: ProvenChain, target_hash: Hash32, tip_hash: Hash32
) -> Iterator[Sequence[AggregateVote]]:
    """Votes in the payloads from one block down to another, newest first."""
    block_hash = tip_hash
    for _ in range(WALK_MAX):
        if block_hash == target_hash:
            return
        envelope, block = chain.envelope(block_hash), chain.block_by_hash(block_hash)
        if envelope is None or block is None:
            return
        yield decode_payload(decode_envelope(envelope).payload).votes
        block_hash = block.header.parent_hash


def described(certificate: FinalityCertificate) -> dict[str, object]:
    """A certificate as JSON: readable parts, and the whole in RLP."""
    link = certificate.link
    return {
        "finalized": {"epoch": link.source.epoch, "hash": "0x" + link.source.block_hash.hex()},
        "target": {"epoch": link.target.epoch, "hash": "0x" + link.target.block_hash.hex()},
        "voters": sorted({index for vote in certificate.votes for index in vote.voters}),
        "signatures": [
            {"validator": index, "slot": vote.data.slot, "signature": "0x" + signature.hex()}
            for vote in certificate.votes
            for index, signature in zip(vote.voters, vote.signatures, strict=True)
        ],
        "sourceHeader": "0x" + certificate.source_header.encode().hex(),
        "targetHeader": "0x" + certificate.target_header.encode().hex(),
        "branch": ["0x" + node.hex() for node in certificate.branch],
        "certificate": "0x" + encode_certificate(certificate).hex(),
    }
