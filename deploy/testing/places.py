"""Ranges of ports for devnets side by side: each takes a place on this machine and keeps it while it lives.

    manifest -> the first place that nobody holds and whose ports are free -> port offset

Who holds a place holds a lock (flock) on its file, so two test runs that start at once never choose the same ports.
Ports of somebody who knows nothing of places are found by binding them.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PLACES: Final = 22
"""Devnets of test runs at once on one machine; each is seven processes, so memory ends first."""

PLACE_WIDTH: Final = 1_010
"""From one offset to the next: a devnet's ports span 1,008 (8545 to 9552), and 22 places stay below what systems hand to clients."""


class NoFreePlace(Exception):
    """Every place is taken."""


@dataclass(slots=True, kw_only=True)
class Place:
    """A range of ports that is ours."""

    port_offset: int
    """What is added to every port."""
    descriptor: int
    """The file whose lock says so; whoever inherits it holds the place as well."""

    def release(self) -> None:
        """Let others have it, once nobody else holds it."""
        os.close(self.descriptor)


def take_place(is_free: Callable[[int], bool], folder: Path | None = None) -> Place:
    """Take the first free place.

    Args:
        is_free: whether the ports at an offset can be bound.
        folder: where the locks lie; every run of one user must use the same one.

    Raises:
        NoFreePlace: when there is none.
    """
    folder = folder or Path(tempfile.gettempdir()) / f"faultline-places-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for number in range(1, PLACES + 1):
        descriptor = os.open(
            folder / f"{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        offset = number * PLACE_WIDTH
        if is_free(offset):
            return Place(port_offset=offset, descriptor=descriptor)
        os.close(descriptor)
    raise NoFreePlace(f"no range of ports is free: {PLACES} places were tried, see {folder}")
