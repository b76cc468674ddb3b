"""Signatures that no honest validator gives: the faults `equivocate` and `vote-equivocate`, and nothing else.

    FaultBoard -> ValidatorService -> second_block | second_votes -> gossip -> everybody else's evidence -> slashing

This is the one path around the signer's database, taken only while a user has asked for such a fault.
What is signed here is not recorded: the honest signature of the same slot is, so the row stays ahead of both, and once
the fault is healed the key signs on as before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from node.chain.building import BuildInputs
from node.consensus.containers import Vote
from node.consensus.signing import Domains, proposal_message, vote_message
from node.eth.primitives import Address, Hash32, ValidatorIndex
from node.runtime.worker import Worker
from node.validator.building import BuildingEngine, BuiltBlock, Reveal, build_block
from node.validator.duties import LocalValidator, contradiction
from node.validator.keys import ValidatorKey


async def second_block(
    *,
    inputs: BuildInputs,
    proposer: LocalValidator,
    first: BuiltBlock,
    key: ValidatorKey,
    domains: Domains,
    engine: BuildingEngine,
    worker: Worker,
) -> tuple[BuiltBlock, bytes]:
    """Build and sign another block for the slot of the first one: empty, its fees to somebody else."""
    address = bytearray(proposer.validator.withdrawal_address)
    address[0] ^= 0xFF
    payload = first.payload
    built = await build_block(
        inputs=inputs,
        attributes=inputs.block_attributes(Address(bytes(address))),
        reveal=Reveal(
            slot=payload.slot,
            proposer_index=payload.proposer_index,
            reveal=payload.reveal,
            renewal=payload.renewal,
        ),
        engine=engine,
        pool=None,
        worker=worker,
        is_time_up=lambda: True,
    )
    assert built.block_hash != first.block_hash
    message = proposal_message(
        domains.proposal, payload.slot, payload.proposer_index, built.block_hash
    )
    return built, key.sign(message)


def second_votes(
    votes: Sequence[Vote],
    *,
    keys: Mapping[ValidatorIndex, ValidatorKey],
    domains: Domains,
    other_heads: Sequence[Hash32],
) -> list[Vote]:
    """Sign a contradiction to each vote, for the first of `other_heads` that it does not name."""
    second: list[Vote] = []
    for vote in votes:
        key = keys.get(vote.validator_index)
        head = next((one for one in other_heads if one != vote.data.head_hash), None)
        if key is None or head is None:
            continue
        data = contradiction(vote.data, head)
        second.append(
            replace(vote, data=data, signature=key.sign(vote_message(domains.vote, data)))
        )
    return second
