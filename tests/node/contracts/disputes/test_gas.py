"""What claims and their disputes cost, to the gas: the figures of node/contracts/README.md.

Gas is the same on every machine, so a change of a figure is a change of a contract, of the compiler or of STEP's input.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from node.eth.hashing import keccak256
from node.rollup.claims import RootTree
from tests.kit.contract_network import FORCER
from tests.kit.contract_world import Receipt
from tests.kit.dispute_world import (
    AIR_GAP,
    BOND,
    CHALLENGER,
    FACTORY,
    LIAR,
    PROPOSER,
    REGISTRY,
    RIVAL,
    DisputeWorld,
    Game,
    wrong_root,
)
from tests.kit.execution_chain import SENDER, address_of
from tests.kit.gas import check_gas
from tests.kit.rollup_chain import sign_l2
from tests.node.contracts.disputes.ends import mature, stand

TRANSACTION_GAS_MAX: Final = 1 << 24
"""Of a transaction on L1 (EIP-7825)."""


def opened() -> DisputeWorld:
    """Twelve L2 blocks, one with ten payments, and a game that was decided, so that counters are not new."""
    world = DisputeWorld.open()
    pays = [sign_l2(SENDER, nonce=nonce, value=nonce + 1) for nonce in range(10)]
    world.append([[], [], pays, *([[]] * 9)], advances=2)
    first = world.game(1)
    stand(world, first)
    false = world.game(2, wrong={1: wrong_root(7)}, sender=LIAR)
    world.prove(false, 1, sender=RIVAL)
    return world


def publish(count: int) -> Callable[[], Receipt]:
    """One chunk of so many roots, without zero bytes."""

    def run() -> Receipt:
        roots = [bytes(17 + (at + place) % 239 for at in range(32)) for place in range(count)]
        world = opened()
        return world.network.world.transact(PROPOSER, REGISTRY, "publish", roots)

    return run


def span(chunks: int) -> Callable[[], Receipt]:
    """Chunks of 1,024 roots."""

    def run() -> Receipt:
        tree = RootTree(tuple(keccak256(at.to_bytes(8)) for at in range(1_024 * chunks)))
        world = opened()
        for chunk in tree.chunks:
            world.network.world.transact(FORCER, REGISTRY, "publish", chunk.roots)
        trees = [chunk.tree for chunk in tree.chunks]
        lasts = [chunk.last for chunk in tree.chunks]
        return world.network.world.transact(
            PROPOSER, REGISTRY, "span", trees, lasts, 1_024 * chunks
        )

    return run


def create(*, child: bool) -> Callable[[], Receipt]:
    """A game of ten blocks."""

    def run() -> Receipt:
        world = opened()
        parent = world.game(2) if child else None
        start = world.anchor() if parent is None else (parent.tree.last, parent.last_block)
        tree = world.tree(start[1], 12)
        world.publish(tree)
        address = None if parent is None else parent.address
        claim = world.claim(tree, start=start, parent=address).encode()
        return world.network.world.transact(
            PROPOSER, FACTORY, "create", 900, tree.last, claim, value=BOND
        )

    return run


def prove(number: int, *, input_bytes: int | None = None) -> Callable[[], Receipt]:
    """A proof, filled up with bytes that are not zero."""

    def run() -> Receipt:
        world = opened()
        game = world.game(12, wrong={number: wrong_root()}, sender=LIAR)
        given = world.inputs[number]
        data = given.encode()
        if input_bytes is not None:
            filler = bytes(17 + at % 239 for at in range(input_bytes - len(data) - 8))
            data = replace(given, codes=(*given.codes, filler)).encode()
        arguments = world.prove_arguments(game, number, data)
        return world.network.world.transact(
            CHALLENGER, game.contract, "proveFault", *arguments, gas=TRANSACTION_GAS_MAX
        )

    return run


def due() -> tuple[DisputeWorld, Game]:
    """A game that may be resolved."""
    world = opened()
    game = world.game(12)
    mature(world, game)
    return world, game


def resolve() -> Receipt:
    """A game that stands."""
    world, game = due()
    return world.resolve(game)


def fall() -> Receipt:
    """A game whose parent is lost."""
    world = opened()
    parent = world.game(4, wrong={4: wrong_root()}, sender=LIAR)
    child = world.game(12, parent=parent, sender=LIAR)
    world.prove(parent, 4)
    return world.network.world.transact(FORCER, child.contract, "resolve", b"", 0, [], 0)


def close(*blocks: int) -> Callable[[], Receipt]:
    """The anchor moves on through these L2 blocks; the last one is measured."""

    def run() -> Receipt:
        world = opened()
        games = [world.game(block) for block in blocks]
        for game in games:
            stand(world, game)
        world.pass_blocks(AIR_GAP)
        return [world.network.world.transact(FORCER, game.contract, "closeGame") for game in games][
            -1
        ]

    return run


def pay() -> Receipt:
    """A bond goes back."""
    world, game = due()
    world.resolve(game)
    world.pass_blocks(AIR_GAP)
    return world.network.world.transact(FORCER, game.contract, "claimCredit", address_of(PROPOSER))


GAS: Final[dict[str, tuple[Callable[[], Receipt], int]]] = {
    "publish, 1 root": (publish(1), 104_108),
    "publish, 100 roots": (publish(100), 231_672),
    "publish, 1,024 roots": (publish(1_024), 1_433_979),
    "span, 2 chunks": (span(2), 86_605),
    "create, from the anchor": (create(child=False), 312_659),
    "create, from a parent": (create(child=True), 364_469),
    "proveFault, an empty block": (prove(2), 8_562_602),
    "proveFault, ten payments": (prove(3), 8_536_219),
    "proveFault, 352 KiB of input": (prove(3, input_bytes=360_448), 15_276_665),
    "resolve, stands": (resolve, 108_577),
    "resolve, parent lost": (fall, 96_579),
    "closeGame, first anchor": (close(12), 92_790),
    "closeGame, second anchor": (close(11, 12), 103_781),
    "closeGame, later anchors": (close(10, 11, 12), 86_681),
    "claimCredit": (pay, 46_757),
}
"""Each call, and what it costs."""


@pytest.mark.parametrize(("call", "gas"), GAS.values(), ids=list(GAS))
def test_gas_is_what_the_readme_says(call: Callable[[], Receipt], gas: int) -> None:
    check_gas(call(), gas)


def test_every_proof_fits_into_a_transaction() -> None:
    """Given the longest input that STEP takes, then a proof needs less gas than an L1 transaction may have."""
    assert max(gas for name, (_, gas) in GAS.items() if "proveFault" in name) < TRANSACTION_GAS_MAX


def test_a_hundred_games_are_found_with_little_gas() -> None:
    """Given 100 games, then the answer that wallets ask for takes less than 2.5M gas of the RPC's 50M."""
    world = DisputeWorld.open()
    world.append([[]] * 100)
    for number in range(1, 101):
        world.game(number)
    rows = world.network.world.read(FACTORY, "findLatestGames", 900, 99, 100, gas=2_500_000)
    assert isinstance(rows, tuple)
    assert len(rows) == 100
