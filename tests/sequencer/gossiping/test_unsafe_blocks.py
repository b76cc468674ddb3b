"""A replica follows what a sequencer tells, and nobody else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry
from trio.testing import MockClock

from node.eth.blocks import Block
from node.eth.primitives import BlockNumber, Hash32
from node.execution.adapter import verify_signatures
from node.p2p.network import PeerId, RequestFailed, Verdict
from node.rollup.unsafe import (
    UnsafeBlock,
    UnsafeBlocks,
    encode_body,
    encode_message,
    open_message,
    signing_message,
    unsafe_domain,
)
from node.runtime.fault_catalogue import faults_of
from node.runtime.faults import FaultBoard
from sequencer.gossiping import following
from sequencer.gossiping.following import Follower
from sequencer.gossiping.metrics import GossipMetrics
from sequencer.gossiping.publishing import Publisher
from sequencer.gossiping.wire import encode_range
from tests.kit.model_l1 import ModelDeposit, ModelTree
from tests.kit.model_l2 import L2Node, model_parameters, transfer

PEER = PeerId("peer")
KEY = Ed25519PrivateKey.from_private_bytes(bytes([7] * 32))


def tree() -> ModelTree:
    """An L1 whose rollup trusts KEY."""
    key = KEY.public_key().public_bytes_raw()
    return ModelTree(replace(model_parameters(), sequencer_key=key))


@dataclass(slots=True, kw_only=True)
class Sequencer:
    """A node that tells of its blocks."""

    node: L2Node
    """Its chain."""
    publisher: Publisher
    """Tells."""
    faults: FaultBoard
    """Of the publisher."""
    told: list[bytes]
    """Messages gossiped and not taken yet."""

    def take(self) -> list[bytes]:
        """What was gossiped since the last time."""
        self.publisher.flush()
        taken, self.told[:] = list(self.told), []
        return taken


def sequencer(l1: ModelTree, *, key: Ed25519PrivateKey = KEY, generation: int = 1) -> Sequencer:
    """A node that seals blocks, on this L1."""
    node = L2Node(l1)
    told: list[bytes] = []
    faults = FaultBoard(faults_of("sequencer"))
    publisher = Publisher(
        chain=node.chain,
        engine=node.engine,
        domain=domain_of(node),
        sign=key.sign,
        publish=told.append,
        generation=generation,
        faults=faults,
        metrics=GossipMetrics(CollectorRegistry()),
    )
    return Sequencer(node=node, publisher=publisher, faults=faults, told=told)


def domain_of(node: L2Node) -> Hash32:
    """What signatures start with."""
    return unsafe_domain(node.parameters.chain_id, Hash32(node.engine.genesis().block_hash))


@dataclass(slots=True, kw_only=True)
class Replica:
    """A node that follows."""

    node: L2Node
    """Its chain."""
    follower: Follower
    """Follows."""
    asked: list[bytes] = field(default_factory=list)
    """Questions that it asked."""

    def open(self, message: bytes) -> Awaitable[None]:
        """Follow a message, as its queue would."""
        return self.follower.follow(
            open_message(message, self.node.parameters, domain_of(self.node), verify_signatures)
        )

    def metric(self, name: str, **labels: str) -> float:
        """A sample."""
        return self.node.metric(name, **labels)


def replica(of: Sequencer, *, ask: Callable[[bytes], Awaitable[bytes]] | None = None) -> Replica:
    """A node on the same L1 that follows a sequencer."""
    node = L2Node(of.node.l1.tree)
    node.l1.adopt(of.node.l1.tip_block)
    asked: list[bytes] = []

    async def serve(request: bytes) -> bytes:
        asked.append(request)
        return await of.publisher.serve(PEER, request)

    follower = Follower(
        parameters=node.parameters,
        l1=node.view,
        l2=node.chain,
        engine=node.engine,
        worker=node.worker,
        domain=domain_of(node),
        verify=verify_signatures,
        ask=ask or serve,
        metrics=GossipMetrics(node.registry),
    )
    return Replica(node=node, follower=follower, asked=asked)


def hashes(node: L2Node) -> list[bytes]:
    return [block.hash for block in node.chain.blocks]


def run_history(history: Callable[[], Awaitable[None]]) -> None:
    trio.run(history, clock=MockClock(autojump_threshold=0))


def test_a_replica_makes_the_blocks_it_is_told_of_from_its_own_l1() -> None:
    async def history() -> None:
        # Given a sequencer whose blocks hold a deposit, transfers and two origins
        teller = sequencer(tree())
        teller.node.l1.mine(deposits=[ModelDeposit()])
        teller.node.l1.mine()
        reader = replica(teller)
        teller.node.build([transfer(0, 0)], advances=True)
        teller.node.build([transfer(0, 1), transfer(1, 0)])
        teller.node.build(advances=True)
        # When it tells of them
        for message in teller.take():
            await reader.open(message)
        # Then the replica has them, with the deposit
        assert hashes(reader.node) == hashes(teller.node)
        assert reader.node.balance(b"\xbb" * 20) == 10**17
        assert reader.metric("faultline_unsafe_blocks_total", outcome="followed") == 3
        assert not teller.take(), "nothing is told twice"

    run_history(history)


def test_a_gap_is_asked_for() -> None:
    async def history() -> None:
        teller = sequencer(tree())
        reader = replica(teller)
        for nonce in range(5):
            teller.node.build([transfer(0, nonce)])
            teller.take()
        teller.node.build([transfer(0, 5)])
        for message in teller.take():
            await reader.open(message)
        assert hashes(reader.node) == hashes(teller.node)
        assert reader.asked == [encode_range(1, 512)]

    run_history(history)


def test_a_sequencer_that_does_not_answer_leaves_the_gap() -> None:
    async def history() -> None:
        async def silent(_: bytes) -> bytes:
            raise RequestFailed("gone")

        teller = sequencer(tree())
        reader = replica(teller, ask=silent)
        teller.node.build([transfer(0, 0)])
        teller.take()
        teller.node.build([transfer(0, 1)])
        for message in teller.take():
            await reader.open(message)
        assert len(reader.node.chain.blocks) == 1
        assert reader.metric("faultline_unsafe_runs_total", outcome="gap") == 1

    run_history(history)


def test_a_new_generation_replaces_blocks_and_an_old_one_is_stale() -> None:
    async def history() -> None:
        # Given a replica with three blocks of a sequencer
        teller = sequencer(tree())
        reader = replica(teller)
        for nonce in range(3):
            teller.node.build([transfer(0, nonce)])
        old = teller.take()
        for message in old:
            await reader.open(message)
        # When the sequencer is reset to the first, and seals others
        teller.node.chain.reset_to(1)
        teller.node.build([transfer(1, 0)])
        for message in teller.take():
            await reader.open(message)
        # Then the replica has those, and does not go back
        assert hashes(reader.node) == hashes(teller.node)
        for message in old:
            await reader.open(message)
        assert hashes(reader.node) == hashes(teller.node)
        assert reader.metric("faultline_unsafe_runs_total", outcome="stale") == 1

    run_history(history)


def test_a_reset_below_everything_that_was_told_is_followed_too() -> None:
    async def history() -> None:
        teller = sequencer(tree())
        reader = replica(teller)
        for nonce in range(3):
            teller.node.build([transfer(0, nonce)])
        for message in teller.take():
            await reader.open(message)
        teller.node.chain.reset_to(0)
        teller.node.build([transfer(1, 0)])
        for message in teller.take():
            await reader.open(message)
        assert hashes(reader.node) == hashes(teller.node)

    run_history(history)


def test_many_blocks_are_replaced_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "RESET_BLOCKS", 2)

    async def history() -> None:
        # Given a replica with five blocks, four of which the sequencer has replaced
        teller = sequencer(tree())
        reader = replica(teller)
        for nonce in range(5):
            teller.node.build([transfer(0, nonce)])
        for message in teller.take():
            await reader.open(message)
        teller.node.chain.reset_to(1)
        teller.node.build([transfer(1, 0)])
        # When it drops them
        chain = reader.node.chain
        steps: list[list[int]] = []
        reset_to = chain.reset_to

        def noted(number: int) -> Sequence[Block]:
            dropped = reset_to(number)
            steps.append([one.header.number for one in dropped])
            return dropped

        monkeypatch.setattr(chain, "reset_to", noted)
        for message in teller.take():
            await reader.open(message)
        # Then others could run in between
        assert steps == [[5, 4], [3, 2]]
        assert hashes(reader.node) == hashes(teller.node)

    run_history(history)


def test_equivocation_changes_nothing_and_is_counted() -> None:
    async def history() -> None:
        # Given a sequencer that tells of another block before the true one
        teller = sequencer(tree())
        reader = replica(teller)
        teller.node.build([transfer(0, 0)])
        for message in teller.take():
            await reader.open(message)
        await teller.faults.inject("equivocate-unsafe", {"count": 1})
        teller.node.build([transfer(0, 1)])
        lie, truth = teller.take()
        # When the replica hears both
        await reader.open(lie)
        seen = hashes(reader.node)
        await reader.open(truth)
        # Then it stays with what it saw first, a block that derives without differing
        assert len(seen) == 3
        assert hashes(reader.node) == seen != hashes(teller.node)
        assert reader.metric("faultline_unsafe_equivocations_total") == 1
        assert reader.metric("faultline_unsafe_blocks_total", outcome="differs") == 0

    run_history(history)


def test_a_block_that_derives_differently_is_not_followed() -> None:
    async def history() -> None:
        teller = sequencer(tree())
        reader = replica(teller)
        teller.node.build([transfer(0, 0)])
        (message,) = teller.take()
        honest = open_message(
            message, reader.node.parameters, domain_of(reader.node), verify_signatures
        )
        await reader.follower.follow(
            type(honest)(
                generation=honest.generation,
                first_number=honest.first_number,
                parent_hash=honest.parent_hash,
                blocks=(
                    type(honest.blocks[0])(
                        timestamp=honest.blocks[0].timestamp,
                        origin_number=honest.blocks[0].origin_number,
                        origin_hash=honest.blocks[0].origin_hash,
                        transactions=honest.blocks[0].transactions,
                        block_hash=Hash32(b"\x01" * 32),
                    ),
                ),
            )
        )
        assert len(reader.node.chain.blocks) == 1
        assert reader.metric("faultline_unsafe_blocks_total", outcome="differs") == 1

    run_history(history)


def test_an_origin_that_l1_has_dropped_is_waited_for_and_given_up() -> None:
    async def history() -> None:
        # Given a sequencer whose L1 has a block more than the replica's
        teller = sequencer(tree())
        reader = replica(teller)
        teller.node.l1.mine()
        teller.node.build([transfer(0, 0)], advances=True)
        for message in teller.take():
            await reader.open(message)
        assert len(reader.node.chain.blocks) == 1
        assert reader.metric("faultline_unsafe_runs_total", outcome="waited") == 1
        # When the replica's L1 catches up
        reader.node.l1.adopt(teller.node.l1.tip_block)
        teller.node.build([transfer(0, 1)])
        for message in teller.take():
            await reader.open(message)
        # Then the next message closes the gap
        assert hashes(reader.node) == hashes(teller.node)

    run_history(history)


def test_a_foreign_key_is_refused_and_counted() -> None:
    async def history() -> None:
        l1 = tree()
        stranger = sequencer(l1, key=Ed25519PrivateKey.generate())
        reader = replica(sequencer(l1))
        stranger.node.build([transfer(0, 0)])
        (message,) = stranger.take()
        assert await reader.follower.on_gossip(PEER, message) is Verdict.REJECT
        assert await reader.follower.on_gossip(PEER, b"\x85nonsense") is Verdict.REJECT
        assert reader.metric("faultline_unsafe_runs_total", outcome="refused") == 2

    run_history(history)


def test_origins_of_two_numbers_and_one_hash_end_nobody() -> None:
    async def history() -> None:
        # Given a sequencer's signature under blocks that name one L1 block as two
        teller = sequencer(tree())
        teller.node.l1.mine()
        teller.node.l1.mine()
        reader = replica(teller)
        last = teller.node.l1.head
        parent = teller.node.chain.head
        wrong = [
            UnsafeBlock(
                timestamp=parent.header.timestamp,
                origin_number=BlockNumber(number),
                origin_hash=last.hash,
                transactions=(),
                block_hash=Hash32(bytes([number]) * 32),
            )
            for number in (1, 2)
        ]
        for blocks in (wrong, wrong[:1]):
            run = UnsafeBlocks(
                generation=5,
                first_number=BlockNumber(1),
                parent_hash=parent.hash,
                blocks=tuple(blocks),
            )
            # When a replica reads or follows them, then it stays where it is
            body = encode_body(run)
            message = encode_message(body, KEY.sign(signing_message(domain_of(reader.node), body)))
            await reader.follower.on_gossip(PEER, message)
            await reader.follower.follow(run)
        assert len(reader.node.chain.blocks) == 1

    run_history(history)


def test_blocks_stay_until_those_that_replace_them_can_be_made() -> None:
    async def history() -> None:
        # Given a replica with blocks, and a generation that stands on an origin that it does not see
        teller = sequencer(tree())
        reader = replica(teller)
        for nonce in range(2):
            teller.node.build([transfer(0, nonce)])
        for message in teller.take():
            await reader.open(message)
        teller.node.chain.reset_to(0)
        teller.node.l1.mine()
        teller.node.build([transfer(1, 0)], advances=True)
        before = hashes(reader.node)
        # When it hears of it, then it keeps what it has
        for message in teller.take():
            await reader.open(message)
        assert hashes(reader.node) == before
        # Until its L1 has that block
        reader.node.l1.adopt(teller.node.l1.tip_block)
        teller.node.build([transfer(1, 1)])
        for message in teller.take():
            await reader.open(message)
        assert hashes(reader.node) == hashes(teller.node)

    run_history(history)


def test_safe_blocks_and_too_many_questions_are_not_answered() -> None:
    async def history() -> None:
        teller = sequencer(tree())
        for nonce in range(3):
            teller.node.build([transfer(0, nonce)])
        teller.node.chain.set_safe(1, 0)
        assert await teller.publisher.serve(PEER, encode_range(1, 10)) == b""
        answers = [await teller.publisher.serve(PEER, encode_range(2, 10)) for _ in range(100)]
        assert 0 < sum(1 for answer in answers if answer) < 50
        other = PeerId("another")
        assert await teller.publisher.serve(other, encode_range(2, 10)) != b""

    run_history(history)


def test_an_answer_after_a_reset_is_of_the_new_generation() -> None:
    async def history() -> None:
        teller = sequencer(tree())
        reader = replica(teller)
        for nonce in range(2):
            teller.node.build([transfer(0, nonce)])
        for message in teller.take():
            await reader.open(message)
        teller.node.chain.reset_to(0)
        teller.node.build([transfer(1, 0)])
        await reader.open(await teller.publisher.serve(PEER, encode_range(1, 10)))
        assert hashes(reader.node) == hashes(teller.node)
        assert reader.metric("faultline_unsafe_equivocations_total") == 0

    run_history(history)


@pytest.mark.parametrize("first", [0, 3, 99])
def test_questions_beyond_the_chain_are_answered_with_nothing(first: int) -> None:
    async def history() -> None:
        teller = sequencer(tree())
        teller.node.build([transfer(0, 0)])
        answer = await teller.publisher.serve(PEER, encode_range(first, 10))
        assert answer == b""

    run_history(history)


def test_a_message_signs_what_it_holds() -> None:
    teller = sequencer(tree())
    teller.node.build([transfer(0, 0)])
    (message,) = teller.take()
    opened = open_message(
        message, teller.node.parameters, domain_of(teller.node), verify_signatures
    )
    signature = message[-64:]
    digest = signing_message(domain_of(teller.node), encode_body(opened))
    KEY.public_key().verify(signature, digest)
