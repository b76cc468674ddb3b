"""A wheel of this checkout, installed into a fresh environment, in a project that knows no clone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Mapping
from email import message_from_bytes
from pathlib import Path
from typing import Final

import orjson
import pytest
from packaging.requirements import Requirement

from deploy import engine_build
from deploy.interpreting import SOURCES

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2_400)]

BUILD_DEADLINE_S: Final = 900
"""The whole crate may have to be compiled, beside devnets."""

DEADLINE_S: Final = 300
"""No other step takes longer."""

THEIRS: Final = """
import faultline

def test_both(faultline_devnet):
    assert faultline_devnet.l1.wait_until("finalized", 1) == 1
    assert faultline.devnet.__module__ == "deploy.testing.devnet"
"""
"""Tests of a project."""


ORIGINS: Final = """
import importlib.metadata, importlib.util, json
[plugin] = importlib.metadata.entry_points(group="pytest11", name="faultline")
names = ["node._engine", "node", "sequencer", "bridge", "deploy", "faultline", plugin.value]
found = [importlib.util.find_spec(name).origin for name in names]
print(json.dumps([*found, str(plugin.dist.locate_file("")), importlib.import_module(plugin.value).__file__]))
"""
"""Where an interpreter has our packages from, and pytest its plugin."""


def run(
    command: list[str],
    folder: Path,
    environment: Mapping[str, str] | None = None,
    deadline_s: float = DEADLINE_S,
) -> str:
    """What a command printed; it must succeed. Whatever it has started ends with it where it takes too long."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**inherited, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            told, complaints = process.communicate(timeout=deadline_s)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == 0, f"{command}:\n{told}\n{complaints}"
    return told


def built(folder: Path) -> Path:
    """A wheel, of the engine that `make build` has compiled."""
    environment = engine_build.toolchain(os.environ)
    assert environment is not None
    rustc = engine_build.rustc_version(environment)
    stamp = Path(sys.prefix) / "faultline-engine"
    if not engine_build.is_current(stamp, engine_build.fingerprint_of(engine_build.CRATE, rustc)):
        pytest.skip("the engine of this checkout was not built by `make build`")
    lock = (engine_build.CRATE / "Cargo.lock").read_bytes()
    target = engine_build.target_folder(environment, lock, rustc)
    command = [sys.executable, "-m", "maturin", "build", "--release", "--locked", "--quiet"]
    environment["CARGO_TARGET_DIR"] = str(target)
    run([*command, "--out", str(folder)], SOURCES, environment, BUILD_DEADLINE_S)
    [wheel] = folder.glob("*.whl")
    return wheel


def assert_is_whole(wheel: Path) -> None:
    """What an environment that has the clone beside it would not miss: top packages, entry points, requirements."""
    with zipfile.ZipFile(wheel) as archive:
        packed = archive.namelist()
        assert not [name for name in packed if name.startswith("tests/") or name.endswith(".rs")]
        beside = {name.partition(".data/purelib/")[2] for name in packed}
        assert {"faultline/__init__.py", "faultline/py.typed"} <= beside
        assert "pytest_faultline/__init__.py" in beside
        [entries] = [name for name in packed if name.endswith(".dist-info/entry_points.txt")]
        told = archive.read(entries).decode().splitlines()
        assert {"[console_scripts]", "[pytest11]", "faultline=pytest_faultline"} <= set(told)
        [metadata] = [name for name in packed if name.endswith(".dist-info/METADATA")]
        needed = message_from_bytes(archive.read(metadata)).get_all("Requires-Dist", [])
    project = tomllib.loads((SOURCES / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].items()
    wanted = project["dependencies"] + [
        f"{one}; extra == '{extra}'" for extra, ones in extras for one in ones
    ]
    assert {str(Requirement(one)).lower() for one in needed} == {
        str(Requirement(one)).lower() for one in wanted
    }


def test_a_project_has_all_of_it_from_a_wheel(tmp_path: Path) -> None:
    wheel = built(tmp_path / "dist")
    assert_is_whole(wheel)

    # An environment of its own, which finds what we depend on where it is installed already
    project = tmp_path / "Mein Prüfstand"
    project.mkdir()
    run([sys.executable, "-m", "venv", "--without-pip", "venv"], project)
    programs = project / "venv" / "bin"
    pip = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "install", "--quiet"]
    run([*pip, "--no-deps", "--no-index", str(wheel)], project)
    [libraries] = project.glob("venv/lib/python*/site-packages")
    (libraries / "dependencies.pth").write_text(sysconfig.get_path("purelib"))

    # The command line
    told = run([str(programs / "faultline"), "addresses", "--help"], project)
    assert "viem" in told
    script = 'test -n "$L1_RPC_URL" && test -z "$L2_RPC_URL" && echo "at $L1_RPC_URL"'
    without_l2 = {"FAULTLINE_L2_ENABLED": "false"}
    executed = [str(programs / "faultline"), "exec", "--", "sh", "-c", script]
    assert run(executed, project, without_l2).startswith("at http://127.0.0.1:")

    # The library and the plugin, where a warning is an error
    (project / "test_theirs.py").write_text(THEIRS)
    tests = [str(programs / "python"), "-m", "pytest", "-W", "error", "--rootdir", str(project)]
    assert "1 passed" in run([*tests, "-p", "no:cacheprovider"], project, without_l2)
    origins = orjson.loads(run([str(programs / "python"), "-c", ORIGINS], project))
    assert [one for one in origins if not Path(one).is_relative_to(libraries)] == []
