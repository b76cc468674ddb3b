"""Genesis allocations: what a deployment would leave, byte for byte."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode

from node.contracts import addresses
from node.contracts.alloc import (
    DisputeTerms,
    FeeTerms,
    VaultTerms,
    WithdrawalNetwork,
    dispute_allocations,
    l1_allocations,
    l1_messenger_allocations,
    l2_allocations,
    system_config,
)
from node.contracts.artifacts import load
from node.eth.primitives import Address, Hash32
from node.rollup.parameters import RollupParameters
from tests.kit.contract_network import (
    BATCH_LIMIT,
    BATCHER,
    FEE_RECIPIENT,
    FEES,
    GUARDIAN,
    LOCKED_WEI,
    SYSTEM,
    WINDOW,
    WITHDRAWALS,
    Network,
)
from tests.kit.execution_chain import SENDER, address_of

VAULTS = VaultTerms(
    recipient=FEE_RECIPIENT, network=WithdrawalNetwork.L1, minimum_wei=12_345_678_901
)

DISPUTES = DisputeTerms(
    config_hash=Hash32(b"\xc0" * 32),
    anchor_root=Hash32(b"\xa0" * 32),
    window_blocks=6,
    quiet_blocks=3,
    air_gap_blocks=2,
    bond_wei=10**18,
)

DEPLOYMENTS = {
    "Inbox": (
        addresses.INBOX,
        encode(["address", "uint64", "uint256"], [address_of(BATCHER), WINDOW, BATCH_LIMIT]),
    ),
    "Portal": (
        addresses.PORTAL,
        encode(
            ["address", "address", "uint256", "uint256"],
            [addresses.SYSTEM_CONFIG, addresses.ANCHOR_STATE_REGISTRY, 26, 4],
        ),
    ),
    "SystemConfig": (
        addresses.SYSTEM_CONFIG,
        encode(
            [
                "address",
                "uint256",
                *["address"] * 5,
                "bytes32",
                "uint256",
                "uint64",
                *["uint32"] * 3,
                "uint64",
            ],
            [
                address_of(GUARDIAN),
                SYSTEM.pause_expiry_s,
                addresses.PORTAL,
                addresses.DISPUTE_GAME_FACTORY,
                addresses.L1_CROSS_DOMAIN_MESSENGER,
                addresses.L1_STANDARD_BRIDGE,
                addresses.INBOX,
                address_of(BATCHER).rjust(32, b"\0"),
                SYSTEM.l2_chain_id,
                SYSTEM.gas_limit,
                SYSTEM.base_fee_scalar,
                SYSTEM.blob_base_fee_scalar,
                SYSTEM.operator_fee_scalar,
                SYSTEM.operator_fee_constant,
            ],
        ),
    ),
    "AnchorStateRegistry": (
        addresses.ANCHOR_STATE_REGISTRY,
        encode(
            ["address", "address", "bytes32", "uint64"],
            [addresses.SYSTEM_CONFIG, addresses.DISPUTE_GAME_FACTORY, DISPUTES.anchor_root, 2],
        ),
    ),
    "DisputeGameFactory": (
        addresses.DISPUTE_GAME_FACTORY,
        encode(
            ["address", "address", "uint256"],
            [addresses.NATIVE_FAULT_GAME, addresses.BOND_VAULT, DISPUTES.bond_wei],
        ),
    ),
    "NativeFaultGame": (
        addresses.NATIVE_FAULT_GAME,
        encode(
            [*["address"] * 5, "bytes32", "uint64", "uint64"],
            [
                addresses.DISPUTE_GAME_FACTORY,
                addresses.ANCHOR_STATE_REGISTRY,
                addresses.BOND_VAULT,
                addresses.ROOT_REGISTRY,
                addresses.INBOX,
                DISPUTES.config_hash,
                6,
                3,
            ],
        ),
    ),
    "RootRegistry": (addresses.ROOT_REGISTRY, b""),
    "BondVault": (
        addresses.BOND_VAULT,
        encode(
            ["address", "address", "uint64"],
            [addresses.DISPUTE_GAME_FACTORY, addresses.SYSTEM_CONFIG, 2],
        ),
    ),
    "WETH": (addresses.WETH, b""),
    "GasPriceOracle": (addresses.GAS_PRICE_ORACLE, b""),
    "L1Block": (addresses.L1_BLOCK, b""),
    "L2ToL1MessagePasser": (addresses.MESSAGE_PASSER, b""),
    "L1CrossDomainMessenger": (
        addresses.L1_CROSS_DOMAIN_MESSENGER,
        encode(
            ["address"] * 3,
            [addresses.L2_CROSS_DOMAIN_MESSENGER, addresses.PORTAL, addresses.SYSTEM_CONFIG],
        ),
    ),
    "L1StandardBridge": (
        addresses.L1_STANDARD_BRIDGE,
        encode(
            ["address"] * 3,
            [
                addresses.L1_CROSS_DOMAIN_MESSENGER,
                addresses.L2_STANDARD_BRIDGE,
                addresses.SYSTEM_CONFIG,
            ],
        ),
    ),
    "L2CrossDomainMessenger": (
        addresses.L2_CROSS_DOMAIN_MESSENGER,
        encode(["address"], [addresses.L1_CROSS_DOMAIN_MESSENGER]),
    ),
    "L2StandardBridge": (
        addresses.L2_STANDARD_BRIDGE,
        encode(
            ["address"] * 2, [addresses.L2_CROSS_DOMAIN_MESSENGER, addresses.L1_STANDARD_BRIDGE]
        ),
    ),
    "OptimismMintableERC20Factory": (
        addresses.MINTABLE_ERC20_FACTORY,
        encode(["address"] * 2, [addresses.L2_STANDARD_BRIDGE, addresses.TOKEN_BLUEPRINT]),
    ),
    "FeeVault": (
        addresses.L1_FEE_VAULT,
        encode(["address", "uint256", "uint8"], [FEE_RECIPIENT, 12_345_678_901, 0]),
    ),
}
"""Address at genesis and constructor arguments, by contract."""

EMPTY_ROOT = "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
"""Root of a trie without entries."""


def allocations() -> dict[str, dict[str, object]]:
    """Everything that the contracts need at genesis."""
    return (
        l1_allocations(
            batcher=address_of(BATCHER),
            sequencing_window_blocks=WINDOW,
            batch_limit_bytes=BATCH_LIMIT,
            locked_wei=LOCKED_WEI,
            withdrawals=WITHDRAWALS,
        )
        | system_config(SYSTEM)
        | dispute_allocations(DISPUTES)
        | l1_messenger_allocations()
        | l2_allocations(fees=FEES, vaults=VAULTS)
    )


@pytest.mark.parametrize("name", sorted(DEPLOYMENTS))
def test_genesis_is_what_a_deployment_leaves(name: str) -> None:
    """Given the constructor's own run, then code, nonce and storage are those of the allocation."""
    network = Network.open(vaults=VAULTS, extra_accounts=dispute_allocations(DISPUTES))
    world = network.world
    address, arguments = DEPLOYMENTS[name]

    receipt = world.send(SENDER, None, load(name).init + arguments)

    assert receipt.succeeded
    assert receipt.contract is not None
    state = world.chain.head.state_root
    deployed = world.chain.engine.account(state, receipt.contract)
    allocated = world.chain.engine.account(state, address)
    assert deployed is not None
    assert allocated is not None
    assert world.code(receipt.contract) == world.code(address)
    assert deployed.nonce == allocated.nonce == 1
    assert deployed.storage_root.hex() == EMPTY_ROOT
    if name != "L1Block":
        assert allocated.storage_root.hex() == EMPTY_ROOT


