"""A new rollup's genesis: the L2's own document, and what L1's genesis says of it.

    manifest + keys -> RollupParameters -> l2-genesis.json (geth's format, `rollup`) -> its block's output
                                        -> L1: `rollup` with that block's hash, Inbox, Portal and what it holds,
                                           messengers and bridges, and the contracts of disputes, anchored at that output

What L2 prefunds, the portal holds on L1: nothing on L2 is without cover, not even at the start.
Deliberately absent: the contracts' codes and storage (node.contracts.alloc), and the genesis block (the engine computes it).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from deploy.accounts import ACCOUNT_BALANCE_WEI, FundedAccount
from deploy.bridge_terms import bridge_terms
from deploy.keys import RollupSecrets
from deploy.manifest import Manifest
from deploy.published import L1_CHAIN_ID, L1_ONLY, L2_CHAIN_ID, published_contracts
from node.contracts import alloc
from node.contracts.addresses import SEQUENCER_FEE_VAULT
from node.contracts.alloc import (
    DisputeTerms,
    FeeTerms,
    SystemTerms,
    VaultTerms,
    WithdrawalTerms,
)
from node.eth.forks import BLOCK_FORKS
from node.eth.primitives import Address, Hash32
from node.rollup.headers import EXTRA_DATA
from node.rollup.parameters import L2_GENESIS_HASH_KEY, RollupParameters

BATCHER_BALANCE_WEI: Final = 10_000 * 10**18
"""What the batcher has on L1: a full batch costs about 0.0015 ETH at 1 gwei."""

FORCER_BALANCE_WEI: Final = 100 * 10**18
"""What each process that may force blocks has on L1 to do it with."""

PROPOSER_BALANCE_WEI: Final = 10_000 * 10**18
"""What claims outputs has on L1: a bond for each output whose window is open, and the gas."""

RELAYER_BALANCE_WEI: Final = 1_000 * 10**18
"""What proves and finalizes withdrawals of others has on L1."""

CHALLENGER_BALANCE_WEI: Final = 1_000 * 10**18
"""What proves claims wrong has on L1: it needs gas alone, no bond."""

GUARDIAN_BALANCE_WEI: Final = 100 * 10**18
"""What may pause the bridge has on L1."""

L2_FORK_BLOCKS: Final = (
    *(key for key in BLOCK_FORKS if key != "daoForkBlock"),
    "bedrockBlock",
)
"""Forks by block number; all active from the start."""

L2_FORK_TIMES: Final = (
    "shanghaiTime",
    "cancunTime",
    "pragueTime",
    "regolithTime",
    "canyonTime",
    "ecotoneTime",
    "fjordTime",
    "graniteTime",
    "holoceneTime",
    "isthmusTime",
)
"""Forks by time: Prague, and the OP Stack's to Isthmus; all active from the start."""


def rollup_parameters(manifest: Manifest, secrets: RollupSecrets) -> RollupParameters:
    """The rollup's constants: what the manifest chooses, the network's keys, and defaults."""
    return RollupParameters(
        chain_id=L2_CHAIN_ID,
        l1_chain_id=L1_CHAIN_ID,
        batcher=_address(secrets.batcher_account),
        sequencer_key=secrets.sequencer_key,
        sequencing_window_blocks=manifest.l2.sequencing_window_blocks,
        max_drift_seconds=manifest.l2.max_drift_s,
        gas_limit=manifest.l2.gas_limit,
        witness_limit_bytes=manifest.l2.witness_limit_bytes,
        base_fee_wei=manifest.l2.base_fee_wei,
    )


def l2_genesis(
    parameters: RollupParameters,
    accounts: Sequence[FundedAccount],
    *,
    time: int,
    l1_base_fee_wei: int,
) -> dict[str, object]:
    """The L2's genesis document.

    Args:
        parameters: the rollup's constants.
        accounts: whom to fund, besides address zero, in whose name tools estimate gas.
        time: L1's genesis time, seconds since the epoch of Unix.
        l1_base_fee_wei: base fee of L1's genesis block.
    """
    terms = FeeTerms(
        l1_base_fee_wei=l1_base_fee_wei,
        l1_base_fee_scalar=parameters.l1_base_fee_scalar,
        l1_blob_base_fee_scalar=parameters.l1_blob_base_fee_scalar,
        operator_fee_scalar=parameters.operator_fee_scalar,
        operator_fee_constant=parameters.operator_fee_constant,
    )
    # Fees pay for batches: all vaults pay the batcher, on L2.
    predeploys = alloc.l2_allocations(fees=terms, vaults=VaultTerms(recipient=parameters.batcher))
    return {
        "config": _chain_config(),
        "nonce": "0x0",
        "timestamp": hex(time),
        "extraData": "0x" + EXTRA_DATA.hex(),
        "gasLimit": hex(parameters.gas_limit),
        "difficulty": "0x0",
        "mixHash": "0x" + "00" * 32,
        "coinbase": "0x" + SEQUENCER_FEE_VAULT.hex(),
        "alloc": _l2_accounts(accounts) | predeploys,
        "number": "0x0",
        "gasUsed": "0x0",
        "parentHash": "0x" + "00" * 32,
        "baseFeePerGas": hex(parameters.base_fee_wei),
        "excessBlobGas": "0x0",
        "blobGasUsed": "0x0",
        "rollup": parameters.document(),
    }


