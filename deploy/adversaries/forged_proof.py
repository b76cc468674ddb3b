"""Every way of proving a withdrawal that is not there, under an output that is true.

a true game -> forged output, forged trie, no trie, another slot's trie, swapped words ... -> the Portal: refused, with the reason
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from deploy.adversaries.acting import Actor, number, output_at, read_number, storage_proof
from deploy.adversaries.attack import Attack, Values
from deploy.adversaries.claims import game_number, newest_true_game, refusal_of
from deploy.adversaries.false_output import PROVE_GAS, STOLEN_WEI, message_of
from deploy.adversaries.forging import Theft, theft
from deploy.adversaries.stage import Stage, Verdict
from deploy.adversaries.withdrawals import GAME_DEADLINE_S
from node.contracts import disputes
from node.contracts.addresses import MESSAGE_PASSER, PORTAL
from node.contracts.bindings import MessagePassed
from node.contracts.withdrawals import proof_count, prove_withdrawal
from node.eth.primitives import Address
from node.rollup.outputs import Output, sent_messages_slot

BAD_OUTPUT: Final = "OptimismPortal_InvalidOutputRootProof()"
"""What is no preimage of the claim gets."""

BAD_PROOF: Final = "OptimismPortal_InvalidMerkleProof()"
"""What proves nothing under the claim gets."""

BAD_TARGET: Final = "OptimismPortal_BadTarget()"
"""What calls the bridge itself gets."""


@dataclass(frozen=True, slots=True)
class Forgery:
    """One attempt."""

    title: str
    """What is wrong with it, for people."""
    call: bytes
    """Of the Portal."""
    refusals: tuple[str, ...]
    """The refusals that are right; an encoding that nobody writes may revert without a name."""


def forgeries(
    stolen: Theft, game_index: int, truth: Output, empty_proof: Sequence[bytes]
) -> list[Forgery]:
    """All attempts.

    Args:
        stolen: a withdrawal that nobody made.
        game_index: number of a true game.
        truth: preimage of its claim.
        empty_proof: what the true trie says of the withdrawal's slot: that nothing is there.
    """
    message, real, forged = message_of(stolen), truth.encode(), stolen.output.encode()
    [leaf] = stolen.proof
    swapped = real[:32] + real[64:96] + real[32:64] + real[96:]
    to_portal = replace(message, target=Address(PORTAL))

    def call(output: bytes, nodes: Sequence[bytes], of: MessagePassed = message) -> bytes:
        return prove_withdrawal(of, game_index=game_index, output=output, nodes=nodes)

    return [
        Forgery("an output of its own", call(forged, (leaf,)), (BAD_OUTPUT,)),
        Forgery("the true output's words in another order", call(swapped, (leaf,)), (BAD_OUTPUT,)),
        Forgery("the true output as of version 1", call(b"\1" + real[1:], (leaf,)), (BAD_OUTPUT,)),
        Forgery("a trie of its own", call(real, (leaf,)), (BAD_PROOF,)),
        Forgery("no trie at all", call(real, ()), (BAD_PROOF,)),
        Forgery("the true trie, in which it is not", call(real, empty_proof), (BAD_PROOF,)),
        Forgery(
            "the true trie, and its own leaf behind it",
            call(real, (*empty_proof, leaf)),
            (BAD_PROOF,),
        ),
        Forgery(
            "the true trie without its root", call(real, empty_proof[1:] or (leaf,)), (BAD_PROOF,)
        ),
        Forgery(
            "a payment to the Portal itself", call(real, empty_proof, to_portal), (BAD_TARGET,)
        ),
    ]


def forged_proof(stage: Stage, _values: Values) -> Verdict:
    """Play it."""
    thief = Actor(stage, stage.account())
    game = stage.until("a true game", lambda: newest_true_game(stage), GAME_DEADLINE_S)
    made = read_number(stage, game, disputes.ask("createdBlock"))
    stage.until("a block after the game", lambda: number(stage.l1) > made or None)
    block = read_number(stage, game, disputes.ask("l2SequenceNumber"))
    output = output_at(stage.l2, block)
    salt = number(stage.l1)
    stolen = theft(output, thief=thief.address, value_wei=STOLEN_WEI, salt=salt)
    nodes = storage_proof(stage.l2, MESSAGE_PASSER, sent_messages_slot(stolen.name), block)
    wrong = []
    attempts = forgeries(stolen, game_number(stage, game), output, nodes)
    for forgery in attempts:
        stage.tries(f"proves a theft with {forgery.title}")
        reason = refusal_of(stage, PORTAL, forgery.call, sender=thief)
        stage.sees(f"refused: {reason}" if reason else "accepted")
        if reason not in forgery.refusals:
            wrong.append(forgery.title)
    stage.tries("sends one of them all the same")
    receipt = thief.receipt(thief.send(PORTAL, attempts[3].call, gas=PROVE_GAS))
    proofs = read_number(stage, PORTAL, proof_count(stolen.name))
    stage.sees(f"reverted in L1 block {receipt.block}; {proofs} proofs are kept")
    if wrong or receipt.succeeded or proofs:
        return Verdict(held=False, summary=f"Not refused as it must be: {', '.join(wrong)}.")
    return Verdict(
        held=True,
        summary=f"All {len(attempts)} forgeries were refused for their own reason, and nothing is kept of them.",
    )


FORGED_PROOF: Final = Attack(
    name="forged-proof",
    summary="Proves a withdrawal that nobody made under a true output, with forged outputs and tries.",
    expect="Each is refused with the Portal's own reason: InvalidOutputRootProof, InvalidMerkleProof, BadTarget.",
    leaves="One failed transaction.",
    run=forged_proof,
)
"""Inclusion of what is not there."""
