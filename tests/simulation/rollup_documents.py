"""What a simulated network with an L2 starts from, and who has money in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sequencer.batching.signing import L1Account
from tests.kit.real_rollup import Documents, MoreContracts, make_documents
from tests.kit.transfers import sender
from tests.simulation.network import Plan
from tests.simulation.strangers import STRANGER

WINDOW_BLOCKS: Final = 8
"""L1 blocks after which anybody may force the Inbox on."""

USERS: Final = tuple(sender(f"simulated user {number}") for number in range(3))
"""Who sends on the L2."""

DEPOSITOR: Final = sender("simulated depositor")
"""Who deposits on L1."""

FORCER_SECRETS: Final = tuple(bytes([0xF0 + number]) * 32 for number in range(4))
"""Replicas' accounts on L1."""


def sequencer_key() -> Ed25519PrivateKey:
    """Signs unsafe blocks."""
    return Ed25519PrivateKey.from_private_bytes(b"\x5e" * 32)


def documents_of(
    plan: Plan, funded: Sequence[bytes] = (), *, more: MoreContracts | None = None
) -> Documents:
    """What a network of a plan starts from; `funded` have money beside the users."""
    known = [*(user.address for user in USERS), DEPOSITOR.address, STRANGER.address]
    known += [L1Account(secret, 900).address for secret in FORCER_SECRETS]
    return make_documents(
        plan.genesis(),
        [*known, *funded],
        window_blocks=WINDOW_BLOCKS,
        sequencer_key=sequencer_key().public_key().public_bytes_raw(),
        more=more,
    )
