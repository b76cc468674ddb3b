"""What a node does with blobs: check once, keep for a bounded time, find again after a restart."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
import trio
from prometheus_client import CollectorRegistry

from node.blobs.files import FILE_BYTES, FolderFiles, MemoryFiles, Place, decode_file, encode_file
from node.blobs.keeper import (
    FRESH_SLOTS,
    IDLE_SLOTS,
    PROVEN_AT_ONCE,
    RETAINED_SLOTS,
    BlobItem,
    BlobKeeper,
    NotWritten,
)
from node.blobs.turns import WAITING_MAX, KeeperBusy, Lane
from node.eth.blobs import BLOB_BYTES, CELLS, Blob as RealBlob, NetworkForm, versioned_hash
from node.eth.primitives import Hash32
from node.runtime.worker import InlineWorker


def blob(number: int) -> RealBlob:
    """A blob that only the fake checker takes for one."""
    return RealBlob(
        data=number.to_bytes(BLOB_BYTES),
        commitment=number.to_bytes(48),
        proofs=number.to_bytes(48 * CELLS),
    )


def name(number: int) -> Hash32:
    """What it is called."""
    return versioned_hash(blob(number).commitment)


@dataclass(slots=True)
class Checker:
    """Says yes to all but some, and counts."""

    wrong: set[bytes] = field(default_factory=set)
    calls: list[int] = field(default_factory=list)
    proved: list[int] = field(default_factory=list)

    def verify_blobs(self, items: Sequence[BlobItem]) -> list[bool]:
        self.calls.append(len(items))
        return [commitment not in self.wrong for _, commitment, _ in items]

    def prove_blobs(self, items: Sequence[BlobItem]) -> list[bytes | None]:
        self.proved.append(len(items))
        return [
            None if commitment in self.wrong else proof * CELLS for _, commitment, proof in items
        ]


@dataclass(slots=True)
class Bench:
    """A keeper with all that it touches."""

    files: FolderFiles | MemoryFiles
    checker: Checker = field(default_factory=Checker)
    slot: int = 100
    bytes_max: int = 100 * FILE_BYTES
    fresh_bytes_max: int = 100 * FILE_BYTES

    def open(self) -> BlobKeeper:
        return BlobKeeper(
            files=self.files,
            checker=self.checker,
            worker=InlineWorker(),
            slot=lambda: self.slot,
            registry=CollectorRegistry(),
            bytes_max=self.bytes_max,
            fresh_bytes_max=self.fresh_bytes_max,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(FolderFiles(tmp_path / "blobs"))


async def test_blobs_are_checked_once_and_told(bench: Bench) -> None:
    """Given blobs that come twice, then each is checked once, and whoever waits is told when one is new."""
    keeper = bench.open()
    told: list[int] = []
    keeper.on_arrival(lambda: told.append(len(keeper)))
    assert keeper.missing([name(1), name(1), name(2)]) == [name(1), name(2)]
    assert await keeper.add([blob(1), blob(2), blob(1)], own=False)
    assert await keeper.add([blob(1), blob(3)], own=False)
    assert await keeper.add([blob(3)], own=False)
    assert bench.checker.calls == [2, 1]
    assert told == [2, 3]
    assert await keeper.load([name(3), name(1)]) == (blob(3), blob(1))
    assert await keeper.load([name(3), name(4)]) is None


async def test_a_wrong_blob_brings_none_in(bench: Bench) -> None:
    keeper = bench.open()
    bench.checker.wrong.add(blob(2).commitment)
    assert not await keeper.add([blob(1), blob(2)], own=False)
    assert keeper.missing([name(1), name(2)]) == [name(1), name(2)]


async def test_too_many_that_wait_are_turned_away(bench: Bench) -> None:
    """Given as many of peers' lists as may wait and more, then the rest is turned away, and a user's or a block's is not."""
    keeper = bench.open()
    refused: list[int] = []
    most = WAITING_MAX[Lane.PEERS]

    async def offer(number: int) -> None:
        try:
            assert await keeper.add([blob(number)], own=False)
        except KeeperBusy:
            refused.append(number)

    async def use() -> None:
        await trio.lowlevel.checkpoint()
        assert await keeper.add([blob(100)], own=True)
        assert await keeper.add_wanted([blob(101)])

    async with trio.open_nursery() as nursery:
        for number in range(most + 3):
            nursery.start_soon(offer, number)
        nursery.start_soon(use)
    assert len(refused) == 3
    assert len(keeper) == most + 2


