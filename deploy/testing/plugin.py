"""The pytest plugin: one devnet for a run, or one of its own for a test.

    faultline_devnet      session: the run's devnet, started when a test first asks for it; xdist's workers share one
    faultline_breakable   the same, for a test that breaks it: whatever is left broken is healed, and what is down is started
    faultline_own_devnet  one for this test alone, as @pytest.mark.faultline(...) wants it

A failed test's report says where the logs lie and which process is not ready.
Deliberately absent: imports of our packages at the top, because pytest loads this in every run of an environment that has it
(`pytest_faultline`), and a project that has a `deploy.py` of its own must get that one.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
from collections.abc import Generator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

import pytest

if TYPE_CHECKING:
    from deploy.testing.devnet import Devnet
    from deploy.testing.run_folder import RunFolder  # noqa: F401  # of the key below

FOLDER_KEY: Final = "faultline_folder"
"""What the controller tells a worker."""

FIXTURES: Final = ("faultline_devnet", "faultline_breakable", "faultline_own_devnet")
"""What gives a devnet to a test."""

PACKAGES: Final = ("node", "sequencer", "bridge", "deploy")
"""Ours."""

SOURCES: Final = Path(__file__).resolve().parents[2]
"""Where they are."""

NAME_BYTES_MAX: Final = 200
"""Of a folder's name; file systems take 255."""

KEPT_KEY: Final = "faultline_kept"
"""What a worker tells the controller."""

_RUN_FOLDER: Final = pytest.StashKey["RunFolder"]()
_KEPT: Final = pytest.StashKey[list[str]]()


class _WorkerNode(Protocol):
    """A worker, as xdist's controller has it."""

    config: pytest.Config
    workerinput: dict[str, str]
    workeroutput: dict[str, str]


class NameTaken(Exception):
    """A module of the tested project has the name of one of our packages; the message says which."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the run's devnet."""
    group = parser.getgroup("faultline", "Faultline devnets")
    group.addoption("--faultline-manifest", metavar="FILE", help="Manifest of the run's devnet.")
    group.addoption(
        "--faultline-data",
        metavar="DIR",
        help="Use the devnet that runs on DIR instead of starting one; it is not stopped.",
    )
    group.addoption(
        "--faultline-keep",
        action="store_true",
        help="Keep data and logs of the run's devnet, and say where they are.",
    )
    group.addoption(
        "--faultline-logs",
        metavar="DIR",
        help="Copy the logs of the run's devnet here if a test failed, and those of a failed test's own.",
    )
    group.addoption(
        "--faultline-per-worker",
        action="store_true",
        help="With pytest-xdist: a devnet for each worker instead of one for all.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker."""
    config.addinivalue_line(
        "markers",
        "faultline(**arguments): arguments of faultline.devnet() for faultline_own_devnet",
    )


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: _WorkerNode) -> None:
    """In xdist's controller: tell a worker which folder all of them share."""
    config = node.config
    if config.getoption("--faultline-per-worker"):
        return
    if _taken_name() is not None:
        return  # A test that wants a devnet says so; others need none.
    from deploy.testing.run_folder import RunFolder

    if _RUN_FOLDER not in config.stash:
        config.stash[_RUN_FOLDER] = RunFolder.make()
    node.workerinput[FOLDER_KEY] = str(config.stash[_RUN_FOLDER].folder)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """In xdist's workers: a test that breaks the devnet that all share runs while no other test uses it."""
    shared = getattr(item.config, "workerinput", {}).get(FOLDER_KEY)
    used = set(getattr(item, "fixturenames", ())) & {"faultline_devnet", "faultline_breakable"}
    if shared is None or not used or _taken_name() is not None:  # The fixture will say so.
        return (yield)
    from deploy.testing.run_folder import turn

    with turn(Path(shared), alone="faultline_breakable" in used):
        return (yield)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In xdist's controller: end what the workers shared."""
    run = session.config.stash.get(_RUN_FOLDER, None)
    if run is None:
        return
    if not run.was_used:
        run.drop()
        return
    from deploy.testing.sharing import end

    try:
        _save_logs(session, run.data)
    except OSError as error:
        _say(session.config, f"the devnet's logs could not be copied: {error}")
    finally:
        keeps = session.config.getoption("--faultline-keep")
        if keeps:
            _keep(session.config, str(run.data))
        end(run, keeps=keeps)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: _WorkerNode) -> None:
    """In xdist's controller: hear of a devnet that was a worker's own."""
    data = getattr(node, "workeroutput", {}).get(
        KEPT_KEY
    )  # A worker that was killed tells nothing.
    if data is not None:
        _keep(node.config, data)


def pytest_terminal_summary(config: pytest.Config) -> None:
    """Say where what was kept is."""
    for data in config.stash.get(_KEPT, []):
        _say(config, f"the devnet's data and logs are in {data}")


def _keep(config: pytest.Config, data: str) -> None:
    """Remember to say where a devnet's data is; a worker tells the controller."""
    told: dict[str, str] | None = getattr(config, "workeroutput", None)
    if told is not None:
        told[KEPT_KEY] = data
    else:
        config.stash.setdefault(_KEPT, []).append(data)


