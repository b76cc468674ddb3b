"""The supervisor and its launcher, with a tiny program in place of a node."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from deploy.launching import start_launcher
from deploy.supervisor import (
    LauncherDied,
    ProcessEvent,
    ProcessSpec,
    State,
    Supervisor,
    UnknownProcess,
    rotate_log,
)

PROGRAM = "tests.deploy.fake_process"
DEADLINE_S = 30.0


def spec(folder: Path, name: str, *arguments: str) -> ProcessSpec:
    return ProcessSpec(
        name=name,
        role="validator",
        program=PROGRAM,
        arguments=arguments,
        log=folder / f"{name}.log",
    )


class Recorder:
    """Remembers what the supervisor tells."""

    def __init__(self) -> None:
        self.events: list[ProcessEvent] = []

    def __call__(self, event: ProcessEvent) -> None:
        self.events.append(event)

    def names(self) -> list[str]:
        return [event.event for event in self.events]


@asynccontextmanager
async def supervised(
    folder: Path,
    *specs: ProcessSpec,
    recorder: Recorder | None = None,
    never_fork: bool = False,
    imports: Sequence[str] = (f"{PROGRAM}.__main__",),
) -> AsyncIterator[Supervisor]:
    """A supervisor of these processes, all started."""
    with (folder / "launcher.log").open("ab") as log:
        launcher = start_launcher(imports, log, never_fork=never_fork)
    supervisor = Supervisor(launcher, specs, recorder or Recorder())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.run)
        await supervisor.start_all()
        yield supervisor
        nursery.cancel_scope.cancel()


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(DEADLINE_S):
        while not condition():  # noqa: ASYNC110  # other processes have no event
            await trio.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def text_of(log: Path) -> str:
    return log.read_text() if log.exists() else ""


def pid_of(supervisor: Supervisor, name: str) -> int:
    [status] = [status for status in supervisor.statuses if status.name == name]
    assert status.pid is not None
    return status.pid


def waits(supervisor: Supervisor, process: ProcessSpec, times: int = 1) -> bool:
    """Whether a process has come to wait for so many times, and the supervisor knows that it runs."""
    told = state_of(supervisor, process.name) is State.RUNNING
    return told and text_of(process.log).count("waiting") == times


def state_of(supervisor: Supervisor, name: str) -> State:
    [status] = [status for status in supervisor.statuses if status.name == name]
    return status.state


@pytest.mark.parametrize("never_fork", [False, True])
async def test_processes_run_in_sessions_of_their_own_and_stop_in_time(
    tmp_path: Path, *, never_fork: bool
) -> None:
    # Given two processes, one of which ignores SIGTERM
    polite, stubborn = spec(tmp_path, "polite", "wait"), spec(tmp_path, "stubborn", "stubborn")
    async with supervised(tmp_path, polite, stubborn, never_fork=never_fork) as supervisor:
        await until(lambda: waits(supervisor, polite) and waits(supervisor, stubborn))
        pids = [pid_of(supervisor, "polite"), pid_of(supervisor, "stubborn")]
        assert supervisor.forks is (sys.platform == "linux" and not never_fork)
        assert f"running as {pids[0]} in session {pids[0]}" in text_of(polite.log)
        # When everything is stopped
        started = trio.current_time()
        await supervisor.stop_all()
        # Then both have ended, in less than three seconds
        assert trio.current_time() - started < 3.0
        assert [status.state for status in supervisor.statuses] == [State.STOPPED] * 2
        assert [status.last_end for status in supervisor.statuses] == [
            "ended by signal 15",
            "ended by signal 9",
        ]
        assert not any(map(is_alive, pids))


async def test_imports_of_a_program_wait_until_one_of_its_processes_is_started(
    tmp_path: Path,
) -> None:
    only = spec(tmp_path, "only", "wait")
    imports = [f"{PROGRAM}.__main__", "no_such_program.__main__"]
    async with supervised(tmp_path, only, imports=imports) as supervisor:
        await until(lambda: waits(supervisor, only))
        assert state_of(supervisor, "only") is State.RUNNING


async def test_a_crashed_process_starts_again(tmp_path: Path) -> None:
    recorder = Recorder()
    only = spec(tmp_path, "only", "wait")
    async with supervised(tmp_path, only, recorder=recorder) as supervisor:
        await until(lambda: waits(supervisor, only))
        first = pid_of(supervisor, "only")
        os.kill(first, signal.SIGKILL)
        await until(lambda: waits(supervisor, only, 2))
        assert pid_of(supervisor, "only") != first
        [status] = supervisor.statuses
        assert (status.state, status.restarts) == (State.RUNNING, 1)
        assert recorder.names() == ["started", "crashed", "started"]
        assert "ended by signal 9" in recorder.events[1].message


async def test_a_process_with_a_wrong_configuration_is_left_alone(tmp_path: Path) -> None:
    recorder = Recorder()
    async with supervised(tmp_path, spec(tmp_path, "only", "end", "2"), recorder=recorder) as it:
        await until(lambda: state_of(it, "only") is State.FAILED)
        assert recorder.names() == ["started", "gave_up"]
        assert "its configuration is wrong" in recorder.events[1].message


async def test_an_exception_is_a_crash_with_a_trace_in_the_log(tmp_path: Path) -> None:
    recorder = Recorder()
    only = spec(tmp_path, "only", "raise")
    async with supervised(tmp_path, only, recorder=recorder):
        await until(lambda: "crashed" in recorder.names())
        assert "RuntimeError: as told" in text_of(only.log)
        assert "exit code 1" in recorder.events[1].message


async def test_one_process_is_stopped_killed_and_started(tmp_path: Path) -> None:
    one, other = spec(tmp_path, "one", "wait"), spec(tmp_path, "other", "wait")
    async with supervised(tmp_path, one, other) as supervisor:
        await until(lambda: waits(supervisor, one) and waits(supervisor, other))
        kept = pid_of(supervisor, "other")
        await supervisor.stop("one")
        assert state_of(supervisor, "one") is State.STOPPED
        await supervisor.start("one")
        await until(lambda: waits(supervisor, one, 2))
        await supervisor.kill("one")
        assert state_of(supervisor, "one") is State.STOPPED
        await supervisor.restart("one")
        await until(lambda: waits(supervisor, one, 3))
        assert pid_of(supervisor, "other") == kept
        with pytest.raises(UnknownProcess, match="no process is named third; there are one, other"):
            await supervisor.stop("third")


async def test_a_dead_launcher_takes_its_processes_along_and_is_told(tmp_path: Path) -> None:
    only = spec(tmp_path, "only", "stubborn")
    with (tmp_path / "launcher.log").open("ab") as log:
        launcher = start_launcher([], log)
    supervisor = Supervisor(launcher, [only], Recorder())
    died: list[LauncherDied] = []

    async def run() -> None:
        try:
            await supervisor.run()
        except LauncherDied as error:
            died.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await supervisor.start_all()
        await until(lambda: waits(supervisor, only))
        pid = pid_of(supervisor, "only")
        launcher.process.kill()
    assert len(died) == 1
    await until(lambda: not is_alive(pid))
    assert state_of(supervisor, "only") is State.STOPPED


SUPERVISOR_PROGRAM = """
import sys
from pathlib import Path
import trio
from tests.deploy.test_supervisor import Recorder, spec, supervised
async def run():
    folder = Path(sys.argv[1])
    async with supervised(folder, spec(folder, "one", "wait"), spec(folder, "two", "stubborn")):
        await trio.sleep_forever()
