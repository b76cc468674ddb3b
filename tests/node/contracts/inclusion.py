"""Storage proofs to put before the Portal: one message, the tries that hold it, and the Portal as their judge.

Every trie here is one that a game could claim; every change is sealed anew, so that only its encoding is at fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from node.contracts.bindings import MessagePassed
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32
from node.rollup.outputs import (
    BridgeWithdrawal,
    Output,
    message_nonce,
    sent_messages_slot,
    withdrawal_hash,
)
from tests.kit.contract_world import Reverted
from tests.kit.execution_chain import DEPOSITOR, SENDER, address_of
from tests.kit.tries import (
    NIBBLES,
    Trie,
    nibbles_of,
)
from tests.kit.withdrawal_world import WithdrawalWorld, game_address, slot_of, transaction, words

REFUSED: Final = "OptimismPortal_InvalidMerkleProof"
"""What is no proof gets."""


ONE: Final = b"\x01"
"""RLP of the value of a message that was sent."""


WITHDRAWAL: Final = BridgeWithdrawal(
    nonce=message_nonce(0),
    sender=address_of(DEPOSITOR),
    target=Address(b"\x7a" * 20),
    value=0,
    gas_limit=21_000,
    data=b"",
)
"""What is proven."""


SLOT: Final = sent_messages_slot(withdrawal_hash(WITHDRAWAL))
"""Its slot."""


KEY: Final = bytes(keccak256(SLOT))
"""Its key in the trie."""


MESSAGE: Final = MessagePassed(
    nonce=WITHDRAWAL.nonce,
    sender=WITHDRAWAL.sender,
    target=WITHDRAWAL.target,
    value=0,
    gas_limit=WITHDRAWAL.gas_limit,
    data=b"",
    withdrawal_hash=withdrawal_hash(WITHDRAWAL),
)
"""The same as the passer logs it."""


@dataclass(slots=True)
class Judge:
    """The Portal, asked about proofs under any root."""

    world: WithdrawalWorld
    """One game stands, and claims what it is told."""

    @classmethod
    def open(cls) -> Judge:
        """A chain with one game."""
        world = WithdrawalWorld.open(games=1)
        world.open_game(bytes(32))
        return cls(world)

    def refusal(self, root: bytes, nodes: Sequence[bytes]) -> str | None:
        """Why a proof under a root does not count; None if it does."""
        output = Output(
            state_root=Hash32(b"\x51" * 32),
            message_passer_root=Hash32(root),
            block_hash=Hash32(b"\x52" * 32),
        )
        claim = {slot_of("rootClaim()"): int.from_bytes(output.root())}
        self.world.tell(game_address(0), claim)
        portal = self.world.network.portal
        data = portal.input(
            "proveWithdrawalTransaction", transaction(MESSAGE), 0, words(output), list(nodes)
        )
        try:
            answer = self.world.world.ask(portal, data, sender=address_of(SENDER))
        except Reverted as reverted:
            return reverted.name
        assert answer == b""
        return None


JUDGE: Final = Judge.open()
"""Asked by every test: it keeps nothing from one question to the next."""


def beside(shared: int, number: int = 0) -> bytes:
    """A key that shares exactly so many nibbles with the message's, and little behind them."""
    digits = nibbles_of(KEY)
    other = f"{(int(digits[shared], 16) + 1 + number) % 16:x}"
    rest = "".join(f"{15 - int(digit, 16):x}" for digit in digits[shared + 1 :])
    return bytes.fromhex(digits[:shared] + other + rest)


TWO: Final = b"\x02"
"""RLP of what no message has, for other entries."""


ALONE: Final = Trie({KEY: ONE})
"""A leaf."""


SHALLOW: Final = Trie({KEY: ONE, beside(0): ONE, beside(0, 3): ONE})
"""A branch and a leaf."""


EXTENDED: Final = Trie({KEY: ONE, beside(5): ONE, beside(0): ONE, beside(2): ONE})
"""Two branches, an extension, a branch, a leaf."""


INLINED: Final = Trie({KEY: ONE, beside(40): ONE, beside(0): ONE})
"""A branch, an extension, a branch that holds the leaf."""


DEEPEST: Final = Trie({KEY: ONE, **{beside(depth): TWO for depth in range(NIBBLES)}})
"""Sixty-four branches, those at the end within their parents, and a leaf."""


WIDE: Final = Trie(
    {KEY: ONE, **{beside(depth, number): ONE for depth in (0, 1, 2) for number in range(15)}}
)
"""Full branches."""


TRIES: Final = {
    "alone": ALONE,
    "shallow": SHALLOW,
    "extended": EXTENDED,
    "inlined": INLINED,
    "deepest": DEEPEST,
    "wide": WIDE,
}
