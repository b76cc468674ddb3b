"""Scores and bans."""

from __future__ import annotations

import pytest

from node.p2p.scores import (
    BAN_MAX_S,
    BAN_MEMORY_S,
    BAN_S,
    COSTS,
    HALF_LIFE_S,
    RECORDS_MAX,
    SCORE_MIN,
    Misbehaviour,
    ScoreTable,
)


def test_every_misbehaviour_has_a_cost() -> None:
    assert set(COSTS) == set(Misbehaviour)


def test_unknown_peer_is_neutral() -> None:
    table = ScoreTable()

    assert table.score("stranger", 5.0) == 0.0
    assert not table.is_banned("stranger", 5.0)


def test_debt_is_forgiven_by_halves() -> None:
    table = ScoreTable()

    table.blame("peer", Misbehaviour.REJECTED_MESSAGE, 10.0)

    assert table.score("peer", 10.0) == -21.0
    assert table.score("peer", 10.0 + HALF_LIFE_S) == pytest.approx(-10.5)


def test_five_rejected_messages_ban() -> None:
    table = ScoreTable()

    banned = [table.blame("peer", Misbehaviour.REJECTED_MESSAGE, 0.1 * index) for index in range(5)]

    assert banned == [False, False, False, False, True]
    assert table.is_banned("peer", 0.4 + BAN_S - 0.1)
    assert not table.is_banned("peer", 0.4 + BAN_S)


def test_severe_bans_at_once() -> None:
    table = ScoreTable()

    assert table.blame("peer", Misbehaviour.REPORTED, 0.0, severe=True)
    assert not table.is_banned("other", 0.0)


def test_bans_double_and_end_somewhere() -> None:
    table, now_s, lengths = ScoreTable(), 0.0, []

    for _ in range(12):
        table.blame("peer", Misbehaviour.MALFORMED_FRAME, now_s)
        started_s = now_s
        while table.is_banned("peer", now_s):
            now_s += 1.0
        lengths.append(now_s - started_s)

    assert lengths[:3] == [BAN_S, 2 * BAN_S, 4 * BAN_S]
    assert max(lengths) == BAN_MAX_S


def test_good_behaviour_shortens_the_next_ban() -> None:
    table = ScoreTable()
    for now_s in (0.0, 100.0):
        table.blame("peer", Misbehaviour.MALFORMED_FRAME, now_s)
    later_s = 200.0 + BAN_MEMORY_S

    table.blame("peer", Misbehaviour.MALFORMED_FRAME, later_s)

    assert not table.is_banned("peer", later_s + BAN_S)


def test_records_are_bounded() -> None:
    table = ScoreTable()

    for index in range(RECORDS_MAX + 10):
        table.blame(f"peer-{index}", Misbehaviour.REPORTED, 0.0)

    assert table.score("peer-0", 0.0) == 0.0
    assert table.score(f"peer-{RECORDS_MAX + 9}", 0.0) == COSTS[Misbehaviour.REPORTED] * -1
    assert SCORE_MIN < 0
