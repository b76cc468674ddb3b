"""Gossip's verdicts: what goes on, what stays, who is blamed; and that execution is not waited for."""

from __future__ import annotations

from dataclasses import replace

import trio

from node.consensus.containers import VoteEvidence
from node.consensus.wire import encode_evidence_message, encode_votes
from node.eth.primitives import ValidatorIndex
from node.p2p.network import PeerId, Topic, Verdict
from tests.kit.chain_builder import with_signature
from tests.kit.chain_harness import Machine, TestNetwork, clock_at
from tests.kit.fake_engine import INVALID_PREFIX
from tests.kit.memory_network import MemoryHub
from tests.node.sync.nodes import RunningNode, chain_of, running_node

PEER = PeerId("peer")


async def test_a_block_is_forwarded_before_it_is_executed(
    network: TestNetwork, hub: MemoryHub, autojump_clock: trio.testing.MockClock
) -> None:
    (block,) = chain_of(network, range(4, 5))
    machine = Machine(network=network)
    clock = clock_at(network.genesis, 4.1)
    async with running_node(hub, "node", machine, clock) as node:
        assert machine.engine is not None
        machine.engine.refused.add(block.hash)

        assert await node.gossip.on_block(PEER, block.envelope) is Verdict.ACCEPT
        await trio.testing.wait_all_tasks_blocked()
        assert machine.engine.executed == [block.hash]
        assert node.chain.head.header.number == 0


async def test_copies_with_other_bodies_are_forwarded_twice_at_most_and_nobody_is_blamed(
    network: TestNetwork, hub: MemoryHub, autojump_clock: trio.testing.MockClock
) -> None:
    builder = network.builder
    honest = builder.build(builder.genesis_hash, 4, transactions=[b"pay the merchant"])
    copies = [
        honest.envelope.replace(b"pay the merchant", INVALID_PREFIX + b"the merchan%d" % number)
        for number in range(5)
    ]
    clock = clock_at(network.genesis, 4.1)
    async with running_node(hub, "node", Machine(network=network), clock) as node:
        verdicts = []
        for copy in copies:
            verdicts.append(await node.gossip.on_block(PEER, copy))
            await trio.testing.wait_all_tasks_blocked()

        assert verdicts == [Verdict.ACCEPT] * 2 + [Verdict.IGNORE] * 3
        assert await node.gossip.on_block(PEER, honest.envelope) is Verdict.ACCEPT
        assert node.chain.head.hash == honest.hash, "it was executed before it was forwarded"


async def test_what_is_known_early_or_without_parent_stays_and_what_is_false_is_blamed(
    network: TestNetwork, hub: MemoryHub, autojump_clock: trio.testing.MockClock
) -> None:
    blocks = chain_of(network, range(4, 9))
    clock = clock_at(network.genesis, 6.1)
    async with running_node(hub, "node", Machine(network=network), clock) as node:
        forged = blocks[0].envelope[:-64] + bytes(64)
        assert await node.gossip.on_block(PEER, blocks[0].envelope) is Verdict.ACCEPT
        await trio.testing.wait_all_tasks_blocked()
        for envelope, verdict in (
            (blocks[0].envelope, Verdict.IGNORE),
            (blocks[2].envelope, Verdict.IGNORE),
            (blocks[4].envelope, Verdict.IGNORE),
            (forged, Verdict.IGNORE),
            (blocks[1].envelope[:-64] + bytes(64), Verdict.REJECT),
            (b"garbage", Verdict.REJECT),
        ):
            assert await node.gossip.on_block(PEER, envelope) is verdict


