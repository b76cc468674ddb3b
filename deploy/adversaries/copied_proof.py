"""Somebody who reads the pool, copies the watchtower's proof and comes first.

    lie -> the watchtower's proof waits in the pool -> the same bytes with a higher tip -> whoever is first is paid a tenth

A proof names nobody, so it can be copied; what a copy gains is a tenth of the liar's bond, and the lie falls all the same.
If the liar copies the proof against itself it still loses nine tenths.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from deploy.adversaries.acting import (
    GAS_MAX,
    HASTE_TIP_WEI,
    Actor,
    Pending,
    logs,
    number,
    pending,
)
from deploy.adversaries.attack import Attack, Values
from deploy.adversaries.claims import (
    Claimed,
    claim,
    fault_of,
    short,
    status,
    tell_bond,
    truth,
    wait_for_fault,
)
from deploy.adversaries.false_output import lie
from deploy.adversaries.stage import PATIENCE_S, Stage, Verdict
from node.contracts import disputes
from node.contracts.abi import selector
from node.contracts.disputes import GameStatus

PROVE_FAULT: Final = selector("proveFault(bytes32,bytes32[],bytes32[],bytes)")
"""First four bytes of a proof."""

TRIES_MAX: Final = 3
"""A proof that was in a block before anybody saw it in a pool is nothing to copy: so many lies are told."""


def copied_proof(stage: Stage, _values: Values) -> Verdict:
    """Play it."""
    liar, copier = Actor(stage, stage.account()), Actor(stage, stage.account(1))
    for _ in range(TRIES_MAX):
        honest = truth(stage)
        told = lie(honest, "last", liar.address, number(stage.l1))
        claimed = claim(stage, liar, honest, told.roots)
        stage.tries(f"claims a false output in game {short(claimed.game)}, and reads the pools")
        seen = stage.until("a proof", partial(_look, stage, claimed), PATIENCE_S)
        if isinstance(seen, Pending):
            return _copy(stage, liar, copier, claimed, seen)
        stage.sees("the proof was in a block before anybody saw it in a pool")
    return Verdict(
        held=True, summary=f"{TRIES_MAX} proofs came too fast to be copied; every lie fell."
    )


def _look(stage: Stage, claimed: Claimed) -> Pending | bool:
    """A proof against a game in any node's pool; True if it is in a block already."""
    for node in stage.l1_nodes.values():
        for waiting in pending(node):
            if waiting.to == claimed.game and waiting.data[:4] == PROVE_FAULT:
                return waiting
    return fault_of(stage, claimed) is not None


def _copy(stage: Stage, liar: Actor, copier: Actor, claimed: Claimed, original: Pending) -> Verdict:
    stage.sees(f"{short(original.sender)} sends a proof of {len(original.data):,} bytes")
    tip_wei = max(HASTE_TIP_WEI, 2 * original.tip_wei)
    stage.tries("copies it, with a higher tip")
    sent = copier.send(claimed.game, original.data, gas=GAS_MAX, tip_wei=tip_wei)
    proven, log = wait_for_fault(stage, claimed, PATIENCE_S)
    copy = copier.receipt(sent)
    first = "the copy" if proven.prover == copier.address else "the original"
    stage.sees(
        f"{first} was first, in L1 block {log.block}; the other one reverted or was taken back"
    )
    bond_right = tell_bond(stage, claimed, liar, proven.prover)
    faults = logs(stage.l1, claimed.game, disputes.FAULT_PROVEN, claimed.block)
    held = (
        status(stage, claimed.game) is GameStatus.CHALLENGER_WINS
        and len(faults) == 1
        and bond_right
        and copy.succeeded == (proven.prover == copier.address)
    )
    return Verdict(
        held=held,
        summary="The lie fell once, whoever came first: a copy gains a tenth of the liar's bond and changes nothing."
        if held
        else "The copy changed what came of the game.",
    )


COPIED_PROOF: Final = Attack(
    name="copied-proof",
    summary="Copies the watchtower's proof from the pool with a higher tip.",
    expect="The game is lost once, by the copy or by the original. Whoever is first has a tenth of the bond, the other one "
    "pays for a failed transaction at most, and nine tenths are burned: a liar who copies gains nothing.",
    leaves="A lost game.",
    run=copied_proof,
)
"""Coming first with somebody else's work."""
