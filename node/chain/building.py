"""What a proposer starts from, and what the next block's header will look like.

    Chain.prepare -> BuildInputs -> node.validator (select, build, sign) -> Chain.import_own

Deliberately absent: transactions, keys, and the decision to propose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from node.chain.importing import ChainEngine
from node.chain.store import ChainStore
from node.consensus.containers import AggregateVote, Evidence
from node.consensus.state import ConsensusState
from node.consensus.state_transition import Attributes, block_attributes
from node.eth.blocks import Block
from node.eth.headers import Header, header_of_block
from node.eth.primitives import ZERO_ADDRESS, Address, Slot
from node.execution.engine import BlockAttributes

GAS_LIMIT: Final = 120_000_000
"""Gas limit that builders of this network aim at: what two cores execute well inside a slot of 2 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildInputs:
    """All that a block on the head at a slot is made of, transactions apart."""

    parent: Block
    """The head."""
    parent_state: ConsensusState
    """After it."""
    attributes: Attributes
    """What consensus dictates, the proposer's index among it."""
    ancestors: bytes
    """Up to 256 hashes, the parent's first."""
    votes: tuple[AggregateVote, ...]
    """What the block must hold, in block order."""
    evidence: tuple[Evidence, ...]
    """What it should hold."""

    def block_attributes(
        self, fee_recipient: Address, gas_limit: int = GAS_LIMIT
    ) -> BlockAttributes:
        """The same for the engine's builder."""
        return _for_engine(self.attributes, fee_recipient, gas_limit)


def prepare(store: ChainStore, slot: Slot) -> BuildInputs | None:
    """What a block at `slot` on the head is made of; None if the head is not older than that."""
    head = store.head
    if store.fork_choice.slot(head.hash) >= slot:
        return None
    state = store.fork_choice.state(head.hash)
    return BuildInputs(
        parent=head,
        parent_state=state,
        attributes=block_attributes(store.rules, state, slot),
        ancestors=store.chain_from(head.hash),
        votes=store.fork_choice.votes_for_block(head.hash, slot),
        evidence=store.fork_choice.evidence_for_block(head.hash, slot),
    )


def next_header(store: ChainStore, engine: ChainEngine, slot: Slot) -> Header:
    """The header of an empty block at `slot` on the head: exact but for what transactions would change."""
    head = store.head
    state = store.fork_choice.state(head.hash)
    attributes = _for_engine(block_attributes(store.rules, state, slot), ZERO_ADDRESS, GAS_LIMIT)
    builder = engine.builder(head.header.encode(), attributes, store.chain_from(head.hash))
    return header_of_block(builder.seal(bytes(32)).block)


def _for_engine(attributes: Attributes, fee_recipient: Address, gas_limit: int) -> BlockAttributes:
    return BlockAttributes(
        timestamp=attributes.timestamp,
        fee_recipient=fee_recipient,
        prev_randao=attributes.prev_randao,
        gas_limit=gas_limit,
        parent_beacon_block_root=attributes.parent_beacon_block_root,
        withdrawals=attributes.withdrawals,
    )
