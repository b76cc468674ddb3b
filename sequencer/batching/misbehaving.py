"""What the batcher posts in place of a batch when it is told to do wrong.

    FaultBoard -> Misbehaviour.next_deed, claims -> Service posts that -> Misbehaviour.posted: one of the fault's times is used

Derivation takes anything: every node makes the same blocks of it, drops the unsafe ones that differ and goes on.
Deliberately absent: anything that hides it. The log says which batch was which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, Protocol

import structlog

from node.eth.hashing import keccak256
from node.execution.engine import PackedBlock
from node.runtime.faults import ActiveFault

GARBAGE_BYTES: Final = 4_096
"""Long enough to cost something, short enough to be cheap."""

TIMESTAMP_MAX: Final = (1 << 64) - 1
"""A batch can claim no later one."""

LIE: Final = "lie-timestamps"
"""The fault that moves what a batch claims, and leaves it a batch."""

_log = structlog.get_logger()


class Board(Protocol):
    """The faults of this process."""

    def find(self, name: str) -> ActiveFault | None:
        """A fault if it is in force."""

    def use(self, name: str) -> ActiveFault | None:
        """Take one of a fault's times."""


class Deed(Enum):
    """What to post."""

    GARBAGE = "garbage-batch"
    BOMB = "bomb-batch"
    TRUNCATED = "truncated-batch"
    OVERLAPPING = "overlapping-batch"


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """A board, asked in the batcher's words."""

    board: Board | None
    """None for a process whose faults nobody can start."""

    def is_idle(self) -> bool:
        """Whether nothing may be posted now."""
        board = self.board
        names = ("batcher-stall", "sequencer-stop")
        return board is not None and any(board.find(name) is not None for name in names)

    def next_deed(self) -> Deed | None:
        """What to do to the next batch."""
        if self.board is None:
            return None
        return next((deed for deed in Deed if self.board.find(deed.value) is not None), None)

    def claims(self, blocks: Sequence[PackedBlock]) -> list[PackedBlock] | None:
        """The blocks with the timestamps that are to be claimed in the next batch; None for their own."""
        fault = None if self.board is None else self.board.find(LIE)
        if fault is None:
            return None
        seconds = fault.integer("seconds")
        return [
            replace(one, timestamp=min(max(0, one.timestamp + seconds), TIMESTAMP_MAX))
            for one in blocks
        ]

    def posted(self, deed: Deed | None, *, is_lying: bool) -> None:
        """A batch is on its way: what was done to it has used one of its times, which a batch thrown away has not."""
        if self.board is None:
            return
        if deed is not None:
            self.board.use(deed.value)
            _log.warning("batch_replaced", fault=deed.value)
        if is_lying:
            self.board.use(LIE)
            _log.warning("batch_timestamps_moved")


def spoiled(deed: Deed, data: bytes) -> bytes:
    """The bytes that stand in place of a batch."""
    match deed:
        case Deed.GARBAGE:
            words = (keccak256(data + bytes((place,))) for place in range(GARBAGE_BYTES // 32))
            return b"".join(words)
        case Deed.BOMB:
            return BOMB
        case Deed.TRUNCATED:
            return data[: len(data) * 9 // 10]
        case Deed.OVERLAPPING:
            return data


BOMB: Final = bytes.fromhex(
    "cfffff7f002400e2b14072effff9ffff0f8004401c1680eefd3fffffff01900088c302d0bdffe7ff"
    "ff3f001200715800baf7fffcffff074002200e0b40f7fe9fffffff004800c46101e8defff3ffff1f"
    "000980382c00ddfb7ffeffff032001108705a07bffcfffff7f002400e2b00074effff9ffff0f8004"
    "401c1680eefd3fffffff01900088c302d0bdffcfffe075001200715800bab9eb"
)
"""200 MB of zeros, compressed with brotli to 152 bytes."""
