"""What the READMEs name exists: links, files, modules, commands with their options, targets of make."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest

from deploy.cli import faultline

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = ("node", "sequencer", "bridge", "deploy", "tests")
SKIPPED: Final = {"node_modules", "target", "__pycache__"}
"""Folders that tools write."""

FILES: Final = frozenset(
    str(path)
    for top in PACKAGES
    for path in (found.relative_to(ROOT) for found in (ROOT / top).rglob("*"))
    if not SKIPPED & set(path.parts)
) | {path.name for path in ROOT.iterdir()}
READMES: Final = sorted(name for name in FILES if name.endswith(".md"))

ENDINGS: Final = "py|md|rs|vy|vyi|toml|yml|json|sh|mjs|lock"
WRITTEN: Final = frozenset(
    {
        "first.mjs",
        "chains.mjs",
        "faultline.toml",
        "genesis.json",
        "l2-genesis.json",
        "devnet.json",
        "deploy.py",
        "supervisor.lock",
        "node/x/y.py",
        "tests/node/x/test_y.py",
    }
)
"""Files that users write, files of a running devnet, and examples of names."""

KEYS: Final = frozenset(
    {
        "bridge.enabled",
        "bridge.challenge_window_s",
        "bridge.proposer",
        "bridge.relayer",
        "sequencer.batcher",
        "sequencer.unsafe",
    }
)
"""Keys of a manifest and of a network, which look like modules."""


def text_of(readme: str) -> str:
    return (ROOT / readme).read_text()


def spans(readme: str) -> Iterator[str]:
    """Code in backticks."""
    return (found[1] for found in re.finditer(r"`([^`\n]+)`", text_of(readme)))


def is_module(name: str) -> bool:
    path = name.replace(".", "/")
    return not {path, f"{path}.py", f"{path}.vy", f"{path}.pyi"}.isdisjoint(FILES)


def is_file(name: str, readme: str) -> bool:
    """Whether a README's name of a file leads to it: from its folder, to any below it, else to the only one anywhere."""
    folder = Path(readme).parent
    if (ROOT / folder / name).exists():
        return True
    ends = [one for one in FILES if f"/{one}".endswith(f"/{name}")]
    return len(ends) == 1 or any(folder in Path(one).parents for one in ends if folder.name)


def holds(source: Path, name: str) -> bool:
    """Whether a module says this word; a folder says none."""
    return source.exists() and re.search(rf"\b{name}\b", source.read_text()) is not None


@pytest.mark.parametrize("readme", READMES)
def test_links_lead_somewhere(readme: str) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#\s]+)", text_of(readme))
    assert [one for one in targets if not ((ROOT / readme).parent / one).exists()] == []


@pytest.mark.parametrize("readme", READMES)
def test_files_exist(readme: str) -> None:
    """Given a file's name in backticks, then who reads it there knows which file that is."""
    named = {
        name
        for span in spans(readme)
        for name in re.findall(rf"(?<![\w./*-])[\w-][\w./-]*\.(?:{ENDINGS})\b", span)
    } - WRITTEN
    assert [name for name in named if not is_file(name, readme)] == []


def test_a_bare_name_is_of_the_readmes_own_package() -> None:
    """Given `service.py`, which many packages have, then only a README above one of them may say no more."""
    assert is_file("service.py", "sequencer/README.md")
    assert not is_file("service.py", "node/eth/README.md")
    assert not is_file("service.py", "README.md")
    assert is_file("test_readmes.py", "node/eth/README.md")


@pytest.mark.parametrize("readme", READMES)
def test_modules_and_their_names_exist(readme: str) -> None:
    """Given `package.module.name`, then the module is there, and the name in it."""
    missing: list[str] = []
    for span in spans(readme):
        for name in re.findall(
            rf"\b(?:{'|'.join(PACKAGES)})(?:\.(?!(?:rs|py)\b)[A-Za-z_]\w*)+", span
        ):
            if name in KEYS:
                continue
            module, inside = name, ""
            while "." in module and not is_module(module):
                module, _, inside = module.rpartition(".")
            source = ROOT / f"{module.replace('.', '/')}.py"
            if "." not in module or (inside and not holds(source, inside.split(".")[0])):
                missing.append(name)
    assert missing == []


@pytest.mark.parametrize("readme", READMES)
def test_programs_and_targets_exist(readme: str) -> None:
    """Given `python -m module` or `make target`, then there is one."""
    text = text_of(readme)
    programs = re.findall(rf"python -m ((?:{'|'.join(PACKAGES)})(?:\.\w+)*)", text)
    assert [one for one in programs if not is_module(one)] == []
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:`|^    )make ([a-z-]+)", text, re.MULTILINE)
    assert set(named) <= targets


@pytest.mark.parametrize("readme", READMES)
def test_commands_and_their_options_exist(readme: str) -> None:
    """Given a line of `faultline`, then that command takes these options."""
    lines = re.findall(
        r"(?:`|^    |run --rm cli )faultline ([a-z][^`\n#]*)", text_of(readme), re.MULTILINE
    )
    for line in lines:
        words = line.split(" -- ")[0].split()
        command = command_of(words)
        known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
        assert {word for word in words if word.startswith("--")} <= known | {"--help"}, line


def command_of(words: list[str]) -> click.Command:
    """The command that a line runs."""
    command: click.Command = faultline
    for word in words:
        if not isinstance(command, click.Group):
            break
        found = command.get_command(click.Context(command), word)
        assert found is not None or command.invoke_without_command, words
        if found is None:
            break
        command = found
    return command


def test_every_folder_of_code_is_told_of() -> None:
    """Given a package, then it has a README, or the nearest one above names it; tests mirror them."""
    folders = [
        Path(name).parent
        for name in FILES
        if Path(name).name == "__init__.py" and not name.startswith("tests/")
    ]
    untold: list[str] = []
    for folder in folders:
        around = next(one for one in (folder, *folder.parents) if str(one / "README.md") in READMES)
        if around != folder and not re.search(
            rf"\b{folder.name}\b", text_of(str(around / "README.md"))
        ):
            untold.append(str(folder))
    assert untold == []


def test_every_command_stands_in_the_readme() -> None:
    rows = re.findall(r"^\| (`.*?) \| ", text_of("README.md"), re.MULTILINE)
    named = set(re.findall(r"`([a-z]+)", " ".join(rows)))
    assert set(faultline.list_commands(click.Context(faultline))) <= named
