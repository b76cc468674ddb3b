"""Contracts that only tests have: compiled once, kept beside their sources, loaded like the network's own.

contracts/*.vy -> python -m tests.kit.compiled -> contracts/*.json -> helper -> artifact
"""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

import orjson

from deploy.contracts_build import COMPILE_DEADLINE_S, EVM_VERSION, vyper
from node.contracts.artifacts import Artifact

FOLDER: Final = Path(__file__).parent / "contracts"
"""Sources and what the compiler made of them."""

HELPERS: Final = ("Court", "Liar", "OddToken", "Puppet")
"""Those that are kept in this form."""


@cache
def helper(name: str) -> Artifact:
    """A contract of tests, by name."""
    document = orjson.loads((FOLDER / f"{name}.json").read_bytes())
    return Artifact(
        name=name,
        source=document["source"],
        settings={"compiler": document["compiler"]},
        runtime=bytes.fromhex(document["runtime"].removeprefix("0x")),
        init=bytes.fromhex(document["bytecode"].removeprefix("0x")),
        storage={},
        immutables={},
        abi=tuple(document["abi"]),
    )


def compiled(name: str) -> bytes:
    """What the compiler makes of a contract of tests now."""
    source = FOLDER / f"{name}.vy"
    formats = ("abi", "bytecode", "bytecode_runtime")
    command = [str(vyper()), "-f", ",".join(formats), "--evm-version", EVM_VERSION]
    done = subprocess.run(
        [*command, "--no-bytecode-metadata", str(source)],
        capture_output=True,
        text=True,
        check=True,
        timeout=COMPILE_DEADLINE_S,
    )
    abi, init, runtime = done.stdout.splitlines()
    document = {
        "source": source.name,
        "compiler": "vyper 0.4.3",
        "abi": orjson.loads(abi),
        "bytecode": init,
        "runtime": runtime,
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


if __name__ == "__main__":
    for each in HELPERS:
        (FOLDER / f"{each}.json").write_bytes(compiled(each))
    sys.stderr.write(f"written: {', '.join(HELPERS)}\n")
