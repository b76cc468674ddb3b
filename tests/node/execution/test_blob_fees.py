"""What blobs cost at every fork's edge: engine, JSON-RPC's own arithmetic and the EIPs' text agree (4844, 7691, 7892, 7918)."""

from __future__ import annotations

from typing import Final

import orjson
import pytest
from hypothesis import given, strategies as st

from node.app.blob_fees import blob_fee, blob_gas_max
from node.errors import InvalidBlock
from node.eth import rlp
from node.eth.forks import read_chain_config
from node.eth.headers import Header, any_header_of_block, decode_any_header
from node.eth.primitives import ZERO_ADDRESS, ZERO_HASH
from node.execution.adapter import RevmEngine
from tests.kit.blobs import empty_blob, sign_blobs
from tests.kit.execution_chain import (
    ETHER,
    ExecutionChain,
    genesis_document,
    header_bytes,
    with_header_bytes,
)
from tests.kit.transfers import sender

ROLE = sender("payer for blobs")

GENESIS_TIME: Final = 0x64

BLOCKS_OF_A_FORK: Final = 6

SECONDS: Final = 2

GAS_PER_BLOB: Final = 1 << 17

EDGE_TIME: Final = GENESIS_TIME - SECONDS * BLOCKS_OF_A_FORK
"""So that the edge of place 1 is Prague's, at the genesis block's time."""

EXCESS_PLACE: Final = 18
"""Of the excess of blob gas, among a header's fields."""

RULES: Final = (
    ("cancun", 3, 6, 3_338_477, False),
    ("prague", 6, 9, 5_007_716, False),
    ("osaka", 6, 9, 5_007_716, True),
    ("bpo1", 10, 15, 8_346_193, True),
    ("bpo2", 14, 21, 11_684_671, True),
)
"""Name, target, most, update fraction, and whether EIP-7918's floor holds: mainnet's, as the EIPs print them."""


BUILT_FROM: Final = 1
"""Blocks are built from Prague on; Cancun's rules hold for chains that are imported."""


def begins(place: int) -> int:
    """Time of the first block of a fork, and of the genesis block that of the first that is built."""
    return max(0, GENESIS_TIME + SECONDS * BLOCKS_OF_A_FORK * (place - BUILT_FROM))


def rules_at(timestamp: int) -> tuple[str, int, int, int, bool]:
    """The last fork that has begun."""
    return next(
        rules for place, rules in reversed(list(enumerate(RULES))) if begins(place) <= timestamp
    )


def price_by_the_text(excess: int, fraction: int) -> int:
    """EIP-4844's fake_exponential(1, excess, fraction)."""
    total, term, place = 0, fraction, 1
    while term > 0:
        total += term
        term = term * excess // (fraction * place)
        place += 1
    return total // fraction


def excess_by_the_text(parent: Header, timestamp: int) -> int:
    """EIP-7918's calc_excess_blob_gas under the child's rules, before Osaka without its floor."""
    _, target, most, fraction, has_floor = rules_at(timestamp)
    excess, used = parent.excess_blob_gas, parent.blob_gas_used
    if excess + used < target * GAS_PER_BLOB:
        return 0
    price = price_by_the_text(excess, fraction)
    if has_floor and (1 << 13) * parent.base_fee_per_gas > GAS_PER_BLOB * price:
        return excess + used * (most - target) // most
    return excess + used - target * GAS_PER_BLOB


def header_of(block: bytes) -> Header:
    """A block's header, of whatever fork."""
    return any_header_of_block(block)[0]


