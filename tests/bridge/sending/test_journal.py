"""The journal on disk: what it keeps, whom it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.sending.journal import Journal, JournalError
from bridge.sending.slots import Offer, signed
from node.errors import Corruption
from node.eth.primitives import Address, Hash32
from sequencer.batching.fees import Fee
from sequencer.batching.signing import L1Account

GENESIS = Hash32(b"\x01" * 32)
ACCOUNT = L1Account(b"\xac" * 32, 900)
OTHER = Address(b"\x0f" * 20)
OFFER = Offer(
    to=Address(b"\x0c" * 20),
    call_data=b"\x01\x02" * 300,
    value_wei=10**18,
    gas_limit=77_000,
    fee=Fee(max_fee_wei=3 * 10**9, tip_wei=10**9),
)


def open_journal(folder: Path, genesis_hash: Hash32 = GENESIS) -> Journal:
    return Journal(folder / "journal.sqlite", genesis_hash=genesis_hash)


def test_slots_come_back_as_they_were_saved(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    first = signed(ACCOUNT, OFFER, nonce=7, key="create:aa", sent_at=3, before=None)
    second = signed(ACCOUNT, OFFER, nonce=8, key="resolve:bb", sent_at=3, before=None)
    again = signed(ACCOUNT, OFFER, nonce=7, key="", sent_at=5, before=first)
    journal.save(ACCOUNT.address, (first, second))
    journal.save(ACCOUNT.address, (again,))
    journal.save(OTHER, (second,))
    journal.close()
    journal = open_journal(tmp_path)
    assert journal.load(ACCOUNT.address) == (again, second)
    assert again.offer() == OFFER
    assert [version.key for version in again.versions] == ["create:aa", ""]
    journal.forget(ACCOUNT.address, 8)
    assert journal.load(ACCOUNT.address) == (second,)
    assert journal.load(OTHER) == (second,)
    journal.close()


def test_a_second_process_and_another_chain_are_refused(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    with pytest.raises(JournalError, match="is held by another process: two senders"):
        open_journal(tmp_path)
    journal.close()
    with pytest.raises(
        JournalError, match=r"belongs to the L1 of genesis 0x0101.*genesis is 0x0202"
    ):
        open_journal(tmp_path, Hash32(b"\x02" * 32))
    open_journal(tmp_path).close()


def test_damage_is_told_and_the_lock_let_go(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(Corruption, match="is damaged"):
        open_journal(tmp_path)
    (tmp_path / "journal.sqlite").unlink()
    open_journal(tmp_path).close()


def test_a_write_that_fails_leaves_everything_as_it_was(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    first = signed(ACCOUNT, OFFER, nonce=7, key="create:aa", sent_at=3, before=None)
    journal.save(ACCOUNT.address, (first,))
    broken = signed(ACCOUNT, OFFER, nonce=8, key="b", sent_at=1 << 70, before=None)
    with pytest.raises(OverflowError):
        journal.save(ACCOUNT.address, (broken,))
    assert journal.load(ACCOUNT.address) == (first,)
    journal.save(ACCOUNT.address, (first,))
    journal.close()
