"""From options to a network that can be started: which data, which manifest, new or continued."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from deploy.commands.options import CommandFailed, WrongUse
from deploy.layout import MANIFEST_NAME, Layout
from deploy.lock import AlreadyRunning, SupervisorLock
from deploy.manifest import (
    ManifestError,
    Resolved,
    Setting,
    environment_settings,
    read_manifest,
    resolve,
)
from deploy.network import NetworkError, load_network, refuse_other, stored_settings

FLAGS: Final[Mapping[str, tuple[str, str]]] = {
    "--profile": ("network", "profile"),
    "--validators": ("network", "validators"),
    "--slot-seconds": ("network", "slot_seconds"),
    "--port-offset": ("network", "port_offset"),
}
"""Flags that set keys of the manifest."""


def resolve_manifest(
    layout: Layout, manifest: Path | None, flags: Mapping[str, JsonValue], *, fresh: bool = False
) -> Resolved:
    """What is in force for a devnet. Raises WrongUse.

    Args:
        layout: its data.
        manifest: `--manifest`; None reads ./faultline.toml where there is one.
        flags: values of flags that were given, by flag.
        fresh: whether what the data was made with no longer counts.
    """
    try:
        stored = [] if fresh else stored_settings(layout)
        given = [
            *_manifest_settings(manifest),
            *environment_settings(os.environ),
            *_flag_settings(flags),
        ]
        try:
            return resolve([*stored, *given])
        except ManifestError:
            if stored:  # What each is right may not fit the data: say that then.
                refuse_other(layout, given)
            raise
    except (ManifestError, NetworkError) as error:
        raise WrongUse(str(error)) from error


def refuse_containers(layout: Layout, instead: str) -> None:
    """A supervisor's commands mean nothing where docker keeps the processes running. Raises CommandFailed."""
    if not layout.network.exists():
        return
    try:
        network = load_network(layout)
    except NetworkError:
        return  # Whoever needs it says what is wrong with it; to delete it needs nothing.
    if network.placement == "containers":
        raise CommandFailed(f"this devnet runs in containers: `{instead}` does that")


def take_lock(layout: Layout) -> SupervisorLock:
    """Claim the data for this process. Raises CommandFailed."""
    try:
        return SupervisorLock(layout)
    except AlreadyRunning as error:
        raise CommandFailed(str(error)) from error
    except OSError as error:
        raise CommandFailed(f"{layout.data}: {error.strerror}") from error


def _manifest_settings(manifest: Path | None) -> Sequence[Setting]:
    if manifest is not None:
        return read_manifest(manifest)
    here = Path(MANIFEST_NAME)
    return read_manifest(here) if here.is_file() else []


def _flag_settings(flags: Mapping[str, JsonValue]) -> list[Setting]:
    return [
        Setting(section=FLAGS[flag][0], key=FLAGS[flag][1], value=value, origin=flag)
        for flag, value in flags.items()
    ]
