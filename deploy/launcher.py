"""The fork server: imports what every process needs once, then forks each process from itself.

    supervisor --(JSON lines over a socket)--> launcher --fork--> process (a session of its own)
               <-- warm, started, exited ----           --reap-->

The imports of a program wait until its first process is asked for: validators start while those of the L2 are imported.

Forked processes start in milliseconds and share the memory of everything that was imported.
Single-threaded and without an event loop library on purpose: a fork copies only the thread that calls it.
Where fork is unsafe (macOS) or imports have started threads, a process is a new interpreter instead.
When the supervisor is gone, so that its end of the socket closes, every process is stopped; when the launcher itself is
killed, the kernel kills them (PR_SET_PDEATHSIG, Linux).
Deliberately absent: when to start, stop or restart; the supervisor decides that.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from deploy.interpreting import command, environment

PR_SET_PDEATHSIG: Final = 1
"""prctl(2): the signal this process gets when its parent dies."""

PR_SET_NAME: Final = 15
"""prctl(2): the name that `ps` and `top` show."""

LINE_BYTES_MAX: Final = 1 << 16
"""No message between supervisor and launcher is longer."""

ORPHAN_GRACE_S: Final = 2.0
"""How long processes may take to stop once the supervisor is gone."""

CONFIGURATION_EXIT: Final = 2
"""Exit code of a process whose configuration is wrong."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Start(_Message):
    """Supervisor to launcher: start a process."""

    kind: Literal["start"] = "start"
    name: str
    """Its name."""
    program: str
    """Package to run, as `python -m` would: its `__main__.main(arguments)` gives the exit code."""
    arguments: tuple[str, ...]
    """Its command line."""
    log: Path
    """File that its output is appended to."""


class Signal(_Message):
    """Supervisor to launcher: send a signal to a process, if it still runs."""

    kind: Literal["signal"] = "signal"
    name: str
    """Whose."""
    number: int
    """signal.SIGTERM, ..."""


class Warm(_Message):
    """Launcher to supervisor: the first program's imports are done."""

    kind: Literal["warm"] = "warm"
    forks: bool
    """Whether processes are forked; new interpreters otherwise."""


class Started(_Message):
    """Launcher to supervisor: a process runs."""

    kind: Literal["started"] = "started"
    name: str
    """Its name."""
    pid: int
    """Its process id."""


class Exited(_Message):
    """Launcher to supervisor: a process has ended, and its id may be used by others from now on."""

    kind: Literal["exited"] = "exited"
    name: str
    """Its name."""
    code: int
    """Exit code; minus the signal's number if one ended it."""


class Failed(_Message):
    """Launcher to supervisor: a process could not be started."""

    kind: Literal["failed"] = "failed"
    name: str
    """Its name."""
    message: str
    """Why."""


Order = Start | Signal
Report = Warm | Started | Exited | Failed

_orders: Final[TypeAdapter[Order]] = TypeAdapter(Start | Signal)
_reports: Final[TypeAdapter[Report]] = TypeAdapter(Warm | Started | Exited | Failed)


def encode(message: _Message) -> bytes:
    """One line."""
    return message.model_dump_json().encode() + b"\n"


def decode_report(line: bytes) -> Report:
    """What the launcher says."""
    return _reports.validate_json(line)


def main(arguments: Sequence[str]) -> int:
    """Serve the supervisor at the other end of an inherited socket until it closes."""
    parser = argparse.ArgumentParser(prog="python -m deploy.launcher", description=__doc__)
    parser.add_argument("--socket", type=int, required=True, help="file descriptor")
    parser.add_argument("--import", dest="imports", action="append", default=[])
    parser.add_argument("--never-fork", action="store_true")
    options = parser.parse_args(arguments)
    with socket.socket(fileno=options.socket) as control:
        Launcher(control, never_fork=options.never_fork).run(options.imports)
    return 0


