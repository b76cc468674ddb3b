"""The two calls that settle a withdrawal, made from what this process derived itself. PURE.

    withdrawal, L2 header of the game's block, storage proof -> prove_call -> Portal.proveWithdrawalTransaction
    withdrawal, who proved it                                -> finalize_call -> finalizeWithdrawalTransactionExternalProof

A proof counts for its submitter, and anybody may finalize on it: so what a user has proven is not proven again.
Deliberately absent: reading the L2's state (the engine), and sending.
"""

from __future__ import annotations

from collections.abc import Sequence

from node.contracts.abi import encode_call
from node.contracts.bindings import MessagePassed
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.headers import Header
from node.eth.primitives import Address, Hash32
from node.rollup.outputs import OUTPUT_VERSION, output_of, sent_messages_slot

_TRANSACTION = "(uint256,address,address,uint256,uint256,bytes)"
_BRANCH_ITEMS = 17


def prove_call(
    message: MessagePassed, game_index: int, header: Header, nodes: Sequence[bytes]
) -> bytes:
    """Prove a withdrawal under a game.

    Args:
        message: the withdrawal.
        game_index: the game's place in the factory.
        header: of the L2 block whose output the game claims.
        nodes: of the storage proof of `sentMessages[hash]` in the message passer after that block.
    """
    output = output_of(header)
    return encode_call(
        f"proveWithdrawalTransaction({_TRANSACTION},uint256,(bytes32,bytes32,bytes32,bytes32),bytes[])",
        _transaction(message),
        game_index,
        (OUTPUT_VERSION, output.state_root, output.message_passer_root, output.block_hash),
        with_inlined_node(message.withdrawal_hash, nodes),
    )


def finalize_call(message: MessagePassed, submitter: Address) -> bytes:
    """Finalize a withdrawal on somebody's proof."""
    return encode_call(
        f"finalizeWithdrawalTransactionExternalProof({_TRANSACTION},address)",
        _transaction(message),
        submitter,
    )


def with_inlined_node(name: Hash32, nodes: Sequence[bytes]) -> list[bytes]:
    """Append the leaf that a last branch holds inside itself: the Portal wants it as an element of its own, as viem sends it."""
    if not nodes:
        return []
    last = rlp.decode(nodes[-1])
    path = keccak256(sent_messages_slot(name)).hex()
    if isinstance(last, bytes) or len(last) != _BRANCH_ITEMS:
        return list(nodes)
    for item in last:
        if isinstance(item, bytes) or not isinstance(item[0], bytes):
            continue
        # Below its first nibble, which names the kind of node, a leaf's key ends as the path does.
        if path.endswith(item[0].hex()[1:]):
            return [*nodes, rlp.encode(item)]
    return list(nodes)


def _transaction(message: MessagePassed) -> tuple[int, bytes, bytes, int, int, bytes]:
    return (
        message.nonce,
        message.sender,
        message.target,
        message.value,
        message.gas_limit,
        message.data,
    )
