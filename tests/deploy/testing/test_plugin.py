"""What the plugin does with a failed test; devnets are fakes here, real ones are in tests/e2e."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]

CONFTEST = """
import shutil
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
        net = Net(tmp_path_factory.mktemp("net"))
        yield net
        shutil.rmtree(net.data)

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

AT_TEARDOWN = """
import pytest

@pytest.fixture
def ends_badly():
    yield
    raise AssertionError("as it should")

def test_own(ends_badly, faultline_own_devnet):
    pass

def test_both(ends_badly, faultline_own_devnet):
    raise AssertionError("as it should")
"""

LONG = """
import pytest

@pytest.mark.parametrize("value", ["x" * 300 + "a", "x" * 300 + "b", "short"], ids=str)
def test_own(faultline_own_devnet, value):
    assert value == "short"
"""


def run(
    folder: Path,
    *arguments: str,
    sources: Path = REPOSITORY,
    tests: str = TESTS,
    ends: str = "2 failed, 1 passed in",
) -> str:
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_theirs.py").write_text(tests)
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
    assert ends in done.stdout, done.stdout + done.stderr
    return done.stdout


def test_logs_of_failed_tests_are_kept_where_they_are_asked_for(tmp_path: Path) -> None:
    told = run(tmp_path, "--faultline-logs", "kept")
    assert "copied to kept at the end of the run" in told
    assert "copied to kept/test_theirs.py-test_own" in told
    kept = {str(log.relative_to(tmp_path / "kept")) for log in tmp_path.glob("kept/**/*.log")}
    assert kept == {"validator-0.log", "test_theirs.py-test_own/validator-0.log"}


def test_an_error_after_the_devnets_end_is_reported_like_any_other(tmp_path: Path) -> None:
    told = run(
        tmp_path,
        "--faultline-logs",
        "kept",
        tests=AT_TEARDOWN,
        ends="1 failed, 1 passed, 2 errors in",
    )
    assert told.count("The devnet has ended.\ndeleted with the devnet, before this error") == 1
    assert told.count("The devnet has ended.\ncopied to kept/test_theirs.py-test_both") == 1
    assert {log.parent.name for log in tmp_path.glob("kept/**/*.log")} == {
        "test_theirs.py-test_both"
    }


def test_a_name_longer_than_a_folders_is_cut_and_stays_its_own(tmp_path: Path) -> None:
    told = run(tmp_path, "--faultline-logs", "kept", tests=LONG)
    assert told.count("copied to kept/test_theirs.py-test_own-xxx") == 2
    assert len(list(tmp_path.glob("kept/*/validator-0.log"))) == 2


def test_logs_that_cannot_be_copied_are_a_line_of_the_report(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    told = run(tmp_path, "--faultline-logs", "taken", tests=LONG)
    assert told.count("could not be copied to taken/") == 2


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


@pytest.mark.parametrize("option", [[], ["-n", "1", "--faultline-per-worker"]], ids=["alone", "-n"])
def test_what_is_kept_is_said_at_the_end(tmp_path: Path, option: list[str]) -> None:
    told = run(tmp_path, "--faultline-keep", *option)
    [line] = [line for line in told.splitlines() if line.startswith("Faultline: ")]
    assert re.fullmatch(r"Faultline: the devnet's data and logs are in \S+/net\d+", line)
    assert "Faultline: " not in run(tmp_path, *option)


CONTROLLER = """
import sys

def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        ours = sorted(name for name in sys.modules if name.split(".")[0] in {"deploy", "node", "pydantic"})
        print("imported:", *ours)
"""
"""Tells what xdist's controller has imported."""


def test_a_run_that_wants_no_devnet_pays_for_none(tmp_path: Path) -> None:
    """Given workers that ask for no devnet, then the controller imports nothing of one, and no folder stays."""
    (tmp_path / "test_theirs.py").write_text("def test_plain():\n    pass\n")
    (tmp_path / "conftest.py").write_text(CONTROLLER)
    (tmp_path / "temporary").mkdir()
    plugins = ["-p", "no:faultline", "-p", "pytest_faultline", "-p", "no:cacheprovider", "-s"]
    path = [str(REPOSITORY / "deploy" / "wheel" / "purelib"), str(REPOSITORY)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "1", "--rootdir", str(tmp_path), *plugins],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path),
            "TMPDIR": str(tmp_path / "temporary"),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "1 passed in" in done.stdout, done.stdout + done.stderr
    ours = "deploy deploy.lease deploy.testing deploy.testing.run_folder"
    assert f"imported: {ours}\n" in done.stdout
    assert list((tmp_path / "temporary").glob("faultline-*")) == []


SHARING = """
import fcntl
from pathlib import Path
import pytest

@pytest.fixture(scope="session")
def faultline_devnet():
    return None

@pytest.fixture
def faultline_breakable(faultline_devnet):
    return None

@pytest.fixture
def contract(faultline_breakable):
    return None

@pytest.fixture
def may_lock(request):
    file = Path(request.config.workerinput["faultline_folder"]) / "users"

    def probe(how):
        with file.open("a") as opened:
            try:
                fcntl.flock(opened, how | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

    return lambda: (probe(fcntl.LOCK_SH), probe(fcntl.LOCK_EX))

def test_uses(faultline_devnet, may_lock):
    assert may_lock() == (True, False)

def test_breaks(faultline_breakable, may_lock):
    assert may_lock() == (False, False)

def test_breaks_by_a_fixture_of_its_own(contract, may_lock):
    assert may_lock() == (False, False)

def test_plain(may_lock):
    assert may_lock() == (True, True)
"""
"""Of a run whose workers share a devnet: who else may have it now, others who use it and one who breaks it."""


def test_a_test_that_breaks_the_shared_devnet_has_it_alone(tmp_path: Path) -> None:
    run(tmp_path, "-n", "1", tests=SHARING, ends="4 passed in")
    run(tmp_path, "-n", "1", "--faultline-data", "theirs", tests=SHARING, ends="4 passed in")
