"""What STEP costs L1 where its caller invents everything: inputs that are meant to be slow for their gas.

`python -m tests.benchmarks.hostile_steps`
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import brotli  # type: ignore[import-untyped]

from node.errors import Rejected
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.headers import decode_header
from node.rollup.step import FIXED_BYTES, STEP_INPUT_BYTES_MAX, WITNESS_ITEMS_MAX
from tests.benchmarks.figures import Figure, print_figures, save_figures
from tests.kit.execution_chain import SENDER
from tests.kit.rollup import portal_log
from tests.kit.rollup_chain import L1_BLOCK, sign_l2
from tests.kit.step_world import Around, Stepped, StepWorld, forged, replant
from tests.kit.witness_world import LOOPER, LOOPER_CODE
from tests.kit.worst_blocks import SLOWEST_INPUT

REPEATS: Final = 5
"""The best of so many counts."""

PAID_MS: Final = 300.0
"""CPU of the gas that a STEP costs, 8M and some, in L1's own slowest loop: 33 ms a million (`tests.benchmarks.steps`)."""


class Hostile:
    """A rollup, and inputs for its STEP that no honest caller makes."""

    def __init__(self) -> None:
        accounts = {"0x" + LOOPER.hex(): {"balance": "0x0", "code": "0x" + LOOPER_CODE.hex()}}
        self.world: Final = StepWorld.open(accounts)
        self.plain: Final = self.world.make((), advances=False)

    def inputs(self) -> dict[str, bytes]:
        """Each by what it has too much of."""
        return {
            "nothing": self.plain.given.encode(),
            "a quarter of a million transactions in the batch": self._crowded(),
            "512 blocks of empty transactions": self._empty(),
            "as many nodes as there may be": self._nodes(),
            "lists in lists": self.plain.given.words() + b"\xc1" * 350_000 + b"\xc0",
            "one long code": self._long(),
            "nodes that lead nowhere": self._chain(),
            "all gas in the slowest loop": self._loop(),
            "all gas twice: deposits, then a transaction too many": self._twice(),
            "an attributes deposit that loops": self._attributes(),
        }

    def _crowded(self) -> bytes:
        raws = rlp.encode([1, [[5, 0, [b""] * 262_000]]])
        return self._batch(brotli.compress(raws, quality=5), 1)

    def _empty(self) -> bytes:
        raws = rlp.encode([1, [[5, 0, [b""] * 500] for _ in range(512)]])
        return self._batch(brotli.compress(raws, quality=5), 512)

    def _batch(self, batch: bytes, blocks: int) -> bytes:
        found = self.world.make(
            (), advances=False, around=Around(batch=batch, blocks_after=blocks - 1)
        )
        return found.given.encode()

    def _nodes(self) -> bytes:
        given = self.plain.given
        size = (STEP_INPUT_BYTES_MAX - len(given.encode())) // WITNESS_ITEMS_MAX - 3
        room = WITNESS_ITEMS_MAX - len(given.nodes)
        more = tuple(number.to_bytes(size) for number in range(room))
        return replace(given, nodes=given.nodes + more).encode()

    def _long(self) -> bytes:
        given = self.plain.given
        return replace(given, codes=(*given.codes, b"\x5b" * 340_000)).encode()

    def _chain(self) -> bytes:
        given, nodes, name = self.plain.given, [], keccak256(b"bottom")
        for _ in range(8_000):
            nodes.append(rlp.encode([b"\x11", name]))
            name = keccak256(nodes[-1])
        header = replace(decode_header(given.parent_header), state_root=name)
        return forged(given, header, nodes=tuple(nodes)).encode()

    def _loop(self) -> bytes:
        raw = sign_l2(SENDER, nonce=0, to=LOOPER, data=SLOWEST_INPUT, gas=7_000_000)
        return self._full(self.world.make([raw], advances=False))

    def _twice(self) -> bytes:
        """Sixteen deposits that loop, a transaction that does, and one that makes the block hold its deposits only."""
        log = [
            portal_log(index, to=LOOPER, gas=187_000, data=SLOWEST_INPUT) for index in range(1, 17)
        ]
        raws = [
            sign_l2(SENDER, nonce=0, to=LOOPER, data=SLOWEST_INPUT, gas=2_900_000),
            sign_l2(SENDER, nonce=7),
        ]
        found = self.world.make(raws, logs=log)
        assert not found.derived.is_full
        return found.given.encode()

    def _attributes(self) -> bytes:
        """A state whose L1Block is the looper."""
        found = self.world.make((), logs=[]).given
        parent = decode_header(found.parent_header)
        leaf = self.world.chain.engine.proof(parent.state_root, L1_BLOCK, []).nodes[-1]
        items = rlp.as_list(rlp.decode(leaf))
        account = rlp.as_list(rlp.decode(rlp.as_bytes(items[1])), 4)
        account[3] = keccak256(b"\x5b\x5f\x56")
        items[1] = rlp.encode(account)
        nodes, root = replant(found.nodes, parent.state_root, leaf, rlp.encode(items))
        codes = (*found.codes, b"\x5b\x5f\x56")
        return forged(found, replace(parent, state_root=root), nodes=nodes, codes=codes).encode()

    @staticmethod
    def _full(stepped: Stepped) -> bytes:
        assert stepped.derived.is_full
        return stepped.given.encode()


def measure() -> list[Figure]:
    """CPU of a STEP for each of them."""
    hostile = Hostile()
    found = []
    for name, data in hostile.inputs().items():
        assert FIXED_BYTES < len(data) <= STEP_INPUT_BYTES_MAX, name
        value = _best_ms(partial(hostile.world.ask, data))
        found.append(
            Figure(
                name=f"hostile STEP, {name}",
                value=value,
                unit="ms CPU",
                target=f"<= {PAID_MS:.0f}",
                holds=value <= PAID_MS,
            )
        )
    return found


def _best_ms(work: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        before = time.process_time()
        with suppress(Rejected):
            work()
        times.append((time.process_time() - before) * 1_000)
    return min(times)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("bench/hostile_steps.json"))
    options = parser.parse_args()
    measured = measure()
    print_figures(measured)
    save_figures(measured, options.json)