trio.run(run)
"""


async def test_a_killed_supervisor_leaves_no_orphans(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SUPERVISOR_PROGRAM, str(tmp_path)]
    supervisor = subprocess.Popen(command)  # noqa: ASYNC220  # starting it is quick
    try:
        logs = [tmp_path / "one.log", tmp_path / "two.log"]
        await until(lambda: all("waiting" in text_of(log) for log in logs))
        pids = [int(text_of(log).split()[2]) for log in logs]
        assert all(map(is_alive, pids))
    finally:
        supervisor.kill()
        supervisor.wait()
    await until(lambda: not any(map(is_alive, pids)))


async def test_a_log_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    recorder = Recorder()
    lost = spec(tmp_path / "missing", "only", "wait")
    async with supervised(tmp_path, lost, recorder=recorder):
        await until(lambda: "start_failed" in recorder.names())
        assert str(lost.log) in recorder.events[0].message


def test_a_long_log_is_moved_aside_while_it_is_written(tmp_path: Path) -> None:
    log = tmp_path / "process.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"old" * 10)
        rotate_log(log, bytes_max=31)
        assert log.read_bytes() == b"old" * 10
        rotate_log(log, bytes_max=30)
        writer.write(b"new")
    assert log.read_bytes() == b"new"
    assert (tmp_path / "process.log.1").read_bytes() == b"old" * 10
