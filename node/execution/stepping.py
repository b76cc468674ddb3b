"""STEP on the native engine: the rules of `node.rollup.step` with this engine's codec and execution behind L1's precompile.

    L1's engine, a call of 0x0101 -> StepCallable -> decode_step -> step -> RevmEngine.derive_stateless of the L2's genesis file

The L2's engine is asked for nothing but stateless execution; of its genesis file count the `rollup` object and the codes'
lengths, which the witness rule knows.
Deliberately absent: where genesis files lie, and whether both are of one network (`node.app.stepping`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from node.errors import InvalidBlock, InvalidCall, MissingState
from node.eth.headers import header_bytes_of_block
from node.execution.adapter import StepCallable, decode_batch
from node.execution.engine import DerivedBlock, L2Attributes
from node.rollup.batches import DecodedBlock
from node.rollup.derivation import BlockAttributes
from node.rollup.parameters import RollupParameters
from node.rollup.step import StatelessExecutor, decode_step, step


class StatelessEngine(Protocol):
    """What STEP asks of the L2's engine."""

    def derive_stateless(
        self,
        parent_header: bytes,
        attributes: L2Attributes,
        deposits: Sequence[bytes],
        transactions: Sequence[bytes],
        nodes: Sequence[bytes],
        codes: Sequence[bytes],
    ) -> DerivedBlock:
        """The block that these inputs give, from a witness alone. Raises MissingState."""


def read_batch(data: bytes, decompressed_limit: int, block_count: int) -> list[DecodedBlock] | None:
    """The engine's batch codec as the rules ask for it (`node.rollup.batches.BatchDecoder`)."""
    blocks = decode_batch(data, decompressed_limit, block_count)
    if blocks is None:
        return None
    return [(one.timestamp, one.advances_origin, list(one.transactions)) for one in blocks]


def executor_of(engine: StatelessEngine) -> StatelessExecutor:
    """The engine's stateless execution as the rules ask for it."""

    def execute(
        parent_header: bytes,
        attributes: BlockAttributes,
        nodes: Sequence[bytes],
        codes: Sequence[bytes],
    ) -> bytes:
        derived = engine.derive_stateless(
            parent_header,
            L2Attributes(
                timestamp=attributes.timestamp,
                mix_hash=attributes.mix_hash,
                parent_beacon_block_root=attributes.parent_beacon_block_root,
            ),
            attributes.deposits,
            attributes.transactions,
            nodes,
            codes,
        )
        return header_bytes_of_block(derived.result.block)

    return execute


def step_callable(engine: StatelessEngine, parameters: RollupParameters) -> StepCallable:
    """What L1's precompile calls: an input's bytes to the output root after its block.

    It raises Rejected with a StepReason where the input proves nothing; whatever else it raised would be a bug, and never
    looks like a verdict on the block of L1 that calls it.
    """
    execute = executor_of(engine)

    def answer(data: bytes, _caller: bytes, _is_static: bool) -> bytes:
        try:
            return step(parameters, decode_step(data), decode=read_batch, execute=execute)
        except (InvalidBlock, InvalidCall, MissingState) as error:
            raise RuntimeError(f"STEP failed: {error!r}") from error

    return answer
