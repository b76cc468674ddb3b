"""What `devnet_info` and `devnet_consensus` answer."""

from __future__ import annotations

from pathlib import Path

import orjson
import trio

from node.app.devnet import describe_consensus, read_info
from node.eth.primitives import Epoch
from node.storage.chain_database import Conflict
from tests.kit.chain_harness import Machine, make_network


async def test_consensus_is_described_as_it_stands(autojump_clock: trio.testing.MockClock) -> None:
    machine = Machine(network=make_network())
    builder = machine.network.builder
    blocks = builder.extend(builder.genesis_hash, range(4, 14))
    key = builder.keys[2].public
    async with machine.running(13.9) as chain:
        for block in blocks:
            await chain.import_envelope(block.envelope, origin="peer")

        described = describe_consensus(chain, epoch=Epoch(6), own_keys=[key])

        head = {"slot": 13, "number": 10, "hash": "0x" + blocks[-1].hash.hex()}
        finalized = chain.finalized_checkpoint
        assert orjson.loads(orjson.dumps(described)) == described
        validators = described.pop("validators")
        assert described == {
            "head": head,
            "confirmed": {
                "number": chain.confirmed.header.number,
                "hash": "0x" + chain.confirmed.hash.hex(),
            },
            "justified": {
                "epoch": chain.justified_checkpoint.epoch,
                "hash": "0x" + chain.justified_checkpoint.block_hash.hex(),
            },
            "finalized": {"epoch": finalized.epoch, "hash": "0x" + finalized.block_hash.hex()},
            "participation": 0.0,
            "safetyFault": None,
            "stallEpochs": 0,
        }
        assert finalized.epoch > 0
        assert isinstance(validators, list)
        assert len(validators) == 4
        assert validators[2] == {
            "index": 2,
            "publicKey": "0x" + key.hex(),
            "withdrawalAddress": "0x" + "03" * 20,
            "balanceGwei": 32_000_000_000,
            "weight": 1,
            "slashed": False,
            "exitEpoch": None,
            "withdrawableEpoch": None,
            "here": True,
        }
        assert [one["here"] for one in validators] == [False, False, True, False]


async def test_a_safety_fault_names_both_checkpoints(
    autojump_clock: trio.testing.MockClock,
) -> None:
    machine = Machine(network=make_network())
    async with machine.running(5) as chain:
        genesis = chain.finalized_checkpoint
        conflict = Conflict(first=genesis, second=genesis, block_hash=chain.head.hash)
        chain._store.conflict = conflict

        described = describe_consensus(chain, epoch=Epoch(2), own_keys=[])

        point = {"epoch": 0, "hash": "0x" + chain.genesis.hash.hex()}
        assert described["safetyFault"] == {
            "message": str(conflict),
            "first": point,
            "second": point,
            "seenIn": "0x" + chain.head.hash.hex(),
        }


def test_the_networks_description_is_read_anew_each_time(tmp_path: Path) -> None:
    file = tmp_path / "info.json"
    assert read_info(None) == {}
    assert read_info(file) == {}
    file.write_text('{"name": "one"}')
    assert read_info(file) == {"name": "one"}
    file.write_text('{"name": "two"}')
    assert read_info(file) == {"name": "two"}
