"""Genesis allocations of the network's contracts: what a deployment would leave, without deploying.

    rollup's constants -> l1_allocations, l2_allocations -> `alloc` of the genesis documents (geth's format)

Code is the compiled runtime followed by its immutables; a test compares it with a real deployment, storage included.
No contract has anything to initialise: storage of zeros is the start. L1Block alone begins with the fees' terms, so
that L2 blocks before the first attributes deposit charge what later ones do.
Deliberately absent: funded accounts, and published contracts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from node.contracts import addresses
from node.contracts.artifacts import load
from node.eth.primitives import Address, Hash32

MAX_BATCH_LIMIT_BYTES: Final = 32_768
"""Longest batch that the Inbox's bytecode has room for."""


BLUEPRINT_PREFIX: Final = b"\xfe\x71\x00"
"""What stands before init code that is kept for others to deploy (EIP-5202, version 0): it can't be called."""


class WithdrawalNetwork(IntEnum):
    """Where a fee vault pays to, as the OP Stack numbers it."""

    L1 = 0
    """Through the message passer, like any withdrawal."""
    L2 = 1
    """By a call on L2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeTerms:
    """What L2 transactions pay besides their gas, until the first attributes deposit says it anew."""

    l1_base_fee_wei: int
    """Base fee of L1's genesis block."""
    l1_base_fee_scalar: int
    """Millionths."""
    l1_blob_base_fee_scalar: int
    """Millionths."""
    operator_fee_scalar: int
    """Millionths of a wei for each gas."""
    operator_fee_constant: int
    """Wei for each transaction."""
    l1_blob_base_fee_wei: int = 1
    """Blob base fee of L1's genesis block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultTerms:
    """To whom, where and from which amount on the fee vaults pay."""

    recipient: Address
    """20 bytes."""
    network: WithdrawalNetwork = WithdrawalNetwork.L2
    """Where."""
    minimum_wei: int = 10**16
    """Least that is paid out at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalTerms:
    """How long withdrawals wait in the Portal."""

    proof_maturity_s: int = 26
    """Seconds that a proof must be older than."""
    finality_delay_s: int = 4
    """Seconds of the air gap behind a game's end, for those who ask; the registry itself counts blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemTerms:
    """What SystemConfig says of the rollup, and who may pause withdrawals."""

    guardian: Address
    """May pause; 20 bytes."""
    batcher: Address
    """May append batches; 20 bytes."""
    l2_chain_id: int
    """EIP-155."""
    gas_limit: int
    """Of an L2 block."""
    base_fee_scalar: int
    """Millionths."""
    blob_base_fee_scalar: int
    """Millionths."""
    operator_fee_scalar: int
    """Millionths of a wei for each gas."""
    operator_fee_constant: int
    """Wei for each transaction."""
    pause_expiry_s: int = 7_884_000
    """Seconds after which a pause ends by itself: three months, as the OP Stack has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeTerms:
    """What claims about the L2 are judged by, how long they can be disputed, and what they cost."""

    config_hash: Hash32
    """Names the rules of the L2: `RollupParameters.config_hash`."""
    anchor_root: Hash32
    """Output root of the L2's genesis block."""
    window_blocks: int
    """L1 blocks after a game's own that have to be final before it stands."""
    quiet_blocks: int
    """L1 blocks after that of the last fault of any game that have to be final before a game stands."""
    air_gap_blocks: int
    """L1 blocks after a game's end before it counts and before its bond is paid."""
    bond_wei: int
    """What a game costs."""