async def test_a_vote_message_is_forwarded_for_news_and_blamed_for_one_false_vote(
    network: TestNetwork, hub: MemoryHub, autojump_clock: trio.testing.MockClock
) -> None:
    (block,) = chain_of(network, range(4, 5))
    votes = [network.builder.vote(index, 4, block.hash) for index in range(4)]
    clock = clock_at(network.genesis, 4.3)
    async with running_node(hub, "node", Machine(network=network), clock) as node:
        await node.give([block])
        half, whole = encode_votes(votes[:2]), encode_votes(votes[:3])
        false = encode_votes([votes[3], with_signature(votes[0], bytes(64))])

        assert await node.gossip.on_votes(PEER, half) is Verdict.ACCEPT
        assert await node.gossip.on_votes(PEER, half) is Verdict.IGNORE
        assert await node.gossip.on_votes(PEER, whole) is Verdict.ACCEPT
        assert await node.gossip.on_votes(PEER, encode_votes([])) is Verdict.IGNORE
        assert await node.gossip.on_votes(PEER, b"\xff") is Verdict.REJECT
        forged = encode_votes([with_signature(votes[3], bytes(64))])
        assert await node.gossip.on_votes(PEER, forged) is Verdict.REJECT
        assert await node.gossip.on_votes(PEER, false) is Verdict.REJECT
        # The good vote of that message counts all the same.
        alone = encode_votes([votes[3]])
        assert await node.gossip.on_votes(PEER, alone) is Verdict.IGNORE


async def test_a_message_that_cannot_be_judged_whole_is_not_forwarded(
    network: TestNetwork, hub: MemoryHub, autojump_clock: trio.testing.MockClock
) -> None:
    (block,) = chain_of(network, range(4, 5))
    vote = network.builder.vote(0, 4, block.hash)
    newcomer = replace(vote, validator_index=ValidatorIndex(4))
    clock = clock_at(network.genesis, 4.3)
    async with running_node(hub, "node", Machine(network=network), clock) as node:
        await node.give([block])

        message = encode_votes([vote, newcomer])

        assert await node.gossip.on_votes(PEER, message) is Verdict.IGNORE


async def test_everybody_learns_of_an_offence_once(
    network: TestNetwork, hub: MemoryHub, autojump_clock: trio.testing.MockClock
) -> None:
    base, head = chain_of(network, range(4, 6))
    first, second = (network.builder.vote(2, 5, one.hash) for one in (base, head))
    clock = clock_at(network.genesis, 5.1)
    machines = [Machine(network=network) for _ in range(3)]
    async with (
        running_node(hub, "one", machines[0], clock) as one,
        running_node(hub, "two", machines[1], clock) as two,
        running_node(hub, "three", machines[2], clock) as three,
    ):
        nodes: list[RunningNode] = [one, two, three]
        for node in nodes:
            await node.give([base, head])
        await trio.sleep(1.2)

        await one.chain.on_votes([first, second], origin="")
        await trio.sleep(0.5)

        for node in nodes:
            assert node.chain.evidence == (VoteEvidence(first=first, second=second),)
        proof = encode_evidence_message(VoteEvidence(first=first, second=second))
        assert await two.gossip.on_evidence(PEER, proof) is Verdict.IGNORE
        false = VoteEvidence(first=first, second=with_signature(first, bytes(64)))
        message = encode_evidence_message(false)
        assert await two.gossip.on_evidence(PEER, message) is Verdict.IGNORE
        assert await two.gossip.on_evidence(PEER, b"\x00") is Verdict.REJECT


async def test_votes_and_blocks_reach_everybody(
    network: TestNetwork, hub: MemoryHub, autojump_clock: trio.testing.MockClock
) -> None:
    (block,) = chain_of(network, range(4, 5))
    votes = [network.builder.vote(index, 4, block.hash) for index in range(4)]
    clock = clock_at(network.genesis, 3.2)
    async with (
        running_node(hub, "one", Machine(network=network), clock) as one,
        running_node(hub, "two", Machine(network=network), clock) as two,
    ):
        await clock.sleep_until_slot(4)
        await one.give([block])
        one.network.publish(Topic.L1_BLOCK, block.envelope)
        await one.chain.on_votes(votes, origin="")
        one.network.publish(Topic.L1_VOTE, encode_votes(votes))

        await two.reaches(block, within_s=1.0)
        await clock.sleep_until_slot(4, 0.85)
        assert two.chain.participation == 1.0
        assert two.chain.confirmed.hash == block.hash
