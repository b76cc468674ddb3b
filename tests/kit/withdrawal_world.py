"""Withdrawals before the real games: a chain with the contracts of both sides, and stand-ins that answer as they are told.

    initiate at the message passer -> output of the head -> a game that claims it -> prove -> finalize

The message passer stands on the same chain, so its proofs are the engine's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from eth_account.signers.local import LocalAccount

from node.contracts import addresses
from node.contracts.bindings import MessagePassed, read_message_passed
from node.contracts.withdrawals import whole_proof
from node.eth.hashing import keccak256
from node.eth.primitives import ZERO_HASH, Address, Hash32
from node.rollup.outputs import Output, sent_messages_slot
from tests.kit.contract_network import WITHDRAWALS, Network
from tests.kit.contract_world import GAS, Receipt, World
from tests.kit.execution_chain import DEPOSITOR, SENDER, address_of

IN_PROGRESS: Final = 0
"""Status of a game that is not resolved."""

CHALLENGER_WINS: Final = 1
"""Status of a game whose claim was proven wrong."""

DEFENDER_WINS: Final = 2
"""Status of a game whose claim stands."""

MATURITY_S: Final = WITHDRAWALS.proof_maturity_s
"""Seconds that a proof must be older than."""

MATURE_BLOCKS: Final = MATURITY_S // 2 + 1
"""Blocks of two seconds after which a proof may be used."""

STAND_IN: Final = bytes.fromhex(
    # With two words of input: go to the end.
    "36604014602d57"
    # Else: the first argument and the selector make a slot; answer what it and the two behind it hold.
    "60043560281b5f3560e01c60081b17"
    "80545f52"
    "80600101546020526002015460405260605ff3"
    # Store the second word under the first.
    "5b6020355f355500"
)
"""Code that answers a function of at most one argument with the words it was given for it."""

FIRST_GAME: Final = 0x6A00
"""Games stand at 0x…6a00 and on."""

ALIEN: Final = Address(bytes.fromhex("a1" * 20))
"""Target of withdrawals; nothing is there."""


def slot_of(signature: str, argument: int = 0) -> int:
    """Where a stand-in keeps the first word of an answer."""
    return argument << 40 | int.from_bytes(keccak256(signature.encode())[:4]) << 8


def game_address(number: int) -> Address:
    """Where a game stands."""
    return Address((FIRST_GAME + number).to_bytes(20))


@dataclass(slots=True)
class WithdrawalWorld:
    """The network with stand-ins for registry, factory and games."""

    network: Network
    """Its contracts and chain."""
    games: int = 0
    """How many there are."""

    @classmethod
    def open(
        cls, *, games: int = 8, extra_accounts: Mapping[str, object] | None = None
    ) -> WithdrawalWorld:
        """A chain with room for so many games, two blocks old."""
        stand_in = {"balance": "0x0", "nonce": "0x1", "code": "0x" + STAND_IN.hex()}
        places = [
            addresses.ANCHOR_STATE_REGISTRY,
            addresses.DISPUTE_GAME_FACTORY,
            *map(game_address, range(games)),
        ]
        accounts: dict[str, object] = {"0x" + place.hex(): stand_in for place in places}
        opened = cls(Network.open(extra_accounts=accounts | dict(extra_accounts or {})))
        factory = int.from_bytes(addresses.DISPUTE_GAME_FACTORY)
        opened.tell(addresses.ANCHOR_STATE_REGISTRY, {slot_of("disputeGameFactory()"): factory})
        return opened

    @property
    def world(self) -> World:
        """The chain."""
        return self.network.world

    @property
    def locked_wei(self) -> int:
        """What the portal holds."""
        return self.world.balance(addresses.PORTAL)

    def tell(self, place: Address, words: Mapping[int, int]) -> None:
        """Gives a stand-in words, in one block."""
        raws = [
            self.world.signed(SENDER, place, slot.to_bytes(32) + word.to_bytes(32), gas=100_000)
            for slot, word in words.items()
        ]
        assert all(receipt.succeeded for receipt in self.world.mine(raws))

    # -- games

    def open_game(self, claim: bytes, *, is_proper: bool = True, is_respected: bool = True) -> int:
        """A game that is in progress; its number."""
        number = self.games
        self.games += 1
        game = game_address(number)
        created = self.now
        head = slot_of("gameAtIndex(uint256)", number)
        self.tell(
            addresses.DISPUTE_GAME_FACTORY,
            {head: 900, head + 1: created, head + 2: int.from_bytes(game)},
        )
        self.tell(
            game,
            {
                slot_of("rootClaim()"): int.from_bytes(claim),
                slot_of("createdAt()"): created,
                slot_of("status()"): IN_PROGRESS,
            },
        )
        self.judge(number, "isGameProper", is_proper)
        self.judge(number, "isGameRespected", is_respected)
        return number

    def judge(self, number: int, question: str, answer: bool) -> None:
        """What the registry says of a game."""
        place = slot_of(f"{question}(address)", int.from_bytes(game_address(number)))
        self.tell(addresses.ANCHOR_STATE_REGISTRY, {place: int(answer)})

    def resolve(self, number: int, status: int = DEFENDER_WINS) -> None:
        """Ends a game; a claim that stands is valid at once."""
        self.tell(game_address(number), {slot_of("status()"): status})
        self.judge(number, "isGameClaimValid", status == DEFENDER_WINS)

    @property
    def now(self) -> int:
        """The head's time, seconds."""
        return 100 + 2 * self.network.height

    # -- withdrawals

    def initiate(
        self,
        target: bytes = ALIEN,
        *,
        value: int = 0,
        gas_limit: int = 100_000,
        data: bytes = b"",
        sender: LocalAccount = DEPOSITOR,
    ) -> MessagePassed:
        """A message at the passer."""
        receipt = self.world.transact(
            sender,
            self.network.passer,
            "initiateWithdrawal",
            target,
            gas_limit,
            data,
            value=value,
        )
        (log,) = receipt.logs
        message = read_message_passed(log.topics, log.data)
        assert message is not None
        return message

    def output(self) -> Output:
        """What the head says of the L2."""
        head = self.world.chain.head
        passer = self.world.chain.engine.account(head.state_root, addresses.MESSAGE_PASSER)
        assert passer is not None
        return Output(
            state_root=Hash32(head.state_root),
            message_passer_root=Hash32(passer.storage_root),
            block_hash=Hash32(head.block_hash),
        )

    def proof(self, message: MessagePassed, state_root: bytes | None = None) -> list[bytes]:
        """A message's storage proof at the head, or at an older state."""
        slot = sent_messages_slot(message.withdrawal_hash)
        root = state_root or self.world.chain.head.state_root
        found = self.world.chain.engine.proof(root, addresses.MESSAGE_PASSER, [slot])
        return whole_proof(slot, found.slots[0][1])

    def claimed(self, message: MessagePassed) -> Claimed:
        """A game that claims the head's output, and the message's proof under it."""
        output = self.output()
        nodes = self.proof(message)
        return Claimed(self.open_game(output.root()), output, nodes)

    def prove(
        self,
        message: MessagePassed,
        claimed: Claimed,
        *,
        submitter: LocalAccount = DEPOSITOR,
        gas: int = GAS,
    ) -> Receipt:
        """Proves as the submitter. Raises Reverted."""
        return self.world.transact(
            submitter,
            self.network.portal,
            "proveWithdrawalTransaction",
            transaction(message),
            claimed.game,
            words(claimed.output),
            list(claimed.nodes),
            gas=gas,
        )

    def finalize(
        self,
        message: MessagePassed,
        *,
        caller: LocalAccount = DEPOSITOR,
        submitter: LocalAccount | None = None,
        gas: int = GAS,
    ) -> Receipt:
        """Finalizes; with a submitter by the form for others' proofs. Raises Reverted."""
        portal = self.network.portal
        if submitter is None:
            return self.world.transact(
                caller, portal, "finalizeWithdrawalTransaction", transaction(message), gas=gas
            )
        return self.world.transact(
            caller,
            portal,
            "finalizeWithdrawalTransactionExternalProof",
            transaction(message),
            address_of(submitter),
            gas=gas,
        )

    def ready(self, message: MessagePassed) -> None:
        """Proves a message, lets the proof mature and its game end well."""
        claimed = self.claimed(message)
        self.prove(message, claimed)
        self.resolve(claimed.game)
        self.network.pass_blocks(MATURE_BLOCKS)

    def outcome(self, receipt: Receipt) -> bool:
        """Whether the target of the one withdrawal that a receipt settles succeeded."""
        (event,) = self.network.portal.events(receipt, "WithdrawalFinalized")
        return bool(event["success"])


@dataclass(frozen=True, slots=True)
class Claimed:
    """What proving needs."""

    game: int
    """Number of the game."""
    output: Output
    """What it claims."""
    nodes: Sequence[bytes]
    """The message's storage proof."""


def transaction(message: MessagePassed) -> tuple[object, ...]:
    """A message as the Portal takes it."""
    return (
        message.nonce,
        message.sender,
        message.target,
        message.value,
        message.gas_limit,
        message.data,
    )


def words(output: Output) -> tuple[bytes, ...]:
    """An output as the Portal takes it."""
    return (ZERO_HASH, output.state_root, output.message_passer_root, output.block_hash)
