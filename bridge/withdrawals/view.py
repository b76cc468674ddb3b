"""What JSON-RPC is told of games and withdrawals (`node.rpc.bridging.BridgeView`): the bridge and the watchtower answer with this.

    rollup_game, rollup_withdrawal -> Withdrawals.look -> reports        rollup_settle -> the relayer's list, where one runs
    settled -> L1's logs from the withdrawal's origin on -> the transaction that settled it

Deliberately absent: rendering (node.rpc), and judging (`stages`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NoReturn, Protocol

import orjson
import trio

from bridge.withdrawals.finding import Sent
from bridge.withdrawals.looking import StateOfL1, Withdrawals
from bridge.withdrawals.stages import Game, L1Clock, Proof, Stage, Wait, game_waits
from node.contracts.addresses import PORTAL
from node.contracts.withdrawals import WITHDRAWAL_FINALIZED
from node.eth.blocks import Block
from node.eth.primitives import Address, Hash32
from node.rpc.bridging import (
    BlockReport,
    GameReport,
    ProofReport,
    SettlementReport,
    WaitReport,
    WithdrawalReport,
)
from sequencer.heads import L2Chain
from sequencer.l1.view import LogRendering, bloom_bits, may_hold

SEARCHED_BLOCKS_MAX: Final = 65_536
"""L1 blocks that are searched for a settlement: a day and a half of two-second slots."""

PORTION_BLOCKS: Final = 1_024
"""Blocks of one portion of that search."""

SETTLEMENTS_MAX: Final = 1_024
"""Settlements in final blocks that are remembered."""

NO_RELAYER: Final = "no relayer runs here: ask the bridge, or prove and finalize it yourself"
"""What `rollup_settle` says elsewhere."""

UNKNOWN: Final = "the L2 holds no withdrawal of this hash"
"""What `rollup_settle` says of one that it cannot settle."""

SETTLED: Final = "it is settled"
"""What `rollup_settle` says of one that needs it no more."""


class SearchedL1(Protocol):
    """What of L1's chain is searched."""

    @property
    def head(self) -> Block:
        """The fork choice's answer."""

    @property
    def finalized(self) -> Block:
        """The final block."""

    def blooms(self, first: int, last: int) -> list[tuple[Hash32, bytes]]:
        """Hash and logs bloom of canonical blocks, both ends included."""

    def block_by_hash(self, block_hash: Hash32) -> Block | None:
        """Any kept block."""


class Asked(Protocol):
    """A relayer's list (`bridge.relaying.asking.AskedList`)."""

    def __contains__(self, name: object) -> bool:
        """Whether a withdrawal is on it."""

    def add(self, sent: Sent) -> str | None:
        """Put a withdrawal on it, on disk when this returns; gives why not."""


