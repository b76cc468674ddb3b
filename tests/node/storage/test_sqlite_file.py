"""A file of one process: whom it refuses, what a transaction keeps, what damage looks like."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path

import pytest

from node.errors import Corruption
from node.storage.sqlite_file import HeldElsewhere, SqliteFile

SCHEMA = "CREATE TABLE IF NOT EXISTS things (name TEXT PRIMARY KEY);"


def opened(path: Path | None) -> SqliteFile:
    return SqliteFile(path, name="the box", schema=SCHEMA)


def add(file: SqliteFile, *some: str, then: type[Exception] | None = None) -> None:
    with file.transaction() as connection:
        for name in some:
            connection.execute("INSERT INTO things VALUES (?)", (name,))
        if then is not None:
            raise then


def names(file: SqliteFile) -> list[str]:
    with file.transaction() as connection:
        return [row[0] for row in connection.execute("SELECT name FROM things ORDER BY name")]


def test_what_was_committed_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "box.sqlite"
    file = opened(path)
    add(file, "kept")
    with pytest.raises(KeyError):
        add(file, "undone", then=KeyError)
    add(file, "after")
    file.close()
    file.close()
    file = opened(path)
    assert names(file) == ["after", "kept"]
    file.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_failed_statement_undoes_its_transaction_and_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "box.sqlite"
    file = opened(path)
    add(file, "once")
    with pytest.raises(Corruption, match=f"^the box {path} cannot be used: UNIQUE"):
        add(file, "undone", "once")
    assert names(file) == ["once"]
    file.close()


@pytest.mark.parametrize(("durable", "level"), [(True, 2), (False, 1)])
def test_commits_wait_for_the_platter_where_that_is_asked(
    tmp_path: Path, durable: bool, level: int
) -> None:
    file = SqliteFile(tmp_path / "box.sqlite", name="the box", schema=SCHEMA, durable=durable)
    with file.transaction() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (level,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    file.close()


def test_whoever_comes_second_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    path = tmp_path / "box.sqlite"
    file = opened(path)
    with pytest.raises(HeldElsewhere, match=f"^the box {path} is held by another process$") as held:
        opened(path)
    assert held.value.holder == str(os.getpid())
    file.close()
    opened(path).close()


def test_a_file_that_somebody_opened_without_the_lock_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "box.sqlite"
    opened(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(HeldElsewhere) as held:
        opened(path)
    assert held.value.holder == ""
    other.close()


@pytest.mark.parametrize(
    "spoilt", [b"no database at all" * 100, b"SQLite format 3\x00" + bytes(4096)]
)
def test_damage_is_told_with_the_path_and_the_lock_given_back(
    tmp_path: Path, spoilt: bytes
) -> None:
    path = tmp_path / "box.sqlite"
    path.write_bytes(spoilt)
    with pytest.raises(Corruption, match=f"^the box {path} "):
        opened(path)
    with Path(f"{path}.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    path.unlink()
    opened(path).close()


def test_one_in_memory_has_no_file() -> None:
    file = opened(None)
    add(file, "kept")
    assert (names(file), file.name) == (["kept"], "the box")
    file.close()
