"""What an L2 process reads from files at its start: genesis documents and keys.

Deliberately absent: the configuration file, which names them (config), and L1's consensus (node.app.assembly).
"""

from __future__ import annotations

from pathlib import Path

import orjson

from node.app.assembly import GENESIS_BYTES_MAX
from node.app.failures import SetupError
from node.errors import Rejected
from node.eth.primitives import Hash32
from node.rollup.parameters import RollupParameters, parse, parse_l2_genesis_hash
from sequencer.batching.signing import L1Account


def read_file(file: Path) -> bytes:
    """A genesis file. Raises SetupError."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise SetupError(f"{file}: cannot be read: {error.strerror}") from error
    if len(raw) > GENESIS_BYTES_MAX:
        raise SetupError(f"{file}: {len(raw)} bytes, at most {GENESIS_BYTES_MAX} are read")
    return raw


def read_rollup(file: Path, document: bytes) -> tuple[RollupParameters, Hash32]:
    """What L1's genesis file says of the rollup: its parameters and its genesis hash. Raises SetupError."""
    rollup = orjson.loads(document).get("rollup")
    if rollup is None:
        raise SetupError(f"{file}: no object `rollup`: this network has no L2")
    try:
        return parse(rollup), parse_l2_genesis_hash(rollup)
    except Rejected as error:
        raise SetupError(f"{file}: {error.message}") from error


def read_secret(file: Path, key: str) -> bytes:
    """A secret of 32 bytes. Raises SetupError."""
    try:
        secret = bytes.fromhex(file.read_text().strip().removeprefix("0x"))
    except (OSError, ValueError) as error:
        raise SetupError(f"{key} {file}: cannot be used: {error}") from None
    if len(secret) != 32:
        raise SetupError(f"{key} {file}: want 64 hex digits")
    return secret


def read_account(file: Path | None, key: str, chain_id: int) -> L1Account | None:
    """An account that pays on L1; None without a file. Raises SetupError."""
    if file is None:
        return None
    try:
        return L1Account(read_secret(file, key), chain_id)
    except ValueError as error:
        raise SetupError(f"{key} {file}: cannot be used: {error}") from None
