"""Keeps the processes of a devnet running, through one launcher that forks them.

    start -> launcher -> process -> ended by itself? -> restarts.after_end -> started again, later each time
    stop  -> SIGTERM -> 2 s -> SIGKILL

One task owns what is known of the processes: the reader of the launcher's reports; everything else asks and waits.
Deliberately absent: what the processes do, and whether they are healthy (deploy.observation).
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, assert_never

import trio

from deploy.launcher import (
    LINE_BYTES_MAX,
    Exited,
    Failed,
    Order,
    Report,
    Signal,
    Start,
    Started,
    Warm,
    decode_report,
    encode,
)
from deploy.launching import Launcher
from deploy.restarts import RestartHistory, after_end, describe_end

STOP_GRACE_S: Final = 2.0
"""How long a process may take to stop after SIGTERM."""

KILL_GRACE_S: Final = 5.0
"""How long the kernel may take to end a process after SIGKILL."""

LAUNCHER_GRACE_S: Final = 5.0
"""How long the launcher may take to end once nothing runs."""

LOG_BYTES_MAX: Final = 16 << 20
"""A log of this size is moved to <name>.log.1, whatever was there before is dropped."""

LOG_CHECK_S: Final = 5.0
"""How often the sizes of logs are looked at."""


class State(StrEnum):
    """What a process is doing, as far as starting and stopping goes."""

    STOPPED = "stopped"
    """Not running, because nobody wants it to."""
    STARTING = "starting"
    """Asked for; not running yet."""
    RUNNING = "running"
    """It has a process id."""
    STOPPING = "stopping"
    """Told to end."""
    WAITING = "waiting"
    """It ended by itself and will be started again."""
    FAILED = "failed"
    """It ended by itself and is left alone."""


class UnknownProcess(Exception):
    """No process has this name."""


class LauncherDied(Exception):
    """The fork server is gone, and with it every process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """A process to keep running."""

    name: str
    """Its name."""
    role: str
    """What it does in the network."""
    program: str
    """Package to run, as `python -m` would."""
    arguments: tuple[str, ...]
    """Its command line."""
    log: Path
    """File that its output is appended to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessEvent:
    """Something that happened to a process."""

    process: str
    """Its name."""
    event: str
    """started, stopped, crashed, gave_up, start_failed."""
    message: str
    """What a person reads."""


@dataclass(slots=True, kw_only=True)
class _Process:
    spec: ProcessSpec
    state: State = State.STOPPED
    pid: int | None = None
    restarts: int = 0
    started_at_s: float = 0.0
    last_end: str = ""
    history: RestartHistory = field(default_factory=RestartHistory)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus:
    """What is known of a process."""

    name: str
    """Its name."""
    role: str
    """What it does in the network."""
    state: State
    """What it is doing."""
    pid: int | None
    """Its process id while it runs."""
    restarts: int
    """How often it was started again after it had ended by itself."""
    uptime_s: float
    """How long it has run."""
    last_end: str
    """How it ended the last time; empty if it never did."""


class Supervisor:
    """Starts, stops and restarts processes."""

    def __init__(
        self,
        launcher: Launcher,
        specs: Sequence[ProcessSpec],
        on_event: Callable[[ProcessEvent], None],
    ) -> None:
        self.forks: bool | None = None
        """Whether processes are forked from the launcher; None until it is warm."""
        self._launcher = launcher
        self._processes = {spec.name: _Process(spec=spec) for spec in specs}
        self._on_event = on_event
        self._changed = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._launcher_ended = trio.Event()
        self._stream = trio.SocketStream(trio.socket.from_stdlib_socket(launcher.control))
        self._sending = trio.Lock()
        # Reports are read until everything has stopped, also while we are being cancelled.
        self._reading = trio.CancelScope(shield=True)

    @property
    def statuses(self) -> list[ProcessStatus]:
        """What is known of every process, in order."""
        return [self._status(process) for process in self._processes.values()]

    async def run(self) -> None:
        """Serve until cancelled, then stop every process.

        Raises:
            LauncherDied: when the fork server ends.
        """
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._rotate_logs)
                nursery.start_soon(self._read_reports)
                try:
                    await self._launcher_ended.wait()
                finally:
                    with trio.CancelScope(shield=True):
                        await self.stop_all()
                    self._reading.cancel()
                    nursery.cancel_scope.cancel()
        finally:
            await self._close_launcher()
        raise LauncherDied("the fork server has ended; every process ended with it")

    async def start_all(self) -> None:
        """Start what does not run."""
        for name in self._processes:
            await self.start(name)

    async def stop_all(self) -> None:
        """Stop what runs, all at once; returns when everything has ended."""
        async with trio.open_nursery() as nursery:
            for name in self._processes:
                nursery.start_soon(self.stop, name)

    async def start(self, name: str) -> None:
        """Start a process unless it runs; returns once it has been asked for."""
        process = self._find(name)
        if process.state in (State.STARTING, State.RUNNING):
            return
        if process.state is State.STOPPING:
            await self._wait_for(process, State.STOPPED)
        process.history = RestartHistory()
        await self._launch(process)

    async def stop(self, name: str) -> None:
        """Stop a process: SIGTERM, and SIGKILL if that is not heard; returns when it has ended."""
        process = self._find(name)
        if process.state in (State.WAITING, State.FAILED):
            self._set(process, State.STOPPED)
            return
        if process.state is State.STOPPED:
            return
        with trio.move_on_after(STOP_GRACE_S):
            if process.state is State.STARTING:
                await self._wait_until(lambda: process.state is not State.STARTING)
            self._set(process, State.STOPPING)
            await self._send(Signal(name=name, number=signal.SIGTERM))
            await self._wait_for(process, State.STOPPED)
        if process.pid is not None:
            await self._kill(process)

    async def restart(self, name: str) -> None:
        """Stop a process, then start it."""
        await self.stop(name)
        await self.start(name)

    async def kill(self, name: str) -> None:
        """End a process as a crash would, without a chance to clean up; it stays down until it is started."""
        process = self._find(name)
        if process.state in (State.RUNNING, State.STARTING, State.STOPPING):
            await self._kill(process)

    async def _kill(self, process: _Process) -> None:
        self._set(process, State.STOPPING)
        with trio.move_on_after(KILL_GRACE_S):
            await self._send(Signal(name=process.spec.name, number=signal.SIGKILL))
            await self._wait_for(process, State.STOPPED)

    async def _launch(self, process: _Process) -> None:
        self._set(process, State.STARTING)
        spec = process.spec
        order = Start(name=spec.name, program=spec.program, arguments=spec.arguments, log=spec.log)
        await self._send(order)

    async def _send(self, order: Order) -> None:
        async with self._sending:
            try:
                await self._stream.send_all(encode(order))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                await trio.lowlevel.checkpoint()  # The reader of its reports says that it is gone.

    async def _read_reports(self) -> None:
        buffer = b""
        with self._reading:
            while True:
                try:
                    received = await self._stream.receive_some(LINE_BYTES_MAX)
                except trio.BrokenResourceError:
                    received = b""
                if not received:
                    self._lose_all()
                    return
                *lines, buffer = (buffer + received).split(b"\n")
                for line in lines:
                    self._take(decode_report(line))

    def _take(self, report: Report) -> None:
        match report:
            case Warm():
                self.forks = report.forks
            case Started():
                self._on_started(report)
            case Exited():
                self._on_exited(report)
            case Failed():
                self._on_failed(report)
            case _:
                assert_never(report)

    def _lose_all(self) -> None:
        self._launcher_ended.set()
        for process in self._processes.values():
            process.pid = None
            self._set(process, State.STOPPED)

    def _on_started(self, report: Started) -> None:
        process = self._processes[report.name]
        process.pid = report.pid
        process.started_at_s = trio.current_time()
        if process.state is State.STARTING:
            self._set(process, State.RUNNING)
        self._tell(process, "started", f"{report.name} runs as process {report.pid}")

    def _on_exited(self, report: Exited) -> None:
        process = self._processes[report.name]
        process.pid = None
        process.last_end = describe_end(report.code)
        if process.state is State.STOPPING:
            self._set(process, State.STOPPED)
            self._tell(process, "stopped", f"{report.name} has stopped ({process.last_end})")
            return
        self._crashed(process, report.code, trio.current_time() - process.started_at_s)

    def _on_failed(self, report: Failed) -> None:
        process = self._processes[report.name]
        process.last_end = report.message
        self._tell(process, "start_failed", f"{report.name} could not be started: {report.message}")
        if process.state is State.STOPPING:
            self._set(process, State.STOPPED)
        else:
            self._crashed(process, 1, 0.0)

    def _crashed(self, process: _Process, code: int, ran_s: float) -> None:
        name = process.spec.name
        verdict = after_end(process.history, code=code, ran_s=ran_s)
        process.history = verdict.history
        if verdict.delay_s is None:
            self._set(process, State.FAILED)
            self._tell(
                process,
                "gave_up",
                f"{name} is left alone, because {verdict.reason} ({process.last_end}); "
                f"its log: {process.spec.log}",
            )
            return
        self._set(process, State.WAITING)
        self._tell(
            process,
            "crashed",
            f"{name} ended by itself ({process.last_end}) and starts again in {verdict.delay_s:g} s; "
            f"its log: {process.spec.log}",
        )
        assert self._nursery is not None
        self._nursery.start_soon(self._start_later, process, verdict.delay_s)

    async def _start_later(self, process: _Process, delay_s: float) -> None:
        ends = process.history.early_ends
        await trio.sleep(delay_s)
        # Somebody may have stopped or started it meanwhile; then it is not ours to start.
        if process.state is State.WAITING and process.history.early_ends == ends:
            process.restarts += 1
            await self._launch(process)

    def _tell(self, process: _Process, event: str, message: str) -> None:
        self._on_event(ProcessEvent(process=process.spec.name, event=event, message=message))

    def _set(self, process: _Process, state: State) -> None:
        process.state = state
        self._changed.set()
        self._changed = trio.Event()

    async def _wait_for(self, process: _Process, state: State) -> None:
        await self._wait_until(lambda: process.state is state)

    async def _wait_until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await self._changed.wait()

    def _find(self, name: str) -> _Process:
        try:
            return self._processes[name]
        except KeyError:
            known = ", ".join(self._processes)
            raise UnknownProcess(f"no process is named {name}; there are {known}") from None

    def _status(self, process: _Process) -> ProcessStatus:
        running = process.pid is not None
        return ProcessStatus(
            name=process.spec.name,
            role=process.spec.role,
            state=process.state,
            pid=process.pid,
            restarts=process.restarts,
            uptime_s=trio.current_time() - process.started_at_s if running else 0.0,
            last_end=process.last_end,
        )

    async def _rotate_logs(self) -> None:
        while True:
            await trio.sleep(LOG_CHECK_S)
            for process in self._processes.values():
                await trio.to_thread.run_sync(rotate_log, process.spec.log)

    async def _close_launcher(self) -> None:
        with trio.CancelScope(shield=True):
            await self._stream.aclose()
            with trio.move_on_after(LAUNCHER_GRACE_S):
                while self._launcher.process.poll() is None:  # noqa: ASYNC110  # no event for it
                    await trio.sleep(0.01)
                return
            self._launcher.process.kill()
            self._launcher.process.wait()


def rotate_log(log: Path, bytes_max: int = LOG_BYTES_MAX) -> None:
    """Move what a log holds to <name>.log.1 once it is too long.

    Copied and cut off rather than renamed, because the process keeps the file open for appending;
    what is written in the instant between both is lost.
    """
    try:
        if log.stat().st_size < bytes_max:
            return
    except FileNotFoundError:
        return
    shutil.copyfile(log, log.with_name(log.name + ".1"))
    os.truncate(log, 0)
