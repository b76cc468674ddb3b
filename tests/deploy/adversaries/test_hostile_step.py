"""Hostile bytes for STEP: what they are, and the attack on an L1 whose precompile is the real rule."""

from __future__ import annotations

from dataclasses import dataclass

import brotli  # type: ignore[import-untyped]
import orjson
import pytest
from pydantic import JsonValue

from deploy.adversaries.hostile_step import (
    BOMB,
    NESTED_BYTES,
    STEP,
    hostile_inputs,
    hostile_step,
    nested_list,
    step_gas,
    template_of,
    uncompressed_brotli,
)
from deploy.adversaries.stage import Speaker, Stage
from deploy.genesis import BASE_FEE_WEI
from deploy.json_rpc import RpcUnavailable
from deploy.keys import new_rollup
from deploy.manifest import Manifest
from deploy.rollup_genesis import l2_genesis, rollup_parameters
from node.eth.headers import decode_header, header_of_block
from node.execution.adapter import RevmEngine, StepCallable
from node.execution.stepping import step_callable
from node.rollup.step import STEP_INPUT_BYTES_MAX, decode_step
from tests.deploy.adversaries.staging import Told, funded, stage_on
from tests.kit.execution_chain import ExecutionChain
from tests.kit.rpc_chain import RpcChain

SECRETS = new_rollup([])
PARAMETERS = rollup_parameters(Manifest(), SECRETS)


@dataclass
class GenesisL2:
    """An L2 of its genesis block."""

    engine: RevmEngine
    """Holds it."""

    def ask(self, method: str, *parameters: JsonValue) -> JsonValue:
        header = header_of_block(self.engine.genesis().block)
        if method == "debug_getRawHeader":
            return "0x" + header.encode().hex()
        assert (method, parameters) == ("eth_getBlockByNumber", ("latest", False))
        return {"number": "0x0"}


@pytest.fixture(scope="module")
def l2() -> GenesisL2:
    document = l2_genesis(PARAMETERS, [], time=50, l1_base_fee_wei=BASE_FEE_WEI)
    return GenesisL2(RevmEngine(orjson.dumps(document)))


def staged(l2: GenesisL2, step: StepCallable) -> tuple[Stage, Told]:
    l1 = RpcChain(ExecutionChain.open(step=step, extra_accounts=funded()))
    stage, told, _ = stage_on(l1, l2, secrets=SECRETS)
    return stage, told


def test_nested_lists_are_as_deep_as_they_are_long() -> None:
    # Given a list that begins with the headers of all its levels
    data, depth, at = nested_list(1_000), 0, 0
    # When they are read one after the other
    while at < len(data):
        width = max(0, data[at] - 0xF7)
        size = data[at] - 0xC0 if not width else int.from_bytes(data[at + 1 : at + 1 + width])
        at += 1 + width
        # Then each holds all the rest
        assert size == len(data) - at
        depth += 1
    assert depth > 330
    assert len(nested_list(NESTED_BYTES)) < STEP_INPUT_BYTES_MAX


@pytest.mark.parametrize("size", [1, 255, 256, 30_000, 65_536])
def test_brotli_that_compresses_nothing_is_brotli(size: int) -> None:
    data = bytes(range(256)) * 256
    assert brotli.decompress(uncompressed_brotli(data[:size])) == data[:size]


def test_the_bomb_is_one() -> None:
    assert len(brotli.decompress(BOMB)) == 200_000_000


def test_all_but_the_broken_ones_are_framed_as_a_proof_is(l2: GenesisL2) -> None:
    stage, _ = staged(l2, lambda _data, _caller, _is_static: bytes(32))
    template = template_of(stage)
    assert decode_header(template.parent_header).number == 0
    assert decode_step(template.encode()) == template
    inputs = {hostile.title: hostile.data for hostile in hostile_inputs(template)}
    for title in ("a batch of nested lists", "a batch that decompresses to 200 MB"):
        given = decode_step(inputs[title])
        assert given.record.batch_hash != template.record.batch_hash
    assert len(inputs["more than 352 KiB"]) == STEP_INPUT_BYTES_MAX + 1


