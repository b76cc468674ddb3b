"""The red team against a devnet of real processes: every attack of the catalogue, one after the other on one network."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from subprocess import CompletedProcess

import orjson
import pytest

from deploy.adversaries.catalogue import ATTACKS
from node.contracts.disputes import FAULT_PROVEN
from tests.e2e.devnet import Devnet, running_devnet, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("attacks"), pytest.mark.timeout(1_500)]

KILLS = 3
"""So often the watchtower is killed while it proves."""

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
    # Given a healthy network
    before = restarts(attacked)
    # When an attack is played
    done = attacked.faultline("break", *arguments, "--json", check=False, timeout_s=900)
    # Then the network holds, and tells it step by step
    assert done.returncode == 0, done.stdout + done.stderr
    played = orjson.loads(done.stdout)
    assert played["held"], played
    assert {step["who"] for step in played["steps"]} == {"attacker", "network"}
    # And nobody crashed
    assert restarts(attacked) == before


def test_a_watchtower_that_is_killed_again_and_again_proves_every_fault(attacked: Devnet) -> None:
    # Given lies on their way, more than a few L1 blocks have room to disprove
    count, kills = 60, 0
    with ThreadPoolExecutor(max_workers=1) as pool:
        before = restarts(attacked)["watchtower"]
        attack = pool.submit(
            attacked.faultline, "break", "thousand-games", f"count={count}", "--json", check=False
        )
        # When the watchtower is killed whenever L1 has come further while they are judged
        while kills < KILLS:
            proven = faults_proven(attacked)
            wait_for("more faults to be proven", partial(has_moved, attacked, attack, proven))
            if attack.done():
                break
            attacked.kill(pid_of(attacked, "watchtower"))
            kills += 1
            wait_for("another watchtower", partial(has_restarted, attacked, before + kills))
        done = attack.result()
    # Then all of them fall all the same
    played = orjson.loads(done.stdout)
    assert played["held"], played
    assert kills > 0
    # And each was proven once: a tenth of each bond, and no more, is what proofs have earned
    assert len(logs(attacked, FAULT_PROVEN)) == len(
        {log["address"] for log in logs(attacked, FAULT_PROVEN)}
    )


def processes(devnet: Devnet) -> list[dict[str, object]]:
    """What the supervisor knows of each process."""
    listed = devnet.status()["processes"]
    assert isinstance(listed, list)
    return listed


def restarts(devnet: Devnet) -> dict[str, int]:
    """How often each process was started again after it had ended by itself."""
    return {str(one["name"]): int(str(one["restarts"])) for one in processes(devnet)}


def pid_of(devnet: Devnet, name: str) -> int:
    """Process id of a running process."""
    [found] = [one for one in processes(devnet) if one["name"] == name]
    return int(str(found["pid"]))


def has_restarted(devnet: Devnet, count: int) -> bool:
    """Whether the watchtower was started again so often, and runs."""
    [found] = [one for one in processes(devnet) if one["name"] == "watchtower"]
    return int(str(found["restarts"])) >= count and found["pid"] is not None


def faults_proven(devnet: Devnet) -> int:
    """Faults that anybody has proven so far."""
    return len(logs(devnet, FAULT_PROVEN))


def has_moved(devnet: Devnet, attack: Future[CompletedProcess[str]], proven: int) -> bool:
    """Whether more faults are proven than at some time, or the attack is over."""
    return attack.done() or faults_proven(devnet) > proven


def logs(devnet: Devnet, topic: bytes) -> list[dict[str, object]]:
    """All logs of L1 with this first topic."""
    wanted = {"fromBlock": "0x0", "toBlock": "latest", "topics": ["0x" + topic.hex()]}
    found = devnet.rpc("eth_getLogs", wanted)
    assert isinstance(found, list)
    return found
