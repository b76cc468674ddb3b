"""`faultline logs`: what the processes say, one after the other or as it comes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
import orjson
import trio

from deploy.commands.options import (
    CommandFailed,
    WrongUse,
    data_option,
    json_option,
    layout_of,
    process_names,
)
from deploy.commands.preparing import refuse_containers
from deploy.layout import Layout

FOLLOW_POLL_S: Final = 0.2
"""How often followed files are looked at."""

LEADING: Final = ("timestamp", "process", "level", "event")
"""Fields that every line begins with."""


@dataclass(slots=True)
class _Followed:
    file: Path
    offset: int = 0
    rest: bytes = b""

    def new_lines(self) -> list[bytes]:
        """Whole lines that were added since the last look; starts over when the file was cut off."""
        size = self.file.stat().st_size
        if size < self.offset:
            self.offset, self.rest = 0, b""
        with self.file.open("rb") as stream:
            stream.seek(self.offset)
            added = stream.read()
        self.offset += len(added)
        *lines, self.rest = (self.rest + added).split(b"\n")
        return lines


@click.command("logs")
@click.argument("process", required=False, shell_complete=process_names)
@click.option("-f", "--follow", is_flag=True, help="Go on until Ctrl-C.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, 100_000),
    default=50,
    show_default=True,
    help="How many of the last lines of each process.",
)
@data_option
@json_option
def logs(
    process: str | None, data: Path | None, *, follow: bool, lines: int, as_json: bool
) -> None:
    """Print what the processes say; `supervisor` is the process that keeps them running."""
    refuse_containers(layout_of(data), "docker compose logs")
    followed = [_Followed(file) for file in _files(layout_of(data), process)]
    latest = [line for entry in followed for line in deque(entry.new_lines(), maxlen=lines)]
    for line in sorted(latest, key=_timestamp):
        _print(line, as_json=as_json)
    if follow:
        trio.run(_follow, followed, as_json)


async def _follow(followed: list[_Followed], as_json: bool) -> None:  # trio.run
    while True:
        await trio.sleep(FOLLOW_POLL_S)
        added = [line for entry in followed for line in entry.new_lines()]
        for line in sorted(added, key=_timestamp):
            _print(line, as_json=as_json)


def _files(layout: Layout, process: str | None) -> list[Path]:
    files = {file.stem: file for file in sorted(layout.logs.glob("*.log"))}
    if not files:
        raise CommandFailed(f"no logs in {layout.logs}")
    if process is None:
        return list(files.values())
    if process not in files:
        raise WrongUse(f"no log of {process}; there are {', '.join(files)}")
    return [files[process]]


def _timestamp(line: bytes) -> str:
    fields = _fields(line)
    return str(fields.get("timestamp", "")) if fields else ""


def _fields(line: bytes) -> dict[str, object] | None:
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return fields if isinstance(fields, dict) else None


def _print(line: bytes, *, as_json: bool) -> None:
    fields = _fields(line)
    if as_json or fields is None:
        click.echo(line.decode(errors="replace"))
        return
    head = "  ".join(str(fields.pop(name, "-")) for name in LEADING)
    trace = fields.pop("exception", None)
    rest = " ".join(f"{key}={value}" for key, value in fields.items())
    click.echo(f"{head}  {rest}".rstrip())
    if trace is not None:
        click.echo(str(trace))


COMMANDS: Final = {"logs": logs}
"""What this module holds."""