def test_every_contract_is_deployed_in_a_test_and_has_an_address() -> None:
    named = {**addresses.L1_CONTRACTS, **addresses.L2_CONTRACTS}
    assert {"0x" + address.hex() for address in named.values()} == set(allocations())
    assert {address for address, _ in DEPLOYMENTS.values()} <= set(named.values())


def test_addresses_are_those_of_the_rules() -> None:
    parameters = RollupParameters(batcher=address_of(BATCHER), sequencer_key=bytes(32))
    assert (parameters.inbox, parameters.portal) == (addresses.INBOX, addresses.PORTAL)
    assert set(addresses.FEE_VAULTS) < set(addresses.L2_CONTRACTS.values())


def test_the_blueprint_is_init_code_that_nobody_can_call() -> None:
    """Given the token's blueprint, then its first byte is INVALID and its init code stands behind EIP-5202's prefix."""
    account = allocations()["0x" + addresses.TOKEN_BLUEPRINT.hex()]
    init = load("OptimismMintableERC20").init
    assert account["code"] == "0xfe7100" + init.hex()
    network = Network.open()
    assert not network.world.send(SENDER, addresses.TOKEN_BLUEPRINT).succeeded


def test_all_vaults_have_the_same_code() -> None:
    accounts = allocations()
    codes = {accounts["0x" + vault.hex()]["code"] for vault in addresses.FEE_VAULTS}
    assert len(codes) == 1


