"""What a state says of senders: one look at the engine for all of them at every head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from node.eth.primitives import Address
from node.txpool.surroundings import PoolEngine
from node.txpool.transaction import AccountFacts

EMPTY_CODE_HASH: Final = bytes.fromhex(
    "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
)
"""keccak-256 of nothing."""


def read_account(engine: PoolEngine, root: bytes, address: Address) -> AccountFacts:
    """An account of a state; all zeros where there is none."""
    account = engine.account(root, address)
    if account is None:
        return AccountFacts(0, 0, False)
    return AccountFacts(account.nonce, account.balance, account.code_hash != EMPTY_CODE_HASH)


def read_accounts(
    engine: PoolEngine,
    root: bytes,
    senders: Sequence[Address],
    known: Mapping[Address, AccountFacts],
) -> dict[Address, AccountFacts]:
    """All senders' at once; code comes and goes with a nonce, so it is read only where that moved."""
    facts: dict[Address, AccountFacts] = {}
    for sender, (nonce, balance) in zip(senders, engine.accounts(root, senders), strict=True):
        old = known[sender]
        if nonce != old.nonce:
            facts[sender] = read_account(engine, root, sender)
        else:
            facts[sender] = AccountFacts(nonce, balance, old.has_code)
    return facts
