"""The worst legal blocks: whatever a block has most of, its STEP fits one L1 transaction.

The same blocks over a million accounts are `make bench`'s; that they are as bad does not depend on the accounts: the
limits bind.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from node.eth.primitives import Address
from node.rollup.parameters import RollupParameters
from tests.kit.execution_chain import ExecutionChain, word
from tests.kit.step_world import Stepped, StepWorld
from tests.kit.witness_world import SPRAYS, WitnessWorld, witness_document, witness_world
from tests.kit.worst_blocks import (
    TRANSACTION_GAS_MAX,
    WorstBlock,
    answer_of,
    host_of,
    step_transaction,
    worst_blocks,
)

INPUT_BYTES_MAX = 352 << 10
"""Of a STEP."""

PARAMETERS = RollupParameters(
    batcher=Address(b"\x01" * 20), sequencer_key=b"\x02" * 32, witness_limit_bytes=270_336
)


@pytest.fixture(scope="module")
def world() -> WitnessWorld:
    limit = PARAMETERS.witness_limit_bytes
    return witness_world(
        witness_document(10_000, slots=1_000, large_codes=16, full_rings=True, witness_limit=limit)
    )


@pytest.fixture(scope="module")
def worst(world: WitnessWorld) -> dict[str, WorstBlock]:
    return {block.name: block for block in worst_blocks(world, PARAMETERS)}


@pytest.fixture(scope="module")
def host(world: WitnessWorld) -> ExecutionChain:
    return host_of(world.chain.engine, PARAMETERS)


def answer(host: ExecutionChain, data: bytes, *, gas: int = TRANSACTION_GAS_MAX) -> bytes | None:
    """What a call of STEP gives on the head of an L1."""
    block = host.seal([step_transaction(data, gas=gas)])
    host.engine.commit(block)
    return answer_of(host, block.state_root)


def test_they_are_as_bad_as_the_limits_allow(worst: dict[str, WorstBlock]) -> None:
    """Given the worst blocks, when weighed, then each is at the limit that it is named after."""
    sizes = {name: sum(block.derived.result.witness_size) for name, block in worst.items()}
    gas = {name: block.derived.result.gas_used for name, block in worst.items()}
    assert [block.derived.is_full for block in worst.values()] == [True, True, True, False]
    assert gas["most gas"] == PARAMETERS.gas_limit
    assert gas["most of both"] > 0.95 * PARAMETERS.gas_limit
    for name in ("most witness", "most of both"):
        assert PARAMETERS.witness_limit_bytes - 4_096 < sizes[name]
        assert sizes[name] <= PARAMETERS.witness_limit_bytes
    batches = [len(block.given.batch) for block in worst.values()]
    assert all(PARAMETERS.batch_limit_bytes - 1_024 < size for size in batches)
    dropped, kept = worst["most of both, dropped"], worst["most of both"]
    assert len(dropped.given.nodes) >= len(kept.given.nodes)
    assert sum(dropped.derived.result.witness_size) < sizes["most of both"]


@pytest.mark.parametrize(
    "name", ["most gas", "most witness", "most of both", "most of both, dropped"]
)
def test_each_is_proven_in_one_transaction_of_l1(
    host: ExecutionChain, worst: dict[str, WorstBlock], name: str
) -> None:
    """Given a worst block, when its STEP is called on L1, then it answers the output root, with a tenth of the gas to spare."""
    data = worst[name].given.encode()
    assert len(data) <= INPUT_BYTES_MAX
    assert answer(host, data, gas=TRANSACTION_GAS_MAX * 9 // 10) == worst[name].output_root


def test_eight_of_them_fit_a_block_of_l1(
    host: ExecutionChain, worst: dict[str, WorstBlock]
) -> None:
    """Given the most expensive STEP, when its gas is taken eight times, then a block of 120M gas has it."""
    data = worst["most witness"].given.encode()
    assert 8 * host.seal([step_transaction(data)]).gas_used <= 120_000_000


def test_whoever_leaves_out_what_is_needed_proves_nothing(
    host: ExecutionChain, worst: dict[str, WorstBlock]
) -> None:
    """Given a witness without one of its nodes, or a foreign input, when STEP is called, then there is no answer."""
    given = worst["most of both, dropped"].given
    dice = random.Random(1)
    for _ in range(6):
        nodes = list(given.nodes)
        del nodes[dice.randrange(len(nodes))]
        assert answer(host, replace(given, nodes=tuple(nodes)).encode()) is None
    assert answer(host, replace(given, codes=given.codes[1:]).encode()) is None
    assert answer(host, replace(given, batch=given.batch[:-1]).encode()) is None
    assert answer(host, replace(given, other_digests=bytes(96)).encode()) is None
    # Something more than is needed changes nothing.
    more = replace(given, nodes=(*given.nodes, b"\xc0" * 40))
    assert answer(host, more.encode()) == worst["most of both, dropped"].output_root


def test_the_last_read_that_fits_and_one_more_are_both_proven(
    world: WitnessWorld, host: ExecutionChain
) -> None:
    """Given a transaction that touches as much as fits, and one that touches one account more, when stepped, then both have a root.

    The second block holds no transactions, and what shows that it may not is within the limit as well.
    """
    steps = StepWorld(world.chain, PARAMETERS)

    def block(count: int) -> Stepped:
        data = word(1) + word(count)
        raw = world.sign_at(0, 21, SPRAYS["balance"], data, gas=100_000 + 2_800 * count)
        return steps.make([raw], advances=False)

    fits, too_much = 1, 1_000
    while too_much - fits > 1:
        middle = (fits + too_much) // 2
        if block(middle).derived.is_full:
            fits = middle
        else:
            too_much = middle
    limit = PARAMETERS.witness_limit_bytes
    last, first = block(fits), block(too_much)
    assert (last.derived.is_full, first.derived.is_full) == (True, False)
    assert limit - 4 * 532 < sum(last.derived.result.witness_size) <= limit
    assert sum(map(len, first.given.nodes)) + sum(map(len, first.given.codes)) <= limit
    assert answer(host, last.given.encode()) == last.output_root
    assert answer(host, first.given.encode()) == first.output_root
    # Whoever hides what the transaction may not read cannot make it fit.
    shorter = replace(first.given, nodes=last.given.nodes[:-1])
    assert answer(host, shorter.encode()) is None


def test_too_little_gas_gives_no_answer(host: ExecutionChain, worst: dict[str, WorstBlock]) -> None:
    """Given less gas than a STEP costs, when called, then there is none."""
    data = worst["most gas"].given.encode()
    needed = host.seal([step_transaction(data)]).gas_used
    assert answer(host, data, gas=needed - 100_000) is None
