"""The witness budget: how much of the parent's state a block may touch, so that STEP can be given all of it.

    W = sum of |n| over N + sum of |c| over C + 532 |D|

N: the distinct nodes referred to by hash on the paths, in the *parent* state's tries, of every touched account and slot,
present or absent. Touched is what execution asks of the database, reverted frames included; BLOCKHASH(n), n not the
parent, touches slot n mod 8191 of the EIP-2935 contract. C: the distinct codes asked for by hash; code created in the
block is not. D: slots that a transaction turns from non-zero to zero, and accounts that one removes.

W is compared at each touch, and for D before a commit. The engine's meter counts; this module says what every block
starts from, what a deposit may add and what given sets weigh.
Deliberately absent: walking tries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from node.contracts.addresses import FEE_VAULTS, L1_BLOCK, MESSAGE_PASSER
from node.eth.primitives import Address
from node.rollup.deposits import Deposit

BLOCK_HASHES: Final = Address(bytes.fromhex("0000f90827f1c53a10cb7a02335b175320002935"))
"""Keeps block hashes (EIP-2935)."""

BEACON_ROOTS: Final = Address(bytes.fromhex("000f3df6d732807ef1319fb7b8bb8522d0beac02"))
"""Keeps parent beacon block roots (EIP-4788)."""

SYSTEM_ADDRESS: Final = Address(bytes.fromhex("fffffffffffffffffffffffffffffffffffffffe"))
"""Calls both of them before a block's transactions."""

RING_SLOTS: Final = 8_191
"""Slots of each ring of the two system contracts."""

L1_BLOCK_SLOTS: Final = (0, 1, 2, 3, 4, 7, 8)
"""Slots of L1Block that op-revm or the attributes deposit touches."""

CLEARED_BYTES: Final = 532
"""What one removal may add: when a branch loses all but one child, that sibling must be read; a full branch has 532."""

DEPOSIT_ALLOWANCE_BYTES: Final = 4_096
"""What each deposit may add whatever its gas: its sender, its target and a transfer."""

DEPOSIT_ALLOWANCE_PER_1000_GAS: Final = 49
"""Bytes a deposit may add for each 1,000 gas of its limit."""


def always_touched(
    number: int, timestamp: int, deposits: Iterable[Deposit]
) -> Mapping[Address, frozenset[int]]:
    """List what block `number` touches before it begins: accounts, with their slots; charged first."""
    touched: dict[Address, frozenset[int]] = {
        deposit.sender: frozenset[int]() for deposit in deposits
    }
    place = timestamp % RING_SLOTS
    return touched | {
        SYSTEM_ADDRESS: frozenset(),
        BLOCK_HASHES: frozenset({(number - 1) % RING_SLOTS}),
        BEACON_ROOTS: frozenset({place, place + RING_SLOTS}),
        L1_BLOCK: frozenset(L1_BLOCK_SLOTS),
        MESSAGE_PASSER: frozenset(),
        **dict.fromkeys(FEE_VAULTS, frozenset[int]()),
    }


def witness_bytes(nodes: Iterable[bytes], codes: Iterable[bytes], cleared: int) -> int:
    """Weigh the sets N and C and the size of D; a node or code counts once."""
    return (
        sum(len(node) for node in set(nodes))
        + sum(len(code) for code in set(codes))
        + CLEARED_BYTES * cleared
    )


def deposit_allowance_bytes(gas: int) -> int:
    """Compute how much a deposit of this gas limit may add to W; crossing it, the deposit fails.

    Its mint stays, its nonce moves, and what it touched stays counted.
    """
    return DEPOSIT_ALLOWANCE_BYTES + DEPOSIT_ALLOWANCE_PER_1000_GAS * gas // 1_000
