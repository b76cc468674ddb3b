"""A small rollup on the native engine, without L1: for tests of execution.

genesis (published contracts, keepers in place of the predeploys, funded roles) > sequence or derive > commit > ...
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.headers import header_of_block
from node.eth.primitives import Hash32
from node.execution.adapter import RevmEngine
from node.execution.engine import BlockResult, DerivedBlock, L2Attributes
from tests.kit.execution_chain import (
    ETHER,
    HISTORIAN,
    KEEPER,
    PORTAL,
    SENDER,
    SPONSOR,
    genesis_document,
    header_bytes,
    sign,
    word,
)

CHAIN_ID: Final = 901
"""EIP-155."""

GAS_LIMIT: Final = 7_000_000
"""Of every block."""

BASE_FEE: Final = 1_000_000
"""Wei, of every block."""

BYTES_LIMIT: Final = 31_744
"""Raw transactions of a block."""

L1_BLOCK: Final = bytes.fromhex("4200000000000000000000000000000000000015")
MESSAGE_PASSER: Final = bytes.fromhex("4200000000000000000000000000000000000016")
SEQUENCER_FEE_VAULT: Final = bytes.fromhex("4200000000000000000000000000000000000011")
BASE_FEE_VAULT: Final = bytes.fromhex("4200000000000000000000000000000000000019")
L1_FEE_VAULT: Final = bytes.fromhex("420000000000000000000000000000000000001a")
OPERATOR_FEE_VAULT: Final = bytes.fromhex("420000000000000000000000000000000000001b")

FAUCET: Final = bytes.fromhex("fa" * 20)
"""Who deposits; nobody has its key."""

REVERTER: Final = bytes.fromhex("4e" * 20)
"""Reverts whatever it is asked."""

LOGGER: Final = bytes.fromhex("16" * 20)
"""Logs its input under its first word."""

L1_BASE_FEE: Final = 2 * 10**9
"""Wei: what L1Block holds at genesis."""
L1_BLOB_BASE_FEE: Final = 3
"""Wei."""
L1_BASE_FEE_SCALAR: Final = 1_368
L1_BLOB_BASE_FEE_SCALAR: Final = 810_949
OPERATOR_FEE_SCALAR: Final = 25_000
OPERATOR_FEE_CONSTANT: Final = 7


def fee_slots(
    *,
    l1_base_fee: int = L1_BASE_FEE,
    l1_blob_base_fee: int = L1_BLOB_BASE_FEE,
    base_fee_scalar: int = L1_BASE_FEE_SCALAR,
    blob_base_fee_scalar: int = L1_BLOB_BASE_FEE_SCALAR,
    operator_fee_scalar: int = OPERATOR_FEE_SCALAR,
    operator_fee_constant: int = OPERATOR_FEE_CONSTANT,
) -> dict[int, int]:
    """The slots of L1Block that fees are read from, as the OP Stack lays them out."""
    return {
        1: l1_base_fee,
        3: base_fee_scalar << 96 | blob_base_fee_scalar << 64,
        7: l1_blob_base_fee,
        8: operator_fee_scalar << 64 | operator_fee_constant,
    }


def rollup_document(
    *,
    fees: Mapping[int, int] | None = None,
    extra_accounts: Mapping[str, object] | None = None,
    **changes: object,
) -> dict[str, object]:
    """The rollup's genesis file; `changes` are of its `rollup` object."""
    keeper = "0x6020355f355500"
    slots = fee_slots() if fees is None else fees
    accounts: dict[str, object] = {
        "0x" + L1_BLOCK.hex(): {
            "balance": "0x0",
            "nonce": "0x1",
            "code": keeper,
            "storage": {f"0x{slot:064x}": f"0x{value:064x}" for slot, value in slots.items()},
        },
        "0x" + MESSAGE_PASSER.hex(): {
            "balance": "0x0",
            "nonce": "0x1",
            "code": keeper,
            "storage": {f"0x{9:064x}": f"0x{1:064x}"},
        },
        "0x" + REVERTER.hex(): {"balance": "0x0", "code": "0x5f5ffd"},
        "0x" + LOGGER.hex(): {"balance": "0x0", "code": "0x365f5f375f51365fa100"},
    }
    document = genesis_document(accounts | dict(extra_accounts or {}))
    document["config"] = {"chainId": CHAIN_ID}
    document["gasLimit"] = hex(GAS_LIMIT)
    document["baseFeePerGas"] = hex(BASE_FEE)
    rollup: dict[str, object] = {
        "chain_id": CHAIN_ID,
        "l1_chain_id": 900,
        "portal": "0x" + PORTAL.hex(),
        "gas_limit": GAS_LIMIT,
        "base_fee_wei": BASE_FEE,
        "transactions_limit_bytes": BYTES_LIMIT,
        "witness_limit_bytes": 245_760,
    }
    document["rollup"] = rollup | changes
    return document


