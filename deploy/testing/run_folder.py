"""What xdist's controller holds for its workers: a folder for the devnet that one of them may start, and a lease on it.

    controller: RunFolder.make -> workers are told where -> was_used: deploy.testing.sharing ends the devnet, and the folder goes

Deliberately absent: imports of what a devnet is made of, which take most of a second; most runs of an environment start none.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deploy.lease import Lease


def new_folder() -> Path:
    """A folder for a devnet of ours; its name is short, because it holds a socket."""
    return Path(tempfile.mkdtemp(prefix="faultline-"))


def lease_of(folder: Path) -> Path:
    """The file that is locked as long as the run lasts."""
    return folder / "lease"


def turns_of(folder: Path) -> Path:
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
        return turns_of(self.folder).exists()

    def drop(self) -> None:
        """Let go of a folder that nobody has used."""
        self.lease.release()
        shutil.rmtree(self.folder, ignore_errors=True)