class BridgeAtNode:
    """One process's view of games and withdrawals. `run` keeps its index up, so that a question waits for nothing."""

    def __init__(
        self,
        withdrawals: Withdrawals,
        *,
        l2: L2Chain,
        l1: SearchedL1,
        l1_engine: LogRendering,
        asked: Asked | None = None,
    ) -> None:
        self._withdrawals = withdrawals
        self._l2 = l2
        self._l1 = l1
        self._l1_engine = l1_engine
        self._asked = asked
        self._settlements: dict[Hash32, SettlementReport] = {}

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Keep the index of withdrawals up with the L2, for ever."""
        started = False
        while True:
            with self._l2.subscribe() as events:
                await self._withdrawals.parts.index.catch_up()
                if not started:
                    started = True
                    task_status.started()
                async for _ in events:
                    await self._withdrawals.parts.index.catch_up()

    # -- answers

    async def game(self, index: int) -> GameReport | None:
        """A game by its place in the factory; None where there is none."""
        found = await self._withdrawals.game(index)
        if found is None:
            return None
        head, final_number, game = found
        clock = L1Clock(
            number=head.header.number,
            timestamp=head.header.timestamp,
            finalized_number=final_number,
        )
        return await self._game(game, clock, _block_of(head))

    async def withdrawal(
        self, name: Hash32, submitter: Address | None = None
    ) -> WithdrawalReport | None:
        """A withdrawal, by its hash or its L2 transaction's, for somebody who acts or only looks; None if L2 holds none."""
        looked = await self._withdrawals.look(name, own_submitter=submitter)
        if looked is None:
            return None
        sent, standing, message = looked.sent, looked.standing, looked.sent.message
        at = BlockReport(
            number=looked.at.number, hash=looked.at.hash, timestamp=looked.facts.timestamp
        )
        game = standing.game
        is_settled = standing.stage is Stage.SETTLED
        return WithdrawalReport(
            at=at,
            withdrawal_hash=message.withdrawal_hash,
            state=standing.stage,
            is_paused=looked.facts.is_paused,
            waits=_waits(standing.waits),
            expected_at=standing.expected_at,
            game=None if game is None else await self._game(game, looked.facts, at),
            proof=None if standing.proof is None else _proof(standing.proof),
            fallen=[_proof(proof) for proof in standing.fallen],
            settlement=await self._settlement(sent) if is_settled else None,
            l2_block=sent.number,
            l2_block_hash=sent.block_hash,
            l2_transaction_hash=sent.transaction_hash,
            l2_status=looked.l2_status,
            nonce=message.nonce,
            sender=message.sender,
            target=message.target,
            value=message.value,
            gas_limit=message.gas_limit,
            data=message.data,
            is_relayed=self._asked is not None and message.withdrawal_hash in self._asked,
        )

    async def settle(self, name: Hash32) -> str | None:
        """Ask this process's relayer to prove and finalize a withdrawal; gives why it does not."""
        if self._asked is None:
            return NO_RELAYER
        looked = await self._withdrawals.look(name)
        if looked is None:
            return UNKNOWN
        if looked.standing.stage is Stage.SETTLED:
            return SETTLED
        return self._asked.add(looked.sent)

    # -- parts of them

    async def _game(self, game: Game, clock: L1Clock, at: BlockReport) -> GameReport:
        waits = game_waits(game, clock, await self._withdrawals.terms())
        return GameReport(
            at=at,
            index=game.index,
            address=game.address,
            status=game.status.name.lower(),
            is_proper=game.is_proper,
            l2_block=game.l2_block,
            root_claim=game.root_claim,
            own_root=self._withdrawals.own_root(game.l2_block),
            created_block=game.created_block,
            created_at=game.created_at,
            resolved_block=game.resolved_block,
            waits=_waits(waits),
        )

    async def _settlement(self, sent: Sent) -> SettlementReport | None:
        """What settled a withdrawal; None if that is further back than is searched."""
        name = sent.message.withdrawal_hash
        known = self._settlements.get(name)
        if known is not None:
            return known
        origin = self._l2.origin_of(sent.block_hash)
        head = self._l1.head.header.number
        first = max(0 if origin is None else origin.number, head - SEARCHED_BLOCKS_MAX)
        wanted = (
            bloom_bits(PORTAL)
            | bloom_bits(Address(name))
            | bloom_bits(Address(WITHDRAWAL_FINALIZED))
        )
        while first <= head:
            last = min(head, first + PORTION_BLOCKS - 1)
            for block_hash, bloom in self._l1.blooms(first, last):
                if may_hold(bloom, wanted):
                    found = self._settlement_in(block_hash, name)
                    if found is not None:
                        return self._remembered(name, found)
            await trio.lowlevel.checkpoint()
            first = last + 1
        return None

    def _settlement_in(self, block_hash: Hash32, name: Hash32) -> SettlementReport | None:
        block = self._l1.block_by_hash(block_hash)
        if block is None:
            return None
        logs = self._l1_engine.logs_json(
            [(block.rlp, block.receipts)], [PORTAL], [[WITHDRAWAL_FINALIZED], [name]]
        )
        for log in map(orjson.loads, logs):
            return SettlementReport(
                transaction_hash=Hash32(bytes.fromhex(log["transactionHash"][2:])),
                block_number=block.header.number,
                succeeded=int(log["data"], 16) != 0,
            )
        return None

    def _remembered(self, name: Hash32, found: SettlementReport) -> SettlementReport:
        if found.block_number <= self._l1.finalized.header.number:
            self._settlements[name] = found
            if len(self._settlements) > SETTLEMENTS_MAX:
                del self._settlements[next(iter(self._settlements))]
        return found


def _block_of(state: StateOfL1) -> BlockReport:
    return BlockReport(
        number=state.ref.number, hash=state.ref.hash, timestamp=state.header.timestamp
    )


def _waits(waits: Iterable[Wait]) -> list[WaitReport]:
    return [
        WaitReport(
            need=wait.need,
            block=wait.block,
            timestamp=wait.timestamp,
            expected_at=wait.expected_at,
        )
        for wait in waits
    ]


def _proof(proof: Proof) -> ProofReport:
    return ProofReport(
        submitter=proof.submitter,
        proven_at=proof.proven_at,
        is_final=proof.is_final,
        game_index=proof.game.index,
        game_address=proof.game.address,
    )
