"""`python3 packing.py FOLDER`: our packages as they lie in an image, without the crate and without building it.

    pyproject.toml, LICENSE, node/, sequencer/, bridge/, deploy/ -> FOLDER/lib: modules, artifacts, the version's record
                                                                 -> FOLDER/bin: the console scripts

The engine is another stage's work, so that an edit of Python repeats none of it; hence no wheel, which holds both.
Runs in a bare Python image: the standard library alone.
"""

from __future__ import annotations

import shutil
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PACKAGES: Final = ("node", "sequencer", "bridge", "deploy")
"""What the image holds of ours."""

BESIDE: Final = Path("deploy", "wheel", "purelib")
"""What an install has at its top beside them: the console script's module among it."""

SUFFIXES: Final = (".py", ".json", ".yml")
"""Files that are read at run time: modules, contracts' artifacts, what Prometheus and Grafana are given."""

SCRIPT: Final = """#!/opt/faultline/bin/python
import sys

from {module} import {function}

sys.exit({function}())
"""
"""A console script."""


def main(arguments: list[str]) -> int:
    """Pack the current folder's packages; gives the exit code."""
    target = Path(arguments[0])
    source = Path.cwd()
    with (source / "pyproject.toml").open("rb") as stream:
        project = tomllib.load(stream)["project"]
    for package in PACKAGES:
        pack(source / package, target / "lib" / package)
    for beside in sorted((source / BESIDE).iterdir()):
        pack(beside, target / "lib" / beside.name)
    licences = [source / name for name in project["license-files"]]
    record(target / "lib", project["name"], project["version"], licences)
    for name, entry in project["scripts"].items():
        write_script(target / "bin" / name, entry)
    return 0


def pack(source: Path, target: Path) -> None:
    """Copy what is read at run time."""
    for file in sorted(source.rglob("*")):
        inside = file.relative_to(source)
        if file.suffix in SUFFIXES and "target" not in inside.parts:
            (target / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target / inside)


def record(library: Path, name: str, version: str, licences: Sequence[Path]) -> None:
    """Say which version is installed and under which licence, where importlib.metadata looks (core metadata 2.4)."""
    folder = library / f"{name}-{version}.dist-info"
    (folder / "licenses").mkdir(parents=True)
    lines = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}"]
    for licence in licences:
        shutil.copyfile(licence, folder / "licenses" / licence.name)
        lines.append(f"License-File: {licence.name}")
    (folder / "METADATA").write_text("\n".join([*lines, ""]))


def write_script(file: Path, entry: str) -> None:
    """Write a console script for `module:function`."""
    module, _, function = entry.partition(":")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(SCRIPT.format(module=module, function=function))
    file.chmod(0o755)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
