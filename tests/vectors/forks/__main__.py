"""Writes the chain beside itself: EELS builds what `plan` says, in an environment of its own."""

from __future__ import annotations

import gzip
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Final, TypedDict

from tests.e2e.environments import python_environment
from tests.vectors.forks.plan import Json, config, plan

FOLDER: Final = Path(__file__).parent
ORACLE: Final = Path(__file__).parents[2] / "oracle"


class Built(TypedDict):
    """What EELS gives."""

    blocks: list[str]
    totalDifficulty: str
    difficulties: list[str]


def build() -> Built:
    """Have EELS build the chain."""
    python = python_environment(ORACLE / "requirements-eels.lock")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plan.json"
        file.write_text(json.dumps(plan()))
        script = ORACLE / "scripts" / "build_chain.py"
        done = subprocess.run(
            [str(python), str(script), str(file)], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise RuntimeError(done.stderr[-2_000:])
    built: Built = json.loads(done.stdout)
    return built


def files() -> dict[str, bytes]:
    """Name and contents of every file."""
    told, built = plan(), build()
    genesis = told["genesis"]
    assert isinstance(genesis, dict)
    file: dict[str, Json] = {"config": config(int(built["totalDifficulty"])), **genesis}
    cases = told["difficulties"]
    assert isinstance(cases, list)
    difficulties = [
        [*case, answer]
        for case, answer in zip(cases, built["difficulties"], strict=True)
        if isinstance(case, list)
    ]
    chain = b"".join(bytes.fromhex(block[2:]) for block in built["blocks"][1:])
    return {
        "genesis.json": (json.dumps(file, indent=1) + "\n").encode(),
        "chain.rlp.gz": gzip.compress(chain, mtime=0),
        "difficulties.json": (json.dumps(difficulties) + "\n").encode(),
    }


def main() -> None:
    """Write every file anew."""
    for name, contents in files().items():
        (FOLDER / name).write_bytes(contents)


if __name__ == "__main__":
    main()
