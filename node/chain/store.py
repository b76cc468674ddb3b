"""The chain as this node sees it: fork choice, canonical index, blocks in memory, and the tables below them.

    Imported -> take_in -> fork choice, tree -> move_head -> (added, dropped) -> settle -> what finality changes on disk

Mutable, owned by `Chain`, used on the loop only; nothing here awaits.
Look-ups answer for the canonical chain of this moment, whether a block is above finality (in memory) or below (on disk).
Deliberately absent: verification, threads, clocks, events.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from node.chain.cache import BlockCache
from node.chain.importing import Imported
from node.chain.tree import ANCESTORS_MAX, BlockTree, HeadMove
from node.consensus.containers import Checkpoint
from node.consensus.fork_choice import ForkChoice, SafetyFault
from node.consensus.parameters import Rules
from node.consensus.state import ConsensusState, decode_state
from node.consensus.state_transition import Proposed
from node.errors import Corruption
from node.eth.blocks import Block
from node.eth.primitives import Hash32, Slot
from node.storage.chain_database import CanonicalEntry, ChainDatabase, Conflict, TreeEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What a step of finality asks of the disk."""

    checkpoint: Checkpoint
    """The finalized checkpoint."""
    canonical: Sequence[CanonicalEntry]
    """Blocks that became final, ascending."""
    forks: Sequence[TreeEntry]
    """Blocks that can never be final."""
    forgotten: Sequence[TreeEntry]
    """Final blocks that a restart does not need any more."""


