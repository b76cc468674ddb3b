"""The recipes for other people's test suites, run as their readers run them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
import yaml

from deploy.commands.executing import exec_
from deploy.interpreting import SOURCES
from deploy.manifest import environment_settings
from deploy.testing import plugin
from deploy.testing.devnet import attach
from tests.e2e.devnet import Devnet
from tests.e2e.environments import node_22, node_project
from tests.e2e.test_projects import PROJECTS

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("devnet"), pytest.mark.timeout(900)]

RECIPES: Final = SOURCES / "deploy" / "recipes"

RUN_DEADLINE_S: Final = 600
"""Of a whole test suite with its devnet."""

COMMAND: Final = f"""#!/bin/sh
PYTHONPATH='{SOURCES}' exec '{sys.executable}' -m deploy.cli "$@"
"""
"""The command line tool as an installed project has it."""


def opened(name: str, folder: Path) -> tuple[Path, dict[str, str]]:
    """A copy of a recipe, and an environment in which `faultline` is a command."""
    shutil.copytree(RECIPES / name, folder / name)
    programs = folder / "bin"
    programs.mkdir()
    (programs / "faultline").write_text(COMMAND)
    (programs / "faultline").chmod(0o755)
    path = os.pathsep.join([str(programs), os.environ.get("PATH", "")])
    return folder / name, {**os.environ, "PATH": path}


def test_viem_breaks_and_heals_a_devnet_of_its_own(tmp_path: Path) -> None:
    packages = node_project() / "node_modules"
    folder, environment = opened("viem", tmp_path)
    # As the workflow has it: later versions take files and no folders.
    environment["PATH"] = os.pathsep.join([str(node_22()), environment["PATH"]])
    (folder / "node_modules").symlink_to(packages)
    done = subprocess.run(
        ["npm", "test"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=RUN_DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# pass 2" in done.stdout
    assert not (folder / "devnet-logs").exists(), "logs are kept of runs that fail"


def test_hardhat_deposits_from_a_contract(devnet: Devnet, tmp_path: Path) -> None:
    node = node_22()
    folder, environment = packaged("hardhat", tmp_path, node)
    done = run(["hardhat", "test", "nodejs", "--network", "l1"], folder, environment, devnet)
    assert "1 passing" in done


def test_forge_forks_both_chains(devnet: Devnet, tmp_path: Path) -> None:
    folder, environment = packaged("foundry", tmp_path, node_22())
    shutil.copy(PROJECTS / "solc.mjs", folder / "solc.mjs")
    done = run(["forge", "test", "--offline", "--use", "./solc.mjs"], folder, environment, devnet)
    assert "2 tests passed, 0 failed" in done


def packaged(name: str, folder: Path, node: Path) -> tuple[Path, dict[str, str]]:
    """A recipe beside the packages that it wants, from the lock of our own projects."""
    packages = node_project(PROJECTS, node) / "node_modules"
    target, environment = opened(name, folder)
    (target / "node_modules").symlink_to(packages)
    path = os.pathsep.join([str(packages / ".bin"), str(node), environment["PATH"]])
    return target, {**environment, "PATH": path, "CI": "true"}


def run(command: list[str], folder: Path, environment: dict[str, str], devnet: Devnet) -> str:
    """What `faultline exec` runs, beside the devnet that is there already; gives what it printed."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment | attach(devnet.data).environment,
        capture_output=True,
        text=True,
        timeout=RUN_DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_failed_command_keeps_its_logs_and_its_exit_code(tmp_path: Path) -> None:
    manifest = tmp_path / "faultline.toml"
    manifest.write_text("[l2]\nenabled = false\n")
    script = 'test -n "$L1_RPC_URL" && test -z "$L2_RPC_URL" && exit 42'
    options = ["--manifest", str(manifest), "--logs", str(tmp_path / "logs")]
    done = subprocess.run(
        [sys.executable, "-m", "deploy.cli", "exec", *options, "--", "sh", "-c", script],
        cwd=SOURCES,
        timeout=RUN_DEADLINE_S,
        check=False,
    )
    assert done.returncode == 42
    assert {"supervisor.log", "validator-0.log"} <= {
        log.name for log in (tmp_path / "logs").iterdir()
    }


def test_the_workflow_uses_what_there_is() -> None:
    workflow = yaml.safe_load((RECIPES / "github-actions" / "faultline.yml").read_text())
    assert workflow[True] == ["push", "pull_request"]  # YAML reads the key `on` so
    assert environment_settings(workflow["env"]) == [], "every command reads its variables"
    steps = workflow["jobs"]["test"]["steps"]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    commands = " ".join(step["run"] for step in steps if "run" in step).split()
    known = {option for one in exec_.params for option in one.opts}
    source = Path(str(plugin.__file__)).read_text()
    for word in commands:
        if word.startswith("--faultline-"):
            assert f'"{word}"' in source
    started = commands.index("exec")
    options = commands[started + 1 : commands.index("--", started)]
    assert {word for word in options if word.startswith("--")} <= known
    [kept] = [step for step in steps if step.get("if") == "failure()"]
    assert kept["with"]["path"] in options
    assert commands.count(kept["with"]["path"]) == 2


def test_the_workflow_is_one_to_those_who_check_workflows() -> None:
    actionlint = shutil.which("actionlint")
    if actionlint is None:
        pytest.skip(
            "actionlint is not installed: names, inputs and expressions of the workflow cannot be checked"
        )
    workflow = str(RECIPES / "github-actions" / "faultline.yml")
    done = subprocess.run(
        [actionlint, "-no-color", workflow], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_a_workflow_without_its_source_says_so() -> None:
    """Given a repository that has not set the variable, then the step names it, instead of pip a requirement of nothing."""
    workflow = yaml.safe_load((RECIPES / "github-actions" / "faultline.yml").read_text())
    [build] = [
        step for step in workflow["jobs"]["test"]["steps"] if step.get("name") == "Build Faultline"
    ]
    [line] = [line for line in build["run"].splitlines() if line.startswith("pip wheel")]
    environment = {**os.environ, "DEVNET_SOURCE": ""}
    done = subprocess.run(
        ["bash", "-e", "-c", line],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "DEVNET_SOURCE: is a variable of the repository that is not set" in done.stderr


def test_the_variables_of_the_table_are_set(devnet: Devnet) -> None:
    told = attach(devnet.data).environment
    for named in (RECIPES / "README.md").read_text().split("`")[1::2]:
        if named.isupper() and "_" in named:
            assert named in told
    for name in ("hardhat/hardhat.config.ts", "hardhat/test/depositor.ts", "foundry/foundry.toml"):
        text = (RECIPES / name).read_text()
        for layer in ("L1", "L2"):
            assert f"{layer}_RPC_URL" not in text or f"{layer}_RPC_URL" in told
