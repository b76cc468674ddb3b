"""The two hash functions of the protocol: keccak-256 for what Ethereum hashes, SHA-256 for the state's Merkle tree.

Called from every rule that names a thing by its hash.
Deliberately absent: any other hash, and any choice of one.
"""

from __future__ import annotations

from hashlib import sha256 as _sha256

from Crypto.Hash import keccak as _keccak

from node.eth.primitives import Hash32


def keccak256(data: bytes) -> Hash32:
    """Hash bytes as Ethereum does; 32 bytes (the original Keccak padding, not SHA-3's)."""
    return Hash32(_keccak.new(digest_bits=256, data=data).digest())


def sha256(data: bytes) -> Hash32:
    """Hash bytes with SHA-256; 32 bytes."""
    return Hash32(_sha256(data).digest())
