"""Environments of other ecosystems, made once from hashed locks: npm packages, and Pythons that conflict with ours."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

WALLETS = Path(__file__).parent / "wallets"
"""Scripts of wallet users, with their package files."""

NODE_22 = Path(__file__).parent / "node22"
"""Node 22 as npm packages, for tools that want it where Node is older."""

INSTALL_DEADLINE_S = 900
"""A registry may be slow; it is never waited for longer."""


def cache_folder() -> Path:
    """Where environments are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(base) / "faultline" / "environments"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Hold a lock file, so that parallel test workers install once."""
    with (cache_folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def node_project(source: Path = WALLETS, programs: Path | None = None) -> Path:
    """A folder with the installed npm packages of `source`; `programs` holds the `node` to install them with."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed: the wallet libraries of JavaScript cannot be tried")
    digest = hashlib.sha256((source / "package-lock.json").read_bytes()).hexdigest()[:16]
    target = cache_folder() / f"npm-{digest}"
    with _alone(f"npm-{digest}"):
        if not (target / "complete").exists():
            target.mkdir(exist_ok=True)
            for name in ("package.json", "package-lock.json", ".npmrc"):
                shutil.copy(source / name, target / name)
            # Not `npm ci`: it insists on binaries for other systems that a registry may not offer.
            command = ["npm", "install", "--no-save", "--ignore-scripts", "--no-progress"]
            subprocess.run(
                command,
                cwd=target,
                check=True,
                timeout=INSTALL_DEADLINE_S,
                env=environment_with(programs),
            )
            (target / "complete").touch()
    return target


def environment_with(programs: Path | None) -> dict[str, str]:
    """Our environment with a folder of programs in front of all others."""
    front = [] if programs is None else [str(programs)]
    return {**os.environ, "PATH": os.pathsep.join([*front, os.environ.get("PATH", "")])}


def node_22() -> Path:
    """The folder of a `node` of at least version 22: the machine's own, or npm's package of it."""
    own = shutil.which("node")
    if own is not None:
        told = subprocess.run([own, "--version"], capture_output=True, text=True, check=True)
        if int(told.stdout.removeprefix("v").split(".")[0]) >= 22:
            return Path(own).parent
    binaries = sorted((node_project(NODE_22) / "node_modules").glob("node-*/bin/node"))
    if binaries:
        return binaries[0].parent
    pytest.skip("Node 22 is neither installed nor packaged for this machine")


def python_environment(lock: Path) -> Path:
    """The interpreter of a virtual environment that holds exactly what a hashed lock names."""
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:16]
    target = cache_folder() / f"{lock.stem}-{digest}"
    python = target / "bin" / "python"
    with _alone(target.name):
        if not (target / "complete").exists():
            subprocess.run(
                [sys.executable, "-m", "venv", "--clear", str(target)], check=True, timeout=300
            )
            subprocess.run(
                [str(python), "-m", "pip", "install", "-q", "--require-hashes", "-r", str(lock)],
                check=True,
                timeout=INSTALL_DEADLINE_S,
            )
            (target / "complete").touch()
    return python
