"""Deposits, withdrawals, true and false games, guardians, time and reorganisations in any order, beside a model.

What must hold after every step: L1 has locked what L2 has, and no withdrawal settles twice.
False games are ended as honest watchers end them; what may rest on them until then is for the Portal to refuse.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Final

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from node.contracts import addresses
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
from tests.kit.contract_network import GUARDIAN, LOCKED_WEI
from tests.kit.contract_world import Receipt, Reverted
from tests.kit.execution_chain import DEPOSITOR, ETHER, SENDER, SPONSOR, address_of
from tests.kit.tries import Trie
from tests.kit.withdrawal_world import (
    ALIEN,
    CHALLENGER_WINS,
    DEFENDER_WINS,
    IN_PROGRESS,
    MATURITY_S,
    Claimed,
    WithdrawalWorld,
)

REVERTER: Final = Address(b"\xfd" * 20)
"""A target that fails."""

GAMES_MAX: Final = 6
"""Games of one run; stand-ins are made at genesis."""

SUBMITTERS: Final = (DEPOSITOR, SENDER, SPONSOR)
"""Who proves and finalizes."""


@dataclass(slots=True)
class Game:
    """A game as the model knows it."""

    output: Output
    """What it claims."""
    held: frozenset[bytes]
    """Hashes of the messages that the claimed output holds."""
    forged: Trie | None
    """The false message passer's storage; None if the claim is true."""
    status: int = IN_PROGRESS
    """How it stands."""
    is_struck: bool = False
    """Whether the guardian struck it."""


@dataclass(slots=True)
class Model:
    """What should be the case."""

    locked_wei: int = LOCKED_WEI
    """In the Portal."""
    supply_wei: int = LOCKED_WEI
    """On L2."""
    messages: list[MessagePassed] = field(default_factory=list)
    """True ones and forged ones."""
    sent: set[bytes] = field(default_factory=set)
    """Hashes of the true ones."""
    games: list[Game] = field(default_factory=list)
    """In order."""
    proofs: dict[tuple[bytes, str], tuple[int, int]] = field(default_factory=dict)
    """Game and time by message and submitter."""
    settlements: dict[bytes, int] = field(default_factory=dict)
    """How often each message was settled."""
    is_paused: bool = False
    """Whether the guardian holds withdrawals up."""


def attempt(act: Callable[[], Receipt]) -> tuple[str, Receipt | None]:
    """Why an act was refused, or what it came to."""
    try:
        return "", act()
    except Reverted as reverted:
        return reverted.name, None


