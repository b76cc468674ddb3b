"""Bindings of withdrawals: each call is the artifact's, each log and each refusal the Portal's own."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode

from node.contracts import addresses
from node.contracts.abi import selector
from node.contracts.bindings import MessagePassed
from node.contracts.withdrawals import (
    NO_GAS,
    WITHDRAWAL_PROVEN,
    ProvenWithdrawal,
    WithdrawalFinalized,
    WithdrawalProven,
    check_withdrawal,
    finalize_withdrawal,
    is_finalized,
    is_paused,
    proof_count,
    proof_submitter,
    prove_withdrawal,
    proven_withdrawal,
    read_proven_withdrawal,
    read_withdrawal_finalized,
    read_withdrawal_proven,
    refusal,
    whole_proof,
)
from node.errors import Rejected
from node.eth.primitives import Address, Hash32
from node.rollup.outputs import Output
from tests.kit.contract_network import Network
from tests.kit.execution_chain import DEPOSITOR, address_of
from tests.kit.withdrawal_world import WithdrawalWorld, game_address, transaction, words

PORTAL = Network.open().portal
"""Its ABI; the chain is not used."""

MESSAGE = MessagePassed(
    nonce=1 << 240 | 7,
    sender=Address(b"\x5e" * 20),
    target=Address(b"\x7a" * 20),
    value=10**18,
    gas_limit=2**256 - 1,
    data=b"\x01\x02\x03",
    withdrawal_hash=Hash32(b"\xaa" * 32),
)

OUTPUT = Output(
    state_root=Hash32(b"\x01" * 32),
    message_passer_root=Hash32(b"\x02" * 32),
    block_hash=Hash32(b"\x03" * 32),
)

NAME = MESSAGE.withdrawal_hash
WHO = Address(b"\x5b" * 20)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (
            prove_withdrawal(MESSAGE, game_index=3, output=OUTPUT.encode(), nodes=[b"a", b""]),
            PORTAL.input(
                "proveWithdrawalTransaction", transaction(MESSAGE), 3, words(OUTPUT), [b"a", b""]
            ),
        ),
        (
            finalize_withdrawal(MESSAGE),
            PORTAL.input("finalizeWithdrawalTransaction", transaction(MESSAGE)),
        ),
        (
            finalize_withdrawal(MESSAGE, submitter=WHO),
            PORTAL.input("finalizeWithdrawalTransactionExternalProof", transaction(MESSAGE), WHO),
        ),
        (check_withdrawal(NAME, WHO), PORTAL.input("checkWithdrawal", NAME, WHO)),
        (proven_withdrawal(NAME, WHO), PORTAL.input("provenWithdrawals", NAME, WHO)),
        (proof_count(NAME), PORTAL.input("numProofSubmitters", NAME)),
        (proof_submitter(NAME, 4), PORTAL.input("proofSubmitters", NAME, 4)),
        (is_finalized(NAME), PORTAL.input("finalizedWithdrawals", NAME)),
        (is_paused(), PORTAL.input("paused")),
    ],
)
def test_calls_are_those_of_the_artifact(call: bytes, expected: bytes) -> None:
    assert call == expected


@pytest.mark.parametrize("output", [b"", OUTPUT.encode()[:-1], OUTPUT.encode() + b"\0"])
def test_an_output_has_four_words(output: bytes) -> None:
    with pytest.raises(ValueError, match=f"output: {len(output)} bytes, not 128"):
        prove_withdrawal(MESSAGE, game_index=0, output=output, nodes=[])


def test_logs_and_answers_are_read_as_the_portal_writes_them() -> None:
    """Given a withdrawal that is proven and settled, then its logs and the kept proof come back typed."""
    world = WithdrawalWorld.open()
    message = world.initiate()
    claimed = world.claimed(message)
    name = message.withdrawal_hash
    unproven = world.world.ask(PORTAL, proven_withdrawal(name, address_of(DEPOSITOR)))
    assert read_proven_withdrawal(unproven) is None

    receipt = world.prove(message, claimed)
    proven_at = world.now

    assert [read_withdrawal_proven(log.topics, log.data) for log in receipt.logs] == [
        None,
        WithdrawalProven(withdrawal_hash=name, submitter=address_of(DEPOSITOR)),
    ]
    assert receipt.logs[0].topics[0] == WITHDRAWAL_PROVEN
    answer = world.world.ask(PORTAL, proven_withdrawal(name, address_of(DEPOSITOR)))
    assert read_proven_withdrawal(answer) == ProvenWithdrawal(
        game=game_address(claimed.game), timestamp=proven_at
    )
    world.resolve(claimed.game)
    world.network.pass_blocks(15)
    (log,) = world.finalize(message).logs
    assert log.address == addresses.PORTAL
    assert read_withdrawal_finalized(log.topics, log.data) == WithdrawalFinalized(
        withdrawal_hash=name, success=True
    )


def test_other_logs_are_none() -> None:
    topic = selector("x()") + bytes(28)
    for topics, data in (
        ([], b""),
        ([topic], b""),
        ([topic, bytes(32), bytes(32)], b""),
        ([WITHDRAWAL_PROVEN, bytes(32), bytes(32)], b""),
    ):
        assert read_withdrawal_proven(topics, data) is None
        assert read_withdrawal_finalized(topics, data) is None
    receipt_topics = [
        PORTAL_TOPICS["WithdrawalProvenExtension1"],
        bytes(32),
        b"\x01" + bytes(31),
    ]
    # An address with bits above its 160.
    assert read_withdrawal_proven(receipt_topics, b"") is None
    assert read_withdrawal_proven([*receipt_topics[:2], bytes(32)], b"\0") is None
    finalized = [PORTAL_TOPICS["WithdrawalFinalized"], bytes(32)]
    assert read_withdrawal_finalized(finalized, bytes(31) + b"\x02") is None
    assert read_withdrawal_finalized(finalized, b"") is None
    assert read_withdrawal_finalized([finalized[0], bytes(31)], bytes(32)) is None


PORTAL_TOPICS = {
    "WithdrawalProvenExtension1": bytes.fromhex(
        "798f9f13695f8f045aa5f80ed8efebb695f3c7fe65da381969f2f28bf3c60b97"
    ),
    "WithdrawalFinalized": bytes.fromhex(
        "db5c7652857aa163daadd670e116628fb42e869d8ac4251ef8971d9e5727df1b"
    ),
}
"""As viem has them."""


def test_refusals_have_names() -> None:
    for name, data in (
        ("OptimismPortal_Unproven", "cca6afda"),
        ("OptimismPortal_InvalidProofTimestamp", "b4caa4e5"),
        ("OptimismPortal_ProofNotOldEnough", "d9bc01be"),
        ("OptimismPortal_InvalidRootClaim", "332a57f8"),
        ("OptimismPortal_AlreadyFinalized", "730a1074"),
        ("", ""),
        ("", "12345678"),
    ):
        assert refusal(bytes.fromhex(data)) == name
    text = selector("Error(string)") + encode(["string"], [NO_GAS])
    assert refusal(text) == NO_GAS
    assert refusal(selector("Error(string)") + encode(["string"], ["something else"])) == ""


@pytest.mark.parametrize("answer", [b"", bytes(63), bytes(65), b"\x01" + bytes(63)])
def test_an_answer_of_another_shape_is_rejected(answer: bytes) -> None:
    with pytest.raises(Rejected):
        read_proven_withdrawal(answer)


def test_no_proof_stays_none() -> None:
    assert whole_proof(Hash32(bytes(32)), []) == []
    with pytest.raises(Rejected):
        whole_proof(Hash32(bytes(32)), [b"\x80"])
