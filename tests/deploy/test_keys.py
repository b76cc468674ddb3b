"""Keys of the network itself."""

from __future__ import annotations

import stat
from pathlib import Path

import orjson
import pytest
from hypothesis import given, strategies
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID

from deploy.keys import (
    new_validator,
    peer_id,
    save_secret,
    share_out,
    validator_file,
    withdrawal_file,
)
from node.validator.keys import load_keys


@given(seed=strategies.binary(min_size=32, max_size=32))
def test_peer_ids_are_those_of_libp2p(seed: bytes) -> None:
    assert peer_id(seed) == str(ID.from_pubkey(create_new_key_pair(seed).public_key))


def test_secrets_are_random_and_for_their_owner_only(tmp_path: Path) -> None:
    one, other = new_validator(), new_validator()
    assert len({one.private_key, one.onion_seed, one.withdrawal_key, other.private_key}) == 4
    file = tmp_path / "validator-0.json"
    save_secret(file, validator_file([one, other]))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        save_secret(file, b"")


def test_secrets_do_not_show_in_a_repr() -> None:
    one = new_validator()
    assert one.private_key.hex() not in repr(one)
    assert repr(one.private_key) not in repr(one)


def test_a_validator_process_reads_its_keys(tmp_path: Path) -> None:
    validators = [new_validator(), new_validator()]
    file = tmp_path / "validator-0.json"
    save_secret(file, validator_file(validators))
    assert [bytes(key.public_key) for key in load_keys(file)] == [
        validator.public_key for validator in validators
    ]


def test_withdrawal_accounts_are_listed_by_index() -> None:
    validators = [new_validator(), new_validator()]
    listed = orjson.loads(withdrawal_file(validators))["accounts"]
    assert [entry["validator_index"] for entry in listed] == [0, 1]
    assert listed[1]["address"] == validators[1].withdrawal_account.address


@given(count=strategies.integers(1, 40), processes=strategies.integers(1, 16))
def test_keys_are_shared_out_evenly_in_order(count: int, processes: int) -> None:
    validators = [new_validator() for _ in range(count)]
    shares = share_out(validators, processes)
    assert [validator for share in shares for validator in share] == validators
    sizes = [len(share) for share in shares]
    assert len(sizes) == processes
    assert max(sizes) - min(sizes) <= 1
