"""One running devnet: supervisor, control socket, signals, and what a person sees of it.

    supervisor, control socket -> processes started -> all ready -> facts printed -> until Ctrl-C, SIGTERM, `down`
                                                                                   or the end of its lease

Deliberately absent: making the network (deploy.creation) and options (deploy.commands).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TextIO

import click
import orjson
import trio
from pydantic import JsonValue

from deploy import pace
from deploy.control import Refused, Request, serve_control
from deploy.launching import Launcher
from deploy.layout import Layout
from deploy.lease import wait_until_free
from deploy.live import LiveTable
from deploy.network import Network, write_info
from deploy.observation import is_ready
from deploy.rendering import announcement
from deploy.supervisor import (
    LauncherDied,
    ProcessEvent,
    ProcessSpec,
    State,
    Supervisor,
    UnknownProcess,
)

READY_DEADLINE_S: Final = 180.0
"""A devnet that is not ready by then does not start."""

SLOW_START_S: Final = 15.0
"""After this long, `up` says what it waits for."""

POLL_S: Final = 0.1
"""How often processes are asked whether they are ready."""

QUIET_EVENTS: Final = frozenset({"started", "stopped"})
"""Events that are only written down."""


class SessionFailed(Exception):
    """The devnet did not start, or could not go on; the message says why."""


class Session:
    """Runs a network's processes until somebody ends it."""

    def __init__(
        self,
        *,
        network: Network,
        launcher: Launcher,
        quiet: bool,
        live: bool,
        detached: bool,
        lease: Path | None,
        on_ready: Callable[[], None],
    ) -> None:
        self._network = network
        self._quiet = quiet
        self._detached = detached
        self._lease = lease
        self._on_ready = on_ready
        self._journal = Journal(network.layout)
        self._live = LiveTable(network) if live else None
        self._supervisor = Supervisor(launcher, _specs(network), self._on_event)
        self._stop = trio.Event()
        self._ready = False
        self._failure = ""

    async def run(self) -> bool:
        """Run until Ctrl-C, SIGTERM, `down` or the end of its lease; tells whether it was ended before it was ready.

        Raises:
            SessionFailed: with what a person needs to know.
        """
        async with trio.open_nursery() as nursery:
            await nursery.start(self._watch_signals)
            nursery.start_soon(self._watch_lease)
            nursery.start_soon(self._work, nursery)
            await self._stop.wait()
            nursery.cancel_scope.cancel()
        if self._failure:
            raise SessionFailed(self._failure)
        return not self._ready

    async def _work(self, nursery: trio.Nursery) -> None:
        nursery.start_soon(self._supervise)
        await nursery.start(serve_control, self._network.layout.socket, self._answer)
        await self._supervisor.start_all()
        try:
            await self._wait_until_ready()
        except SessionFailed as error:
            self._fail(str(error))
            return
        self._ready = True
        if not self._quiet:
            click.echo(announcement(self._network))
        self._on_ready()
        nursery.start_soon(self._watch_pace)
        if self._live is not None:
            await self._live.run(self._supervisor)

    async def _watch_pace(self) -> None:
        """Propose longer slots, once, where votes come too late."""
        slot_seconds = self._network.manifest.network.slot_seconds
        url = self._network.rpc_url(self._network.processes()[0])
        late_looks = 0
        while True:
            await trio.sleep(pace.LOOK_EVERY_SLOTS * slot_seconds)
            seen = await trio.to_thread.run_sync(pace.look, url, abandon_on_cancel=True)
            all_run = all(status.state is State.RUNNING for status in self._supervisor.statuses)
            late_looks = pace.judge(late_looks, seen, all_run=all_run)
            if seen is not None and late_looks == pace.LATE_LOOKS_MAX:
                message = pace.proposal(slot_seconds, seen.participation)
                self._journal.note("slots_too_short", message)
                self._say(message)
                return

    async def _supervise(self) -> None:
        try:
            await self._supervisor.run()
        except LauncherDied as error:
            self._fail(f"{error}; see {self._network.layout.logs / 'supervisor.log'}")

    def _fail(self, message: str) -> None:
        self._failure = message
        self._stop.set()

    async def _watch_signals(self, task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for _ in signals:
                self._stop.set()

    async def _watch_lease(self) -> None:
        """Stop when whoever started this for itself is gone."""
        if self._lease is None:
            return
        await trio.to_thread.run_sync(wait_until_free, self._lease, abandon_on_cancel=True)
        self._journal.note("lease_ended", "nobody holds the lease any more")
        self._stop.set()

    def _on_event(self, event: ProcessEvent) -> None:
        self._journal.write(event)
        if event.event == "started":
            self._write_info()
        if self._live is not None or event.event not in QUIET_EVENTS:
            self._say(event.message)

    def _say(self, message: str) -> None:
        if self._live is not None:
            self._live.say(message)
        elif not (self._detached and self._ready):
            click.echo(message, err=True)

    def _write_info(self) -> None:
        statuses = self._supervisor.statuses
        pids = {status.name: status.pid for status in statuses if status.pid is not None}
        write_info(self._network, pids)

    async def _answer(self, request: Request) -> JsonValue:
        try:
            match request.action:
                case "status":
                    await trio.lowlevel.checkpoint()
                case "down":
                    await self._supervisor.stop_all()
                    self._stop.set()
                case "stop":
                    await self._supervisor.stop(request.process)
                case "start":
                    await self._supervisor.start(request.process)
                case "restart":
                    await self._supervisor.restart(request.process)
                case "kill":
                    await self._supervisor.kill(request.process)
        except UnknownProcess as error:
            raise Refused(str(error)) from error
        return {"pid": os.getpid(), "processes": _rendered(self._supervisor)}

    async def _wait_until_ready(self) -> None:
        """Return when every process follows the chain. Raises SessionFailed when one cannot."""
        waiting = {plan.name: self._network.metrics_url(plan) for plan in self._network.processes()}
        started = trio.current_time()
        told = False
        while reasons := await _unready(waiting):
            self._check_started()
            waited_s = trio.current_time() - started
            if waited_s > READY_DEADLINE_S:
                raise SessionFailed(f"not ready after {READY_DEADLINE_S:g} s: {_joined(reasons)}")
            if waited_s > SLOW_START_S and not told:
                told = True
                click.echo(f"Still waiting: {_joined(reasons)}", err=True)
            await trio.sleep(POLL_S)
        self._journal.note("devnet_ready", f"ready after {trio.current_time() - started:.1f} s")

    def _check_started(self) -> None:
        for status in self._supervisor.statuses:
            if status.state is State.FAILED:
                tail = _tail(self._network.layout.log(status.name))
                raise SessionFailed(f"{status.name} does not start ({status.last_end}):\n{tail}")


class Journal:
    """The supervisor's own log: one JSON object a line."""

    def __init__(self, layout: Layout) -> None:
        log = layout.logs / "supervisor.log"
        self._stream: TextIO = log.open("a", buffering=1)

    def write(self, event: ProcessEvent) -> None:
        """Write down what happened to a process."""
        self._line({"event": f"process_{event.event}", "about": event.process}, event.message)

    def note(self, event: str, message: str) -> None:
        """Write down something else."""
        self._line({"event": event}, message)

    def _line(self, fields: Mapping[str, str], message: str) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time_ns() // 10**9))
        line = {"process": "supervisor", **fields, "message": message}
        line["level"] = "info"
        line["timestamp"] = stamp
        self._stream.write(orjson.dumps(line).decode() + "\n")


def _specs(network: Network) -> list[ProcessSpec]:
    return [
        ProcessSpec(
            name=plan.name,
            role=plan.role,
            program=plan.program,
            arguments=("--config", str(network.layout.config(plan.name))),
            log=network.layout.log(plan.name),
        )
        for plan in network.processes()
    ]


def _rendered(supervisor: Supervisor) -> list[JsonValue]:
    return [
        {
            "name": status.name,
            "role": status.role,
            "state": str(status.state),
            "pid": status.pid,
            "restarts": status.restarts,
            "uptimeSeconds": round(status.uptime_s, 1),
            "lastEnd": status.last_end,
        }
        for status in supervisor.statuses
    ]


async def _unready(waiting: dict[str, str]) -> dict[str, str]:
    """Ask those that were not ready; drops those that are and gives the others' reasons."""
    reasons = {}
    for name, url in list(waiting.items()):
        ready, reason = await trio.to_thread.run_sync(is_ready, url, abandon_on_cancel=True)
        if ready:
            del waiting[name]
        else:
            reasons[name] = reason
    return reasons


def _joined(reasons: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in reasons.items())


def _tail(log: Path, lines: int = 8) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return f"{log} does not exist"
