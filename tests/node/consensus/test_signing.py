"""What is signed names the chain, the kind and the statement; what was verified is not verified again."""

from __future__ import annotations

from collections.abc import Sequence

from node.consensus.signing import (
    Domains,
    RememberedSignatures,
    SignedMessage,
    deposit_message,
    domain,
    proposal_message,
    vote_message,
)
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.primitives import Hash32
from tests.node.consensus.test_containers import FULL, HEAD_ONLY

GENESIS_HASH = Hash32(b"\x07" * 32)
DOMAINS = Domains.of(900, GENESIS_HASH)


def test_a_domain_names_kind_chain_and_genesis() -> None:
    expected = keccak256(b"vote/1" + (900).to_bytes(8) + GENESIS_HASH)
    assert DOMAINS.vote == expected
    others = {
        DOMAINS.proposal,
        DOMAINS.deposit,
        domain("vote", 901, GENESIS_HASH),
        domain("vote", 900, Hash32(b"\x08" * 32)),
    }
    assert len({expected, *others}) == 5


def test_messages_are_hashes_of_domain_and_root() -> None:
    assert vote_message(DOMAINS.vote, FULL) == keccak256(DOMAINS.vote + FULL.root())
    assert vote_message(DOMAINS.vote, FULL) != vote_message(DOMAINS.vote, HEAD_ONLY)
    assert proposal_message(DOMAINS.proposal, 9, 1, GENESIS_HASH) == keccak256(
        DOMAINS.proposal + keccak256(rlp.encode((9, 1, GENESIS_HASH)))
    )
    assert deposit_message(DOMAINS.deposit, b"k" * 32, b"c" * 32, GENESIS_HASH) == keccak256(
        DOMAINS.deposit + keccak256(rlp.encode((b"k" * 32, b"c" * 32, GENESIS_HASH)))
    )


def message(number: int, *, valid: bool = True) -> SignedMessage:
    return bytes((number,)) * 32, bytes(32), bytes((valid,)) * 64


def test_known_signatures_are_not_asked_for_again() -> None:
    asked: list[SignedMessage] = []

    def verify(messages: Sequence[SignedMessage]) -> list[bool]:
        asked.extend(messages)
        return [signature[0] == 1 for *_, signature in messages]

    remembered = RememberedSignatures(verify, capacity=2)
    batch = [message(1), message(2, valid=False), message(3)]
    assert remembered(batch) == [True, False, True]
    assert remembered(batch) == [True, False, True]
    assert asked == [*batch, message(2, valid=False)]
    assert remembered([message(4)]) == [True]
    assert remembered([message(1)]) == [True]
    assert asked[-2:] == [message(4), message(1)]
    assert remembered([]) == []


def test_one_message_twice_in_a_batch_gets_two_answers() -> None:
    remembered = RememberedSignatures(lambda messages: [False] * len(messages))
    assert remembered([message(1), message(1)]) == [False, False]