class WithdrawalMachine(RuleBasedStateMachine):
    """One chain and its model."""

    @initialize()
    def begin(self) -> None:
        """A chain without games."""
        self.model = Model()
        self.world = WithdrawalWorld.open(
            games=GAMES_MAX,
            extra_accounts={"0x" + REVERTER.hex(): {"balance": "0x0", "code": "0x5f5ffd"}},
        )
        self.past: list[tuple[int, dict[str, int], int, Model]] = []
        self.forge(value=LOCKED_WEI // 2)

    # -- L2 and its messages

    def forge(self, *, value: int) -> None:
        """A message that L2 never sent, and that false games claim."""
        count = 2**200 + len(self.model.messages)
        withdrawal = BridgeWithdrawal(
            nonce=message_nonce(count),
            sender=address_of(SPONSOR),
            target=ALIEN,
            value=value,
            gas_limit=0,
            data=b"",
        )
        self.model.messages.append(
            MessagePassed(
                nonce=withdrawal.nonce,
                sender=withdrawal.sender,
                target=withdrawal.target,
                value=value,
                gas_limit=0,
                data=b"",
                withdrawal_hash=withdrawal_hash(withdrawal),
            )
        )

    @rule(amount=st.integers(0, 10 * ETHER))
    def deposit(self, amount: int) -> None:
        self.remember()
        self.world.world.transact(
            DEPOSITOR,
            self.world.network.portal,
            "depositTransaction",
            ALIEN,
            amount,
            21_000,
            False,
            b"",
            value=amount,
        )
        self.model.locked_wei += amount
        self.model.supply_wei += amount

    @rule(value=st.integers(0, 400 * ETHER), called=st.sampled_from([ALIEN, ALIEN, REVERTER]))
    def initiate(self, value: int, called: Address) -> None:
        self.remember()
        taken = min(value, self.model.supply_wei)
        message = self.world.initiate(called, value=taken, gas_limit=0)
        self.model.messages.append(message)
        self.model.sent.add(message.withdrawal_hash)
        self.model.supply_wei -= taken

    # -- games

    @precondition(lambda self: len(self.model.games) < GAMES_MAX)
    @rule(is_true=st.booleans())
    def claim(self, is_true: bool) -> None:
        self.remember()
        output = self.world.output()
        forged = None
        held = frozenset(self.model.sent)
        if not is_true:
            held = frozenset(it.withdrawal_hash for it in self.model.messages)
            keys = [bytes(keccak256(sent_messages_slot(Hash32(name)))) for name in held]
            forged = Trie(dict.fromkeys(keys, b"\x01"))
            output = Output(
                state_root=output.state_root,
                message_passer_root=forged.root,
                block_hash=output.block_hash,
            )
        self.world.open_game(output.root())
        self.model.games.append(Game(output, held, forged))

    @precondition(lambda self: self.model.games)
    @rule(number=st.integers(0, GAMES_MAX - 1))
    def resolve(self, number: int) -> None:
        self.remember()
        number %= len(self.model.games)
        game = self.model.games[number]
        game.status = CHALLENGER_WINS if game.forged else DEFENDER_WINS
        self.world.resolve(number, game.status)
        if game.is_struck:
            self.world.judge(number, "isGameClaimValid", False)

    @precondition(lambda self: self.model.games)
    @rule(number=st.integers(0, GAMES_MAX - 1))
    def strike(self, number: int) -> None:
        self.remember()
        number %= len(self.model.games)
        self.model.games[number].is_struck = True
        for question in ("isGameProper", "isGameClaimValid"):
            self.world.judge(number, question, False)

    # -- withdrawals

    @precondition(lambda self: self.model.games)
    @rule(
        which=st.integers(0, 30),
        number=st.integers(0, GAMES_MAX - 1),
        submitter=st.integers(0, len(SUBMITTERS) - 1),
    )
    def prove(self, which: int, number: int, submitter: int) -> None:
        self.remember()
        account = SUBMITTERS[submitter]
        message = self.model.messages[which % len(self.model.messages)]
        number %= len(self.model.games)
        game = self.model.games[number]
        name = message.withdrawal_hash
        if game.forged:
            nodes = game.forged.proof(keccak256(sent_messages_slot(name)))
        else:
            nodes = self.world.proof(message, game.output.state_root)
        expected = ""
        if self.model.is_paused:
            expected = "OptimismPortal_CallPaused"
        elif game.is_struck:
            expected = "OptimismPortal_ImproperDisputeGame"
        elif game.status == CHALLENGER_WINS:
            expected = "OptimismPortal_InvalidDisputeGame"
        elif name not in game.held:
            expected = "OptimismPortal_InvalidMerkleProof"
        shown = Claimed(number, game.output, nodes)
        why, _ = attempt(lambda: self.world.prove(message, shown, submitter=account))
        assert why == expected
        if not why:
            self.model.proofs[name, account.address] = (number, self.world.now)

    @precondition(lambda self: len(self.model.games) < GAMES_MAX)
    @rule(value=st.integers(1, 300 * ETHER), submitter=st.integers(0, len(SUBMITTERS) - 1))
    def begin_a_withdrawal(self, value: int, submitter: int) -> None:
        """Sent, claimed and proven: without this, few runs would come to a proof."""
        self.initiate(value, ALIEN)
        self.claim(True)
        self.prove(len(self.model.messages) - 1, len(self.model.games) - 1, submitter)

    @precondition(lambda self: self.model.games)
    @rule(
        which=st.integers(0, 30),
        number=st.integers(0, GAMES_MAX - 1),
        submitter=st.integers(0, len(SUBMITTERS) - 1),
    )
    def prove_what_is_claimed(self, which: int, number: int, submitter: int) -> None:
        number %= len(self.model.games)
        held = self.model.games[number].held
        messages = self.model.messages
        found = [at for at, it in enumerate(messages) if it.withdrawal_hash in held]
        if found:
            self.prove(found[which % len(found)], number, submitter)

    @rule(
        which=st.integers(0, 30),
        submitter=st.integers(0, len(SUBMITTERS) - 1),
        is_external=st.booleans(),
    )
    def finalize(self, which: int, submitter: int, is_external: bool) -> None:
        self.remember()
        account = SUBMITTERS[submitter]
        message = self.model.messages[which % len(self.model.messages)]
        expected = self.refusal(message, account.address)
        if is_external:
            why, receipt = attempt(
                lambda: self.world.finalize(message, caller=DEPOSITOR, submitter=account)
            )
        else:
            why, receipt = attempt(lambda: self.world.finalize(message, caller=account))
        assert why == expected
        if receipt is not None:
            self.settled(message, receipt)

    @precondition(lambda self: self.model.proofs)
    @rule(which=st.integers(0, 30))
    def finalize_what_is_ripe(self, which: int) -> None:
        """Without this, few runs would come to a settlement."""
        proofs = sorted(self.model.proofs)
        name, address = proofs[which % len(proofs)]
        (message,) = [it for it in self.model.messages if it.withdrawal_hash == name]
        (submitter,) = [at for at, it in enumerate(SUBMITTERS) if it.address == address]
        game, _ = self.model.proofs[name, address]
        if self.model.is_paused:
            self.pause_or_go_on()
        if self.model.games[game].status == IN_PROGRESS:
            self.resolve(game)
        self.wait(MATURITY_S // 2)
        self.finalize(self.model.messages.index(message), submitter, False)

    def refusal(self, message: MessagePassed, address: str) -> str:
        """Why the next block cannot finalize; nothing if it can."""
        if self.model.is_paused:
            return "OptimismPortal_CallPaused"
        if message.withdrawal_hash in self.model.settlements:
            return "OptimismPortal_AlreadyFinalized"
        proof = self.model.proofs.get((message.withdrawal_hash, address))
        if proof is None:
            return "OptimismPortal_Unproven"
        game, proven_at = proof
        if self.world.now + 2 - proven_at <= MATURITY_S:
            return "OptimismPortal_ProofNotOldEnough"
        if self.model.games[game].is_struck or self.model.games[game].status != DEFENDER_WINS:
            return "OptimismPortal_InvalidRootClaim"
        return ""

    def settled(self, message: MessagePassed, receipt: Receipt) -> None:
        """What a settlement changes."""
        name = message.withdrawal_hash
        self.model.settlements[name] = self.model.settlements.get(name, 0) + 1
        succeeded = self.world.outcome(receipt)
        assert succeeded == (message.target != REVERTER)
        if succeeded:
            self.model.locked_wei -= message.value

    # -- guardian, time, reorganisations

    @rule()
    def pause_or_go_on(self) -> None:
        self.remember()
        name = "unpause" if self.model.is_paused else "pause"
        self.world.world.transact(
            GUARDIAN, self.world.network.system_config, name, addresses.PORTAL
        )
        self.model.is_paused = not self.model.is_paused

    @rule(blocks=st.integers(1, 15))
    def wait(self, blocks: int) -> None:
        self.remember()
        self.world.network.pass_blocks(blocks)

    def remember(self) -> None:
        """A point that a reorganisation may go back to."""
        world = self.world.world
        self.past.append(
            (len(world.chain.blocks), dict(world.nonces), self.world.games, deepcopy(self.model))
        )

    @precondition(lambda self: self.past)
    @rule(steps=st.integers(1, 4))
    def reorganise(self, steps: int) -> None:
        """L1 drops its newest blocks, and L2 what it derived from them."""
        steps = min(steps, len(self.past))
        height, nonces, games, model = self.past[-steps]
        del self.past[-steps:]
        world = self.world.world
        del world.chain.blocks[height:]
        world.nonces = nonces
        self.world.games = games
        self.model = model
        # The other branch is another block.
        world.mine()

    # -- what always holds

    @invariant()
    def l1_has_what_l2_has(self) -> None:
        if hasattr(self, "world"):
            assert self.world.locked_wei == self.model.locked_wei
            assert self.model.locked_wei >= self.model.supply_wei

    @invariant()
    def nothing_settles_twice_and_nothing_that_was_not_sent(self) -> None:
        if hasattr(self, "world"):
            assert set(self.model.settlements.values()) <= {1}
            assert set(self.model.settlements) <= self.model.sent

    @invariant()
    def the_portal_knows_what_is_settled(self) -> None:
        if hasattr(self, "world"):
            portal = self.world.network.portal
            for message in self.model.messages[-3:]:
                name = message.withdrawal_hash
                known = self.world.world.read(portal, "finalizedWithdrawals", name)
                assert known is (name in self.model.settlements)


WithdrawalMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None
)
TestWithdrawals = WithdrawalMachine.TestCase
