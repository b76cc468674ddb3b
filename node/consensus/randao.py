"""Who proposes, and the hash onions that decide it.

Each validator commits to the tip of an onion of 32 hashes and peels one layer a block; half an onion ahead it commits to
the next. Nothing about a reveal can be chosen after the mix it falls into is known, so a proposer can withhold but not grind.
A signature would not do: Ed25519 signers can make any number of valid ones.
Source: node/README.md section 3 step 4 and section 6.
"""

from __future__ import annotations

from dataclasses import replace

from node.consensus.containers import members
from node.consensus.parameters import Parameters, Rules
from node.consensus.quorums import weights_in_force
from node.consensus.reasons import Reason
from node.consensus.state import ConsensusState, Validator
from node.errors import Rejected
from node.eth.hashing import keccak256
from node.eth.primitives import Hash32, Slot, ValidatorIndex

RecentMixes = tuple[tuple[Slot, Hash32], ...]
"""Mixes with the slot they came with, ascending."""


def next_mix(mix: Hash32, reveal: Hash32) -> Hash32:
    """Stir a reveal into the mix."""
    return keccak256(mix + reveal)


def onion_layer(seed: bytes, reveals: int, layers: int) -> Hash32:
    """Peel the layer that a validator reveals next, given how many it has revealed in this chain.

    Layer k is keccak applied 31 - k % 32 times to keccak(seed || k // 32), the number in 8 bytes.
    """
    onion, place = divmod(reveals, layers)
    layer = keccak256(seed + onion.to_bytes(8))
    for _ in range(layers - 1 - place):
        layer = keccak256(layer)
    return layer


def onion_tip(seed: bytes, onion: int, layers: int) -> Hash32:
    """Compute the commitment to a whole onion: the hash of its outermost layer."""
    return keccak256(onion_layer(seed, onion * layers, layers))


def reveal_and_renewal(seed: bytes, reveals: int, layers: int) -> tuple[Hash32, Hash32]:
    """Compute both RANDAO fields of a validator's next payload."""
    return onion_layer(seed, reveals, layers), onion_tip(seed, reveals // layers + 1, layers)


def open_layer(
    parameters: Parameters, validator: Validator, reveal: Hash32, renewal: Hash32
) -> Validator:
    """Check a reveal and move the commitment on. Raises Rejected(REVEAL)."""
    if keccak256(reveal) != validator.commitment:
        raise Rejected(Reason.REVEAL, "the reveal does not hash to the proposer's commitment")
    place = validator.reveals % parameters.onion_layers
    next_commitment = validator.next_commitment
    if place == parameters.onion_layers // 2 - 1:
        next_commitment = renewal
    last = place == parameters.onion_layers - 1
    return replace(
        validator,
        commitment=next_commitment if last else reveal,
        next_commitment=next_commitment,
        reveals=validator.reveals + 1,
    )


def keep_mixes(parameters: Parameters, mixes: RecentMixes, slot: Slot) -> RecentMixes:
    """Drop the mixes that draw no proposer after `slot`: all but the newest old enough, and the later ones."""
    newest = slot + 1 - parameters.lookahead_slots
    old = [place for place, (mixed_at, _) in enumerate(mixes) if mixed_at <= newest]
    return mixes[old[-1] :] if old else mixes


def proposer_index(rules: Rules, state: ConsensusState, slot: Slot) -> ValidatorIndex:
    """Draw the proposer of a slot on the chain of this state, uniform over the version in force.

    The seed is the mix of the chain `lookahead_slots` back; slashed validators are left out while anybody else is there.
    """
    mix = _mix_at(state.recent_mixes, slot - rules.parameters.lookahead_slots)
    weighted = members(weights_in_force(state, rules.epoch_of(slot)))
    eligible = [index for index in weighted if not state.validators[index].slashed]
    pool = eligible or list(weighted)
    draw = int.from_bytes(keccak256(b"prop" + mix + slot.to_bytes(8)))
    return pool[draw % len(pool)]


def _mix_at(mixes: RecentMixes, slot: int) -> Hash32:
    found = mixes[0][1]
    for mixed_at, mix in mixes:
        if mixed_at <= slot:
            found = mix
    return found
