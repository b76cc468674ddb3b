"""Checks of transactions as the engine decodes them: what a hand-made stand-in cannot show."""

from __future__ import annotations

import pytest

from node.execution.engine import InvalidTransaction
from node.txpool.limits import PoolLimits
from node.txpool.refusals import Refused
from node.txpool.validation import INITCODE_BYTES_MAX, check_alone
from tests.kit.execution_chain import GWEI, SENDER, ExecutionChain, sign

BLOCK_GAS_LIMIT = 120_000_000

FEES = (
    {"gasPrice": GWEI},
    {"gasPrice": GWEI, "accessList": [{"address": "0x" + "aa" * 20, "storageKeys": []}]},
    {"maxFeePerGas": GWEI, "maxPriorityFeePerGas": GWEI},
)
"""One of each kind that can create a contract: legacy, 2930, 1559."""


def creation(code_bytes: int, **fields: object) -> bytes:
    return sign(SENDER, nonce=0, to=b"", gas=16_000_000, data=b"\x01" * code_bytes, **fields)


@pytest.mark.parametrize("fees", FEES)
def test_creation_code_is_bounded_in_every_kind(fees: dict[str, object]) -> None:
    engine = ExecutionChain.open().engine
    longest, longer, call = engine.decode(
        [
            creation(INITCODE_BYTES_MAX, **fees),
            creation(INITCODE_BYTES_MAX + 1, **fees),
            sign(SENDER, nonce=0, gas=16_000_000, data=b"\0" * (INITCODE_BYTES_MAX + 1), **fees),
        ]
    )
    judged = [
        check_alone(one, PoolLimits(), BLOCK_GAS_LIMIT)
        for one in (longest, longer, call)
        if not isinstance(one, InvalidTransaction)
    ]
    assert len(judged) == 3
    assert judged[0] is judged[2] is None
    assert isinstance(judged[1], Refused)
    assert judged[1].message == "max initcode size exceeded: code size 49153 limit 49152"