def l1_allocations(
    *,
    batcher: Address,
    sequencing_window_blocks: int,
    batch_limit_bytes: int,
    locked_wei: int,
    withdrawals: WithdrawalTerms = WithdrawalTerms(),
) -> dict[str, dict[str, object]]:
    """Inbox and Portal.

    Args:
        batcher: who may append.
        sequencing_window_blocks: L1 blocks after which anyone may force an origin.
        batch_limit_bytes: most bytes of a batch.
        locked_wei: what the portal holds at the start: all that L2's genesis gives away.
        withdrawals: how long they wait.
    """
    if not 0 < batch_limit_bytes <= MAX_BATCH_LIMIT_BYTES:
        raise ValueError(f"batch_limit_bytes: {batch_limit_bytes}, not 1..{MAX_BATCH_LIMIT_BYTES}")
    inbox = load("Inbox").code(
        batcher=batcher, sequencingWindow=sequencing_window_blocks, batchLimit=batch_limit_bytes
    )
    constants: dict[str, bytes | int] = {
        "withdrawals.systemConfig": addresses.SYSTEM_CONFIG,
        "withdrawals.anchorStateRegistry": addresses.ANCHOR_STATE_REGISTRY,
        "withdrawals.proofMaturityDelaySeconds": withdrawals.proof_maturity_s,
        "withdrawals.disputeGameFinalityDelaySeconds": withdrawals.finality_delay_s,
    }
    portal = load("Portal").code(**constants)
    return {
        _hex(addresses.INBOX): _account(inbox),
        _hex(addresses.PORTAL): _account(portal, balance_wei=locked_wei),
    }


def system_config(terms: SystemTerms) -> dict[str, dict[str, object]]:
    """SystemConfig: the rollup's constants for tools, and the guardian's pause."""
    code = load("SystemConfig").code(
        guardian=terms.guardian,
        pauseExpiry=terms.pause_expiry_s,
        optimismPortal=addresses.PORTAL,
        disputeGameFactory=addresses.DISPUTE_GAME_FACTORY,
        l1CrossDomainMessenger=addresses.L1_CROSS_DOMAIN_MESSENGER,
        l1StandardBridge=addresses.L1_STANDARD_BRIDGE,
        batchInbox=addresses.INBOX,
        batcherHash=terms.batcher,
        l2ChainId=terms.l2_chain_id,
        gasLimit=terms.gas_limit,
        basefeeScalar=terms.base_fee_scalar,
        blobbasefeeScalar=terms.blob_base_fee_scalar,
        operatorFeeScalar=terms.operator_fee_scalar,
        operatorFeeConstant=terms.operator_fee_constant,
    )
    return {_hex(addresses.SYSTEM_CONFIG): _account(code)}


def l1_messenger_allocations() -> dict[str, dict[str, object]]:
    """L1's messenger and standard bridge; the rest of the network stands where it always does."""
    messenger = load("L1CrossDomainMessenger").code(
        **{"messaging.otherMessenger": addresses.L2_CROSS_DOMAIN_MESSENGER},
        portal=addresses.PORTAL,
        systemConfig=addresses.SYSTEM_CONFIG,
    )
    bridge = load("L1StandardBridge").code(
        **_bridge_ends(addresses.L1_CROSS_DOMAIN_MESSENGER, addresses.L2_STANDARD_BRIDGE),
        systemConfig=addresses.SYSTEM_CONFIG,
    )
    return {
        _hex(addresses.L1_CROSS_DOMAIN_MESSENGER): _account(messenger),
        _hex(addresses.L1_STANDARD_BRIDGE): _account(bridge),
    }


def dispute_allocations(terms: DisputeTerms) -> dict[str, dict[str, object]]:
    """Registries, factory, the code of all games and the vault of their bonds: all storage is empty."""
    if terms.bond_wei <= 0 or not any(terms.anchor_root):
        raise ValueError("a bond of nothing or an anchor of zero makes every claim free")
    game = load("NativeFaultGame").code(
        disputeGameFactory=addresses.DISPUTE_GAME_FACTORY,
        anchorStateRegistry=addresses.ANCHOR_STATE_REGISTRY,
        bondVault=addresses.BOND_VAULT,
        rootRegistry=addresses.ROOT_REGISTRY,
        inbox=addresses.INBOX,
        configHash=terms.config_hash,
        windowBlocks=terms.window_blocks,
        quietBlocks=terms.quiet_blocks,
    )
    factory = load("DisputeGameFactory").code(
        gameImplementation=addresses.NATIVE_FAULT_GAME,
        bondVault=addresses.BOND_VAULT,
        bond=terms.bond_wei,
    )
    registry = load("AnchorStateRegistry").code(
        systemConfig=addresses.SYSTEM_CONFIG,
        disputeGameFactory=addresses.DISPUTE_GAME_FACTORY,
        startingRoot=terms.anchor_root,
        airGapBlocks=terms.air_gap_blocks,
    )
    vault = load("BondVault").code(
        disputeGameFactory=addresses.DISPUTE_GAME_FACTORY,
        systemConfig=addresses.SYSTEM_CONFIG,
        delayBlocks=terms.air_gap_blocks,
    )
    return {
        _hex(addresses.ANCHOR_STATE_REGISTRY): _account(registry),
        _hex(addresses.DISPUTE_GAME_FACTORY): _account(factory),
        _hex(addresses.NATIVE_FAULT_GAME): _account(game),
        _hex(addresses.ROOT_REGISTRY): _account(load("RootRegistry").code()),
        _hex(addresses.BOND_VAULT): _account(vault),
    }


