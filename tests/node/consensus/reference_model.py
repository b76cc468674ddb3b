"""The reference model and the node's rules side by side: every call on a model's node is repeated on a shadow of ours.

The model lives outside of this repository, in ../shared/reference/consensus-model; without it these tests are skipped.
How the two are made comparable:

- a model block's root is the hash of the block that our rules would see, so that ties between hashes fall the same way;
- the model draws proposers with our rule, from our state of the same block (its own draw uses another hash);
- keys `k7` stand for a validator with keys derived from that name; deposits and exits become real requests;
- signatures are the stand-in of `network.verify_quickly`, because the model has none;
- evidence never expires and votes with unknown heads wait without bound, because the model has no such limits.

Compared: every imported block's state field by field, what both refuse, every head and confirmed block that is asked for,
justified and finalized of the view, what validators vote, what proposers include.
"""

# The model has no types of its own.
# mypy: disable-error-code="explicit-any"

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from node.consensus import quorums, randao, state_transition
from node.consensus.containers import (
    AggregateVote,
    Checkpoint,
    Evidence,
    Payload,
    Vote,
    VoteData,
    VoteEvidence,
    members,
    votes_of,
)
from node.consensus.fork_choice import ForkChoice, Limits, SafetyFault
from node.consensus.parameters import Parameters
from node.consensus.state import ConsensusState, Link
from node.consensus.state_transition import Proposed
from node.errors import Rejected
from node.eth.headers import Header
from node.eth.primitives import Epoch, Hash32, Slot, ValidatorIndex
from tests.node.consensus.network import (
    Keys,
    Network,
    deposit_request,
    exit_of,
    exit_request,
    network,
)

MODEL_PATH = Path(__file__).parents[4] / "shared" / "reference" / "consensus-model"

UNBOUNDED = 1 << 40


def load_model() -> Any:
    """Import the model, or skip the test."""
    if not (MODEL_PATH / "slotffg.py").exists():
        pytest.skip(f"the reference model is not at {MODEL_PATH}")
    if str(MODEL_PATH) not in sys.path:
        sys.path.insert(0, str(MODEL_PATH))
    return importlib.import_module("slotffg")


@dataclass(kw_only=True)
class Realised:
    """Our twin of a model block."""

    proposed: Proposed
    """The block as our rules see it."""
    requests: tuple[bytes, ...]
    """What its execution asked for."""
    state: ConsensusState | None = None
    """After the block; None until it was judged, or if it was refused."""


