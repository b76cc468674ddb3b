"""What a transaction weighs on L1, and how fast a replica catches up from there.

`python -m tests.benchmarks.batches [--transactions 6000]`

The mixed set: half transfers, half ERC-20 transfers; a quarter of the recipients were never seen before, the others and all
senders are accounts that trade with each other: 20 of them on a devnet (its ten funded ones and what they deployed), and
more to see what more cost. Beside the normative encoding (RLP, brotli) it is written in two others, to know
what they would save; no node reads them.
Catching up: a node with an empty disk derives what batches on L1 hold; L1 is a model, the L2 is real.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import brotli  # type: ignore[import-untyped]
import trio
from prometheus_client import CollectorRegistry

from node.contracts import bindings
from node.eth import rlp
from node.eth.headers import Header, header_of_block
from node.execution.adapter import RevmEngine, encode_batch, open_tables
from node.execution.engine import L2Attributes, PackedBlock
from node.execution.stepping import read_batch
from node.runtime.clock import SystemClock
from node.runtime.worker import ThreadWorker
from sequencer.batching.fees import Fee
from sequencer.batching.packing import Packer, PackingLimits
from sequencer.deriving.book import RecordBook
from sequencer.deriving.deriver import Deriver
from sequencer.deriving.metrics import DerivingMetrics
from sequencer.heads import L2Chain, open_l2_chain
from sequencer.l1.places import L1Ref
from sequencer.l1.view import L1View
from tests.benchmarks.figures import Figure, print_figures, save_figures
from tests.kit.model_l1 import ModelL1, ModelTree
from tests.kit.model_l2 import batcher_account, model_parameters, packing_limits
from tests.kit.real_rollup import RealRollup, make_rollup
from tests.kit.transfers import Sender, sender, sign_transfer

ACCOUNTS: Final = (20, 200, 2_000)
"""Who sends, and three quarters of who receives; the first number is held against the bound."""

SENDERS: Final = 200
"""Accounts of the transfers that are derived."""

TOKEN: Final = bytes.fromhex("70" * 20)
"""An ERC-20 contract's address."""

TRANSFER_SELECTOR: Final = bytes.fromhex("a9059cbb")
"""transfer(address,uint256)"""

GWEI: Final = 10**9

BYTES_MAX: Final = 90.0
"""Per transaction of the mixed set (issue of the L2)."""

CATCH_UP_MIN: Final = 3.0
"""How much faster a replica derives than the same run built (issue of the L2)."""

QUALITY: Final = 5


# -- transactions


def mixed(accounts: Sequence[Sender], count: int, dice: random.Random) -> list[bytes]:
    """Signed transactions of the mixed set, as wallets write them."""
    nonces = dict.fromkeys(range(len(accounts)), 0)
    raws: list[bytes] = []
    for place in range(count):
        by = dice.randrange(len(accounts))
        is_new = place % 4 == 0
        to = dice.randbytes(20) if is_new else dice.choice(accounts).address
        amount = dice.randrange(1, 10_000) * 10 ** dice.randrange(12, 18)
        is_token = place % 2 == 1
        data = TRANSFER_SELECTOR + to.rjust(32, b"\0") + amount.to_bytes(32) if is_token else b""
        raws.append(
            sign_transfer(
                accounts[by],
                nonce=nonces[by],
                to=TOKEN if is_token else to,
                value=0 if is_token else amount,
                gas_limit=52_000 + dice.randrange(2_000) if is_token else 21_000,
                max_fee_per_gas=2 * GWEI,
                max_priority_fee_per_gas=1,
                data=data,
                chain_id=901,
            )
        )
        nonces[by] += 1
    return raws


