"""viem and ethers send on the L2 without options, alone, in batches and synchronously; what they listen to is complete."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.benchmarks.sends import BANKERS, started
from tests.e2e.environments import WALLETS, node_project
from tests.e2e.test_wallets import run

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1_000)]


def test_wallets_send_without_options(tmp_path: Path) -> None:
    folder, data = tmp_path / "tests" / "e2e" / "wallets", tmp_path / "data"
    folder.mkdir(parents=True)
    data.mkdir()
    for name in ("sends.mjs", "common.mjs"):
        shutil.copy(WALLETS / name, folder / name)
    shutil.copytree(
        WALLETS.parents[1] / "kit" / "contracts", tmp_path / "tests" / "kit" / "contracts"
    )
    (folder / "node_modules").symlink_to(node_project() / "node_modules")
    keys = ["0x" + banker.key.to_hex() for banker in BANKERS[:2]]
    with started("sequencer_server", str(data)) as server:
        urls = [f"http://127.0.0.1:{server.port}", f"ws://127.0.0.1:{server.port}"]
        assert run(["node", "sends.mjs", *urls, *keys], folder).strip().startswith("{")
