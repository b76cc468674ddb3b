"""What the builder stands on: its neighbours as it sees them, and its settings.

app -> BuilderParts -> Builder
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from prometheus_client import CollectorRegistry

from node.eth.blocks import Block
from node.execution.engine import BlockResult
from node.rollup.parameters import RollupParameters
from node.runtime.clock import WallClock
from node.runtime.faults import FaultBoard
from node.runtime.worker import Worker
from node.txpool.intake import Decoded
from sequencer.building.limits import SealingLimits, WaitingLimits
from sequencer.building.origins import OriginSource
from sequencer.building.refusing import RefusingEngine
from sequencer.building.sealing import SealingEngine
from sequencer.l1.places import L1Ref


class BuiltChain(Protocol):
    """What of the L2's chain is read and changed (`sequencer.heads.L2Chain`)."""

    @property
    def head(self) -> Block:
        """The unsafe head."""

    @property
    def head_origin(self) -> L1Ref:
        """Its L1 origin."""

    def append(self, result: BlockResult, origin: L1Ref) -> Block:
        """Put a block on the head, journaled when this returns."""

    def on_reset(self, callback: Callback) -> None:
        """Tell of blocks before they are dropped."""

    async def room(self) -> None:
        """Wait until the disk keeps up."""


class Callback(Protocol):
    """Hears of dropped blocks."""

    def __call__(self, dropped: Sequence[Block], /) -> None:
        """From the head down."""


class BuildingEngine(SealingEngine, RefusingEngine, Protocol):
    """What building asks of the L2's engine."""

    def decode(self, transactions: Sequence[bytes]) -> Sequence[Decoded]:
        """Decodes and recovers in parallel, in order."""

    def raw_transactions(self, block: bytes) -> list[bytes]:
        """EIP-2718 transactions of an RLP block."""


class Signal(Protocol):
    """Something that changes (`sequencer.l1.latest.Latest`)."""

    @property
    def value(self) -> object:
        """The newest value."""

    async def past(self, version: int) -> int:
        """Wait until it was set more often than this; gives how often."""


class MovingL1(OriginSource, Protocol):
    """L1, and when it moves."""

    @property
    def moved(self) -> Signal:
        """Set whenever L1's head or finality moves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuilderParts:
    """What a builder stands on."""

    parameters: RollupParameters
    """The rollup's."""
    chain: BuiltChain
    """The L2's chain."""
    engine: BuildingEngine
    """Execution of the L2."""
    l1: MovingL1
    """L1 as this node sees it."""
    derived: Signal
    """Not None once L1's records are derived up to its head."""
    worker: Worker
    """Where transactions are decoded."""
    sealing_worker: Worker
    """Where blocks are sealed; best a thread of its own."""
    wall: WallClock
    """Time of day."""
    faults: FaultBoard
    """What to do wrong on purpose."""
    registry: CollectorRegistry
    """Where metrics go."""
    kept_file: Path | None = None
    """Where transactions lie that were taken and are in no block; None keeps none."""
    limits: WaitingLimits = field(default_factory=WaitingLimits)
    """Bounds of the pool."""
    sealing: SealingLimits = field(default_factory=SealingLimits)
    """The ration of blocks."""
