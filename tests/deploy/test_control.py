"""The control socket and the lock beside it."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from pydantic import JsonValue

from deploy.control import (
    NotRunning,
    Refused,
    Request,
    ask,
    serve_control,
)
from deploy.layout import Layout
from deploy.lock import AlreadyRunning, SupervisorLock, is_running


async def handler(request: Request) -> JsonValue:
    await trio.lowlevel.checkpoint()
    if request.process == "unknown":
        raise Refused("no process is named unknown")
    return {"action": request.action, "process": request.process}


async def test_a_command_is_answered_or_refused(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    lock = SupervisorLock(layout)
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_control, layout.socket, handler)
        assert stat.S_IMODE(layout.socket.stat().st_mode) == 0o600

        async def asked(process: str) -> JsonValue:
            request = Request(action="stop", process=process)
            return await trio.to_thread.run_sync(lambda: ask(layout, request, deadline_s=30))

        assert await asked("validator-1") == {"action": "stop", "process": "validator-1"}
        with pytest.raises(Refused, match="no process is named unknown"):
            await asked("unknown")
        nursery.cancel_scope.cancel()
    lock.release()
    assert not layout.socket.exists()


@pytest.mark.parametrize("sent", [b"\n", b"{}\n", b'{"action": "explode"}\n', b"x" * 5_000, b""])
async def test_nonsense_is_answered_and_serving_goes_on(tmp_path: Path, sent: bytes) -> None:
    layout = Layout(tmp_path)
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_control, layout.socket, handler)
        with trio.fail_after(30):
            async with await trio.open_unix_socket(str(layout.socket)) as stream:
                await stream.send_all(sent)
                await stream.send_eof()
                assert b'"refused"' in await stream.receive_some(65_536)
            async with await trio.open_unix_socket(str(layout.socket)) as stream:
                await stream.send_all(b'{"action": "status"}\n')
                answer = await stream.receive_some()
            assert answer == b'{"result":{"action":"status","process":""}}\n'
        nursery.cancel_scope.cancel()


def test_nothing_runs_where_nothing_was_started(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "missing")
    assert not is_running(layout)
    with pytest.raises(NotRunning, match="no devnet runs on"):
        ask(layout, Request(action="status"), deadline_s=1)


def test_a_second_supervisor_is_refused(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    lock = SupervisorLock(layout)
    assert is_running(layout)
    with pytest.raises(AlreadyRunning, match=rf"already \(process {os.getpid()}\)"):
        SupervisorLock(layout)
    lock.release()
    assert not is_running(layout)
    SupervisorLock(layout).release()


HOLDER = """
import signal, sys
from pathlib import Path
from deploy.lock import SupervisorLock
from deploy.layout import Layout
lock = SupervisorLock(Layout(Path(sys.argv[1])))
print("held", flush=True)
signal.pause()
"""


def test_what_a_killed_supervisor_leaves_behind_is_no_supervisor(tmp_path: Path) -> None:
    # Given a supervisor that was killed, its lock file and its socket still there
    layout = Layout(tmp_path)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(layout.socket))
    with pytest.raises(AlreadyRunning):
        SupervisorLock(layout)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    # Then commands say that nothing runs, and a new supervisor takes over
    with pytest.raises(NotRunning):
        ask(layout, Request(action="status"), deadline_s=1)
    SupervisorLock(layout).release()


async def test_a_socket_left_behind_is_replaced(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(layout.socket))
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_control, layout.socket, handler)
        with trio.fail_after(30):
            async with await trio.open_unix_socket(str(layout.socket)) as stream:
                await stream.send_all(b'{"action": "status"}\n')
                assert b'"result"' in await stream.receive_some()
        nursery.cancel_scope.cancel()
