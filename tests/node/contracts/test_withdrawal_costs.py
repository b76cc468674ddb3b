"""What withdrawals cost on L1, to the gas, with the real games: the figures of node/contracts/README.md.

Gas is the same on every machine, so a change of a figure is a change of a contract or of the compiler: write it down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from node.contracts import addresses
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32
from node.rollup.outputs import sent_messages_slot
from tests.kit.contract_network import GUARDIAN
from tests.kit.contract_world import Receipt
from tests.kit.execution_chain import DEPOSITOR, SENDER, address_of
from tests.kit.gas import check_gas
from tests.kit.tries import Trie
from tests.kit.withdrawal_world import transaction, words
from tests.kit.withdrawing import LAST, Withdrawing

RICH: Final = address_of(DEPOSITOR)
"""An account that exists."""

NOISE: Final = bytes(1 + at % 255 for at in range(1_024))
"""Calldata without a zero."""

ONE: Final = b"\x01"
"""RLP of one."""


def full_trie(key: bytes, depth: int) -> Trie:
    """A trie whose branches on a key's way are full to that depth: about 16^depth messages."""
    digits = key.hex()
    others = []
    for shared in range(depth):
        for digit in "0123456789abcdef":
            if digit != digits[shared]:
                rest = keccak256(f"{shared}{digit}".encode()).hex()
                others.append(bytes.fromhex((digits[:shared] + digit + rest)[:64]))
    return Trie(dict.fromkeys([key, *others], ONE))


def prove(depth: int, *, data: bytes = b"", again: bool = False) -> Callable[[], Receipt]:
    """A proof under a claimed output with a trie of that depth."""

    def run() -> Receipt:
        it = Withdrawing.open(data=data)
        slot = sent_messages_slot(it.message.withdrawal_hash)
        trie = full_trie(keccak256(slot), depth)
        output = replace(it.output(), message_passer_root=Hash32(trie.root))
        it.world.game(LAST, wrong={LAST: output.root()})
        arguments = (transaction(it.message), 0, words(output), trie.proof(keccak256(slot)))
        portal, world = it.portal, it.world.network.world
        receipt = world.transact(SENDER, portal, "proveWithdrawalTransaction", *arguments)
        if again:
            receipt = world.transact(SENDER, portal, "proveWithdrawalTransaction", *arguments)
        return receipt

    return run


def finalize(
    target: Address, *, value: int = 10**18, data: bytes = b"", is_external: bool = False
) -> Callable[[], Receipt]:
    """A settlement under a game that was won."""

    def run() -> Receipt:
        it = Withdrawing.open(target=target, value=value, data=data)
        game = it.world.game(LAST)
        it.prove(0)
        it.win(game)
        it.mature()
        if not is_external:
            return it.finalize()
        return it.world.network.world.transact(
            SENDER,
            it.portal,
            "finalizeWithdrawalTransactionExternalProof",
            transaction(it.message),
            address_of(DEPOSITOR),
        )

    return run


def pause(name: str) -> Callable[[], Receipt]:
    """The guardian's act."""

    def run() -> Receipt:
        network = Withdrawing.open().world.network
        acts = ["pause", "unpause"]
        receipts = [
            network.world.transact(GUARDIAN, network.system_config, act, bytes(20)) for act in acts
        ]
        return receipts[acts.index(name)]

    return run


GAS: Final[dict[str, tuple[Callable[[], Receipt], int]]] = {
    "prove, the only message": (prove(0), 170_846),
    "prove, about 4,000 messages": (prove(3), 226_203),
    "prove, about 1M messages": (prove(5), 263_121),
    "prove, about 1M messages, 1 KiB": (prove(5, data=NOISE), 279_988),
    "prove again": (prove(3, again=True), 192_003),
    "finalize, to a new account": (finalize(Address(b"\x7a" * 20)), 137_094),
    "finalize, to an account": (finalize(RICH), 109_594),
    "finalize, to an account, 1 KiB": (finalize(RICH, data=NOISE), 126_604),
    "finalize, another's proof": (finalize(RICH, is_external=True), 112_507),
    "pause": (pause("pause"), 44_692),
    "unpause": (pause("unpause"), 22_709),
}
"""Each call, and what it costs."""


@pytest.mark.parametrize(("call", "gas"), GAS.values(), ids=list(GAS))
def test_gas_is_what_the_readme_says(call: Callable[[], Receipt], gas: int) -> None:
    check_gas(call(), gas)


def test_the_longest_proof_fits_a_transaction_many_times() -> None:
    """Given the deepest trie that keys of 32 bytes allow, full at every branch, then proving costs under 3M gas."""
    it = Withdrawing.open(data=b"\x5a" * 20_000)
    slot = sent_messages_slot(it.message.withdrawal_hash)
    key = keccak256(slot)
    trie = full_trie(key, 64)
    nodes = trie.proof(key)
    assert len(nodes) == 65
    output = replace(it.output(), message_passer_root=Hash32(trie.root))
    it.world.game(LAST, wrong={LAST: output.root()})
    arguments = (transaction(it.message), 0, words(output), nodes)
    receipt = it.world.network.world.transact(
        SENDER, it.portal, "proveWithdrawalTransaction", *arguments
    )
    assert receipt.gas_used < 3_000_000
    assert it.world.network.world.balance(addresses.PORTAL) == it.locked_wei()
