"""What an image holds of ours: everything that is imported or read, and the version's record."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from deploy.docker import packing

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The packages, packed."""
    monkeypatch.chdir(REPOSITORY)
    assert packing.main([str(tmp_path / "packed")]) == 0
    return tmp_path / "packed"


def test_every_module_and_artifact_is_packed_and_nothing_else(packed: Path) -> None:
    library = packed / "lib"
    for package in packing.PACKAGES:
        source = REPOSITORY / package
        wanted = {
            file.relative_to(source)
            for pattern in ("*.py", "*.json", "*.yml")
            for file in source.rglob(pattern)
            if "target" not in file.relative_to(source).parts
        }
        assert {
            file.relative_to(library / package)
            for file in (library / package).rglob("*")
            if file.is_file()
        } == wanted
    assert (library / "node" / "contracts" / "artifacts").is_dir()
    assert (library / "faultline" / "__init__.py").is_file()


def test_the_version_is_recorded(packed: Path) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    [found] = metadata.distributions(path=[str(packed / "lib")])
    assert (found.name, found.version) == (project["name"], project["version"])


def test_the_image_holds_our_licence(packed: Path) -> None:
    [found] = metadata.distributions(path=[str(packed / "lib")])
    assert found.metadata.get_all("License-File") == ["LICENSE"]
    assert found.read_text("licenses/LICENSE") == (REPOSITORY / "LICENSE").read_text()
    docker = (REPOSITORY / "deploy" / "docker" / "Dockerfile").read_text()
    assert "\nCOPY LICENSE pyproject.toml " in docker
    assert "!LICENSE" in (REPOSITORY / ".dockerignore").read_text().splitlines()


def test_a_console_script_runs_its_function(packed: Path) -> None:
    script = packed / "bin" / "faultline"
    assert script.stat().st_mode & 0o111
    done = subprocess.run(
        [sys.executable, str(script), "nonsense"],
        capture_output=True,
        text=True,
        check=False,
        cwd=packed,
        env={"PYTHONPATH": str(packed / "lib")},
    )
    assert done.returncode == 2
    assert "No such command 'nonsense'" in done.stderr
