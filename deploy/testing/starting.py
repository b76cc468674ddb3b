"""Starting and ending the devnet of a test run: its manifest, its ports, its folder, and what its logs say when it does not start.

    settings -> manifest of its own -> place (ports) -> `faultline up --detach --lease` -> Running -> down -> folder deleted

The devnet is started the way a user starts it, as processes of its own, and holds a lease on this process: however this one ends,
the devnet ends with it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from deploy.control import NotRunning, Refused, Request, ask
from deploy.interpreting import command, environment
from deploy.layout import Layout
from deploy.lease import Lease
from deploy.lock import is_running
from deploy.manifest import (
    ENVIRONMENT_PREFIX,
    ManifestError,
    Resolved,
    Setting,
    environment_settings,
    read_manifest,
    render_toml,
    resolve,
    settings_of,
)
from deploy.network import NetworkError, busy_ports, load_network, stored_settings
from deploy.testing.places import NoFreePlace, Place, take_place
from deploy.testing.run_folder import lease_of, new_folder

START_DEADLINE_S: Final = 300.0
"""`faultline up` gives up on its own before."""

DOWN_DEADLINE_S: Final = 60.0
"""A devnet that was told to stop is gone by then."""

ATTEMPTS: Final = 3
"""So often a devnet is started on other ports when somebody took a port between our look and its bind."""

TAIL_LINES: Final = 15
"""Of each log, when a start fails."""


class StartFailed(Exception):
    """A devnet that does not start; the message ends with the last lines of its logs."""


class StopFailed(Exception):
    """A devnet that does not stop; the message ends with the last lines of its logs."""


class WrongSettings(Exception):
    """A manifest that cannot be used; the message names key, origin, found and wanted."""


@dataclass(slots=True, kw_only=True)
class Running:
    """A devnet of ours."""

    folder: Path
    """Everything of it; deleted at the end unless it is kept. The data itself where somebody else started it."""
    data: Path
    """Its data, within the folder unless somebody named another place."""
    keeps: bool
    """Whether the folder stays."""
    lease: Lease | None = None
    """Held until the end; None where it is not ours alone."""
    place: Place | None = None
    """Its ports; None where somebody chose them."""

    def take_place(self, given: Sequence[Setting]) -> int:
        """Take ports that are free; gives their offset. Raises StartFailed."""
        try:
            self.place = take_place(
                lambda offset: not busy_ports(_resolved(given, offset).manifest)
            )
        except NoFreePlace as error:
            raise StartFailed(str(error)) from error
        return self.place.port_offset

    def leave_place(self) -> None:
        """Give the ports back."""
        if self.place is not None:
            self.place.release()
            self.place = None

    def command(self, *arguments: str, deadline_s: float) -> subprocess.CompletedProcess[str]:
        """Run the command line tool on it. Raises subprocess.TimeoutExpired."""
        return subprocess.run(  # noqa: S603  # our own interpreter and module
            command("deploy.cli", *arguments, "--data", str(self.data)),
            capture_output=True,
            text=True,
            timeout=deadline_s,
            check=False,
            # What FAULTLINE_ variables say is in its manifest already.
            env=environment(
                {name: value for name, value in os.environ.items() if not _is_ours(name)}
            ),
            # Its supervisor inherits the place, and so keeps it when a worker that started it for all is gone.
            pass_fds=() if self.place is None else (self.place.descriptor,),
        )

    def up(self) -> None:
        """Start it, or go on with its chain; returns when it is ready. Raises StartFailed."""
        if self.folder != self.data:
            self._up("--manifest", self.folder / "faultline.toml", "--lease", lease_of(self.folder))
            return
        # Somebody else's: it goes on as they had it, and outlives us.
        with tempfile.TemporaryDirectory() as folder:
            manifest = Path(folder) / "faultline.toml"
            in_force = load_network(Layout(self.data)).manifest
            manifest.write_text(render_toml(Resolved(manifest=in_force, origins={})))
            self._up("--manifest", manifest)

    def _up(self, *options: str | Path) -> None:
        words = map(str, options)
        done = self.command("up", "--detach", "--quiet", *words, deadline_s=START_DEADLINE_S)
        if done.returncode != 0:
            raise StartFailed(
                f"faultline up ended with {done.returncode}: {(done.stderr or done.stdout).strip()}\n"
                f"{tails(Layout(self.data))}"
            )

    def down(self) -> None:
        """Stop all its processes; returns when they have ended. Raises StopFailed."""
        layout = Layout(self.data)
        with suppress(NotRunning, Refused):  # It may end by itself: what counts is whether it runs.
            ask(layout, Request(action="down"), deadline_s=DOWN_DEADLINE_S)
        end = time.monotonic() + DOWN_DEADLINE_S
        while is_running(layout):
            if time.monotonic() > end:
                raise StopFailed(f"the devnet on {self.data} does not stop\n{tails(layout)}")
            time.sleep(0.02)  # noqa: TID251  # a lock of another process has no event

    def end(self) -> None:
        """Stop it, give back its ports, and delete its folder unless it is kept. Raises StopFailed."""
        try:
            self.down()
        finally:
            self.leave_place()
            if self.lease is not None:
                self.lease.release()
        if not self.keeps:
            shutil.rmtree(self.folder, ignore_errors=True)


def start(
    *,
    manifest: Path | None,
    settings: Mapping[str, JsonValue],
    data: Path | None,
    port_offset: int | None,
    keeps: bool,
    folder: Path | None = None,
) -> Running:
    """Start a devnet.

    Args:
        manifest: a file; None takes defaults, and never a `faultline.toml` that lies about.
        settings: values by `section.key`; they win over the manifest and over FAULTLINE_* variables.
        data: where it lies; None makes a folder that is deleted at the end. What lies there already is continued.
        port_offset: added to every port; None finds a free one.
        keeps: whether the folder stays.
        folder: an empty folder for everything of it; one is made unless said.

    Raises:
        WrongSettings: the manifest cannot be used.
        StartFailed: it does not start.
    """
    given = _settings(manifest, settings, data)
    folder = folder or new_folder()
    running = Running(
        folder=folder,
        data=(data or folder / "devnet").expanduser().resolve(),
        keeps=keeps,
        lease=Lease(lease_of(folder)),
    )
    with ExitStack() as failed:
        failed.callback(running.end)
        _up(running, given, port_offset)
        failed.pop_all()
    return running


def _up(running: Running, given: Sequence[Setting], port_offset: int | None) -> None:
    """Start it on ports that are free, or on those that were asked for. Raises StartFailed."""
    for attempt in range(1, ATTEMPTS + 1):
        offset = port_offset if port_offset is not None else running.take_place(given)
        resolved = _resolved(given, offset)
        (running.folder / "faultline.toml").write_text(render_toml(resolved))
        try:
            running.up()
        except StartFailed:
            lost_a_race = port_offset is None and bool(busy_ports(resolved.manifest))
            if not lost_a_race or attempt == ATTEMPTS:
                raise
            running.leave_place()
        else:
            return


def tails(layout: Layout, lines: int = TAIL_LINES) -> str:
    """The last lines of every log of a devnet."""
    parts = []
    for log in sorted(layout.logs.glob("*.log")):
        last = log.read_text(errors="replace").splitlines()[-lines:]
        parts.append("\n".join([f"--- {log.name}", *last]))
    return "\n".join(parts) or "It has written no log."


def _settings(
    manifest: Path | None, settings: Mapping[str, JsonValue], data: Path | None
) -> list[Setting]:
    """Every layer of settings, the strongest last. Raises WrongSettings."""
    try:
        given = [
            *(stored_settings(Layout(data)) if data is not None else []),
            *(read_manifest(manifest) if manifest is not None else []),
            *environment_settings(os.environ),
            *settings_of(_nested(settings), "settings"),
        ]
        resolve(given)
    except (ManifestError, NetworkError) as error:
        raise WrongSettings(str(error)) from error
    return given


def _nested(settings: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """`section.key` names as tables. Raises WrongSettings."""
    tables: dict[str, dict[str, JsonValue]] = {}
    for name, value in settings.items():
        section, dot, key = name.partition(".")
        if not dot:
            raise WrongSettings(f"settings: found {name!r}, wanted 'section.key'")
        tables.setdefault(section, {})[key] = value
    return dict(tables)


def _resolved(given: Sequence[Setting], port_offset: int) -> Resolved:
    moved = Setting(section="network", key="port_offset", value=port_offset, origin="free ports")
    return resolve([*given, moved])


def _is_ours(variable: str) -> bool:
    return variable.startswith(ENVIRONMENT_PREFIX)
