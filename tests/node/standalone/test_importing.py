"""Chains of others: a chain from Frontier to the merge as EELS built it, cut, killed, and spoiled in every way."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.eth import rlp
from node.eth.hashing import keccak256
from node.standalone import chain_file
from node.standalone.chain import StandaloneChain
from node.standalone.chain_file import ImportFailed
from tests.kit.foreign_chain import (
    LAST_HASH,
    ForeignNode,
    blocks,
    header_of,
    ommers_of,
    spoiled,
    with_ommers,
    write_chain,
)
from tests.kit.memory_tables import Killed

FIRST_OMMER = next(number for number, block in enumerate(blocks(), 1) if ommers_of(block))
"""The first block that names ommers."""

LAST_OF_WORK = 52
"""Then the merge, where terminalTotalDifficulty is reached."""


async def test_it_ends_where_eels_ends(tmp_path: Path) -> None:
    """Given EELS's chain over thirteen forks, when imported, then the last hash is EELS's, and a second time nothing happens."""
    node = ForeignNode()
    chain = node.start()
    file = write_chain(tmp_path / "chain.rlp", blocks())
    assert await node.take(chain, file) == [(56, 56)]
    assert "0x" + chain.head.hash.hex() == LAST_HASH
    assert chain.database.load_merge() == LAST_OF_WORK + 1
    assert await node.take(chain, file) == [(56, 0)]


@pytest.mark.parametrize("portion", [1, 5, 7, 16])
async def test_portions_make_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, portion: int
) -> None:
    """Given portions that cut between an ommer and its parent, when imported, then the chain is the same."""
    monkeypatch.setattr(chain_file, "PORTION_BLOCKS", portion)
    node = ForeignNode()
    chain = node.start()
    await node.take(chain, write_chain(tmp_path / "chain.rlp", blocks()))
    assert "0x" + chain.head.hash.hex() == LAST_HASH


@pytest.mark.parametrize("after", [False, True])
async def test_killed_at_every_write_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """Given a process that dies before or after each of its writes, when started again, then it ends at the same block."""
    monkeypatch.setattr(chain_file, "PORTION_BLOCKS", 20)
    file = write_chain(tmp_path / "chain.rlp", blocks())
    for write in range(4):  # creation, then three portions
        node = ForeignNode(dies_at=(write, after))
        with pytest.raises(Killed):
            await node.take(node.start(), file)
        node.dies_at = None
        chain = node.start()
        assert node.engine.has_state(chain.head.header.state_root)
        await node.take(chain, file)
        assert "0x" + chain.head.hash.hex() == LAST_HASH


async def test_two_files_make_one_chain(tmp_path: Path) -> None:
    """Given a chain in two files, the second with some of the first, when a restart lies between, then it is one chain."""
    node = ForeignNode()
    await node.take(node.start(), write_chain(tmp_path / "first.rlp", blocks()[:LAST_OF_WORK]))
    chain = node.start()
    assert await node.take(chain, write_chain(tmp_path / "second.rlp", blocks()[40:])) == [(56, 4)]
    assert "0x" + chain.head.hash.hex() == LAST_HASH


async def test_the_genesis_block_may_lead_the_file(tmp_path: Path) -> None:
    node = ForeignNode()
    chain = node.start()
    file = write_chain(tmp_path / "chain.rlp", [chain.head.rlp, *blocks()[:2]])
    assert await node.take(chain, file) == [(2, 2)]


async def refusal(tmp_path: Path, number: int, block: bytes) -> str:
    """Why a block in place of the one with this number is refused; the ones before it stay."""
    node = ForeignNode()
    chain = node.start()
    chosen = [*blocks()[: number - 1], block, *blocks()[number:]]
    with pytest.raises(ImportFailed) as caught:
        await node.take(chain, write_chain(tmp_path / "chain.rlp", chosen))
    assert chain.tip.number <= number
    return str(caught.value).partition("chain.rlp: ")[2]


async def refused_last(tmp_path: Path, number: int, block: bytes) -> str:
    """Why a block is refused, as the last of a file."""
    node = ForeignNode()
    chain = node.start()
    with pytest.raises(ImportFailed) as caught:
        await node.take(
            chain, write_chain(tmp_path / "chain.rlp", [*blocks()[: number - 1], block])
        )
    assert chain.tip.number == number - 1
    return str(caught.value).partition("chain.rlp: ")[2]


@pytest.mark.parametrize(
    ("number", "place", "value", "message"),
    [
        (3, 7, 131_073, "block 3: difficulty: want "),
        (9, 12, b"on the other side", "block 9: extra_data: want the mark of the DAO fork"),
        (20, 12, b"dao-hard-fork", ""),
        (30, 3, bytes(32), "block 30: state_root: want 0x"),
        (30, 9, 8_100_000, "block 30: gas_limit: want "),
        (45, 15, 1, "block 45: base_fee_per_gas: want "),
        (LAST_OF_WORK, 7, 0, f"block {LAST_OF_WORK}: difficulty: want "),
        (LAST_OF_WORK + 1, 7, 131_072, f"block {LAST_OF_WORK + 1}: difficulty: want 0"),
        (LAST_OF_WORK + 2, 14, b"1" * 8, f"block {LAST_OF_WORK + 2}: nonce: want "),
    ],
)
async def test_a_spoiled_header_is_named(
    tmp_path: Path, number: int, place: int, value: bytes | int, message: str
) -> None:
    block = spoiled(blocks()[number - 1], {place: value})
    if not message:  # Ten blocks after the fork the mark means nothing, and the block is another one, not a wrong one.
        node = ForeignNode()
        chain = node.start()
        chosen = write_chain(tmp_path / "chain.rlp", [*blocks()[: number - 1], block])
        assert await node.take(chain, chosen) == [(number, number)]
        return
    assert (await refused_last(tmp_path, number, block)).startswith(message)


async def test_the_block_that_ends_an_import_is_remembered(tmp_path: Path) -> None:
    """Given imports that ended at wrong blocks, when the chain is opened again, then it tells which they were."""
    node = ForeignNode()
    wrong = [spoiled(blocks()[29], {3: bytes([mark]) * 32}) for mark in (0, 1)]
    chain = node.start()
    for block in [*wrong, wrong[0]]:
        with pytest.raises(ImportFailed):
            await node.take(
                chain, write_chain(tmp_path / "chain.rlp", [*blocks()[:29], block, *blocks()[30:]])
            )
    assert [one.rlp for one in node.start().refused_blocks] == wrong
    assert {one.number for one in chain.refused_blocks} == {30}


async def test_a_chain_that_does_not_connect_is_told(tmp_path: Path) -> None:
    other = spoiled(blocks()[4], {12: b"another"})
    assert (await refusal(tmp_path, 5, other)).startswith("block 6: does not connect: its parent")
    node = ForeignNode()
    chain = node.start()
    with pytest.raises(ImportFailed, match=r"block 3: does not connect: .* ends with block 0"):
        await node.take(chain, write_chain(tmp_path / "gap.rlp", blocks()[2:]))
    await node.take(chain, write_chain(tmp_path / "chain.rlp", blocks()[:6]))
    with pytest.raises(ImportFailed, match=r"block 5: does not connect: it is 0x.*, the chain's"):
        await node.take(chain, write_chain(tmp_path / "fork.rlp", [other]))
    assert chain.tip.number == 6


async def test_garbage_between_blocks_is_told_with_its_number(tmp_path: Path) -> None:
    message = await refusal(tmp_path, 8, rlp.encode([[1, 2], []]))
    assert message.startswith("block 8: encoding_wrong_length: a block of 2 parts")
    assert (await refusal(tmp_path, 8, b"\x01")).startswith("item 7: found a byte 0x01")


async def test_a_body_that_does_not_decode_is_told_with_its_number(tmp_path: Path) -> None:
    header, _, ommers = rlp.as_list(rlp.decode(blocks()[7]))
    message = await refused_last(tmp_path, 8, rlp.encode([header, [[b"no transaction"]], ommers]))
    assert message.startswith("block 8: transactions_root: want 0x")
    message = await refused_last(tmp_path, 8, rlp.encode([header, b"", ommers]))
    assert message.startswith("block 8: rlp: want a canonical list of transactions")


# -- ommers


def ommers_at(number: int) -> list[bytes]:
    """The ommers of a block."""
    return ommers_of(blocks()[number - 1])


async def ommer_refusal(tmp_path: Path, number: int, ommers: list[bytes]) -> str:
    """Why a block may not name these."""
    block = with_ommers(blocks()[number - 1], ommers)
    return (await refused_last(tmp_path, number, block)).partition(f"block {number}: ")[2]


async def test_an_ommer_is_named_once(tmp_path: Path) -> None:
    [ommer, *_] = ommers_at(FIRST_OMMER)
    once = "ommers: want headers that the chain has not named yet"
    assert (await ommer_refusal(tmp_path, FIRST_OMMER, [ommer, ommer])).startswith(once)
    assert (await ommer_refusal(tmp_path, FIRST_OMMER + 1, [ommer])).startswith(once)


async def test_a_block_of_the_chain_is_no_ommer(tmp_path: Path) -> None:
    ancestor = header_of(blocks()[FIRST_OMMER - 3])
    message = await ommer_refusal(tmp_path, FIRST_OMMER, [ancestor])
    assert message.startswith("ommers: want headers that the chain has not named yet")


async def test_three_ommers_are_too_many(tmp_path: Path) -> None:
    message = await ommer_refusal(tmp_path, FIRST_OMMER, [*ommers_at(FIRST_OMMER)[:1]] * 3)
    assert message == "ommers: want at most 2, got 3"


@pytest.mark.parametrize("behind", [0, 7])
async def test_an_ommer_is_a_near_relative(tmp_path: Path, behind: int) -> None:
    """Given a sibling of the block itself, or of one too far below, when named, then it is refused."""
    number = 30
    sibling = spoiled(blocks()[number - 1 - behind], {12: b"sibling"})
    message = await ommer_refusal(tmp_path, number, [header_of(sibling)])
    assert message.startswith("ommers: want children of the 7 blocks below, not of the last")


async def test_an_ommer_six_generations_below_is_taken(tmp_path: Path) -> None:
    """Given a sibling of the sixth block below, when named, then only what it is paid is missing from the state."""
    number = 30
    sibling = spoiled(blocks()[number - 1 - 6], {12: b"sibling"})
    message = await ommer_refusal(tmp_path, number, [header_of(sibling)])
    assert message.startswith("state_root: want 0x")


@pytest.mark.parametrize(("place", "value"), [(7, 131_071), (9, 1), (11, 1), (10, 1 << 40)])
async def test_an_ommers_header_is_judged(tmp_path: Path, place: int, value: int) -> None:
    number = 30
    sibling = spoiled(blocks()[number - 2], {12: b"sibling", place: value})
    message = await ommer_refusal(tmp_path, number, [header_of(sibling)])
    assert message.startswith("ommers: want ")
    assert "children" not in message


# -- signatures


async def test_early_signatures_are_refused_later(tmp_path: Path) -> None:
    """Given transactions that Frontier (high s) and Spurious Dragon (a chain id) allow, when in Homestead, then they are refused."""
    frontier = [raw for block in blocks()[:4] for raw in transactions_of(block)]
    high = next(raw for raw in frontier if s_of(raw) > (1 << 255))
    protected = next(
        raw for block in blocks()[16:20] for raw in transactions_of(block) if v_of(raw) > 28
    )
    for raw in (high, protected):
        message = await refused_last(tmp_path, 6, with_transactions(blocks()[5], [raw]))
        assert "invalid transaction v, r, s values" in message


def transactions_of(block: bytes) -> list[rlp.Item]:
    """A block's transactions, decoded."""
    return rlp.as_list(rlp.as_list(rlp.decode(block))[1])