def in_blocks(raws: Sequence[bytes], size: int) -> list[PackedBlock]:
    """Blocks of so many transactions; a second of time for 200 blocks, an origin in 400."""
    chunks = [tuple(raws[start : start + size]) for start in range(0, len(raws), size)]
    return [
        PackedBlock(1_700_000_000 + place // 200, place % 400 == 0, chunk)
        for place, chunk in enumerate(chunks)
    ]


# -- encodings


def normative(blocks: Sequence[PackedBlock]) -> tuple[float, float]:
    """Bytes a transaction in full batches, and encodes a batch."""
    limits = PackingLimits(batch_bytes_max=32_768, decompressed_bytes_max=262_144)
    packer = Packer(partial(encode_batch, quality=QUALITY), limits)
    rest = list(blocks)
    size, transactions, batches = 0, 0, 0
    while packer.fills(len(rest), sum(len(raw) for one in rest for raw in one.transactions)):
        packed = packer.pack(rest[:1_024])
        size += len(packed.data)
        transactions += packed.transaction_count
        batches += 1
        rest = rest[packed.block_count :]
    return size / transactions, packer.encodes / batches


def columnar(raws: Sequence[bytes], *, tabled: bool, known: Sequence[bytes]) -> float:
    """Bytes a transaction where each field has a stream of its own; `tabled`: known addresses are two bytes.

    A batch's worth of transactions at a time, because a batch must be readable alone; the table is the chain's state.
    """
    table = {address: place.to_bytes(2) for place, address in enumerate([TOKEN, *known])}
    total = 0
    for start in range(0, len(raws), 350):
        total += _column_bytes(raws[start : start + 350], table if tabled else {})
    return total / len(raws)


def _column_bytes(raws: Sequence[bytes], table: dict[bytes, bytes]) -> int:
    columns: list[list[bytes]] = [[] for _ in range(9)]
    signatures = b""
    for raw in raws:
        fields = rlp.as_list(rlp.decode(raw[1:]), 12)
        texts = [rlp.as_bytes(field) for field in (*fields[:8], fields[9])]
        texts[5] = b"\x01" + table[texts[5]] if texts[5] in table else b"\x00" + texts[5]
        data = texts[7]
        if len(data) == 68:
            inner = data[16:36]
            named = b"\x01" + table[inner] if inner in table else b"\x00" + inner
            texts[7] = data[:4] + named + data[36:]
        for column, text in zip(columns, texts, strict=True):
            column.append(bytes((len(text),)) + text)
        signatures += b"".join(rlp.as_bytes(field).rjust(32, b"\0") for field in fields[10:12])
    packed = brotli.compress(b"".join(b"".join(column) for column in columns), quality=QUALITY)
    assert isinstance(packed, bytes)
    return len(packed) + len(signatures)


def measure_bytes(count: int) -> list[Figure]:
    """Bytes a transaction."""
    found: list[Figure] = []
    for number in ACCOUNTS:
        accounts = [sender(f"trader {place}") for place in range(number)]
        raws = mixed(accounts, count, random.Random(4))
        known = [one.address for one in accounts]
        for size in (1, 20):
            each, encodes = normative(in_blocks(raws, size))
            name = f"{number} accounts, {size} transactions a block"
            counts = number == ACCOUNTS[0]
            found.append(
                Figure(
                    name=f"mixed set, {name}",
                    value=each,
                    unit="bytes/transaction",
                    target=f"<= {BYTES_MAX:.0f}" if counts else "",
                    holds=each <= BYTES_MAX if counts else None,
                )
            )
            found.append(Figure(name=f"encodes a batch, {name}", value=encodes, unit="encodes"))
        for tabled, name in ((False, "columns"), (True, "columns and a table of addresses")):
            each = columnar(raws, tabled=tabled, known=known)
            unit = "bytes/transaction"
            found.append(
                Figure(name=f"mixed set, {number} accounts, in {name}", value=each, unit=unit)
            )
    return found


# -- catching up


def measure_derivation(count: int, block_size: int) -> list[Figure]:
    """A sequencer builds transfers, a replica derives them from records."""
    rollup = make_rollup(users=SENDERS)
    tree = ModelTree(model_parameters())
    with tempfile.TemporaryDirectory() as folder:
        built_s, l1 = _build(rollup, tree, count, block_size)
        derived_s = trio.run(_derive, rollup, l1, Path(folder))
    built, derived = count / built_s, count / derived_s
    name = f"{block_size} transfers a block"
    return [
        Figure(name=f"sealed by the engine, {name}", value=built, unit="transfers/s"),
        Figure(
            name=f"derived from L1 alone, {name}",
            value=derived,
            unit="transfers/s",
            target=f">= {CATCH_UP_MIN * built:.0f}",
            holds=derived >= CATCH_UP_MIN * built,
        ),
    ]


def _build(
    rollup: RealRollup, tree: ModelTree, count: int, block_size: int
) -> tuple[float, ModelL1]:
    """Seal blocks and put them on a model L1; gives the seconds that sealing took."""
    engine = RevmEngine(rollup.l2_document)
    l1 = ModelL1(tree)
    parent = header_of_block(engine.genesis().block)
    users = rollup.users
    raws = [
        sign_transfer(
            users[place % len(users)],
            nonce=place // len(users),
            to=users[(place * 7 + 1) % len(users)].address,
            max_fee_per_gas=GWEI,
            max_priority_fee_per_gas=0,
            chain_id=901,
        )
        for place in range(count)
    ]
    blocks: list[PackedBlock] = []
    started = time.perf_counter()
    for start in range(0, count, block_size):
        chunk = raws[start : start + block_size]
        engine.decode(chunk)
        parent = _seal(engine, parent, chunk)
        blocks.append(PackedBlock(parent.timestamp, False, tuple(chunk)))
    built_s = time.perf_counter() - started
    _post(l1, blocks)
    return built_s, l1


def _seal(engine: RevmEngine, parent: Header, raws: Sequence[bytes]) -> Header:
    attributes = L2Attributes(
        timestamp=parent.timestamp,
        mix_hash=parent.mix_hash,
        parent_beacon_block_root=parent.parent_beacon_block_root,
    )
    building = engine.sequence(parent.encode(), attributes, (), b"")
    refused = [one for one in building.push(raws) if not one.included]
    if refused:
        raise RuntimeError(f"{len(refused)} transfers were refused: {refused[0].message}")
    result = building.seal()
    engine.commit(result)
    return header_of_block(result.block)


def _post(l1: ModelL1, blocks: Sequence[PackedBlock]) -> None:
    """Every batch in an L1 block of its own."""
    packer = Packer(partial(encode_batch, quality=QUALITY), packing_limits(l1.tree.parameters))
    rest, nonce = list(blocks), 0
    account = batcher_account()
    while rest:
        packed = packer.pack(rest[:1_024])
        tip = l1.tip_block.tip
        call = bindings.append(
            packed.data,
            first_block=tip.next_block,
            block_count=packed.block_count,
            origin=0,
            expected=tip.accumulator,
        )
        fee = Fee(max_fee_wei=10**10, tip_wei=10**9)
        inbox = l1.tree.parameters.inbox
        l1.mine([account.sign(nonce=nonce, to=inbox, call_data=call, gas_limit=10**7, fee=fee).raw])
        rest, nonce = rest[packed.block_count :], nonce + 1


async def _derive(rollup: RealRollup, l1: ModelL1, folder: Path) -> float:
    """Catch up on an empty disk; gives seconds."""
    engine = RevmEngine(rollup.l2_document, folder=folder / "states")
    tables = open_tables(folder / "chain.redb")
    worker = ThreadWorker(threads_max=2)
    chain: L2Chain = await open_l2_chain(
        engine=engine,
        tables=tables,
        folder=folder,
        genesis_origin=L1Ref(number=0, hash=l1.tree.genesis.block.hash),
        worker=worker,
        wall=SystemClock(),
    )
    view = L1View(l1, l1, l1.tree.parameters)
    deriver = Deriver(
        parameters=l1.tree.parameters,
        l1=view,
        l2=chain,
        engine=engine,
        decode=read_batch,
        book=RecordBook(tables),
        worker=worker,
        metrics=DerivingMetrics(CollectorRegistry()),
    )
    started = time.perf_counter()
    async with trio.open_nursery() as nursery:
        await nursery.start(chain.run)
        await nursery.start(view.run)
        await nursery.start(deriver.run)
        await deriver.derived.past(0)
        seconds = time.perf_counter() - started
        nursery.cancel_scope.cancel()
    if chain.safe.header.number != l1.tip_block.tip.next_block - 1:
        raise RuntimeError("the replica has not derived everything")
    engine.close()
    tables.close()
    return seconds


def figures(count: int) -> list[Figure]:
    """Everything."""
    return [
        *measure_bytes(count),
        *measure_derivation(count, 20),
        *measure_derivation(count, 1),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transactions", type=int, default=6_000)
    parser.add_argument("--json", type=Path, default=Path("bench/batches.json"))
    options = parser.parse_args()
    measured = figures(options.transactions)
    print_figures(measured)
    save_figures(measured, options.json)
