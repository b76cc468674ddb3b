"""The chain on the native engine: real states, and processes that are killed while they write."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from random import Random

import pytest
import trio

from node.chain.importing import ImportOutcome, ImportReason
from node.consensus.wire import decode_envelope, encode_envelope
from node.errors import Rejected
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32, Slot
from tests.kit.chain_builder import BuiltBlock
from tests.kit.real_chain import (
    TABLES,
    RealNetwork,
    close_real_chain,
    make_real_network,
    open_real_chain,
    running_chain,
)
from tests.kit.transfers import sign_transfer
from tests.node.chain.importing_process import write_blocks

SLOT = 80
"""By the clock of every process here."""

ROOT = Path(__file__).parents[3]
"""Where `tests` lies."""

IMPORT = (sys.executable, "-m", "tests.node.chain.importing_process")
"""The process that is killed."""


@lru_cache(maxsize=1)
def busy_chain() -> tuple[RealNetwork, list[BuiltBlock]]:
    """Sixty blocks of eight transfers each."""
    network = make_real_network(4, senders=8)
    builder = network.builder
    blocks: list[BuiltBlock] = []
    parent = builder.blocks[builder.genesis_hash]
    for nonce, slot in enumerate(range(4, 64)):
        transfers = [
            sign_transfer(one, nonce=nonce, to=keccak256(b"%d" % nonce)[:20])
            for one in network.senders
        ]
        votes = [builder.vote(index, parent.slot, parent.hash) for index in range(4)]
        held = votes if parent.number else []
        parent = builder.build(parent.hash, slot, votes=held, transactions=transfers)
        blocks.append(parent)
    return network, blocks


async def test_real_blocks_are_imported_and_found_again(tmp_path: Path) -> None:
    network, blocks = busy_chain()
    async with running_chain(network, tmp_path, slot=SLOT) as chain:
        for block in blocks:
            outcome = await chain.import_envelope(block.envelope, origin="peer")
            assert outcome is ImportOutcome.IMPORTED
        assert chain.finalized.header.number > 50
        before = (chain.head, chain.safe, chain.finalized)
        transfer = Hash32(blocks[30].result.transaction_hashes[5])

    async with running_chain(network, tmp_path, slot=SLOT) as chain:
        assert (chain.head, chain.safe, chain.finalized) == before
        found = chain.transaction_block(transfer)
        assert found is not None
        assert (found[0].hash, found[1]) == (blocks[30].hash, 5)
        header = chain.next_header()
        assert header.parent_hash == chain.head.hash
        assert header.base_fee_per_gas < chain.head.header.base_fee_per_gas


async def test_a_block_built_on_prepared_inputs_becomes_the_head(tmp_path: Path) -> None:
    network, blocks = busy_chain()
    builder = network.builder
    async with running_chain(network, tmp_path, slot=SLOT) as chain:
        for block in blocks[:10]:
            await chain.import_envelope(block.envelope, origin="peer")
        inputs = chain.prepare(Slot(14))
        assert inputs is not None
        engine = chain._live.engine
        sealed = engine.builder(
            inputs.parent.header.encode(),
            inputs.block_attributes(fee_recipient=Address(b"\x09" * 20)),
            inputs.ancestors,
        )
        payload = builder._payload(
            inputs.parent_state, inputs.attributes.proposer_index, 14, [], inputs.evidence
        )
        result = sealed.seal(payload.root())
        envelope = encode_envelope(builder.seal(payload, result))

        assert await chain.import_own(envelope, result) is ImportOutcome.IMPORTED
        assert chain.head.hash == result.block_hash


async def test_wrong_roots_are_refused_by_execution(tmp_path: Path) -> None:
    network, blocks = busy_chain()
    envelope = decode_envelope(blocks[0].envelope)
    raw = blocks[0].result.block
    body = bytearray(raw)
    body[-40] ^= 1
    broken = encode_envelope(
        type(envelope)(
            block=bytes(body),
            payload=envelope.payload,
            proposal_signature=envelope.proposal_signature,
        )
    )
    async with running_chain(network, tmp_path, slot=SLOT) as chain:
        with pytest.raises(Rejected) as caught:
            await chain.import_envelope(broken, origin="peer")
        assert caught.value.reason is ImportReason.EXECUTION

        assert await chain.import_envelope(blocks[0].envelope, origin="p") is ImportOutcome.IMPORTED


async def test_votes_are_judged_while_a_block_is_executed(tmp_path: Path) -> None:
    network, blocks = busy_chain()
    builder = network.builder
    async with running_chain(network, tmp_path, slot=9) as chain:
        await chain.import_envelope(blocks[0].envelope, origin="peer")
        order: list[str] = []

        async def import_slowly() -> None:
            for block in blocks[1:5]:
                await chain.import_envelope(block.envelope, origin="peer")
            order.append("blocks")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(import_slowly)
            await trio.lowlevel.checkpoint()
            await chain.on_votes([builder.vote(0, 4, blocks[0].hash)], origin="peer")
            assert chain.block_by_number(1) is not None
            order.append("vote")

        assert order == ["vote", "blocks"]


@pytest.mark.slow
async def test_a_killed_process_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    network, blocks = busy_chain()
    file, folder = tmp_path / "blocks", tmp_path / "data"
    await trio.to_thread.run_sync(write_blocks, file, [block.envelope for block in blocks])
    hashes = [network.builder.genesis_hash, *(block.hash for block in blocks)]
    dice = Random(11)
    acknowledged = 0
    for _ in range(5):
        lines = await trio.to_thread.run_sync(kill_after, folder, file, dice.randrange(2, 12))
        opened = int(lines[0].split()[1])
        assert opened >= acknowledged
        acknowledged = int(lines[-1].split()[1])

    chain = await open_real_chain(network, folder, slot=SLOT)
    number = chain.head.header.number
    assert number >= acknowledged
    assert [chain.canonical_hash(one) for one in range(number + 1)] == hashes[: number + 1]
    assert chain._live.engine.has_state(chain.head.header.state_root)
    close_real_chain(chain)


def kill_after(folder: Path, blocks: Path, lines_max: int) -> list[str]:
    """Run the importing process until it has said so many lines, then kill -9."""
    with subprocess.Popen(
        [*IMPORT, str(folder), str(blocks), str(SLOT)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line.strip())
            if len(lines) >= lines_max:
                process.kill()
        assert lines, "the process said nothing"
    return lines


@pytest.mark.slow
async def test_damaged_tables_are_never_misread(tmp_path: Path) -> None:
    network, blocks = busy_chain()
    healthy, nothing = tmp_path / "healthy", tmp_path / "nothing"
    nothing.touch()
    async with running_chain(network, healthy, slot=SLOT) as chain:
        for block in blocks[:20]:
            await chain.import_envelope(block.envelope, origin="peer")
    hashes = [network.builder.genesis_hash, *(block.hash for block in blocks[:20])]
    dice = Random(5)
    refused = 0
    for attempt in range(6):
        folder = tmp_path / str(attempt)
        shutil.copytree(healthy, folder)
        damage(folder / TABLES, dice)
        ended = await trio.to_thread.run_sync(open_folder, folder, nothing)
        if not ended.stdout:
            assert ended.returncode != 0
            refused += 1
            continue
        _, number, block_hash = ended.stdout.split()
        assert hashes[int(number)].hex() == block_hash
    assert refused > 0


def open_folder(folder: Path, nothing: Path) -> subprocess.CompletedProcess[str]:
    """Open a data folder in a process of its own: a store that is damaged may take the process down."""
    return subprocess.run(
        [*IMPORT, str(folder), str(nothing), str(SLOT)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def damage(file: Path, dice: Random) -> None:
    """Flip some bits."""
    data = bytearray(file.read_bytes())
    for _ in range(40):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    file.write_bytes(bytes(data))
