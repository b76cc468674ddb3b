"""A network of validators without sockets or EVM: keys, genesis, envelopes, and signatures real or quick."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from node.consensus import randao, signing, state_transition
from node.consensus.containers import (
    AggregateVote,
    Checkpoint,
    Envelope,
    Evidence,
    Payload,
    Proposal,
    Vote,
    VoteData,
)
from node.consensus.fork_choice import ForkChoice, Limits
from node.consensus.genesis import Genesis, GenesisValidator, genesis_state
from node.consensus.parameters import Parameters, Rules
from node.consensus.signing import SignatureVerifier, SignedMessage
from node.consensus.state import ConsensusState
from node.consensus.state_transition import Proposed
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.headers import EMPTY_REQUESTS_HASH, Header, Withdrawal
from node.eth.primitives import Address, Epoch, Gwei, Hash32, Slot, ValidatorIndex
from node.eth.requests import (
    DepositRecord,
    ExitRecord,
    encode_deposit,
    encode_exit,
    requests_hash,
)

CHAIN_ID = 900
GENESIS_TIME = 1_700_000_000


@dataclass(frozen=True, kw_only=True)
class Keys:
    """All secrets of one validator."""

    name: str
    """Where they come from."""
    real: bool = True
    """Whether it signs with Ed25519 or with a stand-in that only `verify_quickly` takes."""

    @cached_property
    def private_key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(keccak256(f"key {self.name}".encode()))

    @cached_property
    def public_key(self) -> bytes:
        if not self.real:
            return keccak256(f"key {self.name}".encode())
        return self.private_key.public_key().public_bytes_raw()

    @cached_property
    def onion_seed(self) -> bytes:
        return keccak256(f"onion {self.name}".encode())

    @cached_property
    def withdrawal_address(self) -> Address:
        return Address(keccak256(f"address {self.name}".encode())[:20])

    def sign(self, message: bytes) -> bytes:
        if not self.real:
            return quick_signature(self.public_key, message)
        return self.private_key.sign(message)

    def commitment(self, layers: int) -> Hash32:
        return randao.onion_tip(self.onion_seed, 0, layers)


def quick_signature(public_key: bytes, message: bytes) -> bytes:
    return message + public_key


def verify_quickly(messages: Sequence[SignedMessage]) -> list[bool]:
    return [signature == quick_signature(key, message) for key, message, signature in messages]


def verify_ed25519(messages: Sequence[SignedMessage]) -> list[bool]:
    return [_verify_one(*message) for message in messages]


def _verify_one(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@dataclass(kw_only=True)
class Network:
    """A genesis and everybody's keys."""

    genesis: Genesis
    """What the file would say."""
    keys: dict[bytes, Keys]
    """By public key."""
    verify: SignatureVerifier
    """Fits how the keys sign."""

    def __post_init__(self) -> None:
        header = self.genesis_header()
        self.genesis_hash = header.hash()
        self.rules: Rules = self.genesis.rules(self.genesis_hash)
        self.genesis_state = genesis_state(self.genesis, self.genesis_hash)

    def genesis_header(self) -> Header:
        return Header(
            parent_hash=Hash32(bytes(32)),
            fee_recipient=Address(bytes(20)),
            state_root=Hash32(bytes(32)),
            number=0,
            gas_limit=120_000_000,
            gas_used=0,
            timestamp=self.genesis.time,
            extra_data=self.genesis.extra_data,
            mix_hash=Hash32(bytes(32)),
            base_fee_per_gas=10**9,
            parent_beacon_block_root=Hash32(bytes(32)),
        )

    def fork_choice(self, limits: Limits | None = None) -> ForkChoice:
        return ForkChoice(
            self.rules, self.genesis_state.finalized, self.genesis_state, limits=limits
        )

    def keys_of(self, state: ConsensusState, index: int) -> Keys:
        return self.keys[state.validators[index].public_key]

    def vote(self, state: ConsensusState, index: int, data: VoteData) -> Vote:
        message = signing.vote_message(self.rules.domains.vote, data)
        return Vote(
            validator_index=ValidatorIndex(index),
            data=data,
            signature=self.keys_of(state, index).sign(message),
        )

    def aggregate(
        self, state: ConsensusState, voters: Sequence[int], data: VoteData
    ) -> AggregateVote:
        votes = [self.vote(state, index, data) for index in sorted(voters)]
        return AggregateVote(
            data=data,
            voters=tuple(vote.validator_index for vote in votes),
            signatures=tuple(vote.signature for vote in votes),
        )

    def proposal(
        self, state: ConsensusState, index: int, slot: int, block_hash: Hash32
    ) -> Proposal:
        message = signing.proposal_message(self.rules.domains.proposal, slot, index, block_hash)
        return Proposal(
            slot=Slot(slot),
            proposer_index=ValidatorIndex(index),
            block_hash=block_hash,
            signature=self.keys_of(state, index).sign(message),
        )

    def payload(
        self,
        parent: ConsensusState,
        slot: int,
        *,
        votes: tuple[AggregateVote, ...] = (),
        evidence: tuple[Evidence, ...] = (),
        proposer: int | None = None,
    ) -> Payload:
        if proposer is None:
            proposer = randao.proposer_index(self.rules, parent, Slot(slot))
        reveal, renewal = randao.reveal_and_renewal(
            self.keys_of(parent, proposer).onion_seed,
            parent.validators[proposer].reveals,
            self.genesis.parameters.onion_layers,
        )
        return Payload(
            slot=Slot(slot),
            proposer_index=ValidatorIndex(proposer),
            reveal=reveal,
            renewal=renewal,
            votes=votes,
            evidence=evidence,
        )

    def header(
        self,
        parent_hash: Hash32,
        parent: ConsensusState,
        payload: Payload,
        *,
        salt: bytes = b"",
        requests: Sequence[bytes] = (),
    ) -> Header:
        attributes = state_transition.block_attributes(self.rules, parent, payload.slot)
        return Header(
            parent_hash=parent_hash,
            fee_recipient=Address(keccak256(salt)[:20]),
            state_root=Hash32(bytes(32)),
            number=payload.slot,
            gas_limit=120_000_000,
            gas_used=0,
            timestamp=attributes.timestamp,
            extra_data=payload.root(),
            mix_hash=attributes.prev_randao,
            base_fee_per_gas=10**9,
            parent_beacon_block_root=attributes.parent_beacon_block_root,
            requests_hash=requests_hash(requests) if requests else EMPTY_REQUESTS_HASH,
        )

    def envelope(
        self,
        parent: ConsensusState,
        header: Header,
        payload: Payload,
        *,
        withdrawals: tuple[Withdrawal, ...] | None = None,
    ) -> Envelope:
        if withdrawals is None:
            withdrawals = state_transition.block_attributes(
                self.rules, parent, payload.slot
            ).withdrawals
        proposal = self.proposal(parent, payload.proposer_index, payload.slot, header.hash())
        return Envelope(
            block=block_rlp(header, withdrawals),
            payload=payload.encode(),
            proposal_signature=proposal.signature,
        )

    def deposit(self, keys: Keys, amount_gwei: int = 32 * 10**9) -> DepositRecord:
        credentials = b"\x01" + bytes(11) + keys.withdrawal_address
        commitment = keys.commitment(self.genesis.parameters.onion_layers)
        message = signing.deposit_message(
            self.rules.domains.deposit, keys.public_key, credentials, commitment
        )
        self.keys[keys.public_key] = keys
        return DepositRecord(
            public_key=keys.public_key + bytes(16),
            withdrawal_credentials=credentials,
            amount_gwei=Gwei(amount_gwei),
            signature=keys.sign(message) + commitment,
            index=0,
        )


