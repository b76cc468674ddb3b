"""What the `rollup` namespace tells of games and withdrawals, and whom it asks.

    rollup_game, rollup_withdrawal, rollup_settle -> BridgeView -> GameReport | WithdrawalReport -> JSON

`bridge.withdrawals` answers, so the processes that run it do: bridge and watchtower. A sequencer or plain replica derives L2 but
follows no games, and says so. `rollup_settle` is answered where a relayer runs: the bridge.
Deliberately absent: judging. Reports are made whole, from one L1 block each, and only written down here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from node.eth.primitives import Address, Hash32


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockReport:
    """The L1 block whose state a report is from."""

    number: int
    """Its number."""
    hash: Hash32
    """Its hash."""
    timestamp: int
    """Its time, seconds since the epoch of Unix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitReport:
    """One thing that is waited for."""

    need: str
    """Its name: data, game, proof, challenge, resolution, air_gap, maturity, unpause, finalization."""
    block: int | None
    """The L1 block number that ends it; for `challenge` that block has to be final."""
    timestamp: int | None
    """The L1 time that ends it, seconds."""
    expected_at: int | None
    """When that is to be, seconds; None where somebody has to act first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GameReport:
    """A game at one L1 block."""

    at: BlockReport
    """The L1 block."""
    index: int
    """Its place in the factory."""
    address: Address
    """Its contract."""
    status: str
    """in_progress, challenger_wins or defender_wins."""
    is_proper: bool
    """Of the factory and the respected kind, neither blacklisted nor retired."""
    l2_block: int
    """The L2 block whose output it claims."""
    root_claim: Hash32
    """The output root it claims."""
    own_root: Hash32 | None
    """What this node derives there; None while L1's data does not reach so far."""
    created_block: int
    """Number of the L1 block that created it."""
    created_at: int
    """That block's time, seconds."""
    resolved_block: int
    """Number of the L1 block that resolved it; 0 while it is in progress."""
    waits: Sequence[WaitReport]
    """What is left until withdrawals settle on it; empty when they do, or never will."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofReport:
    """A proof that L1 holds."""

    submitter: Address
    """Who sent it."""
    proven_at: int
    """Time of its L1 block, seconds."""
    is_final: bool
    """Whether L1's final state holds it."""
    game_index: int
    """What it stands on, by place in the factory."""
    game_address: Address
    """The same by contract."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementReport:
    """The transaction that settled a withdrawal."""

    transaction_hash: Hash32
    """On L1."""
    block_number: int
    """Number of the L1 block that holds it."""
    succeeded: bool
    """Whether the target took the call; what it refuses is not sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalReport:
    """A withdrawal at one L1 block."""

    at: BlockReport
    """The L1 block."""
    withdrawal_hash: Hash32
    """Its name."""
    state: str
    """initiated, provable, proven, in_challenge, finalizable or settled."""
    is_paused: bool
    """Whether the guardian holds the Portal back."""
    waits: Sequence[WaitReport]
    """All it waits for; empty once it is settled."""
    expected_at: int | None
    """When all of that is over, seconds; None if somebody has to act first."""
    game: GameReport | None
    """What it is proven against, else what it can be proven against."""
    proof: ProofReport | None
    """The proof that settles it soonest; of those that count for the submitter who asks."""
    fallen: Sequence[ProofReport]
    """Proofs whose games can hold nothing any more."""
    settlement: SettlementReport | None
    """What settled it; None before, and where the log is too far back to be looked for."""
    l2_block: int
    """Number of the L2 block that holds it."""
    l2_block_hash: Hash32
    """Its hash."""
    l2_transaction_hash: Hash32
    """The transaction that initiated it."""
    l2_status: str
    """unsafe, safe or finalized."""
    nonce: int
    """Of the message, its version in the highest two bytes."""
    sender: Address
    """Who sent it on L2."""
    target: Address
    """Whom it calls on L1."""
    value: int
    """Wei."""
    gas_limit: int
    """Least gas of the call on L1."""
    data: bytes
    """The call's input."""
    is_relayed: bool
    """Whether this process's relayer was asked to settle it."""


class BridgeView(Protocol):
    """What a process that follows games knows of them."""

    async def game(self, index: int) -> GameReport | None:
        """A game by its place in the factory; None where there is none."""

    async def withdrawal(
        self, name: Hash32, submitter: Address | None = None
    ) -> WithdrawalReport | None:
        """A withdrawal, by its hash or by that of the L2 transaction that initiated it (its first); None if L2 holds none.

        With a submitter as it stands for that account: a stranger's proof counts once it can be finalized, not before.
        """

    async def settle(self, name: Hash32) -> str | None:
        """Ask this process's relayer to prove and finalize a withdrawal; gives why it does not."""
