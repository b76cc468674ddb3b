"""The red team against a devnet of real processes: every attack of the catalogue, one after the other on one network."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from subprocess import CompletedProcess

import orjson
import pytest

from deploy.adversaries.catalogue import ATTACKS
from node.contracts.disputes import FAULT_PROVEN
from tests.e2e.devnet import Devnet, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1_500)]

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


def test_every_attack_of_the_catalogue_is_played() -> None:
    assert {name for name, *_ in PLAYED} == {attack.name for attack in ATTACKS}


@pytest.mark.parametrize("arguments", PLAYED, ids="-".join)
def test_the_network_holds_and_is_left_healthy(
    devnet_to_break: Devnet, arguments: tuple[str, ...]
) -> None:
    # Given a healthy network
    attacked = devnet_to_break
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


def test_a_watchtower_that_is_killed_again_and_again_proves_every_fault(
    devnet_to_break: Devnet,
) -> None:
    attacked = devnet_to_break
    # Given lies on their way, more than a few L1 blocks have room to disprove
    count, kills = 60, 0
    with ThreadPoolExecutor(max_workers=1) as pool:
        attack = pool.submit(
            attacked.faultline, "break", "thousand-games", f"count={count}", "--json", check=False
        )
        # When the watchtower is killed whenever L1 has come further while they are judged
        while kills < KILLS:
            proven = faults_proven(attacked)
            wait_for("more faults to be proven", partial(has_moved, attacked, attack, proven))
            if attack.done():
                break
            killed = attacked.kill_process("watchtower")
            kills += 1
            wait_for("another watchtower", partial(attacked.has_restarted, "watchtower", killed))
        done = attack.result()
    # Then all of them fall all the same
    played = orjson.loads(done.stdout)
    assert played["held"], played
    assert kills > 0
    # And each was proven once: a tenth of each bond, and no more, is what proofs have earned
    assert len(logs(attacked, FAULT_PROVEN)) == len(
        {log["address"] for log in logs(attacked, FAULT_PROVEN)}
    )


def restarts(devnet: Devnet) -> dict[str, int]:
    """How often each process was started again after it had ended by itself."""
    listed = devnet.status()["processes"]
    assert isinstance(listed, list)
    return {one["name"]: one["restarts"] for one in listed}


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
