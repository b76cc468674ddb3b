"""What a view keeps of every block's state, and the few whole states it keeps beside that.

    post-state -> outline_of -> BlockNode (for as long as the block is in the tree)
               -> WholeStates.put -> get | recall from disk

A whole state holds a tally for each epoch since finality, so keeping one for each block would cost memory by the square of
the blocks while finality stands still. Whole states are wanted near the head, and rarely anywhere else.
Deliberately absent: the disk; `recall` is an argument.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from node.consensus.containers import Checkpoint
from node.consensus.state import (
    FIELD_ORDER,
    ConsensusState,
    SetVersion,
    StateField,
    decode_sets,
    read_checkpoint_field,
)
from node.errors import Rejected
from node.eth import rlp
from node.eth.primitives import Hash32, Slot
from node.eth.reasons import EncodingReason

STATES_KEPT = 256
"""Whole states in memory: both ends of a finality that lags by a hundred epochs of two slots, and the forks between."""

Recall = Callable[[Hash32], ConsensusState]
"""Reads the whole state of a block in the tree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateOutline:
    """The part of a block's post-state that the fork choice asks for again and again."""

    slot: Slot
    """Slot of the block."""
    justified: Checkpoint
    """Highest justified checkpoint."""
    finalized: Checkpoint
    """Highest finalized checkpoint."""
    sets: tuple[SetVersion, ...]
    """Set versions that may still matter, ascending."""
    registered: int
    """Validators in the registry."""


def outline_of(state: ConsensusState) -> StateOutline:
    """Take the outline of a whole state."""
    return StateOutline(
        slot=state.slot,
        justified=state.justified,
        finalized=state.finalized,
        sets=state.sets,
        registered=len(state.validators),
    )


def decode_outline(encoded: bytes) -> StateOutline:
    """Read the outline of a state that `ConsensusState.encode` wrote, without decoding the rest. Raises Rejected."""
    places = rlp.spans(encoded, max_items=len(FIELD_ORDER))
    if len(places) != len(FIELD_ORDER):
        raise Rejected(EncodingReason.WRONG_LENGTH, f"{len(places)} fields")

    def part(name: StateField) -> bytes:
        _, start, _, end = places[FIELD_ORDER.index(name)]
        return encoded[start:end]

    return StateOutline(
        slot=Slot(rlp.as_integer(rlp.decode(part(StateField.SLOT)))),
        justified=read_checkpoint_field(part(StateField.JUSTIFIED)),
        finalized=read_checkpoint_field(part(StateField.FINALIZED)),
        sets=decode_sets(part(StateField.SETS)),
        registered=len(rlp.spans(part(StateField.VALIDATORS), max_items=1 << 16)),
    )


class WholeStates:
    """Whole states by block; without `recall` all of them stay, with it the STATES_KEPT used last."""

    def __init__(self, recall: Recall | None = None, *, capacity: int = STATES_KEPT) -> None:
        self._recall = recall
        self._capacity = capacity
        self._states: OrderedDict[Hash32, ConsensusState] = OrderedDict()

    def __len__(self) -> int:
        return len(self._states)

    def put(self, block_hash: Hash32, state: ConsensusState) -> None:
        """Keep a state, at the cost of the one that was used longest ago."""
        self._states[block_hash] = state
        self._states.move_to_end(block_hash)
        while self._recall is not None and len(self._states) > self._capacity:
            self._states.popitem(last=False)

    def get(self, block_hash: Hash32) -> ConsensusState:
        """Read the state of a block that was put, or that can be recalled. Raises KeyError, and what `recall` raises."""
        state = self._states.get(block_hash)
        if state is None:
            if self._recall is None:
                raise KeyError(block_hash)
            state = self._recall(block_hash)
        self.put(block_hash, state)
        return state

    def forget(self, block_hashes: Iterable[Hash32]) -> None:
        """Let go of blocks that left the tree."""
        for block_hash in block_hashes:
            self._states.pop(block_hash, None)
