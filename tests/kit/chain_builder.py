"""Chains for tests: real signatures, real consensus, any engine.

    keys = make_keys(4); genesis = make_genesis(keys)
    builder = ChainBuilder(genesis, keys, FakeEngine(...))
    tip = builder.extend(builder.genesis_hash, slots=range(4, 20))      everybody votes, every slot has a block
    fork = builder.build(parent, slot, votes=[...], transactions=[...])

The builder is omniscient and honest: it knows every key and every block it made, and signs what it is told to sign.
Equivocation is a second call with another `fee_recipient`, or a vote for another head.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import groupby
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from node.consensus import quorums, randao
from node.consensus.containers import (
    AggregateVote,
    Checkpoint,
    Envelope,
    Evidence,
    Payload,
    Vote,
    VoteData,
)
from node.consensus.genesis import Genesis, GenesisValidator, genesis_state
from node.consensus.parameters import Parameters
from node.consensus.signing import SignedMessage, proposal_message, vote_message
from node.consensus.state import ConsensusState
from node.consensus.state_transition import block_attributes, check, finish, open_envelope
from node.consensus.wire import encode_envelope
from node.eth.headers import header_bytes_of_block
from node.eth.primitives import ZERO_ADDRESS, Address, Hash32, Slot, ValidatorIndex
from node.execution.engine import BlockAttributes, BlockBuilder, BlockResult

GENESIS_TIME = 1_700_000_000
"""Start of slot 0, unless a test says otherwise."""

CHAIN_ID = 900
"""The L1's."""

GAS_LIMIT = 120_000_000
"""What builders aim at."""


class BuilderEngine(Protocol):
    """What the builder needs of an engine."""

    def genesis(self) -> BlockResult:
        """The genesis block."""

    def builder(
        self, parent_header: bytes, attributes: BlockAttributes, ancestors: bytes
    ) -> BlockBuilder:
        """Opens a block."""

    def commit(self, result: BlockResult) -> None:
        """Keeps its state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatorKey:
    """A validator's secrets."""

    private: Ed25519PrivateKey
    """Signs votes and proposals."""
    onion_seed: bytes
    """Of its RANDAO onions; 32 bytes."""

    @property
    def public(self) -> bytes:
        """32 bytes."""
        return self.private.public_key().public_bytes_raw()


def make_keys(count: int) -> list[ValidatorKey]:
    """The same keys every time."""
    return [
        ValidatorKey(
            private=Ed25519PrivateKey.from_private_bytes(sha256(b"key %d" % index).digest()),
            onion_seed=sha256(b"onion %d" % index).digest(),
        )
        for index in range(count)
    ]


def make_genesis(
    keys: Sequence[ValidatorKey],
    parameters: Parameters | None = None,
    *,
    time: int = GENESIS_TIME,
) -> Genesis:
    """A network of these validators."""
    parameters = parameters if parameters is not None else Parameters()
    return Genesis(
        parameters=parameters,
        validators=tuple(
            GenesisValidator(
                public_key=key.public,
                withdrawal_address=Address(bytes([index + 1]) * 20),
                commitment=randao.onion_tip(key.onion_seed, 0, parameters.onion_layers),
            )
            for index, key in enumerate(keys)
        ),
        chain_id=CHAIN_ID,
        time=time,
    )


def verify_slowly(messages: Sequence[SignedMessage]) -> list[bool]:
    """A verifier without the native engine, for tests that do not need the strict one."""
    return [_verifies(*message) for message in messages]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltBlock:
    """A block that the builder made."""

    hash: Hash32
    """Its id."""
    parent_hash: Hash32
    """The block below."""
    slot: Slot
    """Its slot."""
    number: int
    """Its number."""
    envelope: bytes
    """As gossiped."""
    header: bytes
    """RLP of the EVM header."""
    state: ConsensusState
    """After it."""
    result: BlockResult
    """What the engine gave for it."""
    votes: tuple[Vote, ...]
    """What it holds."""


