"""Blocks, votes and proofs between the network's gossip and the chain.

    peer -> network (one message of a topic at a time) -> GossipService -> Chain -> verdict -> network forwards or not
    the chain's own findings -> run -> network

A block's verdict is given when it has passed every rule of consensus and before it is executed: forwarding waits for
signatures, not for gas.
A vote message is forwarded if any of its votes is news and all of them could be judged, and refused if any is false.
Deliberately absent: transactions (node.txpool's), blocks and votes of our own (node.validator publishes them), bodies too large for gossip (the network fetches them itself), and
asking for what is missing (node.sync.service).
Source: node/README.md section 7.
"""

from __future__ import annotations

from typing import NoReturn

from node.chain.chain import Chain
from node.chain.events import EvidenceFound
from node.chain.importing import ImportReason
from node.chain.judging import Judgement
from node.consensus import slashing
from node.consensus.containers import Evidence
from node.consensus.wire import (
    decode_evidence_message,
    decode_votes,
    encode_evidence_message,
)
from node.errors import Rejected
from node.eth.primitives import ValidatorIndex
from node.p2p.network import Network, PeerId, Topic, Verdict


class GossipService:
    """The L1's gossip. Make it before the network runs; `run` publishes what the chain finds out."""

    def __init__(self, chain: Chain, network: Network) -> None:
        self._chain = chain
        self._network = network
        self._told_by_peers: set[tuple[ValidatorIndex, bool]] = set()
        network.subscribe(Topic.L1_BLOCK, self.on_block)
        network.subscribe(Topic.L1_VOTE, self.on_votes)
        network.subscribe(Topic.L1_EVIDENCE, self.on_evidence)

    # -- coming in

    async def on_block(self, peer: PeerId, message: bytes) -> Verdict:
        """Judge an envelope; its execution goes on after the verdict."""
        try:
            ticket = await self._chain.offer(message, origin=peer)
            may_be_forwarded = await ticket.checked()
        except Rejected as error:
            # Relays forward before they execute: nobody can tell which of them tampered with a body.
            is_body = error.reason is ImportReason.EXECUTION
            return Verdict.IGNORE if is_body else Verdict.REJECT
        return Verdict.ACCEPT if may_be_forwarded else Verdict.IGNORE

    async def on_votes(self, peer: PeerId, message: bytes) -> Verdict:
        """Judge a list of votes."""
        try:
            votes = decode_votes(message)
        except Rejected:
            return Verdict.REJECT
        judgements = await self._chain.on_votes(votes, origin=peer)
        if Judgement.REJECT in judgements:
            return Verdict.REJECT
        if Judgement.UNKNOWN in judgements or Judgement.FORWARD not in judgements:
            return Verdict.IGNORE
        return Verdict.ACCEPT

    async def on_evidence(self, peer: PeerId, message: bytes) -> Verdict:
        """Judge a proof of an offence."""
        del peer
        try:
            piece = decode_evidence_message(message)
        except Rejected:
            return Verdict.REJECT
        # Noted before it is judged: the chain's event must not make this node repeat what it only passes on.
        offence = _offence(piece)
        is_new = offence not in self._told_by_peers
        self._told_by_peers.add(offence)
        judgement = await self._chain.on_evidence(piece)
        if judgement is not Judgement.FORWARD and is_new:
            self._told_by_peers.discard(offence)
        return _VERDICTS[judgement]

    # -- going out

    def publish_evidence(self, piece: Evidence) -> None:
        """Tell everybody a proof."""
        self._network.publish(Topic.L1_EVIDENCE, encode_evidence_message(piece))

    async def run(self) -> NoReturn:
        """Publish the proofs that this node finds itself, for ever."""
        while True:
            with self._chain.subscribe() as events:
                async for event in events:
                    match event:
                        case EvidenceFound(evidence=piece):
                            if _offence(piece) not in self._told_by_peers:
                                self.publish_evidence(piece)
                        case _:
                            continue


def _offence(piece: Evidence) -> tuple[ValidatorIndex, bool]:
    """Whose offence a proof shows, and of which kind."""
    return slashing.accused(piece), slashing.is_about_votes(piece)


_VERDICTS = {
    Judgement.FORWARD: Verdict.ACCEPT,
    Judgement.IGNORE: Verdict.IGNORE,
    Judgement.UNKNOWN: Verdict.IGNORE,
    Judgement.REJECT: Verdict.REJECT,
}
