"""Binding ports, so that whoever starts a process learns which key of its configuration to change.

    bind(nursery, "rpc.port 8545", serve) -> serving (the port), or SetupError

Deliberately absent: what is served.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

import trio

from node.app.failures import SetupError


class Serving(Protocol):
    """Binds a port, tells when, serves until cancelled."""

    def __call__(self, *, task_status: trio.TaskStatus[object]) -> Awaitable[object]:
        """Serve; `task_status` is told once the port is bound."""


async def bind(nursery: trio.Nursery, what: str, serve: Serving) -> object:
    """Start what binds a port; gives what it reports. Raises SetupError naming the key and the port, in a group or not."""
    try:
        reported: object = await nursery.start(serve)
    except* OSError as group:  # The servers bind inside nurseries of their own.
        error = _first_os_error(group)
        raise SetupError(f"{what}: cannot be bound: {error.strerror or error}") from error
    return reported


def _first_os_error(group: BaseExceptionGroup[OSError]) -> OSError:
    first = group.exceptions[0]
    return _first_os_error(first) if isinstance(first, BaseExceptionGroup) else first
