"""A wheel of this checkout, installed into a fresh environment, in a project that knows no clone."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Final

import pytest

from deploy import engine_build
from deploy.interpreting import SOURCES

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

DEADLINE_S: Final = 300
"""No step takes longer."""

THEIRS: Final = """
import faultline

def test_both(faultline_devnet):
    assert faultline_devnet.l1.wait_until("finalized", 1) == 1
    assert faultline.devnet.__module__ == "deploy.testing.devnet"
"""
"""Tests of a project."""


def run(command: list[str], folder: Path, **environment: str) -> str:
    """What a command printed; it must succeed."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


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
    run([*command, "--out", str(folder)], SOURCES, CARGO_TARGET_DIR=str(target), **environment)
    [wheel] = folder.glob("*.whl")
    return wheel


def test_a_project_has_all_of_it_from_a_wheel(tmp_path: Path) -> None:
    wheel = built(tmp_path / "dist")
    packed = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in packed if name.startswith("tests/") or name.endswith(".rs")]

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
    assert run(executed, project, **without_l2).startswith("at http://127.0.0.1:")

    # The library and the plugin, where a warning is an error
    (project / "test_theirs.py").write_text(THEIRS)
    tests = [str(programs / "python"), "-m", "pytest", "-W", "error", "--rootdir", str(project)]
    assert "1 passed" in run([*tests, "-p", "no:cacheprovider"], project, **without_l2)
    where = "import deploy, node._engine as engine; print(deploy.__file__); print(engine.__file__)"
    files = run([str(programs / "python"), "-c", where], project).splitlines()
    assert all(Path(file).is_relative_to(libraries) for file in files)