class Launcher:
    """The loop of the fork server."""

    def __init__(self, control: socket.socket, *, never_fork: bool) -> None:
        self._control = control
        self._never_fork = never_fork
        self._forks = False
        self._names: dict[int, str] = {}
        self._buffer = b""
        self._imports: list[str] = []

    def run(self, imports: Sequence[str]) -> None:
        """Warm up, then serve until the supervisor is gone."""
        woken, wakes = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(wakes, False)
        # Handlers, not SIG_IGN: new interpreters would inherit that.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, _ignore)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        gc.disable()
        self._imports = list(imports)
        self._warm_up(imports[0].partition(".")[0] if imports else "")
        self._send(Warm(forks=self._forks))
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select()}
                if woken in ready:
                    os.read(woken, 4_096)
                    self._reap()
                if self._control.fileno() in ready and not self._receive():
                    break
        self._stop_all()

    def _warm_up(self, program: str) -> None:
        """Import everything up to what a program (a top-level package) needs, and judge whether forking is safe then."""
        while any(name.partition(".")[0] == program for name in self._imports):
            importlib.import_module(self._imports.pop(0))
        gc.collect()
        gc.freeze()
        self._forks = (
            sys.platform == "linux"
            and not self._never_fork
            and threading.active_count() == 1
            and len(list(Path("/proc/self/task").iterdir())) == 1
        )

    def _receive(self) -> bool:
        """Carry out what has arrived; False when the supervisor is gone."""
        received = self._control.recv(LINE_BYTES_MAX)
        if not received:
            return False
        *lines, self._buffer = (self._buffer + received).split(b"\n")
        assert len(self._buffer) <= LINE_BYTES_MAX, "the supervisor keeps to the bound"
        for line in lines:
            order = _orders.validate_json(line)
            match order:
                case Start():
                    self._start(order)
                case Signal():
                    self._signal(order.name, order.number)
        return True

    def _send(self, report: Report) -> None:
        try:
            self._control.sendall(encode(report))
        except OSError:
            return  # The supervisor is gone: reading will say so, and everything stops.

    def _start(self, order: Start) -> None:
        if self._imports:
            self._warm_up(order.program.partition(".")[0])
        try:
            log = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self._send(Failed(name=order.name, message=f"{order.log}: {error.strerror}"))
            return
        try:
            pid = self._fork(order, log) if self._forks else _spawn(order, log)
        except OSError as error:
            self._send(Failed(name=order.name, message=str(error)))
            return
        finally:
            os.close(log)
        self._names[pid] = order.name
        self._send(Started(name=order.name, pid=pid))

    def _fork(self, order: Start, log: int) -> int:
        launcher = os.getpid()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                _become_process(order.name, log, launcher)
                self._control.close()
                code = _run(order)
            except BaseException:  # noqa: BLE001  # the child's last line of defence: it must not return
                traceback.print_exc()
            finally:
                _flush()
                os._exit(code)
        return pid

    def _signal(self, name: str, number: int) -> None:
        for pid, owner in self._names.items():
            if owner == name:
                os.kill(pid, number)  # Not reaped yet, so the id is still this process's.

    def _reap(self) -> None:
        for pid in list(self._names):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                name = self._names.pop(pid)
                self._send(Exited(name=name, code=os.waitstatus_to_exitcode(status)))

    def _stop_all(self) -> None:
        deadline = time.monotonic() + ORPHAN_GRACE_S
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        for pid in self._names:
            os.kill(pid, signal.SIGTERM)
        while self._names and time.monotonic() < deadline:
            self._reap()
            signal.sigtimedwait([signal.SIGCHLD], 0.05)
        for pid in self._names:
            os.kill(pid, signal.SIGKILL)
        while self._names:
            pid, _ = os.wait()
            self._names.pop(pid, None)


def _ignore(_number: int, _frame: object) -> None:
    """The supervisor ends us by closing the socket; SIGCHLD needs a handler, or the wake-up pipe stays silent."""


def _spawn(order: Start, log: int) -> int:
    # Kept alive by its pid: this class reaps by itself, Popen must not.
    process = subprocess.Popen(  # noqa: S603  # the supervisor's own order
        command(order.program, *order.arguments),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    process.returncode = 0
    return process.pid


def _become_process(name: str, log: int, launcher: int) -> None:
    """Make a forked copy of the launcher look like a process that was just started."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    _die_with_parent(launcher)
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_NAME, name.encode()[:15], 0, 0, 0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(log, 1)
    os.dup2(log, 2)
    gc.enable()


def _die_with_parent(launcher: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != launcher:
        os._exit(1)  # It died before the kernel knew that we care.


def _run(order: Start) -> int:
    module = importlib.import_module(f"{order.program}.__main__")
    try:
        code = module.main(list(order.arguments))
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else CONFIGURATION_EXIT
    return code if isinstance(code, int) else 0


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            continue  # The disk of the log is full: there is nowhere to say so.


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
