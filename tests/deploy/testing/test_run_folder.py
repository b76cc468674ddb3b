"""Turns of tests with a devnet that several workers share."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

from deploy.testing.run_folder import GATE, turn
from deploy.testing.waiting import wait_for


def is_locked(file: Path) -> bool:
    """Whether somebody holds a file's lock alone."""
    with file.open("a") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


class Worker(threading.Thread):
    """A worker with a test that runs until it is told to end."""

    def __init__(self, folder: Path, *, alone: bool) -> None:
        super().__init__(daemon=True)
        self._folder, self._alone = folder, alone
        self.runs, self.may_end = threading.Event(), threading.Event()
        self.start()

    def run(self) -> None:
        with turn(self._folder, alone=self._alone):
            self.runs.set()
            self.may_end.wait()

    def end(self) -> None:
        self.may_end.set()
        self.join()


def test_tests_that_use_a_devnet_run_side_by_side(tmp_path: Path) -> None:
    tests = [Worker(tmp_path, alone=False) for _ in range(3)]
    for test in tests:
        assert test.runs.wait(timeout=60)
    for test in tests:
        test.end()


def test_one_that_breaks_it_waits_to_be_alone_and_is_the_next(tmp_path: Path) -> None:
    """Given a test that uses the devnet, when one that breaks it waits, then one that comes later waits behind it."""
    user = Worker(tmp_path, alone=False)
    assert user.runs.wait(timeout=60)
    breaker = Worker(tmp_path, alone=True)
    wait_for("it to wait", lambda: is_locked(tmp_path / GATE))
    later = Worker(tmp_path, alone=False)
    assert not breaker.runs.is_set()
    assert not later.runs.is_set()
    user.end()
    assert breaker.runs.wait(timeout=60)
    assert not later.runs.is_set()
    breaker.end()
    assert later.runs.wait(timeout=60)
    later.end()
