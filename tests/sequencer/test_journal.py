"""The journal of unsafe blocks: order, torn ends, damage, rotation."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from node.errors import Corruption
from node.eth.primitives import Hash32
from sequencer.journal import (
    MAGIC,
    BlockAppended,
    Entry,
    Journal,
    Position,
    ResetTo,
    replay,
    segments,
)
from sequencer.l1.places import L1Ref

ORIGIN = L1Ref(number=7, hash=Hash32(b"\x07" * 32))
START = Position(0, 0)


def block(number: int) -> bytes:
    return number.to_bytes(4) * 25


def write(journal: Journal, entries: list[Entry]) -> None:
    for entry in entries:
        match entry:
            case BlockAppended(rlp, origin):
                journal.append_block(rlp, origin)
            case ResetTo(number):
                journal.append_reset(number)


def file_of(folder: Path, segment: int = 1) -> Path:
    return folder / f"{segment:010}.journal"


def test_what_was_written_is_replayed_in_order(tmp_path: Path) -> None:
    entries: list[Entry] = [
        BlockAppended(block(1), ORIGIN),
        BlockAppended(block(2), ORIGIN),
        ResetTo(1),
        BlockAppended(block(3), L1Ref(number=1 << 40, hash=Hash32(b"\xff" * 32))),
    ]
    journal = Journal(tmp_path, 1)
    write(journal, entries)
    # No close, no sync: what a process that is killed leaves.
    assert list(replay(tmp_path, START)) == entries


def test_a_position_says_where_to_go_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 1)
    journal.append_block(block(1), ORIGIN)
    position = journal.position
    journal.append_block(block(2), ORIGIN)
    assert list(replay(tmp_path, position)) == [BlockAppended(block(2), ORIGIN)]
    assert list(replay(tmp_path, journal.position)) == []


def test_a_position_beyond_the_end_means_nothing_follows(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 1)
    journal.append_block(block(1), ORIGIN)
    beyond = Position(1, journal.position.offset + 1_000)
    assert list(replay(tmp_path, beyond)) == []
    assert list(replay(tmp_path, Position(2, 22))) == []


def test_segments_follow_each_other_and_go_when_they_are_not_needed(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 1)
    positions = [journal.position]
    for number in range(3):
        journal.append_block(block(number), ORIGIN)
        positions.append(journal.position)
        journal.rotate()
    assert segments(tmp_path) == [1, 2, 3, 4]
    assert list(replay(tmp_path, positions[1])) == [
        BlockAppended(block(1), ORIGIN),
        BlockAppended(block(2), ORIGIN),
    ]
    journal.forget(positions[2])
    assert segments(tmp_path) == [2, 3, 4]
    journal.forget(Position(99, 0))
    assert segments(tmp_path) == [4]


@pytest.mark.parametrize("kept", range(0, 160, 7))
def test_a_torn_end_is_left_out(tmp_path: Path, kept: int) -> None:
    journal = Journal(tmp_path, 1)
    journal.append_block(block(1), ORIGIN)
    whole = journal.position.offset
    journal.append_block(block(2), ORIGIN)
    file = file_of(tmp_path)
    file.write_bytes(file.read_bytes()[: whole + kept])
    assert list(replay(tmp_path, START)) == [BlockAppended(block(1), ORIGIN)]


def test_a_segment_that_was_never_begun_is_empty(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 1)
    journal.append_block(block(1), ORIGIN)
    file_of(tmp_path, 2).write_bytes(MAGIC[:5])
    assert list(replay(tmp_path, START)) == [BlockAppended(block(1), ORIGIN)]


def test_what_a_power_loss_took_out_of_the_middle_of_an_unsynced_end_is_a_torn_end(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path, 1)
    journal.append_block(block(1), ORIGIN)
    journal.sync()
    at = journal.position.offset
    journal.append_block(block(2), ORIGIN)
    journal.append_block(block(3), ORIGIN)
    file = file_of(tmp_path)
    contents = bytearray(file.read_bytes())
    contents[at : at + 60] = bytes(60)
    file.write_bytes(contents)
    assert list(replay(tmp_path, START)) == [BlockAppended(block(1), ORIGIN)]


def test_damage_to_what_was_synced_stops_the_process(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 1)
    at = journal.position.offset
    journal.append_block(block(1), ORIGIN)
    journal.sync()
    journal.append_block(block(2), ORIGIN)
    file = file_of(tmp_path)
    contents = bytearray(file.read_bytes())
    contents[at + 70] ^= 1
    file.write_bytes(contents)
    with pytest.raises(Corruption, match=rf"0000000001\.journal: damaged at byte {at}"):
        list(replay(tmp_path, START))


def test_damage_to_an_older_segment_stops_the_process(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 1)
    journal.append_block(block(1), ORIGIN)
    journal.rotate()
    file = file_of(tmp_path)
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(Corruption, match="another segment follows"):
        list(replay(tmp_path, START))


def test_a_missing_segment_stops_the_process(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 1)
    journal.rotate()
    journal.rotate()
    file_of(tmp_path, 2).unlink()
    with pytest.raises(Corruption, match="between 1 and 3 is missing"):
        list(replay(tmp_path, START))


def test_a_foreign_file_is_no_journal(tmp_path: Path) -> None:
    file_of(tmp_path).write_bytes(b"something of somebody else's entirely")
    with pytest.raises(Corruption, match="no journal"):
        list(replay(tmp_path, START))


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(0, 400), min_size=1, max_size=6),
    synced=st.integers(0, 6),
    cut=st.integers(0, 2_000),
    flip=st.tuples(st.integers(0, 2_000), st.integers(1, 255)),
)
def test_whatever_happens_to_the_end_what_is_given_is_a_beginning(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    synced: int,
    cut: int,
    flip: tuple[int, int],
) -> None:
    """Given any cut and any changed byte, replay gives a prefix of what was written, or refuses."""
    folder = tmp_path_factory.mktemp("journal")
    entries: list[Entry] = [
        BlockAppended(bytes([number]) * (size + 1), ORIGIN) for number, size in enumerate(sizes)
    ]
    journal = Journal(folder, 1)
    for number, entry in enumerate(entries):
        if number == synced:
            journal.sync()
        write(journal, [entry])
    file = file_of(folder)
    contents = bytearray(file.read_bytes())
    place = min(len(MAGIC) + flip[0], len(contents) - 1)
    contents[place] ^= flip[1]
    file.write_bytes(contents[: max(len(MAGIC), len(contents) - cut)])
    try:
        found = list(replay(folder, START))
    except Corruption:
        return
    assert found == entries[: len(found)]
