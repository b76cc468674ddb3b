"""Keys of the network itself: random, one set for each network, in files that only their owner reads.

    random bytes -> ValidatorSecret -> keys/<process>.json      what a validator process is given
                                    -> keys/withdrawals.json    who may ask for exits (EIP-7002) and is paid out
                 -> keys/<process>.p2p                          libp2p identity
                 -> RollupSecrets   -> keys/<process>.unsafe    what a sequencer signs its blocks with
                                    -> keys/<process>.batcher   the account that posts batches
                                    -> keys/<process>.forcer    accounts that force blocks when nobody posts
                                    -> keys/bridge.proposer     the account that claims outputs and puts up bonds
                                    -> keys/bridge.relayer      the account that proves and finalizes for others
                                    -> keys/watchtower.challenger   the account that proves claims wrong
                                    -> keys/guardian            the account that may pause the bridge

Deliberately absent: the test mnemonic; its keys are public and belong to users.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import base58
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.accounts import FundedAccount
from deploy.derivation import account_of

SECRET_MODE: Final = 0o600
"""Readable by the owner alone."""

_PEER_ID_PREFIX: Final = bytes.fromhex("002408011220")
"""Identity multihash (0x00, 36 bytes) of a libp2p PublicKey protobuf {type: Ed25519, data: 32 bytes}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatorSecret:
    """What one validator signs, reveals and withdraws with."""

    private_key: bytes = field(repr=False)
    """Ed25519 seed; 32 bytes."""
    onion_seed: bytes = field(repr=False)
    """Seed of its RANDAO onion; 32 bytes."""
    withdrawal_key: bytes = field(repr=False)
    """secp256k1 key of the account that is paid out; 32 bytes."""

    @property
    def public_key(self) -> bytes:
        """Ed25519 public key; 32 bytes."""
        return (
            Ed25519PrivateKey.from_private_bytes(self.private_key).public_key().public_bytes_raw()
        )

    @property
    def withdrawal_account(self) -> FundedAccount:
        """The account that is paid out."""
        return account_of(self.withdrawal_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class RollupSecrets:
    """What the L2's processes sign and pay with."""

    unsafe_key: bytes = field(repr=False)
    """Ed25519 seed of the sequencer's blocks; 32 bytes."""
    batcher_key: bytes = field(repr=False)
    """secp256k1 key of the account that posts batches; 32 bytes."""
    forcer_keys: Mapping[str, bytes] = field(repr=False)
    """secp256k1 key of each account that forces blocks, by process; 32 bytes each."""
    proposer_key: bytes = field(repr=False)
    """secp256k1 key of the account that claims outputs; 32 bytes."""
    relayer_key: bytes = field(repr=False)
    """secp256k1 key of the account that proves and finalizes withdrawals of others; 32 bytes."""
    challenger_key: bytes = field(repr=False)
    """secp256k1 key of the account that proves claims wrong; 32 bytes."""
    guardian_key: bytes = field(repr=False)
    """secp256k1 key of the account that may pause the bridge; 32 bytes."""

    @property
    def sequencer_key(self) -> bytes:
        """Ed25519 public key of the sequencer's blocks; 32 bytes."""
        return Ed25519PrivateKey.from_private_bytes(self.unsafe_key).public_key().public_bytes_raw()

    @property
    def batcher_account(self) -> FundedAccount:
        """The account that posts batches."""
        return account_of(self.batcher_key)

    @property
    def forcer_accounts(self) -> list[FundedAccount]:
        """The accounts that force blocks."""
        return [account_of(key) for key in self.forcer_keys.values()]

    @property
    def proposer_account(self) -> FundedAccount:
        """The account that claims outputs and puts up bonds."""
        return account_of(self.proposer_key)

    @property
    def relayer_account(self) -> FundedAccount:
        """The account that proves and finalizes withdrawals of others."""
        return account_of(self.relayer_key)

    @property
    def challenger_account(self) -> FundedAccount:
        """The account that proves claims wrong."""
        return account_of(self.challenger_key)

    @property
    def guardian_account(self) -> FundedAccount:
        """The account that may pause the bridge."""
        return account_of(self.guardian_key)


def new_rollup(forcers: Sequence[str]) -> RollupSecrets:
    """Keys of a rollup from the system's randomness, with one account that forces blocks for each process named."""
    return RollupSecrets(
        unsafe_key=secrets.token_bytes(32),
        batcher_key=secrets.token_bytes(32),
        forcer_keys={name: secrets.token_bytes(32) for name in forcers},
        proposer_key=secrets.token_bytes(32),
        relayer_key=secrets.token_bytes(32),
        challenger_key=secrets.token_bytes(32),
        guardian_key=secrets.token_bytes(32),
    )


def new_validator() -> ValidatorSecret:
    """A validator from the system's randomness."""
    return ValidatorSecret(
        private_key=secrets.token_bytes(32),
        onion_seed=secrets.token_bytes(32),
        withdrawal_key=secrets.token_bytes(32),
    )


def peer_id(seed: bytes) -> str:
    """The libp2p identity (base58) of an Ed25519 seed (32 bytes); libp2p spec, peer ids."""
    public_key = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return base58.b58encode(_PEER_ID_PREFIX + public_key).decode()


def share_out(validators: Sequence[ValidatorSecret], processes: int) -> list[list[ValidatorSecret]]:
    """Validators for each process: neighbours together, sizes differing by one at most."""
    size, larger = divmod(len(validators), processes)
    shares = []
    start = 0
    for index in range(processes):
        end = start + size + (1 if index < larger else 0)
        shares.append(list(validators[start:end]))
        start = end
    return shares


def validator_file(validators: Sequence[ValidatorSecret]) -> bytes:
    """What a validator process reads."""
    keys = [
        {"private_key": validator.private_key.hex(), "onion_seed": validator.onion_seed.hex()}
        for validator in validators
    ]
    return orjson.dumps({"keys": keys}, option=orjson.OPT_INDENT_2)


def withdrawal_file(validators: Sequence[ValidatorSecret]) -> bytes:
    """Keys of the withdrawal accounts, by validator index."""
    accounts = [
        {
            "validator_index": index,
            "public_key": "0x" + validator.public_key.hex(),
            "address": validator.withdrawal_account.address,
            "private_key": validator.withdrawal_account.private_key,
        }
        for index, validator in enumerate(validators)
    ]
    return orjson.dumps({"accounts": accounts}, option=orjson.OPT_INDENT_2)


def save_secret(file: Path, content: bytes) -> None:
    """Write a new file that only its owner reads, on disk when this returns. Raises FileExistsError."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET_MODE)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
