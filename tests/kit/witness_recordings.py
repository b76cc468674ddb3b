"""What geth needs to execute every block of the recorded chain from a witness alone, as digests.

    debug_executionWitness -> kinds_of -> tests/vectors/traces/geth-1.17.8-witnesses.json

Digests, since the nodes and codes themselves are those of the chain: whoever has one with the same digest has it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, cast

from node.eth.hashing import keccak256

RECORDINGS: Final = Path(__file__).parents[1] / "vectors/traces/geth-1.17.8-witnesses.json"
"""By number: digests of the nodes and of the codes. Before block 9 geth has no answer, its handler crashes there."""

Kinds = Mapping[str, Sequence[str]]
"""Digests under `state` and `codes`."""


def digest_of(one: bytes) -> str:
    """The first eight bytes of the hash of a node or a code."""
    return keccak256(one)[:8].hex()


def kinds_of(witness: Mapping[str, object]) -> Kinds:
    """What a witness holds, sorted: geth's order changes from call to call."""
    return {
        kind: sorted(digest_of(bytes.fromhex(one[2:])) for one in cast("list[str]", witness[kind]))
        for kind in ("state", "codes")
    }


def recorded_witnesses() -> Mapping[int, Kinds]:
    """The recordings by number."""
    found: dict[str, Kinds] = json.loads(RECORDINGS.read_text(encoding="utf-8"))
    return {int(number): kinds for number, kinds in found.items()}
