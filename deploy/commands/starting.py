"""The second half of `faultline up`: what is done while the launcher warms up, and after.

network made or opened -> ports free? -> configurations -> supervisor -> ready -> facts printed -> until it ends
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import click
import trio

from deploy.commands.options import CommandFailed
from deploy.configs import write_configs
from deploy.creation import create
from deploy.launching import Launcher
from deploy.layout import Layout
from deploy.manifest import Resolved
from deploy.monitoring.folder import write_monitoring
from deploy.network import Network, busy_ports, open_network
from deploy.session import Session, SessionFailed

BOOT_SECONDS: Final = 2
"""From making a network to its first block: time for the processes to start and find each other."""


def start(
    layout: Layout,
    resolved: Resolved,
    launcher: Launcher,
    quiet: bool,
    lease: Path | None,
    ready_pipe: int | None,
) -> bool:
    """Run a devnet until it is ended; tells whether that was before it was ready.

    Args:
        layout: its folder, whose lock is held.
        resolved: its manifest.
        launcher: was started; ends with this call.
        quiet: nothing but errors is printed.
        lease: a file; nobody holds a lock on it any more: it ends. None where nobody has to.
        ready_pipe: where to say that it is ready, when it runs in the background.

    Raises:
        NetworkError: the folder cannot be used as it is asked to be.
        CommandFailed: it did not start, or could not go on.
    """
    with ExitStack() as failed:
        # It runs nothing yet.
        failed.callback(launcher.process.wait)
        failed.callback(launcher.process.kill)
        failed.callback(launcher.control.close)
        network = _prepare(layout, resolved)
        failed.pop_all()
    session = Session(
        network=network,
        launcher=launcher,
        quiet=quiet,
        live=not quiet and ready_pipe is None and sys.stdout.isatty(),
        detached=ready_pipe is not None,
        lease=lease,
        on_ready=lambda: _leave_terminal(layout, ready_pipe),
    )
    try:
        interrupted = trio.run(session.run)
    except SessionFailed as error:
        raise CommandFailed(str(error)) from error
    if not (quiet or interrupted or ready_pipe is not None):
        click.echo(f"Stopped; the data stays in {layout.data}.")
    return interrupted


def _prepare(layout: Layout, resolved: Resolved) -> Network:
    """Make or open the network. Raises NetworkError, CommandFailed."""
    if layout.network.exists():
        network = open_network(layout, resolved)
    else:
        network = create(layout, resolved.manifest, int(_now_s()) + 1 + BOOT_SECONDS)
    if busy := busy_ports(network.manifest):
        hint = "(`--port-offset N` moves all ports)"
        raise CommandFailed("\n".join([*busy, hint]))
    write_configs(network)
    write_monitoring(network, network.layout.monitoring)
    return network


def _now_s() -> float:
    return time.time_ns() / 1e9


def _leave_terminal(layout: Layout, ready_pipe: int | None) -> None:
    """In the background: say that it is ready, and write to the log from now on."""
    if ready_pipe is None:
        return
    sys.stdout.flush()
    log = os.open(layout.logs / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.close(nothing)
    os.write(ready_pipe, b"r")
    os.close(ready_pipe)
