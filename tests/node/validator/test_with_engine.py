"""Pool, builder and the native engine together: what wallets send ends up in a block, and leaves the pool."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
import trio
from prometheus_client import CollectorRegistry

from node.eth.blocks import Block
from node.eth.headers import header_of_block
from node.eth.primitives import Hash32
from node.execution.engine import BlockResult
from node.runtime.clock import SystemClock
from node.runtime.worker import ThreadWorker
from node.txpool.service import PoolService
from node.txpool.surroundings import PoolNetwork
from node.validator.building import _fill
from tests.kit.execution_chain import ETHER, ExecutionChain
from tests.kit.transfers import Sender, sender, sign_transfer

SENDERS: Final = [sender(f"sender {number}") for number in range(20)]
RECEIVER: Final = b"\x55" * 20


async def no_answer(peer: str, body: bytes) -> bytes:
    raise OSError(peer, body)


def open_pool(chain: ExecutionChain) -> PoolService:
    return PoolService(
        engine=chain.engine,
        head=block_of(chain.head),
        worker=ThreadWorker(threads_max=1),
        network=PoolNetwork(
            publish=lambda _: None,
            request=no_answer,
            failures=(OSError,),
            blame=lambda _peer, _reason: None,
        ),
        clock=SystemClock(),
        registry=CollectorRegistry(),
    )


def block_of(result: BlockResult) -> Block:
    header = header_of_block(result.block)
    return Block(
        hash=Hash32(result.block_hash), header=header, rlp=result.block, receipts=result.receipts
    )


@pytest.fixture
def chain() -> ExecutionChain:
    funded = {"0x" + one.address.hex(): {"balance": hex(ETHER)} for one in SENDERS}
    return ExecutionChain.open(extra_accounts=funded)


def transfer(
    by: Sender,
    nonce: int,
    *,
    value: int = 1,
    gas_limit: int = 21_000,
    tip: int = 10**9,
    chain_id: int = 900,
) -> bytes:
    return sign_transfer(
        by,
        nonce=nonce,
        to=RECEIVER,
        value=value,
        gas_limit=gas_limit,
        max_priority_fee_per_gas=tip,
        chain_id=chain_id,
    )


async def build(chain: ExecutionChain, pool: PoolService) -> Block:
    """The next block of what the pool offers, committed."""
    attributes = replace(chain.attributes(), gas_limit=120_000_000)
    builder = chain.engine.builder(chain.header, attributes, chain.ancestors)
    await _fill(builder, pool, 10**9, ThreadWorker(threads_max=1), lambda: False)
    result = builder.seal(bytes(32))
    chain.engine.commit(result)
    chain.blocks.append(result)
    return block_of(result)


async def test_what_is_sent_is_included_and_leaves(chain: ExecutionChain) -> None:
    pool = open_pool(chain)
    async with trio.open_nursery() as nursery:
        await nursery.start(pool.run)
        async with trio.open_nursery() as wallets:
            for number, by in enumerate(SENDERS):
                for nonce in (0, 1, 3):
                    wallets.start_soon(pool.submit, transfer(by, nonce, tip=10**9 + number))
        assert pool.counts() == (40, 20)
        block = await build(chain, pool)
        assert len(chain.engine.raw_transactions(block.rlp)) == 40
        await pool.on_head(block)
        assert pool.counts() == (0, 20)

        # The chain drops the block: its transactions are back, and the gaps close as before.
        await pool.on_head(block_of(chain.blocks[-2]), [block])
        assert pool.counts() == (40, 20)
        answer = await pool.submit(transfer(SENDERS[0], 2))
        assert answer.refusal is None
        assert pool.counts() == (42, 19)
        nursery.cancel_scope.cancel()


async def test_wallets_read_geths_words(chain: ExecutionChain) -> None:
    pool = open_pool(chain)
    by = SENDERS[0]
    stranger = sender("nobody")
    async with trio.open_nursery() as nursery:
        await nursery.start(pool.run)

        async def refusal(raw: bytes) -> str | None:
            return (await pool.submit(raw)).refusal

        assert await refusal(transfer(by, 0)) is None
        assert await refusal(transfer(by, 0)) == "already known"
        assert await refusal(transfer(by, 0, value=2)) == "replacement transaction underpriced"
        assert await refusal(transfer(stranger, 0)) == (
            "insufficient funds for gas * price + value: balance 0, tx cost 2100000000000001, "
            "overshot 2100000000000001"
        )
        assert await refusal(transfer(by, 1, gas_limit=20_999)) == (
            "intrinsic gas too low: gas 20999, minimum needed 21000"
        )
        assert await refusal(transfer(by, 1, gas_limit=1 << 25)) == (
            "transaction gas limit too high (cap: 16777216, tx: 33554432)"
        )
        await pool.on_head(await build(chain, pool))
        assert await refusal(transfer(by, 0)) == "nonce too low: next nonce 1, tx nonce 0"
        for raw in (b"", b"\x00", b"\xff" * 64, transfer(by, 1)[:-1], transfer(by, 1, chain_id=1)):
            assert await refusal(raw)
        assert pool.counts() == (0, 0)
        nursery.cancel_scope.cancel()
