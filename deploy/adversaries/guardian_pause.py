"""The guardian pauses the bridge: nothing leaves L1's contracts until it is over, everything else goes on.

a stranger pauses: refused -> the guardian pauses -> proofs and payments: CallPaused; deposits, blocks, claims go on
                           -> a stranger unpauses: refused -> the guardian unpauses -> proofs are judged again
"""

from __future__ import annotations

from typing import Final

from deploy.adversaries.acting import Actor, balance, number, output_at
from deploy.adversaries.attack import Attack, Values
from deploy.adversaries.claims import eth, refusal_of
from deploy.adversaries.false_output import STOLEN_WEI, message_of, prove_call
from deploy.adversaries.forging import theft
from deploy.adversaries.stage import AttackFailed, Stage, Verdict
from node.contracts.addresses import PORTAL, SYSTEM_CONFIG
from node.contracts.bindings import deposit_transaction
from node.contracts.withdrawals import finalize_withdrawal, pause, unpause
from node.eth.hashing import keccak256
from node.eth.primitives import Address

DEPOSIT_WEI: Final = 10**15
"""Of the deposit that goes on."""

DEPOSIT_GAS: Final = 100_000
"""Its gas on the L2."""

DEPOSIT_DEADLINE_S: Final = 120.0
"""It is on the L2 by then."""

PAUSED: Final = "OptimismPortal_CallPaused()"
"""What everything that leaves gets."""

ONLY_GUARDIAN: Final = "SuperchainConfig_OnlyGuardian()"
"""What a stranger gets."""


def guardian_pause(stage: Stage, _values: Values) -> Verdict:
    """Play it."""
    if stage.guardian is None:
        raise AttackFailed("the guardian's key is not in this devnet's folder")
    guardian, stranger = Actor(stage, stage.guardian), Actor(stage, stage.account())
    refusals = [_refused(stage, stranger, pause(), "pauses the bridge as a stranger")]
    stage.tries("pauses the bridge as the guardian")
    guardian.do(SYSTEM_CONFIG, pause())
    stage.undo.append(lambda: _unpause(guardian))
    safe = number(stage.l2, "safe")
    calls = _calls(stage, stranger)
    reasons = {name: refusal_of(stage, PORTAL, call, sender=stranger) for name, call in calls}
    for name, reason in reasons.items():
        stage.sees(f"{name}: refused with {reason}")
    arrived = _deposit(stage, stranger)
    stage.sees(
        f"a deposit of {eth(DEPOSIT_WEI)} arrived on the L2 all the same"
        if arrived
        else "no deposit arrives"
    )
    refusals.append(_refused(stage, stranger, unpause(), "unpauses it as a stranger"))
    stage.clean_up()
    after = {name: refusal_of(stage, PORTAL, call, sender=stranger) for name, call in calls}
    stage.sees(
        f"the guardian let it go on: {', '.join(f'{name}: {reason}' for name, reason in after.items())}"
    )
    held = (
        all(refusals)
        and set(reasons.values()) == {PAUSED}
        and PAUSED not in after.values()
        and arrived
        and number(stage.l2, "safe") > safe
    )
    return Verdict(
        held=held,
        summary="A pause stops what leaves, and nothing else; only the guardian may pause."
        if held
        else "The pause did not do what it must.",
    )


def _calls(stage: Stage, thief: Actor) -> list[tuple[str, bytes]]:
    """What leaves L1's contracts; forged, so that without the pause it is refused for another reason."""
    output = output_at(stage.l2, number(stage.l2, "safe"))
    forged = theft(output, thief=thief.address, value_wei=STOLEN_WEI, salt=number(stage.l1))
    return [
        ("proving", prove_call(forged, 0)),
        ("finalizing", finalize_withdrawal(message_of(forged))),
    ]


def _refused(stage: Stage, stranger: Actor, call: bytes, title: str) -> bool:
    stage.tries(title)
    reason = refusal_of(stage, SYSTEM_CONFIG, call, sender=stranger)
    stage.sees(f"refused: {reason}" if reason else "accepted")
    return reason == ONLY_GUARDIAN


def _deposit(stage: Stage, depositor: Actor) -> bool:
    """Deposit to an empty account; tells whether it arrives."""
    receiver = Address(keccak256(number(stage.l1).to_bytes(8) + depositor.address)[12:])
    call = deposit_transaction(receiver, value=DEPOSIT_WEI, gas=DEPOSIT_GAS)
    depositor.do(PORTAL, call, value_wei=DEPOSIT_WEI)
    return stage.until(
        "the deposit on the L2",
        lambda: balance(stage.l2, receiver) == DEPOSIT_WEI or None,
        DEPOSIT_DEADLINE_S,
    )


def _unpause(guardian: Actor) -> None:
    guardian.do(SYSTEM_CONFIG, unpause())


GUARDIAN_PAUSE: Final = Attack(
    name="guardian-pause",
    summary="Pauses the bridge with the guardian's key, and tries to as a stranger.",
    expect="Only the guardian may. While it lasts, proving and finalizing are refused with CallPaused; blocks, deposits and "
    "claims go on. Afterwards withdrawals go on where they were.",
    leaves="Unpaused, as it was.",
    run=guardian_pause,
)
"""The emergency brake."""
