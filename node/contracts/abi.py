"""Ethereum's contract ABI, as far as the network's own contracts need it.

    kinds, values -> encode -> calldata        log data, return data -> decode -> values, or Rejected

Encoding is canonical: tails lie in order, without gaps, padded with zeros. Decoding accepts nothing else, so that bytes
and values are one to one; what other encoders write canonically (Solidity, Vyper, viem) is accepted.
Tuples are written as signatures have them, "(uint256,bytes)", and their values are sequences.
A string's value is its bytes in UTF-8, which are not looked at.
Deliberately absent: signed and fixed-point numbers, arrays of arrays: no call or log of the node has them.

Source: Solidity documentation, "Contract ABI Specification".
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, TypeAlias

from node.errors import Rejected
from node.eth.hashing import keccak256

Value: TypeAlias = int | bytes | Sequence["Value"]
"""A number or a truth value, bytes of whatever length (addresses too), or a list of them."""

MAX_ITEMS: Final = 1_024
"""Most items of a decoded list."""

_WORD: Final = 32
_BYTE_STRINGS: Final = ("bytes", "string")


class AbiReason(StrEnum):
    """Why bytes are no encoding of the kinds that were asked for."""

    LENGTH = "length"
    """Too short, too long, or a list of too many items."""
    OFFSET = "offset"
    """A tail does not lie where a canonical encoding has it."""
    PADDING = "padding"
    """Bits outside a value's width are set."""


def selector(signature: str) -> bytes:
    """Name a function or an error; 4 bytes. `signature` is its name with kinds, without spaces."""
    return keccak256(signature.encode())[:4]


def encode_call(signature: str, *values: Value) -> bytes:
    """Encode a call by its signature. Raises ValueError for a value that its kind does not hold."""
    return selector(signature) + encode(kinds_of(signature), values)


def kinds_of(signature: str) -> tuple[str, ...]:
    """List the kinds of a signature's parameters."""
    return _members(signature[signature.index("(") :])


def encode(kinds: Sequence[str], values: Sequence[Value]) -> bytes:
    """Encode values of these kinds. Raises ValueError for a value that its kind does not hold."""
    if len(kinds) != len(values):
        raise ValueError(f"{len(values)} values for {len(kinds)} kinds")
    heads: list[bytes] = []
    tails: list[bytes] = []
    offset = _head_size(kinds)
    for kind, value in zip(kinds, values, strict=True):
        encoded = _encode_one(kind, value)
        if _is_dynamic(kind):
            heads.append(offset.to_bytes(_WORD))
            tails.append(encoded)
            offset += len(encoded)
        else:
            heads.append(encoded)
    return b"".join([*heads, *tails])


def decode(kinds: Sequence[str], data: bytes) -> tuple[Value, ...]:
    """Decode exactly these kinds: numbers, truth values as 0 or 1, bytes, lists. Raises Rejected with an AbiReason."""
    values, end = _decode_from(kinds, data, 0)
    if end != len(data):
        raise Rejected(AbiReason.LENGTH, f"{len(data) - end} bytes after the last value")
    return values


def _members(kind: str) -> tuple[str, ...]:
    """List the kinds of a tuple, those of inner tuples not taken apart."""
    inside, depth, start = kind[1:-1], 0, 0
    members: list[str] = []
    for at, letter in enumerate(inside):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            members.append(inside[start:at])
            start = at + 1
    return (*members, inside[start:]) if inside else ()


def _is_tuple(kind: str) -> bool:
    return kind.startswith("(") and kind.endswith(")")


def _is_dynamic(kind: str) -> bool:
    if _is_tuple(kind):
        return any(_is_dynamic(member) for member in _members(kind))
    return kind in _BYTE_STRINGS or kind.endswith("[]")


def _head_size(kinds: Sequence[str]) -> int:
    """Bytes before the tails of such a sequence."""
    return sum(
        _head_size(_members(kind)) if _is_tuple(kind) and not _is_dynamic(kind) else _WORD
        for kind in kinds
    )


