"""So many false games at once that their proofs do not fit into a window of L1 blocks.

    many accounts -> one false root and one game each time -> the watchtower proves them as L1's gas allows
                  -> a fault holds every game back for a while, so that none stands while proofs still come

A proof takes a good eight million gas, an L1 block holds a dozen of them; the window is six blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from deploy.adversaries.acting import Actor, number
from deploy.adversaries.attack import Attack, Values
from deploy.adversaries.claims import (
    Truth,
    accumulator_after,
    eth,
    extra_data,
    game_in,
    status,
    truth,
)
from deploy.adversaries.stage import LOOK_EVERY_S, Stage, Verdict
from node.contracts import disputes
from node.contracts.addresses import DISPUTE_GAME_FACTORY, ROOT_REGISTRY
from node.contracts.disputes import GameStatus
from node.eth.hashing import keccak256
from node.eth.primitives import Address
from node.rollup.claims import RootTree
from node.runtime.fault_entries import Kind, Parameter

GAMES_MAX: Final = 1_000
"""Most games; each needs a bond."""

PUBLISH_GAS: Final = 200_000
"""Gas limit of publishing one root."""

MAKE_GAS: Final = 700_000
"""Gas limit of making one game."""

BASE_S: Final = 180.0
"""What the fall of the last game may take beside the proofs' blocks."""

PROOFS_A_BLOCK: Final = 8
"""Proofs that an L1 block of 120M gas holds at least."""

TOLD_EVERY: Final = 8
"""So many lines tell of the games' fall."""

COUNT: Final = Parameter(
    name="count",
    kind=Kind.INTEGER,
    unit="games",
    help="How many false games, each with a bond.",
    minimum=1,
    maximum=GAMES_MAX,
    default=GAMES_MAX,
)
"""How many."""


def thousand_games(stage: Stage, values: Values) -> Verdict:
    """Play it."""
    count = int(str(values["count"]))
    liars = [Actor(stage, stage.account(place)) for place in range(max(1, len(stage.accounts) - 1))]
    honest = truth(stage, 1)
    one = replace(honest, outputs=honest.outputs[:1])
    one = replace(one, accumulator=accumulator_after(stage, one.last_block))
    started = stage.now()
    stage.tries(
        f"makes {count:,} false games of one block each, with {eth(count * stage.terms.bond_wei)} of bonds"
    )
    games = _make(stage, liars, one, count)
    stage.sees(
        f"took them into L1 blocks {min(games.values())} to {max(games.values())}, {stage.now() - started:.0f} s"
    )
    deadline_s = BASE_S + count / PROOFS_A_BLOCK * stage.slot_seconds * 2
    fallen, stood = _watch(stage, list(games), deadline_s)
    took_s = stage.now() - started
    if stood:
        return Verdict(held=False, summary=f"{stood} false games stand: DEFENDER_WINS.")
    if fallen < count:
        return Verdict(
            held=False,
            summary=f"{count - fallen} of {count} false games were not disproved within {took_s:.0f} s.",
        )
    return Verdict(
        held=True,
        summary=f"All {count:,} false games fell within {took_s:.0f} s, none stood for a moment, and "
        f"{eth(count * stage.terms.bond_wei)} of bonds are gone.",
    )


def _make(stage: Stage, liars: Sequence[Actor], one: Truth, count: int) -> dict[Address, int]:
    """Make the games, as many in a block as it holds; their addresses and L1 blocks."""
    salt = number(stage.l1).to_bytes(8)
    sent: list[tuple[Actor, str, RootTree]] = []
    for place in range(count):
        liar = liars[place % len(liars)]
        tree = RootTree((keccak256(one.roots[0] + salt + place.to_bytes(8)),))
        liar.send(ROOT_REGISTRY, disputes.publish(tree.roots), gas=PUBLISH_GAS)
        call = disputes.create(tree.last, extra_data(one, tree))
        transaction = liar.send(
            DISPUTE_GAME_FACTORY, call, value_wei=stage.terms.bond_wei, gas=MAKE_GAS
        )
        sent.append((liar, transaction, tree))
    games: dict[Address, int] = {}
    for liar, transaction, tree in sent:
        receipt = liar.receipt(transaction, deadline_s=BASE_S)
        games[game_in(receipt, tree)] = receipt.block
    return games


def _watch(stage: Stage, games: list[Address], deadline_s: float) -> tuple[int, int]:
    """Wait until no game is in progress; how many fell, and how many stand."""
    standing, waiting = 0, games
    end, step = stage.now() + deadline_s, max(1, len(games) // TOLD_EVERY)
    told = 0
    while waiting and stage.now() < end:
        outcomes = [(game, status(stage, game)) for game in waiting]
        standing += sum(outcome is GameStatus.DEFENDER_WINS for _, outcome in outcomes)
        waiting = [game for game, outcome in outcomes if outcome is GameStatus.IN_PROGRESS]
        fallen = len(games) - len(waiting) - standing
        if fallen >= told + step or not waiting:
            told = fallen
            stage.sees(f"{fallen:,} games are CHALLENGER_WINS in L1 block {number(stage.l1)}")
        if waiting:
            stage.pause(LOOK_EVERY_S)
    return len(games) - len(waiting) - standing, standing


THOUSAND_GAMES: Final = Attack(
    name="thousand-games",
    summary="Makes a thousand false games at once, more than the window's L1 blocks have gas to disprove.",
    parameters=(COUNT,),
    expect="The watchtower proves a dozen in each L1 block. As long as proofs come no game is accepted, true or false, because "
    "each fault starts `quiet_s` anew: honest claims wait, false ones fall, each for nine tenths of its bond. A thousand "
    "take some minutes and drive L1's base fee up while they last.",
    leaves="Lost games; L1's base fee falls again, and waiting claims are accepted.",
    run=thousand_games,
)
"""More than fits."""
