"""The journal keeps what was written, and no more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from node.txpool.journal import FILE_BYTES_MAX, MAGIC, open_journal
from node.txpool.limits import PoolLimits

RAWS = [b"first", b"second transaction", b"x" * 70_000]


def written(path: Path, raws: list[bytes]) -> bytes:
    journal, _, _ = open_journal(path)
    journal.append(raws)
    journal.close()
    return path.read_bytes()


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    written(path, RAWS)
    journal, raws, cut = open_journal(path)
    assert (raws, cut) == (RAWS, 0)
    journal.append([b"later"])
    journal.close()
    journal, raws, cut = open_journal(path)
    assert (raws, cut, journal.size) == ([*RAWS, b"later"], 0, path.stat().st_size)
    journal.close()


def test_rotation_keeps_what_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal, _, _ = open_journal(path)
    journal.append(RAWS)
    journal.rotate([RAWS[1]])
    journal.append([b"later"])
    journal.close()
    journal, raws, cut = open_journal(path)
    assert (raws, cut) == ([RAWS[1], b"later"], 0)
    journal.close()
    assert [file.name for file in tmp_path.iterdir()] == ["journal"]


@pytest.mark.parametrize("missing", [1, 4, 5, 8, 9, 70_007])
def test_a_torn_tail_is_cut(tmp_path: Path, missing: int) -> None:
    path = tmp_path / "journal"
    whole = written(path, RAWS)
    path.write_bytes(whole[:-missing])
    journal, raws, cut = open_journal(path)
    assert (raws, cut) == (RAWS[:2], 70_008 - missing)
    journal.append([b"later"])
    journal.close()
    journal, raws, cut = open_journal(path)
    assert (raws, cut) == ([*RAWS[:2], b"later"], 0)
    journal.close()


@pytest.mark.parametrize("garbage", [b"", b"x", MAGIC[:-1], b"\x00" * 100])
def test_another_file_is_replaced(tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / "journal"
    path.write_bytes(garbage)
    journal, raws, cut = open_journal(path)
    assert (raws, cut) == ([], len(garbage))
    journal.append(RAWS)
    journal.close()
    assert path.read_bytes().startswith(MAGIC)


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 200), change=st.integers(1, 255))
def test_a_damaged_byte_costs_what_comes_after_it(
    tmp_path_factory: pytest.TempPathFactory, position: int, change: int
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal"
    raws = [bytes([number]) * (number + 1) for number in range(1, 15)]
    whole = bytearray(written(path, raws))
    position %= len(whole)
    whole[position] ^= change
    path.write_bytes(whole)
    journal, found, cut = open_journal(path)
    journal.close()
    assert found == raws[: len(found)]
    kept = len(MAGIC) + sum(8 + len(raw) for raw in found)
    assert kept <= position or (position < len(MAGIC) and not found)
    assert cut == len(whole) - (kept if position >= len(MAGIC) else 0)


KILLED_WRITER = """
import sys
from pathlib import Path
from node.txpool.journal import open_journal

journal, raws, _ = open_journal(Path(sys.argv[1]))
number = len(raws)
while True:
    journal.append([b"transaction %d" % number])
    print(number, flush=True)
    number += 1
    if number % 50 == 0:
        journal.rotate(b"transaction %d" % one for one in range(number))
"""


@pytest.mark.slow
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    for lines in (10, 49, 51, 75):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED_WRITER, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        assert process.stdout is not None
        acknowledged = -1
        for number, line in enumerate(process.stdout, start=1):
            if line.endswith("\n"):
                acknowledged = int(line)
            if number == lines:
                os.kill(process.pid, signal.SIGKILL)
        process.stdout.close()
        assert process.wait(30) == -signal.SIGKILL
        journal, raws, _ = open_journal(path)
        journal.close()
        assert raws == [b"transaction %d" % one for one in range(len(raws))]
        assert len(raws) > acknowledged


def test_a_journal_of_a_full_pool_is_read_to_its_end(tmp_path: Path) -> None:
    """Given large transactions that fill the pool, and as much again before rotation, none is cut off as damage."""
    assert 2 * PoolLimits().bytes_max < FILE_BYTES_MAX
    journal, _, _ = open_journal(tmp_path / "journal")
    large = [bytes([number]) * PoolLimits().transaction_bytes_max for number in range(1, 140)]
    journal.append(large)
    journal.close()
    reopened, found, cut = open_journal(tmp_path / "journal")
    reopened.close()
    assert (found == large, cut) == (True, 0)
