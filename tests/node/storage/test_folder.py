"""A folder is used by the network and the layout it was made by, and by no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.eth.primitives import Hash32
from node.storage.folder import FolderMark, UnusableFolder
from tests.kit.memory_tables import Disk, MemoryTables

MARK = FolderMark(table="meta", layout=1)
GENESIS, OTHER = Hash32(b"\x01" * 32), Hash32(b"\x02" * 32)


def refusal(mark: FolderMark, tables: MemoryTables, genesis_hash: Hash32) -> str:
    """What a folder is refused for."""
    with pytest.raises(UnusableFolder) as caught:
        mark.check(tables, "folder", genesis_hash)
    return str(caught.value)


def test_a_marked_folder_is_its_own_again() -> None:
    tables = MemoryTables(Disk())
    assert MARK.is_new(tables)
    tables.write(MARK.puts(GENESIS), [])
    assert not MARK.is_new(tables)
    MARK.check(tables, "folder", GENESIS)


def test_another_network_is_named_with_both_hashes() -> None:
    tables = MemoryTables(Disk())
    tables.write(MARK.puts(GENESIS), [])
    told = f"folder: genesis hash is 0x{GENESIS.hex()}, this process wants 0x{OTHER.hex()}"
    assert refusal(MARK, tables, OTHER) == told


def test_another_layout_is_named_before_the_network() -> None:
    tables = MemoryTables(Disk())
    tables.write(MARK.puts(GENESIS), [])
    newer = replace(MARK, layout=9)
    assert refusal(newer, tables, OTHER) == "folder: layout version is 1, this process wants 9"


def test_what_is_missing_is_told() -> None:
    """Given a folder without a mark, or with half of one, when it is checked, then what it lacks is named."""
    mark = replace(MARK, of=" of the L2")
    tables = MemoryTables(Disk())
    missing = "folder: layout version of the L2 is missing, this process wants 1"
    assert refusal(mark, tables, GENESIS) == missing
    tables.write(mark.puts(GENESIS)[:1], [])
    assert refusal(mark, tables, GENESIS).startswith("folder: genesis hash of the L2 is missing")
