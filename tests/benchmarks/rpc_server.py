"""The JSON-RPC of a node over a small chain of the native engine; prints its port and serves until it is killed.

python -m tests.benchmarks.rpc_server
"""

from __future__ import annotations

import sys

import structlog
import trio
from prometheus_client import CollectorRegistry

from node.rpc.service import RpcService, RpcSettings
from node.runtime.worker import ThreadWorker
from tests.benchmarks.rpc_throughput import CODE, CONTRACT
from tests.kit.execution_chain import CHAIN_ID, SENDER, ExecutionChain, sign
from tests.node.rpc.real import RealBackend, RealChain


async def serve() -> None:
    """Serve until killed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    contract = {CONTRACT: {"balance": "0x0", "code": CODE}}
    chain = RealChain(ExecutionChain.open(extra_accounts=contract))
    for nonce in range(8):
        chain.grow([sign(SENDER, nonce=nonce, value=1)])
    service = RpcService(
        RpcSettings(port=0, chain_id=CHAIN_ID, client_version="faultline/benchmark"),
        RealBackend(chain=chain, worker=ThreadWorker(threads_max=2)).parts(),
        registry=CollectorRegistry(),
    )
    async with trio.open_nursery() as nursery:
        port = await nursery.start(lambda task_status: service.serve(task_status=task_status))
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    trio.run(serve)
