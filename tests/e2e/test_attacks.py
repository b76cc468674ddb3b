"""The red team against a devnet of real processes: every attack of the catalogue, one after the other on one network."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest

from deploy.adversaries.catalogue import ATTACKS
from tests.e2e.devnet import Devnet, running_devnet, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("attacks"), pytest.mark.timeout(1_500)]

PLAYED = [
    ("false-output", "at=first"),
    ("false-output", "at=middle"),
    ("false-output", "at=last"),
    ("false-output", "at=last", "parent=orphan"),
    ("squatted-game",),
    ("unavailable-roots",),
    ("prove-then-lose",),
    ("replayed-withdrawal",),
    ("forged-proof",),
    ("copied-proof",),
    ("hostile-step",),
    ("thousand-games", "count=24"),
    ("late-challenger",),
    ("guardian-pause",),
    ("proposer-dead",),
]
"""Attacks with their parameters."""


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """A devnet whose bridge has made its first games."""
    with running_devnet(tmp_path_factory.mktemp("attacked"), with_l2=True) as running:
        wait_for("the first final L2 block", lambda: running.l2_number("finalized") > 0)
        yield running


def test_every_attack_of_the_catalogue_is_played() -> None:
    assert {name for name, *_ in PLAYED} == {attack.name for attack in ATTACKS}


@pytest.mark.parametrize("arguments", PLAYED, ids="-".join)
def test_the_network_holds_and_is_left_healthy(
    attacked: Devnet, arguments: tuple[str, ...]
) -> None:
    # Given the pids of a healthy network
    before = pids(attacked)
    # When an attack is played
    done = attacked.faultline("break", *arguments, "--json", check=False, timeout_s=900)
    # Then the network holds, and tells it step by step
    assert done.returncode == 0, done.stdout + done.stderr
    played = orjson.loads(done.stdout)
    assert played["held"], played
    assert {step["who"] for step in played["steps"]} == {"attacker", "network"}
    # And nobody crashed: only who was stopped on purpose has another process id
    after = pids(attacked)
    assert {name for name, pid in after.items() if pid != before[name]} <= {"bridge", "watchtower"}
    assert all(process["restarts"] == 0 for process in processes(attacked))


def processes(devnet: Devnet) -> list[dict[str, object]]:
    """What the supervisor knows of each process."""
    listed = devnet.status()["processes"]
    assert isinstance(listed, list)
    return listed


def pids(devnet: Devnet) -> dict[str, object]:
    """Process ids by name."""
    return {str(process["name"]): process["pid"] for process in processes(devnet)}
