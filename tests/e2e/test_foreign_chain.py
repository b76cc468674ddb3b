"""`faultline node` as a user starts it: a chain of others from files, and every exchange that execution-apis recorded on it."""

from __future__ import annotations

import gzip
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import orjson
import pytest

from tests.e2e.devnet import wait_for
from tests.kit.foreign_chain import FORKS, LAST_HASH, blocks
from tests.vectors.forks.__main__ import files

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("foreign"), pytest.mark.timeout(600)]

SHARED: Final = Path(__file__).parents[3] / "shared"
VECTORS: Final = SHARED / "vectors" / "execution-apis"
JUDGE: Final = SHARED / "tools" / "rpc_vectors.py"

UNSERVED: Final = ("testing_buildBlockV1",)
"""Methods with recorded exchanges that are not served."""

FOLDERS: Final = sorted(
    folder.name for folder in VECTORS.glob("*_*") if folder.is_dir() and folder.name not in UNSERVED
)
"""Methods with recorded exchanges."""

needs_recordings = pytest.mark.skipif(
    not (VECTORS.exists() and JUDGE.exists()),
    reason="the execution-apis vectors are not beside the repository",
)

Judge = Callable[[str, Path, bool], str | None]
"""(url, file, whether to show) -> None, or why the answer is another one."""


@contextmanager
def running(data: Path, *arguments: str) -> Iterator[dict[str, object]]:
    """A standalone node; gives what it says of itself once it serves. Killed without a warning in the end."""
    log = data.with_suffix(".log")
    command = [sys.executable, "-m", "deploy.cli", "node", "--rpc-port", "0", "--data", str(data)]
    with log.open("wb") as out:
        process = subprocess.Popen([*command, *arguments], stdout=out, stderr=subprocess.STDOUT)

    def started() -> dict[str, object] | None:
        lines = log.read_bytes().splitlines()
        assert process.poll() is None, log.read_text()[-2_000:]
        told = [orjson.loads(line) for line in lines if line.endswith(b"}")]
        return next((one for one in told if one["event"] == "node_started"), None)

    try:
        yield wait_for("the node to serve", started)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def judge() -> Judge:
    """Compares as hive does; it lies beside the vectors, and is whoever's who wants to hold a node against them."""
    specification = importlib.util.spec_from_file_location("rpc_vectors", JUDGE)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    found: Judge = module.run
    return found


@pytest.fixture(scope="module")
def recorded_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, object]]:
    """A node over the recorded chain: imported, killed, and started again on what is there."""
    data = tmp_path_factory.mktemp("foreign") / "data"
    genesis = ["--genesis", str(VECTORS / "genesis.json")]
    with running(data, *genesis, "--import", str(VECTORS / "chain.rlp")) as first:
        head = first["hash"]
    with running(data, *genesis) as again:
        assert again["hash"] == head
        yield again


@needs_recordings
def test_it_ends_at_the_recorded_head(recorded_node: dict[str, object]) -> None:
    forkchoice = orjson.loads((VECTORS / "headfcu.json").read_bytes())["params"][0]
    assert recorded_node["hash"] == forkchoice["headBlockHash"]
    config = orjson.loads((VECTORS / "genesis.json").read_bytes())["config"]
    assert recorded_node["chain_id"] == config["chainId"]


@needs_recordings
@pytest.mark.parametrize("folder", FOLDERS)
def test_answers_are_those_recorded(
    recorded_node: dict[str, object], judge: Judge, folder: str
) -> None:
    """Given the recorded chain, when asked what was asked, then every answer is the recorded one."""
    url = str(recorded_node["rpc"])
    files = sorted((VECTORS / folder).glob("*.io"))
    assert files
    wrong = {file.stem: why for file in files if (why := judge(url, file, False)) is not None}
    assert wrong == {}


def test_a_killed_node_goes_on_with_what_it_has(tmp_path: Path) -> None:
    """Given a chain from Frontier to the merge, when imported, killed and started again without the file, then nothing is lost."""
    genesis = ["--genesis", str(FORKS / "genesis.json")]
    with running(tmp_path / "data", *genesis, "--import", str(FORKS / "chain.rlp.gz")) as first:
        assert first["hash"] == LAST_HASH
    with running(tmp_path / "data", *genesis) as again:
        assert (again["hash"], again["head"]) == (LAST_HASH, len(blocks()))


def test_eels_builds_that_chain_again() -> None:
    """Given the plan of the chain, when EELS builds it anew, then it is what lies in the vectors."""
    written = files()
    for name, contents in written.items():
        stored = (FORKS / name).read_bytes()
        if name.endswith(".gz"):  # Another version of zlib packs otherwise.
            contents, stored = gzip.decompress(contents), gzip.decompress(stored)
        assert contents == stored, name
