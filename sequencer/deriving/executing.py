"""What a record's blocks are, against what this node holds already: the part of deriving that runs beside the loop.

    BlockInput + Origin + parent -> attributes_of -> the local block has the same inputs -> matched, nothing is executed
                                                  -> it has not, or there is none        -> engine.derive, commit

Blocks are bound to their parent by hash, so once one differs all later ones of this node are of another chain.
A follower of gossip goes the same way (`derive_block`), so that nobody's unsafe block is another than derivation's.
Deliberately absent: the chain itself, which changes on the loop alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from node.eth.blocks import Block
from node.eth.headers import Header, header_of_block
from node.eth.primitives import Hash32
from node.execution.engine import BlockResult, DerivedBlock, L2Attributes
from node.rollup.derivation import BlockAttributes, BlockInput, Origin, attributes_of
from node.rollup.parameters import RollupParameters


class DerivationEngine(Protocol):
    """What deriving asks of the L2's engine."""

    def derive(
        self,
        parent_header: bytes,
        attributes: L2Attributes,
        deposits: Sequence[bytes],
        transactions: Sequence[bytes],
        ancestors: bytes,
    ) -> DerivedBlock:
        """The block that these inputs give."""

    def commit(self, result: BlockResult) -> None:
        """Stores its state; twice is once."""

    def raw_transactions(self, block: bytes) -> list[bytes]:
        """EIP-2718 transactions of an RLP block."""

    def decode(self, transactions: Sequence[bytes]) -> Sequence[object]:
        """Decodes and recovers in parallel; senders are remembered for `derive`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One block to derive."""

    block_input: BlockInput
    """What its record says."""
    origin: Origin
    """Its L1 origin."""
    local: Block | None
    """What this node holds at its number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One block that was derived."""

    number: int
    """Its number."""
    hash: Hash32
    """Its hash."""
    origin: Origin
    """Its L1 origin."""
    result: BlockResult | None
    """What executing it gave; None if the local block has the same inputs."""
    is_full: bool
    """Whether it holds its transactions; False if they were not executable in full."""


def derive_all(
    engine: DerivationEngine, parameters: RollupParameters, parent: Header, tasks: Sequence[Task]
) -> list[Outcome]:
    """Derive blocks that follow each other, the first on `parent`; their states are committed."""
    outcomes: list[Outcome] = []
    parent_hash = parent.hash()
    for task in tasks:
        attributes = attributes_of(parameters, parent, task.block_input, task.origin)
        local = task.local
        is_on_parent = local is not None and local.header.parent_hash == parent_hash
        if local is not None and is_on_parent and has_inputs(engine, local, attributes):
            parent, parent_hash = local.header, local.hash
            outcomes.append(_outcome(task, local.hash, None, is_full=True))
            continue
        derived = derive_block(engine, parent, attributes)
        parent = header_of_block(derived.result.block)
        parent_hash = Hash32(derived.result.block_hash)
        outcomes.append(_outcome(task, parent_hash, derived.result, is_full=derived.is_full))
    return outcomes


def derive_block(
    engine: DerivationEngine, parent: Header, attributes: BlockAttributes
) -> DerivedBlock:
    """Execute one block on its parent and commit its state."""
    derived = engine.derive(
        parent.encode(),
        L2Attributes(
            timestamp=attributes.timestamp,
            mix_hash=attributes.mix_hash,
            parent_beacon_block_root=attributes.parent_beacon_block_root,
        ),
        attributes.deposits,
        attributes.transactions,
        b"",
    )
    engine.commit(derived.result)
    return derived


def has_inputs(engine: DerivationEngine, block: Block, attributes: BlockAttributes) -> bool:
    """Tell whether a block was made from these inputs; on the same parent it is the same block then."""
    header = block.header
    return (
        header.timestamp == attributes.timestamp
        and header.mix_hash == attributes.mix_hash
        and header.parent_beacon_block_root == attributes.parent_beacon_block_root
        and engine.raw_transactions(block.rlp) == [*attributes.deposits, *attributes.transactions]
    )


def _outcome(
    task: Task, block_hash: Hash32, result: BlockResult | None, *, is_full: bool
) -> Outcome:
    return Outcome(
        number=task.block_input.number,
        hash=block_hash,
        origin=task.origin,
        result=result,
        is_full=is_full,
    )
