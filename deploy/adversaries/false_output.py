"""A false output that pays a thief: from the lie to CHALLENGER_WINS, with the bond's fate and the frozen withdrawal.

    truth -> roots, false from one place on -> game, bond -> the thief proves a withdrawal that nobody made
          -> somebody proves the first false root by one STEP -> lost -> bond burned, withdrawal frozen
    orphan: a second game claims the truth on top of the lie, and falls with it

The last root always commits to the theft, so that there is something to gain in every variant.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from deploy.adversaries.acting import HASTE_TIP_WEI, Actor, Receipt, number, read
from deploy.adversaries.attack import Attack, Values
from deploy.adversaries.claims import (
    CREATE_GAS,
    SPAN_MIN,
    Claimed,
    Truth,
    accumulator_after,
    claim,
    eth,
    extra_data,
    made,
    refusal_of,
    short,
    status,
    tell_bond,
    truth,
    wait_for_fault,
)
from deploy.adversaries.forging import Theft, theft
from deploy.adversaries.stage import PATIENCE_S, Stage, Verdict
from node.contracts import disputes
from node.contracts.addresses import DISPUTE_GAME_FACTORY, PORTAL, ROOT_REGISTRY
from node.contracts.bindings import MessagePassed
from node.contracts.disputes import GameStatus
from node.contracts.withdrawals import (
    check_withdrawal,
    finalize_withdrawal,
    prove_withdrawal,
    proven_withdrawal,
    read_proven_withdrawal,
)
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32
from node.rollup.claims import RootTree
from node.runtime.fault_entries import Kind, Parameter

STOLEN_WEI: Final = 1_000 * 10**18
"""What the thief wants."""

PROVE_GAS: Final = 600_000
"""Gas limit of proving a withdrawal, where it cannot be estimated because the game is not there yet."""

AT: Final = Parameter(
    name="at",
    kind=Kind.CHOICE,
    unit="",
    help="Which of the published roots is the first false one.",
    choices=("first", "middle", "last"),
    default="last",
)
"""Where the lie begins."""

PARENT: Final = Parameter(
    name="parent",
    kind=Kind.CHOICE,
    unit="",
    help="Where the claim starts: from a true game, or (orphan) from a false one made just before.",
    choices=("valid", "orphan"),
    default="valid",
)
"""What the lie stands on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lie:
    """False roots, and what they are for."""

    roots: tuple[Hash32, ...]
    """One for every block of the truth."""
    first_false: int
    """The place of the first false one."""
    theft: Theft
    """What the last one commits to."""


