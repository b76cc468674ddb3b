"""What the plugin does with a failed test; devnets are fakes here, real ones are in tests/e2e."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]

CONFTEST = """
from contextlib import contextmanager
from pathlib import Path
import pytest
import deploy.testing.devnet

class Net:
    def __init__(self, data):
        self.data = data
        (data / "logs").mkdir(parents=True)
        (data / "logs" / "validator-0.log").write_text("it was here")

    def summary(self):
        return f"logs: {self.data / 'logs'}"

@pytest.fixture(autouse=True, scope="session")
def faked(tmp_path_factory):
    @contextmanager
    def devnet(**_):
        yield Net(tmp_path_factory.mktemp("net"))

    deploy.testing.devnet.devnet = devnet
"""
"""Devnets that are only folders."""

TESTS = """
def test_ours(faultline_devnet):
    raise AssertionError("as it should")

def test_own(faultline_own_devnet):
    raise AssertionError("as it should")

def test_fine(faultline_own_devnet):
    pass
"""


def run(folder: Path, *arguments: str, sources: Path = REPOSITORY) -> str:
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_theirs.py").write_text(TESTS)
    plugins = ["-p", "no:faultline", "-p", "deploy.testing.plugin", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--rootdir", str(folder), *plugins, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(sources)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "2 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    return done.stdout


def test_logs_of_failed_tests_are_kept_where_they_are_asked_for(tmp_path: Path) -> None:
    told = run(tmp_path, "--faultline-logs", "kept")
    assert "copied to kept at the end of the run" in told
    assert "copied to kept/test_theirs.py-test_own" in told
    kept = {str(log.relative_to(tmp_path / "kept")) for log in tmp_path.glob("kept/**/*.log")}
    assert kept == {"validator-0.log", "test_theirs.py-test_own/validator-0.log"}


def test_our_packages_may_be_reached_by_a_link(tmp_path: Path) -> None:
    link, project = tmp_path / "link", tmp_path / "project"
    link.symlink_to(REPOSITORY)
    project.mkdir()
    assert "NameTaken" not in run(project, sources=link)


@pytest.mark.parametrize(("option", "deleted"), [([], 2), (["--faultline-keep"], 1)])
def test_who_reads_of_a_failure_knows_what_becomes_of_its_logs(
    tmp_path: Path, option: list[str], deleted: int
) -> None:
    told = run(tmp_path, *option)
    assert told.count("deleted with the devnet; --faultline-logs DIR keeps a copy") == deleted
    assert told.count("logs: ") == 2
