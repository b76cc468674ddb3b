"""js-libp2p, another implementation, as a peer of a running devnet: it follows the chain, and it is punished."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import orjson
import pytest
from eth_account import Account

from tests.e2e.devnet import Devnet
from tests.e2e.environments import node_project

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("devnet"), pytest.mark.timeout(600)]

SCRIPTS = Path(__file__).parents[1] / "node" / "p2p" / "js"
"""The peers, and the wire as they know it from node/p2p/README.md."""

SCRIPT_DEADLINE_S = 300
"""The longest that a script may take."""

VALIDATORS = 4
"""Processes of the devnet."""

BLAMED_FOR = (
    "malformed_message",
    "oversized",
    "rejected_message",
    "rejected_request",
    "reported",
    "request_flood",
)
"""What misbehave.mjs does, as our metric names it."""


def start(script: str, devnet: Devnet, **environment: str) -> subprocess.Popen[str]:
    """A process of js-libp2p that knows every validator."""
    project = node_project(SCRIPTS)
    for file in SCRIPTS.glob("*.mjs"):
        shutil.copy(file, project / file.name)
    info = devnet.rpc("devnet_info")
    assert isinstance(info, dict)
    addresses = [entry["p2p"] for entry in info["processes"] if entry["role"] == "validator"]
    assert len(addresses) == VALIDATORS
    return subprocess.Popen(
        ["node", str(project / script), devnet.rpc_url(), *addresses],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def printed(process: subprocess.Popen[str]) -> Mapping[str, object]:
    """What a script found, once it is done."""
    try:
        output, errors = process.communicate(timeout=SCRIPT_DEADLINE_S)
    finally:
        process.kill()
    assert process.returncode == 0, f"{output}\n{errors}"
    found: dict[str, object] = orjson.loads(output)
    return found


def blames(devnet: Devnet, validator: int) -> dict[str, float]:
    """How often a validator has blamed peers, by reason."""
    samples = devnet.metrics(validator)
    name = 'faultline_p2p_misbehaviour_total{{reason="{}"}}'
    return {reason: samples.get(name.format(reason), 0.0) for reason in BLAMED_FOR}


def a_transfer(devnet: Devnet) -> str:
    """A signed transaction that nobody has sent yet."""
    Account.enable_unaudited_hdwallet_features()
    sender = Account.from_mnemonic(
        "test test test test test test test test test test test junk",
        account_path="m/44'/60'/0'/0/8",
    )
    nonce = devnet.rpc("eth_getTransactionCount", sender.address, "pending")
    price = devnet.rpc("eth_gasPrice")
    assert isinstance(nonce, str)
    assert isinstance(price, str)
    signed = sender.sign_transaction(
        {
            "chainId": 900,
            "nonce": int(nonce, 16),
            "to": "0x" + "15" * 20,
            "value": 1,
            "gas": 21_000,
            "gasPrice": 2 * int(price, 16),
        }
    )
    return f"0x{signed.raw_transaction.hex()}"


def test_a_peer_of_js_libp2p_follows_the_chain_while_others_misbehave(devnet: Devnet) -> None:
    # Given four validators that finalize
    devnet.wait_for_final(2)
    before = [blames(devnet, validator) for validator in range(VALIDATORS)]
    started = [
        devnet.metrics(validator)["process_start_time_seconds"] for validator in range(VALIDATORS)
    ]

    # When peers do harm, each in its own way, and another one follows
    hostile = start("misbehave.mjs", devnet)
    follower = start("follow.mjs", devnet, RAW_TRANSACTION=a_transfer(devnet))
    try:
        followed = printed(follower)
        found = printed(hostile)
    finally:
        hostile.kill()
        follower.kill()

    # Then the follower has seen ranges, blocks and votes, each hostile peer was cut off and not let in again
    assert followed["ranged"], followed
    for manner, outcome in found.items():
        assert isinstance(outcome, dict)
        assert len(outcome["afterMs"]) == outcome["refused"] == VALIDATORS, f"{manner}: {outcome}"

    # And every validator blamed them for what they did, lives, has its peers, and finalizes what comes after
    for validator in range(VALIDATORS):
        samples = devnet.metrics(validator)
        after = blames(devnet, validator)
        assert all(after[reason] > before[validator][reason] for reason in BLAMED_FOR), after
        assert samples["process_start_time_seconds"] == started[validator]
        assert samples["faultline_p2p_handler_bugs_total"] == 0
        assert samples["faultline_p2p_peers"] >= VALIDATORS - 1
    devnet.wait_for_final(devnet.number() + 1)
