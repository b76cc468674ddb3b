"""A deposit from L1 to L2, followed until it is seen there.

    amount, account -> depositTransaction(to, value, ...) on the Portal -> L1 receipt -> TransactionDeposited
                    -> the hash of the L2 transaction it becomes (node.rollup.deposits) -> L2 receipt

The L2 transaction's hash follows from the log and its L1 block; a reorg of L1 moves the log, so the hash is computed anew
at every look.
Deliberately absent: ERC-20 tokens, and any key but those of the test accounts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

from eth_account import Account as EthAccount
from pydantic import JsonValue

from deploy.accounts import FundedAccount
from deploy.json_rpc import RpcUnavailable, call
from deploy.published import L1_CHAIN_ID
from node.contracts.bindings import deposit_transaction
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32
from node.rollup.deposits import TRANSACTION_DEPOSITED, encode_deposit, read_log

L2_GAS: Final = 100_000
"""Gas that the deposit may use on L2: enough for a plain transfer and a wallet contract's receive function."""

PRIORITY_FEE_WEI: Final = 10**9
"""Tip for each gas on L1."""

GAS_MARGIN: Final = 1.5
"""Gas limit over the estimate: metering depends on what else a block holds."""

ARRIVAL_DEADLINE_S: Final = 300.0
"""A deposit that is not on L2 by then is given up on; the sequencing window of the default devnet is a minute."""

LOOK_EVERY_S: Final = 0.25
"""How often the chains are asked."""


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


@dataclass(frozen=True, slots=True)
class Chain:
    """One of the chains, through any of its processes that answers."""

    urls: Sequence[str]
    """JSON-RPC addresses, the preferred one first."""

    def ask(self, method: str, *parameters: JsonValue) -> JsonValue:
        """Call a method. Raises RpcUnavailable when nobody answers, RpcRefused."""
        assert self.urls, "a chain has a process"
        reasons = []
        for url in self.urls:
            try:
                return call(url, method, *parameters)
            except RpcUnavailable as error:
                reasons.append(str(error))
        raise RpcUnavailable("; ".join(reasons))


def wei_of(amount: str) -> int:
    """Read an amount of ETH. Raises ValueError."""
    try:
        wei = Decimal(amount) * 10**18
    except InvalidOperation:
        raise ValueError(f"found {amount!r}, wanted ETH as a decimal number") from None
    if not wei.is_finite() or wei != wei.to_integral_value() or not 0 < wei < 2**128:
        raise ValueError(f"found {amount!r}, wanted more than 0 ETH, in whole wei")
    return int(wei)


def send(l1: Chain, portal: str, sender: FundedAccount, to: str, value_wei: int) -> str:
    """Sign and send a deposit; gives the hash of the L1 transaction. Raises RpcRefused, RpcUnavailable."""
    call = deposit_transaction(Address(bytes.fromhex(to[2:])), value=value_wei, gas=L2_GAS)
    request: dict[str, JsonValue] = {
        "from": sender.address,
        "to": portal,
        "value": hex(value_wei),
        "data": "0x" + call.hex(),
    }
    gas = _quantity(l1.ask("eth_estimateGas", request))
    head = _object(l1.ask("eth_getBlockByNumber", "latest", False))
    signed = EthAccount.sign_transaction(
        {
            "chainId": L1_CHAIN_ID,
            "type": 2,
            "nonce": _quantity(l1.ask("eth_getTransactionCount", sender.address, "pending")),
            "to": portal,
            "value": value_wei,
            "gas": int(gas * GAS_MARGIN),
            "maxFeePerGas": 2 * _quantity(head["baseFeePerGas"]) + PRIORITY_FEE_WEI,
            "maxPriorityFeePerGas": PRIORITY_FEE_WEI,
            "data": "0x" + call.hex(),
        },
        sender.private_key,
    )
    return str(l1.ask("eth_sendRawTransaction", "0x" + bytes(signed.raw_transaction).hex()))


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
            block = _quantity(receipt["blockNumber"])
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
                    l2_block=_quantity(found["blockNumber"]),
                    succeeded=found["status"] == "0x1",
                )
        time.sleep(LOOK_EVERY_S)  # noqa: TID251  # a command without a loop
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
    logs = receipt["logs"]
    assert isinstance(logs, list)
    for log in logs:
        entry = _object(log)
        topics = entry["topics"]
        assert isinstance(topics, list)
        is_deposit = bool(topics) and topics[0] == "0x" + TRANSACTION_DEPOSITED.hex()
        if is_deposit and str(entry["address"]).lower() == portal.lower():
            return _hash_of_log(entry)
    raise DepositFailed(f"{receipt['transactionHash']} deposited nothing")


def _hash_of_log(log: dict[str, JsonValue]) -> str:
    topics = log["topics"]
    assert isinstance(topics, list)
    item = rlp.encode(
        (_quantity(log["logIndex"]), [_bytes(topic) for topic in topics], _bytes(log["data"]))
    )
    read = read_log(Hash32(_bytes(log["blockHash"])), item)
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


def _object(value: JsonValue) -> dict[str, JsonValue]:
    assert isinstance(value, dict)
    return value


def _quantity(value: JsonValue) -> int:
    assert isinstance(value, str)
    return int(value, 16)


def _bytes(value: JsonValue) -> bytes:
    assert isinstance(value, str)
    return bytes.fromhex(value.removeprefix("0x"))