def _say(config: pytest.Config, line: str) -> None:
    """Write a line to the terminal, if there is one."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if isinstance(terminal, pytest.TerminalReporter):
        terminal.write_line(f"Faultline: {line}")


def _save_logs(session: pytest.Session, data: Path) -> None:
    """Copy the run's devnet's logs to where they were asked for, if a test failed and a devnet was started."""
    folder, logs = session.config.getoption("--faultline-logs"), data / "logs"
    if folder is not None and session.testsfailed and logs.is_dir():
        worker = getattr(session.config, "workerinput", {}).get("workerid", "")
        shutil.copytree(logs, Path(folder) / worker, dirs_exist_ok=True)


def _what_becomes_of_logs(item: pytest.Item, fixture: str, net: Devnet) -> str:
    """Copy a failed test's own devnet's logs if that was asked for; tells where those of its devnet will be."""
    config = item.config
    folder = config.getoption("--faultline-logs")
    if fixture == "faultline_own_devnet":
        marker = item.get_closest_marker("faultline")
        stays = marker is not None and bool(marker.kwargs.get("keep") or marker.kwargs.get("data"))
        if folder is not None:
            return _copied(net.data / "logs", Path(folder) / _folder_name(item.nodeid))
    else:
        stays = bool(config.getoption("--faultline-keep") or config.getoption("--faultline-data"))
        if folder is not None:
            return f"copied to {folder} at the end of the run"
    return "" if stays else "deleted with the devnet; --faultline-logs DIR keeps a copy"


def _copied(logs: Path, target: Path) -> str:
    """Copy a test's own devnet's logs; tells where they are now, or why they are not."""
    try:
        # Who asks once the devnet has ended finds what was copied when the test failed.
        if logs.is_dir():
            shutil.copytree(logs, target, dirs_exist_ok=True)
        if target.is_dir():
            return f"copied to {target}"
    except OSError as error:
        return f"could not be copied to {target}: {error}"
    return "deleted with the devnet, before this error"


def _folder_name(nodeid: str) -> str:
    """A test's name as a folder; long ones are cut, and told apart by a digest."""
    name = re.sub(r"[^\w.-]+", "-", nodeid)
    if len(name.encode()) <= NAME_BYTES_MAX:
        return name
    digest = hashlib.sha256(nodeid.encode()).hexdigest()[:16]
    return f"{name.encode()[: NAME_BYTES_MAX - 17].decode(errors='ignore')}-{digest}"


def _standing(net: Devnet) -> str:
    """How a devnet's processes stand, unless it is gone: an error at a test's teardown may come after its end."""
    return net.summary() if (net.data / "logs").is_dir() else "The devnet has ended."


@pytest.fixture(scope="session")
def faultline_devnet(request: pytest.FixtureRequest) -> Iterator[Devnet]:
    """The run's devnet: to be used, and left as it was found. Raises NameTaken."""
    _check_names()
    from deploy.testing.devnet import attach, devnet
    from deploy.testing.sharing import open_or_start

    config = request.config
    manifest = config.getoption("--faultline-manifest")
    data = config.getoption("--faultline-data")
    shared = getattr(config, "workerinput", {}).get(FOLDER_KEY)
    if data:
        yield attach(data)
    elif shared:
        file = None if manifest is None else Path(manifest).resolve()
        yield open_or_start(Path(shared), manifest=file, settings={})
    else:
        keeps = config.getoption("--faultline-keep")
        with devnet(manifest=manifest, keep=keeps) as net:
            if keeps:
                _keep(config, str(net.data))
            yield net
            _save_logs(request.session, net.data)


@pytest.fixture
def faultline_breakable(faultline_devnet: Devnet) -> Iterator[Devnet]:
    """The run's devnet for a test that breaks it; healthy again afterwards, however the test ends."""
    yield faultline_devnet
    faultline_devnet.recover()


@pytest.fixture
def faultline_own_devnet(request: pytest.FixtureRequest) -> Iterator[Devnet]:
    """A devnet for this test alone. Raises NameTaken."""
    _check_names()
    from deploy.testing.devnet import devnet

    marker = request.node.get_closest_marker("faultline")
    arguments = {} if marker is None else dict(marker.kwargs)
    with devnet(**arguments) as net:
        yield net


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say of a failed test where its devnets' logs lie, and how their processes stand."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        found = {name: item.funcargs[name] for name in FIXTURES if name in item.funcargs}
        if found.get("faultline_breakable") is found.get("faultline_devnet"):
            found.pop("faultline_breakable", None)
        for name, value in found.items():
            net = cast("Devnet", value)
            lines = [_standing(net), _what_becomes_of_logs(item, name, net)]
            report.sections.append((name, "\n".join(filter(None, lines))))
    return report


def _check_names() -> None:
    """Raises NameTaken."""
    taken = _taken_name()
    if taken is not None:
        raise NameTaken(
            f"Faultline has packages of the names {', '.join(PACKAGES)}, and so has this project: {taken}. "
            "Rename that, or start the run as `faultline exec -- pytest`, which tells tests everything by environment variables."
        )


def _taken_name() -> str | None:
    """Where one of our packages' names leads elsewhere; None when all are ours."""
    for name in PACKAGES:
        loaded = sys.modules.get(name)
        spec = find_spec(name) if loaded is None else loaded.__spec__
        origin = Path("nowhere" if spec is None or spec.origin is None else spec.origin)
        if origin.resolve() != SOURCES / name / "__init__.py":
            return f"{name} ({origin})"
    return None
