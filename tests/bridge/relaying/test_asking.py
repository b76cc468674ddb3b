"""The relayer's list: kept, ordered, bounded, and of one L2."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.relaying.asking import ASKED_MAX, FULL, AskedList
from bridge.relaying.planning import RELAYED_GAS_MAX
from bridge.withdrawals.finding import Sent
from node.contracts.bindings import MessagePassed
from node.errors import Corruption
from node.eth.primitives import Address, Hash32

GENESIS = Hash32(b"\x0e" * 32)


def sent(number: int, *, gas_limit: int = 21_000) -> Sent:
    """A withdrawal of its own hash, in an L2 block."""
    message = MessagePassed(
        nonce=number,
        sender=Address(b"\1" * 20),
        target=Address(b"\2" * 20),
        value=1,
        gas_limit=gas_limit,
        data=b"",
        withdrawal_hash=Hash32(number.to_bytes(32)),
    )
    return Sent(
        message=message,
        number=number,
        block_hash=Hash32(b"\3" * 32),
        transaction_hash=Hash32(b"\4" * 32),
    )


def test_the_list_outlives_its_process_in_order(tmp_path: Path) -> None:
    file = tmp_path / "asked.sqlite"
    asked = AskedList(file, genesis_hash=GENESIS)
    for number in (7, 5, 9, 5):
        assert asked.add(sent(number)) is None
    asked.drop(Hash32((9).to_bytes(32)))
    asked.close()
    again = AskedList(file, genesis_hash=GENESIS)
    assert again.names == tuple(Hash32(number.to_bytes(32)) for number in (7, 5))
    assert again.number_of(Hash32((5).to_bytes(32))) == 5
    assert Hash32((9).to_bytes(32)) not in again
    again.close()


def test_a_list_of_another_l2_is_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / "asked.sqlite"
    asked = AskedList(file, genesis_hash=GENESIS)
    assert asked.add(sent(7)) is None
    asked.close()
    other = AskedList(file, genesis_hash=Hash32(b"\x0f" * 32))
    assert other.names == ()
    other.close()


def test_there_is_room_for_so_many_and_for_no_dear_one() -> None:
    asked = AskedList(None, genesis_hash=GENESIS)
    assert asked.add(sent(1, gas_limit=RELAYED_GAS_MAX)) is None
    refusal = asked.add(sent(2, gas_limit=RELAYED_GAS_MAX + 1))
    assert refusal == (
        f"its call wants {RELAYED_GAS_MAX + 1} gas, the relayer pays for at most "
        f"{RELAYED_GAS_MAX}: finalize it yourself"
    )
    for number in range(2, ASKED_MAX + 1):
        assert asked.add(sent(number)) is None
    assert asked.add(sent(ASKED_MAX + 1)) == FULL
    assert asked.add(sent(ASKED_MAX)) is None
    asked.drop(Hash32((1).to_bytes(32)))
    assert asked.add(sent(ASKED_MAX + 1)) is None
    asked.close()


def test_a_damaged_file_stops_the_process(tmp_path: Path) -> None:
    file = tmp_path / "asked.sqlite"
    file.write_bytes(b"no database" * 1_000)
    with pytest.raises(Corruption, match="the relayer's list"):
        AskedList(file, genesis_hash=GENESIS)
