"""Why a process ends before it has begun."""

from __future__ import annotations

from pathlib import Path


class SetupError(Exception):
    """The process cannot run as it is set up; the message says what to change."""


class TaskFailed(Exception):
    """What the process was asked to do cannot be done; the message says where and why."""


def prepare_folder(folder: Path) -> None:
    """Make the folder for everything that is stored. Raises SetupError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"data_dir {folder}: cannot be made: {error.strerror}") from error
