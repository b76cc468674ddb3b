"""Opening a chain again: with another genesis file, with other forks, from a damaged folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from node.errors import Corruption
from node.standalone.chain import ChangedPast
from node.storage.folder import UnusableFolder
from tests.kit.foreign_chain import ForeignNode, blocks, genesis_text, write_chain


async def imported(tmp_path: Path, count: int) -> ForeignNode:
    """A node that has taken in so many blocks."""
    node = ForeignNode()
    await node.take(node.start(), write_chain(tmp_path / "chain.rlp", blocks()[:count]))
    return node


def changed(**changes: object) -> bytes:
    """The genesis file with another config."""
    document = json.loads(genesis_text())
    return json.dumps(document | {"config": document["config"] | changes}).encode()


async def test_another_network_is_refused(tmp_path: Path) -> None:
    node = await imported(tmp_path, 2)
    other = json.dumps(json.loads(genesis_text()) | {"extraData": "0x01"}).encode()
    stranger = ForeignNode(genesis=other, disk=node.disk)
    with pytest.raises(
        UnusableFolder, match=r"^data: genesis hash is 0xfae8.*, this process wants 0x"
    ):
        stranger.start()


async def test_a_fork_that_has_happened_is_not_moved(tmp_path: Path) -> None:
    node = await imported(tmp_path, 45)
    with pytest.raises(
        ChangedPast, match=r"imported by other rules: config\.londonBlock was 41, is 42"
    ):
        node.start(changed(londonBlock=42))


async def test_a_fork_to_come_is_moved_and_remembered(tmp_path: Path) -> None:
    """Given a head before London, when London is moved, then the chain goes on by the new file and remembers it."""
    node = await imported(tmp_path, 40)
    assert node.start(changed(londonBlock=42)).tip.number == 40
    assert (
        json.loads(node.start(changed(londonBlock=43)).database.load_config())["londonBlock"] == 43
    )


async def test_the_merge_is_found_again_after_a_restart(tmp_path: Path) -> None:
    """Given a chain that has merged, when a process starts on it, then its engine knows since which block."""
    node = await imported(tmp_path, 54)
    node.engine.merge_at(None)
    chain = node.start()
    assert chain.next_header().difficulty == 0
    file = write_chain(tmp_path / "rest.rlp", blocks()[54:])
    assert await node.take(chain, file) == [(56, 2)]


@pytest.mark.parametrize(
    ("table", "key", "value", "message"),
    [
        ("meta", b"layout", (9).to_bytes(4), "layout version is 9, this process wants 1"),
        ("meta", b"head", (9).to_bytes(8), "block 9, the head, is missing"),
        ("blocks", (3).to_bytes(8), b"\xc0", "block 3: encoding_wrong_length"),
        ("blocks", (3).to_bytes(8), blocks()[0], "block 3 hashes to something else"),
        ("chain", (3).to_bytes(8), b"short", "the row of block 3 is damaged"),
    ],
)
async def test_damage_is_told(
    tmp_path: Path, table: str, key: bytes, value: bytes, message: str
) -> None:
    node = await imported(tmp_path, 3)
    node.disk.tables[table][key] = value
    with pytest.raises((Corruption, UnusableFolder), match=f"^data: {message}"):
        node.start()


async def test_a_missing_row_is_told(tmp_path: Path) -> None:
    node = await imported(tmp_path, 3)
    del node.disk.tables["receipts"][(3).to_bytes(8)]
    with pytest.raises(Corruption, match=r"^data: block 3 or its receipts are missing"):
        node.start()


async def test_numbers_that_are_none_are_not_found(tmp_path: Path) -> None:
    chain = (await imported(tmp_path, 3)).start()
    assert chain.block_by_number(-1) is None
    assert chain.block_by_number(2**64) is None
    assert chain.transaction_block(chain.head.hash) is None
    assert chain.ancestors(chain.next_header().hash()) == b""