async def test_blobs_that_come_twice_at_once_are_checked_once(bench: Bench) -> None:
    """Given that several peers were asked for the blobs of one block, then what the first brought is not checked again."""
    keeper = bench.open()
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(keeper.add_wanted, [blob(1), blob(2)])
        nursery.start_soon(partial(keeper.add, [blob(2), blob(3)], own=False))
    assert sorted(bench.checker.calls) == [1, 2]


async def test_a_restart_finds_what_was_there(bench: Bench) -> None:
    """Given blobs of a block and of the pool, when the process starts again, then both are there, with their times."""
    keeper = bench.open()
    await keeper.add([blob(1), blob(2)], own=False)
    keeper.used([name(1)], slot=90)
    again = bench.open()
    assert await again.load([name(1), name(2)]) == (blob(1), blob(2))
    bench.slot += IDLE_SLOTS + 1
    again.prune()
    assert again.missing([name(1), name(2)]) == [name(2)]


async def test_damage_is_a_blob_that_is_not_here(bench: Bench, tmp_path: Path) -> None:
    """Given files that are cut, changed, misnamed or left half written, then none of them is served."""
    keeper = bench.open()
    await keeper.add([blob(number) for number in range(4)], own=False)
    folder = tmp_path / "blobs"
    paths = {number: next(folder.glob(f"*{name(number).hex()}")) for number in range(4)}
    paths[0].write_bytes(paths[0].read_bytes()[:-1] + b"\xff")
    paths[1].unlink()
    paths[2].write_bytes(paths[3].read_bytes())
    (folder / f"{name(5).hex()}.new").write_bytes(b"half")
    (folder / "README").write_text("nobody's")
    for number in range(3):
        assert await keeper.load([name(number)]) is None
        assert keeper.missing([name(number)]) == [name(number)]
    assert await keeper.load([name(3)]) == (blob(3),)
    again = bench.open()
    assert len(again) == 1
    assert sorted(one.name for one in folder.iterdir()) == sorted([paths[3].name, "README"])


async def test_what_cannot_be_read_now_is_not_forgotten(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a process that has too many files open, then a blob is not given, and it is there again as soon as files are."""
    keeper = bench.open()
    await keeper.add([blob(1)], own=False)

    def refuse(_: Path) -> bytes:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)
        assert await keeper.load([name(1)]) is None
    assert keeper.missing([name(1)]) == []
    assert await keeper.load([name(1)]) == (blob(1),)


async def test_a_full_disk_keeps_nothing_and_ends_nothing(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a disk that is full in the middle of a file, then whoever brought the blob is told to come again, and no half file stays."""
    keeper = bench.open()
    write = Path.write_bytes

    def fill(path: Path, contents: bytes) -> int:
        write(path, contents[:1_000])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fill)
        with pytest.raises(NotWritten):
            await keeper.add_wanted([blob(1)])
    assert keeper.missing([name(1)]) == [name(1)]
    assert list((tmp_path / "blobs").iterdir()) == []
    assert await keeper.add_wanted([blob(1)])
    assert await keeper.load([name(1)]) == (blob(1),)


async def test_blobs_of_blocks_stay_for_their_time(bench: Bench) -> None:
    keeper = bench.open()
    await keeper.add([blob(1)], own=False)
    keeper.used([name(1)], slot=100)
    keeper.used([name(1)], slot=50)
    bench.slot = 100 + RETAINED_SLOTS
    keeper.prune()
    assert not keeper.missing([name(1)])
    bench.slot += 1
    keeper.prune()
    assert keeper.missing([name(1)])


async def test_what_the_pool_needs_is_never_forgotten(bench: Bench) -> None:
    keeper = bench.open()
    await keeper.add([blob(1), blob(2)], own=False)
    keeper.pin(lambda one: one == name(1))
    bench.slot += RETAINED_SLOTS * 2
    keeper.prune()
    assert keeper.missing([name(1), name(2)]) == [name(2)]


