"""Disputes as a whole: whoever does what in whatever order, no lie ever stands while one honest watcher runs.

Liars claim anything and prove against themselves, somebody attacks true claims, finality lags, stalls and resumes, hours
pass, L1 drops blocks, the guardian pauses and stops anchors; a watcher that may be late, but not later than a game's window, proves what is
false. The model knows which claims are true and foretells what each attempt to resolve gets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from eth_account.signers.local import LocalAccount
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from node.contracts import addresses
from node.eth.primitives import ZERO_ADDRESS, ZERO_HASH, Address
from tests.kit.contract_network import FORCER, GUARDIAN
from tests.kit.contract_world import Reverted
from tests.kit.dispute_world import (
    AIR_GAP,
    ANCHORS,
    BOND,
    BURNT,
    CHALLENGE_WINDOW,
    CHALLENGER,
    CHALLENGER_WINS,
    DEFENDER_WINS,
    IN_PROGRESS,
    LIAR,
    PROPOSER,
    QUIET,
    RIVAL,
    VAULT,
    DisputeWorld,
    Game,
    Moment,
    wrong_root,
)
from tests.kit.execution_chain import SENDER, address_of
from tests.kit.rollup_chain import sign_l2

L2_BLOCKS_MAX = 40
GAMES_MAX = 24
REORGANISED_MAX = 8
"""Blocks that L1 drops at most."""

PLAYERS = (PROPOSER, LIAR, CHALLENGER, RIVAL, FORCER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A game of the model."""

    game: Game
    """What it claims."""
    parent: int | None
    """Its parent's place."""
    created: int
    """L1 block."""
    status: int = IN_PROGRESS
    """What it has come to."""
    is_honest: bool = False
    """Made by who checks what it builds on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """All of it: a value, so that L1 can go back to it."""

    games: tuple[Played, ...] = ()
    """In the factory's order."""
    last_fault: int = 0
    """L1 block."""
    withdrawn_wei: int = 0
    """Paid out of the vault."""
    has_paused: bool = False
    """Whether the guardian did last, or lifted it."""
    stopped: frozenset[Address] = frozenset()
    """Games that the guardian stopped while they were the anchor."""
    lowest_start: int = 0
    """Below which L2 block no game starts."""

    def changed(self, place: int, **changes: int) -> Model:
        """With one game changed."""
        games = list(self.games)
        games[place] = replace(games[place], **changes)  # type: ignore[arg-type]
        return replace(self, games=tuple(games))


def refused(act: Callable[[], object]) -> str | None:
    """Name of the error that something gets; None if it is done."""
    try:
        act()
    except Reverted as reverted:
        return reverted.name
    return None


