"""L1Block: who writes it, and that its storage is what op-revm reads."""

from __future__ import annotations

import orjson
import pytest

from node.contracts import addresses
from node.eth.headers import decode_header
from node.eth.primitives import Hash32
from node.rollup.deposits import attributes_data
from node.rollup.parameters import RollupParameters
from tests.kit.contract_network import FORCER, Network
from tests.kit.contract_world import Reverted
from tests.kit.execution_chain import address_of

VALUES: dict[str, int | bytes] = {
    "baseFeeScalar": 0x01020304,
    "blobBaseFeeScalar": 0xF5F6F7F8,
    "sequenceNumber": 0x1112131415161718,
    "timestamp": 0x2122232425262728,
    "number": 0xF132333435363738,
    "basefee": 2**256 - 3,
    "blobBaseFee": 2**255 + 9,
    "hash": b"\xab" * 32,
    "batcherHash": b"\xcd" * 32,
    "operatorFeeScalar": 0xE1E2E3E4,
    "operatorFeeConstant": 0xD1D2D3D4D5D6D7D8,
}
"""By getter, in the order of the packed input; every bit pattern is of one field only."""

SIZES = (4, 4, 8, 8, 8, 32, 32, 32, 32, 4, 8)
"""Bytes of each."""


@pytest.fixture
def network() -> Network:
    """Nothing is written yet, so that whatever is written shows."""
    return Network.open(storage={addresses.L1_BLOCK: {}})


def packed() -> bytes:
    """Input of the setter."""
    parts = [
        value if isinstance(value, bytes) else value.to_bytes(size)
        for value, size in zip(VALUES.values(), SIZES, strict=True)
    ]
    return bytes.fromhex("098999be") + b"".join(parts)


def written(network: Network, data: bytes) -> dict[int, int]:
    """Storage that a call of the depositor would change: nobody has its key, so the engine is asked."""
    chain = network.world.chain
    call = {
        "from": "0x" + addresses.DEPOSITOR.hex(),
        "to": "0x" + addresses.L1_BLOCK.hex(),
        "input": "0x" + data.hex(),
        "gas": hex(1_000_000),
    }
    options = b'{"tracer":"prestateTracer","tracerConfig":{"diffMode":true}}'
    answer = orjson.loads(
        chain.engine.trace_call(
            chain.head.state_root, chain.header, chain.ancestors, orjson.dumps(call), options
        )
    )
    account = answer["post"]["0x" + addresses.L1_BLOCK.hex()]["storage"]
    return {int(slot, 16): int(value, 16) for slot, value in account.items()}


def answers(storage: dict[int, int]) -> dict[str, object]:
    """What the getters say of such storage."""
    network = Network.open(storage={addresses.L1_BLOCK: storage})
    return {name: network.world.read(network.l1_block, name) for name in VALUES}


def test_storage_is_what_op_revm_reads(network: Network) -> None:
    """Given values in every field, then each slot has them where `L1BlockInfo` of op-revm looks."""
    storage = written(network, packed())

    def part(slot: int, start: int, size: int) -> int:
        """Bytes of a slot, counted from its highest."""
        return int.from_bytes(storage[slot].to_bytes(32)[start : start + size])

    assert set(storage) == {0, 1, 2, 3, 4, 7, 8}
    assert (part(0, 24, 8), part(0, 16, 8)) == (VALUES["number"], VALUES["timestamp"])
    assert storage[1] == VALUES["basefee"]
    assert storage[2].to_bytes(32) == VALUES["hash"]
    assert part(3, 16, 4) == VALUES["baseFeeScalar"]
    assert part(3, 20, 4) == VALUES["blobBaseFeeScalar"]
    assert part(3, 24, 8) == VALUES["sequenceNumber"]
    assert storage[4].to_bytes(32) == VALUES["batcherHash"]
    assert storage[7] == VALUES["blobBaseFee"]
    assert part(8, 20, 4) == VALUES["operatorFeeScalar"]
    assert part(8, 24, 8) == VALUES["operatorFeeConstant"]
    assert [storage[slot] >> 128 for slot in (0, 3)] == [0, 0]
    assert storage[8] >> 96 == 0


def test_getters_read_what_was_written(network: Network) -> None:
    assert answers(written(network, packed())) == VALUES


def test_the_attributes_deposit_of_the_rules_is_understood(network: Network) -> None:
    """Given the deposit that the rules make of an L1 header, then the getters give that header's values."""
    network.pass_blocks(3)
    parameters = RollupParameters(
        batcher=address_of(FORCER),
        sequencer_key=bytes(32),
        l1_blob_base_fee_scalar=7,
        operator_fee_scalar=8,
        operator_fee_constant=9,
    )
    header = decode_header(network.header(3))

    data = attributes_data(parameters, 3, Hash32(network.block_hash(3)), header)

    assert answers(written(network, data)) == {
        "baseFeeScalar": parameters.l1_base_fee_scalar,
        "blobBaseFeeScalar": 7,
        "sequenceNumber": 0,
        "timestamp": header.timestamp,
        "number": 3,
        "basefee": header.base_fee_per_gas,
        "blobBaseFee": 1,
        "hash": network.block_hash(3),
        "batcherHash": bytes(12) + address_of(FORCER),
        "operatorFeeScalar": 8,
        "operatorFeeConstant": 9,
    }


@pytest.mark.parametrize("sender", [address_of(FORCER), bytes(20), addresses.L1_BLOCK])
def test_nobody_else_writes(network: Network, sender: bytes) -> None:
    with pytest.raises(Reverted, match=r"NotDepositor\(\)"):
        network.world.ask(network.l1_block, packed(), sender=sender)


def test_nobody_writes_by_a_transaction(network: Network) -> None:
    before = [network.world.slot(addresses.L1_BLOCK, slot) for slot in range(9)]
    receipt = network.world.send(FORCER, addresses.L1_BLOCK, packed())
    assert not receipt.succeeded
    assert [network.world.slot(addresses.L1_BLOCK, slot) for slot in range(9)] == before


@pytest.mark.parametrize("cut", [1, 8, 172])
def test_a_short_input_writes_nothing(network: Network, cut: int) -> None:
    with pytest.raises(Reverted):
        network.world.ask(network.l1_block, packed()[:-cut], sender=addresses.DEPOSITOR)


def test_constants_are_those_of_the_op_stack(network: Network) -> None:
    names = ("DEPOSITOR_ACCOUNT", "gasPayingToken", "gasPayingTokenName", "gasPayingTokenSymbol")
    assert [network.world.read(network.l1_block, name) for name in names] == [
        "0xdeaddeaddeaddeaddeaddeaddeaddeaddead0001",
        ("0x" + "ee" * 20, 18),
        "Ether",
        "ETH",
    ]
    assert network.world.read(network.l1_block, "isCustomGasToken") is False
    assert network.world.read(network.l1_block, "l1FeeOverhead") == 0
    assert network.world.read(network.l1_block, "l1FeeScalar") == 0
