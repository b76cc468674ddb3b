"""The chain's tables: what is saved is what is loaded, and damage never passes for a block."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.consensus.containers import Checkpoint, Envelope
from node.consensus.wire import encode_envelope
from node.errors import Corruption
from node.eth import rlp
from node.eth.headers import Header
from node.eth.primitives import (
    ZERO_ADDRESS,
    ZERO_HASH,
    BlockNumber,
    Epoch,
    Hash32,
    Slot,
    ValidatorIndex,
)
from node.storage.chain_database import (
    SCAN_MAX,
    CanonicalEntry,
    ChainDatabase,
    Conflict,
    NewBlock,
    NewFinality,
    TreeEntry,
)
from node.storage.folder import UnusableFolder
from tests.kit.memory_tables import Disk, Killed, MemoryTables


def make_block(number: int, parent: Hash32 = ZERO_HASH, *, slot: int | None = None) -> NewBlock:
    header = Header(
        parent_hash=parent,
        fee_recipient=ZERO_ADDRESS,
        state_root=ZERO_HASH,
        number=number,
        gas_limit=30_000_000,
        gas_used=0,
        timestamp=1_000 + number,
        extra_data=b"",
        mix_hash=ZERO_HASH,
        base_fee_per_gas=7,
        parent_beacon_block_root=ZERO_HASH,
    )
    block_hash = header.hash()
    block = rlp.encode((rlp.decode(header.encode()), (), (), ()))
    envelope = Envelope(block=block, payload=b"", proposal_signature=bytes(64))
    return NewBlock(
        entry=TreeEntry(
            slot=Slot(number if slot is None else slot),
            block_hash=block_hash,
            number=BlockNumber(number),
            parent_hash=parent,
        ),
        envelope=encode_envelope(envelope),
        receipts=b"receipts",
        state=b"state of " + block_hash,
        transaction_hashes=[number.to_bytes(32), bytes([7]) * 32],
    )


def row(block: NewBlock) -> CanonicalEntry:
    entry = block.entry
    bloom = bytes(255) + b"\x01"
    return CanonicalEntry(
        number=entry.number, slot=entry.slot, block_hash=entry.block_hash, bloom=bloom
    )


def opened(disk: Disk | None = None) -> tuple[ChainDatabase, NewBlock]:
    database = ChainDatabase(MemoryTables(disk), folder="folder")
    genesis = make_block(0)
    if database.is_new():
        database.create(genesis, bytes(256))
    return database, genesis


def chain_of(genesis: NewBlock, length: int) -> list[NewBlock]:
    blocks = [genesis]
    for number in range(1, length + 1):
        blocks.append(make_block(number, blocks[-1].entry.block_hash))
    return blocks


def test_a_new_folder_is_created_with_its_genesis_as_the_finalized_block() -> None:
    disk = Disk()
    assert ChainDatabase(MemoryTables(disk), folder="folder").is_new()

    database, genesis = opened(disk)

    assert not database.is_new()
    database.check(genesis.entry.block_hash)
    finalized = Checkpoint(epoch=Epoch(0), block_hash=genesis.entry.block_hash)
    assert database.load_finalized() == finalized
    assert list(database.tree()) == [genesis.entry]
    assert list(database.canonical(0, 10)) == [replace(row(genesis), bloom=bytes(256))]


def test_a_folder_of_another_network_is_refused() -> None:
    database, genesis = opened()
    database.check(genesis.entry.block_hash)
    with pytest.raises(UnusableFolder, match=r"^folder: genesis hash is 0x"):
        database.check(Hash32(b"\x01" * 32))


def test_a_saved_block_is_loaded_whole() -> None:
    database, genesis = opened()
    block = make_block(1, genesis.entry.block_hash)
    block_hash = block.entry.block_hash

    database.save_block(block)

    loaded = database.load_block(block_hash)
    assert loaded is not None
    assert (loaded.hash, loaded.header.number, loaded.receipts) == (block_hash, 1, b"receipts")
    assert database.load_envelope(block_hash) == block.envelope
    missing = Hash32(b"\x05" * 32)
    assert database.load_envelope(missing) is None
    assert database.load_state(block_hash) == block.state
    assert database.load_block(missing) is None


def test_a_transaction_is_found_in_every_block_that_holds_it() -> None:
    database, genesis = opened()
    ours = make_block(1, genesis.entry.block_hash, slot=1)
    theirs = make_block(2, genesis.entry.block_hash, slot=2)
    database.save_block(ours)
    database.save_block(theirs)

    places = database.transaction_places(Hash32(bytes([7]) * 32))

    wanted = {(one.entry.block_hash, 1) for one in (genesis, ours, theirs)}
    assert set(places) == wanted
    assert database.transaction_places(Hash32((1).to_bytes(32))) == [(ours.entry.block_hash, 0)]
    assert database.transaction_places(Hash32(b"\x09" * 32)) == []


def test_the_tree_is_given_by_slot_over_more_than_one_scan() -> None:
    database, genesis = opened()
    blocks = chain_of(genesis, SCAN_MAX + 5)
    for block in reversed(blocks[1:]):
        database.save_block(block)

    assert list(database.tree()) == [block.entry for block in blocks]
    assert list(database.tree(SCAN_MAX)) == [block.entry for block in blocks[SCAN_MAX:]]


def test_finality_indexes_the_chain_and_forgets_forks_and_old_states() -> None:
    database, genesis = opened()
    blocks = chain_of(genesis, 3)
    fork = make_block(2, genesis.entry.block_hash, slot=3)
    for block in [*blocks[1:], fork]:
        database.save_block(block)
    checkpoint = Checkpoint(epoch=Epoch(1), block_hash=blocks[2].entry.block_hash)

    database.save_finality(
        NewFinality(
            checkpoint=checkpoint,
            canonical=[row(blocks[1]), row(blocks[2])],
            dropped=[(fork.entry, fork.transaction_hashes)],
            forgotten=[genesis.entry],
        )
    )

    assert database.load_finalized() == checkpoint
    assert database.load_canonical(2) == row(blocks[2])
    assert database.load_canonical(3) is None
    assert list(database.canonical(1, 1)) == [row(blocks[1])]
    assert list(database.tree()) == [block.entry for block in blocks[1:]]
    assert database.load_block(fork.entry.block_hash) is None
    assert database.load_state(genesis.entry.block_hash) is None
    assert database.load_block(genesis.entry.block_hash) is not None
    assert database.transaction_places(Hash32((2).to_bytes(32))) == [
        (blocks[2].entry.block_hash, 0)
    ]


def test_evidence_is_kept_by_validator() -> None:
    database, _ = opened()

    database.save_evidence(ValidatorIndex(300), b"later")
    database.save_evidence(ValidatorIndex(2), b"first")
    database.save_evidence(ValidatorIndex(2), b"second")

    assert list(database.evidence()) == [(2, b"second"), (300, b"later")]


def test_a_contradiction_of_finality_is_remembered() -> None:
    database, _ = opened()
    assert database.load_conflict() is None

    conflict = Conflict(
        first=Checkpoint(epoch=Epoch(4), block_hash=Hash32(b"\x04" * 32)),
        second=Checkpoint(epoch=Epoch(5), block_hash=Hash32(b"\x05" * 32)),
        block_hash=Hash32(b"\x06" * 32),
    )
    database.save_conflict(conflict)

    assert database.load_conflict() == conflict
    assert str(conflict) == f"epoch 4 {'04' * 32} against epoch 5 {'05' * 32}"


@pytest.mark.parametrize("after", [False, True])
def test_a_block_is_there_whole_or_not_at_all(after: bool) -> None:
    disk = Disk()
    _, genesis = opened(disk)
    block = make_block(1, genesis.entry.block_hash)
    dying = ChainDatabase(MemoryTables(disk, dies_at=(disk.writes, after)), folder="folder")

    with pytest.raises(Killed):
        dying.save_block(block)

    database, _ = opened(disk)
    block_hash = block.entry.block_hash
    assert (database.load_block(block_hash) is not None) == after
    assert (database.load_state(block_hash) is not None) == after
    assert (block.entry in database.tree()) == after
    assert bool(database.transaction_places(Hash32((1).to_bytes(32)))) == after


@pytest.mark.parametrize("position", [3, 40, 200, 500, -70])
def test_a_damaged_envelope_is_never_a_block(position: int) -> None:
    disk = Disk()
    database, genesis = opened(disk)
    block_hash = genesis.entry.block_hash
    envelope = bytearray(disk.tables["envelopes"][block_hash])
    envelope[position] ^= 0x55
    disk.tables["envelopes"][block_hash] = bytes(envelope)

    with pytest.raises(Corruption, match=f"^folder: block 0x{block_hash.hex()}: "):
        database.load_block(block_hash)


def test_missing_receipts_and_a_missing_checkpoint_are_damage() -> None:
    disk = Disk()
    database, genesis = opened(disk)
    del disk.tables["receipts"][genesis.entry.block_hash]
    disk.tables["meta"][b"finalized"] = b"short"

    with pytest.raises(Corruption, match=r"receipts are missing$"):
        database.load_block(genesis.entry.block_hash)
    with pytest.raises(
        Corruption, match=r"^folder: the finalized checkpoint is missing or damaged$"
    ):
        database.load_finalized()
    database.save_receipts(genesis.entry.block_hash, b"again")
    loaded = database.load_block(genesis.entry.block_hash)
    assert loaded is not None
    assert loaded.receipts == b"again"


def test_damaged_rows_of_the_indexes_are_damage() -> None:
    disk = Disk()
    database, genesis = opened(disk)
    disk.tables["canonical"][bytes(8)] = b"short"
    disk.tables["tree"][bytes(8) + genesis.entry.block_hash] = b"short"

    with pytest.raises(Corruption, match="a row of the canonical index is damaged"):
        database.load_canonical(0)
    with pytest.raises(Corruption, match="a row of the block tree is damaged"):
        list(database.tree())
