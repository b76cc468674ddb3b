"""Programs of ours are ours wherever their user stands."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deploy import interpreting


def test_a_folder_with_a_module_of_our_name_is_not_looked_into(tmp_path: Path) -> None:
    (tmp_path / "deploy.py").write_text("raise AssertionError('not ours')\n")
    done = subprocess.run(
        interpreting.command("deploy.cli", "--help"),
        cwd=tmp_path,
        env=interpreting.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "An Ethereum devnet made of real parts" in done.stdout


def test_a_checkout_is_put_before_what_stands_on_the_path() -> None:
    found = interpreting.environment({"PYTHONPATH": "theirs", "OTHER": "kept"})
    assert found == {"PYTHONPATH": f"{interpreting.SOURCES}:theirs", "OTHER": "kept"}
    assert interpreting.environment({}) == {"PYTHONPATH": str(interpreting.SOURCES)}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where our packages are when they are no checkout's."""
    folder = tmp_path / "site-packages"
    for name in interpreting.PACKAGES:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").touch()
    monkeypatch.setattr(interpreting, "SOURCES", folder)
    return folder


def test_what_is_installed_needs_no_path(installed: Path) -> None:
    (installed / "pyproject.toml").touch()  # Of a project that lies there as well.
    assert interpreting.environment({"OTHER": "kept"}) == {"OTHER": "kept"}


@pytest.mark.parametrize("theirs", ["deploy.py", "bridge/__init__.py"])
def test_what_is_installed_is_found_before_modules_of_our_names(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theirs: str
) -> None:
    (tmp_path / theirs).parent.mkdir(exist_ok=True)
    (tmp_path / theirs).touch()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "useful" / "node").mkdir(parents=True)  # No package: ours is found behind it.
    given = {"PYTHONPATH": f".:{installed}:useful::{tmp_path}", "OTHER": "kept"}
    assert interpreting.environment(given) == {
        "PYTHONPATH": f"{installed}:{tmp_path / 'useful'}",
        "OTHER": "kept",
    }
    assert interpreting.environment({"PYTHONPATH": "."}) == {}
