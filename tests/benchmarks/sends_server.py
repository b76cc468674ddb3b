"""An L2's JSON-RPC over an intake that seals at once and executes nothing; prints its port and serves until it is killed.

    python -m tests.benchmarks.sends_server

What is left is what JSON-RPC itself costs: reading, handing in, telling, looking up, rendering (receipts by the native engine).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog
import trio
from prometheus_client import CollectorRegistry

from node.eth.blocks import Block
from node.eth.hashing import keccak256
from node.rpc.backend import Submission
from node.rpc.service import RpcService, RpcSettings
from node.runtime.worker import ThreadWorker
from tests.kit.execution_chain import CHAIN_ID, SENDER, ExecutionChain, sign
from tests.node.rpc.fake_pool import FakeSubmission
from tests.node.rpc.real import RealBackend, RealChain

BLOCK_TRANSACTIONS = 76
"""Transfers of a full block."""


@dataclass(slots=True)
class InstantIntake:
    """Seals what has come whenever the loop turns; every block is the same one under other transactions' names."""

    block: Block
    places: dict[bytes, tuple[Block, int]] = field(default_factory=dict)
    waiting: list[tuple[bytes, Callable[[Submission], None]]] = field(default_factory=list)
    wake: trio.Event = field(default_factory=trio.Event)
    sealed: Callable[[], None] = lambda: None

    def offer(self, raw: bytes, told: Callable[[Submission], None]) -> None:
        self.waiting.append((raw, told))
        self.wake.set()

    async def run(self) -> None:
        while True:
            await self.wake.wait()
            self.wake = trio.Event()
            while self.waiting:
                now, self.waiting = (
                    self.waiting[:BLOCK_TRANSACTIONS],
                    self.waiting[BLOCK_TRANSACTIONS:],
                )
                self.seal(now)

    def seal(self, now: list[tuple[bytes, Callable[[Submission], None]]]) -> None:
        submissions: list[FakeSubmission] = []
        for place, (raw, _) in enumerate(now):
            name = keccak256(raw)
            self.places[name] = (self.block, place)
            submissions.append(FakeSubmission(name, None))
        self.sealed()
        for (_, told), submission in zip(now, submissions, strict=True):
            told(submission)


async def serve() -> None:
    """Serve until killed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    chain = RealChain(ExecutionChain.open())
    block = chain.grow([sign(SENDER, nonce=nonce, value=1) for nonce in range(BLOCK_TRANSACTIONS)])
    intake = InstantIntake(block, chain.transactions)
    parts = RealBackend(chain=chain, worker=ThreadWorker(threads_max=2)).parts()
    service = RpcService(
        RpcSettings(port=0, chain_id=CHAIN_ID, client_version="faultline/benchmark", tip_wei=1),
        replace(parts, intake=intake),
        registry=CollectorRegistry(),
    )
    intake.sealed = lambda: service.head_moved((block,), ())
    async with trio.open_nursery() as nursery:
        port = await nursery.start(lambda task_status: service.serve(task_status=task_status))
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        await intake.run()


if __name__ == "__main__":
    trio.run(serve)
