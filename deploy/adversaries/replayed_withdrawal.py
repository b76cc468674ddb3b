"""A withdrawal that is settled once, and asked for again in every way there is.

withdraw on the L2 -> game -> proven by two -> finalized once -> again: by the same, by the other, proven anew
"""

from __future__ import annotations

from typing import Final

from deploy.adversaries.acting import Actor, balance, number, read_number
from deploy.adversaries.attack import Attack, Values
from deploy.adversaries.claims import eth, refusal_of, short
from deploy.adversaries.stage import Stage, Verdict
from deploy.adversaries.withdrawals import AMOUNT_WEI, FINALIZE_GAS, provable, withdraw
from node.contracts.addresses import PORTAL
from node.contracts.withdrawals import check_withdrawal, finalize_withdrawal, is_finalized
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32

ALREADY: Final = "OptimismPortal_AlreadyFinalized()"
"""What a second payment gets."""


def replayed_withdrawal(stage: Stage, _values: Values) -> Verdict:
    """Play it."""
    first, second = Actor(stage, stage.account()), Actor(stage, stage.account(1))
    salt = number(stage.l1).to_bytes(8) + number(stage.l2).to_bytes(8)
    target = Address(keccak256(salt)[12:])
    message, block = withdraw(stage, target, AMOUNT_WEI)
    stage.tries(f"withdraws {eth(AMOUNT_WEI)} in L2 block {block}, to an empty account")
    ready = provable(stage, message, block)
    for prover in (first, second):
        prover.do(PORTAL, ready.call())
    stage.tries("proves it from two accounts")
    _wait_until_payable(stage, message.withdrawal_hash, (first, second))
    pay = finalize_withdrawal(message)
    settled = first.do(PORTAL, pay)
    paid_wei = balance(stage.l1, target)
    stage.sees(f"settled it in L1 block {settled.block}: {short(target)} has {eth(paid_wei)}")
    ways = {
        "the same account again": (first, pay),
        "the other account, on its own proof": (second, pay),
        "the first account, on the other's proof": (
            first,
            finalize_withdrawal(message, submitter=second.address),
        ),
    }
    refusals = []
    for title, (actor, call) in ways.items():
        stage.tries(f"asks for it again: {title}")
        receipt = actor.receipt(actor.send(PORTAL, call, gas=FINALIZE_GAS))
        reason = refusal_of(stage, PORTAL, call, sender=actor)
        refusals.append(not receipt.succeeded and reason == ALREADY)
        stage.sees(f"reverted in L1 block {receipt.block}: {reason}" if reason else "accepted")
    stage.tries("proves it anew, and asks once more")
    reason = refusal_of(stage, PORTAL, ready.call(), sender=second)
    if not reason:
        second.do(PORTAL, ready.call())
    stage.sees(f"proving anew: {reason or 'accepted, as the OP Stack does'}")
    refusals.append(refusal_of(stage, PORTAL, pay, sender=second) == ALREADY)
    left_wei = balance(stage.l1, target)
    is_settled = bool(read_number(stage, PORTAL, is_finalized(message.withdrawal_hash)))
    held = all(refusals) and is_settled and paid_wei == left_wei == AMOUNT_WEI
    return Verdict(
        held=held,
        summary=f"It was paid once: {short(target)} has {eth(left_wei)}, to the wei."
        if held
        else f"{short(target)} has {eth(left_wei)}, and {sum(refusals)} of {len(refusals)} attempts were refused.",
    )


def _wait_until_payable(stage: Stage, name: Hash32, provers: tuple[Actor, ...]) -> None:
    last = ""

    def look() -> bool | None:
        nonlocal last
        reasons = [
            refusal_of(stage, PORTAL, check_withdrawal(name, one.address), sender=one)
            for one in provers
        ]
        reason = next((reason for reason in reasons if reason), "")
        if reason != last:
            stage.sees(f"not payable yet: {reason}" if reason else "payable")
            last = reason
        return True if not reason else None

    stage.until("the withdrawal to be payable", look, 4.0 * stage.terms.proof_maturity_s)


REPLAYED_WITHDRAWAL: Final = Attack(
    name="replayed-withdrawal",
    summary="Settles a withdrawal, then asks for it again in every way there is.",
    expect="It is paid once. Each further attempt reverts with OptimismPortal_AlreadyFinalized, whoever proved it and "
    "whoever asks. Takes most of a minute: the withdrawal has to be payable first.",
    leaves="One withdrawal of 0.01 ETH, settled.",
    run=replayed_withdrawal,
)
"""The same money twice."""