def lie(honest: Truth, at: str, thief: Address, salt: int) -> Lie:
    """Make false roots of true ones, from the first, the middle or the last on."""
    last = len(honest.roots) - 1
    place = {"first": 0, "middle": last // 2, "last": last}[at]
    stolen = theft(honest.outputs[-1], thief=thief, value_wei=STOLEN_WEI, salt=salt)
    lies = [keccak256(root + salt.to_bytes(8)) for root in honest.roots[place:last]]
    return Lie(
        roots=(*honest.roots[:place], *lies, stolen.output.root()),
        first_false=place,
        theft=stolen,
    )


def false_output(stage: Stage, values: Values) -> Verdict:
    """Play it."""
    liar = Actor(stage, stage.account())
    if values["parent"] == "orphan":
        return _orphan(stage, liar, str(values["at"]))
    honest = truth(stage)
    told = lie(honest, str(values["at"]), liar.address, number(stage.l1))
    _tell_lie(stage, honest, told)
    started = stage.now()
    claimed = claim(stage, liar, honest, told.roots)
    stage.tries(
        f"claims them in game {short(claimed.game)} in L1 block {claimed.block}, "
        f"with a bond of {eth(stage.terms.bond_wei)}"
    )
    proof = hurry_proof(stage, liar, claimed, told.theft)
    is_right, bond_right = _watch_fall(stage, liar, honest, told, claimed)
    took_s = stage.now() - started
    is_frozen = _tell_withdrawal(stage, liar, claimed, told.theft, liar.receipt(proof))
    lost = status(stage, claimed.game) is GameStatus.CHALLENGER_WINS
    return _verdict(
        lost and is_right and bond_right and is_frozen,
        f"CHALLENGER_WINS {took_s:.1f} s after the lie was sent; the bond is gone and nobody was paid.",
    )


def hurry_proof(stage: Stage, thief: Actor, claimed: Claimed, stolen: Theft) -> str:
    """Prove the theft before anybody can answer; gives the transaction's hash."""
    stage.tries(f"proves a withdrawal of {eth(stolen.withdrawal.value)} under it that nobody made")
    return thief.send(
        PORTAL, prove_call(stolen, claimed.index), gas=PROVE_GAS, tip_wei=HASTE_TIP_WEI
    )


def prove_call(stolen: Theft, game_index: int) -> bytes:
    """The Portal's call that proves a theft."""
    return prove_withdrawal(
        message_of(stolen),
        game_index=game_index,
        output=stolen.output.encode(),
        nodes=stolen.proof,
    )


def message_of(stolen: Theft) -> MessagePassed:
    """The theft as the L2 would have logged it."""
    withdrawal = stolen.withdrawal
    return MessagePassed(
        nonce=withdrawal.nonce,
        sender=withdrawal.sender,
        target=withdrawal.target,
        value=withdrawal.value,
        gas_limit=withdrawal.gas_limit,
        data=withdrawal.data,
        withdrawal_hash=stolen.name,
    )


def _tell_lie(stage: Stage, honest: Truth, told: Lie) -> None:
    false_block = honest.start + 1 + told.first_false
    stage.tries(
        f"publishes {len(told.roots)} output roots for L2 blocks {honest.start + 1} to "
        f"{honest.last_block}, false from block {false_block} on"
    )


def _watch_fall(
    stage: Stage, liar: Actor, honest: Truth, told: Lie, claimed: Claimed
) -> tuple[bool, bool]:
    """Wait for the proof; tells whether it shows the first false root, and whether the bond went where it must."""
    proven, log = wait_for_fault(stage, claimed, PATIENCE_S)
    true_root = honest.roots[told.first_false]
    stage.sees(
        f"{short(proven.prover)} proved the root after L2 block {proven.block_number} false in L1 block "
        f"{log.block} ({log.block - claimed.block} after the claim's): STEP gives "
        f"{short(proven.computed)}, claimed was {short(proven.claimed)}"
    )
    stage.sees(f"game {short(claimed.game)} is CHALLENGER_WINS")
    is_right = (
        proven.block_number == honest.start + 1 + told.first_false
        and proven.computed == true_root
        and proven.claimed == told.roots[told.first_false]
    )
    return is_right, tell_bond(stage, claimed, liar, proven.prover)


def _tell_withdrawal(
    stage: Stage, thief: Actor, claimed: Claimed, stolen: Theft, proof: Receipt
) -> bool:
    """Say what became of the theft; tells whether it is frozen."""
    kept = read_proven_withdrawal(
        read(stage.l1, PORTAL, proven_withdrawal(stolen.name, thief.address))
    )
    if kept is None:
        stage.sees(f"the withdrawal came too late to be proven in L1 block {proof.block}")
    else:
        reason = refusal_of(
            stage, PORTAL, check_withdrawal(stolen.name, thief.address), sender=thief
        )
        stage.sees(
            f"the withdrawal was proven in L1 block {proof.block} and is frozen: a lost game never becomes "
            f"valid ({reason} until the proof is old enough, OptimismPortal_InvalidRootClaim() from then on)"
        )
    again = refusal_of(stage, PORTAL, prove_call(stolen, claimed.index), sender=thief)
    stage.sees(f"proving it again is refused: {again}")
    paid = refusal_of(stage, PORTAL, finalize_withdrawal(message_of(stolen)), sender=thief)
    stage.sees(f"finalizing it is refused: {paid}")
    return bool(again) and bool(paid)


def _orphan(stage: Stage, liar: Actor, at: str) -> Verdict:
    """A second claim, true by itself, on top of a false one."""
    both = truth(stage, 2 * SPAN_MIN)
    cut = len(both.outputs) - SPAN_MIN
    lower = truth_until(stage, both, cut)
    told = lie(lower, at, liar.address, number(stage.l1))
    _tell_lie(stage, lower, told)
    lower_tree, upper_roots = RootTree(told.roots), both.roots[cut:]
    upper_tree = RootTree(upper_roots)
    liar.send(ROOT_REGISTRY, disputes.publish(told.roots))
    liar.receipt(liar.send(ROOT_REGISTRY, disputes.publish(upper_roots)))
    create_lower = disputes.create(lower_tree.last, extra_data(lower, lower_tree))
    game = _address_to_be(stage, liar, create_lower)
    upper = replace(both, parent=game, start=lower.last_block, outputs=both.outputs[cut:])
    create_upper = disputes.create(upper_tree.last, extra_data(upper, upper_tree))
    bond_wei = stage.terms.bond_wei
    stage.tries(
        "makes a game of them, and in the same block a second one that claims the true roots of L2 blocks "
        f"{upper.start + 1} to {upper.last_block} on top of it"
    )
    first, second = (
        liar.send(DISPUTE_GAME_FACTORY, call, value_wei=bond_wei, gas=CREATE_GAS)
        for call in (create_lower, create_upper)
    )
    parent = made(stage, liar.receipt(first), lower_tree)
    child = made(stage, liar.receipt(second), upper_tree)
    is_right, bond_right = _watch_fall(stage, liar, lower, told, parent)
    child_lost = _bury(stage, liar, child)
    return _verdict(
        is_right and bond_right and child_lost,
        "The false game is CHALLENGER_WINS, and the true roots on top of it fell with it: a claim is worth what it starts from.",
    )


def truth_until(stage: Stage, honest: Truth, blocks: int) -> Truth:
    """The beginning of what could honestly be claimed."""
    last = honest.start + blocks
    return replace(
        honest, outputs=honest.outputs[:blocks], accumulator=accumulator_after(stage, last)
    )


def _address_to_be(stage: Stage, liar: Actor, create: bytes) -> Address:
    """Where a game will stand: its address follows from what it claims."""
    answer = read(
        stage.l1,
        DISPUTE_GAME_FACTORY,
        create,
        sender=liar.account.address,
        value_wei=stage.terms.bond_wei,
    )
    return Address(answer[12:32])


def _bury(stage: Stage, liar: Actor, child: Claimed) -> bool:
    """End a game whose parent is lost, as anybody may; tells whether it is lost, too."""
    call = disputes.resolve(b"", 0, (), 0)
    if status(stage, child.game) is GameStatus.IN_PROGRESS:
        stage.tries(f"asks for game {short(child.game)} to be resolved: its parent is lost")
        liar.receipt(liar.send(child.game, call, gas=CREATE_GAS))
    outcome = status(stage, child.game)
    stage.sees(f"game {short(child.game)} is {outcome.name}")
    return outcome is GameStatus.CHALLENGER_WINS


def _verdict(held: bool, summary: str) -> Verdict:
    return Verdict(held=held, summary=summary if held else "The lie did not fall as it must.")


FALSE_OUTPUT: Final = Attack(
    name="false-output",
    summary="Claims an output of the L2 that pays a thief a withdrawal that nobody made.",
    parameters=(AT, PARENT),
    expect="Within two or three L1 slots the watchtower proves the first false root by one transaction: L1 executes that L2 "
    "block again and finds another root. The game is CHALLENGER_WINS, a tenth of the bond is the prover's and the rest is "
    "burned; the withdrawal that was proven under it can never be finalized.",
    leaves="A lost game; the proposer starts from the newest true one. Games wait for `quiet_s` after the fault.",
    run=false_output,
)
"""The demonstration."""
