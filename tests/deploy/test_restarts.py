"""When a process that ended by itself is started again."""

from __future__ import annotations

from deploy.restarts import DELAY_MAX_S, EARLY_ENDS_MAX, STEADY_S, RestartHistory, after_end


def test_pauses_grow_and_then_it_is_left_alone() -> None:
    history, delays = RestartHistory(), []
    for _ in range(EARLY_ENDS_MAX - 1):
        verdict = after_end(history, code=1, ran_s=1.0)
        history = verdict.history
        delays.append(verdict.delay_s)
    assert delays == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, DELAY_MAX_S]
    last = after_end(history, code=-9, ran_s=1.0)
    assert last.delay_s is None
    assert last.reason == "it ended 8 times in a row soon after its start"


def test_a_process_that_ran_long_begins_anew() -> None:
    history = RestartHistory(early_ends=EARLY_ENDS_MAX - 1)
    assert after_end(history, code=1, ran_s=STEADY_S).delay_s == 0.5
    assert after_end(history, code=1, ran_s=STEADY_S - 1).delay_s is None


def test_a_wrong_configuration_does_not_mend_itself() -> None:
    verdict = after_end(RestartHistory(), code=2, ran_s=1_000.0)
    assert (verdict.delay_s, verdict.reason) == (None, "its configuration is wrong")
