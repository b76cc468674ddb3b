"""Keys, votes and proposals under protection, and a signer that is killed again and again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from node.consensus.containers import Checkpoint, VoteData
from node.consensus.signing import Domains, proposal_message, vote_message
from node.eth.primitives import Epoch, Hash32, Slot, ValidatorIndex
from node.validator.keys import ValidatorKey
from node.validator.protection_rules import Permission
from node.validator.signer import Signer, VoteRequest
from node.validator.slashing_protection import ProtectionError, SlashingProtection

GENESIS: Final = Hash32(b"\x01" * 32)
DOMAINS: Final = Domains.of(900, GENESIS)
KEYS: Final = [
    ValidatorKey(private_key=bytes([n]) * 32, onion_seed=bytes([n]) * 32) for n in range(1, 4)
]


def new_signer(path: Path | None = None) -> tuple[Signer, SlashingProtection]:
    protection = SlashingProtection(path, genesis_hash=GENESIS, slots_per_epoch=2)
    public_keys = [key.public_key for key in KEYS]
    protection.register(public_keys, new=frozenset(public_keys))
    return Signer(KEYS, protection, DOMAINS), protection


def request(key: int, slot: int, *, head: int = 0, link: bool = False) -> VoteRequest:
    source = Checkpoint(epoch=Epoch(slot // 2 - 1), block_hash=GENESIS) if link else None
    target = Checkpoint(epoch=Epoch(slot // 2), block_hash=GENESIS) if link else None
    return VoteRequest(
        public_key=KEYS[key].public_key,
        validator_index=ValidatorIndex(key),
        data=VoteData(
            slot=Slot(slot), head_hash=Hash32(bytes([head]) * 32), source=source, target=target
        ),
    )


def is_signed(key: int, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(KEYS[key].public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def test_many_keys_sign_at_once() -> None:
    signer, protection = new_signer()
    answers = signer.sign_votes([request(key, 4, link=True) for key in range(3)])
    for key, answer in enumerate(answers):
        assert answer.permission is Permission.SIGN
        assert answer.vote is not None
        assert answer.vote.validator_index == key
        assert answer.vote.data == request(key, 4, link=True).data
        assert is_signed(key, vote_message(DOMAINS.vote, answer.vote.data), answer.vote.signature)
    assert {record.last_vote_slot for record in protection.records().values()} == {4}
    protection.close()


def test_the_same_vote_again_is_the_same_signature() -> None:
    signer, protection = new_signer()
    first = signer.sign_votes([request(0, 4, link=True)])[0]
    again = signer.sign_votes([request(0, 4, link=True)])[0]
    other = signer.sign_votes([request(0, 4, link=True, head=9)])[0]
    assert (again.permission, again.vote) == (Permission.RESEND, first.vote)
    assert (other.permission, other.vote) == (Permission.REFUSE, None)
    protection.close()


def test_a_forbidden_link_leaves_a_vote_for_the_head() -> None:
    signer, protection = new_signer()
    signer.sign_votes([request(0, 8, link=True)])
    backwards = request(0, 9, link=True)
    early = Checkpoint(epoch=Epoch(0), block_hash=GENESIS)
    backwards = replace(backwards, data=replace(backwards.data, source=early))
    answer = signer.sign_votes([backwards])[0]
    assert answer.permission is Permission.HEAD_ONLY
    assert answer.vote is not None
    assert answer.vote.data == request(0, 9).data
    assert is_signed(0, vote_message(DOMAINS.vote, answer.vote.data), answer.vote.signature)
    protection.close()


def test_a_slot_has_one_proposal() -> None:
    signer, protection = new_signer()
    hashes = [Hash32(bytes([n]) * 32) for n in (7, 8)]
    proposals = [
        signer.sign_proposal(
            KEYS[0].public_key,
            slot=Slot(5),
            proposer_index=ValidatorIndex(0),
            block_hash=block_hash,
        )
        for block_hash in hashes
    ]
    first, second = proposals
    assert second is None
    assert first is not None
    message = proposal_message(DOMAINS.proposal, 5, 0, hashes[0])
    assert is_signed(0, message, first.signature)
    protection.close()


def test_an_unregistered_key_signs_nothing() -> None:
    protection = SlashingProtection(None, genesis_hash=GENESIS, slots_per_epoch=2)
    signer = Signer(KEYS, protection, DOMAINS)
    with pytest.raises(ProtectionError, match="was never registered"):
        signer.sign_votes([request(0, 4)])
    protection.close()


KILLED_SIGNER: Final = """
import sys
from pathlib import Path
from tests.node.validator.test_signer import new_signer, request

signer, protection = new_signer(Path(sys.argv[1]))
salt = int(sys.argv[2])
slot = max(record.last_vote_slot for record in protection.records().values()) - 2
while True:
    slot += 1
    for answer in signer.sign_votes([request(key, max(slot, 2), head=salt) for key in range(3)]):
        if answer.vote is not None:
            vote = answer.vote
            print(vote.validator_index, vote.data.slot, vote.data.head_hash.hex(),
                  vote.signature.hex(), flush=True)
"""


@pytest.mark.slow
def test_a_killed_signer_never_contradicts_itself(tmp_path: Path) -> None:
    """Lives two by two want the same head, and each begins with slots of the one before it."""
    dice = random.Random(3076)
    signed: dict[tuple[str, str], tuple[str, str]] = {}
    resent = 0
    for life in range(2, 10):
        process = subprocess.Popen(  # our own interpreter
            [sys.executable, "-c", KILLED_SIGNER, str(tmp_path / "signer.db"), str(life // 2)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        assert process.stdout is not None
        lines_left = dice.randrange(1, 120)
        for line in process.stdout:
            lines_left -= 1
            if lines_left == 0:
                os.kill(process.pid, signal.SIGKILL)
            parts = line.split()
            if not line.endswith("\n") or len(parts) != 4:
                break
            index, slot, head, signature = parts
            resent += (index, slot) in signed
            earlier = signed.setdefault((index, slot), (head, signature))
            assert earlier == (head, signature), f"life {life}: two votes in slot {slot}"
        process.stdout.close()
        assert process.wait(30) == -signal.SIGKILL
    assert len(signed) > 50
    assert resent > 0