def l2_allocations(*, fees: FeeTerms, vaults: VaultTerms) -> dict[str, dict[str, object]]:
    """The predeploys of L2."""
    vault = load("FeeVault").code(
        RECIPIENT=vaults.recipient,
        MIN_WITHDRAWAL_AMOUNT=vaults.minimum_wei,
        WITHDRAWAL_NETWORK=vaults.network,
    )
    return {
        _hex(addresses.WETH): _account(load("WETH").code()),
        _hex(addresses.GAS_PRICE_ORACLE): _account(load("GasPriceOracle").code()),
        _hex(addresses.L1_BLOCK): _account(load("L1Block").code(), storage=_l1_block_storage(fees)),
        _hex(addresses.MESSAGE_PASSER): _account(load("L2ToL1MessagePasser").code()),
        **{_hex(address): _account(vault) for address in addresses.FEE_VAULTS},
        **_l2_messenger_allocations(),
    }


def _l2_messenger_allocations() -> dict[str, dict[str, object]]:
    messenger = load("L2CrossDomainMessenger").code(
        **{"messaging.otherMessenger": addresses.L1_CROSS_DOMAIN_MESSENGER}
    )
    bridge = load("L2StandardBridge").code(
        **_bridge_ends(addresses.L2_CROSS_DOMAIN_MESSENGER, addresses.L1_STANDARD_BRIDGE)
    )
    factory = load("OptimismMintableERC20Factory").code(
        bridge=addresses.L2_STANDARD_BRIDGE, _BLUEPRINT=addresses.TOKEN_BLUEPRINT
    )
    blueprint = BLUEPRINT_PREFIX + load("OptimismMintableERC20").init
    return {
        _hex(addresses.L2_CROSS_DOMAIN_MESSENGER): _account(messenger),
        _hex(addresses.L2_STANDARD_BRIDGE): _account(bridge),
        _hex(addresses.MINTABLE_ERC20_FACTORY): _account(factory),
        _hex(addresses.TOKEN_BLUEPRINT): _account(blueprint),
    }


def _bridge_ends(messenger: Address, other_bridge: Address) -> dict[str, bytes | int]:
    return {"bridging.messenger": messenger, "bridging.otherBridge": other_bridge}


def _l1_block_storage(fees: FeeTerms) -> dict[int, int]:
    return {
        1: fees.l1_base_fee_wei,
        3: fees.l1_base_fee_scalar << 96 | fees.l1_blob_base_fee_scalar << 64,
        7: fees.l1_blob_base_fee_wei,
        8: fees.operator_fee_scalar << 64 | fees.operator_fee_constant,
    }


def _account(
    code: bytes, *, balance_wei: int = 0, storage: Mapping[int, int] | None = None
) -> dict[str, object]:
    # Nonce 1, as a deployment leaves it (EIP-161).
    account: dict[str, object] = {
        "balance": hex(balance_wei),
        "nonce": "0x1",
        "code": "0x" + code.hex(),
    }
    words = {slot: value for slot, value in (storage or {}).items() if value}
    if words:
        account["storage"] = {f"0x{slot:064x}": f"0x{words[slot]:064x}" for slot in sorted(words)}
    return account


def _hex(address: Address) -> str:
    return "0x" + address.hex()