class Disputes(RuleBasedStateMachine):
    """The contracts beside a model."""

    def __init__(self) -> None:
        super().__init__()
        self.world = DisputeWorld.open()
        self.world.append([[]] * 6, advances=2)
        self.model = Model()
        self.salt = 0
        self.patience = CHALLENGE_WINDOW
        self.moments: dict[int, tuple[Moment, Model]] = {}
        self.remember()

    # -- what the model knows

    def first_false(self, played: Played) -> int | None:
        """The L2 block of the first false root that leads on from a true one; None if there is none."""
        claimed = dict(enumerate(played.game.tree.roots, played.game.start_block + 1))
        before = played.game.start_root == self.world.roots[played.game.start_block]
        for number, root in claimed.items():
            is_true = root == self.world.roots[number]
            if before and not is_true:
                return number
            before = is_true
        return None

    def is_true(self, played: Played) -> bool:
        """Whether every link is true, back to the anchor that it began from."""
        game = played.game
        links = game.tree.roots == tuple(
            self.world.roots[game.start_block + 1 : game.last_block + 1]
        )
        starts = game.start_root == self.world.roots[game.start_block]
        founded = played.parent is None or self.is_true(self.model.games[played.parent])
        return links and starts and founded

    def final(self) -> int:
        """The L1 block that the newest proof shows to be final."""
        return self.world.finalized_header_number(self.world.states[self.world.height - 1])

    def expected_end(self, played: Played) -> int | str:
        """What an attempt to resolve gets: a status, or the error's name."""
        if played.status != IN_PROGRESS:
            return "NotInProgress"
        if played.parent is not None:
            parent = self.model.games[played.parent].status
            if parent != DEFENDER_WINS:
                return CHALLENGER_WINS if parent == CHALLENGER_WINS else "ParentInProgress"
        needed = max(played.created + CHALLENGE_WINDOW, self.model.last_fault + QUIET)
        return DEFENDER_WINS if self.final() >= needed else "TooEarly"

    def remember(self) -> None:
        """Keep this moment, and forget those that L1 can't go back to."""
        self.moments[self.world.height] = (self.world.moment(), self.model)
        for height in [one for one in self.moments if one < self.world.height - REORGANISED_MAX]:
            del self.moments[height]

    def is_paused(self) -> bool:
        """Whether nothing leaves L1's contracts for the moment."""
        return bool(self.world.network.world.read(ANCHORS, "paused"))

    def call(self, game: Game, name: str, *arguments: object) -> None:
        """Anybody's call of a game."""
        self.world.network.world.transact(FORCER, game.contract, name, *arguments)

    # -- the watcher

    def watch(self) -> None:
        """Prove what is about to have been there for as long as the watcher dares to wait, oldest first."""
        for place, played in enumerate(self.model.games):
            false = self.first_false(played)
            age = self.world.height + 1 - played.created
            if played.status == IN_PROGRESS and false is not None and age >= self.patience:
                self.prove(place, false, by_watcher=True)

    def prove(self, place: int, number: int, *, by_watcher: bool) -> None:
        sender = CHALLENGER if by_watcher else LIAR
        self.world.prove(self.model.games[place].game, number, sender=sender)
        self.model = replace(
            self.model.changed(place, status=CHALLENGER_WINS), last_fault=self.world.height
        )
        self.remember()

    # -- what happens

    @precondition(lambda self: len(self.world.roots) < L2_BLOCKS_MAX)
    @rule(blocks=st.integers(1, 4), pays=st.booleans())
    def the_l2_grows(self, blocks: int, pays: bool) -> None:
        nonce = self.world.l2.nonce(address_of(SENDER))
        raws = [sign_l2(SENDER, nonce=nonce, value=self.world.height)] if pays else []
        self.world.append([raws, *([[]] * (blocks - 1))], advances=1)
        self.remember()
        self.watch()

    @precondition(lambda self: len(self.model.games) < GAMES_MAX)
    @rule(data=st.data())
    def somebody_claims_the_truth(self, data: st.DataObject) -> None:
        """The proposer, on what it knows to be true; or a copy of its claim that came first."""
        places = [
            place
            for place, played in enumerate(self.model.games)
            if played.status != CHALLENGER_WINS and self.is_true(played)
        ]
        self.claim(data, [None, *places], {}, is_honest=True)

    @precondition(lambda self: len(self.model.games) < GAMES_MAX)
    @rule(data=st.data(), wrong=st.lists(st.integers(0, 7), min_size=0, max_size=3))
    def somebody_lies(self, data: st.DataObject, wrong: list[int]) -> None:
        """Any roots, on any game that is not lost yet: also true ones on a false parent."""
        places = [
            place for place, one in enumerate(self.model.games) if one.status != CHALLENGER_WINS
        ]
        self.salt += 1
        self.claim(data, [None, *places], dict.fromkeys(wrong, self.salt), is_honest=False)

    def claim(
        self,
        data: st.DataObject,
        parents: list[int | None],
        wrong: dict[int, int],
        *,
        is_honest: bool,
    ) -> None:
        place = data.draw(st.sampled_from(parents), label="parent")
        parent = None if place is None else self.model.games[place].game
        start = self.world.anchor()[1] if parent is None else parent.last_block
        if start >= len(self.world.roots) - 1:
            return
        last = data.draw(
            st.integers(start + 1, min(start + 8, len(self.world.roots) - 1)), label="last"
        )
        roots = {start + 1 + at: wrong_root(salt) for at, salt in wrong.items()}
        sender = PROPOSER if is_honest else LIAR
        made: list[Game] = []
        refusal = refused(
            lambda: made.append(self.world.game(last, parent=parent, wrong=roots, sender=sender))
        )
        root, lowest = self.world.anchor()
        if parent is None:
            is_refused = root == ZERO_HASH
        else:
            is_refused = parent.last_block < lowest or parent.address in self.model.stopped
        if refusal is not None:
            assert refusal == "GameAlreadyExists" or (refusal == "InvalidParentGame" and is_refused)
            self.remember()
            return
        assert not is_refused
        (game,) = made
        assert game.start_block >= max(lowest, self.model.lowest_start)
        played = Played(game=game, parent=place, created=self.world.height, is_honest=is_honest)
        self.model = replace(self.model, games=(*self.model.games, played))
        self.remember()
        self.watch()

    @precondition(lambda self: self.model.games)
    @rule(data=st.data())
    def somebody_attacks(self, data: st.DataObject) -> None:
        """Any root of any game, with what is true of its block: only the first false root falls."""
        place = data.draw(st.integers(0, len(self.model.games) - 1), label="game")
        played = self.model.games[place]
        game = played.game
        number = data.draw(st.integers(game.start_block + 1, game.last_block), label="block")
        if played.status == IN_PROGRESS and self.is_wrong_link(game, number):
            self.prove(place, number, by_watcher=False)
            return
        wanted = {"NotInProgress"} if played.status else {"NoFault", "WrongInput", "WrongBranch"}
        assert refused(lambda: self.world.prove(game, number, sender=LIAR)) in wanted

    def is_wrong_link(self, game: Game, number: int) -> bool:
        """Whether a false root follows a true one there."""
        index = number - game.start_block
        claimed = (game.start_root, *game.tree.roots)
        return (
            claimed[index - 1] == self.world.roots[number - 1]
            and claimed[index] != self.world.roots[number]
        )

    @precondition(lambda self: self.model.games)
    @rule(data=st.data())
    def somebody_resolves(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.model.games) - 1), label="game")
        self.resolve(place)

    @precondition(lambda self: any(one.status == IN_PROGRESS for one in self.model.games))
    @rule(data=st.data())
    def the_proposer_sees_it_through(self, data: st.DataObject) -> None:
        """Finality goes on, everything that is due is resolved, and perhaps closed and paid."""
        self.world.stalled_at = None
        for place, played in enumerate(self.model.games):
            while self.expected_end(self.model.games[place]) == "TooEarly":
                self.time_passes(1)
            if played.status == IN_PROGRESS:
                self.resolve(place)
        if data.draw(st.booleans(), label="closes"):
            self.time_passes(AIR_GAP + 1)
            for played in self.model.games:
                self.close(played.game)
                self.pay(played.game, PROPOSER)
        for _ in range(data.draw(st.integers(0, 2), label="stops")):
            self.the_guardian_stops_the_anchor()

    def resolve(self, place: int) -> None:
        played = self.model.games[place]
        expected = self.expected_end(played)
        refusal = refused(lambda: self.world.resolve(played.game, sender=RIVAL))
        if refusal is not None:
            assert refusal == expected
            return
        assert self.world.status(played.game) == expected
        assert isinstance(expected, int)
        self.model = self.model.changed(place, status=expected)
        self.remember()

    @precondition(lambda self: self.model.games)
    @rule(data=st.data())
    def somebody_closes(self, data: st.DataObject) -> None:
        self.close(data.draw(st.sampled_from(self.model.games), label="game").game)

    def close(self, game: Game) -> None:
        is_newer = game.last_block > self.world.anchor()[1]
        refusal = refused(lambda: self.call(game, "closeGame"))
        if refusal is not None:
            assert refusal == "AnchorStateRegistry_InvalidAnchorGame"
            return
        assert is_newer
        assert game.address not in self.model.stopped
        assert not self.is_paused()
        self.remember()

    @precondition(lambda self: self.model.games)
    @rule(data=st.data(), recipient=st.sampled_from(PLAYERS))
    def somebody_claims_a_credit(self, data: st.DataObject, recipient: LocalAccount) -> None:
        self.pay(data.draw(st.sampled_from(self.model.games), label="game").game, recipient)

    def pay(self, game: Game, recipient: LocalAccount) -> None:
        target = address_of(recipient)
        credit = self.world.network.world.number(game.contract, "credit", target)
        refusal = refused(lambda: self.call(game, "claimCredit", target))
        if refusal is not None:
            assert refusal in {"NoCredit", "TooEarly", "Paused"}
            assert (refusal == "NoCredit") is (credit == 0)
            return
        assert not self.is_paused()
        self.model = replace(self.model, withdrawn_wei=self.model.withdrawn_wei + credit)
        self.remember()

    @rule(blocks=st.integers(1, 9))
    def time_passes(self, blocks: int) -> None:
        for _ in range(blocks):
            self.world.pass_blocks(1)
            self.remember()
            self.watch()

    @rule(patience=st.integers(1, CHALLENGE_WINDOW))
    def the_watcher_changes_its_mind(self, patience: int) -> None:
        self.patience = patience
        self.watch()

    @rule(lag=st.integers(1, 10), stalls=st.booleans())
    def finality_changes(self, lag: int, stalls: bool) -> None:
        self.world.stalled_at = self.final() if stalls else None
        self.world.lag = lag

    @rule()
    def hours_pass(self) -> None:
        chain = self.world.network.world.chain
        chain.seconds = 8 * 3_600
        self.world.pass_blocks(1)
        chain.seconds = 2
        self.remember()
        self.watch()

    @rule()
    def the_guardian_turns(self) -> None:
        """Pauses, or lifts a pause: also one that has ended by itself meanwhile."""
        name = "unpause" if self.model.has_paused else "pause"
        system = self.world.network.system_config
        self.world.network.world.transact(GUARDIAN, system, name, bytes(20))
        self.model = replace(self.model, has_paused=not self.model.has_paused)
        self.remember()

    @rule()
    def the_guardian_stops_the_anchor(self) -> None:
        """For nothing: it was true. If it is stopped already, then the one before it."""
        for name in ("anchorGame", "previousAnchorGame"):
            anchor = self.world.network.world.read(ANCHORS, name)
            game = Address(bytes.fromhex(str(anchor)[2:]))
            if game == ZERO_ADDRESS or game in self.model.stopped:
                continue
            self.world.network.world.transact(GUARDIAN, ANCHORS, "blacklistDisputeGame", game)
            self.model = replace(self.model, stopped=self.model.stopped | {game})
            self.remember()
            return

    @rule(data=st.data())
    def l1_drops_blocks(self, data: st.DataObject) -> None:
        """Never final ones."""
        final = self.final()
        heights = [height for height in self.moments if final < height < self.world.height]
        if not heights:
            return
        height = data.draw(st.sampled_from(heights), label="back to")
        moment, self.model = self.moments[height]
        self.moments = {one: kept for one, kept in self.moments.items() if one <= height}
        self.world.reorganise(moment)
        self.remember()
        self.watch()

    # -- what always holds

    @invariant()
    def no_lie_stands_and_no_truth_falls(self) -> None:
        for played in self.model.games:
            status = self.world.status(played.game)
            assert status == played.status
            if status == DEFENDER_WINS:
                assert self.is_true(played)
            if played.is_honest:
                assert status != CHALLENGER_WINS

    @invariant()
    def what_counts_is_true(self) -> None:
        for played in self.model.games:
            if self.world.is_valid(played.game):
                assert self.is_true(played)
                assert not self.is_paused()
        root, number = self.world.anchor()
        is_none = root == ZERO_HASH and len(self.model.stopped) > 1
        assert is_none or root == self.world.roots[number]

    @invariant()
    def where_games_start_never_falls(self) -> None:
        lowest = self.world.network.world.number(ANCHORS, "lowestStart")
        assert self.model.lowest_start <= lowest <= self.world.anchor()[1]
        self.model = replace(self.model, lowest_start=lowest)

    @invariant()
    def bonds_are_conserved(self) -> None:
        kit = self.world.network.world
        locked = sum(kit.number(VAULT, "locked", one.game.address) for one in self.model.games)
        granted = sum(
            kit.number(VAULT, "credit", one.game.address, address_of(player))
            for one in self.model.games
            for player in PLAYERS
        )
        held, burnt = kit.balance(addresses.BOND_VAULT), kit.balance(BURNT)
        assert held == locked + granted
        assert held + burnt + self.model.withdrawn_wei == BOND * len(self.model.games)

    @invariant()
    def a_window_is_counted_in_final_blocks(self) -> None:
        for played in self.model.games:
            if played.status == DEFENDER_WINS:
                resolved = self.world.network.world.number(played.game.contract, "resolvedBlock")
                assert resolved > played.created + CHALLENGE_WINDOW
                due = self.world.network.world.number(
                    VAULT, "payableFrom", played.game.address, address_of(PROPOSER)
                )
                assert due in (0, resolved + AIR_GAP + 1)


TestDisputes = Disputes.TestCase
TestDisputes.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
