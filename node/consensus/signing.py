"""What validators sign: 32-byte messages that name the chain, the kind of statement and the statement.

    keccak256(domain || root(statement)),  domain = keccak256("<kind>/1" || chain id || genesis hash)

Verification is an argument of the rules (`SignatureVerifier`), so that there is one verifier everywhere: the engine's strict one.
Deliberately absent: keys and signing (node.validator).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from node.consensus.containers import VoteData
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.primitives import Hash32

SignedMessage = tuple[bytes, bytes, bytes]
"""Public key (32 bytes), message (32 bytes), signature (64 bytes)."""

SignatureVerifier = Callable[[Sequence[SignedMessage]], list[bool]]
"""Ed25519, strict: one answer for each, in order; never raises for a malformed key or signature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Domains:
    """The three prefixes of one chain."""

    vote: Hash32
    """Of votes."""
    proposal: Hash32
    """Of proposals."""
    deposit: Hash32
    """Of a deposit's proof of possession."""

    @classmethod
    def of(cls, chain_id: int, genesis_hash: Hash32) -> Domains:
        """Derive the domains of a chain."""
        return cls(
            vote=domain("vote", chain_id, genesis_hash),
            proposal=domain("proposal", chain_id, genesis_hash),
            deposit=domain("deposit", chain_id, genesis_hash),
        )


def domain(kind: str, chain_id: int, genesis_hash: Hash32) -> Hash32:
    """Derive the prefix of one kind of statement; the chain id is 8 bytes, big-endian."""
    return keccak256(f"{kind}/1".encode() + chain_id.to_bytes(8) + genesis_hash)


@lru_cache(maxsize=4_096)
def vote_message(vote_domain: Hash32, data: VoteData) -> Hash32:
    """Build what a validator signs once per slot."""
    return keccak256(vote_domain + data.root())


def proposal_message(
    proposal_domain: Hash32, slot: int, proposer_index: int, block_hash: Hash32
) -> Hash32:
    """Build what a proposer signs for its block."""
    return keccak256(proposal_domain + keccak256(rlp.encode((slot, proposer_index, block_hash))))


def deposit_message(
    deposit_domain: Hash32, public_key: bytes, withdrawal_credentials: bytes, commitment: Hash32
) -> Hash32:
    """Build what a depositor signs to prove that it holds the key: 32, 32 and 32 bytes."""
    statement = rlp.encode((public_key, withdrawal_credentials, commitment))
    return keccak256(deposit_domain + keccak256(statement))


class RememberedSignatures:
    """A verifier that asks another one only for what it has not seen verify; bounded, oldest forgotten first.

    A vote is verified when it is heard and again in every block that carries it: most of a block's are known.
    """

    def __init__(self, verify: SignatureVerifier, *, capacity: int = 65_536) -> None:
        self._verify = verify
        self._capacity = capacity
        self._valid: OrderedDict[SignedMessage, None] = OrderedDict()

    def __call__(self, messages: Sequence[SignedMessage]) -> list[bool]:
        """Verify in order. Only valid triples are remembered, byte for byte."""
        unknown = [message for message in messages if message not in self._valid]
        if not unknown:
            return [True] * len(messages)
        answers = dict(zip(unknown, self._verify(unknown), strict=True))
        for message, valid in answers.items():
            if valid:
                self._valid[message] = None
        known = [answers.get(message, True) for message in messages]
        while len(self._valid) > self._capacity:
            self._valid.popitem(last=False)
        return known
