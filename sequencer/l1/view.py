"""L1 as the L2 reads it: blocks that this process's own full node has verified.

    node.chain.Chain -> L1View -> records_of (Inbox)   -> deriving
                               -> origin (deposits)    -> deriving, building
                               -> heads, `moved`       -> whoever follows

Records and deposits are read from a block's receipts, which the engine made when it executed the block; their root, and the
commitment to the requests, stand in the header that it checked. Blocks whose bloom filter excludes the Inbox or the Portal
are not loaded at all, so an idle L1 costs a few microseconds a block.
Deliberately absent: what a record means (node.rollup), and a second opinion on L1 from anybody's RPC.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NoReturn, Protocol

import structlog
import trio

from node.chain.events import Finalized, HeadChanged, Subscription
from node.errors import Corruption
from node.eth import rlp
from node.eth.blocks import Block
from node.eth.hashing import keccak256
from node.eth.headers import EMPTY_REQUESTS_HASH, Header
from node.eth.primitives import Address, BlockNumber, Hash32
from node.execution.answers import RawLog
from node.rollup.deposits import DEPOSIT_TYPE, TRANSACTION_DEPOSITED
from node.rollup.derivation import Origin
from node.rollup.parameters import RollupParameters
from node.rollup.records import RECORD_APPENDED, decode_record_log
from sequencer.l1.latest import Latest
from sequencer.l1.places import Found, L1Ref

ORIGINS_MAX: Final = 512
"""Origins in memory: two records with as many advances as can be; at most 64 KiB of deposits each, usually none."""

_log = structlog.get_logger()


class FollowedL1(Protocol):
    """What of `node.chain.Chain` is read."""

    @property
    def head(self) -> Block:
        """The fork choice's answer."""

    @property
    def safe(self) -> Block:
        """The justified block."""

    @property
    def finalized(self) -> Block:
        """The final block; never moves back."""

    @property
    def confirmed(self) -> Block:
        """The deepest block that two thirds support by their latest votes."""

    def block_by_hash(self, block_hash: Hash32) -> Block | None:
        """Any kept block."""

    def block_by_number(self, number: int) -> Block | None:
        """A canonical block."""

    def canonical_hash(self, number: int) -> Hash32 | None:
        """Hash of the canonical block of a number."""

    def is_canonical(self, block_hash: Hash32) -> bool:
        """Whether a block lies on the head's chain."""

    def ancestors(self, block_hash: Hash32) -> bytes:
        """Hashes of up to 256 blocks below this one, its parent's first, joined."""

    def blooms(self, first: int, last: int) -> list[tuple[Hash32, bytes]]:
        """Hash and logs bloom of canonical blocks, both ends included."""

    def subscribe(self) -> Subscription:
        """Every event from now on."""


class L1Account(Protocol):
    """An account of L1."""

    @property
    def nonce(self) -> int:
        """Its next nonce."""


class L1Engine(Protocol):
    """What of L1's engine is asked."""

    def logs(self, receipts: bytes, address: bytes, topic: bytes) -> Sequence[RawLog]:
        """The logs of one contract in a block with this first topic."""

    def account(self, root: bytes, address: bytes) -> L1Account | None:
        """An account of a state."""


class LogRendering(Protocol):
    """What of L1's engine finds a log's transaction."""

    def logs_json(
        self,
        blocks: list[tuple[bytes, bytes]],
        addresses: list[bytes],
        topics: list[list[bytes]],
    ) -> list[bytes]:
        """The logs of (block, receipts) pairs that match, one JSON object each."""


