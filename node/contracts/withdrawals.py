"""What settling a withdrawal asks of the Portal: calls, answers, logs and reasons of refusal.

    MessagePassed + game + output + storage proof -> prove_withdrawal -> (waits) -> finalize_withdrawal -> logs

Deliberately absent: when which of them is due (bridge.withdrawals), and how a withdrawal is named (node.rollup.outputs).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from node.contracts.abi import Value, decode, encode_call, selector
from node.contracts.artifacts import load
from node.contracts.bindings import MessagePassed
from node.errors import Rejected
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.primitives import ZERO_ADDRESS, Address, Hash32

MAX_PROOF_NODES: Final = 65
"""Longest storage proof: sixty-four branches and a leaf."""

MAX_NODE_BYTES: Final = 532
"""Longest node: a branch of sixteen hashes."""

WITHDRAWAL_PROVEN: Final = keccak256(b"WithdrawalProven(bytes32,address,address)")
"""First topic of the Portal's log of a proof: withdrawal hash, sender, target."""

WITHDRAWAL_PROVEN_BY: Final = keccak256(b"WithdrawalProvenExtension1(bytes32,address)")
"""First topic of the log beside it: withdrawal hash, submitter."""

WITHDRAWAL_FINALIZED: Final = keccak256(b"WithdrawalFinalized(bytes32,bool)")
"""First topic of the Portal's log of a settlement: withdrawal hash; whether the target succeeded is data."""

NO_GAS: Final = "SafeCall: Not enough gas"
"""Text of the one refusal without a custom error: the target would get less gas than the withdrawal asks for."""

