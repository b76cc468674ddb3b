"""What a role wants to happen on L1. PURE.

    role, at an L1 block -> [Want, ...] in order of priority -> Sender: one transaction each, once

A want is named by its key: the same key at the next block is the same want, and a key that is missing there is not wanted any more.
Deliberately absent: nonces and fees, which are the sender's.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.eth.primitives import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """A call that shall be made."""

    key: str
    """Its name, for ever: what is done, and to what; at most 200 characters."""
    to: Address
    """The contract; 20 bytes."""
    call_data: bytes
    """Its input."""
    value_wei: int = 0
    """What is paid along."""
    gas_limit: int | None = None
    """Gas of the transaction; None takes what a simulation on L1's head used, and a margin."""
    follows: str | None = None
    """Key of a want that has to happen first, in the same block at best.

    While that one is on its way this one is not simulated, so its `gas_limit` has to be given."""
    is_urgent: bool = False
    """Whether its first offer is raised at once: for what has a deadline and rivals."""

    def __post_init__(self) -> None:
        assert 0 < len(self.key) <= 200, "a key is a short name"
        assert self.follows is None or self.gas_limit is not None, (
            "what follows cannot be simulated"
        )
