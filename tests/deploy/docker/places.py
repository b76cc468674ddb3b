"""The folders that containers see, made in a test's own folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from deploy.docker.preparing import main
from deploy.layout import Layout

NAMES = (*(f"validator-{index}" for index in range(4)), "sequencer", "bridge", "watchtower")
"""Every process of a devnet in containers."""


@dataclass(kw_only=True)
class Places:
    """The network's volume, one for each process, and the one for what watches them."""

    folder: Path
    """Where all of them lie."""
    environment: dict[str, str] = field(default_factory=dict)
    """What the container that prepares is given."""

    def __post_init__(self) -> None:
        for name in (*NAMES, "monitoring"):
            (self.volumes / name).mkdir(parents=True)

    @property
    def network(self) -> Layout:
        """What only the container that prepares sees."""
        return Layout(self.folder / "network")

    @property
    def volumes(self) -> Path:
        """The processes' volumes."""
        return self.folder / "volumes"

    def share(self, name: str) -> Layout:
        """What a process sees."""
        return Layout(self.volumes / name)

    def prepare(self, **settings: str) -> int:
        """Run what runs before the processes; gives the exit code."""
        told = {"FAULTLINE_DATA": str(self.network.data), **self.environment, **settings}
        return main(told, self.volumes, self.network.data)
