"""A small L1 on the native engine, without consensus: for tests of execution.

genesis (forks of mainnet, published contracts, three funded roles) > build > commit > build > ...
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, cast

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_account.types import TransactionDictType

from deploy.genesis import (
    BLOB_SCHEDULE,
    DEPOSIT_CONTRACT,
    FORK_BLOCKS,
    FORK_TIMES,
    ZERO_HASHES_SLOT,
    zero_hashes,
)
from deploy.published import published_contracts
from node.eth import rlp
from node.eth.headers import Header, Withdrawal, any_header_of_block, header_of_block
from node.eth.primitives import Address, Hash32
from node.execution.adapter import RevmEngine, StepCallable
from node.execution.engine import BlockAttributes, BlockResult

CHAIN_ID: Final = 900
"""EIP-155."""

GWEI: Final = 10**9
"""Wei."""

ETHER: Final = 10**18
"""Wei."""

GAS_LIMIT: Final = 60_000_000
"""Of every block."""

SENDER: Final[LocalAccount] = Account.from_key("0x" + "11" * 32)
"""Funded at genesis."""

DEPOSITOR: Final[LocalAccount] = Account.from_key("0x" + "22" * 32)
"""Funded at genesis."""

SPONSOR: Final[LocalAccount] = Account.from_key("0x" + "33" * 32)
"""Funded at genesis; pays for others' authorisations."""

PAUPER: Final[LocalAccount] = Account.from_key("0x" + "44" * 32)
"""Has nothing."""

PROPOSER: Final = Address(bytes.fromhex("99" * 20))
"""Fee recipient of every block."""

PORTAL: Final = Address(bytes.fromhex("70" * 20))
"""Where deposits to the L2 come from."""

KEEPER: Final = Address(bytes.fromhex("6b" * 20))
"""Stores the second word of its input at the first one's slot."""

HISTORIAN: Final = Address(bytes.fromhex("68" * 20))
"""Returns and stores the hash of the block whose number is its input."""

DEPOSITED_TOPIC: Final = bytes.fromhex(
    "b3813568d9991fc951961fcb4c784893574240a28925604d09fc577c55bb7c32"
)
"""keccak("TransactionDeposited(address,address,uint256,bytes)")."""

_CODES: Final[Mapping[Address, str]] = {
    # Reads two words of its input and stores the second.
    KEEPER: "0x6020355f355500",
    # Logs its input under one topic.
    PORTAL: "0x365f5f377f" + DEPOSITED_TOPIC.hex() + "365fa100",
    # Asks for the hash of a block.
    HISTORIAN: "0x5f35405f5500",
}


def address_of(account: LocalAccount) -> Address:
    """An account's address."""
    return Address(bytes.fromhex(account.address.removeprefix("0x")))


def genesis_document(extra_accounts: Mapping[str, object] | None = None) -> dict[str, object]:
    """A genesis file in geth's format, every fork to Osaka and BPO2 active."""
    config: dict[str, object] = {"chainId": CHAIN_ID, **dict.fromkeys(FORK_BLOCKS, 0)}
    config.update(dict.fromkeys(FORK_TIMES, 0))
    config |= {
        "terminalTotalDifficulty": 0,
        "depositContractAddress": DEPOSIT_CONTRACT,
        "blobSchedule": BLOB_SCHEDULE,
    }
    alloc: dict[str, object] = {
        account.address: {"balance": hex(10_000 * ETHER)}
        for account in (SENDER, DEPOSITOR, SPONSOR)
    }
    for contract in published_contracts():
        alloc[contract.address] = {"balance": "0x0", "nonce": "0x1", "code": contract.code}
        if contract.address == DEPOSIT_CONTRACT:
            storage = {
                f"0x{ZERO_HASHES_SLOT + height:064x}": "0x" + word.hex()
                for height, word in enumerate(zero_hashes())
                if height > 0
            }
            alloc[contract.address] = {
                "balance": "0x0",
                "nonce": "0x1",
                "code": contract.code,
                "storage": storage,
            }
    for address, code in _CODES.items():
        alloc["0x" + address.hex()] = {"balance": "0x0", "code": code}
    return {
        "config": config,
        "timestamp": "0x64",
        "gasLimit": hex(GAS_LIMIT),
        "difficulty": "0x0",
        "baseFeePerGas": hex(GWEI),
        "alloc": alloc | dict(extra_accounts or {}),
        "consensus": {"not": "the engine's"},
    }


