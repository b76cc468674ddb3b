"""The file of what was acknowledged: nothing is lost while it is rewritten, and it is rewritten seldom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from node.runtime.worker import Answer, InlineWorker
from node.txpool.journal import open_journal
from sequencer.building import keeping
from sequencer.building.keeping import Keeper

A, B, C = (bytes((2, number)) * 50 for number in range(3))


class Meanwhile:
    """A worker in which something happens after the first piece of work."""

    def __init__(self, happens: Callable[[], None]) -> None:
        self.happens = [happens]

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """Run it in place, then let it happen."""
        answer = work()
        while self.happens:
            self.happens.pop()()
        return answer


def beside(path: Path) -> Path:
    """Where the file is written before it takes its name."""
    return path.with_name(path.name + ".next")


def held(path: Path) -> list[bytes]:
    """What a process that starts now would find."""
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    journal, transactions, cut = open_journal(copy)
    journal.close()
    assert cut == 0
    return transactions


async def test_what_is_kept_while_the_file_is_rewritten_is_in_both(tmp_path: Path) -> None:
    path = tmp_path / "waiting"
    keeper = Keeper(path)
    assert keeper.open() == []
    keeper.keep((A, B))
    seen: list[list[bytes]] = []

    def happens() -> None:
        keeper.keep((C,))
        seen.append(held(path))

    await keeper.rewrite((B,), Meanwhile(happens))
    assert seen == [[A, B, C]]
    assert held(path) == [B, C]
    keeper.keep((A,))
    assert held(path) == [B, C, A]
    keeper.close()
    assert Keeper(path).open() == [B, C, A]
    assert not beside(path).exists()


async def test_half_a_file_that_a_crash_left_is_written_anew(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "waiting")
    keeper.open()
    left, _, _ = open_journal(beside(tmp_path / "waiting"))
    left.append((B,))
    left.close()
    await keeper.rewrite((A,), InlineWorker())
    keeper.close()
    assert held(tmp_path / "waiting") == [A]


async def test_a_file_is_rewritten_when_it_has_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "ROTATE_BYTES", 150)
    keeper = Keeper(tmp_path / "waiting")
    keeper.open()
    long = [keeper.is_long]
    keeper.keep((A, B))
    long.append(keeper.is_long)
    await keeper.rewrite((A, B), InlineWorker())
    long.append(keeper.is_long)
    keeper.keep((C,))
    long.append(keeper.is_long)
    keeper.keep((A, B))
    long.append(keeper.is_long)
    assert long == [False, True, False, False, True]
    keeper.close()
