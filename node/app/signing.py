"""What a process signs with: its keys, and the locked history of what they have signed.

    keys.json, signer.sqlite, the chain on disk -> open_signing -> Signing -> node.validator
    python -m node --config FILE --export-protection | --import-protection FILE -> EIP-3076 interchange

A key without history is taken for new only if the chain on disk does not know it: a lost signer database beside an
existing chain must stop the process, or the key would contradict what it signed before.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.app.failures import SetupError, prepare_folder
from node.config import NodeConfig
from node.consensus.genesis import Genesis
from node.consensus.state import decode_state
from node.errors import Corruption, Rejected
from node.eth.primitives import Hash32
from node.storage.chain_database import ChainDatabase
from node.validator.interchange import InterchangeError, export_history, import_history
from node.validator.keys import KeyFileError, ValidatorKey, load_keys
from node.validator.slashing_protection import ProtectionError, SlashingProtection

SIGNER_FILE: Final = "signer.sqlite"
"""The signer's database in a data folder."""

INTERCHANGE_BYTES_MAX: Final = 64 << 20
"""An interchange file is never longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """What a process signs with."""

    keys: Sequence[ValidatorKey] = ()
    """Its validators."""
    protection: SlashingProtection | None = None
    """Their history."""
    fresh_keys: frozenset[bytes] = frozenset()
    """Keys that had no history before this run."""


def open_signing(
    config: NodeConfig,
    genesis: Genesis,
    genesis_hash: Hash32,
    database: ChainDatabase,
    closing: ExitStack,
) -> Signing:
    """Load the keys and lock their history. Raises SetupError, Corruption."""
    if config.keys_file is None:
        return Signing()
    try:
        keys = load_keys(config.keys_file)
        protection = closing.enter_context(_protection(config, genesis, genesis_hash))
        public_keys = [key.public_key for key in keys]
        unknown = frozenset(public_keys) - known_keys(database)
        fresh = protection.register(public_keys, new=unknown)
    except (KeyFileError, ProtectionError) as error:
        raise SetupError(str(error)) from error
    return Signing(keys=keys, protection=protection, fresh_keys=fresh)


def known_keys(database: ChainDatabase) -> frozenset[bytes]:
    """Public keys in the registry of the finalized state on disk; none where there is no chain yet.

    Raises Corruption.
    """
    if database.is_new():
        return frozenset()
    encoded = database.load_state(database.load_finalized().block_hash)
    if encoded is None:
        raise Corruption("the consensus state of the finalized block is missing")
    try:
        return frozenset(one.public_key for one in decode_state(encoded).validators)
    except Rejected as error:
        raise Corruption(f"the finalized consensus state is damaged: {error}") from error


def export_protection(config: NodeConfig, genesis: Genesis, genesis_hash: Hash32) -> bytes:
    """Every key's history in EIP-3076 form. Raises SetupError, Corruption."""
    try:
        with _protection(config, genesis, genesis_hash) as protection:
            return export_history(protection)
    except ProtectionError as error:
        raise SetupError(str(error)) from error


def import_protection(
    config: NodeConfig, genesis: Genesis, genesis_hash: Hash32, file: Path
) -> int:
    """Merge a history in EIP-3076 form; gives the number of keys. Raises SetupError, Corruption."""
    try:
        document = file.read_bytes()
        if len(document) > INTERCHANGE_BYTES_MAX:
            raise SetupError(f"{file}: {len(document)} bytes, at most {INTERCHANGE_BYTES_MAX}")
        with _protection(config, genesis, genesis_hash) as protection:
            return import_history(protection, document)
    except OSError as error:
        raise SetupError(f"{file}: cannot be read: {error.strerror}") from error
    except (ProtectionError, InterchangeError) as error:
        raise SetupError(f"{file}: {error}") from error


def _protection(config: NodeConfig, genesis: Genesis, genesis_hash: Hash32) -> SlashingProtection:
    prepare_folder(config.data_dir)
    return SlashingProtection(
        config.data_dir / SIGNER_FILE,
        genesis_hash=genesis_hash,
        slots_per_epoch=genesis.parameters.slots_per_epoch,
    )
