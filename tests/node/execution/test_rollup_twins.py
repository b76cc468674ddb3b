"""One block by four ways: sequenced, derived, judged and from its witness alone; over random chains.

Given any deposits and transactions, good ones and bad ones, all ways give the same bytes, and what the sequencer left
out derivation does not execute either.
"""

from __future__ import annotations

from typing import Final

from eth_account.signers.local import LocalAccount
from hypothesis import given, settings, strategies as st

from node.execution.engine import BlockResult
from tests.kit.execution_chain import (
    DEPOSITOR,
    ETHER,
    GWEI,
    HISTORIAN,
    KEEPER,
    SENDER,
    SPONSOR,
    address_of,
    word,
)
from tests.kit.rollup_chain import (
    FAUCET,
    LOGGER,
    MESSAGE_PASSER,
    REVERTER,
    RollupChain,
    deposit,
    keep,
    sign_l2,
)

ACTORS: Final[tuple[LocalAccount, ...]] = (SENDER, DEPOSITOR, SPONSOR)
"""Who signs."""

PLACES: Final = (
    KEEPER,
    LOGGER,
    REVERTER,
    HISTORIAN,
    MESSAGE_PASSER,
    FAUCET,
    bytes(19) + b"\x05",
    bytes([0x78] * 20),
    *(address_of(actor) for actor in ACTORS),
)
"""Who is called."""

SUICIDE: Final = bytes.fromhex("5fff")
"""Creation code that destroys what it creates, in favour of address zero."""

words = st.integers(0, 3).map(word)
data = st.one_of(st.just(b""), st.tuples(words, words).map(b"".join))
deposits = st.builds(
    lambda sender, to, mint, value, gas, payload, source: deposit(
        sender=sender, to=to, mint=mint, value=value, gas=gas, data=payload, source=word(source)
    ),
    st.sampled_from((FAUCET, *(address_of(actor) for actor in ACTORS))),
    st.sampled_from((*PLACES, b"")),
    st.integers(0, 10),
    st.integers(0, 12),
    st.sampled_from((100_000, 21_000, 20_999, 3_000_000)),
    st.one_of(data, st.just(SUICIDE)),
    st.integers(1, 2**32),
)


class Wallets:
    """Signs with the nonces that the chain is at, except where a transaction is to be bad."""

    def __init__(self, chain: RollupChain) -> None:
        self.nonces = {actor.address: chain.nonce(address_of(actor)) for actor in ACTORS}

    def sign(self, order: tuple[int, int, int, bytes, int]) -> bytes:
        """A transaction; `order` is actor, place, kind, data and value."""
        actor, place, kind, payload, value = order
        account = ACTORS[actor]
        nonce = self.nonces[account.address]
        fields: dict[str, object] = {
            "nonce": nonce,
            "to": PLACES[place % len(PLACES)],
            "data": payload,
            "value": value,
            "gas": 100_000,
        }
        match kind:
            case 0:
                fields["nonce"] = nonce + 1
                return sign_l2(account, **fields)
            case 1:
                return sign_l2(account, **{**fields, "value": 10**6 * ETHER})
            case 2:
                fields |= {"to": b"", "data": SUICIDE}
            case 3:
                fields["gasPrice"] = GWEI
            case 4:
                slots = [{"address": "0x" + KEEPER.hex(), "storageKeys": ["0x" + word(1).hex()]}]
                fields["accessList"] = slots
            case _:
                pass
        self.nonces[account.address] += 1
        return sign_l2(account, **fields)


orders = st.tuples(
    st.integers(0, 2), st.integers(0, 100), st.integers(0, 9), data, st.integers(0, 5)
)
blocks = st.lists(
    st.tuples(st.lists(deposits, max_size=4), st.lists(orders, max_size=6)),
    min_size=1,
    max_size=4,
)


def agree(
    chain: RollupChain, given_deposits: list[bytes], offered: list[bytes]
) -> tuple[BlockResult, list[bytes]]:
    """Builds a block by all ways; gives it, and what of the transactions is in it."""
    builder = chain.engine.sequence(chain.header, chain.attributes(), given_deposits, b"")
    outcomes = builder.push(offered[:2])
    outcomes += builder.push(offered[2:])
    taken = [raw for raw, outcome in zip(offered, outcomes, strict=True) if outcome.included]
    sealed = builder.seal()
    derived = chain.derive(taken, deposits=given_deposits, record_witness=True)
    assert derived.is_full
    judged = chain.engine.execute(chain.header, sealed.block, b"")
    assert derived.result.witness is not None
    nodes, codes, _ = derived.result.witness
    proven = chain.engine.derive_stateless(
        chain.header, chain.attributes(), given_deposits, taken, nodes, codes
    )
    assert proven.is_full
    assert sealed.block == derived.result.block == judged.block == proven.result.block
    assert sealed.receipts == derived.result.receipts == judged.receipts == proven.result.receipts
    everything = chain.derive(offered, deposits=given_deposits)
    assert everything.is_full is (taken == offered)
    if not everything.is_full:
        assert everything.result.block == chain.derive(deposits=given_deposits).result.block
    return sealed, taken


@settings(max_examples=60, deadline=None)
@given(blocks)
def test_all_ways_give_one_block(
    plan: list[tuple[list[bytes], list[tuple[int, int, int, bytes, int]]]],
) -> None:
    chain = RollupChain.open()
    for given_deposits, wishes in plan:
        wallets = Wallets(chain)
        offered = [wallets.sign(order) for order in wishes]
        sealed, _ = agree(chain, given_deposits, offered)
        chain.commit(sealed)
        assert chain.engine.walk(sealed.state_root) > 0


def test_one_block_of_everything() -> None:
    chain = RollupChain.open()
    wallets = Wallets(chain)
    given_deposits = [keep(1, 77), deposit(mint=5, value=6), deposit(to=b"", data=SUICIDE)]
    offered = [
        wallets.sign((kind % 3, kind, kind, word(1) + word(kind), 1)) for kind in range(2, 10)
    ]
    sealed, taken = agree(chain, given_deposits, offered)
    assert taken == offered
    assert len(sealed.transaction_hashes) == 11
