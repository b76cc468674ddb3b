"""What the bridge costs on L1, in gas, beside what others have published of theirs.

    python -m tests.benchmarks costs

Ours are whole transactions with calldata, measured by what the contracts' tests hold to the unit. The OP Stack's are from the gas
snapshot of its contracts, without the 21,000 of a transaction and without calldata; nobody has published what finalizing costs.
Disputes there are games of many moves, so the comparison is a table, not a bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.benchmarks.figures import Figure
from tests.kit.contract_world import Receipt
from tests.node.contracts import test_gas as deposits, test_withdrawal_costs as withdrawals
from tests.node.contracts.disputes import test_gas as disputes

TRANSACTION_GAS_MAX: Final = 1 << 24
"""Of a transaction on L1 (EIP-7825)."""

ROWS: Final[tuple[tuple[str, Callable[[], Receipt], str], ...]] = (
    (
        "deposit of Ether",
        deposits.GAS["depositTransaction, 21,000 gas"][0],
        "OP Stack 75,085 and 36,396",
    ),
    (
        "prove, about 4,000 messages",
        withdrawals.GAS["prove, about 4,000 messages"][0],
        "OP Stack 169,229",
    ),
    ("finalize, to an account", withdrawals.GAS["finalize, to an account"][0], "not published"),
    ("publish 100 roots", disputes.GAS["publish, 100 roots"][0], ""),
    ("create a game", disputes.GAS["create, from a parent"][0], "OP Succinct 448,465"),
    (
        "proveFault, ten payments",
        disputes.GAS["proveFault, ten payments"][0],
        "OP Stack up to 73 moves",
    ),
    ("proveFault, 352 KiB of input", disputes.GAS["proveFault, 352 KiB of input"][0], ""),
)
"""What is called, how, and what others have published."""


def measure() -> list[Figure]:
    """Gas of each; every one is a transaction that L1 takes."""
    found = []
    for name, call, published in ROWS:
        receipt = call()
        assert receipt.succeeded, name
        holds = receipt.gas_used <= TRANSACTION_GAS_MAX
        found.append(
            Figure(
                name=f"cost of {name}" + (f" ({published})" if published else ""),
                value=float(receipt.gas_used),
                unit="gas",
                target="<= 16,777,216",
                holds=holds,
            )
        )
    return found