class L1View:
    """One process's view of L1."""

    def __init__(self, chain: FollowedL1, engine: L1Engine, parameters: RollupParameters) -> None:
        self.chain: Final = chain
        """Its own full node's chain."""
        self.moved: Final = Latest(reference(chain.head))
        """L1's head; set again when finality moves."""
        self._engine = engine
        self._inbox = parameters.inbox
        self._portal = parameters.portal
        self._inbox_bits = bloom_bits(parameters.inbox)
        self._portal_bits = bloom_bits(parameters.portal)
        self._origins: OrderedDict[Hash32, Origin] = OrderedDict()

    # -- heads

    @property
    def head(self) -> L1Ref:
        """The head."""
        return reference(self.chain.head)

    @property
    def finalized(self) -> L1Ref:
        """The final block."""
        return reference(self.chain.finalized)

    @property
    def confirmed(self) -> L1Ref:
        """The deepest canonical block that two thirds of the votes support: how far the builder's origins go.

        Votes may support what this node does not see as its head's chain; then it is the justified block.
        """
        confirmed = self.chain.confirmed
        is_usable = self.chain.is_canonical(confirmed.hash)
        return reference(confirmed if is_usable else self.chain.safe)

    def canonical_hash(self, number: int) -> Hash32 | None:
        """Hash of the canonical block of a number."""
        return self.chain.canonical_hash(number)

    def is_canonical(self, block: L1Ref) -> bool:
        """Whether a block lies on the head's chain."""
        return self.chain.canonical_hash(block.number) == block.hash

    def header(self, block_hash: Hash32) -> Header | None:
        """The header of any kept block."""
        block = self.chain.block_by_hash(block_hash)
        return None if block is None else block.header

    def nonce(self, block_hash: Hash32, address: Address) -> int | None:
        """An account's next nonce after a block; None for a block that is not kept. Raises MissingState."""
        block = self.chain.block_by_hash(block_hash)
        if block is None:
            return None
        account = self._engine.account(block.header.state_root, address)
        return 0 if account is None else account.nonce

    # -- origins

    def origin(self, number: int) -> Origin | None:
        """A canonical block as an origin of L2 blocks; None above the head."""
        block_hash = self.chain.canonical_hash(number)
        return None if block_hash is None else self.origin_by_hash(block_hash)

    def origin_by_hash(self, block_hash: Hash32) -> Origin | None:
        """Any kept block as an origin."""
        found = self._origins.get(block_hash)
        if found is not None:
            self._origins.move_to_end(block_hash)
            return found
        block = self.chain.block_by_hash(block_hash)
        if block is None:
            return None
        origin = Origin(
            number=BlockNumber(block.header.number),
            hash=block.hash,
            header=block.header,
            requests=self._requests(block),
        )
        self._origins[block_hash] = origin
        if len(self._origins) > ORIGINS_MAX:
            self._origins.popitem(last=False)
        return origin

    def _requests(self, block: Block) -> tuple[bytes, ...]:
        """The block's request of type 0x7e, made again from the Portal's logs; other types mean nothing to the L2."""
        header = block.header
        if header.requests_hash == EMPTY_REQUESTS_HASH or not may_hold(
            header.logs_bloom, self._portal_bits
        ):
            return ()
        logs = self._engine.logs(block.receipts, self._portal, TRANSACTION_DEPOSITED)
        items = [rlp.encode((log.index, log.topics, log.data)) for log in logs]
        return (bytes((DEPOSIT_TYPE,)) + b"".join(items),) if items else ()

    # -- records

    def candidates(self, first: int, last: int) -> list[L1Ref]:
        """Canonical blocks from one number to another, both included, whose bloom filter does not exclude a record."""
        found = self.chain.blooms(first, last)
        return [
            L1Ref(number=first + place, hash=block_hash)
            for place, (block_hash, bloom) in enumerate(found)
            if may_hold(bloom, self._inbox_bits)
        ]

    def records_of(self, reference_: L1Ref) -> tuple[Found, ...]:
        """The records that a block appended, in order; none for one that finality has removed, which is not canonical.

        Raises Corruption for a log that no Inbox writes.
        """
        block = self.chain.block_by_hash(reference_.hash)
        if block is None:
            return ()
        records: list[Found] = []
        for log in self._engine.logs(block.receipts, self._inbox, RECORD_APPENDED):
            logged = decode_record_log(log.topics, log.data)
            if logged is None:
                raise Corruption(
                    f"log {log.index} of L1 block {reference_.number} is no record: "
                    "the contract at the Inbox's address is another one"
                )
            records.append(Found(logged=logged, block=reference_, log_index=log.index))
        return tuple(records)

    # -- following

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Tell of every new head and of finality, for ever."""
        started = False
        while True:
            with self.chain.subscribe() as events:
                self.moved.set(self.head)
                if not started:
                    started = True
                    task_status.started()
                async for event in events:
                    if isinstance(event, HeadChanged | Finalized):
                        self.moved.set(self.head)
            _log.warning("l1_view_lapsed", number=self.head.number)


def reference(block: Block) -> L1Ref:
    """A block's name."""
    return L1Ref(number=block.header.number, hash=block.hash)


def bloom_bits(address: Address) -> int:
    """The bits that a contract's logs set in a bloom filter of 2,048 (Yellow Paper, section 4.3.1)."""
    digest = keccak256(address)
    bits = 0
    for place in (0, 2, 4):
        bits |= 1 << (int.from_bytes(digest[place : place + 2]) & 2_047)
    return bits


def may_hold(bloom: bytes, bits: int) -> bool:
    """Whether a bloom filter does not exclude these bits."""
    return int.from_bytes(bloom) & bits == bits
