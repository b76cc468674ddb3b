"""What several tests of execution stand on."""

from __future__ import annotations

import pytest

from tests.kit.execution_chain import SENDER, ExecutionChain, sign
from tests.kit.questions import ACCOUNTS, Asked


@pytest.fixture(scope="module")
def asked() -> Asked:
    """A chain of one block whose head is asked; nobody changes it."""
    chain = ExecutionChain.open(extra_accounts=ACCOUNTS)
    chain.grow([sign(SENDER, nonce=0)])
    return Asked(chain)
