"""One sender's transactions: those that could run now, in order, and those that wait for an earlier nonce.

    queued --(the gap closes)--> executable --(mined)--> gone
       ^---(an earlier one is dropped)---'

Invariant: the nonces of `executable` are `nonce`, `nonce + 1`, ... without a gap; those of `queued` all lie above.
"""

from __future__ import annotations

from node.eth.primitives import Address
from node.txpool.transaction import AccountFacts, PooledTransaction


class Sender:
    """Mutable; owned by the pool."""

    __slots__ = (
        "active_ms",
        "address",
        "balance",
        "cost",
        "executable",
        "has_code",
        "nonce",
        "queued",
    )

    def __init__(self, address: Address, facts: AccountFacts) -> None:
        self.address = address
        """20 bytes."""
        self.nonce = facts.nonce
        """Next nonce in the head's state."""
        self.balance = facts.balance
        """Wei in the head's state."""
        self.has_code = facts.has_code
        """Whether it is delegated."""
        self.executable: dict[int, PooledTransaction] = {}
        """By nonce."""
        self.queued: dict[int, PooledTransaction] = {}
        """By nonce."""
        self.cost = 0
        """Wei that the executable ones may take together."""
        self.active_ms = 0
        """When it last sent something or had something mined."""

    @property
    def facts(self) -> AccountFacts:
        """What the head's state says of it, as far as the pool knows."""
        return AccountFacts(self.nonce, self.balance, self.has_code)

    @property
    def next_nonce(self) -> int:
        """The first nonce that is free."""
        return self.nonce + len(self.executable)

    @property
    def is_empty(self) -> bool:
        """Whether nothing of it is here."""
        return not self.executable and not self.queued

    @property
    def carries_blobs(self) -> bool:
        """Whether its transactions carry blobs: all of them do, or none does."""
        one = next(iter((self.executable or self.queued).values()), None)
        return one is not None and bool(one.blob_hashes)

    def find(self, nonce: int) -> PooledTransaction | None:
        """Find its transaction with this nonce."""
        return self.executable.get(nonce) or self.queued.get(nonce)

    def put(self, one: PooledTransaction) -> bool:
        """Add or replace; True if it is executable."""
        nonce = one.nonce
        old = self.executable.get(nonce)
        if old is not None:
            self.cost -= old.cost
        elif nonce != self.next_nonce:
            self.queued[nonce] = one
            return False
        else:
            self.queued.pop(nonce, None)
        self.executable[nonce] = one
        self.cost += one.cost
        return True

    def promote(self) -> list[PooledTransaction]:
        """Make executable what has become so."""
        promoted: list[PooledTransaction] = []
        while self.queued and (one := self.queued.pop(self.next_nonce, None)) is not None:
            self.executable[one.nonce] = one
            self.cost += one.cost
            promoted.append(one)
        return promoted

    def take_out(self, one: PooledTransaction) -> list[PooledTransaction]:
        """Remove one; what came after it goes back to the queue and is given."""
        if self.queued.get(one.nonce) is one:
            del self.queued[one.nonce]
            return []
        last = self.next_nonce
        del self.executable[one.nonce]
        self.cost -= one.cost
        demoted: list[PooledTransaction] = []
        for nonce in range(one.nonce + 1, last):
            later = self.executable.pop(nonce)
            self.cost -= later.cost
            self.queued[nonce] = later
            demoted.append(later)
        return demoted

    def move(self, facts: AccountFacts) -> list[PooledTransaction]:
        """Take over what a new head says; gives what its state has used up.

        What then lies behind a gap goes to the queue; `promote` must follow.
        """
        used: list[PooledTransaction] = []
        if facts.nonce > self.nonce:
            for nonce in range(self.nonce, min(facts.nonce, self.next_nonce)):
                one = self.executable.pop(nonce)
                self.cost -= one.cost
                used.append(one)
            stale = [nonce for nonce in self.queued if nonce < facts.nonce]
            used += [self.queued.pop(nonce) for nonce in stale]
        elif facts.nonce < self.nonce:
            self.queued.update(self.executable)
            self.executable.clear()
            self.cost = 0
        assert not self.executable or facts.nonce in self.executable, "a gap before the first"
        self.nonce, self.balance, self.has_code = facts.nonce, facts.balance, facts.has_code
        return used

    def unaffordable(self, gas_limit_max: int, *, check_gas: bool) -> list[PooledTransaction]:
        """Its transactions that could no longer be included by themselves."""
        found: list[PooledTransaction] = []
        if check_gas or self.balance < self.cost:
            found += [one for one in self.executable.values() if self._dead(one, gas_limit_max)]
        found += [one for one in self.queued.values() if self._dead(one, gas_limit_max)]
        return found

    def _dead(self, one: PooledTransaction, gas_limit_max: int) -> bool:
        return one.cost > self.balance or one.gas_limit > gas_limit_max
