"""The index of withdrawals over a real L2: found by either name, after resets, after kills, and never a dropped one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.withdrawals.finding import Sent, WithdrawalIndex
from node.contracts.addresses import MESSAGE_PASSER
from node.contracts.bindings import initiate_withdrawal
from node.errors import Corruption
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32
from node.rollup.outputs import BridgeWithdrawal, message_nonce, withdrawal_hash
from tests.kit.real_rollup import RealL2, make_rollup, running_l1, running_l2
from tests.kit.transfers import sign_transfer

TARGET = Address(b"\x7a" * 20)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[RealL2]:
    rollup = make_rollup(users=2)
    async with (
        running_l1(rollup, folder / "l1") as l1,
        running_l2(rollup, l1, folder / "l2") as l2,
    ):
        yield l2


def withdrawal(l2: RealL2, user: int, value: int) -> bytes:
    return sign_transfer(
        l2.rollup.users[user],
        nonce=l2.nonce(user),
        to=MESSAGE_PASSER,
        value=value,
        data=initiate_withdrawal(TARGET, gas_limit=50_000, data=b"note"),
        gas_limit=300_000,
        max_fee_per_gas=10**9,
        max_priority_fee_per_gas=0,
        chain_id=l2.rollup.parameters.chain_id,
    )


def name_of(l2: RealL2, user: int, value: int, count: int) -> Hash32:
    return withdrawal_hash(
        BridgeWithdrawal(
            nonce=message_nonce(count),
            sender=Address(l2.rollup.users[user].address),
            target=TARGET,
            value=value,
            gas_limit=50_000,
            data=b"note",
        )
    )


def summary(sent: Sent | None) -> tuple[int, int, Hash32] | None:
    return None if sent is None else (sent.number, sent.message.value, sent.transaction_hash)


async def test_a_withdrawal_is_found_by_its_hash_and_by_its_transactions(tmp_path: Path) -> None:
    async with running(tmp_path) as l2:
        index = WithdrawalIndex(None, l2.chain, l2.engine)
        await index.catch_up()
        # Given two of one block, and blocks with none
        first, second = withdrawal(l2, 0, 5), withdrawal(l2, 1, 6)
        l2.build()
        block = l2.build([first, second])
        l2.build()
        assert index.find(name_of(l2, 0, 5, 0)) is None
        await index.catch_up()
        # Then each has its own place
        for raw, user, value, count in ((first, 0, 5, 0), (second, 1, 6, 1)):
            expected = (block.header.number, value, keccak256(raw))
            assert summary(index.find(name_of(l2, user, value, count))) == expected
            assert summary(index.find(keccak256(raw))) == expected
        found = index.find(keccak256(first))
        assert found is not None
        assert found.block_hash == block.hash
        assert found.message.data == b"note"
        # And what is no withdrawal is none
        transfer = l2.transfers(0, 1)
        l2.build(transfer)
        await index.catch_up()
        assert index.find(keccak256(transfer[0])) is None
        assert index.find(block.hash) is None
        index.close()


async def test_a_reset_takes_its_withdrawals_with_it(tmp_path: Path) -> None:
    async with running(tmp_path) as l2:
        index = WithdrawalIndex(None, l2.chain, l2.engine)
        l2.build([withdrawal(l2, 0, 5)])
        l2.build([withdrawal(l2, 0, 6)])
        await index.catch_up()
        # When the second block goes, and another takes its place before anybody looks
        l2.chain.reset_to(1)
        l2.build([withdrawal(l2, 1, 7)])
        l2.build()
        await index.catch_up()
        # Then the index tells of the chain as it is
        assert summary(index.find(name_of(l2, 0, 5, 0))) is not None
        assert index.find(name_of(l2, 0, 6, 1)) is None
        found = index.find(name_of(l2, 1, 7, 1))
        assert found is not None
        assert found.number == 2
        index.close()


async def test_a_file_outlives_its_process_and_not_its_chain(tmp_path: Path) -> None:
    file = tmp_path / "withdrawals.sqlite"
    async with running(tmp_path / "one") as l2:
        index = WithdrawalIndex(file, l2.chain, l2.engine)
        l2.build([withdrawal(l2, 0, 5)])
        await index.catch_up()
        index.close()
        # Given a process that comes back on a chain that went on
        l2.build([withdrawal(l2, 0, 6)])
        again = WithdrawalIndex(file, l2.chain, l2.engine)
        assert summary(again.find(name_of(l2, 0, 5, 0))) is not None
        assert again.find(name_of(l2, 0, 6, 1)) is None
        await again.catch_up()
        assert summary(again.find(name_of(l2, 0, 6, 1))) is not None
        again.close()


async def test_a_damaged_file_stops_the_process(tmp_path: Path) -> None:
    file = tmp_path / "withdrawals.sqlite"
    file.write_bytes(b"no database" * 1_000)
    async with running(tmp_path / "one") as l2:
        with pytest.raises(Corruption, match="index of withdrawals"):
            WithdrawalIndex(file, l2.chain, l2.engine)
