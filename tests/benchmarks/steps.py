"""What the worst legal blocks of the rollup cost L1: bytes, gas and milliseconds of their STEP.

`python -m tests.benchmarks.steps [--accounts 1000000]`
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import orjson

from node.eth.hashing import sha256
from node.eth.primitives import Address
from node.rollup.parameters import RollupParameters
from tests.benchmarks.figures import Figure, print_figures, save_figures
from tests.kit.execution_chain import ExecutionChain, word
from tests.kit.rollup_chain import deposit
from tests.kit.step_world import Around, StepWorld
from tests.kit.witness_world import (
    BOXES,
    LOOPER,
    SPRAYS,
    WitnessWorld,
    bystander,
    signer,
    stores,
    witness_document,
    witness_world,
)
from tests.kit.worst_blocks import (
    CALLER,
    SLOWEST_INPUT,
    TRANSACTION_GAS_MAX,
    WorstBlock,
    answer_of,
    host_of,
    loop_transaction,
    step_transaction,
    worst_blocks,
)

INPUT_BYTES_MAX: Final = 352 << 10
"""Of a STEP."""

L1_GAS: Final = 120_000_000
"""Of an L1 block."""

HALF_SLOT_MS: Final = 1_000
"""Of a slot of two seconds, profile dev."""

REPEATS: Final = 5
"""Runs of each STEP; the first is cold, the best counts besides."""

PARAMETERS: Final = RollupParameters(
    batcher=Address(b"\x01" * 20), sequencer_key=b"\x02" * 32, witness_limit_bytes=270_336
)

_G1 = word(1) + word(2)
_G2 = bytes.fromhex(
    "198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2"
    "1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed"
    "090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b"
    "12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa"
)
_INFINITY = b"\xc0" + bytes(47)
_RECOVERED = CALLER.key.sign_recoverable(word(1), hasher=None)
LOOPS: Final = {
    "BLAKE2F, 100,000 rounds": word(9) + (100_000).to_bytes(4) + bytes(208) + b"\1",
    "pairing of BN254": word(8) + _G1 + _G2,
    "addition on BN254": word(6) + _G1 + _G1,
    "multiplication on BN254": word(7) + _G1 + b"\x2f" * 32,
    "MODEXP, 8 bytes to 81": word(5) + word(8) + word(81) + word(8) + b"\xff" * 97,
    "MODEXP, 32 bytes, even": word(5) + word(32) * 3 + b"\xff" * 95 + b"\xfe",
    "ECRECOVER": word(1) + word(1) + word(27 + _RECOVERED[64]) + _RECOVERED[:64],
    "P256VERIFY": SLOWEST_INPUT,
    "SHA-256 of 8 KiB": word(2) + bytes(8_192),
    "RIPEMD-160 of 8 KiB": word(3) + bytes(8_192),
    "copy of 8 KiB": word(4) + bytes(8_192),
    "KZG evaluation": word(10)
    + b"\1"
    + sha256(_INFINITY)[1:]
    + word(5)
    + word(0)
    + _INFINITY
    + _INFINITY,
    "BLS12-381, field to G2": word(0x11) + (bytes(16) + b"\x01" * 48) * 2,
}
"""Address and input of what computes longest for its gas."""


def measure(accounts: int) -> list[Figure]:
    """Build a state of that many accounts, then the worst blocks on it, then their STEPs."""
    world = witness_world(
        witness_document(
            accounts,
            slots=min(accounts, 100_000),
            large_codes=16,
            full_rings=True,
            witness_limit=PARAMETERS.witness_limit_bytes,
        )
    )
    host = host_of(world.chain.engine, PARAMETERS)
    typical = _typical(world)
    worst = worst_blocks(world, PARAMETERS)
    found = _step(host, typical)
    found += [figure for block in worst for figure in _step(host, block)]
    found += _full_block_of_l1(host, worst)
    found += _base(world)
    found.append(_shares(world))
    found += _capacity(world)
    return found + _compute(world, host)


def _typical(world: WitnessWorld) -> WorstBlock:
    """Twenty transfers, in a record of two hundred blocks."""
    raws = [
        world.sign_at(0, n, signer((n + 7) % 20).address, value=1, gas=21_000) for n in range(20)
    ]
    around = Around(place=100, advances_before=1, blocks_after=99)
    found = StepWorld(world.chain, PARAMETERS).make(raws, advances=False, around=around)
    return WorstBlock(name="twenty transfers", given=found.given, derived=found.derived)


def _step(host: ExecutionChain, block: WorstBlock) -> list[Figure]:
    """One STEP: its parts, the least gas limit it works with, CPU of an import."""
    data, given = block.given.encode(), block.given
    name = f"STEP of the block with {block.name}"
    sealed = host.seal([step_transaction(data)])
    times = [_cpu_ms(partial(host.execute, sealed.block)) for _ in range(REPEATS)]
    host.engine.commit(sealed)
    if answer_of(host, sealed.state_root) != block.output_root:
        raise RuntimeError(f"{name} gives another output root")
    needed = _least_gas(host, block)
    parts = {
        "input": len(data),
        "batch in it": len(given.batch),
        "deposit request in it": len(given.last_request),
        "nodes in it": sum(map(len, given.nodes)),
        "codes in it": sum(map(len, given.codes)),
    }
    figures = [
        Figure(name=f"{name}: {part}", value=size / 1_024, unit="KiB")
        for part, size in parts.items()
        if part != "input"
    ]
    return [
        Figure(
            name=f"{name}: input",
            value=len(data) / 1_024,
            unit="KiB",
            target="<= 352",
            holds=len(data) <= INPUT_BYTES_MAX,
        ),
        *figures,
        Figure(
            name=f"{name}: gas that L1 needs",
            value=needed / 1e6,
            unit="Mgas",
            target="<= 16.78",
            holds=needed <= TRANSACTION_GAS_MAX,
        ),
        Figure(name=f"{name}: gas of the rollup's block", value=_gas(block) / 1e6, unit="Mgas"),
        Figure(
            name=f"{name}: import of an L1 block with it, first time",
            value=times[0],
            unit="ms CPU",
            target="<= half a slot",
            holds=times[0] <= HALF_SLOT_MS,
        ),
        Figure(name=f"{name}: import, best of {REPEATS}", value=min(times), unit="ms CPU"),
    ]


def _gas(block: WorstBlock) -> int:
    return block.derived.result.gas_used


def _least_gas(host: ExecutionChain, block: WorstBlock) -> int:
    """The least gas limit with which the forwarder gets the answer, to 10,000."""
    low, high = 0, TRANSACTION_GAS_MAX
    data = block.given.encode()
    while high - low > 10_000:
        middle = (low + high) // 2
        outcomes = _offer(host, step_transaction(data, gas=middle))
        if outcomes is not None and answer_of(host, outcomes) == block.output_root:
            high = middle
        else:
            low = middle
    return high


def _offer(host: ExecutionChain, raw: bytes) -> bytes | None:
    """The state after a block with a transaction, if it can be in one."""
    builder = host.engine.builder(host.header, host.attributes(), host.ancestors)
    if not builder.push([raw])[0].included:
        return None
    sealed = builder.seal(b"")
    host.engine.commit(sealed)
    return sealed.state_root


def _cpu_ms(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return (time.process_time() - before) * 1_000


def _full_block_of_l1(host: ExecutionChain, worst: list[WorstBlock]) -> list[Figure]:
    """A block of L1 full of the slowest STEPs, beside one full of what is slowest in them."""
    sealed = [host.seal([step_transaction(block.given.encode())]) for block in worst]
    times = [min(_cpu_ms(partial(host.execute, one.block)) for _ in range(3)) for one in sealed]
    fits = [L1_GAS // one.gas_used for one in sealed]
    slowest = max(many * ms for many, ms in zip(fits, times, strict=True))
    own = host.seal([loop_transaction(SLOWEST_INPUT, gas=PARAMETERS.gas_limit)])
    native = min(_cpu_ms(partial(host.execute, own.block)) for _ in range(3))
    native *= L1_GAS / PARAMETERS.gas_limit
    return [
        Figure(name="STEPs with most bytes in a block of L1", value=min(fits), unit="STEPs"),
        Figure(name="block of L1 full of the slowest loop", value=native, unit="ms CPU"),
        Figure(
            name="block of L1 full of the slowest STEPs",
            value=slowest,
            unit="ms CPU",
            target="<= the loop's",
            holds=slowest <= native,
        ),
    ]


def _base(world: WitnessWorld) -> list[Figure]:
    """What every block is charged, what sixteen depositors add, and what one account's path weighs."""

    def size(count: int, to: Callable[[int], bytes]) -> int:
        deposits = [
            deposit(source=word(n), sender=bystander(331 * n + 5), to=to(331 * n + 5), gas=180_000)
            for n in range(count)
        ]
        return sum(world.chain.derive(deposits=deposits).result.witness_size)

    empty, senders = size(0, bystander), size(16, bystander)
    transfers = size(16, lambda n: bystander(n + 100))
    return [
        Figure(name="witness of an empty block", value=empty, unit="bytes"),
        Figure(name="sixteen depositors add", value=senders - empty, unit="bytes"),
        Figure(name="sixteen receivers add", value=transfers - senders, unit="bytes"),
    ]


