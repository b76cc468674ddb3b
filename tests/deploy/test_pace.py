"""Whether a machine keeps up with its slots."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from deploy import pace
from deploy.json_rpc import RpcRefused, RpcUnavailable
from deploy.pace import LATE_LOOKS_MAX, Look, judge, look, proposal

LATE = Look(participation=0.5, is_broken=False)
FINE = Look(participation=1.0, is_broken=False)
BROKEN = Look(participation=0.5, is_broken=True)


def looks(*seen: Look | None, all_run: bool = True) -> int:
    late_looks = 0
    for one in seen:
        late_looks = judge(late_looks, one, all_run=all_run)
    return late_looks


def test_only_late_votes_in_a_row_count() -> None:
    assert looks(*[LATE] * LATE_LOOKS_MAX) == LATE_LOOKS_MAX
    assert looks(LATE, LATE, FINE, LATE) == 1
    assert looks(LATE, LATE, None, LATE) == 1


def test_votes_that_are_missing_for_a_reason_do_not_count() -> None:
    assert looks(LATE, BROKEN) == 0
    assert looks(LATE, LATE, LATE, all_run=False) == 0


def test_longer_slots_are_proposed() -> None:
    assert "slots of 2 s are short" in proposal(2, 0.5)
    assert proposal(2, 0.5).endswith("`faultline up --fresh --slot-seconds 3`")
    assert proposal(4, 0.5).endswith("--slot-seconds 5`")


@pytest.mark.parametrize(
    ("answers", "seen"),
    [
        ([{"participation": 0.5}, []], LATE),
        ([{"participation": 0.5}, [{"name": "drop"}]], BROKEN),
        ([{"participation": 1}, RpcRefused(-32601, "no faults here")], FINE),
        ([RpcRefused(-32601, "no devnet"), []], None),
        ([{}, []], None),
    ],
)
def test_a_node_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, answers: list[object], seen: Look | None
) -> None:
    def batch(_url: str, calls: Sequence[object], *, timeout_s: float) -> list[object]:
        assert len(calls) == len(answers)
        assert timeout_s > 0
        return answers

    monkeypatch.setattr(pace, "batch", batch)
    assert look("http://127.0.0.1:1") == seen


def test_a_node_that_is_gone_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_url: str, _calls: Sequence[object], *, timeout_s: float) -> list[object]:
        raise RpcUnavailable(f"not within {timeout_s} s")

    monkeypatch.setattr(pace, "batch", gone)
    assert look("http://127.0.0.1:1") is None