class World:
    """Our side of one simulated network: all blocks by hash, shared between its nodes."""

    def __init__(self, model: Any, params: Any) -> None:
        self.model = model
        self.network: Network = network(
            params.n,
            Parameters(
                slots_per_epoch=params.E,
                vote_expiry_slots=params.eta,
                lookahead_slots=params.lookahead,
                schedule_delay_epochs=params.sched_delay,
                leak_after_epochs=params.leak_after,
                leak_period_epochs=params.leak_period,
                churn_divisor=params.churn,
                tryout_epochs=params.tryout,
                join_pause_epochs=params.join_pause,
                onion_layers=params.onion,
                max_validators=params.max_validators,
                unbond_epochs=UNBOUNDED,
            ),
            salt=params.salt,
        )
        self.blocks: dict[str, Realised] = {}
        self.compared = 0
        self.widest = self.network.genesis_state
        """The first state with the most validators."""

    @property
    def genesis_root(self) -> str:
        return self.network.genesis_hash.hex()

    def state(self, root: str) -> ConsensusState:
        if root == self.genesis_root:
            return self.network.genesis_state
        state = self.blocks[root].state
        assert state is not None
        return state

    def name(self, public_key: bytes) -> str:
        return self.network.keys[public_key].name

    def limits(self) -> Limits:
        """Retain nothing below finality in half of the worlds, to see that pruning changes no answer."""
        retained = 0 if self.network.genesis.time % 2 else 64
        return Limits(
            waiting_per_validator=UNBOUNDED, waiting_slots=UNBOUNDED, retained_slots=retained
        )

    # -- model -> ours

    def realise(self, block: Any, salt: Sequence[object]) -> str:
        """Build our twin of a model block and return its hash, the model's root."""
        parent_hash = Hash32(bytes.fromhex(block.parent))
        parent = self.state(block.parent)
        requests = self.requests(block.requests)
        payload = self.network.payload(
            parent,
            block.slot,
            votes=self.aggregates(block.votes),
            evidence=tuple(self.evidence(pair) for pair in block.evidence),
            proposer=block.proposer,
        )
        header: Header = self.network.header(
            parent_hash, parent, payload, salt=repr(salt).encode(), requests=requests
        )
        proposed = Proposed(
            block_hash=header.hash(),
            header=header,
            withdrawals=(),
            payload_root=payload.root(),
            payload=payload,
            signature=self.signature(parent, payload, header),
        )
        root = proposed.block_hash.hex()
        self.blocks.setdefault(root, Realised(proposed=proposed, requests=requests))
        return root

    def signature(self, parent: ConsensusState, payload: Payload, header: Header) -> bytes:
        return self.network.proposal(
            parent, payload.proposer_index, payload.slot, header.hash()
        ).signature

    def requests(self, asked: Sequence[Any]) -> tuple[bytes, ...]:
        deposits, exits = [], []
        for request in asked:
            keys = Keys(name=request.key, real=False)
            if isinstance(request, self.model.Deposit):
                deposits.append(self.network.deposit(keys))
            else:
                exits.append(exit_of(keys))
        listed = [deposit_request(deposits)] if deposits else []
        return (*listed, *([exit_request(exits)] if exits else []))

    def aggregates(self, votes: Sequence[Any]) -> tuple[AggregateVote, ...]:
        grouped: dict[VoteData, set[int]] = {}
        for vote in votes:
            grouped.setdefault(self.vote_data(vote), set()).add(vote.v)
        return tuple(
            self.network.aggregate(self.widest, sorted(voters), data)
            for data, voters in grouped.items()
        )

    def evidence(self, pair: Sequence[Any]) -> Evidence:
        first, second = (self.vote(vote) for vote in pair)
        return VoteEvidence(first=first, second=second)

    def vote(self, vote: Any) -> Vote:
        return self.network.vote(self.widest, vote.v, self.vote_data(vote))

    def vote_data(self, vote: Any) -> VoteData:
        return VoteData(
            slot=Slot(vote.slot),
            head_hash=Hash32(bytes.fromhex(vote.head)),
            source=checkpoint_of(vote.src),
            target=checkpoint_of(vote.tgt),
        )

    # -- ours against the model

    def judge(self, view: ForkChoice, root: str) -> ConsensusState | None:
        """Judge our twin of a block on a view; the answer is shared, as it depends on the chain alone."""
        block = self.blocks[root]
        if block.state is None:
            parent_hash = block.proposed.header.parent_hash
            rules = self.network.rules
            try:
                checked = state_transition.check(
                    rules,
                    view.state(parent_hash),
                    block.proposed,
                    view.ancestry(parent_hash),
                    self.network.verify,
                )
            except Rejected:
                return None
            block.state = state_transition.finish(
                rules, checked, block.requests, self.network.verify
            )
            if len(block.state.validators) > len(self.widest.validators):
                self.widest = block.state
        return block.state

    def compare_states(self, theirs: Any, ours: ConsensusState) -> None:
        """Compare a state field by field."""
        self.compared += 1
        keys = [self.name(validator.public_key) for validator in ours.validators]
        assert keys == list(theirs.keys)
        assert ours.slot == theirs.slot
        assert same(ours.justified, theirs.justified)
        assert same(ours.finalized, theirs.finalized)
        assert {int(k): v.hex() for k, v in ours.justified_blocks.items()} == theirs.jmap
        assert {model_link(k): set(members(v)) for k, v in ours.tallies.items()} == {
            k: set(v) for k, v in theirs.tallies.items()
        }
        assert {model_link(link) for link in ours.links} == set(theirs.links)
        assert [(s.start_epoch, s.weights, s.joint) for s in ours.sets] == [
            (s.start, mask(s.w), s.joint) for s in theirs.sets
        ]
        epochs = range(ours.finalized.epoch + 1, ours.slot // self.slots_per_epoch + 2)
        for epoch in {*list(epochs)[:4], *list(epochs)[-4:]}:
            needed = next(q for start, q in reversed(theirs.qsets) if start <= epoch)
            assert quorums.weights_of_target(ours.quorum_spans, epoch) == tuple(map(mask, needed))
        assert [self.name(d.public_key) for d in ours.deposits] == [
            d.key for d, _ in theirs.deposits
        ]
        assert [(e.validator_index, e.slot) for e in ours.exits] == list(theirs.exits)
        assert {i for i, v in enumerate(ours.validators) if v.slashed} == set(theirs.slashed)
        assert {i for i, v in enumerate(ours.validators) if v.present} == set(theirs.present)
        assert {i: v.present_epochs for i, v in enumerate(ours.validators) if v.present_epochs} == {
            i: run for i, run in theirs.runs.items() if run
        }
        assert [v.reveals for v in ours.validators] == [r.count for r in theirs.rand]
        assert (ours.stall, ours.calm) == (theirs.stall, theirs.calm)
        assert set(members(ours.active)) == set(theirs.active)
        assert [slot for slot, _ in ours.recent_mixes] == [slot for slot, _ in theirs.mixes]

    @property
    def slots_per_epoch(self) -> int:
        return self.network.genesis.parameters.slots_per_epoch


def checkpoint_of(theirs: Any) -> Checkpoint | None:
    if theirs is None:
        return None
    return Checkpoint(epoch=Epoch(theirs.epoch), block_hash=Hash32(bytes.fromhex(theirs.root)))


def same(ours: Checkpoint | None, theirs: Any) -> bool:
    return ours == checkpoint_of(theirs)


def model_link(link: Link) -> tuple[tuple[int, str], tuple[int, str]]:
    return (
        (link.source.epoch, link.source.block_hash.hex()),
        (link.target.epoch, link.target.block_hash.hex()),
    )


def mask(weights: Sequence[int]) -> int:
    return sum(1 << index for index, weight in enumerate(weights) if weight)


@contextmanager
def side_by_side() -> Iterator[list[World]]:
    """While this is open, every node of the model has a shadow of ours and each answer is compared."""
    model = load_model()
    patched = _Patches()
    worlds: list[World] = []
    _patch_identities(model, patched, worlds)
    _patch_store(model, patched, worlds)
    try:
        yield worlds
    finally:
        patched.undo()
        del model.Store.boost_root


class _Patches:
    """Attributes to put back."""

    def __init__(self) -> None:
        self._saved: list[tuple[Any, str, Any]] = []

    def set(self, owner: object, name: str, value: object) -> None:
        self._saved.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)

    def undo(self) -> None:
        for owner, name, value in reversed(self._saved):
            setattr(owner, name, value)


