"""Forks as `eth_config` tells them: geth's recorded answer, forks to come, and a rollup's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Final, cast

import pytest

from node.eth.forks import BlobParameters, ChainConfig, read_chain_config
from node.eth.primitives import Address, Hash32
from node.execution.adapter import RevmEngine
from node.rpc.fork_config import describe_forks, fork_id, rollup_config

VECTORS: Final = Path(__file__).parents[4] / "shared" / "vectors" / "execution-apis"

GENESIS_HASH: Final = Hash32(bytes(range(32)))

CONFIG: Final = ChainConfig(
    chain_id=7,
    blocks={"homesteadBlock": 0, "berlinBlock": 5, "londonBlock": 5},
    times={"shanghaiTime": 100, "cancunTime": 100, "pragueTime": 200, "bpo2Time": 900},
    terminal_total_difficulty=0,
    dao_fork_support=False,
    blobs={
        "cancun": BlobParameters(target=3, max=6, update_fraction=30),
        "prague": BlobParameters(target=6, max=9, update_fraction=50),
        "bpo2": BlobParameters(target=14, max=21, update_fraction=110),
    },
    deposit_contract=Address(b"\xde" * 20),
)


@pytest.mark.skipif(not VECTORS.is_dir(), reason="the vectors of execution-apis are not here")
def test_the_answer_is_the_recorded_one() -> None:
    """Given the recorded chain's genesis file, when its last fork is in force, then geth's answer follows."""
    raw = (VECTORS / "genesis.json").read_bytes()
    genesis = RevmEngine(raw).genesis()
    config = read_chain_config(json.loads(raw))
    lines = (VECTORS / "eth_config" / "get-config.io").read_text().splitlines()
    want = next(json.loads(line[3:])["result"] for line in lines if line.startswith("<< "))

    assert describe_forks(config, Hash32(genesis.block_hash), 0, 548) == want


def described(now: int, *, config: ChainConfig = CONFIG, rollup: bool = False) -> dict[str, object]:
    """The answer for a genesis at time 100."""
    return describe_forks(config, GENESIS_HASH, 100, now, rollup=rollup)


def test_forks_to_come_are_told() -> None:
    """Given two forks ahead, when the head stands in the first, then next and last are those ahead."""
    told = described(150)
    current, following, last = (
        cast("dict[str, object]", told[key]) for key in ("current", "next", "last")
    )

    assert [one["activationTime"] for one in (current, following, last)] == [0, 200, 900]
    assert [
        cast("dict[str, int]", one["blobSchedule"])["max"] for one in (current, following, last)
    ] == [6, 9, 21]
    assert "BLS12_G1ADD" not in cast("dict[str, str]", current["precompiles"])
    assert "BLS12_G1ADD" in cast("dict[str, str]", following["precompiles"])
    assert current["systemContracts"] == {
        "BEACON_ROOTS_ADDRESS": "0x000f3df6d732807ef1319fb7b8bb8522d0beac02"
    }
    assert (
        cast("dict[str, str]", last["systemContracts"])["DEPOSIT_CONTRACT_ADDRESS"]
        == "0x" + "de" * 20
    )


def test_nothing_is_told_before_the_first_fork_of_a_time() -> None:
    told = described(50)
    assert told["current"] is None
    assert cast("dict[str, object]", told["next"])["activationTime"] == 0
    assert described(1_000)["next"] is None
    assert described(1_000)["last"] is None


def test_a_fork_id_counts_each_fork_once_and_none_of_genesis() -> None:
    """Given forks at block 0, at one block, and at the time of genesis, when hashed, then only what came later counts."""
    plain = replace(CONFIG, blocks={}, times={})
    berlin = replace(CONFIG, blocks={"berlinBlock": 5}, times={})
    assert fork_id(CONFIG, GENESIS_HASH, 100, 150) == fork_id(berlin, GENESIS_HASH, 100, 150)
    assert fork_id(CONFIG, GENESIS_HASH, 100, 150) != fork_id(plain, GENESIS_HASH, 100, 150)
    assert fork_id(CONFIG, GENESIS_HASH, 100, 200) != fork_id(CONFIG, GENESIS_HASH, 100, 150)


def test_a_rollup_has_its_own_precompiles_and_no_blobs() -> None:
    told = described(150, config=rollup_config(901), rollup=True)
    current = cast("dict[str, object]", told["current"])

    assert (current["chainId"], current["activationTime"]) == (hex(901), 0)
    assert current["blobSchedule"] is None
    assert cast("dict[str, str]", current["precompiles"])["P256VERIFY"] == "0x" + "0" * 37 + "100"
    assert current["systemContracts"] == {
        "BEACON_ROOTS_ADDRESS": "0x000f3df6d732807ef1319fb7b8bb8522d0beac02",
        "HISTORY_STORAGE_ADDRESS": "0x0000f90827f1c53a10cb7a02335b175320002935",
    }
    assert (told["next"], told["last"]) == (None, None)
