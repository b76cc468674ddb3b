"""Slashing-protection histories in EIP-3076's interchange format, version 5.

    JSON -> read_interchange -> records -> import_history (merged into the rows)
    rows -> export_history -> JSON

`genesis_validators_root` is the genesis hash. Public keys are opaque bytes: 32 here, 48 in other clients' files.
Only marks travel: the format has no slots of votes, so an imported target closes its whole epoch, and a head-only vote
is exported as a target of its epoch. Both err on the side of not signing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from node.eth.primitives import Hash32
from node.validator.protection_rules import NOTHING, SigningRecord
from node.validator.slashing_protection import SlashingProtection

FORMAT_VERSION: Final = "5"
"""The only version."""

INTERCHANGE_BYTES_MAX: Final = 256 << 20
"""A file is never longer: complete histories of other clients are large."""

_NUMBER_MAX: Final = (1 << 63) - 1
"""SQLite's integers end here; slots and epochs never come near."""


_HEX_DIGITS: Final = frozenset("0123456789abcdefABCDEF")


class InterchangeError(Exception):
    """A file that cannot be imported; nothing of it was."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class _Metadata(_Part):
    interchange_format_version: str
    genesis_validators_root: str


class _Block(_Part):
    slot: str
    signing_root: str | None = None


class _Attestation(_Part):
    source_epoch: str
    target_epoch: str
    signing_root: str | None = None


class _History(_Part):
    pubkey: str
    signed_blocks: list[_Block]
    signed_attestations: list[_Attestation]


class _Interchange(_Part):
    metadata: _Metadata
    data: list[_History]


def read_interchange(
    document: bytes, *, genesis_hash: Hash32, slots_per_epoch: int
) -> dict[bytes, SigningRecord]:
    """Read a file into one record for each key.

    Raises:
        InterchangeError: no such file, another version, another chain.
    """
    if len(document) > INTERCHANGE_BYTES_MAX:
        raise InterchangeError(f"{len(document)} bytes, at most {INTERCHANGE_BYTES_MAX} are read")
    try:
        interchange = _Interchange.model_validate_json(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InterchangeError(f"{place or 'the file'}: {first['msg']}") from error
    metadata = interchange.metadata
    if metadata.interchange_format_version != FORMAT_VERSION:
        raise InterchangeError(
            f"metadata.interchange_format_version is {metadata.interchange_format_version!r}, "
            f"want {FORMAT_VERSION!r}"
        )
    root = _bytes("metadata.genesis_validators_root", metadata.genesis_validators_root)
    if root != genesis_hash:
        raise InterchangeError(
            f"metadata.genesis_validators_root is 0x{root.hex()}, this chain's genesis hash is "
            f"0x{genesis_hash.hex()}"
        )
    records: dict[bytes, SigningRecord] = {}
    for index, history in enumerate(interchange.data):
        key = _bytes(f"data.{index}.pubkey", history.pubkey)
        record = _record(f"data.{index}", history, slots_per_epoch)
        records[key] = records.get(key, SigningRecord()).merged(record)
    return records


def import_history(protection: SlashingProtection, document: bytes) -> int:
    """Merge a file into the database, all of it or nothing; gives the number of keys.

    Raises:
        InterchangeError: nothing was imported.
    """
    records = read_interchange(
        document,
        genesis_hash=protection.genesis_hash,
        slots_per_epoch=protection.slots_per_epoch,
    )
    with protection.transaction() as rows:
        for key, record in records.items():
            rows.save(key, (rows.load(key) or SigningRecord()).merged(record))
    return len(records)


def export_history(protection: SlashingProtection) -> bytes:
    """Write every key's marks as JSON."""
    return write_interchange(
        protection.records(),
        genesis_hash=protection.genesis_hash,
        slots_per_epoch=protection.slots_per_epoch,
    )


def write_interchange(
    records: Mapping[bytes, SigningRecord], *, genesis_hash: Hash32, slots_per_epoch: int
) -> bytes:
    """Write records as JSON."""
    document = {
        "metadata": {
            "interchange_format_version": FORMAT_VERSION,
            "genesis_validators_root": "0x" + genesis_hash.hex(),
        },
        "data": [
            {
                "pubkey": "0x" + key.hex(),
                "signed_blocks": _blocks(record),
                "signed_attestations": _attestations(record, slots_per_epoch),
            }
            for key, record in records.items()
        ],
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def _blocks(record: SigningRecord) -> list[dict[str, str]]:
    if record.last_block_slot == NOTHING:
        return []
    return [{"slot": str(record.last_block_slot)}]


def _attestations(record: SigningRecord, slots_per_epoch: int) -> list[dict[str, str]]:
    if record.last_vote_slot == NOTHING:
        return []
    target = max(record.last_target_epoch, record.last_vote_slot // slots_per_epoch)
    source = max(record.max_source_epoch, 0)
    return [{"source_epoch": str(source), "target_epoch": str(target)}]


def _record(place: str, history: _History, slots_per_epoch: int) -> SigningRecord:
    blocks = [
        _number(f"{place}.signed_blocks.{index}.slot", block.slot)
        for index, block in enumerate(history.signed_blocks)
    ]
    sources, targets = [NOTHING], [NOTHING]
    for index, attestation in enumerate(history.signed_attestations):
        where = f"{place}.signed_attestations.{index}"
        sources.append(_number(f"{where}.source_epoch", attestation.source_epoch))
        targets.append(_number(f"{where}.target_epoch", attestation.target_epoch))
    target = max(targets)
    return SigningRecord(
        last_block_slot=max(blocks, default=NOTHING),
        last_vote_slot=NOTHING if target == NOTHING else (target + 1) * slots_per_epoch - 1,
        max_source_epoch=max(sources),
        last_target_epoch=target,
    )


def _number(place: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise InterchangeError(f"{place}: {text[:32]!r} is no decimal number")
    number = int(text)
    if number > _NUMBER_MAX // 64:
        raise InterchangeError(f"{place}: {number} is beyond every slot and epoch")
    return number


def _bytes(place: str, text: str) -> bytes:
    digits = text.removeprefix("0x")
    whole = text.startswith("0x") and len(digits) % 2 == 0 and len(digits) <= 512
    if not whole or not set(digits) <= _HEX_DIGITS:
        raise InterchangeError(f"{place}: {text[:80]!r} is no 0x-prefixed hex string")
    return bytes.fromhex(digits)
