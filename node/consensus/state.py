"""The consensus state after one block: a function of the chain up to that block and of nothing else.

`state_transition` makes a new one from a parent's and a block; nobody changes one in place.
Sets of validators are masks: integers whose bit i stands for validator i.
Deliberately absent: anything a node knows beyond the chain (`fork_choice`), and the block's own hash, which is not known
to the rules that make the state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import lru_cache

from node.consensus.containers import Checkpoint
from node.consensus.merkle import merkle_branch, merkle_root
from node.errors import Rejected
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Epoch, Gwei, Hash32, Slot, ValidatorIndex
from node.eth.reasons import EncodingReason

FAR_FUTURE_EPOCH = Epoch((1 << 64) - 1)
"""An epoch that never comes."""

_CHECKPOINTS_REMEMBERED = 16_384
"""Checkpoints whose encoding is remembered: those of nine hours of two-slot epochs without finality."""

CALM_AT_GENESIS = 1 << 30
"""Epochs since a leak that never was: joins are allowed from the start."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Link:
    """What an FFG vote votes for: from a justified checkpoint to a later one."""

    target: Checkpoint
    """The checkpoint to justify."""
    source: Checkpoint
    """A justified checkpoint below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetVersion:
    """Who has weight from an epoch on."""

    start_epoch: Epoch
    """First epoch it is in force."""
    weights: int
    """Mask of the validators with weight 1."""
    joint: bool
    """Whether it needs a quorum of the version before it too, until an epoch of its own is finalized."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuorumSpan:
    """The weights that targets need from an epoch on, recorded in each target's own state."""

    from_epoch: Epoch
    """First epoch."""
    weights: tuple[int, ...]
    """Masks; a link needs two thirds of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingDeposit:
    """A deposit whose block is not finalized yet."""

    public_key: bytes
    """Ed25519; 32 bytes."""
    withdrawal_address: Address
    """Where the stake goes in the end; 20 bytes."""
    amount_gwei: Gwei
    """What was put down."""
    commitment: Hash32
    """Tip of the first RANDAO onion."""
    slot: Slot
    """Slot of the block that executed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingExit:
    """A validator on its way out that still has weight, or had when it asked."""

    validator_index: ValidatorIndex
    """Who."""
    slot: Slot
    """Slot of the block that executed the request or held the evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validator:
    """An entry of the registry; the place never changes hands."""

    public_key: bytes
    """Ed25519; 32 bytes."""
    withdrawal_address: Address
    """Who may ask for its exit, and who gets the stake; 20 bytes."""
    balance_gwei: Gwei
    """What it gets back."""
    commitment: Hash32
    """keccak-256 of its next reveal."""
    reveals: int = 0
    """Layers revealed so far in this chain."""
    next_commitment: Hash32
    """Tip of the next onion, once renewed; zero before."""
    slashed: bool = False
    """Whether evidence against it is on the chain."""
    present: bool = False
    """Candidate: whether a vote of it was included in this epoch."""
    present_epochs: int = 0
    """Candidate: block-epochs in a row in which it was present."""
    exit_epoch: Epoch = FAR_FUTURE_EPOCH
    """First epoch without weight for good."""
    withdrawable_epoch: Epoch = FAR_FUTURE_EPOCH
    """First epoch in which its balance may be swept."""
    _encoded: bytes = field(default=b"", init=False, repr=False, compare=False)

    def encoded(self) -> bytes:
        """Encode in RLP; remembered, because most of the registry is the same in every block."""
        if not self._encoded:
            encoded = rlp.encode([getattr(self, name) for name in _VALIDATOR_FIELDS])
            object.__setattr__(self, "_encoded", encoded)
        return self._encoded


_VALIDATOR_FIELDS = tuple(entry.name for entry in fields(Validator) if entry.init)


class StateField(StrEnum):
    """The fields of the state in the order of the tree's leaves."""

    SLOT = "slot"
    JUSTIFIED = "justified"
    FINALIZED = "finalized"
    JUSTIFIED_BLOCKS = "justified_blocks"
    TALLIES = "tallies"
    LINKS = "links"
    QUORUM_SPANS = "quorum_spans"
    SETS = "sets"
    DEPOSITS = "deposits"
    EXITS = "exits"
    VALIDATORS = "validators"
    STALL = "stall"
    CALM = "calm"
    ACTIVE = "active"
    MIX = "mix"
    RECENT_MIXES = "recent_mixes"
    NEXT_WITHDRAWAL_INDEX = "next_withdrawal_index"


