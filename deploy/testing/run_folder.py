"""What xdist's controller holds for its workers: a folder for the devnet that one of them may start, and a lease on it.

    controller: RunFolder.make -> workers are told where -> was_used: deploy.testing.sharing ends the devnet, and the folder goes
    worker, for each test: turn -> beside the tests of other workers, or alone if it breaks the devnet

Deliberately absent: imports of what a devnet is made of, which take most of a second; most runs of an environment start none.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.lease import Lease

USERS: Final = "users"
"""Locked by every test that has the devnet: shared, or exclusively by one that breaks it."""

GATE: Final = "gate"
"""Locked while one waits for the former."""


def new_folder() -> Path:
    """A folder for a devnet of ours; its name is short, because it holds a socket."""
    return Path(tempfile.mkdtemp(prefix="faultline-"))


def lease_of(folder: Path) -> Path:
    """The file that is locked as long as the run lasts."""
    return folder / "lease"


def start_of(folder: Path) -> Path:
    """The file that a worker locks while it starts the devnet, or looks whether it runs."""
    return folder / "starting"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """The controller's end of it."""

    folder: Path
    """What the workers are told."""
    lease: Lease
    """The devnet ends when nobody holds it any more."""

    @classmethod
    def make(cls) -> RunFolder:
        """Make the folder and hold its lease. Raises OSError."""
        folder = new_folder()
        return cls(folder=folder, lease=Lease(lease_of(folder)))

    @property
    def data(self) -> Path:
        """Where the devnet's data lies, if a worker has started it."""
        return self.folder / "devnet"

    @property
    def was_used(self) -> bool:
        """Whether a worker has asked for the devnet."""
        return start_of(self.folder).exists()

    def drop(self) -> None:
        """Let go of a folder that nobody has used."""
        self.lease.release()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """A test's time with the devnet that workers share: as one of many, or alone. Who waits to be alone is the next: others wait behind it."""
    lock = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    with _opened(folder / USERS) as users:
        with _opened(folder / GATE) as gate:
            fcntl.flock(gate, lock)
            fcntl.flock(users, lock)
        yield


@contextmanager
def _opened(file: Path) -> Iterator[int]:
    """A file to lock; closing it lets go."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
