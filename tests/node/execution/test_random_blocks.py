"""Random blocks by every way there is: derived from the store, executed, stateless, and stepped inside an L1 transaction.

    FAULTLINE_RANDOM_BLOCKS=10000 FAULTLINE_RANDOM_SEED=7 pytest tests/node/execution/test_random_blocks.py

The seed is printed when a way differs; the same seed makes the same blocks.
"""

from __future__ import annotations

import os
import random
from typing import Final

import pytest

from node.eth.hashing import keccak256
from node.eth.headers import header_of_block
from node.rollup.outputs import output_of
from tests.kit.execution_chain import ExecutionChain, word
from tests.kit.rollup import portal_log
from tests.kit.rollup_chain import CHAIN_ID, L1_BLOCK, MESSAGE_PASSER
from tests.kit.step_world import PARAMETERS, Around, Stepped, StepWorld
from tests.kit.transfers import sign_transfer
from tests.kit.witness_world import (
    BOXES,
    DESTROYER,
    SPRAYS,
    bystander,
    signer,
    stores,
    witness_document,
    witness_world,
)
from tests.kit.worst_blocks import answer_of, host_of, step_transaction

BLOCKS: Final = int(os.environ.get("FAULTLINE_RANDOM_BLOCKS", "150"))
"""How many."""

SEED: Final = int(os.environ.get("FAULTLINE_RANDOM_SEED", "1"))
"""Of the dice."""

ON_L1_EVERY: Final = 10
"""One in so many is stepped by a transaction of L1."""

ACTORS: Final = 12
"""Who signs."""

ACCOUNTS: Final = 2_000
"""Who lies in the state."""


class Players:
    """Makes transactions and deposits of every kind, good and bad, from dice."""

    def __init__(self, world: StepWorld, dice: random.Random) -> None:
        self.world = world
        self.dice = dice
        self.nonces = [0] * ACTORS

    def block(self) -> Stepped:
        """The next block, in some record."""
        dice = self.dice
        for actor in range(ACTORS):
            self.nonces[actor] = self.world.chain.nonce(signer(actor).address)
        place = dice.choice((0, 0, 1, 5, 200))
        return self.world.make(
            [self.transaction() for _ in range(dice.choice((0, 1, 1, 2, 5, 12)))],
            advances=dice.random() < 0.5,
            logs=[self.log(index) for index in range(dice.choice((0, 0, 1, 3, 16)))],
            others=(b"\x00" + bytes(192), b"\x01" + bytes(76))[: dice.randrange(3)],
            claimed=self.world.parent.timestamp + dice.choice((0, 0, 1, 900)),
            around=Around(
                place=place, advances_before=min(place, dice.randrange(4)), blocks_after=dice.choice((0, 3))
            ),
        )  # fmt: skip

    def transaction(self) -> bytes:
        """Mostly one that can be executed; one in twelve spoils its block."""
        dice = self.dice
        if dice.random() < 0.02:
            return dice.randbytes(dice.randrange(60))
        actor = dice.randrange(ACTORS)
        nonce = self.nonces[actor] + (dice.random() < 0.02)
        self.nonces[actor] += 1
        to, data, gas = self.call()
        value = dice.choice((0, 0, 1, 10**15, 10**30 if dice.random() < 0.05 else 0))
        return sign_transfer(
            signer(actor),
            nonce=nonce,
            to=to,
            value=value,
            gas_limit=gas,
            data=data,
            chain_id=CHAIN_ID if dice.random() > 0.01 else 1,
        )

    def call(self) -> tuple[bytes, bytes, int]:
        """Whom to call, with what, for how much gas."""
        dice = self.dice
        start, count = dice.randrange(ACCOUNTS), dice.randrange(1, 40)
        match dice.randrange(7):
            case 0:
                return bystander(start), b"", 21_000
            case 1:
                name = dice.choice(list(SPRAYS))
                return SPRAYS[name], word(start) + word(count), dice.choice((90_000, 400_000))
            case 2 | 3:
                pairs = [(dice.randrange(30), dice.randrange(3)) for _ in range(count)]
                return dice.choice(BOXES), stores(pairs), 1_500_000
            case 4:
                return DESTROYER, word(dice.randrange(60)), 200_000
            case 5:
                code = dice.choice((b"\x5f\x5f\xfd", b"\x5fff", b"\x60\x01\x5f\x53\x60\x01\x5ff3"))
                return b"", code, 120_000
            case _:
                to = dice.choice(
                    (L1_BLOCK, MESSAGE_PASSER, keccak256(word(start))[12:], bytes(19) + b"\x04")
                )
                return to, word(count) + word(start), 100_000

    def log(self, index: int) -> bytes:
        """A deposit, or a log that is none."""
        dice = self.dice
        to, data, gas = self.call()
        if dice.random() < 0.1:
            return dice.randbytes(20)
        return portal_log(
            index,
            sender=dice.choice((signer(dice.randrange(ACTORS)).address, bystander(dice.randrange(ACCOUNTS)))),
            to=to or bytes(20),
            mint=dice.choice((0, 1, 10**18)),
            value=dice.choice((0, 1, 10**19)),
            gas=dice.choice((gas, 21_000, 20_999, 187_000)),
            is_creation=not to,
            data=data,
        )  # fmt: skip


@pytest.mark.timeout(3_600)
def test_every_way_gives_the_same_block() -> None:
    """Given random blocks one on the other, when derived, executed, executed stateless and stepped, then all agree."""
    document = witness_document(ACCOUNTS, slots=500, large_codes=4, children=60, full_rings=True)
    world = StepWorld(witness_world(document).chain, PARAMETERS)
    engine = world.chain.engine
    host = host_of(engine, PARAMETERS)
    players = Players(world, random.Random(SEED))
    full = 0
    for number in range(BLOCKS):
        stepped = players.block()
        given, sealed = stepped.given, stepped.derived.result
        full += stepped.derived.is_full
        executed = engine.execute(given.parent_header, sealed.block, b"")
        stateless = engine.stateless(
            given.parent_header, sealed.block, given.nodes, given.codes, []
        )
        assert executed.block == stateless.block == sealed.block, f"seed {SEED}, block {number}"
        assert executed.receipts == stateless.receipts == sealed.receipts
        root = output_of(header_of_block(stateless.block)).root()
        assert world.ask(given.encode()) == root, f"seed {SEED}, block {number}"
        if number % ON_L1_EVERY == 0:
            assert on_l1(host, given.encode()) == root, f"seed {SEED}, block {number}"
        world.commit(stepped)
        if number % 256 == 255:
            engine.prune([sealed.state_root], header_of_block(sealed.block).number)
    assert 0.5 * BLOCKS < full < BLOCKS


def on_l1(host: ExecutionChain, data: bytes) -> bytes | None:
    """What a contract of L1 is answered; the block is not kept."""
    block = host.seal([step_transaction(data)])
    host.engine.commit(block)
    return answer_of(host, block.state_root)