@dataclass(slots=True)
class ExecutionChain:
    """A chain that grows by one block a call."""

    engine: RevmEngine
    """Holds the states."""
    blocks: list[BlockResult] = field(default_factory=list)
    """From the genesis block on, all committed."""
    seconds: int = 2
    """From one block to the next; a test may let more pass."""
    root_after: Callable[[int], Hash32] = lambda number: Hash32(b"\x0b" * 32)
    """Root of the consensus state after the block of a number (EIP-4788)."""

    @classmethod
    def open(
        cls,
        folder: Path | None = None,
        *,
        step: StepCallable | None = None,
        extra_accounts: Mapping[str, object] | None = None,
        slack_megabytes: int = 64,
        portal: Address = PORTAL,
    ) -> ExecutionChain:
        """A chain with nothing but its genesis block."""
        genesis = json.dumps(genesis_document(extra_accounts)).encode()
        engine = RevmEngine(
            genesis, folder=folder, portal=portal, step=step, slack_megabytes=slack_megabytes
        )
        return cls(engine, [engine.genesis()])

    @property
    def head(self) -> BlockResult:
        """The newest block."""
        return self.blocks[-1]

    @property
    def header(self) -> bytes:
        """The newest block's header."""
        return header_bytes(self.head.block)

    @property
    def ancestors(self) -> bytes:
        """Hashes of the newest blocks, the head's first."""
        return b"".join(block.block_hash for block in reversed(self.blocks[-256:]))

    def attributes(self, *, withdrawals: Sequence[Withdrawal] = ()) -> BlockAttributes:
        """What the next block is told."""
        return BlockAttributes(
            timestamp=any_header_of_block(self.head.block)[0].timestamp + self.seconds,
            fee_recipient=PROPOSER,
            prev_randao=Hash32(bytes([len(self.blocks) % 256]) * 32),
            gas_limit=GAS_LIMIT,
            parent_beacon_block_root=self.root_after(len(self.blocks) - 1),
            withdrawals=tuple(withdrawals),
        )

    def seal(
        self, transactions: Sequence[bytes] = (), *, withdrawals: Sequence[Withdrawal] = ()
    ) -> BlockResult:
        """The next block with all of these transactions; it is not committed."""
        attributes = self.attributes(withdrawals=withdrawals)
        builder = self.engine.builder(self.header, attributes, self.ancestors)
        outcomes = builder.push(transactions)
        refused = [outcome for outcome in outcomes if not outcome.included]
        if refused:
            raise AssertionError(f"the builder refused {refused}")
        return builder.seal(b"\x0e" * 32)

    def grow(
        self, transactions: Sequence[bytes] = (), *, withdrawals: Sequence[Withdrawal] = ()
    ) -> BlockResult:
        """The next block, committed."""
        block = self.seal(transactions, withdrawals=withdrawals)
        self.engine.commit(block)
        self.blocks.append(block)
        return block

    def execute(self, block: bytes, *, record_witness: bool = False) -> BlockResult:
        """Judges a block on the head."""
        return self.engine.execute(
            self.header, block, self.ancestors, record_witness=record_witness
        )


def header_bytes(block: bytes) -> bytes:
    """A block's header, of whatever fork."""
    _, start, _, end = rlp.spans(block)[0]
    return block[start:end]


def with_header(block: bytes, change: Callable[[Header], Header]) -> bytes:
    """A block with another header."""
    header = change(header_of_block(block))
    return with_header_bytes(block, header.encode())


def with_header_bytes(block: bytes, header: bytes) -> bytes:
    """A block with another header, whatever its bytes."""
    items = [block[start:end] for _, start, _, end in rlp.spans(block)]
    return rlp.encode_list([header, *items[1:]])


def with_header_fields(block: bytes, **changes: object) -> bytes:
    """A block with other values in its header."""
    return with_header(block, lambda header: replace(header, **changes))  # type: ignore[arg-type]


def sign(account: LocalAccount, **fields: object) -> bytes:
    """A signed transaction; EIP-2718 bytes. Fields as eth-account names them, with defaults for all but `nonce`."""
    fees = {} if "gasPrice" in fields else {"maxFeePerGas": 10 * GWEI, "maxPriorityFeePerGas": GWEI}
    defaults = {
        "chainId": CHAIN_ID,
        "gas": 21_000,
        "to": bytes([0x77] * 20),
        "value": 0,
        "data": b"",
    }
    transaction = cast(TransactionDictType, {**defaults, **fees, **fields})
    return bytes(account.sign_transaction(transaction).raw_transaction)


def word(value: int) -> bytes:
    """32 bytes, big-endian."""
    return value.to_bytes(32, "big")
