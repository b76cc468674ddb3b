"""Which rules are in force, which come next and which last, as `eth_config` tells them (EIP-7910).

    ChainConfig, genesis, the head's time -> describe_forks -> JSON of eth_config

Deliberately absent: the rules. The engine has them; here are the names and addresses by which other clients compare theirs.
"""

from __future__ import annotations

import zlib
from typing import Final

from node.eth.forks import TIME_FORKS, BlobParameters, ChainConfig
from node.eth.primitives import Hash32

PRECOMPILES: Final = {
    "": (
        ("ECREC", 0x01),
        ("SHA256", 0x02),
        ("RIPEMD160", 0x03),
        ("ID", 0x04),
        ("MODEXP", 0x05),
        ("BN254_ADD", 0x06),
        ("BN254_MUL", 0x07),
        ("BN254_PAIRING", 0x08),
        ("BLAKE2F", 0x09),
    ),
    "cancunTime": (("KZG_POINT_EVALUATION", 0x0A),),
    "pragueTime": (
        ("BLS12_G1ADD", 0x0B),
        ("BLS12_G1MSM", 0x0C),
        ("BLS12_G2ADD", 0x0D),
        ("BLS12_G2MSM", 0x0E),
        ("BLS12_PAIRING_CHECK", 0x0F),
        ("BLS12_MAP_FP_TO_G1", 0x10),
        ("BLS12_MAP_FP2_TO_G2", 0x11),
    ),
    "osakaTime": (("P256VERIFY", 0x100),),
}
"""Precompiles by the fork that brings them; those under "" are there since Istanbul."""

SYSTEM_CONTRACTS: Final = {
    "cancunTime": (("BEACON_ROOTS_ADDRESS", "0x000f3df6d732807ef1319fb7b8bb8522d0beac02"),),
    "pragueTime": (
        ("CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS", "0x0000bbddc7ce488642fb579f8b00f3a590007251"),
        ("HISTORY_STORAGE_ADDRESS", "0x0000f90827f1c53a10cb7a02335b175320002935"),
        ("WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS", "0x00000961ef480eb55e80d19ad83579a64c007002"),
    ),
}
"""System contracts by the fork that brings them; the deposit contract, Prague's too, is the chain's own."""

NOT_OF_A_ROLLUP: Final = frozenset(
    {"CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS", "WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS"}
)
"""Prague's contracts of validators, which a rollup has none of."""

ROLLUP_FORKS: Final = ("shanghaiTime", "cancunTime", "pragueTime")
"""Isthmus is Prague; P256VERIFY came earlier to rollups than to L1."""


def rollup_config(chain_id: int) -> ChainConfig:
    """The rules of our rollup, from genesis on: no blobs."""
    times = dict.fromkeys(ROLLUP_FORKS, 0)
    return ChainConfig(
        chain_id=chain_id,
        blocks={},
        times=times,
        terminal_total_difficulty=0,
        dao_fork_support=False,
        blobs={},
    )


def describe_forks(
    config: ChainConfig, genesis_hash: Hash32, genesis_time: int, now: int, *, rollup: bool = False
) -> dict[str, object]:
    """`eth_config`'s answer at a head with the time `now`; null where no fork is that of a time."""
    planned = [key for key in TIME_FORKS if key in config.times]
    passed = [key for key in planned if config.times[key] <= now]
    coming = planned[len(passed) :]

    def described(keys: list[str], place: int) -> dict[str, object] | None:
        if not keys:
            return None
        return _describe(
            config, genesis_hash, genesis_time, config.times[keys[place]], rollup=rollup
        )

    return {
        "current": described(passed, -1),
        "next": described(coming, 0),
        "last": described(coming, -1),
    }


def _describe(
    config: ChainConfig, genesis_hash: Hash32, genesis_time: int, time: int, *, rollup: bool
) -> dict[str, object]:
    active = ["", *(key for key in TIME_FORKS if config.times.get(key, time + 1) <= time)]
    if rollup:
        active.append("osakaTime")
    precompiles = [one for key in active for one in PRECOMPILES.get(key, ())]
    return {
        "activationTime": 0 if time <= genesis_time else time,
        "blobSchedule": _blob_schedule(config.blob_parameters(time)),
        "chainId": hex(config.chain_id),
        "forkId": "0x" + fork_id(config, genesis_hash, genesis_time, time).hex(),
        "precompiles": {name: f"0x{number:040x}" for name, number in precompiles},
        "systemContracts": _system_contracts(config, active, rollup=rollup),
    }


def _system_contracts(config: ChainConfig, active: list[str], *, rollup: bool) -> dict[str, str]:
    found = {name: address for key in active for name, address in SYSTEM_CONTRACTS.get(key, ())}
    if rollup:
        return {name: address for name, address in found.items() if name not in NOT_OF_A_ROLLUP}
    if "pragueTime" in active:
        found["DEPOSIT_CONTRACT_ADDRESS"] = "0x" + config.deposit_contract.hex()
    return dict(sorted(found.items()))


def _blob_schedule(blobs: BlobParameters | None) -> dict[str, int] | None:
    if blobs is None:
        return None
    return {
        "target": blobs.target,
        "max": blobs.max,
        "baseFeeUpdateFraction": blobs.update_fraction,
    }


def fork_id(config: ChainConfig, genesis_hash: Hash32, genesis_time: int, time: int) -> bytes:
    """The hash of a fork identifier (EIP-2124, EIP-6122) once all forks of blocks and those up to a time have passed."""
    checksum = zlib.crc32(genesis_hash)
    blocks = sorted(set(config.blocks.values()) - {0})
    times = sorted({one for one in config.times.values() if genesis_time < one <= time})
    for fork in (*blocks, *times):
        checksum = zlib.crc32(fork.to_bytes(8, "big"), checksum)
    return checksum.to_bytes(4, "big")
