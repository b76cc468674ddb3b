"""`faultline up` on a terminal: Ctrl-C while it runs and while it starts, a terminal that is closed, and going on afterwards."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO

import pytest

from deploy import interpreting
from deploy.layout import Layout
from deploy.lock import is_running
from tests.e2e.devnet import Devnet, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
"""A terminal: what is written to it is typed, and what is shown comes out of it."""

CTRL_C = b"\x03"

EXIT_DEADLINE_S = 60
"""Everything has ended by then."""


@dataclass(slots=True, kw_only=True)
class Terminal:
    """A terminal in which a command runs."""

    process: subprocess.Popen[bytes]
    """The terminal itself; it gives the command's exit code."""
    shown: bytearray
    """All that was shown so far."""

    def press(self, keys: bytes) -> None:
        """Type."""
        assert self.process.stdin is not None
        self.process.stdin.write(keys)
        self.process.stdin.flush()

    def wait_to_see(self, text: str) -> None:
        """Wait until something is shown."""
        wait_for(f"{text!r} on the terminal", lambda: text.encode() in self.shown)


@contextmanager
def terminal(devnet: Devnet) -> Iterator[Terminal]:
    """`faultline up` of an L1 alone."""
    up = interpreting.command("deploy.cli", "up", "--data", str(devnet.data))
    process = subprocess.Popen(
        [sys.executable, "-c", TERMINAL, *up, "--port-offset", str(devnet.offset)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=interpreting.environment({**os.environ, "FAULTLINE_L2_ENABLED": "false"}),
    )
    shown = bytearray()
    assert process.stdout is not None
    reader = Thread(target=read_all, args=(process.stdout, shown))
    reader.start()
    try:
        yield Terminal(process=process, shown=shown)
    finally:
        process.kill()
        process.wait()
        reader.join()
        for end in (process.stdin, process.stdout):
            assert end is not None
            end.close()


def read_all(source: IO[bytes], shown: bytearray) -> None:
    """Keep what a terminal shows, until it is closed."""
    while part := os.read(source.fileno(), 1 << 16):
        shown += part


def pids(devnet: Devnet) -> list[int]:
    """Every process of a devnet that has ever run, by its supervisor's log."""
    log = (devnet.data / "logs" / "supervisor.log").read_text()
    return [int(pid) for pid in re.findall(r"runs as process (\d+)", log)]


def is_gone(devnet: Devnet) -> bool:
    """Whether nothing of it runs."""
    return not is_running(Layout(devnet.data)) and not any(map(is_alive, pids(devnet)))


def is_alive(pid: int) -> bool:
    """Whether a process of this id is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_ctrl_c_and_a_closed_terminal_keep_the_data(tmp_path: Path) -> None:
    devnet = Devnet(data=tmp_path / "devnet")

    # While it starts: it gives up
    with terminal(devnet) as starting:
        wait_for("its first process", lambda: is_running(Layout(devnet.data)))
        starting.press(CTRL_C)
        assert starting.process.wait(EXIT_DEADLINE_S) == 130
        starting.wait_to_see("Interrupted.")
    wait_for("all processes to end", lambda: is_gone(devnet))

    # While it runs: it stops cleanly, also for who is impatient
    with terminal(devnet) as running:
        running.wait_to_see("Ctrl-C stops it and keeps its data")
        wait_for("a block", lambda: devnet.number() > 1)
        reached = devnet.number()
        running.press(CTRL_C)
        assert running.process.wait(EXIT_DEADLINE_S) == 0
        running.wait_to_see(f"Stopped; the data stays in {devnet.data}.")
    wait_for("all processes to end", lambda: is_gone(devnet))

    # Started again it goes on, until its terminal is closed
    with terminal(devnet) as again:
        again.wait_to_see("Ctrl-C stops it and keeps its data")
        assert devnet.number() >= reached
        again.process.send_signal(signal.SIGKILL)
        wait_for("all processes to end", lambda: is_gone(devnet))
