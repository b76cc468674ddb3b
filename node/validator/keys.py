"""Validator keys: the file they lie in, what they sign with, and their RANDAO onions.

    keys.json (mode 0600) -> load_keys -> ValidatorKey -> Signer

Nothing here is ever logged or shown: `repr` gives the public key only.
"""

from __future__ import annotations

import stat
from functools import lru_cache
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import BaseModel, ConfigDict, ValidationError

from node.consensus.randao import onion_layer
from node.eth.hashing import keccak256
from node.eth.primitives import Hash32

KEYS_MAX: Final = 256
"""Keys in one file: the registry holds no more validators."""

KEY_FILE_BYTES_MAX: Final = 1 << 20
"""A key file is never longer."""

ONIONS_KEPT: Final = 3
"""Onions of a key whose layers are remembered: the current one, the next, and one for a fork."""


class KeyFileError(Exception):
    """A key file that cannot be used; the message never holds a key."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    private_key: str
    onion_seed: str


class _KeyFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    keys: list[_Entry]


class ValidatorKey:
    """One validator's secrets."""

    __slots__ = ("_layers", "_private", "_seed", "public_key")

    def __init__(self, *, private_key: bytes, onion_seed: bytes) -> None:
        """Take both seeds; 32 bytes each."""
        self._private = Ed25519PrivateKey.from_private_bytes(private_key)
        self._seed = onion_seed
        self._layers = lru_cache(maxsize=ONIONS_KEPT)(self._peel)
        self.public_key = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        """Ed25519; 32 bytes."""

    def __repr__(self) -> str:
        return f"ValidatorKey(0x{self.public_key.hex()})"

    def sign(self, message: Hash32) -> bytes:
        """Sign 32 bytes, whatever they are: only the signer and the faults call this."""
        return self._private.sign(message)

    def reveal_and_renewal(self, reveals: int, layers: int) -> tuple[Hash32, Hash32]:
        """Both RANDAO fields of the key's next payload, after so many reveals in that chain."""
        onion, place = divmod(reveals, layers)
        return self._layers(onion, layers)[place], self.commitment(onion + 1, layers)

    def commitment(self, onion: int, layers: int) -> Hash32:
        """The tip of one of its onions; onion 0 is what a genesis or a deposit commits to."""
        return keccak256(self._layers(onion, layers)[0])

    def _peel(self, onion: int, layers: int) -> tuple[Hash32, ...]:
        """Layers of an onion in the order of their reveal, each hashed once."""
        peeled = [onion_layer(self._seed, onion * layers + layers - 1, layers)]
        for _ in range(layers - 1):
            peeled.append(keccak256(peeled[-1]))
        return tuple(reversed(peeled))


def load_keys(file: Path) -> list[ValidatorKey]:
    """Read a key file.

    Raises:
        KeyFileError: it cannot be read, others may read it, or its contents are wrong.
    """
    try:
        mode = file.stat().st_mode
        document = file.read_bytes() if stat.S_ISREG(mode) else b""
    except OSError as error:
        raise KeyFileError(f"{file}: cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        raise KeyFileError(f"{file}: is no regular file")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyFileError(
            f"{file}: mode is {stat.S_IMODE(mode):04o}, others can get at it; want 0600"
        )
    if len(document) > KEY_FILE_BYTES_MAX:
        raise KeyFileError(f"{file}: {len(document)} bytes, at most {KEY_FILE_BYTES_MAX} are read")
    try:
        entries = _KeyFile.model_validate_json(document).keys
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "(whole file)"
        raise KeyFileError(f"{file}: {place}: {first['type']}") from None
    if not 0 < len(entries) <= KEYS_MAX:
        raise KeyFileError(f"{file}: keys: {len(entries)} entries, want 1 to {KEYS_MAX}")
    keys = [
        ValidatorKey(
            private_key=_seed(file, f"keys.{index}.private_key", entry.private_key),
            onion_seed=_seed(file, f"keys.{index}.onion_seed", entry.onion_seed),
        )
        for index, entry in enumerate(entries)
    ]
    if len({key.public_key for key in keys}) != len(keys):
        raise KeyFileError(f"{file}: keys: a private key stands there twice")
    return keys


def _seed(file: Path, place: str, text: str) -> bytes:
    try:
        seed = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        seed = b""
    if len(seed) != 32:
        raise KeyFileError(f"{file}: {place}: want 64 hex digits")
    return seed