_TRANSACTION = "(uint256,address,address,uint256,uint256,bytes)"
_OUTPUT_WORDS = 4
_BRANCH_ITEMS = 17
_WORD = 32
_HASHED_MIN = 32
_ODD = 1
_ERROR = selector("Error(string)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenWithdrawal:
    """A proof as the Portal keeps it."""

    game: Address
    """The game that it rests on; 20 bytes."""
    timestamp: int
    """When it was submitted: seconds since the epoch of Unix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalProven:
    """Somebody proved a withdrawal."""

    withdrawal_hash: Hash32
    """Which."""
    submitter: Address
    """Whose proof it is; 20 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalFinalized:
    """A withdrawal was settled."""

    withdrawal_hash: Hash32
    """Which."""
    success: bool
    """Whether its target succeeded."""


# -- calls


def prove_withdrawal(
    message: MessagePassed, *, game_index: int, output: bytes, nodes: Sequence[bytes]
) -> bytes:
    """Show that L2 holds a withdrawal.

    Args:
        message: the withdrawal.
        game_index: number of the game in the factory.
        output: what the game's claim is the hash of; 128 bytes (`node.rollup.outputs.Output.encode`).
        nodes: storage proof of its slot, as `whole_proof` makes it.
    """
    if len(output) != _OUTPUT_WORDS * _WORD:
        raise ValueError(f"output: {len(output)} bytes, not {_OUTPUT_WORDS * _WORD}")
    words = [output[at : at + _WORD] for at in range(0, len(output), _WORD)]
    return encode_call(
        f"proveWithdrawalTransaction({_TRANSACTION},uint256,(bytes32,bytes32,bytes32,bytes32),bytes[])",
        _transaction(message),
        game_index,
        words,
        nodes,
    )


def finalize_withdrawal(message: MessagePassed, *, submitter: Address | None = None) -> bytes:
    """Call a withdrawal's target on the strength of somebody's proof; None is the caller's own."""
    if submitter is None:
        return encode_call(f"finalizeWithdrawalTransaction({_TRANSACTION})", _transaction(message))
    return encode_call(
        f"finalizeWithdrawalTransactionExternalProof({_TRANSACTION},address)",
        _transaction(message),
        submitter,
    )


def check_withdrawal(withdrawal_hash: Hash32, submitter: Address) -> bytes:
    """Ask by a refusal why a withdrawal cannot be finalized yet; no answer, if it can."""
    return encode_call("checkWithdrawal(bytes32,address)", withdrawal_hash, submitter)


def proven_withdrawal(withdrawal_hash: Hash32, submitter: Address) -> bytes:
    """Ask for somebody's proof; the answer is for `read_proven_withdrawal`."""
    return encode_call("provenWithdrawals(bytes32,address)", withdrawal_hash, submitter)


def proof_count(withdrawal_hash: Hash32) -> bytes:
    """Ask how many proofs were submitted; the answer is one word."""
    return encode_call("numProofSubmitters(bytes32)", withdrawal_hash)


def proof_submitter(withdrawal_hash: Hash32, index: int) -> bytes:
    """Ask who submitted a proof; the answer is an address in one word."""
    return encode_call("proofSubmitters(bytes32,uint256)", withdrawal_hash, index)


def is_finalized(withdrawal_hash: Hash32) -> bytes:
    """Ask whether a withdrawal is settled; the answer is 0 or 1 in one word."""
    return encode_call("finalizedWithdrawals(bytes32)", withdrawal_hash)


def is_paused() -> bytes:
    """Ask whether the guardian holds withdrawals up; the answer is 0 or 1 in one word."""
    return encode_call("paused()")


def pause(identifier: Address = ZERO_ADDRESS) -> bytes:
    """Hold withdrawals up, as the guardian, at SystemConfig; the zero address stands for every chain."""
    return encode_call("pause(address)", identifier)


def unpause(identifier: Address = ZERO_ADDRESS) -> bytes:
    """Let withdrawals go on, as the guardian, at SystemConfig."""
    return encode_call("unpause(address)", identifier)


# -- answers, logs, refusals


def read_proven_withdrawal(answer: bytes) -> ProvenWithdrawal | None:
    """Read a proof; None if there is none. Raises Rejected with an AbiReason."""
    game, timestamp = decode(("address", "uint64"), answer)
    assert isinstance(game, bytes)
    assert isinstance(timestamp, int)
    return ProvenWithdrawal(game=Address(game), timestamp=timestamp) if timestamp else None


def read_withdrawal_proven(topics: Sequence[bytes], data: bytes) -> WithdrawalProven | None:
    """Read the Portal's log of who proved what; None if it is another one."""
    if len(topics) != 3 or topics[0] != WITHDRAWAL_PROVEN_BY or data:
        return None
    try:
        name, submitter = decode(("bytes32", "address"), topics[1] + topics[2])
    except Rejected:
        return None
    assert isinstance(name, bytes)
    assert isinstance(submitter, bytes)
    return WithdrawalProven(withdrawal_hash=Hash32(name), submitter=Address(submitter))


def read_withdrawal_finalized(topics: Sequence[bytes], data: bytes) -> WithdrawalFinalized | None:
    """Read the Portal's log of a settlement; None if it is another one."""
    if len(topics) != 2 or topics[0] != WITHDRAWAL_FINALIZED or len(topics[1]) != _WORD:
        return None
    try:
        (success,) = decode(("bool",), data)
    except Rejected:
        return None
    return WithdrawalFinalized(withdrawal_hash=Hash32(topics[1]), success=success == 1)


def refusal(data: bytes) -> str:
    """Name a refusal of the Portal by its revert data: the error's name, `NO_GAS`, or nothing if it is unknown."""
    if data[:4] == _ERROR and NO_GAS.encode() in data:
        return NO_GAS
    return _errors().get(data[:4], "")


@cache
def _errors() -> dict[bytes, str]:
    names = (str(entry["name"]) for entry in load("Portal").abi if entry["type"] == "error")
    return {selector(f"{name}()"): name for name in names}


# -- proofs


def whole_proof(slot: Hash32, nodes: Sequence[bytes]) -> list[bytes]:
    """Add the leaf that lies in its parent, which `eth_getProof` leaves out and the Portal wants as a node of its own.

    Args:
        slot: which slot the proof is of; 32 bytes.
        nodes: its proof as the engine gives it.

    Raises Rejected with an EncodingReason if the last node is none.
    """
    whole = list(nodes)
    if not whole:
        return whole
    items = rlp.spans(whole[-1])
    if len(items) != _BRANCH_ITEMS:
        return whole
    key = keccak256(slot).hex()
    for index, (is_list, start, _, end) in enumerate(items):
        if is_list and _leads_to(whole[-1][start:end], key, index):
            whole.append(whole[-1][start:end])
            break
    return whole


def _leads_to(leaf: bytes, key: str, index: int) -> bool:
    """Whether a leaf in a branch, below the nibble of that index, is the key's."""
    path = rlp.as_bytes(rlp.as_list(rlp.decode(leaf), 2)[0])
    if len(leaf) >= _HASHED_MIN or not path:
        return False
    suffix = path.hex()[1 if path[0] >> 4 & _ODD else 2 :]
    return key.endswith(f"{index:x}{suffix}")


def _transaction(message: MessagePassed) -> tuple[Value, ...]:
    return (
        message.nonce,
        message.sender,
        message.target,
        message.value,
        message.gas_limit,
        message.data,
    )
