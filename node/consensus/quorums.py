"""Set versions and quorums: whose votes justify a checkpoint.

A target is judged by weights that its own state fixes, so all chains that contain it agree on them.
Source: node/README.md section 3 (tally) and section 6 (versions a target needs).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from node.consensus.containers import Checkpoint
from node.consensus.parameters import Rules
from node.consensus.state import ConsensusState, QuorumSpan, SetVersion
from node.eth.primitives import Epoch, Slot


def has_quorum(weights: Sequence[int], voters: int) -> bool:
    """Tell whether two thirds of every version voted.

    Slashed validators count until a version removes them: a chain that has included the evidence could otherwise
    never justify what honest validators already used as a source.
    """
    return all(mask and 3 * (voters & mask).bit_count() >= 2 * mask.bit_count() for mask in weights)


class VersionedState(Protocol):
    """What quorums read of a state, whole or in outline."""

    @property
    def sets(self) -> tuple[SetVersion, ...]:
        """Set versions that may still matter, ascending."""

    @property
    def finalized(self) -> Checkpoint:
        """Highest finalized checkpoint."""


def versions_needed(state: VersionedState, epoch: int) -> list[SetVersion]:
    """List the versions a target (epoch, this state's block) needs, newest first.

    The newest that has started and, while it is joint and this state has finalized no epoch of it, the one before too.
    """
    place = max(i for i, version in enumerate(state.sets) if version.start_epoch <= epoch)
    needed = [state.sets[place]]
    while (
        state.sets[place].joint
        and place > 0
        and state.finalized.epoch < state.sets[place].start_epoch
    ):
        place -= 1
        needed.append(state.sets[place])
    return needed


def weights_in_force(state: VersionedState, epoch: int) -> int:
    """Find the mask that proposers and the fork choice go by."""
    return versions_needed(state, epoch)[0].weights


def weights_of_target(spans: Sequence[QuorumSpan], epoch: int) -> tuple[int, ...]:
    """Find what a target epoch of this chain needs."""
    return next(span.weights for span in reversed(spans) if span.from_epoch <= epoch)


def extend_spans(rules: Rules, parent: ConsensusState, slot: Slot) -> tuple[QuorumSpan, ...]:
    """Record what the epochs need whose checkpoint block is the parent of a block at `slot`.

    Looks only where a version starts: the cost follows the changes, not the length of a gap.
    """
    slots_per_epoch = rules.parameters.slots_per_epoch
    first = Epoch(-(-parent.slot // slots_per_epoch))
    last = Epoch((slot - 1) // slots_per_epoch)
    spans = parent.quorum_spans
    for epoch in sorted({first} | {version.start_epoch for version in parent.sets}):
        if not first <= epoch <= last:
            continue
        weights = tuple(version.weights for version in versions_needed(parent, epoch))
        if spans[-1].weights != weights:
            spans += (QuorumSpan(from_epoch=epoch, weights=weights),)
    return spans


def trim_spans(spans: tuple[QuorumSpan, ...], finalized_epoch: int) -> tuple[QuorumSpan, ...]:
    """Drop the spans that no target above finality reads."""
    newest = max(i for i, span in enumerate(spans) if span.from_epoch <= finalized_epoch + 1)
    return spans[newest:]
