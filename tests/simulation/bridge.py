"""The bridge in a simulated network: proposer, relayer and challengers beside liars, and who watches all of them.

    simulate_bridge(script, Plan(seed=7), folder) -> L1 whose STEP is real + sequencer + bridge + watchtower -> script(network)
        liars   : false games on true ones, on false ones, on the anchor; calls of `resolve` as soon as they could work;
                  proofs copied out of the pool and sent for more
        users   : withdrawals on the L2, settled by the relayer
                                             |
                                             +-> BridgeWitness, every slot, and the books at the end

Bridge processes are what `bridge.app.core` opens, over the replicas of `rollup`: bridge = replica-0 (proposer, relayer, and in
some networks a second challenger), watchtower = replica-1.
Deliberately absent: JSON-RPC, and what happens (the tests).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import trio

from bridge.app.core import Accounts, BridgeNode, Surroundings as BridgeSurroundings
from bridge.app.supply import genesis_supply
from bridge.disputes.opening import PROVE_FAULT
from bridge.games.book import Games
from bridge.games.finality import prove_finality
from bridge.games.reading import Game
from bridge.proposing.service import ProposerOptions
from bridge.sending.options import SendingOptions
from node.contracts import disputes
from node.contracts.addresses import (
    BOND_VAULT,
    DISPUTE_GAME_FACTORY,
    MESSAGE_PASSER,
    PORTAL,
    ROOT_REGISTRY,
)
from node.contracts.bindings import initiate_withdrawal
from node.contracts.disputes import GameStatus
from node.contracts.withdrawals import WITHDRAWAL_FINALIZED
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.primitives import Address, BlockNumber, Hash32
from node.execution.adapter import RevmEngine
from node.execution.stepping import step_callable
from node.rollup.claims import Claim, RootTree
from node.rollup.outputs import output_of
from sequencer.app.core import RollupNode, Surroundings, Task
from sequencer.batching.signing import L1Account
from tests.kit.real_bridge import BOND_WEI, dispute_contracts, lied
from tests.kit.real_rollup import Documents
from tests.kit.transfers import Sender, sender, sign_transfer
from tests.simulation.network import Plan, Simulation
from tests.simulation.rollup import Rollup, RollupHost, run_rollup
from tests.simulation.rollup_documents import documents_of
from tests.simulation.witness import InvariantBroken

Answer = TypeVar("Answer")

WINDOW: Final = 16
"""Final L1 blocks in which a game can be proven false: longer than anything keeps the watchtower away."""

PROPOSER, RELAYER, SECOND_CHALLENGER, CHALLENGER = (
    L1Account(bytes((0xB0 + number,)) * 32, 900) for number in range(4)
)
"""Accounts of the roles."""

LIAR, HURRIED, COPYCAT, WITHDRAWER = (
    sender(f"simulated {word}") for word in ("liar", "hurried", "copycat", "withdrawer")
)
"""Who makes false games, who ends them too early, who copies proofs, who withdraws."""

BURNT: Final = Address(bytes(18) + b"\xde\xad")
"""Where nothing comes back from."""

CREDIT_PAID: Final = keccak256(b"CreditPaid(address,address,uint256)")
"""First topic of the vault's log of a payment."""

LIE_BLOCKS_MAX: Final = 400
"""L2 blocks of a false game."""

LYING_GAS: Final = 2_000_000
"""Of each call."""