def s_of(transaction: rlp.Item) -> int:
    """Of the signature."""
    return rlp.as_integer(rlp.as_list(transaction, 9)[8], 256)


def v_of(transaction: rlp.Item) -> int:
    """Of the signature; 0 of a typed transaction."""
    return rlp.as_integer(transaction[6]) if isinstance(transaction, list) else 0


def with_transactions(block: bytes, transactions: list[rlp.Item]) -> bytes:
    """The block with these legacy transactions and the root of them."""
    header, _, ommers = rlp.as_list(rlp.decode(block))
    fields = list(rlp.as_list(header))
    assert len(transactions) == 1
    leaf = rlp.encode([b"\x20\x80", rlp.encode(transactions[0])])  # path of key 0x80: a leaf, even
    fields[4] = keccak256(leaf)
    return rlp.encode([fields, transactions, ommers])


async def test_the_chain_answers_as_it_was(tmp_path: Path) -> None:
    """Given the imported chain, when asked as JSON-RPC asks, then every block, state and ancestor is there."""
    node = ForeignNode()
    chain = node.start()
    await node.take(chain, write_chain(tmp_path / "chain.rlp", blocks()))
    check_answers(node, chain)


def check_answers(node: ForeignNode, chain: StandaloneChain) -> None:
    hashes = [one_hash for one_hash, _ in chain.blooms(0, 100)]
    assert len(hashes) == 57
    assert chain.safe is chain.finalized is chain.head
    assert chain.safety_fault is None
    for number, one_hash in enumerate(hashes):
        block = chain.block_by_number(number)
        assert block is not None
        assert (block.hash, block.header.number) == (one_hash, number)
        assert block.header.encode() == header_of(block.rlp)
        assert node.engine.has_state(block.header.state_root)
        assert chain.ancestors(one_hash) == b"".join(reversed(hashes[:number]))
    assert chain.block_by_number(57) is None
    assert chain.block_by_hash(chain.next_header().hash()) is None