def _shares(world: WitnessWorld) -> Figure:
    """Modest deposits that succeed after eight that read all they can, whatever those read."""
    modest = [
        deposit(
            source=word(50 + n),
            sender=bystander(2_000 + n),
            to=BOXES[n % 6],
            mint=10**18,
            gas=187_000,
            data=stores([(n, 5)]),
        )
        for n in range(8)
    ]
    engine, succeeded = world.chain.engine, []
    for name in ("balance", "sload", "code", "code_hash", "clear"):
        greedy = [
            deposit(
                source=word(900 + n),
                sender=bystander(900 + n),
                to=SPRAYS[name],
                gas=187_000,
                data=word(1 + 2 * n if name == "code" else 1 + 60 * n) + word(60),
            )
            for n in range(8)
        ]
        block = world.chain.derive(deposits=[*greedy, *modest]).result
        boxes = orjson.loads(engine.receipts_json(block.block, block.receipts))[8:]
        succeeded.append(sum(receipt["status"] == "0x1" for receipt in boxes))
    return Figure(
        name="modest deposits that succeed after eight greedy ones",
        value=min(succeeded),
        unit="of 8",
        target="8",
        holds=min(succeeded) == 8,
    )


def _capacity(world: WitnessWorld) -> list[Figure]:
    """How much of what wallets send fits a block, and what it costs."""
    count = 380
    sent = {
        "transfers to those who lie in the state": [
            world.sign_at(0, n, bystander(977 * n), value=1, gas=21_000) for n in range(count)
        ],
        "transfers among the signers": [
            world.sign_at(0, n, signer((n + 7) % count).address, value=1, gas=21_000)
            for n in range(count)
        ],
        "stores of one slot, six contracts": [
            world.sign_at(0, n, BOXES[n % 6], stores([(n, n + 1)]), gas=50_000)
            for n in range(count)
        ],
        "reads of one slot among many": [
            world.sign_at(0, n, SPRAYS["sload"], word(57 * n) + word(1), gas=30_000)
            for n in range(count)
        ],
    }
    figures = []
    for name, raws in sent.items():
        chain = world.chain
        builder = chain.engine.sequence(chain.header, chain.attributes(), [], b"")
        fits = sum(one.included for one in builder.push(raws))
        built = builder.seal()
        work = partial(chain.engine.execute, chain.header, built.block, b"")
        times = [_cpu_ms(work) for _ in range(REPEATS)]
        figures += [
            Figure(name=f"{name}: fit a block", value=fits, unit="transactions"),
            Figure(name=f"{name}: import of that block", value=min(times), unit="ms CPU"),
        ]
    return figures


def _compute(world: WitnessWorld, host: ExecutionChain) -> list[Figure]:
    """What computes longest for a block's gas; an L1 block full of it beside one full of its STEPs."""
    gas, figures = PARAMETERS.gas_limit, []
    for name, data in LOOPS.items():
        raw = world.sign_at(0, 13, LOOPER, data, gas=gas)
        own = host.seal([loop_transaction(data, gas=gas)])
        rolled = min(_cpu_ms(partial(world.chain.derive, [raw])) for _ in range(2))
        native = min(_cpu_ms(partial(host.execute, own.block)) for _ in range(2))
        figures += [
            Figure(name=f"{name}: {gas // 10**6}M gas of the rollup", value=rolled, unit="ms CPU"),
            Figure(name=f"{name}: as much gas of L1", value=native, unit="ms CPU"),
        ]
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path, default=Path("bench/steps.json"))
    options = parser.parse_args()
    measured = measure(options.accounts)
    print_figures(measured)
    save_figures(measured, options.json)
