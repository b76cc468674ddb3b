"""One message of a real L2 on its way through the real contracts: claimed, proven, won, finalized.

Withdrawing.open() -> world.game(LAST) -> prove -> win -> mature -> finalize
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from node.contracts import addresses
from node.contracts.bindings import MessagePassed, initiate_withdrawal
from node.contracts.withdrawals import whole_proof
from node.eth.headers import decode_header
from node.eth.primitives import Address
from node.rollup.outputs import (
    BridgeWithdrawal,
    Output,
    message_nonce,
    output_of,
    sent_messages_slot,
    withdrawal_hash,
)
from tests.kit.contract_network import GUARDIAN, WITHDRAWALS
from tests.kit.contract_world import Contract, Receipt
from tests.kit.dispute_world import CHALLENGE_WINDOW, DEFENDER_WINS, DisputeWorld, Game
from tests.kit.execution_chain import DEPOSITOR, ETHER, SENDER, address_of, header_bytes
from tests.kit.rollup_chain import sign_l2
from tests.kit.withdrawal_world import transaction, words

TARGET: Final = Address(b"\x7a" * 20)
"""Nothing is there."""

LAST: Final = 3
"""L2 blocks of the first record; the message is in the second of them."""


@dataclass(slots=True)
class Withdrawing:
    """A message of L2 and what has become of it."""

    world: DisputeWorld
    """Both chains."""
    message: MessagePassed
    """The message."""

    @classmethod
    def open(
        cls,
        *,
        value: int = 3 * ETHER,
        target: Address = TARGET,
        gas_limit: int = 50_000,
        data: bytes = b"",
        world: DisputeWorld | None = None,
    ) -> Withdrawing:
        """A record of three L2 blocks, the first ones of a world; the middle one holds the message."""
        world = world or DisputeWorld.open()
        raw = sign_l2(
            SENDER,
            nonce=0,
            to=addresses.MESSAGE_PASSER,
            value=value,
            data=initiate_withdrawal(target, gas_limit=gas_limit, data=data),
            gas=3_000_000,
        )
        world.append([[], [raw], []])
        withdrawal = BridgeWithdrawal(
            nonce=message_nonce(0),
            sender=address_of(SENDER),
            target=target,
            value=value,
            gas_limit=gas_limit,
            data=data,
        )
        return cls(world, named(withdrawal))

    @property
    def portal(self) -> Contract:
        """The Portal."""
        return self.world.network.portal

    def output(self, number: int = LAST) -> Output:
        """Of an L2 block."""
        return output_of(decode_header(header_bytes(self.world.l2.blocks[number].block)))

    def nodes(self, number: int = LAST) -> list[bytes]:
        """The message's storage proof after an L2 block."""
        slot = sent_messages_slot(self.message.withdrawal_hash)
        root = self.world.l2.blocks[number].state_root
        proof = self.world.l2.engine.proof(root, addresses.MESSAGE_PASSER, [slot])
        return whole_proof(slot, proof.slots[0][1])

    def arguments(
        self, index: int, number: int = LAST, output: Output | None = None
    ) -> tuple[object, ...]:
        """Of proving under a game that claims an L2 block."""
        return (
            transaction(self.message),
            index,
            words(output or self.output(number)),
            self.nodes(number),
        )

    def prove(self, index: int, number: int = LAST) -> Receipt:
        """Raises Reverted."""
        return self.world.network.world.transact(
            DEPOSITOR, self.portal, "proveWithdrawalTransaction", *self.arguments(index, number)
        )

    def finalize(self) -> Receipt:
        """Raises Reverted."""
        return self.world.network.world.transact(
            DEPOSITOR, self.portal, "finalizeWithdrawalTransaction", transaction(self.message)
        )

    def win(self, game: Game) -> None:
        """Waits until a game can be resolved, and resolves it; its air gap lies ahead."""
        created = self.world.network.world.number(game.contract, "createdBlock")
        self.world.pass_until_final(created + CHALLENGE_WINDOW)
        self.world.resolve(game)
        assert self.world.status(game) == DEFENDER_WINS

    def mature(self) -> None:
        """Blocks after which any proof is old enough and any air gap over."""
        self.world.pass_blocks(WITHDRAWALS.proof_maturity_s // 2 + 1)

    def guard(self, contract: Contract, name: str, *arguments: object) -> None:
        """The guardian acts."""
        self.world.network.world.transact(GUARDIAN, contract, name, *arguments)

    def locked_wei(self) -> int:
        """In the Portal."""
        return self.world.network.world.balance(addresses.PORTAL)


def named(withdrawal: BridgeWithdrawal) -> MessagePassed:
    """A withdrawal as the passer logs it."""
    return MessagePassed(
        nonce=withdrawal.nonce,
        sender=withdrawal.sender,
        target=withdrawal.target,
        value=withdrawal.value,
        gas_limit=withdrawal.gas_limit,
        data=withdrawal.data,
        withdrawal_hash=withdrawal_hash(withdrawal),
    )
