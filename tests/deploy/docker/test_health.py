"""The probe in a container: the exit code follows /readyz, and the reason is printed."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import trio
from prometheus_client import CollectorRegistry

from deploy.docker import health
from node.runtime.health import Health, serve_health


async def probed(reason: str | None) -> subprocess.CompletedProcess[str]:
    """Probe a process that gives this reason, as docker does."""
    served = Health(registry=CollectorRegistry(), checks={"chain": lambda: reason})
    served.is_started = True

    async def serve(task_status: trio.TaskStatus[int]) -> None:
        await serve_health(served, host="127.0.0.1", port=0, task_status=task_status)

    async with trio.open_nursery() as nursery:
        port = await nursery.start(serve)
        done = await trio.to_thread.run_sync(probe, port)
        nursery.cancel_scope.cancel()
    return done


def probe(port: int) -> subprocess.CompletedProcess[str]:
    script = str(Path(health.__file__))
    return subprocess.run(
        [sys.executable, "-IS", script, str(port)], capture_output=True, text=True, check=False
    )


async def test_a_ready_process_is_healthy() -> None:
    done = await probed(None)
    assert (done.returncode, done.stdout) == (0, '{"ready":true,"reasons":{}}\n')


async def test_one_that_lags_is_not_and_says_why() -> None:
    done = await probed("9 slots behind")
    assert done.returncode == 1
    assert done.stdout == '{"ready":false,"reasons":{"chain":"9 slots behind"}}\n'


def test_one_that_is_not_there_is_not() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))  # bound, but nobody listens
        done = probe(holder.getsockname()[1])
    assert done.returncode == 1
    assert done.stdout.startswith("no answer: ")
    assert done.stderr == ""
