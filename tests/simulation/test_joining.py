"""Those who come late and those who leave: followers from nothing, new validators, exits."""

from __future__ import annotations

import pytest

from node.consensus.parameters import Parameters
from node.eth.hashing import keccak256
from node.eth.primitives import Hash32
from tests.simulation.engine import transfer
from tests.simulation.network import Plan, Simulation, simulate
from tests.simulation.stakes import deposit, exit_of, join, new_key, offer, weights

PAYER = b"\xaa" * 20
"""Sends transfers."""


def agree(simulation: Simulation) -> bool:
    """Whether every running node has the same head."""
    return len(set(simulation.heads().values())) == 1


@pytest.mark.parametrize("slots", [20, 80])
def test_follower_from_nothing_catches_up_while_the_chain_moves(slots: int) -> None:
    """Given a chain shorter or longer than a range of blocks, when a node joins without any, then it has all in four slots."""

    async def script(simulation: Simulation) -> None:
        await simulation.run(slots)
        follower = simulation.hosts["follower-0"]
        assert await follower.start()
        await simulation.until(lambda: agree(simulation), within=4, what="it has caught up")
        assert follower.chain.finalized.header.number > 0
        assert follower.chain.block_by_number(1) == simulation.host(0).chain.block_by_number(1)
        await simulation.run(4)
        assert agree(simulation)

    simulate(script, Plan(followers=1), down=["follower-0"])


def test_follower_that_stops_again_and_again_loses_nothing() -> None:
    """Given a syncing node that is killed at its writes, when it starts again each time, then it goes on from there."""

    async def script(simulation: Simulation) -> None:
        await simulation.run(70)
        follower = simulation.hosts["follower-0"]
        number = 0
        for turn in range(8):
            follower.crash_at_write(simulation.dice.randint(2, 30), after_write=bool(turn % 2))
            if await follower.start():
                await follower.died()
            follower.spare()
            assert await follower.start()
            assert follower.chain.head.header.number >= number, "what was saved is there"
            number = follower.chain.head.header.number
            await follower.crash()
        assert number > 0
        assert await follower.start()
        await simulation.until(lambda: agree(simulation), within=4, what="it has caught up")

    simulate(script, Plan(followers=1), down=["follower-0"])


def test_validator_back_after_a_long_time_votes_again() -> None:
    """Given a validator away for 50 slots, when it is back, then it catches up and finality is as before."""

    async def script(simulation: Simulation) -> None:
        await simulation.run(10)
        await simulation.crash(3)
        await simulation.run(50)
        await simulation.restart(3)
        await simulation.finality_returns(within=8)
        back = simulation.slot
        await simulation.run(10)
        voted = {vote.data.slot for vote in simulation.witness.votes() if vote.validator_index == 3}
        assert voted >= set(range(back + 1, simulation.slot + 1))

    simulate(script)


@pytest.mark.parametrize("drop_ratio", [0.0, 0.2])
def test_a_depositor_gets_weight(drop_ratio: float) -> None:
    """Given a deposit, when its validator votes through the tryout, then it has weight 18 slots later (22 at 20 % drops)."""

    async def script(simulation: Simulation) -> None:
        await simulation.run(8)
        host = join(simulation, "joiner")
        assert await host.start()
        await offer(simulation, deposit(simulation, host.keys[0]))
        await simulation.until(
            lambda: weights(simulation) == 0b11111, within=24, what="the depositor has weight"
        )
        await simulation.finality_returns(within=10)
        await simulation.until(
            lambda: any(one.proposer_index == 4 for one in simulation.witness.proposals()),
            within=60,
            what="the depositor proposes",
        )
        assert simulation.witness.guilty == {}

    simulate(script, Plan(drop_ratio=drop_ratio))


def test_dead_keys_never_get_weight() -> None:
    """Given three deposits for keys that nobody runs, then they stay candidates and finality never notices."""

    async def script(simulation: Simulation) -> None:
        await simulation.run(8)
        for number in range(3):
            await offer(simulation, deposit(simulation, new_key(simulation, f"dead-{number}")))
        await simulation.run(40)
        assert len(simulation.head_state().validators) == 7
        assert weights(simulation) == 0b1111
        assert max(sight.lag for sight in simulation.witness.sights if sight.slot > 14) <= 5

    simulate(script)


def test_an_exit_takes_the_weight_and_the_rest_finalizes() -> None:
    """Given an exit of one of five, then it loses its weight, and may be switched off without a trace in finality."""

    async def script(simulation: Simulation) -> None:
        await simulation.run(8)
        await offer(simulation, exit_of(simulation, 4))
        await simulation.until(
            lambda: weights(simulation) == 0b01111, within=16, what="the exit is scheduled"
        )
        await simulation.run(12)
        await simulation.crash(4)
        gone = simulation.slot
        await simulation.run(30)
        assert max(one.lag for one in simulation.witness.sights if one.slot > gone + 1) <= 4

    simulate(script, Plan(validators=5))


@pytest.mark.parametrize("seed", [1, 2])
def test_forks_with_deposits_in_another_order_agree_on_indexes(seed: int) -> None:
    """Given two sides that execute the same deposits in different orders, when they meet, then all indexes are the same (S5)."""

    async def script(simulation: Simulation) -> None:
        await simulation.run(8)
        first, second = (
            deposit(simulation, new_key(simulation, f"depositor-{number}")) for number in range(2)
        )
        simulation.split({0, 1}, {2, 3})
        for index, raw in ((0, first), (2, second)):
            core = simulation.host(index).core
            assert core is not None
            await core.pool.submit(raw)
        await simulation.run(8)
        for index, raw in ((0, second), (2, first)):
            core = simulation.host(index).core
            assert core is not None
            await core.pool.submit(raw)
        await simulation.run(8)
        simulation.heal()
        await simulation.finality_returns(within=12)
        await simulation.run(12)
        assert len(simulation.head_state().validators) == 6

    parameters = Parameters(slots_per_epoch=4, lookahead_slots=8)
    simulate(script, Plan(seed=seed, parameters=parameters))


@pytest.mark.parametrize("seed", [1, 2])
def test_transfers_survive_splits_and_crashes(seed: int) -> None:
    """Given transfers handed to single nodes while links and processes come and go, when all is healed, then all are final.

    A wallet whose node died sends again; nothing is included twice, and every node has each in the same block.
    """

    async def script(simulation: Simulation) -> None:
        dice = simulation.dice
        raws: list[bytes] = []
        await simulation.run(4)
        for turn in range(6):
            names = sorted(simulation.hosts)
            group = {name for name in names if dice.random() < 0.5}
            simulation.split_hosts(group, set(names) - group)
            for _ in range(5):
                raws.append(transfer(PAYER, len(raws)))
                core = dice.choice(simulation.up).core
                assert core is not None
                await core.pool.submit(raws[-1])
            await simulation.run_to(dice.random())
            await simulation.crash(turn % 4)
            await simulation.run(3)
            await simulation.restart(turn % 4)
        simulation.heal()
        for raw in raws:
            await offer(simulation, raw)
        await simulation.run(3)
        await simulation.finality_returns(within=16)
        for raw in raws:
            places = {
                (found[0].hash, found[1])
                for host in simulation.up
                if (found := host.chain.transaction_block(Hash32(keccak256(raw)))) is not None
                and found[0].header.number <= host.chain.finalized.header.number
            }
            assert len(places) == 1

    simulate(script, Plan(seed=seed))
