"""Compiles the contracts' Vyper sources into the artifacts that the node loads: `make contracts`.

    node/contracts/{l1,l2}/*.vy -> vyper, in an environment of its own -> node/contracts/artifacts/*.json

The artifacts are checked in; a test compiles anew and compares, so neither a node nor a wallet needs the compiler.
Vyper's ABI knows no custom errors: they are taken from the `@custom:errors` list of a contract's docstring, and
each must be raised somewhere, and everything raised must be listed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import orjson
from pydantic import JsonValue, TypeAdapter

CONTRACTS: Final = Path(__file__).resolve().parent.parent / "node" / "contracts"
"""Sources, artifacts and the compiler's lock."""

SOURCE_FOLDERS: Final = ("l1", "l2")
"""Folders whose files are contracts; the others hold modules and interfaces."""

EVM_VERSION: Final = "prague"
"""Newest set of opcodes that both chains have and this compiler knows."""

FORMATS: Final = ("abi", "bytecode", "bytecode_runtime", "layout", "devdoc")
"""What is asked of the compiler; a line of output each."""

INSTALL_DEADLINE_S: Final = 600
"""A registry may be slow; it is never waited for longer."""

COMPILE_DEADLINE_S: Final = 300
"""All contracts take seconds."""

_RAISED: Final = re.compile(r'method_id\("([A-Z]\w*\([^"]*\))"\)')
"""How a custom error is raised: its name begins with a capital letter, a function's does not."""

_LISTED: Final = re.compile(r"([A-Z]\w*)\(([^)]*)\): ")
"""An entry of `@custom:errors`."""

_IMPORTED: Final = re.compile(r"^from (?:\.\.lib|\.) import (\w+)$", re.MULTILINE)
"""How a module of ours is imported, by a contract or by another module."""

_OBJECT: Final = TypeAdapter(dict[str, JsonValue])
_LIST: Final = TypeAdapter(list[JsonValue])


class BuildError(Exception):
    """The sources cannot be compiled, or break a rule of the house."""


def main(arguments: Sequence[str]) -> int:
    """Write all artifacts; with `check` only say whether they are what the sources give."""
    folder = CONTRACTS / "artifacts"
    fresh = compiled_artifacts()
    stale = [name for name, text in fresh.items() if _stored(folder / name) != text]
    stale += sorted({file.name for file in folder.glob("*.json")} - set(fresh))
    if "check" in arguments:
        _say(f"stale: {', '.join(stale)}" if stale else "The artifacts are what the sources give.")
        return 1 if stale else 0
    folder.mkdir(exist_ok=True)
    for name in stale:
        if name in fresh:
            (folder / name).write_bytes(fresh[name])
        else:
            (folder / name).unlink()
    _say(f"written: {', '.join(stale)}" if stale else "Nothing has changed.")
    return 0


def compiled_artifacts() -> dict[str, bytes]:
    """The artifacts of all contracts, by file name. Raises BuildError."""
    compiler = str(vyper())
    version = _run([compiler, "--version"], COMPILE_DEADLINE_S).strip()
    files = [
        file for folder in SOURCE_FOLDERS for file in sorted((CONTRACTS / folder).glob("*.vy"))
    ]
    options = ["--evm-version", EVM_VERSION, "--no-bytecode-metadata", "-p", str(CONTRACTS)]
    command = [compiler, "-f", ",".join(FORMATS), *options, *map(str, files)]
    lines = _run(command, COMPILE_DEADLINE_S).splitlines()
    outputs = zip(*[iter(lines)] * len(FORMATS), strict=True)
    return {
        f"{file.stem}.json": orjson.dumps(
            _artifact(file, version, dict(zip(FORMATS, output, strict=True))),
            option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
        )
        for file, output in zip(files, outputs, strict=True)
    }


