"""How long the first in line waits."""

from __future__ import annotations

from node.runtime.waiting import FirstInLine


def test_the_age_is_of_the_first_in_line_and_ends_with_it() -> None:
    waiting = FirstInLine()
    looks = [(7, 10.0), (7, 12.5), (8, 13.0), (8, 14.0), (None, 20.0), (8, 21.0), (8, 22.0)]
    ages = [waiting.age_s(first, now) for first, now in looks]
    assert ages == [0.0, 2.5, 0.0, 1.0, 0.0, 0.0, 1.0]
