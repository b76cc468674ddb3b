"""Difficulty of blocks of proof of work, fork by fork, the bomb included: EELS's figures."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from node.eth.headers import Header, any_header_of_block, decode_any_header
from node.eth.primitives import ZERO_HASH
from node.execution.adapter import RevmEngine
from tests.kit.foreign_chain import FORKS
from tests.vectors.forks.plan import CONFIG_KEYS, FORKS as NAMES, genesis

CASES = json.loads((FORKS / "difficulties.json").read_bytes())


def engine_at(fork: str) -> RevmEngine:
    """A chain that has been in this fork from its genesis block on."""
    config: dict[str, object] = {"chainId": 1, "daoForkSupport": True}
    for name in NAMES[: NAMES.index(fork) + 1]:
        config |= dict.fromkeys(CONFIG_KEYS.get(name, ()), 0)
    return RevmEngine(json.dumps({**genesis(), "config": config}).encode())


@pytest.mark.parametrize("fork", NAMES[:-1])
def test_difficulty_is_eels(fork: str) -> None:
    """Given EELS's cases of a fork, when the next header is asked for, then its difficulty is EELS's."""
    engine = engine_at(fork)
    first, _ = any_header_of_block(engine.genesis().block)
    cases = [case[1:] for case in CASES if case[0] == fork]
    assert len(cases) == 24
    for number, seconds, difficulty, has_ommers, wanted in cases:
        parent = replace(first, number=number - 1, difficulty=difficulty, timestamp=1_000)
        if has_ommers:
            parent = replace(parent, ommers_hash=ZERO_HASH)
        assert following(engine, parent, seconds).difficulty == int(wanted)


def test_the_bomb_comes_on_top_of_the_least_difficulty() -> None:
    """Given the least difficulty and a bomb, when the next header is asked for, then both are there, as in geth."""
    engine = engine_at("homestead")
    first, _ = any_header_of_block(engine.genesis().block)
    parent = replace(first, number=399_999, difficulty=131_072, timestamp=1_000)
    assert following(engine, parent, 2_000).difficulty == 131_072 + 4


def following(engine: RevmEngine, parent: Header, seconds: int) -> Header:
    """The header of an empty block so much later."""
    return decode_any_header(engine.following_header(parent.encode(), parent.timestamp + seconds))


def test_a_following_header_has_its_own_forks_fields() -> None:
    """Given the last block before a fork, when the next header is asked for, then it has what the fork brings."""
    config = {"chainId": 1, **{key: 0 for keys in CONFIG_KEYS.values() for key in keys}}
    config |= {"londonBlock": 5, "arrowGlacierBlock": 5, "grayGlacierBlock": 5}
    config |= {"terminalTotalDifficulty": 0, "shanghaiTime": 50, "cancunTime": 60, "pragueTime": 70}
    engine = RevmEngine(json.dumps({**genesis(), "config": config}).encode())
    first, _ = any_header_of_block(engine.genesis().block)
    engine.merge_at(None)
    before = following(engine, replace(first, number=2, timestamp=0), 12)
    assert (before.field_count, before.difficulty > 0) == (15, True)
    engine.merge_at(5)
    london = following(engine, replace(first, number=4, timestamp=0), 12)
    assert (london.field_count, london.base_fee_per_gas, london.difficulty) == (16, 10**9, 0)
    assert london.gas_limit == 2 * first.gas_limit
    counts = [following(engine, london, seconds).field_count for seconds in (37, 38, 48, 58)]
    assert counts == [16, 17, 20, 21]
    with pytest.raises(ValueError, match="timestamp: 12 is not above 12"):
        following(engine, london, 0)
