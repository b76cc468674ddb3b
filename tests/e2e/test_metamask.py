"""MetaMask's own controllers, headless, add both chains, look at them and send on them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import orjson
import pytest
from eth_account import Account

from tests.e2e.devnet import Devnet
from tests.e2e.environments import node_project

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("devnet"), pytest.mark.timeout(1_200)]

METAMASK = Path(__file__).parent / "metamask"
"""The script, and the packages that MetaMask publishes."""

SCRIPT_DEADLINE_S = 300
"""The longest that the script may take."""

JUNK = "test test test test test test test test test test test junk"
"""The mnemonic of the funded accounts, which people import into MetaMask."""

START_UP = {
    "eth_blockNumber",
    "eth_call",
    "eth_estimateGas",
    "eth_feeHistory",
    "eth_gasPrice",
    "eth_getBalance",
    "eth_getBlockByHash",
    "eth_getBlockByNumber",
    "eth_getCode",
    "eth_getTransactionCount",
    "eth_getTransactionReceipt",
    "eth_sendRawTransaction",
    "net_version",
    "web3_clientVersion",
}
"""What goes over the wire from adding a network to a confirmed transaction."""


def test_metamask_adds_both_networks_and_sends(devnet: Devnet) -> None:
    project = node_project(METAMASK)
    for file in METAMASK.glob("*.mjs"):
        shutil.copy(file, project / file.name)
    Account.enable_unaudited_hdwallet_features()
    key = Account.from_mnemonic(JUNK, account_path="m/44'/60'/0'/0/2").key.hex()

    # One extension for each chain, at the same time
    scripts = [
        subprocess.Popen(
            ["node", str(project / "metamask.mjs"), url, chain_id, f"0x{key}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for url, chain_id in ((devnet.rpc_url(1), "900"), (devnet.l2_url(), "901"))
    ]
    try:
        for script in scripts:
            output, errors = script.communicate(timeout=SCRIPT_DEADLINE_S)
            assert script.returncode == 0, f"{output}\n{errors}"
            found = orjson.loads(output)
            assert found["privateNetwork"] == "true"
            assert found["called"].keys() >= START_UP
    finally:
        for script in scripts:
            script.kill()
