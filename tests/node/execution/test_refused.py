"""Blocks that execution refused: what is kept of them, how many, and how they are printed."""

from __future__ import annotations

import json

import pytest

from node.errors import InvalidBlock
from node.eth.primitives import Hash32
from node.execution.refused import (
    BLOCKS_MAX,
    BYTES_MAX,
    RefusedBlock,
    RefusedBlocks,
    refused_block,
)
from tests.kit.execution_chain import (
    KEEPER,
    SENDER,
    ExecutionChain,
    address_of,
    header_bytes,
    sign,
    with_header_bytes,
    with_header_fields,
    word,
)


def refused(number: int, *, size: int = 10, mark: int = 0) -> RefusedBlock:
    block_hash = Hash32(bytes([mark]) * 24 + number.to_bytes(8))
    return RefusedBlock(number=number, hash=block_hash, rlp=b"", json=bytes(size))


def test_the_last_ones_are_kept_the_highest_first() -> None:
    """Given more blocks than are kept, when asked, then the oldest are gone and the highest comes first."""
    kept = RefusedBlocks()
    for number in [*range(20, 20 + BLOCKS_MAX), 5]:
        kept.put(refused(number))
    assert [one.number for one in kept.highest_first()] == [*range(19 + BLOCKS_MAX, 20, -1), 5]


def test_each_is_kept_once() -> None:
    kept = RefusedBlocks()
    for _ in range(3):
        kept.put(refused(7))
    kept.put(refused(7, mark=1))
    assert [one.number for one in kept.highest_first()] == [7, 7]
    assert refused(7).hash in kept


def test_long_ones_give_way() -> None:
    """Given blocks that are too much together or alone, when kept, then an answer with all of them has room."""
    kept = RefusedBlocks()
    kept.put(refused(1, size=BYTES_MAX + 1))
    assert list(kept) == []
    for number in range(4):
        kept.put(refused(number, size=BYTES_MAX // 2))
    assert [one.number for one in kept] == [2, 3]


def test_a_refused_block_is_printed_as_a_known_one_is() -> None:
    """Given a block with a wrong root, when printed, then it is what the block itself would be, but for root and hash."""
    # Given
    chain = ExecutionChain.open()
    chain.grow([sign(SENDER, nonce=0)])
    sound = chain.seal([sign(SENDER, nonce=1, to=KEEPER, data=word(1) + word(2), gas=100_000)])
    wrong = with_header_fields(sound.block, state_root=bytes(32))
    with pytest.raises(InvalidBlock, match=r"^state_root: "):
        chain.execute(wrong)

    # When
    found = refused_block(chain.engine, wrong)

    # Then
    assert found is not None
    printed = json.loads(found.json)
    expected = json.loads(chain.engine.block_json(sound.block, sound.receipts, full=True))
    name = "0x" + found.hash.hex()
    transactions = [one | {"blockHash": name} for one in expected["transactions"]]
    assert printed == expected | {
        "hash": name,
        "stateRoot": "0x" + bytes(32).hex(),
        "transactions": transactions,
    }
    assert (found.number, found.rlp) == (2, wrong)
    assert transactions[0]["from"] == "0x" + address_of(SENDER).hex()


def test_another_blocks_body_is_not_kept() -> None:
    """Given a sound header over another body, when it is refused, then nothing is kept: anybody can make such copies."""
    chain = ExecutionChain.open()
    sound, other = chain.seal([sign(SENDER, nonce=0)]), chain.seal()
    copy = with_header_bytes(other.block, header_bytes(sound.block))
    with pytest.raises(InvalidBlock):
        chain.execute(copy)
    assert refused_block(chain.engine, copy) is None
    for garbage in (b"", b"\xc0", b"garbage" * 9):
        assert refused_block(chain.engine, garbage) is None