@dataclass(slots=True)
class BridgeWitness:
    """Who knows which games are false."""

    false_roots: set[Hash32] = field(default_factory=set)
    """Names of published roots of which at least one is a lie."""
    withdrawn: dict[Hash32, tuple[Address, int]] = field(default_factory=dict)
    """L2 transactions that withdraw: target and wei."""
    compared: int = 0
    """How often decided games were looked at."""

    def look(self, host: RollupHost, games: Games) -> None:
        """Hold the games of one process's L1 head against the truth. Raises InvariantBroken."""
        node = host.running
        derived = node.deriver.derived.value
        if derived is None or derived.block != games.block or node.l1.head != games.block:
            return
        self.compared += 1
        for game in games.games.values():
            if game.status is GameStatus.DEFENDER_WINS:
                self._check_that_stands(host, game)
            elif game.status is GameStatus.CHALLENGER_WINS:
                self._check_that_fell(host, games, game)
        locked = host.metric("faultline_bridge_locked_wei")
        supply = host.metric("faultline_l2_supply_wei")
        # Floats of some 10^25 wei are exact to 10^10.
        if locked + 10**12 < supply:
            raise InvariantBroken(f"B3: {host.name}: locked {locked}, on the L2 {supply}")

    def _check_that_stands(self, host: RollupHost, game: Game) -> None:
        block = host.running.chain.block_by_number(game.l2_block)
        is_true = block is not None and output_of(block.header).root() == game.root_claim
        if not is_true or game.roots_id in self.false_roots:
            raise InvariantBroken(f"B1: {host.name}: game {game.index} is false and stands")

    def _check_that_fell(self, host: RollupHost, games: Games, game: Game) -> None:
        parent = None if game.parent is None else games.games.get(game.parent)
        fell_with_parent = parent is not None and parent.status is GameStatus.CHALLENGER_WINS
        # Others build on lies at their own risk; an honest proposer never does.
        is_excused = fell_with_parent and game.creator != PROPOSER.address
        if game.roots_id not in self.false_roots and not is_excused:
            raise InvariantBroken(f"B2: {host.name}: game {game.index} is true and fell")


