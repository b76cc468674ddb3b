"""One supervisor on one folder: who holds the lock runs.

It is held (flock) as long as its supervisor lives, so a lock file left behind by a killed one means nothing.
Apart from deploy.control because `up` takes it before it has imported an event loop.
"""

from __future__ import annotations

import fcntl
import os

from deploy.layout import Layout


class AlreadyRunning(Exception):
    """A supervisor runs on this data already; the message says which process it is."""


class SupervisorLock:
    """Says that a supervisor runs on some data; let go by the kernel when its process ends."""

    def __init__(self, layout: Layout) -> None:
        """Take the lock. Raises AlreadyRunning."""
        layout.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 64, 0).decode(errors="replace").strip()
            os.close(self._descriptor)
            raise AlreadyRunning(
                f"a devnet runs on {layout.data} already (process {holder or 'unknown'}); "
                "`faultline down` stops it, `--data` names another folder"
            ) from None
        self.renew()

    def renew(self) -> None:
        """Write down which process holds it now."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go."""
        os.close(self._descriptor)


def is_running(layout: Layout) -> bool:
    """Whether a supervisor runs on this data."""
    try:
        descriptor = os.open(layout.lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
