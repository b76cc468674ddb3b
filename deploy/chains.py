"""A chain as a command sees it: any process that answers, and transactions of the funded accounts.

    question -> Chain.ask -> the first process that answers
    call, account -> transact -> estimate, nonce, fees, signature -> hash -> receipt_of

Deliberately absent: any key but those of the funded accounts, and a loop: commands poll.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

from eth_account import Account as EthAccount
from pydantic import JsonValue

from deploy.accounts import FundedAccount
from deploy.json_rpc import RpcRefused, RpcUnavailable, call

ETHER_DECIMALS: Final = 18
"""Decimals of ETH."""

PRIORITY_FEE_WEI: Final = 10**9
"""Tip for each gas on L1."""

GAS_MARGIN: Final = 1.5
"""Gas limit over the estimate: what a deposit burns depends on what else its block holds."""

LOOK_EVERY_S: Final = 0.25
"""How often the chains are asked."""

SEARCHED_BLOCKS: Final = 50_000
"""Blocks whose logs are asked for at once; nodes refuse more than 100,000."""

BEHIND_BLOCKS: Final = 8
"""How far whoever answers next may be behind: numbers above a node's head are refused."""

RECEIPT_DEADLINE_S: Final = 120.0
"""A transaction that is in no block by then is given up on."""


class TransactionFailed(Exception):
    """A transaction that reverted or stays in no block; the message says which."""


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

    def logs(
        self, address: str, topics: Sequence[JsonValue], *, newest_first: bool = False
    ) -> Iterator[dict[str, JsonValue]]:
        """A contract's logs with these topics, in order. Raises RpcUnavailable, RpcRefused."""
        head = quantity(self.ask("eth_blockNumber"))
        firsts = range(0, max(1, head + 1 - BEHIND_BLOCKS), SEARCHED_BLOCKS)
        for first in reversed(firsts) if newest_first else firsts:
            last = first + SEARCHED_BLOCKS - 1
            portion = self.ask(
                "eth_getLogs",
                {
                    "address": address,
                    "fromBlock": hex(first),
                    "toBlock": "latest" if first == firsts[-1] else hex(last),
                    "topics": list(topics),
                },
            )
            assert isinstance(portion, list)
            found = [json_object(log) for log in portion]
            yield from reversed(found) if newest_first else found

    def read(self, to: str, data: bytes) -> bytes:
        """What a contract answers on the head. Raises RpcUnavailable, RpcRefused."""
        request: dict[str, JsonValue] = {"to": to, "data": "0x" + data.hex()}
        return hex_bytes(self.ask("eth_call", request, "latest"))


def transact(
    chain: Chain, sender: FundedAccount, to: str, data: bytes, *, value_wei: int = 0
) -> str:
    """Sign and send a call; gives the transaction's hash. Raises RpcRefused, RpcUnavailable."""
    request: dict[str, JsonValue] = {
        "from": sender.address,
        "to": to,
        "value": hex(value_wei),
        "data": "0x" + data.hex(),
    }
    gas = quantity(chain.ask("eth_estimateGas", request))
    head = json_object(chain.ask("eth_getBlockByNumber", "latest", False))
    signed = EthAccount.sign_transaction(
        {
            "chainId": quantity(chain.ask("eth_chainId")),
            "type": 2,
            "nonce": quantity(chain.ask("eth_getTransactionCount", sender.address, "pending")),
            "to": hex_bytes(to),
            "value": value_wei,
            "gas": int(gas * GAS_MARGIN),
            "maxFeePerGas": 2 * quantity(head["baseFeePerGas"]) + PRIORITY_FEE_WEI,
            "maxPriorityFeePerGas": PRIORITY_FEE_WEI,
            "data": "0x" + data.hex(),
        },
        sender.private_key,
    )
    return str(chain.ask("eth_sendRawTransaction", "0x" + bytes(signed.raw_transaction).hex()))


def receipt_of(
    chain: Chain, transaction: str, deadline_s: float = RECEIPT_DEADLINE_S
) -> dict[str, JsonValue]:
    """Wait for a transaction's receipt. Raises TransactionFailed, RpcRefused, RpcUnavailable."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        receipt = chain.ask("eth_getTransactionReceipt", transaction)
        if isinstance(receipt, dict):
            if receipt["status"] != "0x1":
                raise TransactionFailed(f"{transaction} reverted")
            return receipt
        wait_a_moment()
    raise TransactionFailed(f"{transaction} is in no block after {deadline_s:.0f} s")


def logs_of(
    receipt: Mapping[str, JsonValue], address: str, topic: bytes
) -> list[dict[str, JsonValue]]:
    """The logs of one contract in a receipt with this first topic."""
    logs = receipt["logs"]
    assert isinstance(logs, list)
    found = []
    for log in logs:
        entry = json_object(log)
        topics = entry["topics"]
        assert isinstance(topics, list)
        if str(entry["address"]).lower() == address.lower() and topics[:1] == ["0x" + topic.hex()]:
            found.append(entry)
    return found


def topics_of(log: Mapping[str, JsonValue]) -> list[bytes]:
    """A log's topics."""
    topics = log["topics"]
    assert isinstance(topics, list)
    return [hex_bytes(topic) for topic in topics]


def wait_a_moment() -> None:
    """Let the chains go on."""
    time.sleep(LOOK_EVERY_S)  # noqa: TID251  # a command without a loop


def units_of(amount: str, decimals: int = ETHER_DECIMALS, unit: str = "ETH") -> int:
    """Read an amount of ETH or of a token, in its smallest units. Raises ValueError."""
    try:
        units = Decimal(amount) * 10**decimals
    except InvalidOperation:
        raise ValueError(f"found {amount!r}, wanted {unit} as a decimal number") from None
    if not units.is_finite() or units != units.to_integral_value() or not 0 < units < 2**128:
        smallest = "wei" if unit == "ETH" else f"units of {decimals} decimals"
        raise ValueError(f"found {amount!r}, wanted more than 0 {unit}, in whole {smallest}")
    return int(units)


def refusal_of(error: RpcRefused) -> str:
    """What a chain refused, with its revert data if there is any."""
    data = error.data if isinstance(error.data, str) and len(error.data) <= 138 else None
    return f"{error} ({data})" if data not in (None, "0x") else str(error)


def json_object(value: JsonValue) -> dict[str, JsonValue]:
    """An object of an answer."""
    assert isinstance(value, dict)
    return value


def quantity(value: JsonValue) -> int:
    """A number of an answer."""
    assert isinstance(value, str)
    return int(value, 16)


def hex_bytes(value: JsonValue) -> bytes:
    """Bytes of an answer."""
    assert isinstance(value, str)
    return bytes.fromhex(value.removeprefix("0x"))