FIELD_ORDER = tuple(StateField)
"""Leaves of the state's tree, first to last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusState:
    """The post-state of one block."""

    slot: Slot
    """Slot of the block."""
    justified: Checkpoint
    """Highest justified checkpoint."""
    finalized: Checkpoint
    """Highest finalized checkpoint."""
    justified_blocks: Mapping[Epoch, Hash32]
    """Every justified epoch at or above the finalized one, with its block."""
    tallies: Mapping[Link, int]
    """Who voted for each link above finality, a mask."""
    links: frozenset[Link]
    """Links above finality that reached their quorum."""
    quorum_spans: tuple[QuorumSpan, ...]
    """What targets need, run-length coded, ascending."""
    sets: tuple[SetVersion, ...]
    """Set versions that may still matter, ascending."""
    deposits: tuple[PendingDeposit, ...]
    """Deposits that wait for finality, in chain order."""
    exits: tuple[PendingExit, ...]
    """Validators that wait to lose their weight, in chain order."""
    validators: tuple[Validator, ...]
    """The registry; only grows."""
    stall: int
    """Epochs with a block since finality last moved."""
    calm: int
    """Epochs with a block since the last step of the leak."""
    active: int
    """Mask of the validators with a counted FFG vote in this leak period."""
    mix: Hash32
    """RANDAO after the block."""
    recent_mixes: tuple[tuple[Slot, Hash32], ...]
    """Mixes with the slot they came with: the newest that draws proposers now, and all later ones."""
    next_withdrawal_index: int
    """Number of withdrawals so far."""
    _roots: tuple[Hash32, ...] = field(default=(), init=False, repr=False, compare=False)

    def field_roots(self) -> tuple[Hash32, ...]:
        """Hash each field: the leaves of the tree, in FIELD_ORDER."""
        if not self._roots:
            roots = tuple(keccak256(part) for part in self._encoded_fields())
            object.__setattr__(self, "_roots", roots)
        return self._roots

    def root(self) -> Hash32:
        """Compute the root that the next header carries as parent_beacon_block_root."""
        return merkle_root(self.field_roots())

    def branch(self, name: StateField) -> tuple[Hash32, ...]:
        """Prove one field; check with `verify_branch`."""
        return merkle_branch(self.field_roots(), FIELD_ORDER.index(name))

    def encode(self) -> bytes:
        """Encode the state for disk; the same state gives the same bytes."""
        return rlp.encode_list(self._encoded_fields())

    def _encoded_fields(self) -> list[bytes]:
        return [
            rlp.encode(self.slot),
            rlp.encode((self.justified.epoch, self.justified.block_hash)),
            rlp.encode((self.finalized.epoch, self.finalized.block_hash)),
            rlp.encode(sorted(self.justified_blocks.items())),
            rlp.encode_list(
                [_encode_tally(k, self.tallies[k]) for k in sorted(self.tallies, key=_link_order)]
            ),
            rlp.encode_list([_encode_link(link) for link in sorted(self.links, key=_link_order)]),
            rlp.encode([(span.from_epoch, span.weights) for span in self.quorum_spans]),
            encode_sets(self.sets),
            rlp.encode([_deposit_fields(deposit) for deposit in self.deposits]),
            rlp.encode([(pending.validator_index, pending.slot) for pending in self.exits]),
            rlp.encode_list([validator.encoded() for validator in self.validators]),
            rlp.encode(self.stall),
            rlp.encode(self.calm),
            rlp.encode(self.active),
            rlp.encode(self.mix),
            rlp.encode(self.recent_mixes),
            rlp.encode(self.next_withdrawal_index),
        ]


def encode_sets(sets: tuple[SetVersion, ...]) -> bytes:
    """Encode the field `sets` in RLP: what a finality certificate proves."""
    return rlp.encode([(version.start_epoch, version.weights, version.joint) for version in sets])


def decode_sets(encoded: bytes) -> tuple[SetVersion, ...]:
    """Decode the field `sets`. Raises Rejected."""
    return read_sets(rlp.decode(encoded, max_bytes=1 << 20, max_items=1 << 14))


def read_sets(item: rlp.Item) -> tuple[SetVersion, ...]:
    """Read a decoded item as the field `sets`."""
    return tuple(_read_set(entry) for entry in rlp.as_list(item))


def decode_state(encoded: bytes) -> ConsensusState:
    """Decode a state that `encode` wrote, and nothing that it would not write. Raises Rejected."""
    items = rlp.as_list(
        rlp.decode(encoded, max_bytes=64 << 20, max_items=1 << 22), len(FIELD_ORDER)
    )
    state = ConsensusState(
        slot=Slot(rlp.as_integer(items[0])),
        justified=_read_checkpoint(items[1]),
        finalized=_read_checkpoint(items[2]),
        justified_blocks=dict(map(_read_justified, rlp.as_list(items[3]))),
        tallies=dict(map(_read_tally, rlp.as_list(items[4]))),
        links=frozenset(map(_read_link, rlp.as_list(items[5]))),
        quorum_spans=tuple(map(_read_span, rlp.as_list(items[6]))),
        sets=read_sets(items[7]),
        deposits=tuple(map(_read_deposit, rlp.as_list(items[8]))),
        exits=tuple(map(_read_exit, rlp.as_list(items[9]))),
        validators=tuple(map(_read_validator, rlp.as_list(items[10]))),
        stall=rlp.as_integer(items[11]),
        calm=rlp.as_integer(items[12]),
        active=rlp.as_integer(items[13], 256),
        mix=Hash32(rlp.as_bytes(items[14], 32)),
        recent_mixes=tuple(map(_read_mix, rlp.as_list(items[15]))),
        next_withdrawal_index=rlp.as_integer(items[16]),
    )
    if state.encode() != encoded:
        raise Rejected(EncodingReason.NOT_CANONICAL, "entries out of order or twice")
    return state


def read_checkpoint_field(encoded: bytes) -> Checkpoint:
    """Decode one checkpoint, as the fields `justified` and `finalized` are. Raises Rejected."""
    return _read_checkpoint(rlp.decode(encoded, max_bytes=64, max_items=4))


def _link_order(link: Link) -> tuple[int, bytes, int, bytes]:
    """Order links as `Link` does, many times faster."""
    source, target = link.source, link.target
    return (target.epoch, target.block_hash, source.epoch, source.block_hash)


@lru_cache(maxsize=_CHECKPOINTS_REMEMBERED)
def _encode_checkpoint(epoch: int, block_hash: Hash32) -> bytes:
    return rlp.encode((epoch, block_hash))


def _encode_link(link: Link) -> bytes:
    return rlp.encode_list(_checkpoint_parts(link))


def _encode_tally(link: Link, voters: int) -> bytes:
    return rlp.encode_list([*_checkpoint_parts(link), rlp.encode(voters)])


def _checkpoint_parts(link: Link) -> list[bytes]:
    source, target = link.source, link.target
    return [
        _encode_checkpoint(source.epoch, source.block_hash),
        _encode_checkpoint(target.epoch, target.block_hash),
    ]


def _deposit_fields(deposit: PendingDeposit) -> tuple[rlp.Encodable, ...]:
    return (
        deposit.public_key,
        deposit.withdrawal_address,
        deposit.amount_gwei,
        deposit.commitment,
        deposit.slot,
    )


def _read_checkpoint(item: rlp.Item) -> Checkpoint:
    epoch, block_hash = rlp.as_list(item, 2)
    return Checkpoint(
        epoch=Epoch(rlp.as_integer(epoch)), block_hash=Hash32(rlp.as_bytes(block_hash, 32))
    )


def _read_justified(item: rlp.Item) -> tuple[Epoch, Hash32]:
    checkpoint = _read_checkpoint(item)
    return checkpoint.epoch, checkpoint.block_hash


def _read_tally(item: rlp.Item) -> tuple[Link, int]:
    source, target, voters = rlp.as_list(item, 3)
    return _read_link([source, target]), rlp.as_integer(voters, 256)


def _read_link(item: rlp.Item) -> Link:
    source, target = rlp.as_list(item, 2)
    return Link(source=_read_checkpoint(source), target=_read_checkpoint(target))


def _read_span(item: rlp.Item) -> QuorumSpan:
    from_epoch, weights = rlp.as_list(item, 2)
    masks = tuple(rlp.as_integer(mask, 256) for mask in rlp.as_list(weights))
    return QuorumSpan(from_epoch=Epoch(rlp.as_integer(from_epoch)), weights=masks)


def _read_set(item: rlp.Item) -> SetVersion:
    start_epoch, weights, joint = rlp.as_list(item, 3)
    return SetVersion(
        start_epoch=Epoch(rlp.as_integer(start_epoch)),
        weights=rlp.as_integer(weights, 256),
        joint=_read_flag(joint),
    )


def _read_deposit(item: rlp.Item) -> PendingDeposit:
    public_key, address, amount_gwei, commitment, slot = rlp.as_list(item, 5)
    return PendingDeposit(
        public_key=rlp.as_bytes(public_key, 32),
        withdrawal_address=Address(rlp.as_bytes(address, 20)),
        amount_gwei=Gwei(rlp.as_integer(amount_gwei)),
        commitment=Hash32(rlp.as_bytes(commitment, 32)),
        slot=Slot(rlp.as_integer(slot)),
    )


def _read_exit(item: rlp.Item) -> PendingExit:
    index, slot = rlp.as_list(item, 2)
    return PendingExit(
        validator_index=ValidatorIndex(rlp.as_integer(index)), slot=Slot(rlp.as_integer(slot))
    )


def _read_validator(item: rlp.Item) -> Validator:
    entries = rlp.as_list(item, len(_VALIDATOR_FIELDS))
    return Validator(
        public_key=rlp.as_bytes(entries[0], 32),
        withdrawal_address=Address(rlp.as_bytes(entries[1], 20)),
        balance_gwei=Gwei(rlp.as_integer(entries[2])),
        commitment=Hash32(rlp.as_bytes(entries[3], 32)),
        reveals=rlp.as_integer(entries[4]),
        next_commitment=Hash32(rlp.as_bytes(entries[5], 32)),
        slashed=_read_flag(entries[6]),
        present=_read_flag(entries[7]),
        present_epochs=rlp.as_integer(entries[8]),
        exit_epoch=Epoch(rlp.as_integer(entries[9])),
        withdrawable_epoch=Epoch(rlp.as_integer(entries[10])),
    )


def _read_flag(item: rlp.Item) -> bool:
    flag = rlp.as_integer(item, 8)
    if flag > 1:
        raise Rejected(EncodingReason.OUT_OF_RANGE, f"a flag of {flag}")
    return flag == 1


def _read_mix(item: rlp.Item) -> tuple[Slot, Hash32]:
    slot, mix = rlp.as_list(item, 2)
    return Slot(rlp.as_integer(slot)), Hash32(rlp.as_bytes(mix, 32))
