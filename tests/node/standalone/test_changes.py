"""A genesis file that has changed since the import: the future is free, the past is not."""

from __future__ import annotations

import json

import pytest

from node.standalone.changes import changed_past

SAVED = {
    "chainId": 5,
    "londonBlock": 10,
    "shanghaiTime": 100,
    "cancunTime": 200,
    "terminalTotalDifficulty": 7,
    "blobSchedule": {"cancun": {"max": 6}, "prague": {"max": 9}},
}


def changes(changed: dict[str, object], number: int = 15, timestamp: int = 250) -> list[str]:
    """What must not be, with the head there."""
    today = {key: value for key, value in (SAVED | changed).items() if value is not None}
    return changed_past(
        json.dumps(SAVED).encode(), json.dumps(today).encode(), number=number, timestamp=timestamp
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"londonBlock": 12}, "config.londonBlock was 10, is 12"),
        ({"londonBlock": 99}, "config.londonBlock was 10, is 99"),
        ({"londonBlock": None}, "config.londonBlock was 10, is null"),
        ({"pragueTime": 250}, "config.pragueTime was null, is 250"),
        ({"chainId": 6}, "config.chainId was 5, is 6"),
        ({"daoForkSupport": True}, "config.daoForkSupport was null, is true"),
        ({"terminalTotalDifficulty": 8}, "config.terminalTotalDifficulty was 7, is 8"),
        (
            {"blobSchedule": {"cancun": {"max": 7}}},
            'config.blobSchedule.cancun was {"max": 6}, is {"max": 7}',
        ),
    ],
)
def test_what_has_happened_stays(changed: dict[str, object], message: str) -> None:
    assert changes(changed) == [message]


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"pragueTime": 251},
        {"ethash": {}},
        {"blobSchedule": {"cancun": {"max": 6}, "prague": {"max": 12}}},
    ],
)
def test_what_is_to_come_is_free(changed: dict[str, object]) -> None:
    assert changes(changed) == []


def test_before_the_first_block_everything_is_free_but_what_is_active() -> None:
    free: dict[str, object] = {"chainId": 6, "londonBlock": 1, "shanghaiTime": 1}
    assert changes(free, number=0, timestamp=0) == []
    assert changes({"londonBlock": 0}, number=0, timestamp=0) == ["config.londonBlock was 10, is 0"]
