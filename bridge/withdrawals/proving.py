"""The two calls that settle a withdrawal, made from what this process derived itself. PURE.

    withdrawal, L2 header of the game's block, storage proof -> prove_call -> Portal.proveWithdrawalTransaction
    withdrawal, who proved it                                -> finalize_call -> finalizeWithdrawalTransactionExternalProof

A proof counts for its submitter, and anybody may finalize on it once it is old enough.
Deliberately absent: reading the L2's state (the engine), encoding (node.contracts.withdrawals), and sending.
"""

from __future__ import annotations

from collections.abc import Sequence

from node.contracts.bindings import MessagePassed
from node.contracts.withdrawals import finalize_withdrawal, prove_withdrawal, whole_proof
from node.eth.headers import Header
from node.eth.primitives import Address
from node.rollup.outputs import output_of, sent_messages_slot


def prove_call(
    message: MessagePassed, game_index: int, header: Header, nodes: Sequence[bytes]
) -> bytes:
    """Prove a withdrawal under a game.

    Args:
        message: the withdrawal.
        game_index: the game's place in the factory.
        header: of the L2 block whose output the game claims.
        nodes: of the storage proof of `sentMessages[hash]` in the message passer after that block, as `eth_getProof` gives them.
    """
    return prove_withdrawal(
        message,
        game_index=game_index,
        output=output_of(header).encode(),
        nodes=whole_proof(sent_messages_slot(message.withdrawal_hash), nodes),
    )


def finalize_call(message: MessagePassed, submitter: Address) -> bytes:
    """Finalize a withdrawal on somebody's proof."""
    return finalize_withdrawal(message, submitter=submitter)
