"""The bridge process of a real devnet is killed whenever it has just sent something, and pays for everything once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest
from eth_account import Account

from node.contracts.abi import selector
from tests.e2e.devnet import Devnet, running_devnet, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

BRIDGE = 0
"""The bridge among those that derive the L2."""

DEEDS = ("publish", "create", "resolve", "close", "credit")
"""What a proposer sends, in the order of a game's life."""

SHORT_GAMES = """
[bridge]
challenge_window_s = 6
quiet_s = 2
air_gap_s = 2
output_interval_s = 4
"""

SIGNATURES = {
    "publish": "publish(bytes32[])",
    "create": "create(uint32,bytes32,bytes)",
    "resolve": "resolve(bytes,uint64,bytes32[],uint64)",
    "close": "closeGame()",
    "credit": "claimCredit(address)",
}


@pytest.fixture(scope="module")
def devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """A devnet with a bridge whose games live as shortly as a manifest lets them."""
    folder = tmp_path_factory.mktemp("proposing")
    manifest = folder / "faultline.toml"
    manifest.write_text(SHORT_GAMES)
    with running_devnet(folder, "--manifest", str(manifest), with_l2=True) as running:
        yield running


def sent(devnet: Devnet, deed: str, after: int) -> int | None:
    """How long the bridge's log is once it says that a transaction for a deed has left, behind a place; None before."""
    log = (devnet.data / "logs" / "bridge.log").read_bytes()
    marked = b'"key":"' + deed.encode() + b":"
    return len(log) if marked in log[after:] else None


def log_length(devnet: Devnet) -> int:
    return (devnet.data / "logs" / "bridge.log").stat().st_size


def metric(devnet: Devnet, name: str) -> float:
    """A sample of the bridge; 0 while it is down."""
    try:
        return devnet.l2_metrics(BRIDGE).get(name, 0.0)
    except OSError:
        return 0.0


def anchor_passed(devnet: Devnet, block: float) -> bool:
    return metric(devnet, "faultline_bridge_anchor_block") > block


def transactions(devnet: Devnet, sender: str) -> list[tuple[str, bool, int]]:
    """What L1 holds of an account: what it calls, whether that succeeded, and its nonce."""
    names = {"0x" + selector(text).hex(): name for name, text in SIGNATURES.items()}
    found: list[tuple[str, bool, int]] = []
    for number in range(1, devnet.number() + 1):
        block = devnet.rpc("eth_getBlockByNumber", hex(number), True)
        receipts = devnet.rpc("eth_getBlockReceipts", hex(number))
        assert isinstance(block, dict)
        assert isinstance(receipts, list)
        for one, receipt in zip(block["transactions"], receipts, strict=True):
            if one["from"] == sender:
                name = names.get(one["input"][:10], "empty")
                found.append((name, receipt["status"] == "0x1", int(one["nonce"], 16)))
    return found


def test_a_bridge_that_is_killed_after_each_deed_pays_once(devnet: Devnet) -> None:
    # Given a bridge that dies right after each kind of transaction has left it
    for deed in DEEDS:
        place = log_length(devnet)
        wait_for(f"the bridge to send {deed}", partial(sent, devnet, deed, place))
        before = devnet.kill_process("bridge")
        wait_for("the bridge to come back", partial(devnet.has_restarted, "bridge", before))
    # When it is left alone until games that it made since then count
    wait_for("games after that", lambda: metric(devnet, "faultline_bridge_claimed_block") > 0)
    claimed = metric(devnet, "faultline_bridge_claimed_block")
    wait_for("one of them to be the anchor", partial(anchor_passed, devnet, claimed))
    # Then L1 holds each of its deeds once, and none of them failed
    key = (devnet.data / "keys" / "bridge.proposer").read_text().strip()
    found = transactions(devnet, Account.from_key(key).address.lower())
    assert all(succeeded for _, succeeded, _ in found), found
    assert [nonce for *_, nonce in found] == list(range(len(found)))
    count = Counter(name for name, *_ in found)
    assert count["publish"] == count["create"]
    assert count["create"] >= count["resolve"] >= count["credit"] > 0
    assert count["empty"] == 0
    # And wallets find the games
    contracts = devnet.addresses()["l1"]
    call = {"to": contracts["disputeGameFactory"], "data": "0x" + selector("gameCount()").hex()}
    games = devnet.rpc("eth_call", call, "latest")
    assert isinstance(games, str)
    assert int(games, 16) >= count["create"]
