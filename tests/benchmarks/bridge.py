"""How long users of the bridge wait, by viem's own flow on a devnet of real processes: deposits, and each stage of a withdrawal.

    python -m tests.benchmarks bridge

Users side by side, each with an account; every figure is the slowest of them. A stage's target says what it waits for: time that
the contracts' windows or viem itself ask for, and that no implementation of this flow can save.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from tests.benchmarks.figures import Figure
from tests.e2e.devnet import Devnet, running_devnet, wait_for
from tests.e2e.environments import WALLETS, node_project

SLOT_S: Final = 2.0
"""Of L1 in profile dev."""

DEPOSIT_MAX_SLOTS: Final = 3.0
"""From the wallet's send to the receipt on L2."""

WITHDRAWAL_MAX_S: Final = 60.0
"""From the wallet's send on L2 to the receipt on L1 that settles it."""

ACCOUNTS: Final = (4, 5, 6)
"""Users."""

DEPOSITS: Final = 5
"""Of each, one after the other."""

SCRIPT_DEADLINE_S: Final = 600

WHY: Final[Mapping[str, str]] = {
    "initiated": "sealed at once",
    "provable": "the next output (6 s apart) in L1; viem waits 1.1 intervals by its own estimate",
    "proven": "an L1 slot, and eth_getProof",
    "finalizable": "proof maturity: window, finality, air gap, a slot; viem adds 10 s",
    "settled": "an L1 slot",
}
"""What each stage waits for."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one user waited for."""

    deposits: Sequence[Mapping[str, float]]
    """Seconds until L1 included it, and until L2 held it."""
    stages: Mapping[str, float]
    """Seconds of each stage of a withdrawal."""
    total: float
    """Of the whole withdrawal, seconds."""


def measure() -> list[Figure]:
    """Start a devnet, let the users go, and tell the slowest of each wait."""
    with (
        tempfile.TemporaryDirectory(prefix="faultline-bridge-") as folder,
        running_devnet(Path(folder), with_l2=True) as devnet,
    ):
        wait_for("a final L2 block", lambda: devnet.l2_number("finalized") > 0)
        found = users(devnet, Path(folder))
    return figures(found)


def users(devnet: Devnet, folder: Path) -> list[Measured]:
    """Run every user side by side; the scripts expect the tree that they lie in."""
    contracts = WALLETS.parents[1] / "kit" / "contracts"
    shutil.copytree(contracts, folder / "tests" / "kit" / "contracts")
    folder = folder / "tests" / "e2e" / "wallets"
    folder.mkdir(parents=True)
    for file in ("bridge.mjs", "common.mjs", "viem_times.mjs"):
        shutil.copy(WALLETS / file, folder / file)
    (folder / "node_modules").symlink_to(node_project() / "node_modules")
    (folder / "chains.mjs").write_text(devnet.faultline("addresses", "--format", "viem").stdout)
    with ThreadPoolExecutor(max_workers=len(ACCOUNTS)) as pool:
        return list(pool.map(lambda account: _user(folder, account), ACCOUNTS))


def figures(found: Sequence[Measured]) -> list[Figure]:
    """Every wait, the slowest user's."""
    arrivals = [deposit["arrived"] / SLOT_S for one in found for deposit in one.deposits]
    included = [deposit["included"] / SLOT_S for one in found for deposit in one.deposits]
    total = max(one.total for one in found)
    return [
        Figure(
            name="deposit seen on L2: the slowest",
            value=max(arrivals),
            unit="L1 slots",
            target=f"<= {DEPOSIT_MAX_SLOTS:g}",
            holds=max(arrivals) <= DEPOSIT_MAX_SLOTS,
        ),
        Figure(
            name="deposit seen on L2: the middle one",
            value=sorted(arrivals)[len(arrivals) // 2],
            unit="L1 slots",
        ),
        Figure(
            name="deposit: of that, until L1 included it",
            value=sorted(included)[len(included) // 2],
            unit="L1 slots",
        ),
        *(
            Figure(
                name=f"withdrawal by viem: {stage}",
                value=max(one.stages[stage] for one in found),
                unit="s",
                target=why,
            )
            for stage, why in WHY.items()
        ),
        Figure(
            name="withdrawal by viem: initiate to settled, the slowest",
            value=total,
            unit="s",
            target=f"<= {WITHDRAWAL_MAX_S:g}",
            holds=total <= WITHDRAWAL_MAX_S,
        ),
    ]


def _user(folder: Path, account: int) -> Measured:
    done = subprocess.run(
        ["node", "viem_times.mjs", str(account), str(DEPOSITS)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SCRIPT_DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    told = orjson.loads(done.stdout)
    return Measured(told["deposits"], told["stages"], told["total"])
