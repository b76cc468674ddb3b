"""STEP inside L1: the same root as anywhere, gas before work, every node once more, and a bug that nobody can hide."""

from __future__ import annotations

from functools import cache
from typing import Final, NoReturn

import orjson
import pytest

from node.errors import InvalidBlock, Rejected
from node.eth.headers import header_of_block
from node.execution.stepping import step_callable
from node.rollup.outputs import output_of
from node.rollup.step import STEP_INPUT_BYTES_MAX
from tests.kit.execution_chain import GWEI, SENDER, ExecutionChain, sign, word
from tests.kit.rollup import portal_log
from tests.kit.rollup_chain import FAUCET, sign_l2
from tests.kit.step_world import PARAMETERS, Stepped, StepWorld
from tests.kit.worst_blocks import answer_of, host_of, host_with, step_transaction

STEP: Final = bytes(18) + b"\x01\x01"

FIXED_GAS: Final = 1_000_000 + PARAMETERS.gas_limit
"""Of a call, besides 2 for each byte."""


@cache
def world() -> StepWorld:
    return StepWorld.open()


@cache
def stepped() -> Stepped:
    """A block with a deposit and a transaction."""
    logs = [portal_log(1, sender=FAUCET, mint=10**18, value=5)]
    return world().make([sign_l2(nonce=0, value=1)], logs=logs)


@cache
def host() -> ExecutionChain:
    """An L1 with STEP and a contract that calls it."""
    return host_of(world().chain.engine, PARAMETERS)


def ask(data: bytes, *, gas: int, to: bytes = STEP) -> tuple[str, bytes, int]:
    """Status, output and gas of a call on the head."""
    call = {"to": "0x" + to.hex(), "input": "0x" + data.hex(), "gas": hex(gas)}
    chain = host()
    found = chain.engine.call(
        chain.head.state_root, chain.header, chain.ancestors, orjson.dumps(call), gas_cap=gas
    )
    return found.status, found.output, found.gas_used


def intrinsic(data: bytes) -> int:
    """Gas before the call: EIP-2028, and EIP-7623's floor is below what STEP costs."""
    zeros = data.count(0)
    return 21_000 + 4 * zeros + 16 * (len(data) - zeros)


def test_one_block_steps_to_one_root_everywhere() -> None:
    """Given a block, when derived, executed, executed stateless, stepped in a call and in a transaction, then one root."""
    given, block, engine = stepped().given, stepped().derived.result.block, world().chain.engine
    executed = engine.execute(given.parent_header, block, b"")
    stateless = engine.stateless(given.parent_header, block, given.nodes, given.codes, [])
    roots = [output_of(header_of_block(one.block)).root() for one in (executed, stateless)]
    called = ask(given.encode(), gas=16_000_000)
    sealed = host().seal([step_transaction(given.encode())])
    judged = host().execute(sealed.block)
    host().engine.commit(judged)
    assert roots == [stepped().output_root] * 2
    assert called[:2] == ("success", stepped().output_root)
    assert answer_of(host(), judged.state_root) == stepped().output_root


def test_the_gas_of_every_call_is_known_before_it() -> None:
    """Given gas around what a call costs, when called, then one less gives out-of-gas, and all above the same answer."""
    data = stepped().given.encode()
    cost = intrinsic(data) + FIXED_GAS + 2 * len(data)
    assert ask(data, gas=cost) == ("success", stepped().output_root, cost)
    assert ask(data, gas=cost + 1) == ("success", stepped().output_root, cost)
    for less in (1, 2, 2 * len(data), PARAMETERS.gas_limit):
        status, output, used = ask(data, gas=cost - less)
        assert (status, used) == ("halt", cost - less)
        assert output == b"out of gas"


def test_a_refusal_costs_what_an_answer_costs() -> None:
    """Given inputs that prove nothing, when called, then the name of why comes back, for the same gas."""
    data = stepped().given.encode()
    for wrong, name in (
        (data[:-1], b"step_malformed"),
        (data + b"\0", b"step_malformed"),
        (b"\1" + data[1:], b"step_config"),
        (b"", b"step_malformed"),
        (b"\xc1" * 300_000, b"step_malformed"),
    ):
        cost = intrinsic(wrong) + FIXED_GAS + 2 * len(wrong)
        assert ask(wrong, gas=cost) == ("revert", name, cost)
        assert ask(wrong, gas=cost - 1)[0] == "halt"


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_the_longest_input_and_one_byte_more(extra: int) -> None:
    """Given inputs around 352 KiB, when called, then each is refused for its gas; the longer one is not even read."""
    data = bytes(STEP_INPUT_BYTES_MAX + extra)
    name = b"input_too_long" if extra == 1 else b"step_malformed"
    cost = 21_000 + 4 * len(data) + FIXED_GAS + 2 * len(data)
    assert ask(data, gas=cost) == ("revert", name, cost)
    assert ask(data, gas=cost - 1)[0] == "halt"


