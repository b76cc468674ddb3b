"""The same networks with the native engine under them: real transactions, real states, files that outlive a crash."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from node.app.core import CoreEngine
from node.eth.hashing import keccak256
from node.eth.primitives import Hash32
from node.execution.adapter import RevmEngine
from tests.kit.execution_chain import genesis_document
from tests.kit.transfers import Sender, sender, sign_transfer
from tests.simulation.hosts import EngineMaker, Host
from tests.simulation.network import Plan, Simulation, simulate

RECEIVER = b"\x77" * 20
"""Nobody's account until the first transfer."""

SENDERS = [sender(f"payer {number}") for number in range(3)]
"""Funded."""


class Files:
    """Opens the native engine over a folder for each host."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        genesis = plan.genesis()
        funded = {"0x" + one.address.hex(): {"balance": hex(10**24)} for one in SENDERS}
        document = genesis_document(funded) | {
            "timestamp": hex(genesis.time),
            "gasLimit": hex(120_000_000),
            "extraData": "0x" + genesis.extra_data.hex(),
        }
        self._document = json.dumps(document).encode()
        self._folder = folder

    def __call__(self, name: str) -> EngineMaker:
        """How to open a host's engine; nobody's is in memory."""
        folder = self._folder / name if name else None

        @contextmanager
        def opened() -> Iterator[CoreEngine]:
            engine = RevmEngine(self._document, folder=folder, cache_megabytes=4)
            try:
                yield engine
            finally:
                engine.close()

        def make() -> AbstractContextManager[CoreEngine]:
            return opened()

        return make


def balance(host: Host, address: bytes) -> int:
    """What an account has after a host's finalized block."""
    assert host.core is not None
    engine = host.core.pool._engine
    account = engine.account(host.chain.finalized.header.state_root, address)
    return 0 if account is None else account.balance


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", [1, 2])
def test_transfers_through_splits_and_crashes_end_in_one_state(seed: int, tmp_path: Path) -> None:
    """Given transfers to single nodes while halves part and nodes die, when all heals, then all have the same state.

    Every transfer is final once, and what was received is what was sent.
    """
    plan = Plan(seed=seed)
    raws: list[bytes] = []
    nonces = dict.fromkeys(range(len(SENDERS)), 0)

    async def pay(simulation: Simulation) -> None:
        for number, payer in enumerate(SENDERS):
            raws.append(signed(payer, nonces[number]))
            nonces[number] += 1
            core = simulation.dice.choice(simulation.up).core
            assert core is not None
            await core.pool.submit(raws[-1])

    async def script(simulation: Simulation) -> None:
        dice = simulation.dice
        for turn in range(4):
            await pay(simulation)
            await simulation.run(2)
            if turn % 2:
                simulation.split({0, turn}, {1, 2, 3} - {turn})
            await simulation.run_to(dice.random())
            await simulation.crash(turn)
            await pay(simulation)
            await simulation.run(3)
            simulation.heal()
            await simulation.restart(turn)
        for raw in raws:
            for host in simulation.up:
                assert host.core is not None
                await host.core.pool.submit(raw)
        await simulation.run(4)
        await simulation.finality_returns(within=12)
        heads = {host.chain.head.header.state_root for host in simulation.up}
        assert len(heads) == 1
        for raw in raws:
            places = set()
            for host in simulation.up:
                found = host.chain.transaction_block(Hash32(keccak256(raw)))
                assert found is not None
                assert found[0].header.number <= host.chain.finalized.header.number
                places.add((found[0].hash, found[1]))
            assert len(places) == 1
        assert {balance(host, RECEIVER) for host in simulation.up} == {len(raws)}

    simulate(script, plan, make_engine=Files(plan, tmp_path))


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_follower_executes_everything_again(tmp_path: Path) -> None:
    """Given a chain with transfers, when a node joins from nothing, then its own execution gives it the same state."""
    plan = Plan(followers=1)

    async def script(simulation: Simulation) -> None:
        for nonce in range(20):
            core = simulation.host(nonce % 4).core
            assert core is not None
            await core.pool.submit(signed(SENDERS[0], nonce))
            await simulation.run(1)
        follower = simulation.hosts["follower-0"]
        assert await follower.start()
        await simulation.run(6)
        head = simulation.host(0).chain.head
        assert follower.chain.head.hash == head.hash
        assert balance(follower, RECEIVER) == 20

    simulate(script, plan, make_engine=Files(plan, tmp_path), down=["follower-0"])


def signed(payer: Sender, nonce: int) -> bytes:
    """A transfer of one wei to the receiver."""
    return sign_transfer(payer, nonce=nonce, to=RECEIVER)
