"""What an L2 process reads from files at its start: keys.

Deliberately absent: the configuration file, which names them (config), and genesis documents (node.app).
"""

from __future__ import annotations

from pathlib import Path

from node.app.failures import SetupError
from sequencer.batching.signing import L1Account


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
