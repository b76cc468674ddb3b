"""Both chains and the real games in any order: deposits, withdrawals, true and false claims, time, reorganisations.

One honest watcher runs; it may take its time, but proves every fault before its window is over. What must hold then:
what L1 has locked covers what L2 has, no withdrawal settles twice, no false root is ever won, no true game is lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from node.contracts import addresses
from node.contracts.bindings import MessagePassed, initiate_withdrawal
from node.contracts.withdrawals import whole_proof
from node.eth.hashing import keccak256
from node.eth.headers import decode_header
from node.eth.primitives import Hash32
from node.rollup.outputs import (
    BridgeWithdrawal,
    Output,
    message_nonce,
    output_of,
    sent_messages_slot,
)
from tests.kit.contract_network import LOCKED_WEI
from tests.kit.contract_world import Reverted
from tests.kit.dispute_world import (
    CHALLENGE_WINDOW,
    CHALLENGER_WINS,
    DEFENDER_WINS,
    IN_PROGRESS,
    LAG,
    LIAR,
    PROPOSER,
    DisputeWorld,
    Game,
    Moment,
)
from tests.kit.execution_chain import DEPOSITOR, ETHER, SENDER, address_of, header_bytes
from tests.kit.rollup_chain import sign_l2
from tests.kit.tries import Trie
from tests.kit.withdrawal_world import transaction, words
from tests.kit.withdrawing import TARGET, named

GAMES_MAX: Final = 5
"""Games of one run."""

STEP_BLOCKS: Final = 5
"""More L1 blocks than a step makes without a look of the watcher."""

WAITING: Final = frozenset(
    {
        "OptimismPortal_Unproven",
        "OptimismPortal_ProofNotOldEnough",
        "OptimismPortal_InvalidRootClaim",
        "OptimismPortal_AlreadyFinalized",
    }
)
"""Why a withdrawal may not be finalized here."""

HOLDERS: Final = (
    address_of(SENDER),
    address_of(DEPOSITOR),
    addresses.BASE_FEE_VAULT,
    addresses.L1_FEE_VAULT,
    addresses.OPERATOR_FEE_VAULT,
    addresses.SEQUENCER_FEE_VAULT,
)
"""Who has Ether on L2."""


@dataclass(slots=True)
class Claimed:
    """A game of this run."""

    game: Game
    """The game."""
    output: Output
    """What its last root is the hash of."""
    is_true: bool
    """Whether L2 is so."""
    index: int
    """Its number in the factory."""
    created: int
    """L1 block of its creation."""
    forged: Trie | None
    """A false game's message passer."""


@dataclass(slots=True)
class Past:
    """What L1 has seen, as far as a reorganisation takes it back."""

    sent: list[MessagePassed] = field(default_factory=list)
    """True messages."""
    forged: list[MessagePassed] = field(default_factory=list)
    """Messages that L2 never sent."""
    games: list[Claimed] = field(default_factory=list)
    """In order."""
    settled: list[bytes] = field(default_factory=list)
    """Hashes of what was settled, in order."""
    deposited_wei: int = 0
    """By the Portal, whether L2 has it yet or not."""

    def copy(self) -> Past:
        """The same, to be kept; what the lists hold never changes."""
        return Past(
            list(self.sent),
            list(self.forged),
            list(self.games),
            list(self.settled),
            self.deposited_wei,
        )


