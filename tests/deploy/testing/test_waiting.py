"""Waiting for a condition."""

from __future__ import annotations

import pytest

from deploy.testing.waiting import NotInTime, wait_for


def test_what_comes_at_last_is_given() -> None:
    answers = iter([None, 0, "", "there"])
    assert wait_for("it", lambda: next(answers)) == "there"


def test_what_never_comes_is_named() -> None:
    with pytest.raises(NotInTime, match=r"^waited 0 s in vain for the sun to rise$"):
        wait_for("the sun to rise", lambda: None, deadline_s=0.0)


def test_who_waits_in_vain_fails_an_assertion() -> None:
    assert issubclass(NotInTime, AssertionError)