def deposit_request(deposits: Sequence[DepositRecord]) -> bytes:
    return b"\x00" + b"".join(encode_deposit(deposit) for deposit in deposits)


def exit_request(exits: Sequence[ExitRecord]) -> bytes:
    return b"\x01" + b"".join(encode_exit(record) for record in exits)


def exit_of(keys: Keys, amount_gwei: int = 0) -> ExitRecord:
    return ExitRecord(
        source_address=keys.withdrawal_address,
        public_key=keys.public_key + bytes(16),
        amount_gwei=Gwei(amount_gwei),
    )


def block_rlp(header: Header, withdrawals: Sequence[Withdrawal] = ()) -> bytes:
    rows = [
        (entry.index, entry.validator_index, entry.address, entry.amount_gwei)
        for entry in withdrawals
    ]
    return rlp.encode_list([header.encode(), b"\xc0", b"\xc0", rlp.encode(rows)])


def network(
    count: int = 4, parameters: Parameters | None = None, *, real: bool = False, salt: int = 0
) -> Network:
    """Make a network of `count` validators."""
    parameters = parameters or Parameters()
    everybody = [Keys(name=f"k{index}", real=real) for index in range(count)]
    genesis = Genesis(
        parameters=parameters,
        validators=tuple(
            GenesisValidator(
                public_key=keys.public_key,
                withdrawal_address=keys.withdrawal_address,
                commitment=keys.commitment(parameters.onion_layers),
            )
            for keys in everybody
        ),
        chain_id=CHAIN_ID,
        time=GENESIS_TIME + salt,
    )
    return Network(
        genesis=genesis,
        keys={keys.public_key: keys for keys in everybody},
        verify=verify_ed25519 if real else verify_quickly,
    )


