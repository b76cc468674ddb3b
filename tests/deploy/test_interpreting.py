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


def test_what_is_installed_needs_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreting, "SOURCES", tmp_path)
    assert interpreting.environment({"OTHER": "kept"}) == {"OTHER": "kept"}
