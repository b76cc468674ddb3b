"""What an adversary stands on: both chains, money, the processes of the devnet, a clock, and somebody to tell.

    faultline break NAME -> Stage -> attack(stage, parameters) -> Verdict
                                  -> lines of the attacker and of the network, as they happen

An adversary has what anybody has: JSON-RPC and funded accounts. What else it needs is asked of the devnet's owner, who
runs the command: to stop a process, or to act as the guardian.
Deliberately absent: the attacks themselves, and how a terminal shows them (deploy.commands.attacking).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol, TypeVar

from pydantic import JsonValue

from deploy.accounts import FundedAccount
from deploy.bridge_terms import BridgeTerms
from node.rollup.parameters import RollupParameters

LOOK_EVERY_S: Final = 0.1
"""How often the chains are asked while something is waited for."""

PATIENCE_S: Final = 90.0
"""What the network does by itself is there within this; slow machines included."""

Found = TypeVar("Found")


class Speaker(StrEnum):
    """Who a line is about."""

    ATTACKER = "attacker"
    """What is tried."""
    NETWORK = "network"
    """What the network does."""


class AttackFailed(Exception):
    """An attack that could not be carried out, so that it shows nothing; the message says where it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of an attack."""

    held: bool
    """Whether the network held."""
    summary: str
    """Why, in a sentence."""


class Rpc(Protocol):
    """JSON-RPC of a chain."""

    def ask(self, method: str, *parameters: JsonValue) -> JsonValue:
        """Call a method. Raises RpcUnavailable, RpcRefused."""


class Processes(Protocol):
    """The devnet's processes, as their owner has them."""

    def stop(self, name: str) -> None:
        """Stop one; returns when it has ended."""

    def start(self, name: str) -> None:
        """Start one; returns once it has been asked for."""

    def unready(self) -> str:
        """Which of them are not ready and why; empty if all are."""


@dataclass(kw_only=True)
class Stage:
    """What an adversary stands on."""

    l1: Rpc
    """L1's JSON-RPC."""
    l1_nodes: Mapping[str, Rpc]
    """That of each L1 node, by the name of its process."""
    l2: Rpc
    """The L2's, the sequencer's first."""
    accounts: Sequence[FundedAccount]
    """Accounts with money on both chains; the last ones are an adversary's."""
    guardian: FundedAccount | None
    """Who may pause the bridge; None where nobody has its key."""
    processes: Processes
    """The devnet's."""
    terms: BridgeTerms
    """What the bridge's contracts are made with."""
    parameters: RollupParameters
    """The rollup's constants."""
    slot_seconds: int
    """Seconds that an L1 slot lasts."""
    tell: Callable[[Speaker, str], None]
    """Told of every step."""
    now: Callable[[], float]
    """Seconds, of a clock that never goes back."""
    pause: Callable[[float], None]
    """Waits for so many seconds."""
    undo: list[Callable[[], None]] = field(default_factory=list)
    """What leaves the network as it was found; called in reverse order, whatever became of the attack."""

    def tries(self, line: str) -> None:
        """Say what the attacker does."""
        self.tell(Speaker.ATTACKER, line)

    def sees(self, line: str) -> None:
        """Say what the network did."""
        self.tell(Speaker.NETWORK, line)

    def account(self, place: int = 0) -> FundedAccount:
        """An adversary's account, counted from the last: whoever follows the README uses the first."""
        return self.accounts[-1 - place % len(self.accounts)]

    def until(
        self, what: str, attempt: Callable[[], Found | None], deadline_s: float = PATIENCE_S
    ) -> Found:
        """Ask again until there is an answer. Raises AttackFailed with what was waited for."""
        end = self.now() + deadline_s
        while True:
            found = attempt()
            if found is not None and found is not False:
                return found
            if self.now() > end:
                raise AttackFailed(f"waited {deadline_s:.0f} s in vain for {what}")
            self.pause(LOOK_EVERY_S)

    def stop(self, name: str) -> None:
        """Stop a process; it runs again when the attack is over."""
        self.processes.stop(name)
        self.undo.append(lambda: self.processes.start(name))

    def clean_up(self) -> None:
        """Leave the network as it was found; what was undone is not undone twice."""
        while self.undo:
            self.undo.pop()()
