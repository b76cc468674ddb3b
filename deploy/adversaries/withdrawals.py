"""Real withdrawals as an adversary uses them: made on the L2, proven under a game that is true.

    withdraw -> MessagePassed, L2 block -> provable: a true game that covers it -> Provable.call -> the Portal

Deliberately absent: what is wrong with how they are used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from deploy.adversaries.acting import (
    Actor,
    logs_of,
    output_at,
    read_number,
    storage_proof,
)
from deploy.adversaries.claims import (
    game_number,
    newest_true_game,
)
from deploy.adversaries.stage import AttackFailed, Stage
from deploy.published import L2_CHAIN_ID
from node.contracts import disputes
from node.contracts.addresses import MESSAGE_PASSER
from node.contracts.bindings import (
    MESSAGE_PASSED,
    MessagePassed,
    initiate_withdrawal,
    read_message_passed,
)
from node.contracts.withdrawals import (
    prove_withdrawal,
    whole_proof,
)
from node.eth.primitives import Address
from node.rollup.outputs import Output, sent_messages_slot

AMOUNT_WEI: Final = 10**16
"""Of the real withdrawal."""

TARGET_GAS: Final = 100_000
"""Least gas of its call on L1."""

FINALIZE_GAS: Final = 500_000
"""Gas limit of finalizing, where the outcome is a refusal."""

INITIATE_GAS: Final = 200_000
"""Gas limit of initiating on the L2."""

GAME_DEADLINE_S: Final = 120.0
"""A claim that covers a new withdrawal is there by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provable:
    """A real withdrawal, and the true game under which it is proven."""

    message: MessagePassed
    """The withdrawal."""
    game_index: int
    """Number of the game in the factory."""
    output: Output
    """Preimage of the game's claim."""
    nodes: tuple[bytes, ...]
    """Proof of the withdrawal's slot."""

    def call(self) -> bytes:
        """The Portal's call that proves it."""
        return prove_withdrawal(
            self.message,
            game_index=self.game_index,
            output=self.output.encode(),
            nodes=self.nodes,
        )


def withdraw(stage: Stage, target: Address, value_wei: int) -> tuple[MessagePassed, int]:
    """Initiate a withdrawal on the L2: the message, and the L2 block that holds it."""
    sender = Actor(stage, stage.account(), stage.l2, L2_CHAIN_ID)
    sent = sender.send(
        MESSAGE_PASSER,
        initiate_withdrawal(target, gas_limit=TARGET_GAS),
        value_wei=value_wei,
        gas=INITIATE_GAS,
        tip_wei=1,
    )
    receipt = sender.receipt(sent)
    for log in logs_of(receipt, MESSAGE_PASSER, MESSAGE_PASSED):
        message = read_message_passed(log.topics, log.data)
        if message is not None:
            return message, receipt.block
    raise AttackFailed(f"{sent} withdrew nothing on the L2")


def provable(stage: Stage, message: MessagePassed, block: int) -> Provable:
    """Wait for a true game that covers a withdrawal. Raises AttackFailed."""

    def look() -> tuple[Address, int] | None:
        game = newest_true_game(stage)
        if game is None:
            return None
        covered = read_number(stage, game, disputes.ask("l2SequenceNumber"))
        return (game, covered) if covered >= block else None

    game, covered = stage.until("a game that covers the withdrawal", look, GAME_DEADLINE_S)
    slot = sent_messages_slot(message.withdrawal_hash)
    nodes = storage_proof(stage.l2, MESSAGE_PASSER, slot, covered)
    return Provable(
        message=message,
        game_index=game_number(stage, game),
        output=output_at(stage.l2, covered),
        nodes=tuple(whole_proof(slot, nodes)),
    )
