"""A deposit from L1 to L2, followed until it is seen there.

    amount, account -> depositTransaction on the Portal, or depositERC20To on the L1StandardBridge -> L1 receipt
                    -> TransactionDeposited -> the hash of the L2 transaction it becomes (node.rollup.deposits) -> L2 receipt

The L2 transaction's hash follows from the log and its L1 block; a reorg of L1 moves the log, so the hash is computed anew
at every look.
Deliberately absent: any key but those of the test accounts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from deploy.accounts import FundedAccount
from deploy.chains import (
    Chain,
    hex_bytes,
    logs_of,
    quantity,
    receipt_of,
    topics_of,
    transact,
    wait_a_moment,
)
from deploy.json_rpc import RpcUnavailable
from deploy.tokens import MESSAGE_GAS, Token, approve_call, bridge_of_l1, deposit_call
from node.contracts.addresses import L2_CROSS_DOMAIN_MESSENGER
from node.contracts.bindings import deposit_transaction
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32
from node.rollup.deposits import TRANSACTION_DEPOSITED, encode_deposit, read_log

L2_GAS: Final = 100_000
"""Gas that a deposit of ETH may use on L2: enough for a plain transfer and a wallet contract's receive function."""

L2_GAS_WITH_CODE: Final = 600_000
"""The same for a receiver with code: a deposit may touch 4,096 bytes of L2's state and 49 more for each 1,000 gas, so this buys
room for the 24 kB that a wallet contract's code may have."""

ARRIVAL_DEADLINE_S: Final = 300.0
"""A deposit that is not on L2 by then is given up on; the sequencing window of the default devnet is a minute."""

FAILED_MESSAGE: Final = keccak256(b"FailedRelayedMessage(bytes32)")
"""First topic of the messenger's log when a message's target refused it."""


class DepositFailed(Exception):
    """A deposit that was refused or did not arrive; the message says where it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A deposit that L2 holds."""

    l1_transaction: str
    """Hash of the call of the Portal."""
    l1_block: int
    """Number of the block that holds it."""
    l2_transaction: str
    """Hash of the deposit transaction."""
    l2_block: int
    """Number of the block that holds that."""
    succeeded: bool
    """Whether it did what it should; the amount is the sender's either way."""


def gas_for(l2: Chain, to: str) -> int:
    """Gas that a deposit of ETH for somebody needs on L2. Raises RpcRefused, RpcUnavailable."""
    return L2_GAS if l2.ask("eth_getCode", to, "latest") == "0x" else L2_GAS_WITH_CODE


def send(
    l1: Chain, portal: str, sender: FundedAccount, to: str, value_wei: int, gas: int = L2_GAS
) -> str:
    """Sign and send a deposit of ETH; gives the hash of the L1 transaction. Raises RpcRefused, RpcUnavailable."""
    call = deposit_transaction(Address(bytes.fromhex(to[2:])), value=value_wei, gas=gas)
    return transact(l1, sender, portal, call, value_wei=value_wei)


def send_token(l1: Chain, sender: FundedAccount, to: str, token: Token, units: int) -> str:
    """Let the bridge take tokens, and deposit them; gives the hash of the L1 transaction.

    Raises TransactionFailed, RpcRefused, RpcUnavailable.
    """
    receipt_of(l1, transact(l1, sender, token.on_l1, approve_call(units)))
    return transact(l1, sender, bridge_of_l1(), deposit_call(token, to, units, MESSAGE_GAS))


def follow(
    l1: Chain,
    l2: Chain,
    transaction: str,
    portal: str,
    tell: Callable[[str], None],
    deadline_s: float = ARRIVAL_DEADLINE_S,
) -> Arrived:
    """Wait until L2 holds what an L1 transaction deposits.

    Args:
        l1: where it was sent.
        l2: where it is to arrive.
        transaction: hash of the L1 transaction.
        portal: the Portal's address.
        tell: told of progress, a line each.
        deadline_s: how long to wait.

    Raises:
        DepositFailed: when it reverts on L1, or is not there in time.
    """
    end = time.monotonic() + deadline_s
    seen_in: tuple[int, str] | None = None
    where = "is not in an L1 block yet"
    while time.monotonic() < end:
        receipt = l1.ask("eth_getTransactionReceipt", transaction)
        if isinstance(receipt, dict):
            expected = l2_hash_of(receipt, portal)
            block = quantity(receipt["blockNumber"])
            if seen_in != (block, expected):
                seen_in = (block, expected)
                where = f"is in L1 block {block}; on L2 it will be {expected}"
                tell(f"The deposit {where}.")
            found = _look_on_l2(l2, expected)
            if found is not None:
                return Arrived(
                    l1_transaction=transaction,
                    l1_block=block,
                    l2_transaction=expected,
                    l2_block=quantity(found["blockNumber"]),
                    succeeded=found["status"] == "0x1" and not _is_refused(found),
                )
        wait_a_moment()
    raise DepositFailed(
        f"{transaction} {where}, and was not seen on L2 within {deadline_s:.0f} s; "
        "it will arrive once the L2 moves on: nobody can leave it out"
    )


def l2_hash_of(receipt: dict[str, JsonValue], portal: str) -> str:
    """The hash of the L2 transaction that an L1 receipt's deposit becomes. Raises DepositFailed."""
    if receipt["status"] != "0x1":
        raise DepositFailed(
            f"{receipt['transactionHash']} reverted on L1: too many deposits in one block, "
            "or less gas than the Portal wants"
        )
    found = logs_of(receipt, portal, TRANSACTION_DEPOSITED)
    if not found:
        raise DepositFailed(f"{receipt['transactionHash']} deposited nothing")
    return _hash_of_log(found[0])


def _is_refused(receipt: dict[str, JsonValue]) -> bool:
    """Whether the messenger on L2 holds the deposit's message back because its target refused it."""
    messenger = "0x" + L2_CROSS_DOMAIN_MESSENGER.hex()
    return bool(logs_of(receipt, messenger, FAILED_MESSAGE))


def _hash_of_log(log: dict[str, JsonValue]) -> str:
    item = rlp.encode((quantity(log["logIndex"]), topics_of(log), hex_bytes(log["data"])))
    read = read_log(Hash32(hex_bytes(log["blockHash"])), item)
    assert read is not None, "the Portal writes no other logs of this name"
    _, deposit = read
    return "0x" + keccak256(encode_deposit(deposit)).hex()


def _look_on_l2(l2: Chain, transaction: str) -> dict[str, JsonValue] | None:
    """The L2's receipt; None while there is none, and while no process of the L2 answers."""
    try:
        receipt = l2.ask("eth_getTransactionReceipt", transaction)
    except RpcUnavailable:
        return None
    return receipt if isinstance(receipt, dict) else None
