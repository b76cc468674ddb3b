"""The constants of one rollup: the object `rollup` of both genesis files.

    genesis.json, l2-genesis.json -> parse -> RollupParameters -> every rule of this package
                                                              -> config_hash (what STEP and a game name the rules by)

Deliberately absent: limits that no network may choose (`limits`), and files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from node.contracts.addresses import INBOX, PORTAL
from node.errors import Rejected
from node.eth import rlp
from node.eth.hashing import keccak256
from node.eth.primitives import Address, Hash32
from node.rollup.limits import ATTRIBUTES_GAS, MAX_DEPOSITS_GAS, MAX_UINT64
from node.rollup.reasons import RollupReason

L2_GENESIS_HASH_KEY: Final = "l2_genesis_hash"
"""The one further key, in L1's genesis only: the L2's genesis does not depend on L1's, but L1's on the L2's."""

BATCH_OVERHEAD_BYTES: Final = 256
"""What a batch of one block may take beside the block's transactions."""

_MAX_UINT32 = (1 << 32) - 1

_RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "chain_id": (1, (1 << 53) - 1),
    "l1_chain_id": (1, (1 << 53) - 1),
    "sequencing_window_blocks": (1, 8_000),
    "max_drift_seconds": (1, 1 << 31),
    "gas_limit": (ATTRIBUTES_GAS + MAX_DEPOSITS_GAS, 7_000_000),
    "witness_limit_bytes": (65_536, 270_336),
    "batch_limit_bytes": (1, 32_768),
    "decompressed_limit_bytes": (1, 262_144),
    "transactions_limit_bytes": (1, 31_744),
    "base_fee_wei": (1, MAX_UINT64),
    "l1_base_fee_scalar": (0, _MAX_UINT32),
    "l1_blob_base_fee_scalar": (0, _MAX_UINT32),
    "operator_fee_scalar": (0, _MAX_UINT32),
    "operator_fee_constant": (0, MAX_UINT64),
}
"""What each number may be, both ends included. Larger limits of a block would make some that no L1 transaction can prove."""

_LENGTHS: Final[Mapping[str, int]] = {"inbox": 20, "portal": 20, "batcher": 20, "sequencer_key": 32}
"""Bytes of each of the others."""

_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")


@dataclass(frozen=True, slots=True, kw_only=True)
class RollupParameters:
    """What a network chooses; the order of the fields is that of `config_hash`."""

    chain_id: int = 901
    """EIP-155 chain id of the L2."""
    l1_chain_id: int = 900
    """EIP-155 chain id of the L1."""
    inbox: Address = INBOX
    """Contract of the records; 20 bytes."""
    portal: Address = PORTAL
    """Contract of the deposits; 20 bytes."""
    batcher: Address
    """The only account that may append a batch; 20 bytes."""
    sequencer_key: bytes
    """Ed25519 public key that signs unsafe blocks; 32 bytes."""
    sequencing_window_blocks: int = 30
    """L1 blocks after which anyone may move the origin on with an empty record."""
    max_drift_seconds: int = 600
    """How far a block's timestamp may lie above its origin's."""
    gas_limit: int = 7_000_000
    """Gas limit of every block: with the witness limit, what STEP can re-execute in one L1 transaction."""
    witness_limit_bytes: int = 270_336
    """Most witness of a block."""
    batch_limit_bytes: int = 32_768
    """Most bytes of a batch as posted."""
    decompressed_limit_bytes: int = 262_144
    """Most bytes of a batch decompressed."""
    transactions_limit_bytes: int = 31_744
    """Most bytes of a block's raw transactions, deposits not counted."""
    base_fee_wei: int = 1_000_000
    """Base fee of every block: a moving one would move sevenfold a second over blocks of milliseconds."""
    l1_base_fee_scalar: int = 3_000_000
    """Millionths; times 16 the L1 gas a byte costs: 40 as calldata (EIP-7623), 8 in the log."""
    l1_blob_base_fee_scalar: int = 0
    """Millionths; batches are no blobs here."""
    operator_fee_scalar: int = 0
    """Millionths of a wei for each gas (Isthmus)."""
    operator_fee_constant: int = 0
    """Wei for each transaction (Isthmus)."""

    def document(self) -> dict[str, object]:
        """Write the object `rollup` of a genesis file; `parse` reads it back."""
        return {entry.name: _written(getattr(self, entry.name)) for entry in fields(self)}

    def config_hash(self) -> Hash32:
        """Name these rules: keccak-256 of the RLP of all fields in order."""
        return keccak256(
            rlp.encode([_encodable(getattr(self, entry.name)) for entry in fields(self)])
        )


def parse(document: object) -> RollupParameters:
    """Read the object `rollup` of a genesis file. Raises Rejected(PARAMETERS) with key, finding and wish."""
    found = _mapping(document)
    known = [entry.name for entry in fields(RollupParameters)]
    if unknown := sorted(set(found) - {*known, L2_GENESIS_HASH_KEY}):
        raise _wrong(unknown[0], "an unknown key", f"one of {sorted(known)}")
    if missing := [name for name in known if name not in found]:
        raise _wrong(missing[0], "nothing", "this key")
    numbers = {name: _integer(found[name], name, *_RANGES[name]) for name in _RANGES}
    least = numbers["transactions_limit_bytes"] + BATCH_OVERHEAD_BYTES
    if numbers["batch_limit_bytes"] < least:
        wish = f"at least {least}, so that every block fits into a batch"
        raise _wrong("batch_limit_bytes", str(numbers["batch_limit_bytes"]), wish)
    inbox, portal, batcher, key = (_hex(found[name], name, _LENGTHS[name]) for name in _LENGTHS)
    if inbox == portal:
        raise _wrong("portal", "the inbox's address", "an address of its own")
    return RollupParameters(
        inbox=Address(inbox),
        portal=Address(portal),
        batcher=Address(batcher),
        sequencer_key=key,
        **numbers,
    )


def parse_l2_genesis_hash(document: object) -> Hash32:
    """Read the L2's genesis hash from the object `rollup` of L1's genesis. Raises Rejected(PARAMETERS)."""
    found = _mapping(document)
    if L2_GENESIS_HASH_KEY not in found:
        raise _wrong(L2_GENESIS_HASH_KEY, "nothing", "this key")
    return Hash32(_hex(found[L2_GENESIS_HASH_KEY], L2_GENESIS_HASH_KEY, 32))


def _written(value: object) -> object:
    return "0x" + value.hex() if isinstance(value, bytes) else value


def _encodable(value: object) -> rlp.Encodable:
    assert isinstance(value, (bytes, int)), "a parameter is bytes or a number"
    return value


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise Rejected(RollupReason.PARAMETERS, f"rollup: found {_shown(value)}, want an object")
    return value


def _integer(value: object, name: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise _wrong(name, _shown(value), f"an integer from {least} to {most}")
    return value


def _hex(value: object, name: str, length: int) -> bytes:
    is_hex = isinstance(value, str) and value.startswith("0x") and set(value[2:]) <= _HEX_DIGITS
    if not isinstance(value, str) or not is_hex or len(value) != 2 + 2 * length:
        raise _wrong(name, _shown(value), f"{length} bytes as 0x and {2 * length} hex digits")
    return bytes.fromhex(value[2:])


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def _wrong(name: str, found: str, wanted: str) -> Rejected:
    return Rejected(RollupReason.PARAMETERS, f"rollup.{name}: found {found}, want {wanted}")
