"""How much Ether there is on the L2: what its genesis gives, and every deposit's mint, less what withdrawals took along.

    final L2 blocks -> their L1 origins' deposits (+)        -> wei -> faultline_l2_supply_wei
                    -> logs of the message passer (-)

Only final blocks count, so the sum never has to be taken back, and the file that holds it is right or missing.
Beside `faultline_bridge_locked_wei` it shows that the Portal covers the L2: what is locked is never less.
Deliberately absent: what contracts destroy on the L2; it makes the true supply smaller than this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import orjson
import trio

from node.contracts.addresses import MESSAGE_PASSER, PORTAL
from node.contracts.bindings import MESSAGE_PASSED, read_message_passed
from node.eth.blocks import Block
from node.eth.primitives import Hash32
from node.execution.answers import RawLog
from node.rollup.deposits import user_deposits
from node.rollup.derivation import Origin
from sequencer.l1.places import L1Ref
from sequencer.l1.view import bloom_bits, may_hold

PORTION_BLOCKS: Final = 512
"""Blocks that are looked at before others on the loop get their turn."""

SAVE_EVERY_BLOCKS: Final = 8_192
"""How far it has come is written down so often; a restart looks at these again."""

_PASSER_BITS: Final = bloom_bits(MESSAGE_PASSER)
_PORTAL_BITS: Final = bloom_bits(PORTAL)


class FinalL2(Protocol):
    """What of `sequencer.heads.L2Chain` is read."""

    @property
    def finalized(self) -> Block:
        """The last block derived from finalized L1."""

    def block_by_number(self, number: int) -> Block | None:
        """A block of the chain."""

    def canonical_hash(self, number: int) -> Hash32 | None:
        """Hash of the block of a number."""

    def origin_of(self, block_hash: Hash32) -> L1Ref | None:
        """The L1 origin of a block."""

    def blooms(self, first: int, last: int) -> list[tuple[Hash32, bytes]]:
        """Hash and logs bloom of blocks, both ends included."""


class OriginChain(Protocol):
    """What of L1's chain is read."""

    def blooms(self, first: int, last: int) -> list[tuple[Hash32, bytes]]:
        """Hash and logs bloom of canonical blocks, both ends included."""


class Origins(Protocol):
    """What of L1 is read (`sequencer.l1.view.L1View`)."""

    @property
    def chain(self) -> OriginChain:
        """Its blocks."""

    def origin(self, number: int) -> Origin | None:
        """A canonical block as an origin of L2 blocks."""


class PasserLogs(Protocol):
    """What of the L2's engine is asked."""

    def logs(self, receipts: bytes, address: bytes, topic: bytes) -> list[RawLog]:
        """The logs of one contract in a block with this first topic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sum:
    """The supply after a final L2 block."""

    number: int
    """The block."""
    hash: Hash32
    """Its hash."""
    origin: int
    """Number of its L1 origin."""
    wei: int
    """The supply."""


class Supply:
    """The supply of one L2, as far as this process has it final."""

    def __init__(
        self,
        file: Path | None,
        *,
        genesis_wei: int,
        l2: FinalL2,
        l1: Origins,
        engine: PasserLogs,
    ) -> None:
        """Go on where a file says; one that is missing, cut off or of another chain is begun anew. None keeps no file."""
        self._file = file
        self._l2 = l2
        self._l1 = l1
        self._engine = engine
        genesis = l2.canonical_hash(0)
        assert genesis is not None, "a chain has a genesis"
        fresh = _Sum(number=0, hash=genesis, origin=0, wei=genesis_wei)
        self._sum = (None if file is None else _load(file, l2)) or fresh
        self._saved = self._sum.number

    async def catch_up(self) -> int:
        """Look at what has become final; gives the supply, wei."""
        while self._sum.number < self._l2.finalized.header.number:
            self._step()
            await trio.lowlevel.checkpoint()
        if self._sum.number - self._saved >= SAVE_EVERY_BLOCKS:
            self._save()
        return self._sum.wei

    def _step(self) -> None:
        done = self._sum
        last = min(self._l2.finalized.header.number, done.number + PORTION_BLOCKS)
        wei = done.wei
        blooms = self._l2.blooms(done.number + 1, last)
        for number, (_, bloom) in enumerate(blooms, done.number + 1):
            if may_hold(bloom, _PASSER_BITS):
                wei -= self._withdrawn(number)
        last_hash = blooms[-1][0]
        origin = self._l2.origin_of(last_hash)
        assert origin is not None, "a final block has an origin"
        wei += self._minted(done.origin + 1, origin.number)
        self._sum = _Sum(number=last, hash=last_hash, origin=origin.number, wei=wei)

    def _withdrawn(self, number: int) -> int:
        block = self._l2.block_by_number(number)
        assert block is not None, "its bloom filter was there"
        logs = self._engine.logs(block.receipts, MESSAGE_PASSER, MESSAGE_PASSED)
        messages = [read_message_passed(log.topics, log.data) for log in logs]
        return sum(message.value for message in messages if message is not None)

    def _minted(self, first: int, last: int) -> int:
        total = 0
        for number, (_, bloom) in enumerate(self._l1.chain.blooms(first, last), first):
            origin = self._l1.origin(number) if may_hold(bloom, _PORTAL_BITS) else None
            if origin is not None:
                total += sum(one.mint for one in user_deposits(origin.hash, origin.requests))
        return total

    def _save(self) -> None:
        if self._file is None:
            return
        done = self._sum
        beside = self._file.with_suffix(".new")
        beside.write_bytes(
            orjson.dumps(
                {
                    "number": done.number,
                    "hash": done.hash.hex(),
                    "origin": done.origin,
                    "wei": str(done.wei),
                }
            )
        )
        beside.replace(self._file)
        self._saved = done.number


def genesis_supply(document: bytes) -> int:
    """Everything that a genesis document gives away, wei."""
    allocations = orjson.loads(document)["alloc"].values()
    return sum(int(str(account.get("balance", "0x0")), 0) for account in allocations)


def _load(file: Path, l2: FinalL2) -> _Sum | None:
    """What a file says, if it is of this chain."""
    try:
        found = orjson.loads(file.read_bytes())
        done = _Sum(
            number=int(found["number"]),
            hash=Hash32(bytes.fromhex(found["hash"])),
            origin=int(found["origin"]),
            wei=int(found["wei"]),
        )
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None  # It can be thrown away at any time.
    is_final = done.number <= l2.finalized.header.number
    return done if is_final and l2.canonical_hash(done.number) == done.hash else None
