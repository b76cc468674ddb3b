"""How much room a process has left: on the disk its store lies on, and in the memory it may take.

    a scrape -> Resources.collect -> statvfs, the store's files, the memory limits of the control groups

Prometheus' own process_* metrics say what is used; these say of how much, so that an alert can come before the end does.
Deliberately absent: any reaction. The pool, caches and queues have bounds of their own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

FILES_MAX: Final = 4_096
"""Files of a store that are counted; one has a few dozen."""

GROUPS_ROOT: Final = Path("/sys/fs/cgroup")
"""Where Linux shows control groups."""

OWN_GROUPS: Final = Path("/proc/self/cgroup")
"""Which of them this process is in, one hierarchy a line."""


class Resources(Collector):
    """Room of one process."""

    def __init__(
        self, store: Path, *, groups_root: Path = GROUPS_ROOT, own_groups: Path = OWN_GROUPS
    ) -> None:
        """`store` is the folder that the process keeps its data in."""
        self._store: Final = store
        self._groups_root: Final = groups_root
        self._own_groups: Final = own_groups

    def collect(self) -> Iterable[Metric]:
        """What a scrape sees; where the folder does not exist yet, of its disk nothing."""
        yield GaugeMetricFamily(
            "faultline_runtime_memory_limit_bytes",
            "Memory that the process may take: the tightest limit of its control groups, or the machine's memory.",
            value=memory_limit_bytes(self._groups_root, self._own_groups),
        )
        if not self._store.is_dir():
            return
        disk = os.statvfs(self._store)
        yield GaugeMetricFamily(
            "faultline_storage_free_bytes",
            "Bytes that the process may still write to the disk of its store.",
            value=disk.f_bavail * disk.f_frsize,
        )
        yield GaugeMetricFamily(
            "faultline_storage_capacity_bytes",
            "Bytes that the disk of its store has.",
            value=disk.f_blocks * disk.f_frsize,
        )
        yield GaugeMetricFamily(
            "faultline_storage_used_bytes",
            "Bytes that its own store takes.",
            value=sum(map(_size, islice(_files(self._store), FILES_MAX))),
        )


def memory_limit_bytes(groups_root: Path, own_groups: Path) -> int:
    """Read the tightest limit of the process's control groups (version 2 or 1), or how much memory the machine has."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [
        int(text)
        for file in _limit_files(groups_root, own_groups)
        if (text := _read(file)).isdigit()
    ]
    return min([machine, *limits])


def _limit_files(groups_root: Path, own_groups: Path) -> Iterator[Path]:
    """The files that hold limits, of the own groups and of all above; many do not exist."""
    for line in _read(own_groups).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, name = groups_root, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = groups_root / "memory", "memory.limit_in_bytes"
        else:
            continue
        folder = root / path.lstrip("/")
        yield folder / name
        # Inside a container the path may be the host's, and the mounted root the own group.
        yield from (above / name for above in folder.parents if above.is_relative_to(root))


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""  # Other systems have none, and a group may go while we look.


def _files(folder: Path) -> Iterator[Path]:
    return (entry for entry in folder.rglob("*") if entry.is_file())


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0  # Removed since it was listed.
