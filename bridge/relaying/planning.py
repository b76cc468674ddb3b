"""What the relayer does about one withdrawal, given where it stands. PURE.

    Standing -> next_step -> Prove (against a game) | Finalize (on somebody's proof) | nothing yet

L1's state is all there is to know: an own proof is not made again, one that a reorganisation took is. A stranger's is finalized on
when it is ready, and never waited for (`bridge.withdrawals.stages`).
Deliberately absent: whether something was sent already. A want keeps its name while it is wanted, and the sender knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from bridge.withdrawals.stages import Game, Need, Proof, Standing
from node.eth.primitives import Hash32
from sequencer.batching.signing import gas_limit

RELAYED_GAS_MAX: Final = 5_000_000
"""Gas that a withdrawal's call may ask for; who wants more pays for it himself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prove:
    """Prove it."""

    game: Game
    """Against this game."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalize:
    """Finalize it."""

    proof: Proof
    """On this proof."""


SETTLING_GAS: Final = 300_000
"""What finalizing uses besides its call, at most: marks, checks of the game, the event, and the 40,000 that the Portal keeps."""

Step: TypeAlias = Prove | Finalize


def next_step(standing: Standing) -> Step | None:
    """Say what is to be done in the next block; None while something else has to happen first."""
    needs = [wait.need for wait in standing.waits]
    if needs == [Need.PROOF]:
        assert standing.game is not None, "it is provable"
        return Prove(game=standing.game)
    if needs == [Need.FINALIZATION]:
        assert standing.proof is not None, "it is proven"
        return Finalize(proof=standing.proof)
    return None


def key_of(name: Hash32, step: Step) -> str:
    """Name what is wanted: a proof against one game, or the settlement on one submitter's proof.

    A stranger's proof can restart under a call. The settlement on the own one is not held back by that failure.
    """
    match step:
        case Prove(game=game):
            return f"prove:{name.hex()}:{game.address.hex()}"
        case Finalize(proof=proof):
            return f"finalize:{name.hex()}:{proof.submitter.hex()}"


def settling_gas(call_data: bytes, message_gas: int) -> int:
    """Bound the gas of a transaction that finalizes a withdrawal whose call asks for so much.

    A simulation would not do: the Portal wants to see the whole of it, of which a call may use a hundredth, and keeps a 64th.
    """
    return gas_limit(call_data, SETTLING_GAS + message_gas * 64 // 63)


def refusal_of(message_gas: int) -> str | None:
    """Say why a withdrawal is not relayed; None if it is."""
    if message_gas > RELAYED_GAS_MAX:
        return (
            f"its call wants {message_gas} gas, the relayer pays for at most {RELAYED_GAS_MAX}: "
            "finalize it yourself"
        )
    return None