def test_the_portal_holds_what_it_is_given() -> None:
    accounts = allocations()
    assert accounts["0x" + addresses.PORTAL.hex()]["balance"] == hex(LOCKED_WEI)
    others = [account["balance"] for account in accounts.values() if account["balance"] != "0x0"]
    assert others == [hex(LOCKED_WEI)]


def test_zeros_are_no_storage() -> None:
    """Given no fees at all, then no slot is written: an empty word in a genesis file would change its root."""
    free = FeeTerms(
        l1_base_fee_wei=0,
        l1_base_fee_scalar=0,
        l1_blob_base_fee_scalar=0,
        operator_fee_scalar=0,
        operator_fee_constant=0,
        l1_blob_base_fee_wei=0,
    )
    accounts = l2_allocations(fees=free, vaults=VAULTS)
    assert all("storage" not in account for account in accounts.values())


def test_fee_terms_are_those_of_l1_s_genesis() -> None:
    """Given the terms as genesis has them, then L1Block answers with them before any attributes deposit."""
    network = Network.open()
    world, l1_block = network.world, network.l1_block
    assert world.read(l1_block, "basefee") == FEES.l1_base_fee_wei
    assert world.read(l1_block, "blobBaseFee") == FEES.l1_blob_base_fee_wei
    assert world.read(l1_block, "baseFeeScalar") == FEES.l1_base_fee_scalar
    assert world.read(l1_block, "blobBaseFeeScalar") == FEES.l1_blob_base_fee_scalar
    assert world.read(l1_block, "operatorFeeScalar") == FEES.operator_fee_scalar
    assert world.read(l1_block, "operatorFeeConstant") == FEES.operator_fee_constant


@pytest.mark.parametrize("limit", [0, -1, 32_769])
def test_a_batch_limit_that_the_bytecode_cannot_hold_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match=rf"batch_limit_bytes: {limit}, not 1\.\.32768"):
        l1_allocations(
            batcher=Address(bytes(20)),
            sequencing_window_blocks=WINDOW,
            batch_limit_bytes=limit,
            locked_wei=0,
        )


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Inbox", encode(["address", "uint64", "uint256"], [bytes(20), WINDOW, 32_769])),
        ("FeeVault", encode(["address", "uint256", "uint8"], [bytes(20), 0, 2])),
        ("DisputeGameFactory", encode(["address", "address", "uint256"], [bytes(20)] * 2 + [0])),
        (
            "AnchorStateRegistry",
            encode(
                ["address", "address", "bytes32", "uint64"], [bytes(20), bytes(20), bytes(32), 2]
            ),
        ),
    ],
)
def test_constructors_refuse_what_allocations_refuse(name: str, arguments: bytes) -> None:
    network = Network.open()
    assert not network.world.send(SENDER, None, load(name).init + arguments).succeeded
