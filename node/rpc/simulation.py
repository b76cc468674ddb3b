"""Engine work with its refusals turned into JSON-RPC errors: in place as long as it is short, else in a worker.

A call that does not end within IN_PLACE_US is given up and starts again in a worker: most calls take some tens of microseconds,
and a hop to a thread costs more than they do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from node.errors import MissingState
from node.rpc.backend import CallResult
from node.rpc.blocks import state_missing
from node.rpc.jsonrpc import INVALID_PARAMS, SERVER_ERROR, RpcError, revert_error
from node.rpc.reverts import revert_reason
from node.runtime.worker import Worker

IN_PLACE_US: Final = 500
"""How long a call may hold up the loop before it moves to a worker."""

WORKER_US: Final = 5_000_000
"""How long a call may take altogether: geth's `rpc.evmtimeout`."""

TRACE_US: Final = 60_000_000
"""How long a trace may take; a whole block of busy transactions takes seconds."""

Answer = TypeVar("Answer")

Work = Callable[[int], Answer]
"""Engine work that may take so many microseconds."""


async def run(
    worker: Worker, root: bytes, work: Work[Answer], *, limit_us: int = WORKER_US
) -> Answer:
    """Run engine work that reads the state of `root` in a worker. Raises RpcError, InvalidCall.

    The work is given the time it may take, `limit_us`.
    """
    try:
        return await worker.run(lambda: work(limit_us))
    except (MissingState, TimeoutError, ValueError) as error:
        raise told(error, root, limit_us) from error


def told(
    error: MissingState | TimeoutError | ValueError, root: bytes, limit_us: int = WORKER_US
) -> RpcError:
    """What a caller is told of an engine's refusal."""
    match error:
        case MissingState():
            return state_missing(root)
        case TimeoutError():
            return RpcError(SERVER_ERROR, f"execution aborted (timeout = {limit_us // 10**6}s)")
        case _:  # JSON of a wrong shape: the caller's doing
            return RpcError(INVALID_PARAMS, f"invalid argument 0: {error}")


def succeeded(result: CallResult) -> CallResult:
    """A call that ended well. Raises RpcError for one that reverted (code 3, with its data) or halted."""
    if result.status == "success":
        return result
    if result.status == "revert":
        raise revert_error(result.output, revert_reason(result.output))
    raise RpcError(SERVER_ERROR, result.output.decode("utf-8", "replace"))