def with_other_excess(block: bytes, excess: int) -> bytes:
    """A block whose header claims another excess of blob gas."""
    fields = rlp.as_list(rlp.decode(header_bytes(block)))
    fields[EXCESS_PLACE] = excess.to_bytes((excess.bit_length() + 7) // 8)
    return with_header_bytes(block, rlp.encode(fields))


def chain_of_forks(base_fee: int) -> tuple[ExecutionChain, bytes]:
    """A chain whose blob rules change every few blocks; its genesis file beside it."""
    document = genesis_document({"0x" + ROLE.address.hex(): {"balance": hex(10**9 * ETHER)}})
    config = document["config"]
    assert isinstance(config, dict)
    config |= {f"{name}Time": begins(place) for place, (name, *_) in enumerate(RULES)}
    document |= {"baseFeePerGas": hex(base_fee)}
    raw = orjson.dumps(document)
    engine = RevmEngine(raw)
    return ExecutionChain(engine, [engine.genesis()]), raw


@pytest.mark.parametrize("base_fee", [7, 10**9, 10**12])
@pytest.mark.parametrize("fullness", ["full", "half", "empty", "changing"])
def test_excess_and_price_follow_the_text_across_every_edge(base_fee: int, fullness: str) -> None:
    """Given blocks with as many blobs as fit, fewer, or none, across five forks, then each header and price is the text's."""
    chain, raw = chain_of_forks(base_fee)
    forks = read_chain_config(orjson.loads(raw))
    nonce = 0
    seen: set[str] = set()
    for number in range(1, BLOCKS_OF_A_FORK * len(RULES)):
        parent = header_of(chain.head.block)
        timestamp = parent.timestamp + SECONDS
        name, _, most, fraction, _ = rules_at(timestamp)
        seen.add(name)
        room = {"full": most, "half": most // 2, "empty": 0, "changing": most * (number % 2)}
        counts = [min(6, room[fullness] - done) for done in range(0, room[fullness], 6)]
        raws = [
            sign_blobs(
                ROLE,
                [empty_blob()] * count,
                nonce=nonce + place,
                max_fee_per_gas=2 * 10**12,
                max_priority_fee_per_gas=1,
                max_fee_per_blob_gas=10**12,
            )
            for place, count in enumerate(counts)
        ]
        nonce += len(raws)
        builder = chain.engine.builder(chain.header, chain.attributes(), chain.ancestors)
        assert builder.blobs_left == most
        price = builder.blob_base_fee
        assert all(one.included for one in builder.push(raws))
        block = builder.seal(b"")
        header = header_of(block.block)
        assert header.excess_blob_gas == excess_by_the_text(parent, timestamp), (name, number)
        assert price == price_by_the_text(header.excess_blob_gas, fraction)
        assert blob_fee(forks, header) == price
        assert blob_gas_max(forks, header) == most * GAS_PER_BLOB
        assert header.blob_gas_used == room[fullness] * GAS_PER_BLOB
        # Whoever judges the block comes to the same, and takes no other excess.
        assert chain.execute(block.block).block_hash == block.block_hash
        wrong = with_other_excess(block.block, header.excess_blob_gas + 1)
        with pytest.raises(InvalidBlock):
            chain.execute(wrong)
        chain.engine.commit(block)
        chain.blocks.append(block)
    assert seen == {rules[0] for rules in RULES[BUILT_FROM:]}


@pytest.mark.parametrize("place", range(BUILT_FROM + 1, len(RULES)))
def test_the_last_block_before_an_edge_has_the_old_room(place: int) -> None:
    """Given the block before a fork and its first, then each has room for its own rules' blobs."""
    chain, _ = chain_of_forks(10**9)
    while header_of(chain.head.block).timestamp < begins(place) - 2 * SECONDS:
        chain.grow()
    for rules in (RULES[place - 1], RULES[place]):
        builder = chain.engine.builder(chain.header, chain.attributes(), chain.ancestors)
        assert builder.blobs_left == rules[2]
        chain.grow()


EDGES: Final = chain_of_forks(10**9)[0].engine
"""Cancun is in force from the beginning of time there, so every edge can be crossed by a header alone."""


@given(
    edge=st.integers(1, len(RULES) - 1),
    before=st.integers(1, 3),
    after=st.integers(0, 3),
    excess=st.integers(0, 150_000_000),
    blobs=st.integers(0, 21),
    base_fee=st.integers(1, 10**13),
)
def test_any_header_is_followed_as_the_text_says(
    edge: int, before: int, after: int, excess: int, blobs: int, base_fee: int
) -> None:
    """Given any parent before an edge, Cancun's included, then the excess of the block behind it is the text's."""
    parent = Header(
        parent_hash=ZERO_HASH,
        fee_recipient=ZERO_ADDRESS,
        state_root=ZERO_HASH,
        number=7,
        gas_limit=30_000_000,
        gas_used=15_000_000,
        timestamp=EDGE_TIME + SECONDS * BLOCKS_OF_A_FORK * edge - before,
        extra_data=b"",
        mix_hash=ZERO_HASH,
        base_fee_per_gas=base_fee,
        parent_beacon_block_root=ZERO_HASH,
        blob_gas_used=blobs * GAS_PER_BLOB,
        excess_blob_gas=excess,
    )
    timestamp = EDGE_TIME + SECONDS * BLOCKS_OF_A_FORK * edge + after
    found = decode_any_header(EDGES.following_header(parent.encode(), timestamp))
    assert found.excess_blob_gas == excess_by_the_text(parent, timestamp)
