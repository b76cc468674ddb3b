"""`faultline up`: makes or continues a network and keeps its processes running.

lock -> launcher warms up -> network made or opened meanwhile -> ports free? -> supervisor -> ready -> facts printed
--detach: the same in a session of its own; the command returns once it is ready
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

import click
import trio
from pydantic import JsonValue

from deploy.commands.options import (
    CommandFailed,
    WrongUse,
    data_option,
    layout_of,
    manifest_option,
)
from deploy.commands.preparing import resolve_manifest, take_lock
from deploy.configs import write_configs
from deploy.creation import claim, create
from deploy.layout import Layout
from deploy.manifest import Manifest, Resolved
from deploy.network import (
    Network,
    NetworkError,
    busy_ports,
    open_network,
)
from deploy.session import Session, SessionFailed
from deploy.supervisor import start_launcher

WARM_IMPORTS: Final = ("node.__main__", "node.app.process")
"""What a validator needs, imported once for all of them."""

WARM_IMPORTS_WITH_L2: Final = (*WARM_IMPORTS, "sequencer.__main__", "sequencer.app.process")
"""What the L2's processes need as well."""

WARM_IMPORTS_WITH_BRIDGE: Final = (*WARM_IMPORTS_WITH_L2, "bridge.__main__", "bridge.app.process")
"""What bridge and watchtower need as well."""

BOOT_SECONDS: Final = 2
"""From making a network to its first block: time for the processes to start and find each other."""


@click.command("up")
@manifest_option
@click.option("--profile", type=click.Choice(["dev", "realistic"]), help="Defaults to start from.")
@click.option("--validators", type=int, metavar="N", help="Number of validator keys.")
@click.option("--slot-seconds", type=int, metavar="S", help="Seconds a slot lasts.")
@click.option("--port-offset", type=int, metavar="N", help="Added to every port (try 2000).")
@data_option
@click.option("--detach", is_flag=True, help="Return once it is ready; `faultline down` stops it.")
@click.option("--fresh", is_flag=True, help="Delete the data and make a new network.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def up(  # one parameter for each option
    manifest: Path | None,
    profile: str | None,
    validators: int | None,
    slot_seconds: int | None,
    port_offset: int | None,
    data: Path | None,
    *,
    detach: bool,
    fresh: bool,
    quiet: bool,
) -> int:
    """Start a devnet, or continue the one that was stopped; Ctrl-C stops it and keeps its data."""
    given: dict[str, JsonValue | None] = {
        "--profile": profile,
        "--validators": validators,
        "--slot-seconds": slot_seconds,
        "--port-offset": port_offset,
    }
    flags = {flag: value for flag, value in given.items() if value is not None}
    layout = layout_of(data, manifest)
    resolved = resolve_manifest(layout, manifest, flags, fresh=fresh)
    if detach:
        ready = _go_background()
        if ready is None:
            return 0
        return _run(layout, resolved, fresh=fresh, quiet=quiet, ready_pipe=ready)
    return _run(layout, resolved, fresh=fresh, quiet=quiet, ready_pipe=None)


def _go_background() -> int | None:
    """Fork; gives the child a pipe on which to say that it is ready, and returns None in the parent once it has.

    Raises:
        click.exceptions.Exit: in the parent, with the child's exit code, when the child did not become ready.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.setsid()
        return writer
    os.close(writer)
    try:
        said = os.read(reader, 1)
    except KeyboardInterrupt:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        raise
    finally:
        os.close(reader)
    if said:
        return None
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    raise click.exceptions.Exit(code if code > 0 else 1)


def _run(
    layout: Layout, resolved: Resolved, *, fresh: bool, quiet: bool, ready_pipe: int | None
) -> int:
    lock = take_lock(layout)
    try:
        if fresh or not layout.network.exists():
            claim(layout)
        layout.logs.mkdir(exist_ok=True)
        with (layout.logs / "supervisor.log").open("ab") as log:
            launcher = start_launcher(_imports(resolved.manifest), log)
        try:
            network = _prepare(layout, resolved)
        except BaseException:
            launcher.control.close()
            launcher.process.kill()  # It runs nothing yet.
            launcher.process.wait()
            raise
    except NetworkError as error:
        raise WrongUse(str(error)) from error
    session = Session(
        network=network,
        launcher=launcher,
        quiet=quiet,
        live=not quiet and ready_pipe is None and sys.stdout.isatty(),
        detached=ready_pipe is not None,
        on_ready=lambda: _leave_terminal(layout, ready_pipe),
    )
    try:
        interrupted_early = trio.run(session.run)
    except SessionFailed as error:
        raise CommandFailed(str(error)) from error
    finally:
        lock.release()
    if interrupted_early:
        raise click.exceptions.Abort
    return 0


def _imports(manifest: Manifest) -> tuple[str, ...]:
    """What the processes of a manifest need."""
    if not manifest.l2.enabled:
        return WARM_IMPORTS
    return WARM_IMPORTS_WITH_BRIDGE if manifest.bridge.enabled else WARM_IMPORTS_WITH_L2


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


COMMANDS: Final = {"up": up}
"""What this module holds."""
