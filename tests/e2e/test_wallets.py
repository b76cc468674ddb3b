"""Wallet libraries from their registries, used as their users use them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.devnet import Devnet
from tests.e2e.environments import WALLETS, node_project, python_environment

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("devnet"), pytest.mark.timeout(1_500)]

SCRIPT_DEADLINE_S = 400


def run(command: list[str], folder: Path) -> str:
    """Run a wallet's script; its output is shown when it fails."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=SCRIPT_DEADLINE_S, check=False
    )
    assert done.returncode == 0, f"{command[1]}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize(
    "script", ["viem_wallet.mjs", "ethers_wallet.mjs", "viem_blobs.mjs", "ethers_blobs.mjs"]
)
def test_javascript_wallets(devnet: Devnet, script: str, tmp_path: Path) -> None:
    folder = tmp_path / "tests" / "e2e" / "wallets"
    folder.mkdir(parents=True)
    for name in (script, "common.mjs", "blobs.mjs"):
        shutil.copy(WALLETS / name, folder / name)
    shutil.copytree(
        WALLETS.parents[1] / "kit" / "contracts", tmp_path / "tests" / "kit" / "contracts"
    )
    (folder / "node_modules").symlink_to(node_project() / "node_modules")
    assert run(["node", script, devnet.rpc_url(), devnet.ws_url()], folder).strip().startswith("{")


def test_web3_py(devnet: Devnet) -> None:
    python = python_environment(WALLETS / "requirements-web3.lock")
    command = [str(python), "web3_wallet.py", devnet.rpc_url(1), devnet.ws_url(1)]
    assert run(command, WALLETS).strip().startswith("{")
