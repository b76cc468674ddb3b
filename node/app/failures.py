"""Why a process ends before it has begun."""

from __future__ import annotations

from node.config import NodeConfig


class SetupError(Exception):
    """The process cannot run as it is set up; the message says what to change."""


def prepare_folder(config: NodeConfig) -> None:
    """Make the folder for everything that is stored. Raises SetupError."""
    try:
        config.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"data_dir {config.data_dir}: cannot be made: {error.strerror}") from error
