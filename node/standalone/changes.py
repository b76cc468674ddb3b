"""Which rules of blocks that are there already a changed genesis file would change.

    config as it was saved, config of today, head -> changed_past -> what must not be

A fork that is still to come may be moved freely, as in geth; one that has happened may not.
PURE.
"""

from __future__ import annotations

import json

from node.eth.forks import BLOCK_FORKS, TIME_FORKS

ALWAYS: tuple[str, ...] = (
    "chainId",
    "depositContractAddress",
    "terminalTotalDifficulty",
    "daoForkSupport",
)
"""Keys that count from the first block on."""


def changed_past(saved: bytes, today: bytes, *, number: int, timestamp: int) -> list[str]:
    """Say for each key that matters up to the head what it was and what it is; empty where nothing does.

    Args:
        saved: the `config` object by which the blocks were executed, JSON.
        today: that of the genesis file now, JSON.
        number: the head's number.
        timestamp: the head's, seconds since the epoch of Unix.
    """
    was, now = _object(saved), _object(today)
    reached = {**dict.fromkeys(BLOCK_FORKS, number), **dict.fromkeys(TIME_FORKS, timestamp)}

    def counts(key: str) -> bool:
        if key in ALWAYS:
            return number > 0
        return any(_begun(one.get(key), reached.get(key)) for one in (was, now))

    changes = [
        _told(f"config.{key}", was.get(key), now.get(key))
        for key in (*ALWAYS, *reached)
        if was.get(key) != now.get(key) and counts(key)
    ]
    old, new = _schedule(was), _schedule(now)
    for name in sorted(old.keys() | new.keys()):
        key = f"{name}Time"
        begun = any(_begun(one.get(key), timestamp) for one in (was, now))
        if begun and old.get(name) != new.get(name):
            changes.append(_told(f"config.blobSchedule.{name}", old.get(name), new.get(name)))
    return changes


def _begun(activation: object, reached: int | None) -> bool:
    return isinstance(activation, int) and reached is not None and activation <= reached


def _told(key: str, was: object, now: object) -> str:
    return f"{key} was {json.dumps(was)}, is {json.dumps(now)}"


def _object(document: bytes) -> dict[str, object]:
    found: object = json.loads(document)
    assert isinstance(found, dict), "only an object is saved"
    return found


def _schedule(config: dict[str, object]) -> dict[str, object]:
    found = config.get("blobSchedule")
    return found if isinstance(found, dict) else {}