def deposit(
    *,
    source: bytes = bytes(31) + b"\x01",
    sender: bytes = FAUCET,
    to: bytes = bytes([0x77] * 20),
    mint: int = 0,
    value: int = 0,
    gas: int = 100_000,
    is_system: bool = False,
    data: bytes = b"",
) -> bytes:
    """A 0x7E transaction; an empty `to` creates a contract."""
    fields: list[bytes | int] = [source, sender, to, mint, value, gas, int(is_system), data]
    return b"\x7e" + rlp.encode(fields)


def keep(slot: int, value: int, *, at: bytes = L1_BLOCK, source: int = 1) -> bytes:
    """A deposit that stores a word in a keeper."""
    return deposit(source=word(source), to=at, data=word(slot) + word(value))


def sign_l2(account: object = SENDER, **fields: object) -> bytes:
    """A signed transaction of the rollup."""
    return sign(account, **{"chainId": CHAIN_ID, **fields})  # type: ignore[arg-type]


@dataclass(slots=True)
class RollupChain:
    """A rollup that grows by one block a call."""

    engine: RevmEngine
    """Holds the states."""
    blocks: list[BlockResult] = field(default_factory=list)
    """From the genesis block on, all committed."""

    @classmethod
    def open(
        cls,
        folder: Path | None = None,
        *,
        fees: Mapping[int, int] | None = None,
        extra_accounts: Mapping[str, object] | None = None,
        **changes: object,
    ) -> RollupChain:
        """A chain with nothing but its genesis block."""
        document = rollup_document(fees=fees, extra_accounts=extra_accounts, **changes)
        engine = RevmEngine(json.dumps(document).encode(), folder=folder)
        return cls(engine, [engine.genesis()])

    @property
    def head(self) -> BlockResult:
        """The newest block."""
        return self.blocks[-1]

    @property
    def header(self) -> bytes:
        """The newest block's header."""
        return header_bytes(self.head.block)

    def attributes(self, *, seconds: int = 0) -> L2Attributes:
        """What the next block is told."""
        return L2Attributes(
            timestamp=header_of_block(self.head.block).timestamp + seconds,
            mix_hash=Hash32(keccak256(b"mix" + bytes([len(self.blocks) % 256]))),
            parent_beacon_block_root=Hash32(keccak256(b"root" + bytes([len(self.blocks) % 256]))),
        )

    def derive(
        self,
        transactions: Sequence[bytes] = (),
        *,
        deposits: Sequence[bytes] = (),
        record_witness: bool = False,
    ) -> DerivedBlock:
        """The next block as derived; it is not committed."""
        return self.engine.derive(
            self.header,
            self.attributes(),
            deposits,
            transactions,
            b"",
            record_witness=record_witness,
        )

    def seal(
        self, transactions: Sequence[bytes] = (), *, deposits: Sequence[bytes] = ()
    ) -> BlockResult:
        """The next block as sequenced with all of these transactions; it is not committed."""
        builder = self.engine.sequence(self.header, self.attributes(), deposits, b"")
        refused = [outcome for outcome in builder.push(transactions) if not outcome.included]
        if refused:
            raise AssertionError(f"the builder refused {refused}")
        return builder.seal()

    def grow(
        self, transactions: Sequence[bytes] = (), *, deposits: Sequence[bytes] = ()
    ) -> BlockResult:
        """The next block, committed."""
        return self.commit(self.seal(transactions, deposits=deposits))

    def commit(self, block: BlockResult) -> BlockResult:
        """Makes a block the newest."""
        self.engine.commit(block)
        self.blocks.append(block)
        return block

    def balance(self, address: bytes) -> int:
        """Of the newest state; wei."""
        return self.engine.accounts(self.head.state_root, [address])[0][1]

    def nonce(self, address: bytes) -> int:
        """Of the newest state."""
        return self.engine.accounts(self.head.state_root, [address])[0][0]


__all__ = ["ETHER", "HISTORIAN", "KEEPER", "SENDER", "SPONSOR"]
