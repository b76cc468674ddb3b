"""A devnet in containers, started the way a user of Docker starts it."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import orjson
import pytest

from tests.e2e.devnet import BASE_PORTS, Devnet, is_free, wait_for

REPOSITORY = Path(__file__).parents[2]

BUILD_DEADLINE_S = 3_600.0
"""The engine is compiled the first time, on a machine that may be busy."""

COMMAND_DEADLINE_S = 900.0
"""No other command of docker's takes longer; `up` waits for every process to be ready."""

PROCESSES = (*(f"validator-{index}" for index in range(4)), "sequencer", "bridge", "watchtower")
"""Services that stay."""


def require_engine() -> None:
    """Skip where no Docker engine with Compose answers."""
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed: containers cannot be tried")
    for question in (("docker", "version"), ("docker", "compose", "version")):
        asked = subprocess.run(question, capture_output=True, text=True, check=False, timeout=60)
        if asked.returncode != 0:
            pytest.skip(
                f"{' '.join(question)} fails, so containers cannot be tried: {asked.stderr}"
            )


def free_digit() -> str:
    """What to write before every port so that all of them are free now."""
    for digit in "21345":
        if all(is_free(port + 10_000 * int(digit)) for port in (*BASE_PORTS, 3000, 9090)):
            return digit
    raise AssertionError("no free range of ports")


@dataclass(frozen=True, kw_only=True)
class Composed:
    """One devnet of the compose file, under a project name of its own."""

    project: str
    """Compose's name for it."""
    digit: str
    """Before every published port."""
    profiles: str = ""
    """Further services: monitoring."""

    @property
    def image(self) -> str:
        """What its image is called: not as the user's own, which stays as it is."""
        return f"{self.project}:local"

    @property
    def devnet(self) -> Devnet:
        """The same as whoever connects to its ports sees it."""
        return Devnet(data=Path(os.devnull), offset=10_000 * int(self.digit), with_l2=True)

    def compose(
        self, *arguments: str, check: bool = True, timeout_s: float = COMMAND_DEADLINE_S
    ) -> subprocess.CompletedProcess[str]:
        """Run `docker compose` on it."""
        environment = {
            "COMPOSE_PROJECT_NAME": self.project,
            "COMPOSE_PROFILES": self.profiles,
            "FAULTLINE_PORT_DIGIT": self.digit,
            "FAULTLINE_IMAGE": self.image,
        }
        return _run(
            ["docker", "compose", *arguments], environment, check=check, timeout_s=timeout_s
        )

    def docker(self, *arguments: str) -> str:
        """Run `docker`; gives what it prints."""
        return _run(["docker", *arguments], {}, check=True, timeout_s=COMMAND_DEADLINE_S).stdout

    def container(self, service: str) -> str:
        """The name of a service's container."""
        return f"{self.project}-{service}-1"

    def inspect(self, service: str, *path: str) -> object:
        """What docker knows of a service's container, at a path of keys."""
        [found] = orjson.loads(self.docker("inspect", self.container(service)))
        for key in path:
            assert isinstance(found, dict)
            found = found.get(key)
        return found

    def cli(self, *arguments: str) -> object:
        """What a command of `faultline`, asked for JSON, prints."""
        done = self.compose("run", "--rm", "-T", "cli", *arguments, "--json")
        return orjson.loads(done.stdout)

    def sh(self, service: str, script: str, *, check: bool = True) -> str:
        """Run a script inside a service's container; gives what it prints on either stream."""
        done = self.compose("exec", "-T", service, "sh", "-c", script, check=check)
        return done.stdout + done.stderr

    def is_healthy(self, service: str) -> bool:
        """Whether docker calls a service's container healthy."""
        return self.inspect(service, "State", "Health", "Status") == "healthy"

    def wait_until_healthy(self, *services: str) -> None:
        """Wait until docker calls them healthy."""
        for service in services or PROCESSES:
            wait_for(f"{service} to be healthy", partial(self.is_healthy, service))

    def wait_for_progress(self, validator: int, blocks: int = 4) -> None:
        """Wait until a validator has finalized some blocks more than anybody has by now."""
        highest = max(
            self.devnet.number("finalized", index) for index in (validator, validator ^ 1)
        )
        wait_for(
            f"validator-{validator} to finalize {blocks} blocks",
            partial(self.devnet.has_finalized, highest + blocks, validator),
        )


def _run(
    command: list[str], environment: dict[str, str], *, check: bool, timeout_s: float
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done