def _encode_one(kind: str, value: Value) -> bytes:
    if kind.endswith("[]") or _is_tuple(kind):
        if isinstance(value, int | bytes):
            raise ValueError(f"{kind}: no list")
        if _is_tuple(kind):
            return encode(_members(kind), value)
        return len(value).to_bytes(_WORD) + encode([kind[:-2]] * len(value), value)
    if kind in _BYTE_STRINGS:
        if not isinstance(value, bytes):
            raise ValueError(f"{kind}: no bytes")
        return len(value).to_bytes(_WORD) + value + bytes(-len(value) % _WORD)
    if kind == "address" or kind.startswith("bytes"):
        size = _size(kind)
        if not isinstance(value, bytes) or len(value) != size:
            raise ValueError(f"{kind}: not {size} bytes")
        return value.rjust(_WORD, b"\0") if kind == "address" else value.ljust(_WORD, b"\0")
    bits = _size(kind)
    if not isinstance(value, int) or value < 0 or value.bit_length() > bits:
        raise ValueError(f"{kind}: {value!r} does not fit")
    return value.to_bytes(_WORD)


def _size(kind: str) -> int:
    """Bytes of an address or of fixed bytes; bits of a number or of a truth value."""
    if kind in ("address", "bool"):
        return 20 if kind == "address" else 1
    for prefix in ("bytes", "uint"):
        if kind.startswith(prefix) and kind.removeprefix(prefix).isdigit():
            return int(kind.removeprefix(prefix))
    raise ValueError(f"no kind that is known here: {kind}")


def _decode_from(kinds: Sequence[str], data: bytes, start: int) -> tuple[tuple[Value, ...], int]:
    """Decode a sequence of values that starts somewhere; gives them and where their tails end."""
    end = start + _head_size(kinds)
    values: list[Value] = []
    place = start
    for kind in kinds:
        if _is_tuple(kind) and not _is_dynamic(kind):
            member, place = _decode_from(_members(kind), data, place)
            values.append(member)
            continue
        word = _word(data, place)
        place += _WORD
        if not _is_dynamic(kind):
            values.append(_decode_word(kind, word))
            continue
        if int.from_bytes(word) != end - start:
            raise Rejected(AbiReason.OFFSET, f"{kind} at {int.from_bytes(word)}, not {end - start}")
        value, end = _decode_tail(kind, data, end)
        values.append(value)
    return tuple(values), end


def _decode_tail(kind: str, data: bytes, start: int) -> tuple[Value, int]:
    if _is_tuple(kind):
        return _decode_from(_members(kind), data, start)
    length = int.from_bytes(_word(data, start))
    start += _WORD
    if kind.endswith("[]"):
        if length > MAX_ITEMS:
            raise Rejected(AbiReason.LENGTH, f"{length} items, at most {MAX_ITEMS}")
        return _decode_from([kind[:-2]] * length, data, start)
    end = start + length
    padded = end + -length % _WORD
    if padded > len(data):
        raise Rejected(AbiReason.LENGTH, f"{length} bytes, {len(data) - start} left")
    if any(data[end:padded]):
        raise Rejected(AbiReason.PADDING, "behind bytes")
    return data[start:end], padded


def _decode_word(kind: str, word: bytes) -> Value:
    size = _size(kind)
    if kind.startswith("bytes"):
        value, padding = word[:size], word[size:]
    elif kind == "address":
        value, padding = word[_WORD - size :], word[: _WORD - size]
    else:
        number = int.from_bytes(word)
        if number >> size:
            raise Rejected(AbiReason.PADDING, f"{kind}: {number}")
        return number
    if any(padding):
        raise Rejected(AbiReason.PADDING, kind)
    return value


def _word(data: bytes, start: int) -> bytes:
    if start + _WORD > len(data):
        raise Rejected(AbiReason.LENGTH, f"{len(data)} bytes end within a word at {start}")
    return data[start : start + _WORD]
