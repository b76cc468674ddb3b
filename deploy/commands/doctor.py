"""`faultline doctor`: looks for what keeps a devnet from running on this machine."""

from __future__ import annotations

import importlib.util
import os
import platform
import resource
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

import click
from pydantic import JsonValue

from deploy.commands.options import (
    WrongUse,
    data_option,
    json_option,
    layout_of,
    manifest_option,
    print_json,
)
from deploy.commands.preparing import refuse_containers, resolve_manifest
from deploy.layout import Layout
from deploy.lock import is_running
from deploy.manifest import Manifest
from deploy.network import busy_ports, places

DISK_BYTES_MIN: Final = 1 << 30
"""Less free space than this is a problem soon."""

FILES_MIN: Final = 1_024
"""Open files a validator with many connections needs."""

MEMORY_MB_A_PROCESS: Final = 115
"""What a validator takes, shared parts counted once; an L2 process follows both chains and takes a little more."""

MEMORY_MB_AN_L2_PROCESS: Final = 130
"""What a sequencer or a replica takes at rest."""

LEAST_CLOCK: Final = 1_700_000_000
"""A clock before this (2023) is wrong; seconds since the epoch of Unix."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    check: str
    """What was looked at."""
    verdict: Literal["ok", "warning", "problem"]
    """Whether a devnet can run."""
    message: str
    """What was found, and what to do about it."""


@click.command("doctor")
@manifest_option
@data_option
@json_option
def doctor(manifest: Path | None, data: Path | None, *, as_json: bool) -> int:
    """Look for what keeps a devnet from running on this machine; exit code 1 on a problem."""
    layout = layout_of(data, manifest)
    refuse_containers(layout, "docker compose ps --all")
    findings = [_python(), _engine(), _clock(), _files()]
    try:
        resolved = resolve_manifest(layout, manifest, {})
    except WrongUse as error:
        findings.append(Finding("manifest", "problem", error.message))
    else:
        findings.append(Finding("manifest", "ok", "understood"))
        findings += [_ports(layout, resolved.manifest), _cores(resolved.manifest)]
        findings.append(_memory(resolved.manifest))
    findings.append(_disk(layout))
    if as_json:
        shown: list[JsonValue] = [asdict(finding) for finding in findings]
        print_json(shown)
    else:
        for finding in findings:
            click.echo(f"{finding.verdict:<8} {finding.check:<9} {finding.message}")
    return 1 if any(finding.verdict == "problem" for finding in findings) else 0


def _python() -> Finding:
    return Finding("python", "ok", platform.python_version())


def _engine() -> Finding:
    if importlib.util.find_spec("node._engine") is None:
        return Finding("engine", "problem", "not built; `make build` builds it")
    return Finding("engine", "ok", "built")


def _clock() -> Finding:
    now_s = time.time_ns() // 10**9
    if now_s < LEAST_CLOCK:
        return Finding("clock", "problem", "the machine's clock is years behind; slots follow it")
    return Finding("clock", "ok", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now_s)))


def _files() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES_MIN:
        return Finding("files", "warning", f"{soft} open files allowed, {FILES_MIN} are better")
    return Finding("files", "ok", f"{soft} open files allowed")


def _ports(layout: Layout, manifest: Manifest) -> Finding:
    if is_running(layout):
        return Finding("ports", "ok", "in use by the devnet that runs on this data")
    busy = busy_ports(manifest)
    if busy:
        return Finding("ports", "problem", f"{'; '.join(busy)} (`--port-offset N` moves all ports)")
    return Finding("ports", "ok", "all free")


def _cores(manifest: Manifest) -> Finding:
    cores = _available_cores()
    if cores < 2 and manifest.network.slot_seconds < 3:
        message = "one core carries slots of 3 s, not of 2 s: `--slot-seconds 3`"
        return Finding("cores", "warning", message)
    return Finding("cores", "ok", str(cores))


def _available_cores() -> int:
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _memory(manifest: Manifest) -> Finding:
    validators = manifest.network.validator_processes
    others = len(places(manifest)) - validators
    needed = MEMORY_MB_A_PROCESS * validators + MEMORY_MB_AN_L2_PROCESS * others
    pages = os.sysconf("SC_PHYS_PAGES")
    found = pages * os.sysconf("SC_PAGE_SIZE") >> 20
    if found < 2 * needed:
        return Finding("memory", "warning", f"{found} MB, the devnet takes about {needed} MB")
    return Finding("memory", "ok", f"{found} MB, the devnet takes about {needed} MB")


def _disk(layout: Layout) -> Finding:
    folder = layout.data
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        return Finding("disk", "problem", f"{folder} cannot be written to")
    free = shutil.disk_usage(folder).free
    if free < DISK_BYTES_MIN:
        return Finding("disk", "problem", f"{free >> 20} MB free at {folder}, 1024 are wanted")
    return Finding("disk", "ok", f"{free >> 30} GB free at {folder}")


COMMANDS: Final = {"doctor": doctor}
"""What this module holds."""
