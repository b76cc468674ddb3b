"""What the pool's rules cost for each transaction: admission, selection, a new head; printed as JSON.

    python -m tests.benchmarks.pool [--transactions N] [--senders N]

Decoding, sockets and gossip are not in these figures; one core works.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from node.eth.primitives import Address
from node.txpool.limits import PoolLimits
from node.txpool.pool import Pool
from node.txpool.transaction import AccountFacts

GWEI = 10**9
BLOCK_GAS = 120_000_000


@dataclass(slots=True)
class BenchmarkTransaction:
    """A transfer, its fields ready as the engine has them."""

    sender: bytes
    nonce: int
    max_priority_fee_per_gas: int
    hash: bytes
    raw: bytes
    to: bytes | None = bytes(20)
    kind: int = 2
    gas_limit: int = 21_000
    value: int = 1
    max_fee_per_gas: int = 100 * GWEI
    max_fee_per_blob_gas: int = 0
    blob_hashes: list[bytes] = field(default_factory=list)
    authorities: list[bytes] = field(default_factory=list)
    intrinsic_gas: int = 21_000
    size: int = 110


def transfers(count: int, senders: int) -> list[BenchmarkTransaction]:
    """Transfers of many senders, in turn, with tips that differ."""
    made = []
    for number in range(count):
        sender = hashlib.sha256(b"%d" % (number % senders)).digest()[:20]
        digest = hashlib.sha256(b"t%d" % number).digest()
        tip = GWEI + digest[0] * 1_000_000
        made.append(BenchmarkTransaction(sender, number // senders, tip, digest, digest * 3))
    return made


def timed(work: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(count: int, senders: int) -> dict[str, float | int]:
    """Admit, select blocks and follow heads until the pool is empty; microseconds for each transaction."""
    offered = transfers(count, senders)
    facts = AccountFacts(nonce=0, balance=10**24, has_code=False)
    pool = Pool(PoolLimits(transactions_max=count), block_gas_limit=BLOCK_GAS)

    def admit_all() -> None:
        for one in offered:
            account = None if pool.knows(one.sender) else facts
            pool.admit(one, account, now_ms=0)
        if len(pool) != count:
            raise RuntimeError(f"{count - len(pool)} of {count} transfers were refused")

    admit_s = timed(admit_all)
    select_s = update_s = 0.0
    blocks = 0
    nonces: dict[Address, int] = {}
    while len(pool):
        start = time.perf_counter()
        chosen = pool.select(GWEI).take(gas=BLOCK_GAS, size=4 << 20, count=10_000)
        select_s += time.perf_counter() - start
        for one in chosen:
            nonces[one.sender] = one.nonce + 1
        start = time.perf_counter()
        accounts = {
            address: AccountFacts(nonces.get(address, 0), 10**24, False)
            for address in pool.senders()
        }
        pool.update(accounts, block_gas_limit=BLOCK_GAS, now_ms=0)
        update_s += time.perf_counter() - start
        blocks += 1
    full = Pool(PoolLimits(transactions_max=count // 4), block_gas_limit=BLOCK_GAS)

    def admit_into_full() -> None:
        for one in offered:
            full.admit(one, None if full.knows(one.sender) else facts, now_ms=0)

    full_s = timed(admit_into_full)
    return {
        "transactions": count,
        "senders": senders,
        "blocks": blocks,
        "admit_us": round(admit_s / count * 1e6, 2),
        "admit_when_full_us": round(full_s / count * 1e6, 2),
        "select_us": round(select_s / count * 1e6, 2),
        "update_us": round(update_s / count * 1e6, 2),
    }


def main() -> None:
    """Measure with the arguments' numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transactions", type=int, default=24_000)
    parser.add_argument("--senders", type=int, nargs="*", default=[1, 1_000, 10_000])
    arguments = parser.parse_args()
    answer = [
        measure(min(arguments.transactions, 4_000 * senders), senders)
        for senders in arguments.senders
    ]
    sys.stdout.buffer.write(orjson.dumps(answer, option=orjson.OPT_INDENT_2) + b"\n")


if __name__ == "__main__":
    main()
