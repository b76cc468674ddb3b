"""What a call costs: held to the unit, and to the figures in the README of the contracts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tests.kit.contract_world import Receipt

README: Final = (Path(__file__).parents[2] / "node" / "contracts" / "README.md").read_text()
"""Where users read what calls cost."""


def check_gas(receipt: Receipt, gas: int) -> None:
    """A call went well and used this much gas, and the README says so."""
    assert receipt.succeeded
    assert receipt.gas_used == gas
    assert re.search(rf"(?<![\d,]){gas:,}(?!,?\d)", README)
