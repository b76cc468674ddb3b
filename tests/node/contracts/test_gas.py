"""What calls of the contracts cost, to the gas: the figures of node/contracts/README.md.

Gas is the same on every machine, so a change of a figure is a change of a contract or of the compiler: write it down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from node.contracts import addresses
from tests.kit.contract_network import BATCHER, FORCER, WINDOW, Network
from tests.kit.contract_world import Receipt
from tests.kit.execution_chain import DEPOSITOR, SENDER
from tests.kit.gas import check_gas

NOISE: Final = b"".join(bytes([17 + at % 239]) for at in range(32_768))
"""Batch bytes without a zero, as compressed data has almost none."""

TRANSACTION_GAS: Final = 21_000
ZERO_DISCOUNT: Final = 12
"""What a byte of calldata is cheaper for if it is zero."""

FLOOR_GAS: Final = 40
"""Of a byte of calldata that is not zero (EIP-7623)."""


def opened(blocks: int) -> Network:
    """A chain, and one record and one deposit, so that counters are not new any more."""
    network = Network.open()
    network.pass_blocks(blocks)
    network.append(b"", first_block=1, block_count=1, origin=0)
    network.world.send(DEPOSITOR, addresses.PORTAL, value=1)
    network.pass_blocks(1)
    return network


def append(size: int, advances: int) -> Callable[[], Receipt]:
    """One batch."""

    def run() -> Receipt:
        network = opened(300)
        return network.append(
            NOISE[:size], first_block=2, block_count=max(advances, 1), origin=advances
        )

    return run


def force(advances: int) -> Callable[[], Receipt]:
    """One forced record."""

    def run() -> Receipt:
        network = opened(300 + WINDOW)
        return network.world.transact(FORCER, network.inbox, "forceEmpty", advances)

    return run


def anchor(count: int) -> Callable[[], Receipt]:
    """Headers of recent blocks; older ones cost the same."""

    def run() -> Receipt:
        network = opened(300)
        headers = [network.header(250 - at) for at in range(count)]
        receipt = network.world.transact(FORCER, network.inbox, "anchorHeaders", 250, headers)
        # Hashes of another genesis have zeros elsewhere: as if no byte of theirs was one.
        zeros = b"".join(headers).count(0)
        return replace(receipt, gas_used=receipt.gas_used + ZERO_DISCOUNT * zeros)

    return run


def deposit(gas: int, data: bytes) -> Callable[[], Receipt]:
    """One deposit with Ether."""

    def run() -> Receipt:
        network = opened(3)
        return network.world.transact(
            DEPOSITOR,
            network.portal,
            "depositTransaction",
            b"\x7a" * 20,
            10**18,
            gas,
            False,
            data,
            value=10**18,
        )

    return run


def payment(target: bytes, data: bytes = b"", *, value: int = 10**18) -> Callable[[], Receipt]:
    """A payment, after an equal one."""

    def run() -> Receipt:
        network = opened(3)
        network.world.send(SENDER, target, data, value=value)
        return network.world.send(SENDER, target, data, value=value)

    return run


PASSER: Final = Network.open().passer

GAS: Final[dict[str, tuple[Callable[[], Receipt], int]]] = {
    "append, 100 bytes, 1 origin": (append(100, 1), 179_789),
    "append, 1 KiB, 1 origin": (append(1_024, 1), 202_254),
    "append, 32 KiB, 1 origin": (append(32_768, 1), 1_334_910),
    "append, 32 KiB, 256 origins": (append(32_768, 256), 1_719_661),
    "forceEmpty, 1 origin": (force(1), 146_626),
    "forceEmpty, 256 origins": (force(256), 877_966),
    "anchorHeaders, 1 header": (anchor(1), 90_571),
    "anchorHeaders, 128 headers": (anchor(128), 4_331_801),
    "depositTransaction, 21,000 gas": (deposit(21_000, b""), 85_589),
    "depositTransaction, 200,000 gas, 100 bytes": (deposit(200_000, NOISE[:100]), 252_965),
    "depositTransaction, 1.4M gas, 32 KiB": (deposit(1_400_000, NOISE), 1_996_120),
    "payment to the Portal": (payment(addresses.PORTAL), 121_571),
    "payment to the message passer": (payment(addresses.MESSAGE_PASSER), 57_554),
    "initiateWithdrawal, 100 bytes": (
        payment(
            addresses.MESSAGE_PASSER,
            PASSER.input("initiateWithdrawal", b"\x7a" * 20, 100_000, NOISE[:100]),
        ),
        70_772,
    ),
    "burn": (payment(addresses.MESSAGE_PASSER, PASSER.input("burn"), value=0), 59_455),
    "payment to WETH": (payment(addresses.WETH), 27_644),
}
"""Each call, and what it costs."""


@pytest.mark.parametrize(("call", "gas"), GAS.values(), ids=list(GAS))
def test_gas_is_what_the_readme_says(call: Callable[[], Receipt], gas: int) -> None:
    check_gas(call(), gas)


def test_a_full_batch_costs_no_more_than_its_calldata() -> None:
    """Given 32 KiB, then EIP-7623's floor is what is paid: the log that nodes read is free."""
    network = opened(3)
    data = network.inbox.input("append", NOISE, 2, 1, 1, network.accumulator())
    zeros = data.count(0)
    floor = TRANSACTION_GAS + FLOOR_GAS * (len(data) - zeros) + FLOOR_GAS // 4 * zeros
    receipt = network.world.send(BATCHER, addresses.INBOX, data)
    assert receipt.succeeded
    assert receipt.gas_used == floor


def test_a_search_among_many_records_is_cheap() -> None:
    """Given 500 records, then `recordOf` answers within 30,000 gas: nine steps of one cold slot."""
    network = Network.open()
    for number in range(500):
        network.append(b"", first_block=number + 1, block_count=1, origin=0)
    answer = network.world.read(network.inbox, "recordOf", 321, gas=21_000 + 200 + 30_000)
    assert answer == 320
