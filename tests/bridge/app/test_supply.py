"""What there is on the L2, counted over real deposits and withdrawals, over restarts and torn files."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.app import supply
from bridge.app.supply import Supply, genesis_supply
from node.contracts.addresses import MESSAGE_PASSER
from node.contracts.bindings import initiate_withdrawal
from node.eth.primitives import Address
from sequencer.batching.options import BatchingOptions
from tests.kit.real_rollup import ETHER, RealL1, RealL2, make_rollup, running_l1, running_l2
from tests.kit.transfers import sign_transfer


def counted(l2: RealL2, file: Path | None) -> Supply:
    return Supply(
        file,
        genesis_wei=genesis_supply(l2.rollup.l2_document),
        l2=l2.chain,
        l1=l2.view,
        engine=l2.engine,
    )


async def grow(l1: RealL1, l2: RealL2, slots: int, raws: list[bytes]) -> None:
    """Slots with an L2 block each, the first with these transactions."""
    for _ in range(slots):
        await l2.build_posted(raws)
        raws = []
        await l1.mine()
        await l2.caught_up()


def withdrawal(l2: RealL2, value: int) -> bytes:
    return sign_transfer(
        l2.rollup.users[2],
        nonce=l2.nonce(2),
        to=MESSAGE_PASSER,
        value=value,
        gas_limit=200_000,
        data=initiate_withdrawal(Address(b"\x77" * 20), gas_limit=100_000),
        max_fee_per_gas=10**9,
        max_priority_fee_per_gas=0,
        chain_id=l2.rollup.parameters.chain_id,
    )


async def test_mints_add_and_withdrawals_take_away_once_they_are_final(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supply, "SAVE_EVERY_BLOCKS", 1)
    rollup = make_rollup()
    (tmp_path / "l1").mkdir()
    (tmp_path / "l2").mkdir()
    file = tmp_path / "supply.json"
    options = BatchingOptions(interval_ms=100)
    async with (
        running_l1(rollup, tmp_path / "l1") as l1,
        running_l2(rollup, l1, tmp_path / "l2", batching=options) as l2,
    ):
        start = genesis_supply(rollup.l2_document)
        # Two users deposit, one withdraws
        counting = counted(l2, file)
        assert await counting.catch_up() == start
        await l1.deposit(0, to=b"\x31" * 20, value=3 * ETHER)
        await l1.deposit(1, to=b"\x32" * 20, value=ETHER // 2)
        await l1.mine()
        await l2.caught_up()
        await grow(l1, l2, 3, [withdrawal(l2, ETHER)])
        assert await counting.catch_up() == start
        await grow(l1, l2, 12, [])
        wanted = start + 3 * ETHER + ETHER // 2 - ETHER
        assert await counting.catch_up() == wanted
        # Another process goes on where this one was, and counts nothing twice
        assert file.exists()
        assert await counted(l2, file).catch_up() == wanted
        # A file that is torn, or tells of another chain, is thrown away
        for torn in (b"", b"{", b'{"number": 1, "hash": "00", "origin": 1, "wei": "5"}'):
            file.write_bytes(torn)
            assert await counted(l2, file).catch_up() == wanted
        assert await counted(l2, None).catch_up() == wanted
