"""What was acknowledged and is in no block outlives the process."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from sequencer.building import service
from sequencer.building.keeping import Keeper
from sequencer.building.limits import WaitingLimits
from tests.kit.building import building, transfer
from tests.sequencer.building.sealed import sealed


async def test_what_waits_for_a_nonce_and_was_acknowledged_survives_a_restart(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(tmp_path) as site:
        await site.builder.submit(transfer(0, 0))
        await site.builder.submit(transfer(0, 2))
    async with building(tmp_path) as site:
        await trio.testing.wait_all_tasks_blocked()
        assert site.builder.counts() == (0, 1)
        await site.builder.submit(transfer(0, 1))
        await trio.testing.wait_all_tasks_blocked()
        assert sealed(site) == [transfer(0, nonce) for nonce in range(3)]
    async with building(tmp_path) as site:
        await trio.testing.wait_all_tasks_blocked()
        assert site.builder.counts() == (0, 0)


async def test_what_comes_back_from_the_file_is_bounded_too(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with building(tmp_path) as site:
        for nonce in range(1, 6):
            await site.builder.submit(transfer(0, nonce))
    async with building(tmp_path, limits=WaitingLimits(gapped_max=3)) as site:
        await trio.testing.wait_all_tasks_blocked()
        assert site.builder.counts() == (0, 3)
    async with building(tmp_path, limits=WaitingLimits(gapped_bytes_max=250)) as site:
        await trio.testing.wait_all_tasks_blocked()
        assert site.builder.counts() == (0, 2)


async def test_what_a_reset_dropped_survives_a_stop_before_it_is_built_again(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    raws = [transfer(0, nonce) for nonce in range(4)]
    async with building(tmp_path) as site:
        for raw in raws:
            await site.builder.submit(raw)
        await site.faults.inject("sequencer-stop", {})
        site.chain.reset_to(0)
        await trio.testing.wait_all_tasks_blocked()
        assert site.chain.head.header.number == 0
    async with building(tmp_path) as site:
        await trio.testing.wait_all_tasks_blocked()
        assert sealed(site) == raws


async def test_what_a_reset_drops_before_anything_is_built_survives_a_kill(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    raws = [transfer(0, nonce) for nonce in range(4)]
    async with building(tmp_path / "first") as site:
        for raw in raws:
            await site.builder.submit(raw)
    async with building(tmp_path / "first", begin=trio.sleep_forever) as site:
        site.chain.reset_to(0)
        # What kill -9 leaves at this moment.
        shutil.copytree(tmp_path / "first", tmp_path / "killed")
        await trio.testing.wait_all_tasks_blocked()
        assert site.chain.head.header.number == 0
    async with building(tmp_path / "killed") as site:
        await trio.testing.wait_all_tasks_blocked()
        assert sealed(site) == raws


def test_a_transaction_is_not_kept_in_a_file_that_is_not_open(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        Keeper(tmp_path / "waiting").keep((b"\x02",))
    Keeper(None).keep((b"\x02",))


async def test_what_comes_back_is_not_rewritten_away(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a file that is long while what it holds is in no pool yet, a kill loses nothing."""
    monkeypatch.setattr("sequencer.building.keeping.ROTATE_BYTES", 100)
    raws = [transfer(0, nonce) for nonce in range(4)]
    async with building(tmp_path / "first") as site:
        for raw in raws:
            await site.builder.submit(raw)
    async with building(tmp_path / "first", begin=trio.sleep_forever) as site:
        site.chain.reset_to(0)
        await trio.sleep(3 * service.KEEP_EVERY_S)
        shutil.copytree(tmp_path / "first", tmp_path / "killed")
    async with building(tmp_path / "killed") as site:
        await trio.testing.wait_all_tasks_blocked()
        assert sealed(site) == raws


async def test_the_file_of_waiting_transactions_stays_short(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sequencer.building.keeping.ROTATE_BYTES", 2_000)
    async with building(tmp_path) as site:
        for nonce in range(1, 41):
            await site.builder.submit(transfer(0, nonce))
        assert (tmp_path / "waiting").stat().st_size > 2_000
        await site.builder.submit(transfer(0, 0))
        await trio.sleep(2 * service.KEEP_EVERY_S)
        assert len(sealed(site)) == 41
        assert (tmp_path / "waiting").stat().st_size < 100
