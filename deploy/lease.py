"""A lease: who starts a devnet for itself holds a lock on a file, and the devnet ends when nobody holds it any more.

    test run: Lease(file) --flock shared--> file <--flock exclusive, waits-- `faultline up --lease file` -> stops

The kernel lets go of a lock however its holder ends, so a test run that is killed leaves no devnet behind.
Deliberately absent: pid files, whose ids are reused.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Lease:
    """A share of a file's lock; several may hold one."""

    def __init__(self, file: Path) -> None:
        """Take a share, making the file where there is none. Raises OSError."""
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def release(self) -> None:
        """Let go."""
        os.close(self._descriptor)


def wait_until_free(file: Path) -> None:
    """Return once nobody holds the lease, however long that takes. Raises OSError where there is no such file."""
    descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)
