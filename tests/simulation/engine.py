"""The engine without an EVM, with accounts: nonces are counted, so that pools, builders and blocks must agree on them.

    transfer(sender, nonce) -> pool -> block -> nonces of the state after it
    ask_for(request)        -> the same, and the block carries an EIP-7685 request

Everything costs microseconds. A state root still commits to its parent's root and to the block's contents, so equal roots
mean equal histories.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from node.errors import InvalidBlock, MissingState
from node.eth.hashing import keccak256
from node.eth.headers import Header, decode_header, header_of_block
from node.execution.engine import BlockAttributes, BlockResult, PushOutcome
from node.txpool.accounts import EMPTY_CODE_HASH
from tests.kit.fake_engine import (
    REQUEST_PREFIX,
    EngineDisk,
    FakeBuilder,
    FakeEngine,
    FakeResult,
    request_transaction,
)

GWEI: Final = 10**9
"""Wei."""

BALANCE: Final = 10**24
"""Of every account there is; nothing is ever spent."""

TRANSFER: Final = b"\xf0PAY"
"""What follows is a sender and its nonce."""

Nonces = Mapping[bytes, int]
"""Next nonce by sender; 0 where nothing stands."""


def transfer(sender: bytes, nonce: int) -> bytes:
    """A transaction of a sender (20 bytes)."""
    return TRANSFER + sender + nonce.to_bytes(8)


def ask_for(request: bytes) -> bytes:
    """A transaction whose execution makes this request (type byte first), by a sender of its own."""
    return request_transaction(request)


def sender_and_nonce(raw: bytes) -> tuple[bytes, int]:
    """Who sent a transaction, and in which place."""
    if raw.startswith(REQUEST_PREFIX):
        return keccak256(raw)[:20], 0
    assert raw.startswith(TRANSFER), raw.hex()
    return raw[4:24], int.from_bytes(raw[24:32])


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedTransaction:
    """What the pool reads of a transaction."""

    raw: bytes
    hash: bytes
    sender: bytes
    nonce: int
    to: bytes | None = b"\x99" * 20
    kind: int = 2
    gas_limit: int = 21_000
    value: int = 0
    max_fee_per_gas: int = 10 * GWEI
    max_priority_fee_per_gas: int = GWEI
    max_fee_per_blob_gas: int = 0
    blob_hashes: list[bytes] = field(default_factory=list)
    authorities: list[bytes] = field(default_factory=list)
    intrinsic_gas: int = 21_000

    @property
    def size(self) -> int:
        """Length of `raw`."""
        return len(self.raw)


@dataclass(frozen=True, slots=True)
class SimulatedAccount:
    """An account of a state."""

    nonce: int
    balance: int = BALANCE
    code_hash: bytes = EMPTY_CODE_HASH


@dataclass(slots=True, kw_only=True)
class StateDisk(EngineDisk):
    """What outlives a process."""

    nonces: dict[bytes, Nonces] = field(default_factory=dict)
    """By state root."""

    def forget_newest(self, count: int) -> None:
        """Lose the states that were written last, as a store that had not synced them would."""
        newest = sorted(self.roots, key=lambda root: (-self.roots[root], root))[:count]
        for root in newest:
            if self.roots[root]:
                del self.roots[root], self.nonces[root]


class CountingBuilder(FakeBuilder):
    """Takes transactions in the order of their nonces only."""

    def __init__(
        self, engine: SimulatedEngine, parent: Header, attributes: BlockAttributes, nonces: Nonces
    ) -> None:
        super().__init__(engine, parent, attributes)
        self._counter = engine
        self._nonces = dict(nonces)

    def push(self, transactions: Sequence[bytes]) -> list[PushOutcome]:
        """Include what has the next nonce of its sender."""
        outcomes: list[PushOutcome] = []
        for raw in transactions:
            sender, nonce = sender_and_nonce(raw)
            expected = self._nonces.get(sender, 0)
            if nonce != expected:
                reason = "nonce_too_low" if nonce < expected else "nonce_too_high"
                outcomes.append(PushOutcome(included=False, reason=reason, message=""))
                continue
            outcome = super().push([raw])[0]
            if outcome.included:
                self._nonces[sender] = nonce + 1
            outcomes.append(outcome)
        return outcomes

    def seal(self, extra_data: bytes) -> FakeResult:
        """Close the block."""
        result = super().seal(extra_data)
        self._counter.remember(result, self._nonces)
        return result


class SimulatedEngine(FakeEngine):
    """Executes by hashing and counting."""

    def __init__(self, *, genesis_time: int, extra_data: bytes, disk: StateDisk) -> None:
        super().__init__(genesis_time=genesis_time, extra_data=extra_data, disk=disk)
        self._states = disk
        self._uncommitted: dict[bytes, Nonces] = {}

    # -- blocks

    def remember(self, result: FakeResult, nonces: Nonces) -> None:
        """Keep the state of an executed block until it is committed."""
        self._uncommitted[result.state_root] = dict(nonces)

    def execute(
        self, parent_header: bytes, block: bytes, ancestors: bytes, *, record_witness: bool = False
    ) -> FakeResult:
        """Compute roots and nonces again and compare."""
        result = super().execute(parent_header, block, ancestors, record_witness=record_witness)
        nonces = dict(self._nonces(decode_header(parent_header).state_root))
        for raw in self.raw_transactions(block):
            sender, nonce = sender_and_nonce(raw)
            if nonce != nonces.get(sender, 0):
                raise InvalidBlock("nonce", str(nonces.get(sender, 0)), str(nonce))
            nonces[sender] = nonce + 1
        self.remember(result, nonces)
        return result

    def builder(
        self, parent_header: bytes, attributes: BlockAttributes, ancestors: bytes
    ) -> CountingBuilder:
        """Open a block on the parent's state."""
        super().builder(parent_header, attributes, ancestors)
        parent = decode_header(parent_header)
        return CountingBuilder(self, parent, attributes, self._nonces(parent.state_root))

    def commit(self, result: BlockResult) -> None:
        """Keep the state of a block."""
        super().commit(result)
        number = header_of_block(result.block).number
        nonces = self._uncommitted.pop(result.state_root, None)
        if nonces is not None or number == 0:
            self._states.nonces[result.state_root] = nonces or {}

    def prune(self, live: Sequence[bytes], from_number: int) -> int:
        """Drop old states."""
        freed = super().prune(live, from_number)
        for root in [root for root in self._states.nonces if root not in self._states.roots]:
            del self._states.nonces[root]
        return freed

    # -- the pool's questions

    def decode(self, transactions: Sequence[bytes]) -> list[SimulatedTransaction]:
        """Read transactions, in order."""
        decoded: list[SimulatedTransaction] = []
        for raw in transactions:
            sender, nonce = sender_and_nonce(raw)
            decoded.append(
                SimulatedTransaction(raw=raw, hash=keccak256(raw), sender=sender, nonce=nonce)
            )
        return decoded

    def account(self, root: bytes, address: bytes) -> SimulatedAccount:
        """Any account of a state."""
        return SimulatedAccount(self._nonces(root).get(address, 0))

    def accounts(self, root: bytes, addresses: Sequence[bytes]) -> list[tuple[int, int]]:
        """(nonce, balance) of each."""
        nonces = self._nonces(root)
        return [(nonces.get(address, 0), BALANCE) for address in addresses]

    def _nonces(self, root: bytes) -> Nonces:
        if root not in self._states.nonces:
            raise MissingState(root.hex())
        return self._states.nonces[root]
