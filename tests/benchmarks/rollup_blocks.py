"""What a block of the rollup costs the engine: sequenced, derived again, and judged; CPU of one thread.

`python -m tests.benchmarks.rollup_blocks [--accounts 10000] [--transfers 1 20 70]`
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import orjson

from node.eth.headers import header_bytes_of_block, header_of_block
from node.execution.adapter import RevmEngine
from node.execution.engine import BlockResult, L2Attributes
from tests.benchmarks.figures import Figure, print_figures, save_figures
from tests.kit.rollup_chain import CHAIN_ID, rollup_document
from tests.kit.transfers import Sender, sender, sign_transfer

SENDERS: Final = 400
"""Accounts that send; the others only receive or lie there."""

BLOCKS: Final = 60
"""Blocks measured; the median counts."""

SEQUENCED_MS_MAX: Final = 0.6
"""Of 20 transfers among 10,000 accounts: sequence, push, seal, commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """CPU of one block, milliseconds; medians."""

    sequenced_ms: float
    """Opened, filled, sealed and committed; its senders were recovered before."""
    derived_ms: float
    """Derived and committed where its senders are remembered."""
    cold_ms: float
    """Derived and committed where nothing was seen before; recovery on all cores counts."""


def measure(accounts: int, transfers: int) -> Cost:
    """Sequence blocks in one engine, derive them in two others."""
    senders = [sender(f"rollup block {number}") for number in range(SENDERS)]
    funded: dict[str, object] = {
        "0x" + one.address.hex(): {"balance": hex(10**20)} for one in senders
    }
    for number in range(accounts - SENDERS):
        funded["0x" + _bystander(number).hex()] = {"balance": "0x1"}
    document = orjson.dumps(rollup_document(extra_accounts=funded))
    sequenced, derived, cold = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        engines = [RevmEngine(document, folder=Path(folder) / name) for name in ("a", "b", "c")]
        first, second, third = engines
        parents = [engine.genesis() for engine in engines]
        for number in range(BLOCKS):
            raws = _transfers(senders, accounts, number, transfers)
            first.decode(raws)
            second.decode(raws)
            block, spent = _timed(time.thread_time, partial(_sequence, first, parents[0], raws))
            sequenced.append(spent)
            again = partial(_derive, second, parents[1], block, raws)
            derived.append(_timed(time.thread_time, again)[1])
            anew = partial(_derive, third, parents[2], block, raws)
            cold.append(_timed(time.process_time, anew)[1])
            parents = [block] * 3
        for engine in engines:
            engine.close()
    return Cost(sequenced_ms=median(sequenced), derived_ms=median(derived), cold_ms=median(cold))


def _timed(
    clock: Callable[[], float], work: Callable[[], BlockResult]
) -> tuple[BlockResult, float]:
    """A result, and the milliseconds it took."""
    before = clock()
    result = work()
    return result, (clock() - before) * 1_000


def _bystander(number: int) -> bytes:
    return b"\xee" * 12 + number.to_bytes(8)


def _transfers(senders: list[Sender], accounts: int, number: int, count: int) -> list[bytes]:
    """The block's transfers: senders take turns, recipients are spread over all accounts."""
    others = accounts - SENDERS
    turns = range(number * count, (number + 1) * count)
    return [
        sign_transfer(
            senders[turn % SENDERS],
            nonce=turn // SENDERS,
            to=_bystander(turn * 8_191 % others),
            chain_id=CHAIN_ID,
        )
        for turn in turns
    ]


def _attributes(parent: BlockResult) -> tuple[bytes, L2Attributes]:
    header = header_of_block(parent.block)
    attributes = L2Attributes(
        timestamp=header.timestamp,
        mix_hash=header.mix_hash,
        parent_beacon_block_root=header.parent_beacon_block_root,
    )
    return header_bytes_of_block(parent.block), attributes


def _sequence(engine: RevmEngine, parent: BlockResult, raws: list[bytes]) -> BlockResult:
    header, attributes = _attributes(parent)
    builder = engine.sequence(header, attributes, [], b"")
    refused = [outcome for outcome in builder.push(raws) if not outcome.included]
    if refused:
        raise RuntimeError(f"{len(refused)} transfers were refused: {refused[0].message}")
    result = builder.seal()
    engine.commit(result)
    return result


def _derive(
    engine: RevmEngine, parent: BlockResult, block: BlockResult, raws: list[bytes]
) -> BlockResult:
    header, attributes = _attributes(parent)
    derived = engine.derive(header, attributes, [], raws, b"")
    if derived.result.block_hash != block.block_hash:
        raise RuntimeError("a block was derived that was not sequenced")
    engine.commit(derived.result)
    return derived.result


def figures(accounts: int, sizes: list[int]) -> list[Figure]:
    """The costs of blocks of some sizes."""
    found: list[Figure] = []
    for transfers in sizes:
        cost = measure(accounts, transfers)
        counts = (accounts, transfers) == (10_000, 20)
        what = f"block of {transfers} transfers, {accounts} accounts"
        found += [
            Figure(
                name=f"{what}: sequenced and committed",
                value=cost.sequenced_ms,
                unit="ms CPU",
                target=f"<= {SEQUENCED_MS_MAX}" if counts else "",
                holds=cost.sequenced_ms <= SEQUENCED_MS_MAX if counts else None,
            ),
            Figure(name=f"{what}: derived, senders known", value=cost.derived_ms, unit="ms CPU"),
            Figure(name=f"{what}: derived, cold", value=cost.cold_ms, unit="ms CPU"),
        ]
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--transfers", type=int, nargs="*", default=[1, 20, 70])
    parser.add_argument("--json", type=Path, default=Path("bench/rollup_blocks.json"))
    options = parser.parse_args()
    measured = figures(options.accounts, options.transfers)
    print_figures(measured)
    save_figures(measured, options.json)