def _patch_identities(model: Any, patched: _Patches, worlds: list[World]) -> None:
    original_hash: Callable[..., str] = model.H

    def block_hash(*parts: Any) -> str:
        if isinstance(parts[0], model.Block):
            return worlds[-1].realise(parts[0], parts[1:])
        if parts[0] == "genesis":
            world = World(model, parts[1])
            if not worlds or world.genesis_root != worlds[-1].genesis_root:
                worlds.append(world)
            return worlds[-1].genesis_root
        return original_hash(*parts)

    def proposer_of(_: object, state: Any, slot: int) -> int:
        world = worlds[-1]
        return randao.proposer_index(world.network.rules, world.state(state.root), Slot(slot))

    importlib.import_module("byz")
    for name in ("slotffg", "sim", "byz"):
        patched.set(sys.modules[name], "H", block_hash)
        patched.set(sys.modules[name], "proposer_of", proposer_of)


def _patch_store(model: Any, patched: _Patches, worlds: list[World]) -> None:
    store: Any = model.Store
    original = {
        name: getattr(store, name)
        for name in ("__init__", "on_vote", "freeze", "on_block", "head", "build_on", "make_vote")
    }

    def start(self: Any, params: Any) -> None:
        original["__init__"](self, params)
        self.world = worlds[-1]
        self.shadow = self.world.network.fork_choice(self.world.limits())
        self.redelivering = False

    def on_vote(self: Any, vote: Any, slot: int) -> None:
        original["on_vote"](self, vote, slot)
        if not self.redelivering:
            self.shadow.on_vote(self.world.vote(vote), Slot(slot))

    def freeze(self: Any) -> None:
        original["freeze"](self)
        self.shadow.freeze()

    def on_block(self: Any, block: Any, slot: int, timely: bool) -> Any:
        if block.root in self.blocks or block.slot > slot or block.parent not in self.blocks:
            return original["on_block"](self, block, slot, timely)
        _forget_old_timely(self, slot)
        orphans = self.orphans.pop(block.root, [])
        fault = _import_one(self, original["on_block"], block, slot, timely)
        if fault is not None:
            raise fault
        if block.root not in self.blocks:
            return []
        imported = [block]
        for orphan in orphans:
            imported += self.on_block(orphan, slot, False)
        return imported

    def head(self: Any, slot: int) -> str:
        _forget_old_timely(self, slot)
        found: str = original["head"](self, slot)
        assert self.shadow.head(Slot(slot)).hex() == found
        assert self.shadow.confirmed(Slot(slot)).hex() == self.confirmed(slot)
        return found

    def build_on(self: Any, parent: str, slot: int, key: str, *rest: Any) -> Any:
        block = original["build_on"](self, parent, slot, key, *rest)
        if block is not None and bytes.fromhex(parent) in self.shadow:
            _compare_contents(self, block)
        return block

    def make_vote(self: Any, slot: int, key: str, signer: Any) -> Any:
        return original["make_vote"](self, slot, key, _Spy(self, Slot(slot), signer))

    def timely(self: Any) -> Any:
        return self.__dict__["timely"]

    def set_timely(self: Any, root: Any) -> None:
        self.__dict__["timely"] = root
        if root is None and "shadow" in self.__dict__:
            self.shadow._timely = None

    # An attacker's team hands a block to its members in the instant before their slot begins, which makes them forget it.
    store.boost_root = property(timely, set_timely)
    for function in (on_vote, freeze, on_block, head, build_on, make_vote):
        patched.set(store, function.__name__, function)
    patched.set(store, "__init__", start)