def l1_rollup(parameters: RollupParameters, l2_genesis_hash: Hash32) -> dict[str, object]:
    """The object `rollup` of L1's genesis document."""
    return {**parameters.document(), L2_GENESIS_HASH_KEY: "0x" + l2_genesis_hash.hex()}


def l1_allocations(
    manifest: Manifest,
    secrets: RollupSecrets,
    l2_document: dict[str, object],
    l2_genesis_root: Hash32,
) -> dict[str, object]:
    """What a rollup needs on L1: its contracts, and the accounts that pay for its transactions.

    Args:
        manifest: what the network is.
        secrets: its keys.
        l2_document: the L2's genesis document.
        l2_genesis_root: output root of the block that it gives.
    """
    parameters, terms = rollup_parameters(manifest, secrets), bridge_terms(manifest)
    balances = {
        secrets.batcher_account.address: BATCHER_BALANCE_WEI,
        secrets.proposer_account.address: PROPOSER_BALANCE_WEI,
        secrets.relayer_account.address: RELAYER_BALANCE_WEI,
        secrets.challenger_account.address: CHALLENGER_BALANCE_WEI,
        secrets.guardian_account.address: GUARDIAN_BALANCE_WEI,
        **{account.address: FORCER_BALANCE_WEI for account in secrets.forcer_accounts},
    }
    funded: dict[str, object] = {
        address: {"balance": hex(balance_wei)} for address, balance_wei in balances.items()
    }
    contracts = alloc.l1_allocations(
        batcher=parameters.batcher,
        sequencing_window_blocks=parameters.sequencing_window_blocks,
        batch_limit_bytes=parameters.batch_limit_bytes,
        locked_wei=l2_supply_wei(l2_document),
        withdrawals=WithdrawalTerms(
            proof_maturity_s=terms.proof_maturity_s,
            finality_delay_s=manifest.bridge.air_gap_s,
        ),
    )
    disputes = DisputeTerms(
        config_hash=parameters.config_hash(),
        anchor_root=l2_genesis_root,
        window_blocks=terms.window_blocks,
        quiet_blocks=terms.quiet_blocks,
        air_gap_blocks=terms.air_gap_blocks,
        bond_wei=terms.bond_wei,
    )
    return {
        **funded,
        **contracts,
        **alloc.system_config(_system_terms(parameters, secrets)),
        **alloc.dispute_allocations(disputes),
        **alloc.l1_messenger_allocations(),
    }


def _system_terms(parameters: RollupParameters, secrets: RollupSecrets) -> SystemTerms:
    return SystemTerms(
        guardian=_address(secrets.guardian_account),
        batcher=parameters.batcher,
        l2_chain_id=parameters.chain_id,
        gas_limit=parameters.gas_limit,
        base_fee_scalar=parameters.l1_base_fee_scalar,
        blob_base_fee_scalar=parameters.l1_blob_base_fee_scalar,
        operator_fee_scalar=parameters.operator_fee_scalar,
        operator_fee_constant=parameters.operator_fee_constant,
    )


def l2_supply_wei(l2_document: dict[str, object]) -> int:
    """Everything that an L2 genesis document gives away."""
    allocations = l2_document["alloc"]
    assert isinstance(allocations, dict)
    return sum(int(account.get("balance", "0x0"), 16) for account in allocations.values())


def _chain_config() -> dict[str, object]:
    config: dict[str, object] = {"chainId": L2_CHAIN_ID}
    config.update(dict.fromkeys(L2_FORK_BLOCKS, 0))
    config.update(dict.fromkeys(L2_FORK_TIMES, 0))
    config["terminalTotalDifficulty"] = 0
    config["terminalTotalDifficultyPassed"] = True
    denominator, elasticity = (int.from_bytes(EXTRA_DATA[at : at + 4]) for at in (1, 5))
    config["optimism"] = {
        "eip1559Elasticity": elasticity,
        "eip1559Denominator": denominator,
        "eip1559DenominatorCanyon": denominator,
    }
    return config


def _l2_accounts(accounts: Sequence[FundedAccount]) -> dict[str, object]:
    allocations: dict[str, object] = {"0x" + "00" * 20: {"balance": hex(ACCOUNT_BALANCE_WEI)}}
    for account in accounts:
        allocations[account.address] = {"balance": hex(ACCOUNT_BALANCE_WEI)}
    for contract in published_contracts():
        if contract.name not in L1_ONLY:
            allocations[contract.address] = {
                "balance": "0x0",
                "nonce": "0x1",
                "code": contract.code,
            }
    return allocations


def _address(account: FundedAccount) -> Address:
    return Address(bytes.fromhex(account.address.removeprefix("0x")))