class ChainBuilder:
    """Makes blocks and votes on any block it made before."""

    def __init__(
        self, genesis: Genesis, keys: Sequence[ValidatorKey], engine: BuilderEngine
    ) -> None:
        self.genesis = genesis
        self.keys = list(keys)
        self.engine = engine
        result = engine.genesis()
        self.genesis_hash = Hash32(result.block_hash)
        self.rules = genesis.rules(self.genesis_hash)
        self.blocks: dict[Hash32, BuiltBlock] = {
            self.genesis_hash: BuiltBlock(
                hash=self.genesis_hash,
                parent_hash=Hash32(bytes(32)),
                slot=Slot(0),
                number=0,
                envelope=encode_envelope(
                    Envelope(block=result.block, payload=b"", proposal_signature=bytes(64))
                ),
                header=header_bytes_of_block(result.block),
                state=genesis_state(genesis, self.genesis_hash),
                result=result,
                votes=(),
            )
        }

    # -- blocks

    def build(
        self,
        parent_hash: Hash32,
        slot: int,
        *,
        votes: Sequence[Vote] = (),
        evidence: Sequence[Evidence] = (),
        transactions: Sequence[bytes] = (),
        fee_recipient: Address = ZERO_ADDRESS,
    ) -> BuiltBlock:
        """A signed block of the slot's proposer; another `fee_recipient` makes another block."""
        parent = self.blocks[parent_hash]
        attributes = block_attributes(self.rules, parent.state, Slot(slot))
        payload = self._payload(parent.state, attributes.proposer_index, slot, votes, evidence)
        builder = self.engine.builder(
            parent.header,
            BlockAttributes(
                timestamp=attributes.timestamp,
                fee_recipient=fee_recipient,
                prev_randao=attributes.prev_randao,
                gas_limit=GAS_LIMIT,
                parent_beacon_block_root=attributes.parent_beacon_block_root,
                withdrawals=attributes.withdrawals,
            ),
            self.ancestors(parent_hash),
        )
        outcomes = builder.push(transactions)
        assert all(outcome.included for outcome in outcomes), outcomes
        result = builder.seal(payload.root())
        self.engine.commit(result)
        envelope = self.seal(payload, result)
        proposed = open_envelope(envelope)
        checked = check(
            self.rules,
            parent.state,
            proposed,
            lambda at: self.block_at(parent_hash, at),
            _trust_everything,
        )
        block = BuiltBlock(
            hash=Hash32(result.block_hash),
            parent_hash=parent_hash,
            slot=Slot(slot),
            number=parent.number + 1,
            envelope=encode_envelope(envelope),
            header=header_bytes_of_block(result.block),
            state=finish(self.rules, checked, result.requests, verify_slowly),
            result=result,
            votes=tuple(votes),
        )
        self.blocks[block.hash] = block
        return block

    def seal(self, payload: Payload, result: BlockResult) -> Envelope:
        """Sign a sealed block as its proposer."""
        message = proposal_message(
            self.rules.domains.proposal,
            payload.slot,
            payload.proposer_index,
            Hash32(result.block_hash),
        )
        signature = self.keys[payload.proposer_index].private.sign(message)
        return Envelope(block=result.block, payload=payload.encode(), proposal_signature=signature)

    def extend(
        self,
        parent_hash: Hash32,
        slots: Iterable[int],
        *,
        voters: Sequence[int] | None = None,
        transactions: Sequence[bytes] = (),
    ) -> list[BuiltBlock]:
        """A block in every one of these slots; each holds the votes of `voters` (everybody) for the block before."""
        made: list[BuiltBlock] = []
        indexes = range(len(self.keys)) if voters is None else voters
        for slot in slots:
            parent = self.blocks[parent_hash]
            votes = [self.vote(index, parent.slot, parent_hash) for index in indexes]
            held = votes if parent.number else []
            made.append(self.build(parent_hash, slot, votes=held, transactions=transactions))
            parent_hash = made[-1].hash
        return made

    # -- votes

    def vote(self, index: int, slot: int, head_hash: Hash32, *, head_only: bool = False) -> Vote:
        """A vote for a head, with the source and target that its chain prescribes."""
        epoch = self.rules.epoch_of(slot)
        target_hash = self.block_at(head_hash, self.rules.epoch_start(epoch))
        source = self.blocks[target_hash].state.justified
        target: Checkpoint | None = Checkpoint(epoch=epoch, block_hash=target_hash)
        if head_only or source.epoch >= epoch:
            return self.sign(
                index, VoteData(slot=Slot(slot), head_hash=head_hash, source=None, target=None)
            )
        return self.sign(
            index, VoteData(slot=Slot(slot), head_hash=head_hash, source=source, target=target)
        )

    def sign(self, index: int, data: VoteData) -> Vote:
        """Sign whatever vote data."""
        signature = self.keys[index].private.sign(vote_message(self.rules.domains.vote, data))
        return Vote(validator_index=ValidatorIndex(index), data=data, signature=signature)

    # -- look-ups

    def ancestors(self, block_hash: Hash32) -> bytes:
        """Up to 256 hashes from this block down, newest first."""
        hashes = [block_hash]
        while len(hashes) < 256 and (parent := self.blocks[hashes[-1]].parent_hash) in self.blocks:
            hashes.append(parent)
        return b"".join(hashes)

    def block_at(self, block_hash: Hash32, slot: int) -> Hash32:
        """The last block with a slot not above this one on the chain that ends here."""
        while self.blocks[block_hash].slot > slot:
            block_hash = self.blocks[block_hash].parent_hash
        return block_hash

    def weights(self, block_hash: Hash32) -> int:
        """Mask of who has weight after a block."""
        state = self.blocks[block_hash].state
        return quorums.weights_in_force(state, self.rules.epoch_of(state.slot))

    def _payload(
        self,
        parent: ConsensusState,
        proposer: ValidatorIndex,
        slot: int,
        votes: Sequence[Vote],
        evidence: Sequence[Evidence],
    ) -> Payload:
        reveal, renewal = randao.reveal_and_renewal(
            self.keys[proposer].onion_seed,
            parent.validators[proposer].reveals,
            self.rules.parameters.onion_layers,
        )
        return Payload(
            slot=Slot(slot),
            proposer_index=proposer,
            reveal=reveal,
            renewal=renewal,
            votes=aggregate(votes),
            evidence=tuple(evidence),
        )


def aggregate(votes: Sequence[Vote]) -> tuple[AggregateVote, ...]:
    """Votes as a payload holds them: one entry for each VoteData, voters ascending."""

    def order(vote: Vote) -> tuple[int, int, bytes, int]:
        epoch = vote.data.target.epoch if vote.data.target is not None else 0
        return (epoch, vote.data.slot, vote.data.root(), vote.validator_index)

    aggregates: list[AggregateVote] = []
    for _, group in groupby(sorted(votes, key=order), key=lambda vote: vote.data.root()):
        members = list(group)
        aggregates.append(
            AggregateVote(
                data=members[0].data,
                voters=tuple(vote.validator_index for vote in members),
                signatures=tuple(vote.signature for vote in members),
            )
        )
    return tuple(aggregates)


def with_signature(vote: Vote, signature: bytes) -> Vote:
    """The same vote, signed otherwise."""
    return replace(vote, signature=signature)


def _trust_everything(messages: Sequence[SignedMessage]) -> list[bool]:
    return [True] * len(messages)


def _verifies(public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
