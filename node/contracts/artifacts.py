"""What the compiler made of a contract, loaded once from package data.

    {l1,l2}/*.vy -> deploy.contracts_build -> artifacts/*.json -> load -> alloc, calls, tests, `faultline addresses`

Deliberately absent: the compiler. Artifacts are checked in, and a test compares them with a fresh compile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import orjson


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a variable lies."""

    kind: str
    """Its type as Vyper writes it."""
    start: int
    """Number of its first storage slot; of an immutable, its first byte behind the code."""
    size: int
    """Storage slots; of an immutable, bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One compiled contract."""

    name: str
    """The contract's name."""
    source: str
    """Its file, below this package."""
    settings: Mapping[str, str]
    """Compiler, its version and what it was told."""
    runtime: bytes
    """Code, without the immutables that follow it on chain."""
    init: bytes
    """Code that deploys it, without constructor arguments."""
    storage: Mapping[str, Place]
    """Storage variables by name, those of a module as `module.name`."""
    immutables: Mapping[str, Place]
    """Immutables by name."""
    abi: tuple[Mapping[str, object], ...]
    """Entries of its ABI, custom errors included."""

    def code(self, **immutables: bytes | int) -> bytes:
        """The code as it stands on chain: what the compiler made, then one word for each immutable.

        Raises ValueError unless every immutable has a value of at most 32 bytes.
        """
        if set(immutables) != set(self.immutables):
            wanted = ", ".join(self.immutables) or "none"
            raise ValueError(f"{self.name}: immutables are {wanted}; got {', '.join(immutables)}")
        area = bytearray(sum(place.size for place in self.immutables.values()))
        for name, value in immutables.items():
            place = self.immutables[name]
            number = value if isinstance(value, int) else int.from_bytes(value)
            if number < 0 or number.bit_length() > 256:
                raise ValueError(f"{self.name}.{name}: no word: {number}")
            area[place.start : place.start + place.size] = number.to_bytes(place.size)
        return self.runtime + bytes(area)


@cache
def load(name: str) -> Artifact:
    """The artifact of a contract, by name. Raises FileNotFoundError if there is none."""
    stored = resources.files("node.contracts").joinpath(f"artifacts/{name}.json").read_bytes()
    document = orjson.loads(stored)
    return Artifact(
        name=document["name"],
        source=document["source"],
        settings=document["settings"],
        runtime=bytes.fromhex(document["runtime"].removeprefix("0x")),
        init=bytes.fromhex(document["init"].removeprefix("0x")),
        storage=_places(document["storage"], "slot", "n_slots"),
        immutables=_places(document["immutables"], "offset", "length"),
        abi=tuple(document["abi"]),
    )


@cache
def artifact_names() -> tuple[str, ...]:
    """Names of all contracts, sorted."""
    folder = resources.files("node.contracts").joinpath("artifacts")
    names = (file.name for file in folder.iterdir() if file.name.endswith(".json"))
    return tuple(sorted(name.removesuffix(".json") for name in names))


def _places(layout: Mapping[str, Mapping[str, str]], start: str, size: str) -> dict[str, Place]:
    return {
        name: Place(kind=entry["type"], start=int(entry[start]), size=int(entry[size]))
        for name, entry in layout.items()
    }
