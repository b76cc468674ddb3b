"""The challenger: no false claim about the L2 stands as long as this runs.

    L1's head moved, or more of L1 was derived
      -> load   : the games of L1's head, the roots of those not judged yet, the own roots
      -> decide : judge each against the own chain; plan over all of them
      -> act    : calls of proveFault, resolve and claimCredit -> sender, the whole set, again at every L1 block
    between two L1 blocks: somebody else's proof in the pool -> plan again

It believes nobody: which games there are comes from L1 as this process has verified it, what is true from its own derivation.
It remembers no deed: what is wanted follows from one L1 block, so reorganisations, rivals and restarts change what L1 says and
nothing else. The only memory is of judgements, which hold as long as the own chain does, and of how long a proof has been asked for.
Deliberately absent: honest games, whose proposer resolves them; nonces and fees, which are the sender's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, NoReturn, assert_never

import structlog
import trio

from bridge.disputes.judging import ClaimedRoots, Judgement, Verdict, judge
from bridge.disputes.parts import DisputeParts, SeenGames
from bridge.disputes.planning import Action, Case, Now, Prove, Resolve, plan
from bridge.disputes.proving import Fault
from bridge.disputes.rivals import Rivals, grace_of
from bridge.games.reading import Game
from bridge.sending.wants import Want
from node.contracts.disputes import GameStatus, claim_credit, resolve
from node.errors import MissingState, Temporary
from node.eth.primitives import ZERO_HASH, Address
from sequencer.l1.latest import Latest
from sequencer.l1.places import InboxAt, L1Ref

TICK_S: Final = 0.2
"""How often the pool is looked at for rivals while there is something to prove."""

CALLS_MAX: Final = 24
"""Proofs that are ready at once: more than an L1 block holds, 8 MiB at most."""

STUCK_BLOCKS: Final = 8
"""A proof that was wanted for so many L1 blocks without effect saves nobody's children any more."""

GRACE_SPREAD: Final = 3
"""A lost game's children are left to others for up to so many L1 blocks less one."""

REWARDS_MAX: Final = 16
"""Rewards that are asked for at once: nothing presses."""

COUNTED_MAX: Final = 4_096
"""Own proofs that are remembered, so that none is counted twice."""

LAG_BLOCKS_MAX: Final = 3
"""A challenger that has not judged the games of the last L1 blocks is not ready."""

LIES: Final = frozenset({Verdict.FALSE, Verdict.ORPHAN})
"""Verdicts on what must not stand."""

EARLY: Final = Judgement(verdict=Verdict.EARLY)
"""Of a claim that goes beyond the safe head: its roots are not even read."""

_log = structlog.get_logger()


@dataclass(slots=True)
class Known:
    """What is remembered of one open game."""

    judgement: Judgement
    """Of its claim."""
    resets: int
    """How often the own chain had dropped blocks then."""


