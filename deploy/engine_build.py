"""Builds the native engine into the checkout, and only when its sources changed.

    crate sources + rustc -> fingerprint == the last one's?  -> done
                                                       else  -> maturin develop -> node/_engine*.so + `faultline`

Run by the Makefile before the project itself is installed, so it imports nothing but the standard library
(and puccinialin, which fetches a Rust toolchain, where there is none).
Compiled dependencies live outside the checkout, keyed by Cargo.lock and rustc: a fresh clone compiles the crate alone.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parent.parent
"""The checkout."""

CRATE: Final = REPOSITORY / "node" / "execution" / "revm"
"""The crate's folder."""

CHECKS: Final = (
    ("cargo", "fmt", "--check"),
    ("cargo", "clippy", "--locked", "--all-targets", "--", "-D", "warnings"),
)
"""What `make check` runs on the crate."""

TESTS: Final = ("cargo", "test", "--profile", "quick", "--locked", "--no-default-features")
"""The crate's own tests: a program that links Python instead of being loaded by it."""

TARGETS_KEPT: Final = 2
"""Folders of compiled dependencies that are kept: this build's and the one before."""


def main(arguments: Sequence[str]) -> int:
    """Build what is missing; with `check` judge the crate's style, with `test` run its tests; 0 when all is well."""
    environment = toolchain(os.environ)
    if environment is None:
        return 1
    rustc = rustc_version(environment)
    target = target_folder(environment, (CRATE / "Cargo.lock").read_bytes(), rustc)
    target.mkdir(parents=True, exist_ok=True)
    target.touch()
    _forget_old_targets(target.parent)
    environment["CARGO_TARGET_DIR"] = str(target)
    if "check" in arguments:
        return check(environment)
    return test(environment) if "test" in arguments else build(environment, rustc)


def check(environment: Mapping[str, str]) -> int:
    """Judge the crate's format and run its linter."""
    for program, component in (("cargo-fmt", "rustfmt"), ("cargo-clippy", "clippy")):
        if shutil.which(program, path=environment["PATH"]) is None:
            _say(
                f"Missing: {component}, a component of Rust's toolchain (rustup component add {component})."
            )
            return 1
    for command in CHECKS:
        _say(" ".join(command))
        done = subprocess.run(command, cwd=CRATE, env=environment, check=False)  # noqa: S603  # ours
        if done.returncode != 0:
            _say(f"Failed: {' '.join(command)}")
            return 1
    return 0


def test(environment: Mapping[str, str]) -> int:
    """Run the crate's own tests, if this Python has a library that a program can link."""
    if not sysconfig.get_config_var("Py_ENABLE_SHARED"):
        _say("Passed over: the crate's own tests (this Python has no shared library).")
        return 0
    _say(" ".join(TESTS))
    return subprocess.run(TESTS, cwd=CRATE, env=linking(environment), check=False).returncode  # noqa: S603  # ours


def linking(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program that links this Python: which it is, and where its library lies."""
    folders = [str(sysconfig.get_config_var("LIBDIR")), environment.get("LD_LIBRARY_PATH", "")]
    return {
        **environment,
        "PYO3_PYTHON": sys.executable,
        "LD_LIBRARY_PATH": os.pathsep.join(folder for folder in folders if folder),
    }


def build(environment: Mapping[str, str], rustc: str) -> int:
    """Build the engine unless the one that is there was built from the same sources."""
    fingerprint = fingerprint_of(CRATE, rustc)
    stamp = Path(sys.prefix) / "faultline-engine"
    if is_current(stamp, fingerprint):
        _say("The engine is up to date.")
        return 0
    target = environment["CARGO_TARGET_DIR"]
    _say(f"Building the engine (about 150 s the first time; compiled parts go to {target}) ...")
    built = subprocess.run(
        [sys.executable, "-m", "maturin", "develop", "--release", "--locked"],
        cwd=REPOSITORY,
        env={**environment, "VIRTUAL_ENV": sys.prefix, "PIP_QUIET": "1"},
        check=False,
    )
    if built.returncode != 0:
        _say("The engine could not be built; the lines above say why.")
        return 1
    stamp.write_text(fingerprint)
    return 0


def toolchain(environment: Mapping[str, str]) -> dict[str, str] | None:
    """The environment with a Rust toolchain on its PATH; None, with what is missing printed, when there can be none."""
    cargo_home = Path(environment.get("CARGO_HOME", Path.home() / ".cargo"))
    path = environment.get("PATH", os.defpath) + os.pathsep + str(cargo_home / "bin")
    found = {**environment, "PATH": path}
    if shutil.which("cargo", path=path) is not None:
        return found
    _say("No Rust toolchain was found: fetching one ...")
    try:
        from puccinialin import setup_rust  # only where it is needed

        return {**found, **setup_rust()}
    except Exception as error:  # noqa: BLE001  # whatever fails in it, the answer is the same
        _say(
            f"Missing: a Rust toolchain (cargo, rustc 1.95 or newer). It could not be fetched: {error!r}\n"
            "Install one from https://rustup.rs or your system's packages, then run this again."
        )
        return None


def fingerprint_of(crate: Path, rustc: str) -> str:
    """A digest of everything the module is compiled from, and of what an install copies beside it."""
    digest = hashlib.sha256(rustc.encode())
    for folder, made in ((crate, "target"), (REPOSITORY / "deploy" / "wheel", "__pycache__")):
        for file in sorted(folder.rglob("*")):
            if file.is_file() and made not in file.relative_to(folder).parts:
                digest.update(str(file.relative_to(folder)).encode() + b"\0")
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    digest.update(hashlib.sha256((REPOSITORY / "pyproject.toml").read_bytes()).digest())
    return digest.hexdigest()


def is_current(stamp: Path, fingerprint: str) -> bool:
    """Whether the module of this fingerprint is installed."""
    built = any((REPOSITORY / "node").glob("_engine*.so"))
    return built and stamp.is_file() and stamp.read_text() == fingerprint


def target_folder(environment: Mapping[str, str], cargo_lock: bytes, rustc: str) -> Path:
    """Where compiled dependencies are kept: outside the checkout, one folder for each set of them."""
    home = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    key = hashlib.sha256(cargo_lock + rustc.encode()).hexdigest()[:12]
    return Path(home) / "faultline" / f"target-{key}"


def rustc_version(environment: Mapping[str, str]) -> str:
    """What the compiler says of itself."""
    rustc = shutil.which("rustc", path=environment["PATH"]) or "rustc"
    answer = subprocess.run(  # noqa: S603  # ours
        [rustc, "-vV"], env=environment, capture_output=True, text=True, check=True
    )
    return answer.stdout


def _forget_old_targets(folder: Path) -> None:
    targets = sorted(folder.glob("target-*"), key=lambda target: target.stat().st_mtime)
    for old in targets[:-TARGETS_KEPT]:
        shutil.rmtree(old)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
