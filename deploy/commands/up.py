"""`faultline up`: makes or continues a network and keeps its processes running.

lock -> launcher warms up -> deploy.commands.starting meanwhile: network -> supervisor -> ready -> facts printed
--detach: the same in a session of its own; the command returns once it is ready

What a process needs takes two seconds to import, so the launcher begins before this one imports what comes after it:
nothing here may import an event loop, a chain or an engine.
"""

from __future__ import annotations

import importlib
import os
import signal
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import click
from pydantic import JsonValue

from deploy.commands.options import CommandFailed, WrongUse, data_option, layout_of, manifest_option
from deploy.commands.preparing import refuse_containers, resolve_manifest, take_lock
from deploy.launching import Launcher, start_launcher
from deploy.layout import Layout
from deploy.manifest import Manifest, Resolved
from deploy.network import NetworkError, claim

WARM_IMPORTS: Final = ("node.__main__", "node.app.process")
"""What a validator needs, imported once for all of them."""

WARM_IMPORTS_WITH_L2: Final = (*WARM_IMPORTS, "sequencer.__main__", "sequencer.app.process")
"""What the L2's processes need as well."""

WARM_IMPORTS_WITH_BRIDGE: Final = (*WARM_IMPORTS_WITH_L2, "bridge.__main__", "bridge.app.process")
"""What bridge and watchtower need as well."""


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
@click.option(
    "--lease",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Stop as soon as no process holds a lock (flock) on FILE: for programs that start a devnet for themselves.",
)
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
    lease: Path | None,
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
    refuse_containers(layout, "docker compose up")
    if find_spec("node._engine") is None:
        raise CommandFailed(
            "the engine is not built: `make build` in the checkout, or `pip install` of it"
        )
    resolved = resolve_manifest(layout, manifest, flags, fresh=fresh)
    if detach:
        ready = _go_background()
        if ready is None:
            return 0
        return _run(layout, resolved, fresh=fresh, quiet=quiet, lease=lease, ready_pipe=ready)
    return _run(layout, resolved, fresh=fresh, quiet=quiet, lease=lease, ready_pipe=None)


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
    layout: Layout,
    resolved: Resolved,
    *,
    fresh: bool,
    quiet: bool,
    lease: Path | None,
    ready_pipe: int | None,
) -> int:
    lock = take_lock(layout)
    try:
        launcher = _launcher(layout, resolved, fresh=fresh)
        starting = importlib.import_module("deploy.commands.starting")
        interrupted: bool = starting.start(layout, resolved, launcher, quiet, lease, ready_pipe)
    except NetworkError as error:
        raise WrongUse(str(error)) from error
    finally:
        lock.release()
    if interrupted:
        raise click.exceptions.Abort
    return 0


def _launcher(layout: Layout, resolved: Resolved, *, fresh: bool) -> Launcher:
    """A launcher that has begun to import. Raises NetworkError."""
    if fresh or not layout.network.exists():
        claim(layout)
    layout.logs.mkdir(exist_ok=True)
    with (layout.logs / "supervisor.log").open("ab") as log:
        return start_launcher(_imports(resolved.manifest), log)


def _imports(manifest: Manifest) -> tuple[str, ...]:
    """What the processes of a manifest need."""
    if not manifest.l2.enabled:
        return WARM_IMPORTS
    return WARM_IMPORTS_WITH_BRIDGE if manifest.bridge.enabled else WARM_IMPORTS_WITH_L2


COMMANDS: Final = {"up": up}
"""What this module holds."""
