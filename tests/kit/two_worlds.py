"""L1 and L2 on an engine each, joined by the rules: deposits by L1's requests, withdrawals by proofs that the Portal checks.

    L1 block -> requests -> node.rollup.deposits -> L2 block              `deliver`
    L2 log -> output root -> court -> Portal: prove, wait, finalize -> L1 `settle`

Disputes are left out: a court in the registry's place holds every claim for true at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

import orjson
from eth_account.signers.local import LocalAccount

from node.contracts import addresses
from node.contracts.alloc import FeeTerms, VaultTerms, l2_allocations
from node.contracts.artifacts import load
from node.contracts.bindings import read_message_passed
from node.eth.headers import decode_header, header_of_block
from node.eth.primitives import Address, Hash32
from node.execution.engine import BlockResult
from node.rollup.deposits import attributes_deposit, encode_deposit, user_deposits
from node.rollup.outputs import (
    BridgeWithdrawal,
    output_of,
    sent_messages_slot,
    withdrawal_hash,
)
from node.rollup.parameters import RollupParameters
from tests.kit.compiled import helper
from tests.kit.contract_network import BATCHER, FEE_RECIPIENT, LOCKED_WEI, WITHDRAWALS, Network
from tests.kit.contract_world import Contract, Receipt, Reverted, World, receipt_of
from tests.kit.execution_chain import SENDER, address_of, header_bytes
from tests.kit.rollup_chain import CHAIN_ID, RollupChain, sign_l2

FREE: Final = FeeTerms(
    l1_base_fee_wei=0,
    l1_base_fee_scalar=0,
    l1_blob_base_fee_scalar=0,
    operator_fee_scalar=0,
    operator_fee_constant=0,
    l1_blob_base_fee_wei=0,
)
"""L2 transactions pay for their gas alone."""

GAS: Final = 6_000_000
"""Of an L2 transaction that says nothing else."""

BLOCK_SECONDS: Final = 2
"""Of L1."""

PARAMETERS: Final = RollupParameters(
    chain_id=CHAIN_ID,
    batcher=address_of(BATCHER),
    sequencer_key=bytes(32),
    l1_base_fee_scalar=0,
    l1_blob_base_fee_scalar=0,
    operator_fee_scalar=0,
    operator_fee_constant=0,
)
"""Of the attributes deposits."""

COURT: Final = Contract(helper("Court"), addresses.ANCHOR_STATE_REGISTRY)
"""L1: holds every claim for true."""

L1_MESSENGER: Final = Contract(load("L1CrossDomainMessenger"), addresses.L1_CROSS_DOMAIN_MESSENGER)
L1_BRIDGE: Final = Contract(load("L1StandardBridge"), addresses.L1_STANDARD_BRIDGE)
L2_MESSENGER: Final = Contract(load("L2CrossDomainMessenger"), addresses.L2_CROSS_DOMAIN_MESSENGER)
L2_BRIDGE: Final = Contract(load("L2StandardBridge"), addresses.L2_STANDARD_BRIDGE)
FACTORY: Final = Contract(load("OptimismMintableERC20Factory"), addresses.MINTABLE_ERC20_FACTORY)
PORTAL: Final = Contract(load("Portal"), addresses.PORTAL)
SYSTEM_CONFIG: Final = Contract(load("SystemConfig"), addresses.SYSTEM_CONFIG)


@dataclass(slots=True)
class L2World:
    """The rollup's chain with its predeploys, as `World` is L1's."""

    chain: RollupChain
    """Grows by a block a transaction."""
    nonces: dict[str, int] = field(default_factory=dict)
    """Next nonce by address."""

    def mine(
        self, transactions: Sequence[bytes] = (), *, deposits: Sequence[bytes] = ()
    ) -> list[Receipt]:
        """One block; the receipts of its deposits come first."""
        return self.receipts(self.chain.grow(transactions, deposits=deposits))

    def receipts(self, block: BlockResult) -> list[Receipt]:
        """Of a block."""
        rows = orjson.loads(self.chain.engine.receipts_json(block.block, block.receipts))
        return [receipt_of(row) for row in rows]

    def send(
        self,
        sender: LocalAccount,
        to: bytes | None,
        data: bytes = b"",
        *,
        value: int = 0,
        gas: int = GAS,
    ) -> Receipt:
        """One transaction in a block of its own."""
        nonce = self.nonces.get(sender.address, 0)
        self.nonces[sender.address] = nonce + 1
        target: bytes | str = to if to is not None else ""
        (receipt,) = self.mine(
            [sign_l2(sender, nonce=nonce, to=target, data=data, value=value, gas=gas)]
        )
        return receipt

    def transact(
        self,
        sender: LocalAccount,
        contract: Contract,
        name: str,
        *arguments: object,
        value: int = 0,
        gas: int = GAS,
    ) -> Receipt:
        """A call of a contract in a block of its own. Raises Reverted, and there is no block."""
        data = contract.input(name, *arguments)
        self.ask(contract, data, sender=address_of(sender), value=value, gas=gas)
        receipt = self.send(sender, contract.address, data, value=value, gas=gas)
        assert receipt.succeeded
        return receipt

    def read(
        self, contract: Contract, name: str, *arguments: object, sender: bytes = bytes(20)
    ) -> object:
        """What a call answers on the head. Raises Reverted."""
        return contract.output(
            name, self.ask(contract, contract.input(name, *arguments), sender=sender)
        )

    def ask(
        self,
        contract: Contract,
        data: bytes,
        *,
        sender: bytes = bytes(20),
        value: int = 0,
        gas: int = GAS,
    ) -> bytes:
        """What raw input gives on the head. Raises Reverted."""
        call = {
            "from": "0x" + sender.hex(),
            "to": "0x" + contract.address.hex(),
            "input": "0x" + data.hex(),
            "value": hex(value),
            "gas": hex(gas),
        }
        result = self.chain.engine.call(
            self.chain.head.state_root, self.chain.header, b"", orjson.dumps(call), gas_cap=gas
        )
        if result.status == "revert":
            raise contract.error(result.output)
        if result.status == "halt":
            raise Reverted(result.output.decode(), ())
        return result.output

    def balance(self, address: bytes) -> int:
        """Wei."""
        return self.chain.balance(address)


@dataclass(slots=True)
class TwoWorlds:
    """Both chains and the ways between them."""

    network: Network
    """L1 and its contracts."""
    l2: L2World
    """L2."""
    delivered: int = 0
    """Number of the last L1 block whose deposits L2 has."""

    @classmethod
    def open(
        cls,
        *,
        l1_accounts: Mapping[str, object] | None = None,
        l2_accounts: Mapping[str, object] | None = None,
    ) -> TwoWorlds:
        """Both at genesis, the court in the registry's place."""
        court = {
            "0x" + COURT.address.hex(): {
                "balance": "0x0",
                "nonce": "0x1",
                "code": "0x" + COURT.artifact.runtime.hex(),
            }
        }
        network = Network.open(extra_accounts=court | dict(l1_accounts or {}))
        predeploys = l2_allocations(fees=FREE, vaults=VaultTerms(recipient=FEE_RECIPIENT))
        chain = RollupChain.open(extra_accounts=predeploys | dict(l2_accounts or {}))
        return cls(network, L2World(chain))

    @property
    def l1(self) -> World:
        """L1."""
        return self.network.world

    def deliver(self) -> list[Receipt]:
        """Makes L2 blocks of the L1 blocks with new deposits; receipts of the deposits, without the attributes'."""
        receipts: list[Receipt] = []
        blocks = self.l1.chain.blocks
        for number in range(self.delivered + 1, len(blocks)):
            block = blocks[number]
            origin = Hash32(block.block_hash)
            deposits = user_deposits(origin, block.requests)
            if deposits:
                header = decode_header(header_bytes(block.block))
                attributes = attributes_deposit(PARAMETERS, number, origin, header)
                raw = [encode_deposit(deposit) for deposit in (attributes, *deposits)]
                receipts += self.l2.mine(deposits=raw)[1:]
        self.delivered = len(blocks) - 1
        return receipts

    def settle(self, *withdrawals: BridgeWithdrawal, gas: int = 16_000_000) -> list[Receipt]:
        """Proves withdrawals under the L2's head, waits, finalizes; receipts of the last step. Raises Reverted."""
        self.prove(withdrawals)
        self.network.pass_blocks(WITHDRAWALS.proof_maturity_s // BLOCK_SECONDS + 1)
        return [
            self.l1.transact(
                SENDER, PORTAL, "finalizeWithdrawalTransaction", fields(withdrawal), gas=gas
            )
            for withdrawal in withdrawals
        ]

    def prove(self, withdrawals: Iterable[BridgeWithdrawal]) -> None:
        """Claims the output of the L2's head, and proves withdrawals under it. Raises Reverted."""
        head = self.l2.chain.head
        output = output_of(header_of_block(head.block))
        self.l1.transact(SENDER, COURT, "claim", output.root())
        for withdrawal in withdrawals:
            slot = sent_messages_slot(withdrawal_hash(withdrawal))
            proof = self.l2.chain.engine.proof(head.state_root, addresses.MESSAGE_PASSER, [slot])
            ((_, nodes),) = proof.slots
            self.l1.transact(
                SENDER,
                PORTAL,
                "proveWithdrawalTransaction",
                fields(withdrawal),
                0,
                (bytes(32), output.state_root, output.message_passer_root, output.block_hash),
                nodes,
            )

    def locked_wei(self) -> int:
        """What the Portal holds."""
        return self.l1.balance(addresses.PORTAL) - LOCKED_WEI


def withdrawals_of(receipt: Receipt) -> list[BridgeWithdrawal]:
    """The withdrawals that an L2 transaction initiated."""
    found = []
    for log in receipt.logs:
        passed = read_message_passed(log.topics, log.data)
        if log.address == addresses.MESSAGE_PASSER and passed is not None:
            found.append(
                BridgeWithdrawal(
                    nonce=passed.nonce,
                    sender=passed.sender,
                    target=passed.target,
                    value=passed.value,
                    gas_limit=passed.gas_limit,
                    data=passed.data,
                )
            )
    return found


def fields(withdrawal: BridgeWithdrawal) -> tuple[int, bytes, bytes, int, int, bytes]:
    """A withdrawal as the Portal takes it."""
    return (
        withdrawal.nonce,
        withdrawal.sender,
        withdrawal.target,
        withdrawal.value,
        withdrawal.gas_limit,
        withdrawal.data,
    )


def deploy_l1(world: World, name: str) -> Contract:
    """A contract of tests on L1."""
    receipt = world.send(SENDER, None, helper(name).init)
    assert receipt.contract is not None
    return Contract(helper(name), Address(receipt.contract))


def deploy_l2(world: L2World, name: str) -> Contract:
    """A contract of tests on L2."""
    receipt = world.send(SENDER, None, helper(name).init)
    assert receipt.contract is not None
    return Contract(helper(name), Address(receipt.contract))


def create_token(worlds: TwoWorlds, remote: bytes, *, decimals: int = 18) -> Contract:
    """A token of L2 that stands for one of L1."""
    receipt = worlds.l2.transact(
        SENDER,
        FACTORY,
        "createOptimismMintableERC20WithDecimals",
        remote,
        "Stand-in",
        "STI",
        decimals,
    )
    (created,) = FACTORY.events(receipt, "OptimismMintableERC20Created")
    local = bytes.fromhex(cast(str, created["localToken"]).removeprefix("0x"))
    return Contract(load("OptimismMintableERC20"), Address(local))
