"""What importing a block costs: CPU of one process, by how warm its transactions are and how many accounts there are.

`python -m tests.benchmarks.imports [--accounts 1000 10000 100000 1000000] [--transfers 3000]`
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from node.eth.headers import header_bytes_of_block, header_of_block
from node.eth.primitives import ZERO_HASH, Address
from node.execution.adapter import RevmEngine
from node.execution.engine import BlockAttributes, BlockResult
from tests.benchmarks.figures import Figure, print_figures, save_figures
from tests.kit.execution_chain import genesis_document
from tests.kit.transfers import Sender, sender, sign_transfer

SENDERS_MAX: Final = 3_000
"""Accounts that send; the others only receive or lie there."""

BLOCKS: Final = 5
"""Blocks measured; the median counts."""

WARM_MS_MAX: Final = 60.0
COLD_MS_MAX: Final = 180.0
GROWTH_MAX: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """CPU of one import, milliseconds; the median of some blocks."""

    warm_ms: float
    """Senders were recovered before, as they are for pooled transactions."""
    cold_ms: float
    """Nothing was seen before."""


def measure(accounts: int, transfers: int) -> Cost:
    """Build blocks in one engine, import them into two others that know the same state."""
    senders = [sender(f"import {number}") for number in range(min(SENDERS_MAX, transfers))]
    document = orjson.dumps(_genesis(accounts, senders))
    with tempfile.TemporaryDirectory() as folder:
        engines = [RevmEngine(document, folder=Path(folder) / name) for name in ("a", "b", "c")]
        builder, warm, cold = engines
        parents = [engine.genesis() for engine in engines]
        warm_ms, cold_ms = [], []
        for number in range(BLOCKS):
            raws = _transfers(senders, accounts, number, transfers)
            block = _build(builder, parents[0], raws)
            warm.decode(raws)
            warm_ms.append(_import(warm, parents[1], block))
            cold_ms.append(_import(cold, parents[2], block))
            parents = [block] * 3
        for engine in engines:
            engine.close()
    return Cost(warm_ms=sorted(warm_ms)[BLOCKS // 2], cold_ms=sorted(cold_ms)[BLOCKS // 2])


def _genesis(accounts: int, senders: list[Sender]) -> dict[str, object]:
    """A genesis with that many funded accounts; `senders` among them."""
    funded = {"0x" + one.address.hex(): {"balance": hex(10**20)} for one in senders}
    for number in range(accounts - len(senders)):
        funded["0x" + _bystander(number).hex()] = {"balance": "0x1"}
    document = genesis_document(funded)
    document["gasLimit"] = hex(120_000_000)
    return document


def _bystander(number: int) -> bytes:
    return b"\xee" * 12 + number.to_bytes(8)


def _transfers(senders: list[Sender], accounts: int, nonce: int, count: int) -> list[bytes]:
    """Each sender pays another account, spread evenly over all there are."""
    others = max(1, accounts - len(senders))
    step = max(1, others // count)
    return [
        sign_transfer(by, nonce=nonce, to=_bystander((place * step + nonce) % others))
        for place, by in enumerate(senders[:count])
    ]


def _build(engine: RevmEngine, parent: BlockResult, raws: list[bytes]) -> BlockResult:
    header = header_bytes_of_block(parent.block)
    attributes = BlockAttributes(
        timestamp=header_of_block(parent.block).timestamp + 2,
        fee_recipient=Address(b"\x99" * 20),
        prev_randao=ZERO_HASH,
        gas_limit=120_000_000,
        parent_beacon_block_root=ZERO_HASH,
        withdrawals=(),
    )
    building = engine.builder(header, attributes, parent.block_hash)
    refused = [outcome for outcome in building.push(raws) if not outcome.included]
    if refused:
        raise RuntimeError(f"{len(refused)} transfers were refused: {refused[0].message}")
    result = building.seal(b"")
    engine.commit(result)
    return result


def _import(engine: RevmEngine, parent: BlockResult, block: BlockResult) -> float:
    """CPU of this process for execute and commit, milliseconds."""
    before = time.process_time()
    engine.commit(
        engine.execute(header_bytes_of_block(parent.block), block.block, parent.block_hash)
    )
    return (time.process_time() - before) * 1_000


def figures(sizes: list[int], transfers: int) -> list[Figure]:
    """The costs at each number of accounts, and how they grow."""
    costs = {size: measure(size, transfers) for size in sizes}
    found: list[Figure] = []
    for size, cost in costs.items():
        counts = size == 10_000
        found += [
            Figure(
                name=f"import of {transfers} transfers, {size} accounts, pooled before",
                value=cost.warm_ms,
                unit="ms CPU",
                target=f"<= {WARM_MS_MAX:.0f}" if counts else "",
                holds=cost.warm_ms <= WARM_MS_MAX if counts else None,
            ),
            Figure(
                name=f"import of {transfers} transfers, {size} accounts, cold",
                value=cost.cold_ms,
                unit="ms CPU",
                target=f"<= {COLD_MS_MAX:.0f}" if counts else "",
                holds=cost.cold_ms <= COLD_MS_MAX if counts else None,
            ),
        ]
    growth = costs[max(sizes)].warm_ms / costs[min(sizes)].warm_ms
    name = f"cost of a block at {max(sizes)} accounts against {min(sizes)}"
    found.append(
        Figure(
            name=name, value=growth, unit="x", target=f"<= {GROWTH_MAX}", holds=growth <= GROWTH_MAX
        )
    )
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--accounts", type=int, nargs="*", default=[3_100, 10_000, 100_000, 1_000_000]
    )
    parser.add_argument("--transfers", type=int, default=3_000)
    parser.add_argument("--json", type=Path, default=Path("bench/imports.json"))
    options = parser.parse_args()
    measured = figures(options.accounts, options.transfers)
    print_figures(measured)
    save_figures(measured, options.json)
