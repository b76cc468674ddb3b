"""Progress: a line for each step, and one that counts down in place on a terminal."""

from __future__ import annotations

import io

from deploy.progress import Progress


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_waiting_line_is_written_over() -> None:
    out = Terminal()
    progress = Progress(out=out)
    progress.waits("waits", "for a game", 12.4)
    progress.waits("waits", "for a game", 11.6)
    progress.passed("provable", "game 4")
    progress.waits("waits", "for its proof")
    progress.close()
    lines = out.getvalue().split("\r\x1b[2K")
    assert [line.strip() for line in lines[:2]] == [
        "… waits           for a game (about 12 s)",
        "… waits           for a game (about 12 s)",
    ]
    assert lines[2].startswith("✓ provable        game 4  +")
    assert lines[2].endswith("s\n… waits           for its proof\n")
    assert [one.step for one in progress.steps] == ["provable"]


def test_elsewhere_each_waiting_is_told_once() -> None:
    out = io.StringIO()
    progress = Progress(out=out)
    for what in ("for a game", "for a game", "for its proof", "for a game"):
        progress.waits("waits", what, 3.0)
    progress.close()
    assert out.getvalue().count("\n") == 3
    assert "\r" not in out.getvalue()


def test_a_quiet_one_notes_the_steps_all_the_same() -> None:
    out = io.StringIO()
    progress = Progress(out=out, is_quiet=True)
    progress.waits("waits", "for a game")
    progress.passed("provable", "game 4")
    progress.close()
    assert out.getvalue() == ""
    assert [one.step for one in progress.steps] == ["provable"]
