"""A chain as a command sees it: logs in portions, from whichever node answers."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from deploy import chains
from deploy.chains import Chain, json_object, quantity
from deploy.json_rpc import RpcRefused

BEHIND = 3
"""Blocks that the node which answers for logs is behind."""


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("head", [*range(40), 100])
def test_a_node_that_is_behind_gives_all_logs_it_has_once(
    monkeypatch: pytest.MonkeyPatch, head: int, newest_first: bool
) -> None:
    """Given any head, when a node some blocks behind answers, then it refuses nothing and no block is told twice."""
    lagging = max(0, head - BEHIND)

    def call(url: str, method: str, *parameters: JsonValue) -> JsonValue:
        if method == "eth_blockNumber":
            return hex(head)
        wanted = json_object(parameters[0])
        first, last = quantity(wanted["fromBlock"]), lagging
        if wanted["toBlock"] != "latest":
            last = quantity(wanted["toBlock"])
        if first > last or last > lagging:
            raise RpcRefused(-32602, "invalid block range params")
        return [{"blockNumber": hex(number)} for number in range(first, last + 1)]

    monkeypatch.setattr(chains, "call", call)
    monkeypatch.setattr(chains, "SEARCHED_BLOCKS", 10)
    found = Chain(["node"]).logs("0x" + "aa" * 20, [], newest_first=newest_first)
    numbers = [quantity(log["blockNumber"]) for log in found]
    assert numbers == sorted(range(lagging + 1), reverse=newest_first)