class ChainStore:
    """One node's chain."""

    def __init__(
        self,
        *,
        rules: Rules,
        fork_choice: ForkChoice,
        tree: BlockTree,
        database: ChainDatabase,
        genesis: Block,
        finalized: Block,
    ) -> None:
        self.rules = rules
        """Of this chain."""
        self.fork_choice = fork_choice
        """Consensus's view."""
        self.tree = tree
        """Hashes, numbers and what is canonical."""
        self.database = database
        """What is on disk."""
        self.cache = BlockCache(database)
        """Blocks in memory."""
        self.genesis = genesis
        """The first block."""
        self.head = finalized
        """The fork choice's last answer."""
        self.finalized = finalized
        """The finalized block."""
        self.conflict = database.load_conflict()
        """The first contradiction of finality that was seen, by this process or one before it."""
        self._pruned: list[Hash32] = []
        self._blooms: dict[Hash32, bytes] = {}
        self.unsettled_forks: list[TreeEntry] = []
        """Blocks on disk that can never be final; the next step of finality removes them."""
        self.unsettled_trunk: list[TreeEntry] = []
        """Final blocks whose states on disk nobody needs; the next step of finality removes them."""
        self._settled_number = finalized.header.number
        self._remember(finalized)

    # -- changing

    def take_in(self, imported: Imported, proposed: Proposed, now: Slot, *, timely: bool) -> None:
        """Put an executed and saved block into the tree. The head is to be moved before anybody looks."""
        self.tree.add(imported.entry)
        self._remember(imported.block)
        try:
            self._pruned += self.fork_choice.on_block(proposed, imported.state, now, timely=timely)
        except SafetyFault as fault:
            self.conflict = self.conflict or Conflict(
                first=fault.first, second=fault.second, block_hash=proposed.block_hash
            )

    def move_head(self, slot: Slot) -> HeadMove | None:
        """Ask the fork choice; None if the head stays, as it does rather than leave the finalized chain.

        Only after a safety fault the fork choice can ask for that: what was told to be final stays so here.
        """
        head_hash = self.fork_choice.head(slot)
        move = None
        final_hash = self.fork_choice.finalized.block_hash
        if head_hash != self.head.hash and self.fork_choice.extends(head_hash, final_hash):
            move = self.tree.set_head(head_hash)
            self.head = self.block(head_hash)
        self._prune()
        return move

    def settle(self) -> Settled | None:
        """What finality asks of the disk since `settled` was told the last time; None for nothing."""
        checkpoint = self.fork_choice.finalized
        if self.conflict is not None or checkpoint.block_hash == self.finalized.hash:
            return None
        self.finalized = self.block(checkpoint.block_hash)
        last = self.finalized.header.number
        canonical = [
            self._canonical_entry(number) for number in range(self._settled_number + 1, last + 1)
        ]
        return Settled(
            checkpoint=checkpoint,
            canonical=canonical,
            forks=tuple(self.unsettled_forks),
            forgotten=tuple(self.unsettled_trunk),
        )

    def settled(self, step: Settled) -> None:
        """The disk holds what `settle` asked for."""
        self._settled_number = self.finalized.header.number
        del self.unsettled_forks[: len(step.forks)]
        del self.unsettled_trunk[: len(step.forgotten)]
        for entry in (*step.forks, *step.forgotten):
            self._blooms.pop(entry.block_hash, None)
        for entry in step.forks:
            self.cache.forget(entry.block_hash)

    # -- looking up

    def block(self, block_hash: Hash32) -> Block:
        """A block that must be here. Raises Corruption when it is not."""
        block = self.cache.get(block_hash)
        if block is None:
            raise Corruption(f"block 0x{block_hash.hex()} is missing from the database")
        return block

    def canonical_hash(self, number: int) -> Hash32 | None:
        """The canonical block of a number."""
        found = self.tree.canonical_hash(number)
        if found is None and 0 <= number <= self._settled_number:
            row = self.database.load_canonical(number)
            return None if row is None else row.block_hash
        return found

    def is_canonical(self, block_hash: Hash32) -> bool:
        """Whether the head descends from this block, or is it."""
        entry = self.tree.entry(block_hash)
        if entry is not None:
            return self.tree.is_canonical(entry)
        if self.tree.is_recent(block_hash):
            return True
        block = self.cache.get(block_hash)
        return block is not None and self.canonical_hash(block.header.number) == block_hash

    def transaction_block(self, transaction_hash: Hash32) -> tuple[Block, int] | None:
        """The canonical block that holds a transaction, and its index there."""
        for block_hash, index in self.database.transaction_places(transaction_hash):
            if self.is_canonical(block_hash):
                return self.block(block_hash), index
        return None

    def chain_from(self, block_hash: Hash32) -> bytes:
        """Up to 256 hashes from this block down, newest first; empty for a block that is not here."""
        hashes = self.tree.ancestors(block_hash)
        if hashes is not None:
            return hashes
        block = self.cache.get(block_hash)
        if block is None or not self.is_canonical(block_hash):
            return b""
        number = block.header.number
        rows = list(self.database.canonical(max(0, number - ANCESTORS_MAX + 1), number))
        return b"".join(row.block_hash for row in reversed(rows))

    def blooms(self, first: int, last: int) -> Iterator[tuple[Hash32, bytes]]:
        """Hash and logs bloom of canonical blocks, ascending, both ends included."""
        last = min(last, self.head.header.number)
        for row in self.database.canonical(first, min(last, self._settled_number)):
            yield row.block_hash, row.bloom
        for number in range(max(first, self._settled_number + 1), last + 1):
            entry = self._canonical_entry(number)
            yield entry.block_hash, entry.bloom

    def state(self, block_hash: Hash32) -> ConsensusState | None:
        """The consensus state after a block, if it is kept."""
        if block_hash in self.fork_choice:
            return self.fork_choice.state(block_hash)
        encoded = self.database.load_state(block_hash)
        return None if encoded is None else decode_state(encoded)

    def justified_block(self) -> Block:
        """The justified block of the head's state."""
        state = self.fork_choice.state(self.head.hash)
        return self.block(state.justified.block_hash)

    # -- inside

    def _prune(self) -> None:
        """Let go of what the fork choice let go of, now that the head's chain has left it.

        Not after a safety fault: what is final is in dispute then, and nothing may be removed for its sake.
        """
        pruned, self._pruned = self._pruned, []
        if self.conflict is None and pruned:
            trunk, forks = self.tree.prune(pruned, indexed_number=self._settled_number)
            self.unsettled_trunk += trunk
            self.unsettled_forks += forks

    def _remember(self, block: Block) -> None:
        self.cache.put(block)
        self._blooms[block.hash] = block.header.logs_bloom

    def _canonical_entry(self, number: int) -> CanonicalEntry:
        entry = self.tree.canonical_entry(number)
        bloom = self._blooms.get(entry.block_hash)
        if bloom is None:
            bloom = self.block(entry.block_hash).header.logs_bloom
        return CanonicalEntry(
            number=entry.number, slot=entry.slot, block_hash=entry.block_hash, bloom=bloom
        )
