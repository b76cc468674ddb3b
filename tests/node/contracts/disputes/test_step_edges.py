"""Proofs of faults at STEP's edges: its longest input, every amount of gas around its price, and L1s without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from node.errors import Rejected
from node.rollup.reasons import StepReason
from tests.kit.contract_world import Reverted
from tests.kit.dispute_world import (
    CHALLENGER,
    CHALLENGER_WINS,
    IN_PROGRESS,
    LIAR,
    DisputeWorld,
    wrong_root,
)

TRANSACTION_GAS_MAX: Final = 1 << 24
"""Of a transaction on L1 (EIP-7825)."""

BLOCKS: Final = 6
"""L2 blocks."""


@pytest.fixture
def world() -> DisputeWorld:
    """Six L2 blocks."""
    opened = DisputeWorld.open()
    opened.append([[]] * BLOCKS, advances=2)
    return opened


def test_the_longest_input_fits_into_a_transaction(world: DisputeWorld) -> None:
    """Given 352 KiB without a zero byte, then a proof takes less gas than an L1 transaction may have."""
    game = world.game(BLOCKS, wrong={2: wrong_root()}, sender=LIAR)
    given = world.inputs[2]
    room = 360_448 - len(given.encode()) - 8
    filler = bytes(17 + at % 239 for at in range(room))
    data = replace(given, codes=(*given.codes, filler)).encode()
    assert 360_448 - 8 <= len(data) <= 360_448
    arguments = world.prove_arguments(game, 2, data)
    receipt = world.network.world.transact(
        CHALLENGER, game.contract, "proveFault", *arguments, gas=TRANSACTION_GAS_MAX
    )
    assert receipt.gas_used < TRANSACTION_GAS_MAX
    assert world.status(game) == CHALLENGER_WINS


def test_a_longer_input_does_not_decode(world: DisputeWorld) -> None:
    game = world.game(BLOCKS)
    data = world.inputs[2].encode().ljust(360_449, b"\x01")
    with pytest.raises(Reverted, match=r"^\(\)$"):
        world.network.world.read(
            game.contract, "proveFault", *world.prove_arguments(game, 2, data), gas=60_000_000
        )


def test_too_little_gas_is_never_another_answer(world: DisputeWorld) -> None:
    """Given every amount of gas around what STEP asks for, then the game is lost or goes on as it was."""
    game = world.game(BLOCKS, wrong={2: wrong_root()}, sender=LIAR)
    data = game.contract.input("proveFault", *world.prove_arguments(game, 2))
    kit = world.network.world
    outcomes = []
    for gas in range(8_000_000, 9_000_001, 50_000):
        try:
            kit.ask(game.contract, data, gas=gas)
            outcomes.append("proven")
        except Reverted as reverted:
            outcomes.append(reverted.name)
    assert set(outcomes) == {"StepFailed", "proven"}
    assert outcomes == sorted(outcomes)
    assert world.status(game) == IN_PROGRESS


def test_where_there_is_no_step_nothing_is_proven() -> None:
    """Given an L1 whose precompile is missing, fails, or answers another length, then no root is a fault."""
    answers: list[Callable[[bytes, bytes, bool], bytes]] = [
        lambda _data, _caller, _static: b"",
        lambda _data, _caller, _static: bytes(31),
        _refuse,
    ]
    for answer in answers:
        world = DisputeWorld.open(step=answer)
        world.append([[]] * 3)
        for game in (world.game(3), world.game(3, wrong={2: wrong_root()})):
            with pytest.raises(Reverted, match="StepFailed"):
                world.prove(game, 2)
            assert world.status(game) == IN_PROGRESS
    without = DisputeWorld.open(step=None)
    without.append([[]] * 3)
    with pytest.raises(Reverted, match=r"StepFailed\(b'',\)"):
        without.prove(without.game(3, wrong={2: wrong_root()}), 2)


def _refuse(_data: bytes, _caller: bytes, _is_static: bool) -> bytes:
    raise Rejected(StepReason.MALFORMED, "x" * 10_000)
