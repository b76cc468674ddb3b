"""An L1 without an EVM: a tree of blocks whose transactions call the Inbox and the Portal as the contracts have it.

    ModelL1.mine(raws) -> block -> head -> events        ModelL1.branch(depth) -> the same from an earlier block
    ModelPool (tests.kit.model_pool) -> raws that wait for it

It satisfies what `sequencer.l1.view` asks of a chain and of an engine, so that views, derivers and batchers of several nodes
share one L1, and each may be cut off from it (`ModelL1.seen_by`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from coincurve import PublicKey
from eth_abi.abi import decode

from node.chain.events import EVENTS_MAX, Events, Finalized, HeadChanged, Subscription
from node.consensus.containers import Checkpoint
from node.eth import rlp
from node.eth.blocks import Block
from node.eth.hashing import keccak256
from node.eth.headers import Header
from node.eth.primitives import ZERO_ADDRESS, ZERO_HASH, Address, BlockNumber, Epoch, Hash32
from node.eth.requests import requests_hash
from node.execution.answers import RawLog
from node.rollup.deposits import DEPOSIT_TYPE, TRANSACTION_DEPOSITED
from node.rollup.limits import MAX_RECORD_ADVANCES, MAX_RECORD_BLOCKS
from node.rollup.parameters import RollupParameters
from node.rollup.records import (
    GENESIS_TIP,
    InboxTip,
    LoggedRecord,
    Record,
    RecordKind,
    next_accumulator,
    origins_hash,
    tip_after,
)
from sequencer.l1.view import bloom_bits
from tests.kit.rollup import GENESIS_TIME, record_log

SLOT_SECONDS: Final = 2
"""Between two blocks."""

APPEND: Final = keccak256(b"append(bytes,uint64,uint32,uint64,bytes32)")[:4]
FORCE_EMPTY: Final = keccak256(b"forceEmpty(uint64)")[:4]
ANCHOR_HEADERS: Final = keccak256(b"anchorHeaders(uint64,bytes[])")[:4]

APPENDS_MAX: Final = 24
"""Transactions of a block."""

_HASH_WINDOW: Final = 8_191


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCall:
    """A decoded transaction."""

    hash: Hash32
    sender: Address
    nonce: int
    max_priority_fee_per_gas: int
    max_fee_per_gas: int
    to: bytes
    data: bytes
    raw: bytes


def decode_call(raw: bytes) -> SignedCall:
    """An EIP-1559 transaction with its sender."""
    fields = rlp.as_list(rlp.decode(raw[1:]), 12)
    nonce, tip, fee = (rlp.as_integer(fields[place]) for place in (1, 2, 3))
    digest = keccak256(raw[:1] + rlp.encode(fields[:9]))
    r, s = (rlp.as_integer(fields[place], 256) for place in (10, 11))
    signature = r.to_bytes(32) + s.to_bytes(32) + bytes((rlp.as_integer(fields[9]),))
    public = PublicKey.from_signature_and_message(signature, digest, hasher=None)
    return SignedCall(
        hash=keccak256(raw),
        sender=Address(keccak256(public.format(compressed=False)[1:])[12:]),
        nonce=nonce,
        max_priority_fee_per_gas=tip,
        max_fee_per_gas=fee,
        to=rlp.as_bytes(fields[5]),
        data=rlp.as_bytes(fields[7]),
        raw=raw,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelBlock:
    """A block and the state after it."""

    block: Block
    """As a chain gives it."""
    tip: InboxTip
    """The Inbox."""
    nonces: Mapping[Address, int]
    """Of accounts that sent something."""
    logs: Sequence[tuple[Address, RawLog]]
    """By contract."""
    calls: Sequence[SignedCall]
    """Its transactions."""
    records: Sequence[LoggedRecord]
    """What it appended."""
    anchored_from: int | None
    """The oldest block whose hash was proven to the Inbox by headers; None before the first call."""

    @property
    def number(self) -> int:
        return self.block.header.number


@dataclass(frozen=True, slots=True)
class ModelAccount:
    """An account."""

    nonce: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDeposit:
    """A deposit that the Portal logs."""

    sender: bytes = b"\xaa" * 20
    to: bytes = b"\xbb" * 20
    mint: int = 10**18
    value: int = 10**17
    gas: int = 100_000
    data: bytes = b""

    def log(self, index: int) -> RawLog:
        opaque = self.mint.to_bytes(32) + self.value.to_bytes(32) + self.gas.to_bytes(8)
        opaque += b"\0" + self.data
        data = (32).to_bytes(32) + len(opaque).to_bytes(32) + opaque + bytes(-len(opaque) % 32)
        topics = (
            TRANSACTION_DEPOSITED,
            self.sender.rjust(32, b"\0"),
            self.to.rjust(32, b"\0"),
            bytes(32),
        )
        return RawLog(index, topics, data)


class ModelTree:
    """Every block that was ever made."""

    def __init__(self, parameters: RollupParameters) -> None:
        self.parameters = parameters
        self.blocks: dict[Hash32, ModelBlock] = {}
        self._salt = 0
        self._by_root: dict[bytes, ModelBlock] = {}
        self.genesis = self.make(None, (), ())

    def make(
        self, parent: ModelBlock | None, raws: Iterable[bytes], deposits: Sequence[ModelDeposit]
    ) -> ModelBlock:
        """A block on another; transactions with wrong nonces are left out, calls that the contract refuses revert."""
        self._salt += 1
        number = parent.number + 1 if parent is not None else 0
        tip = parent.tip if parent is not None else GENESIS_TIP
        nonces = dict(parent.nonces) if parent is not None else {}
        anchored = parent.anchored_from if parent is not None else None
        logs: list[tuple[Address, RawLog]] = []
        calls: list[SignedCall] = []
        records: list[LoggedRecord] = []
        for one in deposits:
            logs.append((self.parameters.portal, one.log(len(logs))))
        for raw in raws:
            call = decode_call(raw)
            if call.nonce != nonces.get(call.sender, 0):
                continue
            nonces[call.sender] = call.nonce + 1
            calls.append(call)
            if call.data[:4] == ANCHOR_HEADERS and parent is not None:
                anchored = self._anchor(parent, number, anchored, call)
            logged = self._call(parent, number, tip, call, anchored)
            if logged is not None:
                topics, data = record_log(logged)
                logs.append((self.parameters.inbox, RawLog(len(logs), tuple(topics), data)))
                records.append(logged)
                tip = tip_after(tip, logged)
        items = [
            rlp.encode((log.index, log.topics, log.data))
            for address, log in logs
            if address == self.parameters.portal
        ]
        requests = (bytes((DEPOSIT_TYPE,)) + b"".join(items),) if items else ()
        header = self._header(parent, number, logs, requests)
        block = Block(hash=header.hash(), header=header, rlp=b"", receipts=bytes(header.hash()))
        made = ModelBlock(
            block=block,
            tip=tip,
            nonces=nonces,
            logs=logs,
            calls=calls,
            records=records,
            anchored_from=anchored,
        )
        self.blocks[block.hash] = made
        self._by_root[header.state_root] = made
        return made

    def with_root(self, root: bytes) -> ModelBlock | None:
        """The block with this state."""
        return self._by_root.get(root)

    def _anchor(
        self, parent: ModelBlock, number: int, anchored: int | None, call: SignedCall
    ) -> int | None:
        """What `anchorHeaders` has proven afterwards; headers that do not chain revert."""
        newest, headers = decode(("uint64", "bytes[]"), call.data[4:])
        known = number - _HASH_WINDOW if anchored is None else min(anchored, number - _HASH_WINDOW)
        if newest < known:
            return anchored
        for place, header in enumerate(headers):
            if self.ancestor(parent, newest - place).block.header.encode() != header:
                return anchored
        return int(newest - len(headers))

    def _header(
        self,
        parent: ModelBlock | None,
        number: int,
        logs: Sequence[tuple[Address, RawLog]],
        requests: Sequence[bytes],
    ) -> Header:
        bloom = 0
        for address, _ in logs:
            bloom |= bloom_bits(address)
        before = GENESIS_TIME if parent is None else parent.block.header.timestamp + SLOT_SECONDS
        return Header(
            parent_hash=ZERO_HASH if parent is None else parent.block.hash,
            fee_recipient=ZERO_ADDRESS,
            state_root=keccak256(b"state" + self._salt.to_bytes(8)),
            number=number,
            gas_limit=120_000_000,
            gas_used=60_000_000,
            timestamp=before,
            extra_data=b"",
            mix_hash=keccak256(b"mix" + self._salt.to_bytes(8)),
            base_fee_per_gas=1_000,
            logs_bloom=bloom.to_bytes(256),
            parent_beacon_block_root=keccak256(b"root" + self._salt.to_bytes(8)),
            requests_hash=requests_hash(requests),
        )

    def ancestor(self, block: ModelBlock, number: int) -> ModelBlock:
        """The block of a number on the way down from another."""
        while block.number > number:
            block = self.blocks[block.block.header.parent_hash]
        return block

    def _call(
        self,
        parent: ModelBlock | None,
        number: int,
        tip: InboxTip,
        call: SignedCall,
        anchored: int | None,
    ) -> LoggedRecord | None:
        """What the Inbox does; None where it reverts."""
        assert parent is not None
        known = number - _HASH_WINDOW
        if tip.last_origin < (known if anchored is None else min(known, anchored)):
            return None
        if call.to != self.parameters.inbox:
            return None
        if call.data[:4] == APPEND:
            return self._append(parent, number, tip, call)
        if call.data[:4] == FORCE_EMPTY:
            origin = int.from_bytes(call.data[4:36])
            advances = origin - tip.last_origin
            overdue = origin + self.parameters.sequencing_window_blocks <= number
            if not 0 < advances <= MAX_RECORD_ADVANCES or not overdue:
                return None
            return self._record(parent, number, tip, RecordKind.EMPTY, b"", advances, origin)
        return None

    def _append(
        self, parent: ModelBlock, number: int, tip: InboxTip, call: SignedCall
    ) -> LoggedRecord | None:
        words = [call.data[4 + 32 * place : 36 + 32 * place] for place in range(6)]
        first, count, origin = (int.from_bytes(word) for word in words[1:4])
        batch = call.data[4 + 192 : 4 + 192 + int.from_bytes(words[5])]
        advances = origin - tip.last_origin
        is_right = (
            call.sender == self.parameters.batcher
            and words[4] == tip.accumulator
            and first == tip.next_block
            and origin < number
            and 0 <= advances <= min(count, MAX_RECORD_ADVANCES)
            and 1 <= count <= MAX_RECORD_BLOCKS
            and len(batch) <= self.parameters.batch_limit_bytes
        )
        if not is_right:
            return None
        return self._record(parent, number, tip, RecordKind.BATCH, batch, count, origin)

    def _record(
        self,
        parent: ModelBlock,
        number: int,
        tip: InboxTip,
        kind: RecordKind,
        batch: bytes,
        count: int,
        origin: int,
    ) -> LoggedRecord | None:
        hashes = [
            self.ancestor(parent, one).block.hash for one in range(tip.last_origin, origin + 1)
        ]
        record = Record(
            kind=kind,
            batch_hash=keccak256(batch) if kind is RecordKind.BATCH else ZERO_HASH,
            first_block=tip.next_block,
            block_count=count,
            previous_origin=tip.last_origin,
            origin=BlockNumber(origin),
            origins_hash=origins_hash(hashes),
        )
        return LoggedRecord(
            index=tip.record_count,
            accumulator=next_accumulator(tip.accumulator, record),
            record=record,
            batch=batch,
        )


class ModelL1:
    """One node's view of the tree: what of it is canonical and final here."""

    def __init__(self, tree: ModelTree) -> None:
        self.tree = tree
        self._canonical: list[ModelBlock] = [tree.genesis]
        self._finalized = 0
        self._confirmed: int | None = None
        self._events = Events()

    # -- what happens

    def mine(self, raws: Iterable[bytes] = (), deposits: Sequence[ModelDeposit] = ()) -> ModelBlock:
        """A block on the head becomes the head."""
        made = self.tree.make(self._canonical[-1], raws, deposits)
        self.adopt(made)
        return made

    def adopt(self, head: ModelBlock) -> list[ModelBlock]:
        """Make any block of the tree the head; gives the blocks that were dropped, ascending."""
        path: list[ModelBlock] = []
        block = head
        while self._at(block.number) is not block:
            path.append(block)
            block = self.tree.blocks[block.block.header.parent_hash]
        assert block.number >= self._finalized, "finality was reorganised"
        dropped = self._canonical[block.number + 1 :]
        self._canonical[block.number + 1 :] = reversed(path)
        self._events.send(
            HeadChanged(
                head=head.block,
                added=[one.block for one in reversed(path)],
                dropped=[one.block for one in reversed(dropped)],
            )
        )
        return dropped

    def finalize(self, number: int) -> None:
        """Make a canonical block final."""
        if self._finalized < number < len(self._canonical):
            self._finalized = number
            block = self._canonical[number].block
            checkpoint = Checkpoint(epoch=Epoch(number), block_hash=block.hash)
            self._events.send(Finalized(block=block, checkpoint=checkpoint))

    def _at(self, number: int) -> ModelBlock | None:
        return self._canonical[number] if number < len(self._canonical) else None

    @property
    def tip_block(self) -> ModelBlock:
        """The head with its state."""
        return self._canonical[-1]

    # -- a chain

    @property
    def head(self) -> Block:
        return self._canonical[-1].block

    @property
    def safe(self) -> Block:
        return self._canonical[self._finalized].block

    @property
    def finalized(self) -> Block:
        return self._canonical[self._finalized].block

    @property
    def confirmed(self) -> Block:
        return self._canonical[-1].block

    def block_by_hash(self, block_hash: Hash32) -> Block | None:
        found = self.tree.blocks.get(block_hash)
        return None if found is None else found.block

    def block_by_number(self, number: int) -> Block | None:
        found = self._at(number)
        return None if found is None else found.block

    def canonical_hash(self, number: int) -> Hash32 | None:
        found = self._at(number)
        return None if found is None else found.block.hash

    def is_canonical(self, block_hash: Hash32) -> bool:
        found = self.tree.blocks.get(block_hash)
        return found is not None and self._at(found.number) is found

    def ancestors(self, block_hash: Hash32) -> bytes:
        number = self.tree.blocks[block_hash].number
        below = self._canonical[max(0, number - 256) : number]
        return b"".join(one.block.hash for one in reversed(below))

    def blooms(self, first: int, last: int) -> list[tuple[Hash32, bytes]]:
        return [
            (one.block.hash, one.block.header.logs_bloom)
            for one in self._canonical[first : last + 1]
        ]

    def subscribe(self) -> Subscription:
        return self._events.subscribe(EVENTS_MAX)

    # -- an engine

    def logs(self, receipts: bytes, address: bytes, topic: bytes) -> list[RawLog]:
        found = self.tree.blocks[Hash32(receipts)]
        return [log for at, log in found.logs if at == address and log.topics[:1] == (topic,)]

    def account(self, root: bytes, address: bytes) -> ModelAccount | None:
        found = self.tree.with_root(root)
        return None if found is None else ModelAccount(found.nonces.get(Address(address), 0))
