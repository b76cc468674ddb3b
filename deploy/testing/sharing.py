"""One devnet for all workers of a test run: started by the first that needs it, ended by the run.

    controller: RunFolder.make -> folder, lease -----------------------------------> end: down, folder deleted
    worker: open_or_start(folder) -> alone? -> runs already: use it, else start it -> Devnet

pytest-xdist's workers are processes that know nothing of each other; the folder that the controller tells them is what they share.
The controller holds the lease, so the devnet outlives the worker that started it, and no longer than the run.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import JsonValue

from deploy.layout import Layout
from deploy.lock import is_running
from deploy.testing.devnet import Devnet
from deploy.testing.run_folder import RunFolder, start_of
from deploy.testing.starting import Running, StartFailed, start


def end(run: RunFolder, *, keeps: bool) -> None:
    """Stop the devnet if it runs, and delete the folder unless it is kept. Raises StopFailed."""
    running = _running_in(run.folder, keeps=keeps)
    running.lease = run.lease
    running.end()


def open_or_start(
    folder: Path, *, manifest: Path | None, settings: Mapping[str, JsonValue]
) -> Devnet:
    """The devnet of a shared folder; whoever comes first starts it. Raises WrongSettings, StartFailed."""
    failure = folder / "failure"
    with _alone(folder):
        if failure.exists():
            raise StartFailed(f"another worker could not start it: {failure.read_text()}")
        running = _running_in(folder, keeps=True)
        if not is_running(Layout(running.data)):
            try:
                running = start(
                    manifest=manifest,
                    settings=settings,
                    data=None,
                    port_offset=None,
                    keeps=True,
                    folder=folder,
                )
            except StartFailed as error:
                failure.write_text(str(error))
                raise
        return Devnet(running)


def _running_in(folder: Path, *, keeps: bool) -> Running:
    return Running(folder=folder, data=folder / "devnet", keeps=keeps)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a lock, so that one worker starts it and the others wait for that."""
    descriptor = os.open(start_of(folder), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
