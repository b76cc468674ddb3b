"""A lease ends when its last holder does, however that one ends."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from deploy.lease import Lease, wait_until_free

HOLDER = """
import sys, threading
from pathlib import Path
from deploy.lease import Lease
lease = Lease(Path(sys.argv[1]))
print("held", flush=True)
threading.Event().wait()
"""
"""Holds a lease until it is killed."""

REPOSITORY = Path(__file__).parents[2]


def waiting(file: Path) -> threading.Thread:
    """Somebody who waits for its end."""
    thread = threading.Thread(target=wait_until_free, args=[file], daemon=True)
    thread.start()
    return thread


def test_it_ends_with_the_last_of_its_holders(tmp_path: Path) -> None:
    file = tmp_path / "lease"
    first, second = Lease(file), Lease(file)
    thread = waiting(file)
    first.release()
    thread.join(0.05)
    assert thread.is_alive()
    second.release()
    thread.join(30)
    assert not thread.is_alive()


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    file = tmp_path / "lease"
    command = [sys.executable, "-c", HOLDER, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPOSITORY) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        thread = waiting(file)
        thread.join(0.05)
        assert thread.is_alive()
        holder.kill()
        thread.join(30)
    assert not thread.is_alive()


def test_a_lease_that_nobody_ever_took_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        wait_until_free(tmp_path / "lease")