class Challenger:
    """Watches every game, and ends the false ones."""

    def __init__(self, parts: DisputeParts) -> None:
        self._parts: Final = parts
        self._rivals: Final = Rivals(parts.account)
        self._woken: Final = Latest(0)
        self._known: dict[Address, Known] = {}
        self._asked: dict[Address, int] = {}
        """Open games whose proof is wanted, and the L1 block at which it was first."""
        self._lies_since: int | None = None
        """L1 block that made the oldest open game that is false; None where there is none."""
        self._counted: dict[Address, None] = {}
        """Games whose fault was counted."""
        self._settled: AbstractSet[Address] = frozenset()
        """Lost games that owe this account nothing, of those that are remembered."""
        self._payable: tuple[Game, ...] = ()
        """Lost games that pay this account now."""
        self._left: AbstractSet[Address] = frozenset()
        """Games that were left to rivals when it acted last."""
        self._seen: SeenGames | None = None
        self._actions: tuple[Action, ...] = ()

    # -- running

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Watch, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, self._parts.moved)
            nursery.start_soon(self._listen, self._parts.derived)
            task_status.started()
            version = -1
            while True:
                has_proofs = any(isinstance(one, Prove) for one in self._actions)
                with trio.move_on_after(TICK_S if has_proofs else float("inf")) as tick:
                    version = await self._woken.past(version)
                if not tick.cancelled_caught:
                    await self._look()
                elif self._seen is None or self._given_way(self._seen) == self._left:
                    continue
                await self._act()
        raise AssertionError("watching ends with its scope only")

    def lag(self) -> str | None:
        """Why games are not judged closely enough; None when they are."""
        if self._seen is None:
            return "no games were judged yet"
        behind = self._parts.moved.value.number - self._seen.block.number
        if behind > LAG_BLOCKS_MAX:
            return f"games were judged {behind} L1 blocks ago, at most {LAG_BLOCKS_MAX} is ready"
        return None

    async def _listen(self, value: Latest[L1Ref] | Latest[InboxAt | None]) -> NoReturn:
        version = 0
        while True:
            version = await value.past(version)
            self._woken.set(0)

    # -- load

    async def _look(self) -> None:
        """Read the games of L1's head, and judge those that were not."""
        parts = self._parts
        try:
            seen = await parts.look()
            for game in seen.open:
                await self._judge(seen, game)
            await self._leave_decided(seen)
            await self._ask_rewards(seen)
        except MissingState as error:
            _log.warning("games_not_read", error=str(error))
            # What was a lie at the last look grows older all the same.
            parts.metrics.show_oldest_lie(self._lies_since, parts.moved.value.number)
            return
        self._seen = seen
        verdicts = {game.address: self._known[game.address].judgement.verdict for game in seen.open}
        lies = [game.created_block for game in seen.open if verdicts[game.address] in LIES]
        self._lies_since = min(lies, default=None)
        parts.metrics.show_open(verdicts.values())
        parts.metrics.show_oldest_lie(self._lies_since, seen.block.number)
        parts.metrics.judged_l1_number.set(seen.block.number)

    async def _judge(self, seen: SeenGames, game: Game) -> None:
        """Say what is known of one game, unless it was said and still holds."""
        own, known = self._parts.own, self._known.get(game.address)
        if known is not None and known.judgement.is_settled and known.resets == own.resets:
            return
        resets = own.resets
        if game.l2_block > own.safe_block:
            self._known[game.address] = Known(judgement=EARLY, resets=resets)
            return
        claim = ClaimedRoots(
            start_block=game.start_block,
            start_root=game.start_root,
            l2_block=game.l2_block,
            root_claim=game.root_claim,
            accumulator=game.accumulator,
            roots=await seen.roots(game),
        )
        judgement = judge(claim, await own.upto(claim))
        self._known[game.address] = Known(judgement=judgement, resets=resets)
        if known is None or known.judgement != judgement:
            tell = _log.info if judgement.verdict is Verdict.HONEST else _log.warning
            tell(
                "game_judged",
                game="0x" + game.address.hex(),
                index=game.index,
                verdict=judgement.verdict.value,
                l2_block=game.l2_block,
                wrong_block=judgement.wrong_block,
            )

    async def _leave_decided(self, seen: SeenGames) -> None:
        """Count what became of games that were open, and forget them."""
        metrics, still_open = self._parts.metrics, {game.address for game in seen.open}
        for address in [one for one in self._known if one not in still_open]:
            game = await self._parts.worker.run(partial(seen.game, address))
            known = self._known.pop(address)
            self._asked.pop(address, None)
            if game is None:
                continue  # L1 has dropped it.
            is_false = known.judgement.verdict in LIES
            stands = game.status is GameStatus.DEFENDER_WINS
            if stands and is_false:
                metrics.lies_that_stand.inc()
                _log.error("lie_stands", game="0x" + address.hex(), l2_block=game.l2_block)
            elif not stands:
                is_own = game.prover == self._parts.account
                if is_own and address not in self._counted:
                    self._count_own(address)
                _log.info("game_lost", game="0x" + address.hex(), is_own_proof=is_own)

    async def _ask_rewards(self, seen: SeenGames) -> None:
        """Find the lost games that owe this account something."""
        lost = [
            game
            for game in seen.games.values()
            if game.status is GameStatus.CHALLENGER_WINS and game.address not in self._settled
        ]
        if not lost:
            self._payable = ()
            return
        rewards = await self._parts.worker.run(partial(self._parts.rewards, lost))
        self._payable = tuple(game for game in lost if game.address in rewards.payable)
        self._settled = (self._settled | rewards.done) & seen.games.keys()

    # -- decide

    async def _act(self) -> None:
        """Plan, make the calls, and say what is wanted."""
        parts, seen = self._parts, self._seen
        if seen is None or not parts.is_canonical(seen.block):
            return
        number = seen.block.number
        games = {game.index: game for game in seen.open}
        stuck = {
            game.index
            for game in seen.open
            if number - self._asked.get(game.address, number) >= STUCK_BLOCKS
        }
        left = self._left = self._given_way(seen)
        try:
            cases = await parts.worker.run(partial(self._cases, seen))
        except MissingState as error:
            _log.warning("games_not_read", error=str(error))
            return
        actions = plan(
            cases,
            Now(head=number, finalized=seen.finalized),
            parts.terms,
            stuck=stuck,
            rivals={game.index for game in seen.open if game.address in left},
        )
        parts.metrics.faults_stuck.set(len(stuck))
        wants = [*await self._wants(seen, games, actions), *self._repayments()]
        self._actions = actions
        if parts.is_canonical(seen.block):
            parts.want(seen.block, wants)

    def _given_way(self, seen: SeenGames) -> AbstractSet[Address]:
        """Games that somebody else is about to prove, by what L1's pool holds now."""
        return self._rivals.leads(self._parts.attempts(), seen.block.number)

    def _cases(self, seen: SeenGames) -> Mapping[int, Case]:
        """The open games and their parents, as the plan asks for them. Raises MissingState."""
        found = {game.index: self._case(game) for game in seen.open}
        indexes = {game.address: game.index for game in seen.open}
        for game in seen.open:
            if game.parent is None:
                continue
            if game.parent not in indexes:
                parent = seen.game(game.parent)
                if parent is None:
                    continue
                # Its place in the factory may be unknown: decided long ago, it is older than any that is open.
                indexes[game.parent] = parent.index if parent.index >= 0 else -1 - len(found)
                index = indexes[game.parent]
                found[index] = replace(self._case(parent), index=index)
            found[game.index] = replace(found[game.index], parent=indexes[game.parent])
        return found

    def _case(self, game: Game) -> Case:
        known = self._known.get(game.address)
        return Case(
            index=game.index,
            parent=None,
            status=game.status,
            created_block=game.created_block,
            resolved_block=game.resolved_block,
            judgement=None if known is None else known.judgement,
            grace=grace_of(self._parts.account, game.address, GRACE_SPREAD),
        )

    # -- act

    async def _wants(
        self, seen: SeenGames, games: Mapping[int, Game], actions: Sequence[Action]
    ) -> list[Want]:
        """What the sender is told: calls for the first proofs, and for all that is to be resolved."""
        wants: list[Want] = []
        for action in actions:
            game = games[action.index]
            match action:
                case Prove():
                    if len(wants) < CALLS_MAX:
                        wants += await self._proof(seen, game, action)
                case Resolve():
                    call_data = resolve(b"", 0, (), 0)
                    wants.append(
                        Want(key=self._key("resolve", game), to=game.address, call_data=call_data)
                    )
                case _:
                    assert_never(action)
        return wants

    async def _proof(self, seen: SeenGames, game: Game, action: Prove) -> list[Want]:
        """The call that proves a game false; none if this process cannot make it now."""
        self._asked.setdefault(game.address, seen.block.number)
        try:
            call_data = await self._call_data(seen, game, action.wrong_block)
        except (Temporary, MissingState) as error:
            _log.warning("fault_not_provable", game="0x" + game.address.hex(), error=str(error))
            return []
        return [
            Want(
                key=self._key("prove", game),
                to=game.address,
                call_data=call_data,
                is_urgent=action.is_urgent,
            )
        ]

    async def _call_data(self, seen: SeenGames, game: Game, wrong_block: int) -> bytes:
        roots = await seen.roots(game)
        if roots is None:
            raise Temporary("its roots are on no branch of L1 that is kept")
        fault = Fault(
            roots_id=game.roots_id,
            roots=roots,
            start_block=game.start_block,
            wrong_block=wrong_block,
        )
        return await self._parts.proofs.call_data(fault)

    def _repayments(self) -> list[Want]:
        """Rewards are asked for last."""
        call_data = claim_credit(self._parts.account)
        return [
            Want(key=self._key("reward", game), to=game.address, call_data=call_data)
            for game in self._payable[:REWARDS_MAX]
        ]

    def _count_own(self, address: Address) -> None:
        """Count a fault that this process has proven; once, whatever L1 drops and takes again."""
        self._parts.metrics.faults_proven.inc()
        self._counted[address] = None
        while len(self._counted) > COUNTED_MAX:
            del self._counted[next(iter(self._counted))]

    def _key(self, what: str, game: Game) -> str:
        """Names a deed by the game and the block that holds its making.

        A call may reach L1 before a reorganised game is made again: it succeeds there, at an address without code, and has
        done nothing.
        """
        made_in = self._parts.canonical_hash(game.created_block) or ZERO_HASH
        return f"{what}:0x{game.address.hex()}@{made_in[:8].hex()}"
