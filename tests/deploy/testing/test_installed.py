"""What an installed project offers beside its packages: `import faultline`, and a plugin that pytest finds by itself."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from deploy.testing import library, plugin

REPOSITORY = Path(__file__).parents[3]

WHEEL = REPOSITORY / "deploy" / "wheel" / "purelib"
"""What is installed beside the packages."""


def test_what_is_imported_is_what_the_library_lists() -> None:
    shim = WHEEL / "faultline" / "__init__.py"
    spec = importlib.util.spec_from_file_location("faultline_of_the_sources", shim)
    assert spec is not None
    assert spec.loader is not None
    imported = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(imported)
    assert imported.__all__ is library.__all__
    for name in library.__all__:
        assert getattr(imported, name) is getattr(library, name)


def test_an_installed_project_is_imported_by_its_name() -> None:
    try:
        importlib.metadata.distribution("faultline")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("this checkout is not installed: `make build` installs it")
    assert importlib.import_module("faultline").devnet is library.devnet
    [found] = [
        one for one in importlib.metadata.entry_points(group="pytest11") if one.name == "faultline"
    ]
    assert found.load().__file__ == plugin.__file__


def test_the_sources_say_so() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    entry = project["project"]["entry-points"]["pytest11"]["faultline"]
    assert project["tool"]["maturin"]["data"] == str(WHEEL.parent.relative_to(REPOSITORY))
    assert (WHEEL / "faultline").is_dir()
    assert (WHEEL / entry / "__init__.py").is_file()
    module, _, function = project["project"]["scripts"]["faultline"].partition(":")
    assert (WHEEL / module / "__init__.py").is_file()
    assert function == "main"


THEIRS = """
import deploy

def test_it_ships():
    assert deploy.ship() == "it ships"
"""
"""Of a project that has a module of the name of one of our packages."""

WITH_A_DEVNET = """
def test_it(faultline_devnet):
    raise AssertionError("it must not start")
"""

IMPORTED = """
def test_it():
    import faultline
"""


@pytest.mark.parametrize(
    "started",
    [["-m", "pytest"], ["-P", "-m", "pytest", "-n", "1"]],
    ids=["python -m pytest", "pytest -n 1"],
)
def test_a_project_may_have_modules_of_our_names(tmp_path: Path, started: list[str]) -> None:
    (tmp_path / "deploy.py").write_text("def ship(): return 'it ships'\n")
    (tmp_path / "test_theirs.py").write_text(THEIRS)
    (tmp_path / "test_with_a_devnet.py").write_text(WITH_A_DEVNET)
    (tmp_path / "test_imported.py").write_text(IMPORTED)
    # As an installed project lies on the path: behind theirs, and with what only an install has at its top.
    path = os.pathsep.join([str(WHEEL), str(REPOSITORY)])
    plugins = ["-p", "no:faultline", "-p", "pytest_faultline", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, *started, "--rootdir", str(tmp_path), *plugins],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "1 failed, 1 passed, 1 error in" in done.stdout, done.stdout + done.stderr
    taken = f"so has this project: deploy ({tmp_path / 'deploy.py'})"
    assert taken in done.stdout
    assert "a module of this project has such a name" in done.stdout


def test_the_command_line_is_ours_wherever_pythonpath_leads(tmp_path: Path) -> None:
    (tmp_path / "deploy.py").write_text("raise AssertionError('not ours')\n")
    (tmp_path / "node.py").write_text("raise AssertionError('not ours')\n")
    script = "import sys, faultline_command; sys.exit(faultline_command.main())"
    # The console script does no more; what an install has at its top lies behind theirs.
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, "addresses", "--help"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([".", str(WHEEL), str(REPOSITORY)])},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "viem" in done.stdout
