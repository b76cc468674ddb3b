"""STEP as a node opens it: both genesis files, of one network, or a message that says what to change."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import orjson
import pytest

from node.app.failures import SetupError
from node.app.stepping import open_step
from node.errors import Rejected
from tests.kit.real_rollup import make_rollup


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, Path]:
    """L1's genesis file with what it holds, and the L2's."""
    folder, rollup = tmp_path_factory.mktemp("network"), make_rollup()
    (folder / "genesis.json").write_bytes(rollup.l1_document)
    (folder / "l2-genesis.json").write_bytes(rollup.l2_document)
    return folder / "genesis.json", rollup.l1_document, folder / "l2-genesis.json"


def changed(file: Path, folder: Path, **rollup: object) -> Path:
    """The L2's genesis file with another `rollup` object."""
    document = cast(dict[str, dict[str, object]], orjson.loads(file.read_bytes()))
    document["rollup"] |= rollup
    (folder / "other.json").write_bytes(orjson.dumps(document))
    return folder / "other.json"


def test_a_node_answers_what_its_network_disputes(files: tuple[Path, bytes, Path]) -> None:
    """Given both files, when opened and called with anything, then the refusal has a name."""
    step = open_step(*files)
    assert step is not None
    with pytest.raises(Rejected) as refused:
        step(b"anything", bytes(20), False)
    assert str(refused.value) == "step_malformed"


def test_an_l1_without_a_rollup_has_no_step(files: tuple[Path, bytes, Path]) -> None:
    file, document, l2_file = files
    alone = orjson.loads(document)
    del alone["rollup"]
    assert open_step(file, orjson.dumps(alone), l2_file) is None
    assert open_step(file, orjson.dumps(alone), None) is None


def test_the_l2s_file_is_asked_for(files: tuple[Path, bytes, Path]) -> None:
    file, document, _ = files
    with pytest.raises(SetupError, match="l2_genesis_file: found nothing, want the genesis file"):
        open_step(file, document, None)


def test_a_file_that_is_not_there_is_named(files: tuple[Path, bytes, Path]) -> None:
    file, document, l2_file = files
    with pytest.raises(SetupError, match=r"absent\.json: cannot be read"):
        open_step(file, document, l2_file.parent / "absent.json")


def test_other_rules_are_refused(files: tuple[Path, bytes, Path], tmp_path: Path) -> None:
    """Given an L2 genesis file with another limit, when opened, then nothing is answered by it."""
    file, document, l2_file = files
    other = changed(l2_file, tmp_path, witness_limit_bytes=131_072)
    with pytest.raises(SetupError, match="its `rollup` has other rules than that of"):
        open_step(file, document, other)


def test_another_networks_file_is_refused(files: tuple[Path, bytes, Path], tmp_path: Path) -> None:
    """Given the same rules over another genesis state, when opened, then the hash of the block says so."""
    file, document, l2_file = files
    l2_document = cast(dict[str, dict[str, object]], orjson.loads(l2_file.read_bytes()))
    l2_document["alloc"]["0x" + "ee" * 20] = {"balance": "0x1"}
    (tmp_path / "other.json").write_bytes(orjson.dumps(l2_document))
    with pytest.raises(SetupError, match=r"other\.json: its genesis block is 0x\w+, .* wants 0x"):
        open_step(file, document, tmp_path / "other.json")
    (tmp_path / "other.json").write_bytes(b"[]")
    with pytest.raises(SetupError, match=r"other\.json: rollup: found None, want an object"):
        open_step(file, document, tmp_path / "other.json")
