"""The tables of bytes: atomic, durable at a kill, checked at every read, one process at a time."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from hypothesis.strategies import binary, lists, sampled_from, tuples

from node.errors import StorageError
from node.execution.adapter import open_tables

KILLS = 10
"""Processes that are killed while they write."""

WRITER = """
import sys
from pathlib import Path
from node.execution.adapter import open_tables

tables = open_tables(Path(sys.argv[1]))
number = int(sys.argv[2])
while True:
    key = number.to_bytes(8, "big")
    tables.write([("blocks", key, key * 500), ("index", key[::-1], key)], [("blocks", (number - 50).to_bytes(8, "big"))] if number >= 50 else [])
    print(number, flush=True)
    number += 1
"""


def test_values_come_back(tmp_path: Path) -> None:
    """Given a batch, when written, then get, get_many and scan see it, and a later opening too."""
    # Given
    path = tmp_path / "folder" / "chain.redb"
    tables = open_tables(path)

    # When
    tables.write([("a", b"k%d" % n, b"v%d" % n) for n in range(5)], [])
    tables.write([("a", b"k1", b"new"), ("b", b"k", b"")], [("a", b"k2"), ("a", b"none")])

    # Then
    def check() -> None:
        assert tables.get("a", b"k1") == b"new"
        assert tables.get("b", b"k") == b""
        assert tables.get("a", b"k2") is None
        assert tables.get("no such table", b"k") is None
        assert tables.get_many("a", [b"k0", b"k9", b"k4"]) == [b"v0", None, b"v4"]
        assert tables.scan("a", b"k1", b"k4", 10) == [(b"k1", b"new"), (b"k3", b"v3")]
        assert tables.scan("a", b"", b"\xff", 1) == [(b"k0", b"v0")]
        assert tables.scan("a", b"k4", b"k1", 10) == []
        assert tables.scan("no such table", b"", b"\xff", 10) == []

    check()
    tables.close()
    tables = open_tables(path)
    check()


def test_closed_tables_say_so(tmp_path: Path) -> None:
    tables = open_tables(tmp_path / "chain.redb")
    tables.close()
    with pytest.raises(RuntimeError, match="the tables are closed"):
        tables.get("a", b"k")


def test_a_second_opening_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "chain.redb"
    tables = open_tables(path)
    with pytest.raises(StorageError, match=rf"{path}: it is in use by another process"):
        open_tables(path)
    tables.close()
    open_tables(path).close()


def test_damage_is_named_and_never_misread(tmp_path: Path) -> None:
    """Given a file with any stretch of bytes changed, when opened and read, then the right values or StorageError."""
    # Given
    path = tmp_path / "chain.redb"
    tables = open_tables(path)
    values = {b"%04d" % n: b"value %d" % n * (1 + n % 90) for n in range(300)}
    tables.write([("a", key, value) for key, value in values.items()], [])
    tables.close()
    good = path.read_bytes()
    messages: list[str] = []

    for at in range(0, len(good), len(good) // 80):
        # When
        bad = bytearray(good)
        bad[at : at + 24] = bytes(byte ^ 0x5A for byte in bad[at : at + 24])
        path.write_bytes(bad)
        try:
            with closing(open_tables(path)) as damaged:
                found = damaged.get_many("a", list(values))
        except StorageError as error:
            messages.append(str(error))
            continue

        # Then
        for key, value in zip(values, found, strict=True):
            assert value == values[key], at
    assert len(messages) > 10
    assert all(str(path) in message for message in messages)


@pytest.mark.parametrize("content", [b"", b"x", b"no database" * 1000])
def test_another_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "chain.redb"
    path.write_bytes(content)
    if content:
        with pytest.raises(StorageError, match=str(path)):
            open_tables(path)
    else:
        # An empty file is a database that was never written.
        open_tables(path).close()


@pytest.mark.slow
def test_what_write_returned_for_survives_a_kill(tmp_path: Path) -> None:
    """Given processes killed while they write, when opened again, then every acknowledged batch is whole."""
    path, number = tmp_path / "chain.redb", 0
    for kill in range(KILLS):
        # Given
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(number)],
            stdout=subprocess.PIPE,
            text=True,
        ) as writer:
            assert writer.stdout is not None
            for _ in range(5 + kill):
                number = int(writer.stdout.readline())
            writer.kill()
            # What it had printed before it died was acknowledged too.
            rest = writer.stdout.read().split("\n")[:-1]
            number = max([number, *map(int, rest)])

        # Then
        tables = open_tables(path)
        for acknowledged in range(max(0, number - 40), number + 1):
            key = acknowledged.to_bytes(8, "big")
            assert tables.get("blocks", key) == key * 500
            assert tables.get("index", key[::-1]) == key
        beyond = (number + 1).to_bytes(8, "big")
        assert (tables.get("blocks", beyond) is None) == (tables.get("index", beyond[::-1]) is None)
        tables.close()
        number += 1


KEYS = sampled_from([b"", b"a", b"ab", b"b", b"\xff" * 40])
NAMES = sampled_from(["one", "two"])


class Model(RuleBasedStateMachine):
    """Tables against dictionaries."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "model.redb"
        self.tables = open_tables(self.path)
        self.model: dict[str, dict[bytes, bytes]] = {"one": {}, "two": {}}

    @rule(
        puts=lists(tuples(NAMES, KEYS, binary(max_size=50)), max_size=5),
        deletes=lists(tuples(NAMES, KEYS), max_size=3),
    )
    def write(self, puts: list[tuple[str, bytes, bytes]], deletes: list[tuple[str, bytes]]) -> None:
        """Puts first, then deletes."""
        self.tables.write(puts, deletes)
        for name, key, value in puts:
            self.model[name][key] = value
        for name, key in deletes:
            self.model[name].pop(key, None)

    @rule()
    def reopen(self) -> None:
        """Nothing is lost."""
        self.tables.close()
        self.tables = open_tables(self.path)

    @invariant()
    def agree(self) -> None:
        """Scans and look-ups say the same as the dictionaries."""
        for name, table in self.model.items():
            assert self.tables.scan(name, b"", b"\xff" * 41, 100) == sorted(table.items())
            keys = [b"", b"a", b"b", b"c"]
            assert self.tables.get_many(name, keys) == [table.get(key) for key in keys]

    def teardown(self) -> None:
        """Removes the file."""
        self.tables.close()
        self.folder.cleanup()


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
