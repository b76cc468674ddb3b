"""The configured precompile at 0x0101: answers, reverts, and what happens when the callable breaks."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import pytest

from node.errors import Rejected
from tests.kit.execution_chain import SENDER, ExecutionChain, address_of, sign, word

STEP = bytes(18) + b"\x01\x01"
CALLER = bytes([0x63] * 20)
DELEGATOR = bytes([0x64] * 20)
ACCOUNTS = {
    # Passes its input to the precompile, stores whether it succeeded and the first word of the answer.
    "0x" + CALLER.hex(): {
        "balance": "0x0",
        "code": "0x365f5f3760205f365f5f6101015af15f555f5160015500",
    },
    "0x" + DELEGATOR.hex(): {
        "balance": "0x0",
        "code": "0x365f5f3760205f365f6101015af4600101" + "5f5500",
    },
}


class Refusal(StrEnum):
    """Why a fake precompile refuses."""

    MALFORMED = "malformed"


class Bug(Exception):
    """What nobody expects of a precompile."""


def chain_with(step: Callable[[bytes, bytes, bool], bytes] | None) -> ExecutionChain:
    return ExecutionChain.open(step=step, extra_accounts=ACCOUNTS)


def call(to: bytes = CALLER, data: bytes = b"question") -> bytes:
    return sign(SENDER, nonce=0, to=to, data=data, gas=10_000_000)


def test_it_answers_with_what_the_callable_returns() -> None:
    """Given a callable, when a contract calls 0x0101, then it gets input and caller, and its bytes are the answer."""
    # Given
    seen: list[tuple[bytes, bytes, bool]] = []

    def step(data: bytes, caller: bytes, is_static: bool) -> bytes:
        seen.append((data, caller, is_static))
        return word(42)

    chain = chain_with(step)

    # When
    block = chain.grow([call()])

    # Then
    assert chain.execute(chain.seal().block).gas_used == 0
    assert seen == [(b"question", CALLER, False)]
    assert chain.engine.storage(block.state_root, CALLER, word(0)) == word(1)
    assert chain.engine.storage(block.state_root, CALLER, word(1)) == word(42)


def test_gas_follows_the_length_of_the_input() -> None:
    """Given inputs of two lengths, when called, then a byte costs 2 gas besides its calldata, and the call a whole block."""
    used = [
        chain_with(lambda *_: b"").seal([call(to=STEP, data=b"\x01" * length)]).gas_used
        for length in (1_000, 2_000)
    ]
    # 40 gas a byte is EIP-7623's floor, which stays below what the call uses.
    assert used == [21_000 + 16 * n + 8_000_000 + 2 * n for n in (1_000, 2_000)]


def test_an_input_that_no_block_needs_is_not_looked_at() -> None:
    """Given inputs around 352 KiB, when called, then the longer one reverts without asking the callable."""
    seen: list[int] = []

    def step(data: bytes, _caller: bytes, _static: bool) -> bytes:
        seen.append(len(data))
        return word(1)

    chain = chain_with(step)
    for nonce, length in enumerate((352 << 10, (352 << 10) + 1)):
        raw = sign(SENDER, nonce=nonce, to=CALLER, data=bytes(length), gas=16_000_000)
        block = chain.grow([raw])
        assert chain.engine.storage(block.state_root, CALLER, word(0)) == word(1 - nonce)
    assert seen == [352 << 10]


def test_a_declared_rejection_reverts_the_call() -> None:
    """Given a callable that rejects, when called, then the call fails, the block is valid."""

    def step(_data: bytes, _caller: bytes, _static: bool) -> bytes:
        raise Rejected(Refusal.MALFORMED, "no witness")

    chain = chain_with(step)
    block = chain.grow([call()])
    assert chain.engine.storage(block.state_root, CALLER, word(0)) == word(0)
    expected = b"malformed: no witness".ljust(32, b"\0")[:32]
    stored = chain.engine.storage(block.state_root, CALLER, word(1))
    assert stored[: len(b"malformed: no witness")] == expected[: len(b"malformed: no witness")]


def test_too_little_gas_never_reaches_the_callable() -> None:
    def step(_data: bytes, _caller: bytes, _static: bool) -> bytes:
        raise Bug

    chain = chain_with(step)
    block = chain.seal([sign(SENDER, nonce=0, to=STEP, data=b"x", gas=8_000_000)])
    assert block.gas_used == 8_000_000


def test_it_is_no_code_to_borrow() -> None:
    """Given a DELEGATECALL, when it runs, then it fails without asking the callable."""

    def step(_data: bytes, _caller: bytes, _static: bool) -> bytes:
        raise Bug

    chain = chain_with(step)
    block = chain.grow([call(to=DELEGATOR)])
    assert chain.engine.storage(block.state_root, DELEGATOR, word(0)) == word(1)


def test_a_bug_stops_an_import_and_comes_out_as_it_was() -> None:
    """Given a block whose call breaks the callable, when judged, then its exception is raised, not InvalidBlock."""
    # Given
    broken = False

    def step(_data: bytes, _caller: bytes, _static: bool) -> bytes:
        if broken:
            raise Bug("the witness decoder")
        return b""

    chain = chain_with(step)
    block = chain.seal([call()])
    broken = True

    # Then
    with pytest.raises(Bug, match="the witness decoder"):
        chain.execute(block.block)


def test_a_bug_costs_a_builder_one_transaction() -> None:
    """Given a transaction that breaks the callable, when built, then it alone is left out, as a fault."""

    # Given
    def step(_data: bytes, _caller: bytes, _static: bool) -> bytes:
        raise Bug("the witness decoder")

    chain = chain_with(step)
    builder = chain.engine.builder(chain.header, chain.attributes(), chain.ancestors)

    # When
    outcomes = builder.push([call(), sign(SENDER, nonce=0), sign(SENDER, nonce=1)])

    # Then
    assert [outcome.reason for outcome in outcomes] == ["fault", "", ""]
    assert "the witness decoder" in outcomes[0].message
    assert chain.execute(builder.seal(b"").block).senders == [address_of(SENDER)] * 2


def test_the_callable_may_use_the_engine() -> None:
    """Given a callable that reads states, when a block runs, then nothing waits for itself."""

    def step(data: bytes, _caller: bytes, _static: bool) -> bytes:
        root = chain.head.state_root
        return word(chain.engine.accounts(root, [address_of(SENDER)])[0][1])

    chain = chain_with(step)
    balance = chain.engine.accounts(chain.head.state_root, [address_of(SENDER)])[0][1]
    block = chain.grow([call()])
    assert chain.engine.storage(block.state_root, CALLER, word(1)) == word(balance)


def test_without_a_callable_nothing_lives_there() -> None:
    chain = chain_with(None)
    block = chain.grow([call()])
    assert chain.engine.storage(block.state_root, CALLER, word(0)) == word(1)
    # The input, which the empty call leaves where it was.
    assert chain.engine.storage(block.state_root, CALLER, word(1))[:8] == b"question"
