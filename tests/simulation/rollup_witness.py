"""Who watches every L2 node of a simulated network, and what must hold.

RollupWitness.look(host) -> InvariantBroken, or nothing
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from node.eth.primitives import Hash32
from tests.simulation.witness import InvariantBroken

if TYPE_CHECKING:
    from tests.simulation.rollup import RollupHost


@dataclass(slots=True)
class RollupWitness:
    """Who sees what every L2 node says."""

    final: dict[int, Hash32] = field(default_factory=dict)
    """Hashes of final L2 blocks by number, whoever said so first."""
    last_final: dict[str, int] = field(default_factory=dict)
    """What each node said last."""
    acknowledged: dict[Hash32, str] = field(default_factory=dict)
    """Transactions that a node has taken, and who."""
    deposits: dict[bytes, int] = field(default_factory=dict)
    """Deposits whose L1 transaction was handed in: recipient and wei."""
    forged: set[Hash32] = field(default_factory=set)
    """Unsafe blocks that a foreign key has signed."""
    compared: int = 0
    """How often a safe head was compared with the Inbox."""

    def look(self, host: RollupHost) -> None:
        """Hold one node against the invariants. Raises InvariantBroken."""
        node = host.node
        assert node is not None
        chain = node.chain
        number = chain.finalized.header.number
        if number < self.last_final.get(host.name, 0):
            raise InvariantBroken(f"R1: {host.name}: final went back to {number}")
        self.last_final[host.name] = number
        known = self.final.setdefault(number, chain.finalized.hash)
        if known != chain.finalized.hash:
            raise InvariantBroken(f"R2: {host.name}: another final block {number}")
        if any(chain.block_by_hash(one) is not None for one in self.forged):
            raise InvariantBroken(f"R5: {host.name}: follows a stranger's unsafe block")
        derived = node.deriver.derived.value
        if derived is not None and derived.block == node.l1.head:
            self.compared += 1
            wanted = host.next_block() - 1
            if chain.safe.header.number != wanted:
                raise InvariantBroken(
                    f"R3: {host.name}: safe at {chain.safe.header.number}, the Inbox at {wanted}"
                )
