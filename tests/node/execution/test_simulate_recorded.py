"""`eth_simulateV1`: what geth answered on the recorded chain, this engine answers too, every hash included."""

from __future__ import annotations

import json
from typing import Final, cast

import pytest

from node.errors import InvalidCall
from tests.kit.execution_chain import header_bytes
from tests.kit.recorded_chain import Exchange, exchanges, needs_recordings, recorded_chain

GAS_CAP: Final = 50_000_000
"""As geth's `rpc.gascap`."""


def without_message(error: object) -> dict[str, object]:
    """An error object's parts that programs may rely on."""
    return {
        key: value for key, value in cast("dict[str, object]", error).items() if key != "message"
    }


def without_messages(blocks: object) -> object:
    """The same of every call that has failed."""
    for block in cast("list[dict[str, list[dict[str, object]]]]", blocks):
        for call in block["calls"]:
            if "error" in call:
                call["error"] = without_message(call["error"])
    return blocks


@needs_recordings
@pytest.mark.parametrize(
    "exchange", [pytest.param(one, id=one.name) for one in exchanges("eth_simulateV1")]
)
def test_answers_are_those_recorded(exchange: Exchange) -> None:
    chain = recorded_chain()
    number = chain.number_of(exchange.params[1])
    if number is None:  # RPC's to refuse
        assert exchange.error == {"code": -32000, "message": "header not found"}
        return
    base = chain.blocks[number]

    def simulated() -> bytes:
        return chain.engine.simulate(
            base.state_root,
            header_bytes(base.block),
            chain.ancestors(number),
            json.dumps(exchange.params[0]).encode(),
            gas_cap=GAS_CAP,
        )

    if exchange.error is not None:
        with pytest.raises(InvalidCall) as refused:
            simulated()
        assert refused.value.code == exchange.error["code"]
    else:
        assert without_messages(json.loads(simulated())) == without_messages(exchange.result)
