"""Starts the launcher, the process that forks all others (deploy.launcher).

Apart from the supervisor because `up` begins with it, before it has imported anything else that takes time.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from deploy.interpreting import command, environment


@dataclass(frozen=True, slots=True)
class Launcher:
    """A launcher process that was started; it warms up while its starter does other things."""

    process: subprocess.Popen[bytes]
    """The process."""
    control: socket.socket
    """Our end of its socket."""


def start_launcher(
    imports: Sequence[str], log: BinaryIO | int, *, never_fork: bool = False
) -> Launcher:
    """Start a launcher that imports these modules.

    Args:
        imports: modules that its processes need.
        log: where its own complaints go.
        never_fork: start a new interpreter for each process.
    """
    ours, theirs = socket.socketpair()
    arguments = ["--socket", str(theirs.fileno())]
    for module in imports:
        arguments += ["--import", module]
    if never_fork:
        arguments.append("--never-fork")
    with theirs:
        process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            command("deploy.launcher", *arguments),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
    return Launcher(process=process, control=ours)
