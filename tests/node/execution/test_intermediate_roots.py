"""Roots after each transaction (`debug_intermediateRoots`): geth's on the recorded chain, a rollup's, and a refused block's."""

from __future__ import annotations

import pytest

from node.errors import InvalidBlock
from tests.kit.execution_chain import KEEPER, SENDER, ExecutionChain, sign, with_header_fields, word
from tests.kit.recorded_chain import needs_recordings, recorded_chain
from tests.kit.rollup_chain import RollupChain, deposit, keep, sign_l2
from tests.kit.trace_recordings import BLOCKS, digest_of, recorded_digests


@needs_recordings
def test_roots_are_geths() -> None:
    """Given each block of the recorded chain, when its roots are asked for, then they are geth 1.17.8's."""
    chain = recorded_chain()
    recorded = recorded_digests()["intermediate roots"]
    found = [
        digest_of(
            [
                "0x" + root.hex()
                for root in chain.engine.intermediate_roots(
                    chain.blocks[number - 1].state_root,
                    chain.blocks[number].block,
                    chain.ancestors(number),
                )
            ]
            or None
        )
        for number in range(1, BLOCKS + 1)
    ]
    assert found == recorded


def test_the_last_root_is_the_blocks() -> None:
    """Given a block without withdrawals, when its roots are asked for, then the last one is what its header says."""
    chain = ExecutionChain.open()
    chain.grow([sign(SENDER, nonce=0)])
    parent = chain.head.state_root
    block = chain.seal(
        [
            sign(SENDER, nonce=1, to=KEEPER, data=word(1) + word(2), gas=100_000),
            sign(SENDER, nonce=2),
        ]
    )
    first, last = chain.engine.intermediate_roots(parent, block.block, chain.ancestors)
    assert last == block.state_root
    assert first not in (parent, last)


def test_the_last_root_is_a_rollup_blocks() -> None:
    """Given a rollup's block with deposits and fees, when its roots are asked for, then the last one is what its header says."""
    chain = RollupChain.open()
    parent = chain.head.state_root
    block = chain.seal([sign_l2(nonce=0)], deposits=[deposit(mint=5, value=2), keep(1, 2)])
    roots = chain.engine.intermediate_roots(parent, block.block, b"")
    assert (len(set(roots)), roots[-1]) == (3, block.state_root)


def test_a_refused_block_has_roots_as_far_as_it_goes() -> None:
    """Given a block with another root, when its roots are asked for, then they are those that execution gives."""
    chain = ExecutionChain.open()
    block = chain.seal([sign(SENDER, nonce=0)])
    wrong = with_header_fields(block.block, state_root=bytes(32), gas_limit=60_000_000 - 1)
    with pytest.raises(InvalidBlock):
        chain.execute(wrong)
    roots = chain.engine.intermediate_roots(chain.head.state_root, wrong, chain.ancestors)
    assert len(roots) == 1
    poor = with_header_fields(block.block, gas_limit=20_000)
    assert chain.engine.intermediate_roots(chain.head.state_root, poor, chain.ancestors) == []


def test_roots_have_a_deadline() -> None:
    chain = ExecutionChain.open()
    block = chain.seal([sign(SENDER, nonce=at) for at in range(200)])
    with pytest.raises(TimeoutError):
        chain.engine.intermediate_roots(
            chain.head.state_root, block.block, chain.ancestors, deadline_us=1
        )