def vyper() -> Path:
    """The compiler, in an environment that holds exactly what its lock names; made once and kept."""
    lock = CONTRACTS / "requirements-vyper.lock"
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:16]
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    target = Path(base) / "faultline" / "environments" / f"vyper-{digest}"
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_suffix(".lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (target / "complete").exists():
            _say("Installing the compiler of the contracts ...")
            python = str(target / "bin" / "python")
            _run([sys.executable, "-m", "venv", "--clear", str(target)], INSTALL_DEADLINE_S)
            install = [python, "-m", "pip", "install", "-q", "--require-hashes", "-r", str(lock)]
            _run(install, INSTALL_DEADLINE_S)
            (target / "complete").touch()
    return target / "bin" / "vyper"


def _artifact(source: Path, version: str, output: Mapping[str, str]) -> dict[str, JsonValue]:
    layout = _OBJECT.validate_json(output["layout"])
    errors = _errors(source, _OBJECT.validate_json(output["devdoc"]))
    return {
        "name": source.stem,
        "source": str(source.relative_to(CONTRACTS)),
        "settings": {"compiler": f"vyper {version}", "evm_version": EVM_VERSION, "optimize": "gas"},
        "storage": _flattened(layout.get("storage_layout", {}), "n_slots"),
        "immutables": _flattened(layout.get("code_layout", {}), "length"),
        "runtime": output["bytecode_runtime"],
        "init": output["bytecode"],
        "abi": [*_LIST.validate_json(output["abi"]), *errors],
    }


def _flattened(layout: JsonValue, size: str, prefix: str = "") -> dict[str, JsonValue]:
    """Variables of a layout by name, those of a module behind its name."""
    flat: dict[str, JsonValue] = {}
    assert isinstance(layout, dict)
    for name, entry in layout.items():
        assert isinstance(entry, dict)
        if isinstance(entry.get("type"), str) and size in entry:
            # As text: a mapping laid over all of storage has more slots than a JSON integer holds.
            flat[prefix + name] = {key: str(value) for key, value in entry.items()}
        else:
            flat |= _flattened(entry, size, f"{prefix}{name}.")
    return flat


def _errors(source: Path, documentation: dict[str, JsonValue]) -> list[JsonValue]:
    """ABI entries of a contract's custom errors. Raises BuildError where list and code disagree."""
    text = documentation.get("custom:errors", "")
    assert isinstance(text, str)
    entries: dict[str, JsonValue] = {}
    for name, parameters in _LISTED.findall(text):
        inputs: list[JsonValue] = []
        for parameter in filter(None, parameters.split(", ")):
            kind, label = parameter.split(" ")
            inputs.append({"name": label, "type": kind})
        kinds = ",".join(parameter.split(" ")[0] for parameter in parameters.split(", "))
        entries[f"{name}({kinds})"] = {"name": name, "inputs": inputs, "type": "error"}
    raised = {
        error for file in _with_modules(source) for error in _RAISED.findall(file.read_text())
    }
    if raised != set(entries):
        difference = ", ".join(sorted(raised ^ set(entries)))
        raise BuildError(
            f"{source.name}: raised but not listed, or listed but not raised: {difference}"
        )
    return [entries[signature] for signature in sorted(entries)]


def _with_modules(source: Path) -> list[Path]:
    """A contract's file and those of the modules of ours that it imports, directly or not."""
    files, seen = [source], {source}
    for file in files:
        for name in _IMPORTED.findall(file.read_text()):
            module = CONTRACTS / "lib" / f"{name}.vy"
            if module.exists() and module not in seen:
                seen.add(module)
                files.append(module)
    return files


def _run(command: Sequence[str], deadline_s: int) -> str:
    done = subprocess.run(  # noqa: S603  # ours
        command, capture_output=True, text=True, check=False, timeout=deadline_s
    )
    if done.returncode != 0:
        raise BuildError(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


def _stored(file: Path) -> bytes | None:
    return file.read_bytes() if file.exists() else None


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