@dataclass(kw_only=True)
class Chain:
    """One node's view, fed by hand."""

    network: Network
    """Whose chain."""
    limits: Limits | None = None
    """Bounds of the view."""

    def __post_init__(self) -> None:
        self.view = self.network.fork_choice(self.limits)
        self.tip = self.network.genesis_hash

    def state(self, block_hash: Hash32 | None = None) -> ConsensusState:
        return self.view.state(block_hash or self.tip)

    def propose(
        self,
        slot: int,
        *,
        parent: Hash32 | None = None,
        votes: tuple[AggregateVote, ...] | None = None,
        evidence: tuple[Evidence, ...] = (),
        requests: Sequence[bytes] = (),
        salt: bytes = b"",
        change: Callable[[Payload], Payload] | None = None,
    ) -> Proposed:
        """Build a block as its proposer would, with the votes of the pool unless given."""
        parent_hash = parent or self.tip
        state = self.state(parent_hash)
        chosen = self.view.votes_for_block(parent_hash, Slot(slot)) if votes is None else votes
        payload = self.network.payload(state, slot, votes=chosen, evidence=evidence)
        if change is not None:
            payload = change(payload)
        header = self.network.header(parent_hash, state, payload, salt=salt, requests=requests)
        return state_transition.open_envelope(self.network.envelope(state, header, payload))

    def judge(self, proposed: Proposed, requests: Sequence[bytes] = ()) -> ConsensusState:
        """Run the rules on a block."""
        parent_hash = proposed.header.parent_hash
        checked = state_transition.check(
            self.network.rules,
            self.state(parent_hash),
            proposed,
            self.view.ancestry(parent_hash),
            self.network.verify,
        )
        return state_transition.finish(self.network.rules, checked, requests, self.network.verify)

    def add(
        self, proposed: Proposed, requests: Sequence[bytes] = (), *, timely: bool = True
    ) -> Hash32:
        """Import a block and stand on it."""
        state = self.judge(proposed, requests)
        self.view.on_block(proposed, state, state.slot, timely=timely)
        self.tip = proposed.block_hash
        return self.tip

    def extend(
        self,
        slot: int,
        *,
        votes: tuple[AggregateVote, ...] | None = None,
        evidence: tuple[Evidence, ...] = (),
        requests: Sequence[bytes] = (),
    ) -> Hash32:
        """Propose and import a block."""
        proposed = self.propose(slot, votes=votes, evidence=evidence, requests=requests)
        return self.add(proposed, requests)

    def vote_all(self, slot: int, voters: Sequence[int] | None = None) -> None:
        """Let validators vote by the rules, and everybody hear it before the freeze."""
        count = len(self.state(self.view.head(Slot(slot))).validators)
        for index in range(count) if voters is None else voters:
            data = self.view.vote_data(Slot(slot), ValidatorIndex(index))
            if data is not None:
                self.view.on_vote(self.network.vote(self.state(), index, data), Slot(slot))
        self.view.freeze()

    def run(self, first: int, last: int, voters: Sequence[int] | None = None) -> None:
        """Live through slots: a block on the head and everybody's votes."""
        for slot in range(first, last + 1):
            self.tip = self.view.head(Slot(slot))
            self.extend(slot)
            self.vote_all(slot, voters)


def checkpoint(epoch: int, block_hash: Hash32) -> Checkpoint:
    return Checkpoint(epoch=Epoch(epoch), block_hash=block_hash)