class BridgeNetwork(Rollup):
    """A running network with a bridge, in the hands of a script."""

    def __init__(
        self, simulation: Simulation, documents: Documents, folder: Path, *, with_second: bool
    ) -> None:
        super().__init__(simulation, documents, folder)
        self.bridges: Final[dict[str, BridgeNode]] = {}
        """What runs beside the replicas, by host."""
        self.sees: Final = BridgeWitness()
        """Sees the games."""
        self.copies = False
        """Whether somebody copies proofs."""
        second = SECOND_CHALLENGER if with_second else None
        self.bridge.beside = partial(
            self._open, Accounts(proposer=PROPOSER, relayer=RELAYER, challenger=second)
        )
        self.watchtower.beside = partial(self._open, Accounts(challenger=CHALLENGER))

    @property
    def bridge(self) -> RollupHost:
        """Proposes and relays."""
        return self.replicas[0]

    @property
    def watchtower(self) -> RollupHost:
        """Challenges."""
        return self.replicas[1]

    def _open(
        self,
        accounts: Accounts,
        host: RollupHost,
        around: Surroundings,
        node: RollupNode,
        closing: ExitStack,
    ) -> Task:
        folder = host.folder / "bridge"
        folder.mkdir(parents=True, exist_ok=True)
        bridge = self.bridges[host.name] = BridgeNode(
            BridgeSurroundings(
                parameters=around.parameters,
                genesis_supply_wei=genesis_supply(self.documents.l2),
                slot_seconds=self.simulation.plan.parameters.slot_seconds,
                l1=around.l1,
                l1_engine=around.l1_engine,
                rollup=node,
                engine=around.engine,
                clock=around.clock,
                worker=around.worker,
                registry=around.registry,
                faults=around.faults,
                folder=folder,
                accounts=accounts,
                proposing=ProposerOptions(interval_ms=8_000),
                sending=SendingOptions(),
            ),
            closing,
        )
        return bridge.run

    # -- watching

    def look(self, host: RollupHost) -> None:
        """Hold one node against the invariants, those of the bridge too."""
        super().look(host)
        bridge = self.bridges.get(host.name)
        games = None if bridge is None else bridge._games._last
        if games is not None:
            self.sees.look(host, games)

    async def games(self) -> Sequence[Game]:
        """All games of some bridge process's L1 head."""
        for host in self.up:
            if host.name in self.bridges:
                return list((await self.bridges[host.name]._games.look()).games.values())
        return ()

    # -- liars

    async def lie(self) -> None:
        """Make a false game of what some node has derived, from the anchor or from any game."""
        hosts = [host for host in self.up if host.name in self.bridges]
        if not hosts:
            return
        host = self.dice.choice(hosts)
        games = await self.bridges[host.name]._games.look()
        node = host.node
        if node is None:
            return
        safe = node.chain.safe.header.number
        starts = [
            (game.address, game.l2_block)
            for game in games.games.values()
            if game.status is not GameStatus.CHALLENGER_WINS
        ]
        parent, start = self.dice.choice([(None, games.anchor.l2_block), *starts])
        last = min(safe, start + LIE_BLOCKS_MAX)
        if last <= start:
            return
        roots = [self._root(node, number) for number in range(start + 1, last + 1)]
        for place in {0, self.dice.randrange(len(roots)), len(roots) - 1}:
            if self.dice.random() < 0.5 or place == len(roots) - 1:
                roots[place] = lied(roots[place], self.dice.getrandbits(32))
        await self._claim(node, host, roots, parent, last)

    def _root(self, node: RollupNode, number: int) -> Hash32:
        block = node.chain.block_by_number(number)
        assert block is not None
        return output_of(block.header).root()

    async def _claim(
        self,
        node: RollupNode,
        host: RollupHost,
        roots: Sequence[Hash32],
        parent: Address | None,
        last: int,
    ) -> None:
        tree = RootTree(tuple(roots))
        index = node.chain.batch_of(last)
        assert index is not None
        claim = Claim(
            l2_block=BlockNumber(last),
            parent=parent,
            roots_id=tree.id,
            accumulator=node.deriver.book.placed(index).tip.accumulator,
        )
        self.sees.false_roots.add(tree.id)
        self.simulation.witness.note("lied", (last, parent is None))
        await self.hand_in(LIAR, ROOT_REGISTRY, disputes.publish(tree.roots), host=host)
        create = disputes.create(tree.last, claim.encode())
        await self.hand_in(LIAR, DISPUTE_GAME_FACTORY, create, value=BOND_WEI, host=host)

    async def hand_in(
        self,
        by: Sender,
        to: bytes,
        data: bytes,
        *,
        host: RollupHost,
        value: int = 0,
        tip: int = 10**9,
    ) -> None:
        """Give a call to a process's L1 pool; nobody promises that it is taken."""
        bridge = self.bridges[host.name]
        pool, states = bridge._around.l1.pool, bridge._states
        waiting = pool.next_nonce(by.address)
        nonce = states.head().nonce(Address(by.address)) if waiting is None else waiting
        raw = sign_transfer(
            by,
            nonce=nonce,
            to=to,
            value=value,
            gas_limit=16_000_000 if data[:4] == PROVE_FAULT else LYING_GAS,
            max_priority_fee_per_gas=tip,
            data=data,
        )
        await pool.submit(raw)

    async def hurry(self) -> None:
        """Ask for the end of every false game as soon as that could succeed, for ever."""
        while True:
            await self.simulation.run(1)
            for host in self.up:
                if host.name in self.bridges:
                    await self._try_to_resolve(host)
                    break

    async def _try_to_resolve(self, host: RollupHost) -> None:
        games = await self.bridges[host.name]._games.look()
        if host.node is None:
            return
        l1 = self.bridges[host.name]._around.l1
        proof = prove_finality(l1.chain, host.node.l1.confirmed)
        for game in games.open:
            is_false = game.roots_id in self.sees.false_roots
            if is_false and proof is not None and proof.number >= game.created_block + WINDOW:
                call = disputes.resolve(proof.header, proof.epoch, proof.branch, proof.timestamp)
                await self.hand_in(HURRIED, game.address, call, host=host)

    async def copy(self) -> None:
        """Send what looks like a proof in the pool again, for more, as one's own, for ever."""
        while True:
            await trio.sleep(0.3)
            for host in self.up:
                if self.copies and host.name in self.bridges:
                    await self._copy_from(host)

    async def _copy_from(self, host: RollupHost) -> None:
        pool = self.bridges[host.name]._around.l1.pool
        for by, waiting in list(pool.executable().items()):
            for one in waiting:
                data = rlp.as_bytes(rlp.as_list(rlp.decode(one.raw[1:]), 12)[7])
                if by != COPYCAT.address and data[:4] == PROVE_FAULT and one.to is not None:
                    await self.hand_in(COPYCAT, one.to, data, host=host, tip=5 * 10**9)
                    return

    # -- users

    async def withdraw(self) -> None:
        """Send Ether to L1."""
        hosts = self.up
        if not hosts:
            return
        host = self.dice.choice(hosts)
        number = len(self.sees.withdrawn)
        target = Address(b"\x3e" * 18 + number.to_bytes(2))
        raw = sign_transfer(
            WITHDRAWER,
            nonce=number,
            to=MESSAGE_PASSER,
            value=10**15 + number,
            gas_limit=300_000,
            max_fee_per_gas=10**9,
            max_priority_fee_per_gas=0,
            data=initiate_withdrawal(target, gas_limit=50_000),
            chain_id=self.documents.parameters.chain_id,
        )
        with trio.move_on_after(4.0):
            submitted = await host.running.pool.submit(raw)
            if submitted.refusal is None:
                self.witness.acknowledged[keccak256(raw)] = host.name
                self.sees.withdrawn[keccak256(raw)] = (target, 10**15 + number)

    async def ask(self) -> None:
        """Ask the relayer for every withdrawal again and again, for ever: it forgets with its disk."""
        while True:
            await self.simulation.run(2)
            for name in list(self.sees.withdrawn):
                if self.bridge.node is not None:
                    await self.bridges[self.bridge.name].view.settle(name)

    # -- the end

    async def unsettled(self) -> list[str]:
        """What is not as it has to be in the end."""
        found = [
            f"false game {game.index} is {game.status.name}"
            for game in await self.games()
            if game.roots_id in self.sees.false_roots and game.is_open
        ]
        states = self.bridges[self.bridge.name]._states
        for target, wei in self.sees.withdrawn.values():
            if states.head().balance(target) != wei:
                found.append(f"withdrawal to 0x{target.hex()}")
        return found

    def check_books(self) -> None:
        """No withdrawal settled twice, every bond accounted for. Raises InvariantBroken."""
        bridge = self.bridges[self.bridge.name]
        chain, engine = bridge._around.l1.chain, bridge._around.l1_engine
        games = bridge._games._last
        assert games is not None
        state = bridge._states.at(games.block)
        paid, settled = 0, list[Hash32]()
        for number in range(1, games.block.number + 1):
            block = chain.block_by_number(number)
            assert block is not None
            for log in engine.logs(block.receipts, BOND_VAULT, CREDIT_PAID):
                paid += int.from_bytes(log.data)
            for log in engine.logs(block.receipts, PORTAL, WITHDRAWAL_FINALIZED):
                settled.append(Hash32(log.topics[1]))
        if len(settled) != len(set(settled)):
            raise InvariantBroken("B5: a withdrawal settled twice")
        held = state.balance(BOND_VAULT) + state.balance(BURNT) + paid
        if held != games.count * BOND_WEI:
            raise InvariantBroken(f"B4: {games.count} bonds, {held} wei")
        lost = sum(game.status is GameStatus.CHALLENGER_WINS for game in games.games.values())
        if state.balance(BURNT) != lost * BOND_WEI * 9 // 10:
            raise InvariantBroken(f"B4: {lost} games lost, {state.balance(BURNT)} wei burnt")


def simulate_bridge(
    script: Callable[[BridgeNetwork], Awaitable[Answer]],
    plan: Plan,
    folder: Path,
    *,
    with_second: bool = False,
) -> Answer:
    """Start a network with a bridge, run a script while users and liars act. Raises InvariantBroken."""
    accounts = (PROPOSER, RELAYER, SECOND_CHALLENGER, CHALLENGER)
    strangers = (LIAR, HURRIED, COPYCAT, WITHDRAWER)
    funded = [one.address for one in (*accounts, *strangers)]
    documents = documents_of(plan, funded, more=partial(dispute_contracts, window_blocks=WINDOW))
    step = step_callable(RevmEngine(documents.l2), documents.parameters)
    documents = replace(documents, step=step)

    async def main(network: BridgeNetwork) -> Answer:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(network.hurry)
            nursery.start_soon(network.copy)
            nursery.start_soon(network.ask)
            answer = await script(network)
            nursery.cancel_scope.cancel()
        return answer

    def make(simulation: Simulation) -> BridgeNetwork:
        return BridgeNetwork(simulation, documents, folder, with_second=with_second)

    return run_rollup(main, plan, folder, documents, make)
