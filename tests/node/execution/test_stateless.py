"""A witness is what a block reads, no more and no less; and a foreign chain, from proof of work to BPO2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from node.errors import InvalidBlock, MissingState
from node.eth import rlp
from node.eth.hashing import keccak256
from node.execution.adapter import RevmEngine
from node.execution.engine import BlockResult
from tests.kit.execution_chain import (
    HISTORIAN,
    KEEPER,
    PAUPER,
    SENDER,
    ExecutionChain,
    address_of,
    header_bytes,
    sign,
    with_header_fields,
    word,
)

VECTORS = Path(__file__).parents[4] / "shared" / "vectors" / "execution-apis"


@pytest.fixture(scope="module")
def chain() -> ExecutionChain:
    chain = ExecutionChain.open()
    for nonce in range(12):
        store = word(nonce) + word(1 + nonce)
        chain.grow([sign(SENDER, nonce=nonce, to=KEEPER, data=store, gas=100_000)])
    return chain


@pytest.fixture(scope="module")
def recorded(chain: ExecutionChain) -> BlockResult:
    """A block that writes, clears (a branch collapses), reads an old hash, creates and pays."""
    transactions = [
        sign(SENDER, nonce=12, to=KEEPER, data=word(3) + word(0), gas=100_000),
        sign(SENDER, nonce=13, to=KEEPER, data=word(5) + word(0), gas=100_000),
        sign(SENDER, nonce=14, to=HISTORIAN, data=word(8), gas=100_000),
        sign(SENDER, nonce=15, to=b"", data=bytes.fromhex("60015f5360015ff3"), gas=100_000),
        sign(SENDER, nonce=16, to=address_of(PAUPER), value=1),
    ]
    return chain.execute(chain.seal(transactions).block, record_witness=True)


def headers(chain: ExecutionChain, count: int) -> list[bytes]:
    return [header_bytes(block.block) for block in reversed(chain.blocks)][:count]


def test_a_witness_is_enough(chain: ExecutionChain, recorded: BlockResult) -> None:
    """Given a recorded witness, when judged without a store, then every root agrees."""
    # Given
    assert recorded.witness is not None
    nodes, codes, hashes = recorded.witness
    assert hashes == [block.block_hash for block in reversed(chain.blocks)][: 13 - 8]

    # When
    result = ExecutionChain.open().engine.stateless(
        chain.header, recorded.block, nodes, codes, headers(chain, len(hashes))
    )

    # Then
    assert (result.block_hash, result.state_root) == (recorded.block_hash, recorded.state_root)
    assert result.receipts == recorded.receipts


def test_every_part_of_a_witness_is_needed(chain: ExecutionChain, recorded: BlockResult) -> None:
    """Given a witness that lacks one part, when judged, then MissingState: it proves nothing."""
    assert recorded.witness is not None
    nodes, codes, hashes = recorded.witness
    engine = chain.engine
    for place in range(len(nodes)):
        with pytest.raises(MissingState, match="missing trie node"):
            engine.stateless(
                chain.header,
                recorded.block,
                nodes[:place] + nodes[place + 1 :],
                codes,
                headers(chain, len(hashes)),
            )
    for place in range(len(codes)):
        with pytest.raises(MissingState, match="no code"):
            engine.stateless(
                chain.header,
                recorded.block,
                nodes,
                codes[:place] + codes[place + 1 :],
                headers(chain, len(hashes)),
            )
    with pytest.raises(MissingState, match="missing block hash 8"):
        engine.stateless(
            chain.header, recorded.block, nodes, codes, headers(chain, len(hashes) - 1)
        )


def test_a_false_block_stays_false(chain: ExecutionChain, recorded: BlockResult) -> None:
    assert recorded.witness is not None
    nodes, codes, hashes = recorded.witness
    block = with_header_fields(recorded.block, state_root=bytes(32))
    with pytest.raises(InvalidBlock) as caught:
        chain.engine.stateless(chain.header, block, nodes, codes, headers(chain, len(hashes)))
    assert (caught.value.field, caught.value.want) == (
        "state_root",
        "0x" + recorded.state_root.hex(),
    )


def test_headers_must_be_a_chain(chain: ExecutionChain, recorded: BlockResult) -> None:
    assert recorded.witness is not None
    nodes, codes, _ = recorded.witness
    with pytest.raises(ValueError, match="headers: the one at 1 is not the ancestor"):
        chain.engine.stateless(
            chain.header, recorded.block, nodes, codes, [chain.header, chain.header]
        )


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_forged_witness_proves_nothing(
    chain: ExecutionChain, recorded: BlockResult, data: st.DataObject
) -> None:
    """Given any change of a node, when judged, then MissingState: its hash is no longer asked for."""
    assert recorded.witness is not None
    nodes, codes, hashes = recorded.witness
    place = data.draw(st.integers(0, len(nodes) - 1))
    node = bytearray(nodes[place])
    node[data.draw(st.integers(0, len(node) - 1))] ^= data.draw(st.integers(1, 255))
    forged = [*nodes[:place], bytes(node), *nodes[place + 1 :]]
    with pytest.raises(MissingState):
        chain.engine.stateless(
            chain.header, recorded.block, forged, codes, headers(chain, len(hashes))
        )


@settings(max_examples=150, deadline=None)
@given(root_node=st.binary(min_size=1, max_size=80))
def test_a_root_of_garbage_proves_nothing(
    chain: ExecutionChain, recorded: BlockResult, root_node: bytes
) -> None:
    """Given a parent whose state root is the hash of any bytes, when judged on it, then MissingState or InvalidBlock."""
    forged = with_header_fields(chain.head.block, state_root=keccak256(root_node))
    parent = header_bytes(forged)
    block = with_header_fields(recorded.block, parent_hash=keccak256(parent))
    with pytest.raises((MissingState, InvalidBlock)):
        chain.engine.stateless(parent, block, [root_node], [], [])


@pytest.mark.skipif(
    not VECTORS.exists(), reason="the execution-apis vectors are not beside the repository"
)
def test_a_foreign_chain_from_proof_of_work_to_bpo2() -> None:
    """Given geth's genesis file and 54 blocks of it, when imported, then every root agrees, and every witness suffices."""
    # Given
    engine = RevmEngine((VECTORS / "genesis.json").read_bytes())
    chain = ExecutionChain(engine, [engine.genesis()])
    data = rlp.encode_list([(VECTORS / "chain.rlp").read_bytes()])
    blocks = [data[start:end] for _, start, _, end in rlp.spans(data)]
    head = json.loads((VECTORS / "headfcu.json").read_text())["params"][0]["headBlockHash"]

    # When
    for block in blocks:
        result = chain.execute(block, record_witness=True)
        assert result.witness is not None
        nodes, codes, hashes = result.witness
        alone = engine.stateless(chain.header, block, nodes, codes, headers(chain, len(hashes)))
        assert (alone.state_root, alone.receipts) == (result.state_root, result.receipts)
        engine.commit(result)
        chain.blocks.append(result)

    # Then
    assert len(chain.blocks) == 55
    assert "0x" + chain.head.block_hash.hex() == head
