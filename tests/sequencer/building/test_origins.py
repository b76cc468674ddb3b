"""Which L1 block the next L2 block names, and when."""

from __future__ import annotations

from dataclasses import replace

from node.eth.primitives import ZERO_HASH
from node.rollup.deposits import DEPOSIT_TYPE
from node.rollup.headers import genesis_header
from sequencer.building.origins import Lost, Turn, choose, inputs_of, origin_name
from sequencer.l1.places import L1Ref
from tests.kit.building import PARAMETERS, ListedL1
from tests.kit.rollup import GENESIS_TIME

GENESIS = genesis_header(PARAMETERS, GENESIS_TIME, ZERO_HASH, ZERO_HASH)


def test_the_origin_stays_while_nothing_is_confirmed() -> None:
    l1 = ListedL1()
    l1.advance(confirmed=False)
    assert choose(l1, l1.confirmed_number, l1.genesis) == Turn(l1.blocks[0], advances=False)


def test_the_origin_advances_by_one_once_confirmed() -> None:
    l1 = ListedL1()
    for _ in range(3):
        l1.advance()
    assert choose(l1, l1.confirmed_number, l1.genesis) == Turn(l1.blocks[1], advances=True)
    assert choose(l1, l1.confirmed_number, origin_name(l1.blocks[1])) == Turn(
        l1.blocks[2], advances=True
    )
    assert choose(l1, l1.confirmed_number, origin_name(l1.blocks[3])) == Turn(
        l1.blocks[3], advances=False
    )


def test_an_origin_that_l1_left_is_lost() -> None:
    l1 = ListedL1()
    l1.advance()
    l1.advance()
    old = origin_name(l1.blocks[1])
    l1.reorganise(1)
    assert choose(l1, l1.confirmed_number, old) == Lost()
    l1.advance()
    assert choose(l1, l1.confirmed_number, old) == Lost()
    assert choose(l1, l1.confirmed_number, L1Ref(number=9, hash=old.hash)) == Lost()


def test_a_block_that_advances_holds_the_deposits_of_its_origin() -> None:
    l1 = ListedL1()
    l1.advance()
    inputs = inputs_of(PARAMETERS, GENESIS, Turn(l1.blocks[1], advances=True), GENESIS_TIME + 3)
    assert [raw[0] for raw in inputs.deposits] == [DEPOSIT_TYPE]
    assert inputs.timestamp == GENESIS_TIME + 3
    assert inputs.mix_hash == l1.blocks[1].header.mix_hash
    staying = inputs_of(PARAMETERS, GENESIS, Turn(l1.blocks[0], advances=False), GENESIS_TIME)
    assert staying.deposits == ()


def test_a_timestamp_is_never_before_parent_or_origin_nor_after_the_drift() -> None:
    l1 = ListedL1()
    l1.advance()
    turn = Turn(l1.blocks[1], advances=True)
    origin_time = GENESIS_TIME + 2
    parent = replace(GENESIS, timestamp=GENESIS_TIME + 1)

    def stamped(now: int) -> int:
        return inputs_of(PARAMETERS, parent, turn, now).timestamp

    assert stamped(0) == origin_time
    assert stamped(origin_time + 5) == origin_time + 5
    latest = origin_time + PARAMETERS.max_drift_seconds
    assert stamped(latest) == latest
    assert stamped(latest + 1) == latest