class BridgeMachine(RuleBasedStateMachine):
    """Both chains."""

    @initialize()
    def begin(self) -> None:
        """A message and a game to begin with."""
        self.world = DisputeWorld.open()
        self.genesis_wei = self.l2_supply_wei()
        self.past = Past()
        self.moments: list[tuple[Moment, Past]] = []
        self.withdraw(ETHER)
        self.moments.clear()

    def l2_supply_wei(self) -> int:
        """What L2 has; what lies in the message passer has left."""
        return sum(self.world.l2.balance(holder) for holder in HOLDERS)

    def remember(self) -> None:
        """A point that a reorganisation may go back to; every step that makes blocks begins here, with a look of the watcher."""
        self.watch_in_time()
        self.moments.append((self.world.moment(), self.past.copy()))

    # -- value

    @rule(amount=st.integers(1, 5 * ETHER))
    def deposit(self, amount: int) -> None:
        self.remember()
        receipt = self.world.network.world.send(DEPOSITOR, addresses.PORTAL, value=amount)
        assert receipt.succeeded
        self.past.deposited_wei += amount

    @rule(value=st.integers(0, 20 * ETHER))
    def withdraw(self, value: int) -> None:
        """One record: new origins with their deposits, and one message."""
        self.remember()
        raw = sign_l2(
            SENDER,
            nonce=self.world.l2.nonce(address_of(SENDER)),
            to=addresses.MESSAGE_PASSER,
            value=value,
            data=initiate_withdrawal(TARGET, gas_limit=0),
            gas=200_000,
        )
        origin = self.world.network.world.number(self.world.network.inbox, "lastOrigin")
        advances = min(3, self.world.height - origin)
        self.world.append([[], [raw], []], advances=advances)
        self.past.sent.append(self.message(len(self.past.sent), SENDER.address, value))

    def message(self, count: int, sender: str, value: int) -> MessagePassed:
        """A message to the one target."""
        return named(
            BridgeWithdrawal(
                nonce=message_nonce(count),
                sender=type(TARGET)(bytes.fromhex(sender.removeprefix("0x"))),
                target=TARGET,
                value=value,
                gas_limit=0,
                data=b"",
            )
        )

    # -- games

    @precondition(lambda self: self.can_claim())
    @rule(is_true=st.booleans(), is_child=st.booleans())
    def claim(self, is_true: bool, is_child: bool) -> None:
        """All that L2 has since the anchor, or since a game's claim; false in the last root, if false."""
        self.remember()
        last = len(self.world.roots) - 1
        parent = self.parent(last) if is_child else None
        output = self.output(last)
        forged = None
        wrong = {}
        if not is_true:
            loot = self.message(2**64 + len(self.past.forged), LIAR.address, LOCKED_WEI)
            self.past.forged.append(loot)
            keys = [keccak256(sent_messages_slot(it.withdrawal_hash)) for it in self.past.forged]
            forged = Trie(dict.fromkeys(map(bytes, keys), b"\x01"))
            output = replace(output, message_passer_root=Hash32(forged.root))
            wrong = {last: output.root()}
        game = self.world.game(
            last,
            parent=None if parent is None else parent.game,
            wrong=wrong,
            sender=PROPOSER if is_true else LIAR,
        )
        self.past.games.append(
            Claimed(game, output, is_true, len(self.past.games), self.world.height, forged)
        )

    def can_claim(self) -> bool:
        """Whether there is room for a game, and something new to claim."""
        if len(self.past.games) >= GAMES_MAX:
            return False
        last = len(self.world.roots) - 1
        return all(it.game.last_block < last for it in self.past.games)

    def parent(self, last: int) -> Claimed | None:
        """The newest true game that is not lost."""
        games = [it for it in self.past.games if it.is_true and it.game.last_block < last]
        alive = [it for it in games if self.world.status(it.game) != CHALLENGER_WINS]
        return alive[-1] if alive else None

    def output(self, number: int) -> Output:
        """Of an L2 block."""
        return output_of(decode_header(header_bytes(self.world.l2.blocks[number].block)))

    @rule()
    def watch(self) -> None:
        """The watcher proves every fault that it has not yet proven."""
        for it in self.past.games:
            if not it.is_true and self.world.status(it.game) == IN_PROGRESS:
                self.world.prove(it.game, it.game.last_block)
                assert self.world.status(it.game) == CHALLENGER_WINS

    def watch_in_time(self) -> None:
        """Before the window of a false game is over, the watcher acts."""
        soon = self.world.height + STEP_BLOCKS - CHALLENGE_WINDOW - LAG
        if any(not it.is_true and it.created <= soon for it in self.past.games):
            self.watch()

    @rule(blocks=st.integers(1, 8))
    def wait(self, blocks: int) -> None:
        """Time."""
        self.remember()
        for _ in range(blocks):
            self.watch_in_time()
            self.world.pass_blocks(1)

    @precondition(lambda self: self.past.games)
    @rule(number=st.integers(0, GAMES_MAX - 1))
    def resolve(self, number: int) -> None:
        """Anyone tries to end any game."""
        self.remember()
        it = self.past.games[number % len(self.past.games)]
        attempt(lambda: self.world.resolve(it.game))

    # -- withdrawals

    @precondition(lambda self: self.past.games)
    @rule(which=st.integers(0, 50), number=st.integers(0, GAMES_MAX - 1))
    def prove(self, which: int, number: int) -> None:
        """Any message under any game, true or forged, with the proof that the claimed output has."""
        self.remember()
        messages = self.past.sent + self.past.forged
        message = messages[which % len(messages)]
        it = self.past.games[number % len(self.past.games)]
        slot = sent_messages_slot(message.withdrawal_hash)
        if it.forged is not None:
            nodes = it.forged.proof(keccak256(slot))
            is_held = message in self.past.forged and bytes(keccak256(slot)) in it.forged.entries
        else:
            root = self.world.l2.blocks[it.game.last_block].state_root
            proof = self.world.l2.engine.proof(root, addresses.MESSAGE_PASSER, [slot])
            nodes = whole_proof(slot, proof.slots[0][1])
            sent_by = 3 * (self.past.sent.index(message) + 1) if message in self.past.sent else None
            is_held = sent_by is not None and sent_by <= it.game.last_block
        why = attempt(
            lambda: self.world.network.world.transact(
                DEPOSITOR,
                self.world.network.portal,
                "proveWithdrawalTransaction",
                transaction(message),
                it.index,
                words(it.output),
                nodes,
            )
        )
        if self.world.status(it.game) == CHALLENGER_WINS:
            assert why == "OptimismPortal_InvalidDisputeGame"
        else:
            assert why == ("" if is_held else "OptimismPortal_InvalidMerkleProof")

    @rule(which=st.integers(0, 50))
    def finalize(self, which: int) -> None:
        """Anyone tries to finalize any message."""
        self.remember()
        messages = self.past.sent + self.past.forged
        message = messages[which % len(messages)]
        why = attempt(
            lambda: self.world.network.world.transact(
                DEPOSITOR,
                self.world.network.portal,
                "finalizeWithdrawalTransaction",
                transaction(message),
            )
        )
        assert why in WAITING or why == ""
        if not why:
            self.past.settled.append(message.withdrawal_hash)

    @precondition(lambda self: self.can_claim())
    @rule(value=st.integers(1, 5 * ETHER))
    def whole_way(self, value: int) -> None:
        """From L2 to L1 without a stop: without this, few runs would come to an end."""
        self.withdraw(value)
        self.claim(True, False)
        newest = len(self.past.games) - 1
        self.prove(len(self.past.sent) - 1, newest)
        for _ in range(4):
            self.wait(8)
            self.resolve(newest)
        self.wait(3)
        self.finalize(len(self.past.sent) - 1)
        assert self.past.settled[-1:] == [self.past.sent[-1].withdrawal_hash]

    # -- reorganisations

    @precondition(lambda self: self.moments)
    @rule(steps=st.integers(1, 3))
    def reorganise(self, steps: int) -> None:
        """L1 drops its newest blocks, and L2 what it derived from them."""
        steps = min(steps, len(self.moments))
        moment, past = self.moments[-steps]
        del self.moments[-steps:]
        self.world.reorganise(moment)
        self.past = past

    # -- what always holds

    @invariant()
    def l1_covers_l2(self) -> None:
        if not hasattr(self, "past"):
            return
        settled = sum(it.value for it in self.past.sent if it.withdrawal_hash in self.past.settled)
        locked = self.world.network.world.balance(addresses.PORTAL) - LOCKED_WEI
        assert locked == self.past.deposited_wei - settled
        assert locked >= self.l2_supply_wei() - self.genesis_wei

    @invariant()
    def nothing_settles_twice_or_without_having_been_sent(self) -> None:
        if hasattr(self, "past"):
            assert len(set(self.past.settled)) == len(self.past.settled)
            assert set(self.past.settled) <= {it.withdrawal_hash for it in self.past.sent}

    @invariant()
    def lies_are_never_won_and_truth_is_never_lost(self) -> None:
        if hasattr(self, "past"):
            for it in self.past.games:
                wrong_end = CHALLENGER_WINS if it.is_true else DEFENDER_WINS
                assert self.world.status(it.game) != wrong_end


def attempt(act: object) -> str:
    """Why an act was refused; nothing if it was not."""
    assert callable(act)
    try:
        act()
    except Reverted as reverted:
        return reverted.name
    return ""


BridgeMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestBridge = BridgeMachine.TestCase