async def test_too_many_bytes_push_out_the_least_worthy(bench: Bench) -> None:
    """Given more than there is room for, then what no block came for goes first, then the oldest blocks'; never what the pool needs."""
    bench.bytes_max = 3 * FILE_BYTES
    keeper = bench.open()
    await keeper.add([blob(3)], own=False)
    bench.slot += FRESH_SLOTS + 1
    for number in range(3):
        await keeper.add([blob(number)], own=False)
        keeper.used([name(number)], slot=90 + number)
    assert keeper.missing([name(number) for number in range(4)]) == [name(3)]
    keeper.pin(lambda one: one == name(0))
    await keeper.add([blob(4)], own=False)
    assert keeper.missing([name(number) for number in range(5)]) == [name(1), name(3)]


async def test_a_full_disk_takes_what_is_new(bench: Bench) -> None:
    """Given a disk that blobs of blocks have filled, when others come, then they stay: the pool and waiting blocks want them."""
    bench.bytes_max = 6 * FILE_BYTES
    keeper = bench.open()
    for number in range(6):
        await keeper.add([blob(number)], own=False)
        keeper.used([name(number)], slot=bench.slot)
        bench.slot += 1
    parts = [name(10), name(11)]
    assert await keeper.add([blob(10)], own=False)
    assert await keeper.add([blob(11)], own=False)
    assert keeper.missing(parts) == []
    keeper.used(parts, bench.slot)
    assert await keeper.add([blob(12)], own=False)
    assert keeper.missing([name(12), *parts]) == []
    assert len(keeper) == 6


async def test_a_flood_of_what_is_new_leaves_the_blobs_of_blocks(bench: Bench) -> None:
    """Given more new blobs in a slot than what is new may take, then the oldest of them go, and no block's."""
    bench.bytes_max, bench.fresh_bytes_max = 6 * FILE_BYTES, 2 * FILE_BYTES
    keeper = bench.open()
    for number in range(4):
        await keeper.add([blob(number)], own=False)
        keeper.used([name(number)], slot=bench.slot)
    flood = range(10, 15)
    for number in flood:
        await keeper.add([blob(number)], own=False)
    assert keeper.missing([name(number) for number in range(4)]) == []
    assert keeper.missing([name(number) for number in flood]) == [name(10), name(11), name(12)]


async def test_an_older_form_gets_the_proofs_of_cells(bench: Bench) -> None:
    keeper = bench.open()
    one = blob(1)
    form = NetworkForm(
        raw=b"\x03",
        version=0,
        blobs=(one.data,),
        commitments=(one.commitment,),
        proofs=(b"\x09" * 48,),
    )
    found = await keeper.modernise(form)
    assert found is not None
    assert found.version == 1
    assert found.proofs == (b"\x09" * 48,) * CELLS
    bench.checker.wrong.add(one.commitment)
    assert await keeper.modernise(form) is None


async def test_a_blocks_blobs_do_not_wait_for_all_that_a_user_wants_proved(bench: Bench) -> None:
    """Given users with the largest forms of version 0, then what a block waits for is checked after the next two blobs of theirs."""
    keeper = bench.open()
    blobs = [blob(number) for number in range(1, 7)]
    form = NetworkForm(
        raw=b"\x03",
        version=0,
        blobs=tuple(one.data for one in blobs),
        commitments=tuple(one.commitment for one in blobs),
        proofs=tuple(bytes([number]) * 48 for number in range(6)),
    )
    async with trio.open_nursery() as nursery:
        for _ in range(WAITING_MAX[Lane.USERS]):
            nursery.start_soon(keeper.modernise, form)
        await trio.lowlevel.checkpoint()
        assert await keeper.add_wanted([blob(9)])
        assert sum(bench.checker.proved) <= 2 * PROVEN_AT_ONCE
    assert bench.checker.proved == [PROVEN_AT_ONCE] * 3 * WAITING_MAX[Lane.USERS]
    found = await keeper.modernise(form)
    assert found is not None
    assert found.proofs == tuple(bytes([number]) * 48 for number in range(6) for _ in range(CELLS))


def test_a_file_holds_one_blob_of_its_name() -> None:
    contents = encode_file(blob(7))
    assert len(contents) == FILE_BYTES
    assert decode_file(contents, name(7)) == blob(7)
    assert decode_file(contents, name(8)) is None
    assert decode_file(contents[:-1], name(7)) is None
    assert Place(versioned_hash=name(7), slot=5, is_of_block=True).name.startswith(
        "000000000005.b.01"
    )
