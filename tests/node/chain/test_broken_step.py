"""A bug behind L1's precompile: the chain stops over the block that reaches it, and says nothing about that block."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from prometheus_client import CollectorRegistry

from node.chain.chain import open_chain
from node.chain.importing import ImportOutcome
from node.chain.metrics import ChainMetrics
from node.execution.adapter import RevmEngine, open_tables, verify_signatures
from node.runtime.worker import ThreadWorker
from node.storage.chain_database import ChainDatabase
from tests.kit.chain_builder import ChainBuilder, make_keys
from tests.kit.real_chain import LateClock, close_real_chain, make_real_network
from tests.kit.transfers import sign_transfer

STEP = bytes(18) + b"\x01\x01"


class Broken(Exception):
    """What nobody expects of STEP."""


def broken_step(data: bytes, _caller: bytes, _is_static: bool) -> bytes:
    """Answers nothing, except where the bug is."""
    if data == b"trigger":
        raise Broken("a bug in the framing")
    return b""


async def test_an_import_stops_loudly_and_decides_nothing(tmp_path: Path) -> None:
    """Given a block that reaches a bug, when imported, then the chain's tasks end with the bug, and its head is the one before."""
    network = make_real_network(4, senders=1)
    sound = RevmEngine(network.document, step=lambda _data, _caller, _is_static: b"")
    builder = ChainBuilder(network.genesis, make_keys(4), sound)
    sender, gas = network.senders[0], 9_000_000
    calls = [
        sign_transfer(sender, nonce=nonce, to=STEP, value=0, data=data, gas_limit=gas)
        for nonce, data in enumerate((b"harmless", b"trigger"))
    ]
    first = builder.build(builder.genesis_hash, 4, transactions=calls[:1])
    second = builder.build(first.hash, 5, transactions=calls[1:])
    engine = RevmEngine(network.document, folder=tmp_path / "states", step=broken_step)
    chain = await open_chain(
        genesis=network.genesis,
        engine=engine,
        database=ChainDatabase(open_tables(tmp_path / "chain.redb"), folder=str(tmp_path)),
        verify=verify_signatures,
        worker=ThreadWorker(threads_max=2),
        clock=LateClock(network.genesis, 20),
        metrics=ChainMetrics(CollectorRegistry()),
    )
    outcome = None
    with pytest.RaisesGroup(pytest.RaisesExc(Broken, match="a bug"), flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            await nursery.start(chain.run)
            outcome = await chain.import_envelope(first.envelope, origin="a peer")
            await chain.offer(second.envelope, origin="a peer")
            await trio.sleep_forever()
    assert outcome is ImportOutcome.IMPORTED
    assert chain.head.hash == first.hash
    close_real_chain(chain)
