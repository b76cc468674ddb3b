"""A new network's genesis: geth's format, and beside it the `consensus` object that node.consensus.genesis reads.

    manifest + validators + published codes + start -> genesis document -> genesis.json
    (with an L2: deploy.rollup_genesis adds the object `rollup` and what the rollup needs on L1)

Deliberately absent: the genesis block. The engine computes it from the document, in every process anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from pydantic import JsonValue

from deploy.accounts import ACCOUNT_BALANCE_WEI, FundedAccount
from deploy.keys import RollupSecrets, ValidatorSecret
from deploy.manifest import Manifest
from deploy.published import L1_CHAIN_ID, published_contracts
from deploy.rollup_genesis import l1_allocations, l1_rollup, l2_genesis, rollup_parameters
from node.consensus.genesis import Genesis, GenesisValidator, genesis_document
from node.consensus.parameters import Parameters
from node.consensus.randao import onion_tip
from node.eth.forks import BLOCK_FORKS
from node.eth.primitives import Address
from node.rollup.outputs import Output

GAS_LIMIT: Final = 120_000_000
"""Gas of an L1 block: room for several STEPs."""

BASE_FEE_WEI: Final = 10**9
"""Base fee of the genesis block; it falls from there while nobody transacts."""

DEPOSIT_CONTRACT: Final = "0x00000000219ab540356cBB839Cbe05303d7705Fa"
"""Where EIP-6110 looks for deposits: mainnet's address."""

DEPOSIT_TREE_DEPTH: Final = 32
"""Levels of the deposit contract's Merkle tree."""

ZERO_HASHES_SLOT: Final = 33
"""First storage slot of its `zero_hashes`: 32 words of `branch` and the counter lie before it."""

WITHDRAWAL_ACCOUNT_BALANCE_WEI: Final = 10**18
"""What a validator's withdrawal account has at genesis, enough to ask for an exit."""

FORK_BLOCKS: Final = tuple(key for key in BLOCK_FORKS if key != "daoForkBlock")
"""Forks by block number; all active from the start. There was no DAO here."""

FORK_TIMES: Final = (
    "shanghaiTime",
    "cancunTime",
    "pragueTime",
    "osakaTime",
    "bpo1Time",
    "bpo2Time",
)
"""Forks by time; all active from the start."""

BLOB_SCHEDULE: Final[dict[str, JsonValue]] = {
    "cancun": {"target": 3, "max": 6, "baseFeeUpdateFraction": 3_338_477},
    "prague": {"target": 6, "max": 9, "baseFeeUpdateFraction": 5_007_716},
    "osaka": {"target": 6, "max": 9, "baseFeeUpdateFraction": 5_007_716},
    "bpo1": {"target": 10, "max": 15, "baseFeeUpdateFraction": 8_346_193},
    "bpo2": {"target": 14, "max": 21, "baseFeeUpdateFraction": 11_684_671},
}
"""Mainnet's blob parameters (EIP-7691, EIP-7892)."""


def zero_hashes() -> list[bytes]:
    """Roots of empty deposit trees by height, as the deposit contract's constructor computes them."""
    hashes = [bytes(32)]
    while len(hashes) < DEPOSIT_TREE_DEPTH:
        hashes.append(hashlib.sha256(hashes[-1] * 2).digest())
    return hashes


def consensus_genesis(
    manifest: Manifest, validators: Sequence[ValidatorSecret], start: int
) -> Genesis:
    """What consensus starts with.

    Args:
        manifest: the network's constants.
        validators: the first set, by index.
        start: when the first block is due, seconds since the epoch of Unix.
    """
    slots_per_epoch = manifest.network.slots_per_epoch
    parameters = Parameters(
        slot_seconds=manifest.network.slot_seconds,
        slots_per_epoch=slots_per_epoch,
        lookahead_slots=max(4, 2 * slots_per_epoch),
    )
    return Genesis(
        parameters=parameters,
        validators=tuple(
            GenesisValidator(
                public_key=validator.public_key,
                withdrawal_address=Address(
                    bytes.fromhex(validator.withdrawal_account.address.removeprefix("0x"))
                ),
                commitment=onion_tip(validator.onion_seed, 0, parameters.onion_layers),
            )
            for validator in validators
        ),
        chain_id=L1_CHAIN_ID,
        time=start - parameters.first_proposal_slot * parameters.slot_seconds,
    )


