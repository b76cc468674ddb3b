"""Chain files: cut into blocks, portion by portion, and what is wrong with one that cannot be."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from node.eth import rlp
from node.standalone import chain_file
from node.standalone.chain_file import ImportFailed, opened, read_portions

FILE = Path("chain.rlp")


def items(*sizes: int) -> list[bytes]:
    """Lists of so many bytes."""
    return [rlp.encode_list([bytes([0x80]) * size]) for size in sizes]


@given(st.lists(st.integers(0, 70_000), max_size=12))
def test_what_was_written_is_read(sizes: list[int]) -> None:
    found = read_portions(io.BytesIO(b"".join(items(*sizes))), FILE)
    assert [block for portion in found for block in portion] == items(*sizes)


def test_portions_are_bounded_by_blocks_and_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_file, "PORTION_BLOCKS", 3)
    monkeypatch.setattr(chain_file, "PORTION_BYTES", 1_000)
    stream = io.BytesIO(b"".join(items(1, 1, 1, 1, 2_000, 600, 600, 1)))
    assert [len(portion) for portion in read_portions(stream, FILE)] == [3, 2, 2, 1]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (b"\x80", "chain.rlp: item 2: found a byte 0x80, a block's RLP begins with 0xc0 to 0xff"),
        (b"\xc3\x01", "chain.rlp: item 2: the file ends 2 bytes too early"),
        (b"\xf9\x01", "chain.rlp: item 2: the file ends 1 bytes too early"),
        (b"\xff" + b"\xff" * 8, f"item 2: a block of {2**64 - 1} bytes, at most {64 << 20}"),
    ],
)
def test_what_precedes_the_damage_is_given_first(damage: bytes, message: str) -> None:
    portions = read_portions(io.BytesIO(b"".join(items(4, 5)) + damage), FILE)
    assert next(portions) == items(4, 5)
    with pytest.raises(ImportFailed, match=f".*{message}$"):
        next(portions)


def test_gzip_is_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "chain.rlp.gz"
    file.write_bytes(gzip.compress(b"".join(items(4, 5))))
    with opened(file) as stream:
        assert [*read_portions(stream, file)] == [items(4, 5)]


@pytest.mark.parametrize(
    "contents", [b"no gzip at all", gzip.compress(bytes(1_000), mtime=0)[:-9]], ids=["other", "cut"]
)
def test_broken_gzip_is_told(tmp_path: Path, contents: bytes) -> None:
    file = tmp_path / "chain.rlp.gz"
    file.write_bytes(contents)
    with (
        pytest.raises(ImportFailed, match=r"chain\.rlp\.gz: cannot be read: "),
        opened(file) as stream,
    ):
        stream.read()


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(ImportFailed, match="none: cannot be read: No such file or directory"),
        opened(tmp_path / "none"),
    ):
        pass