class _Spy:
    """A signer that compares the vote with ours before another signer changes it."""

    def __init__(self, store: Any, slot: Slot, signer: Any) -> None:
        self._store = store
        self._slot = slot
        self._signer = signer

    def sign(self, vote: Any) -> Any:
        """The signed vote."""
        ours = self._store.shadow.vote_data(self._slot, ValidatorIndex(vote.v))
        assert ours == self._store.world.vote_data(vote)
        return self._signer.sign(vote)


def _forget_old_timely(store: Any, slot: int) -> None:
    """Clear the timely block of an earlier slot: the model leaves that to its nodes, and a silent attacker never does it."""
    if store.boost_root is not None and store.blocks[store.boost_root].slot != slot:
        store.boost_root = None


def _import_one(
    store: Any,
    original: Callable[..., object],
    block: Any,
    slot: int,
    timely: bool,
) -> Exception | None:
    """Import one block on both sides; give the safety fault that both raised."""
    model_fault: Exception | None = None
    store.redelivering = True
    try:
        original(store, block, slot, timely)
    except store.world.model.SafetyFault as fault:
        model_fault = fault
    finally:
        store.redelivering = False
    world: World = store.world
    shadow: ForkChoice = store.shadow
    if Hash32(bytes.fromhex(block.parent)) not in shadow:
        assert not store.extends(block.parent, store.finalized.root), "pruned a viable parent"
        shadow.on_conflicting_block(Hash32(bytes.fromhex(block.root)), Slot(slot))
        return model_fault
    state = world.judge(shadow, block.root)
    assert (state is None) == (block.root not in store.blocks), "one side refuses the block"
    if state is None:
        return None
    world.compare_states(store.states[block.root], state)
    our_fault = None
    try:
        shadow.on_block(world.blocks[block.root].proposed, state, Slot(slot), timely=timely)
    except SafetyFault as fault:
        our_fault = fault
    assert (our_fault is None) == (model_fault is None)
    if our_fault is None:
        assert same(shadow.justified, store.justified)
        assert same(shadow.finalized, store.finalized)
        assert set(shadow.equivocators) == set(store.equivocators)
    return model_fault


def _compare_contents(store: Any, block: Any) -> None:
    """Compare what both would put into a block.

    Ours leaves out old votes for a link that another vote covers, and votes that only blocks against finality hold.
    """
    world: World = store.world
    parent_hash = Hash32(bytes.fromhex(block.parent))
    chosen = votes_of(store.shadow.votes_for_block(parent_hash, Slot(block.slot)))
    ours = {(vote.validator_index, vote.data) for vote in chosen}
    theirs = {(vote.v, world.vote_data(vote)) for vote in block.votes}
    assert ours <= theirs
    covered = {(index, data.source, data.target) for index, data in ours}
    expiry = world.network.genesis.parameters.vote_expiry_slots
    for index, data in theirs - ours:
        if store.shadow.is_settled(data.head_hash):
            continue  # from a block against finality, which ours does not even read
        assert data.slot < block.slot - expiry
        assert (index, data.source, data.target) in covered
    evidence = store.shadow.evidence_for_block(parent_hash, Slot(block.slot))
    assert {
        piece.first.validator_index for piece in evidence if isinstance(piece, VoteEvidence)
    } == {pair[0].v for pair in block.evidence}
