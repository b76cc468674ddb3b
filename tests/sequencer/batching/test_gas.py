"""The gas that the batcher and forcers promise their calls, on the real contract: enough, and below what L1 allows."""

from __future__ import annotations

import pytest

from node.contracts import addresses, bindings
from node.eth.primitives import Hash32
from node.txpool.limits import PoolLimits
from sequencer.batching.forcing import ANCHORED_HEADERS
from sequencer.batching.gas import anchor_gas, append_gas, force_gas
from sequencer.batching.signing import gas_limit
from tests.kit.contract_network import BATCHER, FORCER, WINDOW, Network

NOISE = b"".join(bytes([17 + at % 239]) for at in range(32_768))
"""Batch bytes without a zero."""

GAS_MAX = PoolLimits().transaction_gas_max


@pytest.mark.parametrize(
    ("size", "advances"), [(0, 0), (1, 1), (100, 256), (1_024, 1), (32_768, 0), (32_768, 256)]
)
def test_an_append_has_enough_gas(size: int, advances: int) -> None:
    # Given the first record of an Inbox, whose slots are all new
    network = Network.open()
    network.pass_blocks(300)
    batch = NOISE[:size]
    call = bindings.append(
        batch,
        first_block=1,
        block_count=max(1, advances),
        origin=advances,
        expected=Hash32(bytes(32)),
    )
    limit = gas_limit(call, append_gas(batch, advances))
    # When it is sent with the gas that the batcher gives it
    receipt = network.world.send(BATCHER, addresses.INBOX, call, gas=limit)
    # Then it is enough
    assert receipt.succeeded
    assert receipt.gas_used <= limit <= GAS_MAX


@pytest.mark.parametrize("advances", [1, 256])
def test_a_forced_record_has_enough_gas(advances: int) -> None:
    network = Network.open()
    network.pass_blocks(300 + WINDOW)
    limit = gas_limit(bindings.force_empty(advances), force_gas(advances))
    receipt = network.world.send(FORCER, addresses.INBOX, bindings.force_empty(advances), gas=limit)
    assert receipt.succeeded
    assert receipt.gas_used <= limit <= GAS_MAX


@pytest.mark.parametrize("count", [1, ANCHORED_HEADERS])
def test_proving_hashes_has_enough_gas(count: int) -> None:
    network = Network.open()
    network.pass_blocks(300)
    call = bindings.anchor_headers(250, [network.header(250 - place) for place in range(count)])
    limit = gas_limit(call, anchor_gas(count))
    receipt = network.world.send(FORCER, addresses.INBOX, call, gas=limit)
    assert receipt.succeeded
    assert receipt.gas_used <= limit <= GAS_MAX
