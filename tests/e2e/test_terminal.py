"""`faultline up` on a terminal: Ctrl-C while it runs and while it starts, a terminal that is closed, and going on afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO

import pytest

from deploy import interpreting
from deploy.layout import Layout
from deploy.lock import is_running
from tests.e2e.devnet import Devnet, free_port_offset, wait_for

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="/proc says who uses a folder"),
]

TERMINAL = """
import os, pty, signal, sys
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)  # tests in the background may have been told to ignore it
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
"""
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
def terminal(devnet: Devnet, kind: str = "xterm") -> Iterator[Terminal]:
    """`faultline up` of an L1 alone, on ports that are free now."""
    devnet.offset = free_port_offset()
    variables = {**os.environ, "FAULTLINE_L2_ENABLED": "false", "TERM": kind, "COLUMNS": "120"}
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        variables.pop(name, None)
    up = interpreting.command("deploy.cli", "up", "--data", str(devnet.data))
    process = subprocess.Popen(
        [sys.executable, "-c", TERMINAL, *up, "--port-offset", str(devnet.offset)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=interpreting.environment(variables),
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


def users(devnet: Devnet) -> set[int]:
    """Every process that holds a file of a devnet's open: `up` its lock, the launcher and all others their logs."""
    processes = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return {int(entry.name) for entry in processes if uses(entry, devnet.data)}


def uses(process: Path, folder: Path) -> bool:
    """Whether a process (/proc/<id>) holds a file below a folder open; one that has ended meanwhile, or is somebody else's, does not."""
    with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        for file in (process / "fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                if file.readlink().is_relative_to(folder):
                    return True
    return False


def is_gone(devnet: Devnet) -> bool:
    """Whether nothing of it runs."""
    return not is_running(Layout(devnet.data)) and not users(devnet)


@pytest.fixture
def devnet(tmp_path: Path) -> Iterator[Devnet]:
    """None yet; whatever a test leaves running is ended."""
    devnet = Devnet(data=tmp_path.resolve() / "devnet")
    yield devnet
    for pid in users(devnet):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_ctrl_c_and_a_closed_terminal_keep_the_data(devnet: Devnet) -> None:
    # While it starts: it gives up, and so does the launcher
    with terminal(devnet) as starting:
        wait_for("the launcher", lambda: len(users(devnet)) > 1)
        starting.press(CTRL_C)
        assert starting.process.wait(EXIT_DEADLINE_S) == 130
        starting.wait_to_see("Interrupted.")
    wait_for("all processes to end", lambda: is_gone(devnet))

    # While it runs: it stops cleanly, also for who is impatient
    with terminal(devnet) as running:
        running.wait_to_see("Ctrl-C stops it and keeps its data")
        wait_for("a block", lambda: devnet.number() > 1)
        assert len(users(devnet)) == 6  # up, launcher, validators
        reached = devnet.number()
        running.press(CTRL_C)
        assert running.process.wait(EXIT_DEADLINE_S) == 0
        running.wait_to_see(f"Stopped; the data stays in {devnet.data}.")
    wait_for("all processes to end", lambda: is_gone(devnet))

    # Started again it goes on, on a terminal that cannot move its cursor as well, until that is closed
    with terminal(devnet, "dumb") as again:
        again.wait_to_see("Ctrl-C stops it and keeps its data")
        assert devnet.number() >= reached
        again.process.send_signal(signal.SIGKILL)
        wait_for("all processes to end", lambda: is_gone(devnet))
