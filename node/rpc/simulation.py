"""Long engine work in a worker, with its refusals turned into JSON-RPC errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from node.errors import MissingState
from node.rpc.backend import CallResult, Worker
from node.rpc.blocks import state_missing
from node.rpc.jsonrpc import INVALID_PARAMS, SERVER_ERROR, RpcError, revert_error
from node.rpc.reverts import revert_reason

Answer = TypeVar("Answer")

Work = Callable[[], Answer]
"""Engine work that runs away from the loop."""


async def run(worker: Worker, root: bytes, work: Work[Answer]) -> Answer:
    """Run engine work that reads the state of `root`. Raises RpcError, InvalidCall."""
    try:
        return await worker.run(work)
    except MissingState:
        raise state_missing(root) from None
    except ValueError as error:  # JSON of a wrong shape: the caller's doing
        raise RpcError(INVALID_PARAMS, f"invalid argument 0: {error}") from error


def succeeded(result: CallResult) -> CallResult:
    """A call that ended well. Raises RpcError for one that reverted (code 3, with its data) or halted."""
    if result.status == "success":
        return result
    if result.status == "revert":
        raise revert_error(result.output, revert_reason(result.output))
    raise RpcError(SERVER_ERROR, result.output.decode("utf-8", "replace"))
