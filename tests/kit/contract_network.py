"""The network's own contracts at their genesis addresses, L1's and L2's on one chain, with roles for their tests.

Contracts read the chain they stand on, so one engine serves both halves; what only L2 execution does (fees, deposits)
is tested where the L2's engine is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from eth_account import Account
from eth_account.signers.local import LocalAccount

from node.contracts import addresses
from node.contracts.alloc import (
    FeeTerms,
    SystemTerms,
    VaultTerms,
    WithdrawalTerms,
    l1_allocations,
    l1_messenger_allocations,
    l2_allocations,
    system_config,
)
from node.contracts.artifacts import load
from node.eth.hashing import keccak256
from node.eth.primitives import Address
from node.execution.adapter import StepCallable
from tests.kit.contract_world import Contract, Receipt, World
from tests.kit.execution_chain import ETHER, address_of, header_bytes

BATCHER: Final[LocalAccount] = Account.from_key("0x" + "55" * 32)
"""May append."""

FORCER: Final[LocalAccount] = Account.from_key("0x" + "66" * 32)
"""Anyone."""

GUARDIAN: Final[LocalAccount] = Account.from_key("0x" + "77" * 32)
"""May pause."""

FEE_RECIPIENT: Final = Address(bytes.fromhex("fe" * 20))
"""The vaults pay it."""

WINDOW: Final = 30
"""L1 blocks after which an origin may be forced."""

BATCH_LIMIT: Final = 32_768
"""Bytes."""

LOCKED_WEI: Final = 1_000 * ETHER
"""What the portal holds at genesis."""

FEES: Final = FeeTerms(
    l1_base_fee_wei=1_055_991_687,
    l1_base_fee_scalar=5_227,
    l1_blob_base_fee_scalar=1_014_213,
    operator_fee_scalar=1_439_103_868,
    operator_fee_constant=1_256_417_826_609_331_460,
)
"""Figures of published examples."""

SYSTEM: Final = SystemTerms(
    guardian=address_of(GUARDIAN),
    batcher=address_of(BATCHER),
    l2_chain_id=901,
    gas_limit=7_000_000,
    base_fee_scalar=FEES.l1_base_fee_scalar,
    blob_base_fee_scalar=FEES.l1_blob_base_fee_scalar,
    operator_fee_scalar=FEES.operator_fee_scalar,
    operator_fee_constant=2**64 - 1,
    pause_expiry_s=1_000,
)
"""Of a rollup with the widest fee."""

WITHDRAWALS: Final = WithdrawalTerms(proof_maturity_s=26, finality_delay_s=4)
"""Thirteen blocks and two."""


@dataclass(slots=True)
class Network:
    """The contracts and their chain."""

    world: World
    """The chain."""
    inbox: Contract = field(default=Contract(load("Inbox"), addresses.INBOX))
    """L1."""
    portal: Contract = field(default=Contract(load("Portal"), addresses.PORTAL))
    """L1."""
    system_config: Contract = field(default=Contract(load("SystemConfig"), addresses.SYSTEM_CONFIG))
    """L1."""
    l1_block: Contract = field(default=Contract(load("L1Block"), addresses.L1_BLOCK))
    """L2."""
    oracle: Contract = field(default=Contract(load("GasPriceOracle"), addresses.GAS_PRICE_ORACLE))
    """L2."""
    passer: Contract = field(
        default=Contract(load("L2ToL1MessagePasser"), addresses.MESSAGE_PASSER)
    )
    """L2."""
    vault: Contract = field(default=Contract(load("FeeVault"), addresses.BASE_FEE_VAULT))
    """L2: one of four."""
    weth: Contract = field(default=Contract(load("WETH"), addresses.WETH))
    """L2."""

    @classmethod
    def open(
        cls,
        *,
        batch_limit_bytes: int = BATCH_LIMIT,
        vaults: VaultTerms | None = None,
        extra_accounts: Mapping[str, object] | None = None,
        storage: Mapping[Address, Mapping[int, int]] | None = None,
        step: StepCallable | None = None,
    ) -> Network:
        """A chain with all contracts at genesis but the disputes'.

        `storage` is what some contracts begin with instead; `step` answers precompile 0x0101.
        """
        accounts: dict[str, object] = {
            account.address: {"balance": hex(1_000 * ETHER)}
            for account in (BATCHER, FORCER, GUARDIAN)
        }
        contracts: dict[str, dict[str, object]] = l1_allocations(
            batcher=address_of(BATCHER),
            sequencing_window_blocks=WINDOW,
            batch_limit_bytes=batch_limit_bytes,
            locked_wei=LOCKED_WEI,
            withdrawals=WITHDRAWALS,
        )
        contracts |= system_config(SYSTEM)
        contracts |= l1_messenger_allocations()
        terms = vaults or VaultTerms(recipient=FEE_RECIPIENT)
        contracts |= l2_allocations(fees=FEES, vaults=terms)
        for address, words in (storage or {}).items():
            contracts["0x" + address.hex()]["storage"] = {
                f"0x{slot:064x}": f"0x{value:064x}" for slot, value in words.items()
            }
        return cls(World.open(accounts | contracts | dict(extra_accounts or {}), step=step))

    @property
    def height(self) -> int:
        """Number of the head."""
        return len(self.world.chain.blocks) - 1

    def pass_blocks(self, count: int) -> None:
        """Empty blocks."""
        for _ in range(count):
            self.world.mine()

    def accumulator(self) -> object:
        """The Inbox's."""
        return self.world.read(self.inbox, "accumulator")

    def append(self, batch: bytes, *, first_block: int, block_count: int, origin: int) -> Receipt:
        """Appends as the batcher, on the accumulator as it is. Raises Reverted."""
        return self.world.transact(
            BATCHER,
            self.inbox,
            "append",
            batch,
            first_block,
            block_count,
            origin,
            self.accumulator(),
        )

    def block_hash(self, number: int) -> bytes:
        """Of a block of the chain."""
        return self.world.chain.blocks[number].block_hash

    def header(self, number: int) -> bytes:
        """RLP of a block's header."""
        header = header_bytes(self.world.chain.blocks[number].block)
        assert keccak256(header) == self.block_hash(number)
        return header


def forwarder(target: Address) -> bytes:
    """Code that passes its input and payment on to a contract and reverts as it does."""
    # Copies its input, calls the target with it and with what it was paid.
    call = bytes.fromhex("365f5f375f5f365f3473") + target + bytes.fromhex("5af1")
    # Copies the answer, reverts with it if the call failed, else returns it.
    return call + bytes.fromhex("3d5f5f3e602a573d5ffd5b3d5ff3")
