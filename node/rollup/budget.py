"""The witness budget: how much of the parent's state a block may touch, so that STEP can be given all of it.

    W = sum of |n| over N + sum of |c| over C + 532 |D|

N: the distinct nodes referred to by hash on the paths, in the *parent* state's tries, of every touched account and slot,
present or absent. Touched is what execution asks of the database, reverted frames included; BLOCKHASH(n), n not the
parent, touches slot n mod 8191 of the EIP-2935 contract. C: the distinct codes asked for by hash; code created in the
block is not. D: slots that a transaction turns from non-zero to zero, and accounts that one removes.

Nothing is read that might not fit: a node only while 532 bytes of room are left, a code only while its length (of a code
in the genesis file) or 24,576 bytes are left, D only whole and before a commit. So W never passes the limit, and what
proves that a transaction was stopped is within the limit as well.
The engine's meter counts; this module says what every block starts from, how much room who has, and what sets weigh.
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

L1_BLOCK_SLOTS: Final = range(9)
"""Slots of L1Block that op-revm reads or the attributes deposit writes."""

NODE_BYTES_MAX: Final = 532
"""Longest trie node, a branch with sixteen hashes; also what one removal may add, because it may read one sibling."""

CODE_BYTES_MAX: Final = 24_576
"""Longest code (EIP-170)."""

DEPOSIT_ALLOWANCE_BYTES: Final = 3_072
"""What each user deposit may add whatever its gas: its target and a transfer."""

DEPOSIT_ALLOWANCE_PER_1000_GAS: Final = 42
"""Bytes a user deposit may add besides for each 1,000 gas of its limit."""


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
        + NODE_BYTES_MAX * cleared
    )


def room_bytes(limit: int, counted: int) -> int:
    """Compute how much more the attributes deposit or a user transaction may add to W."""
    return max(0, limit - counted)


def deposit_allowance_bytes(gas: int) -> int:
    """Compute how much a user deposit of this gas limit may add to W."""
    return DEPOSIT_ALLOWANCE_BYTES + DEPOSIT_ALLOWANCE_PER_1000_GAS * gas // 1_000


def deposit_room_bytes(limit: int, counted: int, added: int, gas: int, *, spilled: bool) -> int:
    """Compute how much more a user deposit may add to W, of which it has added so much itself.

    Once in a block, one deposit may ask for a code of unknown length that is longer than its room ("spill"); until then
    24,576 bytes are kept free for that.
    """
    reserve = 0 if spilled else CODE_BYTES_MAX
    own = deposit_allowance_bytes(gas) - added
    return max(0, min(own, room_bytes(limit, counted) - reserve))
