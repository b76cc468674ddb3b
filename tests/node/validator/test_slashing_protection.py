"""The signer's database: locked, whole, and never behind what was signed."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
from pathlib import Path
from typing import Final

import pytest

from node.errors import Corruption
from node.eth.primitives import Hash32
from node.validator.protection_rules import SigningRecord
from node.validator.slashing_protection import ProtectionError, SlashingProtection

GENESIS: Final = Hash32(b"\x01" * 32)
KEY: Final = b"\x11" * 32
OTHER: Final = b"\x22" * 32
DEADLINE_S: Final = 30.0


def open_database(path: Path, genesis: Hash32 = GENESIS, slots: int = 2) -> SlashingProtection:
    return SlashingProtection(path, genesis_hash=genesis, slots_per_epoch=slots)


def test_a_row_outlives_the_process(tmp_path: Path) -> None:
    record = SigningRecord(last_block_slot=4, last_vote_slot=9)
    with open_database(tmp_path / "signer.db") as protection, protection.transaction() as rows:
        rows.save(KEY, record)
    with open_database(tmp_path / "signer.db") as protection:
        assert protection.records() == {KEY: record}


def save_and_fail(protection: SlashingProtection) -> None:
    with protection.transaction() as rows:
        rows.save(KEY, SigningRecord())
        raise ZeroDivisionError


def test_a_raising_transaction_leaves_no_trace(tmp_path: Path) -> None:
    with open_database(tmp_path / "signer.db") as protection:
        with pytest.raises(ZeroDivisionError):
            save_and_fail(protection)
        assert protection.records() == {}


def test_commits_wait_for_the_disk(tmp_path: Path) -> None:
    database = open_database(tmp_path / "signer.db")
    with database, database._file.transaction() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_files_are_the_owners_alone(tmp_path: Path) -> None:
    with open_database(tmp_path / "signer.db"):
        modes = {file.name: file.stat().st_mode & 0o077 for file in tmp_path.iterdir()}
    assert set(modes.values()) == {0}, modes


def hold(path: str, pipe: multiprocessing.connection.Connection[str, str]) -> None:
    """Another process: opens the database and keeps it until told otherwise."""
    with open_database(Path(path)):
        pipe.send("open")
        pipe.recv()


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "signer.db"
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    holder = context.Process(target=hold, args=(str(path), theirs))
    holder.start()
    try:
        assert ours.poll(DEADLINE_S)
        assert ours.recv() == "open"
        with pytest.raises(ProtectionError) as caught:
            open_database(path)
        assert str(caught.value) == (
            f"the signer database {path} is held by another process (pid {holder.pid}): "
            "two signers with the same keys would be slashed"
        )

        # Even without the lock file: the database itself is locked too.
        (tmp_path / "signer.db.lock").unlink()
        with pytest.raises(ProtectionError, match="is held by another process"):
            open_database(path)
        ours.send("close")
    finally:
        holder.join(DEADLINE_S)
    assert holder.exitcode == 0
    open_database(path).close()


def test_another_chains_database_is_refused(tmp_path: Path) -> None:
    open_database(tmp_path / "signer.db").close()
    with pytest.raises(ProtectionError, match=f"belongs to the chain of genesis 0x{'01' * 32}"):
        open_database(tmp_path / "signer.db", genesis=Hash32(bytes(32)))
    with pytest.raises(ProtectionError, match="with 2 slots an epoch"):
        open_database(tmp_path / "signer.db", slots=4)


@pytest.mark.parametrize("keep", [0, 16, 4_096])
def test_a_damaged_database_stops_the_process(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "signer.db"
    with open_database(path) as protection:
        protection.register(
            [bytes([n]) * 32 for n in range(200)],
            new=frozenset(bytes([n]) * 32 for n in range(200)),
        )
    whole = path.read_bytes()
    path.write_bytes(whole[:keep] + b"garbage!" * ((len(whole) - keep) // 8))
    with pytest.raises(Corruption) as caught:
        open_database(path)
    assert str(path) in str(caught.value)


def test_a_key_without_a_row_is_refused_unless_it_is_new(tmp_path: Path) -> None:
    with open_database(tmp_path / "signer.db") as protection:
        assert protection.register([KEY], new=frozenset([KEY])) == {KEY}
        assert protection.register([KEY], new=frozenset([KEY])) == frozenset()
        assert protection.register([KEY], new=frozenset()) == frozenset()
        with pytest.raises(ProtectionError) as caught:
            protection.register([KEY, OTHER], new=frozenset())
        assert f"has no row for the key 0x{OTHER.hex()}, which is not new" in str(caught.value)
        assert protection.records() == {KEY: SigningRecord()}
