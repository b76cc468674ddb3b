"""What fits into no block is remembered, and its sender pauses."""

from __future__ import annotations

import pytest

from sequencer.building import misfits
from sequencer.building.misfits import MEMORY_MS, PAUSE_MAX_MS, PAUSE_MS, Misfits


def pauses(memory: Misfits, sender: bytes, now_ms: int) -> bool:
    return memory.find(b"another", sender, now_ms=now_ms) is not None


def test_the_same_transaction_is_refused_in_the_engine_s_words_for_a_while() -> None:
    memory = Misfits()
    memory.note(b"1", b"A", "too much", now_ms=0)
    assert memory.find(b"1", b"B", now_ms=MEMORY_MS) == "too much"
    assert memory.find(b"1", b"B", now_ms=MEMORY_MS + 1) is None


def test_a_sender_pauses_twice_as_long_each_time() -> None:
    memory, now_ms = Misfits(), 0
    for strike in range(10):
        memory.note(bytes([strike]), b"A", "too much", now_ms=now_ms)
        pause_ms = min(PAUSE_MS << strike, PAUSE_MAX_MS)
        assert pauses(memory, b"A", now_ms + pause_ms - 1)
        assert not pauses(memory, b"B", now_ms)
        now_ms += pause_ms
        assert not pauses(memory, b"A", now_ms)
    memory.note(b"later", b"A", "too much", now_ms=now_ms + MEMORY_MS + PAUSE_MAX_MS)
    assert not pauses(memory, b"A", now_ms + MEMORY_MS + PAUSE_MAX_MS + PAUSE_MS)


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(misfits, "MISFITS_MAX", 2)
    memory = Misfits()
    for number in range(3):
        memory.note(bytes([number]), bytes([number]), "too much", now_ms=0)
    assert len(memory) == 2
    found = [memory.find(bytes([one]), bytes([one]), now_ms=0) for one in range(3)]
    assert found == [None, "too much", "too much"]
