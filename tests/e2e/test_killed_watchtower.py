"""Kill -9 of the watchtower at each stage of a dispute, in real processes: the lie falls, and is paid for once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from subprocess import CompletedProcess
from typing import Final

import orjson
import pytest

from bridge.disputes.opening import PROVE_FAULT
from node.contracts.addresses import DISPUTE_GAME_FACTORY
from node.contracts.disputes import FAULT_PROVEN, GAME_CREATED
from tests.e2e.devnet import Devnet, wait_for

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
]

PROOF: Final = "0x" + PROVE_FAULT.hex()
"""Beginning of a proof's input."""


def logs(devnet: Devnet, first: int, topic: bytes, address: bytes | None = None) -> list[object]:
    """Logs of L1 from a block on, which need not be there yet."""
    if first > devnet.number():
        return []
    query: dict[str, object] = {"fromBlock": hex(first), "topics": ["0x" + topic.hex()]}
    if address is not None:
        query["address"] = "0x" + address.hex()
    found = devnet.rpc("eth_getLogs", query)
    assert isinstance(found, list)
    return found


def has_pooled_proof(devnet: Devnet) -> bool:
    """Whether a proof waits in L1's pool."""
    content = devnet.rpc("txpool_content")
    assert isinstance(content, dict)
    return any(
        str(one["input"]).startswith(PROOF)
        for by_nonce in content["pending"].values()
        for one in by_nonce.values()
    )


def is_made(devnet: Devnet, first: int) -> bool:
    """Whether L1 holds a game that somebody lies in: the proposer's games have no rival within a second."""
    return len(logs(devnet, first, GAME_CREATED, DISPUTE_GAME_FACTORY)) > 0


def is_proven(devnet: Devnet, first: int) -> bool:
    """Whether L1 holds a proof."""
    return len(logs(devnet, first, FAULT_PROVEN)) > 0


STAGES: Final[Mapping[str, Callable[[Devnet, int], bool]]] = {
    "before anything": lambda _devnet, _first: True,
    "a game is made": is_made,
    "its proof is in the pool": lambda devnet, _first: has_pooled_proof(devnet),
    "its proof is on L1": is_proven,
}
"""When the watchtower dies."""


def lied(devnet: Devnet) -> CompletedProcess[str]:
    """Play the attack; again if the watchtower died before it looked whether the devnet is healthy."""

    def played() -> CompletedProcess[str] | None:
        done = devnet.faultline("break", "false-output", "--json", check=False, timeout_s=600)
        return None if "not healthy to begin with" in done.stderr else done

    return wait_for("an attack that is played", played)


@pytest.mark.parametrize("stage", STAGES)
def test_the_lie_falls_and_is_paid_for_once(devnet_to_break: Devnet, stage: str) -> None:
    # Given a lie, and a watchtower that is killed when the dispute has come to a stage
    devnet = devnet_to_break
    first = devnet.number() + 1
    with ThreadPoolExecutor() as beside:
        lying = beside.submit(lied, devnet)
        wait_for(stage, lambda: STAGES[stage](devnet, first) or lying.done())
        pid = devnet.kill_process("watchtower")
        done = lying.result()
    # Then the supervisor brings it back, and the lie falls
    assert done.returncode == 0, done.stdout + done.stderr
    assert orjson.loads(done.stdout)["held"], done.stdout
    wait_for("another watchtower", lambda: devnet.has_restarted("watchtower", pid))
    # And whoever proved it has sent nothing that failed
    (proven,) = logs(devnet, first, FAULT_PROVEN)
    assert isinstance(proven, dict)
    prover = "0x" + str(proven["topics"][1])[-40:]
    for number in range(first, devnet.number() + 1):
        receipts = devnet.rpc("eth_getBlockReceipts", hex(number))
        assert isinstance(receipts, list)
        failed = [one for one in receipts if one["from"] == prover and one["status"] == "0x0"]
        assert not failed, failed