def test_every_call_fails_and_nobody_stumbles(l2: GenesisL2) -> None:
    # Given an L1 whose precompile is the rule itself
    stage, told = staged(l2, step_callable(l2.engine, PARAMETERS))
    # When everything is thrown at it
    verdict = hostile_step(stage, {})
    # Then each call is refused for a reason of its own, in a block
    assert verdict.held
    tried, seen = told.of(Speaker.ATTACKER), told.of(Speaker.NETWORK)
    assert len(seen) == len(tried) + 1
    reasons = [line.rpartition(": ")[2] for line in seen[:-1]]
    assert reasons[:6] == [
        "step_malformed",
        "step_malformed",
        "step_insufficient",
        "step_insufficient",
        "step_insufficient",
        "step_malformed",
    ]
    assert seen[-1].startswith("finalized L1 block")


def test_a_step_that_believes_anything_is_told(l2: GenesisL2) -> None:
    stage, _ = staged(l2, lambda _data, _caller, _is_static: bytes(32))
    verdict = hostile_step(stage, {})
    assert not verdict.held
    assert "a batch that decompresses to 200 MB" in verdict.summary


def test_a_node_on_another_chain_is_told(l2: GenesisL2) -> None:
    stage, _ = staged(l2, step_callable(l2.engine, PARAMETERS))
    elsewhere = RpcChain(ExecutionChain.open(extra_accounts=funded()))
    stage.l1_nodes = {**stage.l1_nodes, "validator-3": elsewhere}
    for _ in range(40):
        elsewhere.mine()
    verdict = hostile_step(stage, {})
    assert verdict.summary == "validator-3 did not follow."
    assert not verdict.held


@dataclass
class LateNode:
    """A node that has L1's blocks after some questions, and answers none before."""

    l1: RpcChain
    questions: int

    def ask(self, method: str, *parameters: JsonValue) -> JsonValue:
        self.questions -= 1
        if self.questions > 5:
            raise RpcUnavailable("connection refused")
        return None if self.questions > 0 else self.l1.ask(method, *parameters)


def test_a_node_that_is_a_moment_late_is_waited_for(l2: GenesisL2) -> None:
    stage, _ = staged(l2, step_callable(l2.engine, PARAMETERS))
    assert isinstance(stage.l1, RpcChain)
    late = LateNode(stage.l1, questions=10)
    stage.l1_nodes = {**stage.l1_nodes, "validator-3": late}
    assert hostile_step(stage, {}).held
    assert late.questions == 0


@dataclass
class FreeL1:
    """An L1 whose calls of the precompile cost a little less than their price."""

    l1: RpcChain

    def ask(self, method: str, *parameters: JsonValue) -> JsonValue:
        found = self.l1.ask(method, *parameters)
        if method == "eth_getTransactionReceipt" and isinstance(found, dict):
            return found | {"gasUsed": hex(step_gas(PARAMETERS, 0) - 1)}
        return found


def test_a_call_that_takes_no_gas_for_its_work_is_told(l2: GenesisL2) -> None:
    stage, _ = staged(l2, step_callable(l2.engine, PARAMETERS))
    assert isinstance(stage.l1, RpcChain)
    stage.l1 = FreeL1(stage.l1)
    verdict = hostile_step(stage, {})
    assert not verdict.held
    assert verdict.summary.startswith("STEP worked for less than its gas with nothing at all, ")


def test_the_price_is_what_the_precompile_takes(l2: GenesisL2) -> None:
    stage, told = staged(l2, step_callable(l2.engine, PARAMETERS))
    hostile_step(stage, {})
    # An empty call pays its price and what any transaction pays
    assert step_gas(PARAMETERS, 0) + 21_000 == 8_021_000
    assert "for 8,021,000 gas" in told.of(Speaker.NETWORK)[0]


def test_the_precompile_has_the_address_of_the_rules() -> None:
    assert STEP.hex().endswith("0101")
