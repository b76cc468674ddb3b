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


def node_project(source: Path = WALLETS) -> Path:
    """A folder with the scripts of `source` and its installed npm packages."""
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
            subprocess.run(command, cwd=target, check=True, timeout=INSTALL_DEADLINE_S)
            (target / "complete").touch()
    return target


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