def new_documents(
    manifest: Manifest,
    validators: Sequence[ValidatorSecret],
    rollup: RollupSecrets,
    accounts: Sequence[FundedAccount],
    start: int,
    output_of: Callable[[dict[str, object]], Output],
) -> tuple[dict[str, object], dict[str, object] | None]:
    """Both genesis documents, L1's and the L2's; None in place of the second where the manifest has no rollup.

    Args:
        manifest: the network's constants.
        validators: the first set, by index.
        rollup: keys of the rollup.
        accounts: whom to fund on both chains.
        start: when L1's first block is due, seconds since the epoch of Unix.
        output_of: the output of the block that an L2 genesis document gives.
    """
    l1_document = new_genesis(manifest, validators, accounts, start)
    if not manifest.l2.enabled:
        return l1_document, None
    parameters = rollup_parameters(manifest, rollup)
    time = consensus_genesis(manifest, validators, start).time
    l2_document = l2_genesis(parameters, accounts, time=time, l1_base_fee_wei=BASE_FEE_WEI)
    allocations = l1_document["alloc"]
    assert isinstance(allocations, dict)
    output = output_of(l2_document)
    added = {
        "alloc": allocations | l1_allocations(manifest, rollup, l2_document, output.root()),
        "rollup": l1_rollup(parameters, output.block_hash),
    }
    return l1_document | added, l2_document


def new_genesis(
    manifest: Manifest,
    validators: Sequence[ValidatorSecret],
    accounts: Sequence[FundedAccount],
    start: int,
) -> dict[str, object]:
    """L1's genesis document without a rollup; arguments as for `consensus_genesis`, and the accounts to fund."""
    genesis = consensus_genesis(manifest, validators, start)
    return {
        "config": _chain_config(),
        "nonce": "0x0",
        "timestamp": hex(genesis.time),
        "extraData": "0x" + genesis.extra_data.hex(),
        "gasLimit": hex(GAS_LIMIT),
        "difficulty": "0x0",
        "mixHash": "0x" + "00" * 32,
        "coinbase": "0x" + "00" * 20,
        "alloc": _allocations(validators, accounts),
        "number": "0x0",
        "gasUsed": "0x0",
        "parentHash": "0x" + "00" * 32,
        "baseFeePerGas": hex(BASE_FEE_WEI),
        "excessBlobGas": "0x0",
        "blobGasUsed": "0x0",
        "consensus": genesis_document(genesis),
    }


def _chain_config() -> dict[str, object]:
    config: dict[str, object] = {"chainId": L1_CHAIN_ID}
    config.update(dict.fromkeys(FORK_BLOCKS, 0))
    config.update(dict.fromkeys(FORK_TIMES, 0))
    config["terminalTotalDifficulty"] = 0
    config["terminalTotalDifficultyPassed"] = True
    config["depositContractAddress"] = DEPOSIT_CONTRACT
    config["blobSchedule"] = BLOB_SCHEDULE
    return config


def _allocations(
    validators: Sequence[ValidatorSecret], accounts: Sequence[FundedAccount]
) -> dict[str, object]:
    # address(0): viem estimates gas in its name where a call has no sender.
    allocations: dict[str, object] = {"0x" + "00" * 20: {"balance": hex(ACCOUNT_BALANCE_WEI)}}
    for account in accounts:
        allocations[account.address] = {"balance": hex(ACCOUNT_BALANCE_WEI)}
    for validator in validators:
        allocations[validator.withdrawal_account.address] = {
            "balance": hex(WITHDRAWAL_ACCOUNT_BALANCE_WEI)
        }
    for contract in published_contracts():
        allocations[contract.address] = {"balance": "0x0", "nonce": "0x1", "code": contract.code}
        if contract.address == DEPOSIT_CONTRACT:
            allocations[contract.address] = {
                "balance": "0x0",
                "nonce": "0x1",
                "code": contract.code,
                "storage": {
                    f"0x{ZERO_HASHES_SLOT + height:064x}": "0x" + word.hex()
                    for height, word in enumerate(zero_hashes())
                    if height > 0
                },
            }
    return allocations