def test_a_contract_that_forwards_gets_the_same() -> None:
    """Given a forwarder's gas around the 63/64 that reach STEP, when called, then there is an answer or none, never another."""
    data = stepped().given.encode()
    needed = FIXED_GAS + 2 * len(data)
    answers = set()
    for gas in range(needed - needed // 16, needed + needed // 8, needed // 40):
        block = host().seal([step_transaction(data, gas=intrinsic(data) + gas)])
        host().engine.commit(block)
        answers.add(answer_of(host(), block.state_root))
    assert answers == {None, stepped().output_root}


def test_every_judge_steps_again() -> None:
    """Given a block whose proposer wrote another answer, when judged, then its state root is wrong."""
    data = stepped().given.encode()
    liar = host_with(lambda _data, _caller, _static: word(7))
    block = liar.seal([step_transaction(data)])
    with pytest.raises(InvalidBlock, match="state_root"):
        host_with(step_callable(world().chain.engine, PARAMETERS)).execute(block.block)


# -- a bug


class Broken:
    """STEP with a bug that some inputs reach."""

    def __init__(self) -> None:
        self.step = step_callable(world().chain.engine, PARAMETERS)
        self.is_broken = False

    def __call__(self, data: bytes, caller: bytes, is_static: bool) -> bytes:
        if self.is_broken and data.endswith(b"trigger"):
            raise IndexError("list index out of range")
        return self.step(data, caller, is_static)


def test_an_undeclared_exception_stops_an_import_and_nothing_else() -> None:
    """Given a block with an input that reaches a bug, when judged, then the bug itself comes out: no verdict on the block."""
    step = Broken()
    chain = host_with(step)
    block = chain.seal([step_transaction(b"trigger")])
    step.is_broken = True
    with pytest.raises(IndexError, match="list index out of range"):
        chain.execute(block.block)
    step.is_broken = False
    assert chain.execute(block.block).state_root == block.state_root


def test_a_builder_leaves_out_what_reaches_a_bug_and_goes_on() -> None:
    """Given such an input among others, when built, then it alone is left out, and everybody accepts the block."""
    step = Broken()
    step.is_broken = True
    chain = host_with(step)
    builder = chain.engine.builder(chain.header, chain.attributes(), chain.ancestors)
    good = step_transaction(stepped().given.encode())
    outcomes = builder.push([step_transaction(b"trigger"), good, transfer()])
    assert [one.reason for one in outcomes] == ["fault", "", ""]
    assert outcomes[0].message == "IndexError: list index out of range"
    block = builder.seal(b"")
    chain.engine.commit(chain.execute(block.block))
    assert answer_of(chain, block.state_root) == stepped().output_root


def transfer() -> bytes:
    """Somebody else's transaction."""
    return sign(SENDER, nonce=0, maxFeePerGas=10 * GWEI)


class Judging:
    """An engine that judges where it has to derive."""

    def derive_stateless(self, *_arguments: object) -> NoReturn:
        raise InvalidBlock("state_root", "one", "another")


def test_a_bug_never_looks_like_a_verdict() -> None:
    """Given a stateless execution that calls a block invalid, when a block of L1 steps, then that one is not invalid."""
    step = step_callable(Judging(), PARAMETERS)
    chain = host_with(step)
    builder = chain.engine.builder(chain.header, chain.attributes(), chain.ancestors)
    (outcome,) = builder.push([step_transaction(stepped().given.encode())])
    assert outcome.reason == "fault"
    assert "STEP failed: InvalidBlock('state_root" in outcome.message
    with pytest.raises(RuntimeError, match="STEP failed: InvalidBlock"):
        chain.execute(host().seal([step_transaction(stepped().given.encode())]).block)


def test_a_declared_refusal_is_no_bug() -> None:
    """Given STEP itself, when called with what proves nothing, then it raises the one exception that reverts."""
    with pytest.raises(Rejected):
        world().ask(b"")
