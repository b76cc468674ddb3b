"""Arguments of calls: from JSON to sized values, with geth's complaints.

    params -> address(params, 0), block_id(params, 1), ... -> handler

Each reader takes the whole list and a position, so that its error can name the argument (-32602). A missing required
argument and an explicit null read the same, as in geth.
What a call object holds is left to the engine, which decodes it: it is only checked to be an object and passed on as JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import orjson

from node.eth.primitives import Address, Hash32
from node.rpc.jsonrpc import INVALID_PARAMS, RpcError

Params = Sequence[object]
"""Positional arguments, as JSON values."""

UINT64_MAX: Final = (1 << 64) - 1
INT64_MAX: Final = (1 << 63) - 1
STORAGE_KEYS_MAX: Final = 1_024
"""Storage slots in one request: geth's limit."""


class Tag(StrEnum):
    """A block by its role."""

    LATEST = "latest"
    SAFE = "safe"
    FINALIZED = "finalized"
    PENDING = "pending"
    EARLIEST = "earliest"


@dataclass(frozen=True, slots=True)
class BlockHash:
    """A block by its hash (EIP-1898)."""

    hash: Hash32
    """Its hash."""
    require_canonical: bool = False
    """Whether it must lie on the chain of the head."""


BlockId = Tag | int | BlockHash
"""A block by role, number or hash."""

_TAGS: Final = {tag.value: tag for tag in Tag}


def invalid(index: int, problem: str) -> RpcError:
    """The error for an argument that is malformed."""
    return RpcError(INVALID_PARAMS, f"invalid argument {index}: {problem}")


def missing(index: int) -> RpcError:
    """The error for an argument that is not there."""
    return RpcError(INVALID_PARAMS, f"missing value for required argument {index}")


def positional(params: object, arguments_max: int) -> Params:
    """The list of arguments. Raises RpcError when it is no list or too long."""
    if params is None:
        return ()
    if not isinstance(params, list):
        raise RpcError(INVALID_PARAMS, "non-array args")
    at_most(params, arguments_max)
    return params


def at_most(params: Params, arguments_max: int) -> None:
    """Raise RpcError when there are more arguments."""
    if len(params) > arguments_max:
        raise RpcError(INVALID_PARAMS, f"too many arguments, want at most {arguments_max}")


def optional(params: Params, index: int) -> object:
    """An argument, or None where it is absent."""
    return params[index] if index < len(params) else None


def required(params: Params, index: int) -> object:
    """An argument. Raises RpcError when it is absent or null."""
    value = params[index] if index < len(params) else None
    if value is None:
        raise missing(index)
    return value


# -- bytes of fixed and of any length


def address(params: Params, index: int) -> Address:
    """20 bytes."""
    return Address(_fixed(required(params, index), 20, "common.Address", index))


def hash32(params: Params, index: int) -> Hash32:
    """32 bytes."""
    return Hash32(_fixed(required(params, index), 32, "common.Hash", index))


def data(params: Params, index: int) -> bytes:
    """Any number of bytes."""
    return _hex_bytes(required(params, index), "hexutil.Bytes", index)


def decode_address(value: object, index: int) -> bytes:
    """20 bytes out of a part of an argument."""
    return _fixed(value, 20, "common.Address", index)


def decode_hash(value: object, index: int) -> bytes:
    """32 bytes out of a part of an argument."""
    return _fixed(value, 32, "common.Hash", index)


def _fixed(value: object, length: int, go_type: str, index: int) -> bytes:
    if type(value) is str and len(value) == 2 * length + 2 and value.startswith("0x"):
        try:
            decoded = bytes.fromhex(value[2:])
        except ValueError:
            decoded = b""
        if len(decoded) == length:  # fromhex skips blanks
            return decoded
    if isinstance(value, str) and value[:2] in ("0x", "0X") and not len(value) % 2:
        _want_length(len(value) - 2, length, go_type, index)
    decoded = _hex_bytes(value, go_type, index)
    _want_length(2 * len(decoded), length, go_type, index)
    return decoded


def _want_length(digits: int, length: int, go_type: str, index: int) -> None:
    if digits != 2 * length:
        raise invalid(index, f"hex string has length {digits}, want {2 * length} for {go_type}")


def _hex_bytes(value: object, go_type: str, index: int) -> bytes:
    if not isinstance(value, str):
        raise invalid(index, f"json: cannot unmarshal non-string into Go value of type {go_type}")
    try:
        return decode_hex(value)
    except ValueError as problem:
        told = f"json: cannot unmarshal {problem} into Go value of type {go_type}"
        raise invalid(index, told) from None


def decode_hex(value: str) -> bytes:
    """Any number of bytes. Raises ValueError that says what is wrong, in geth's words."""
    if not value:
        return b""
    if value[:2] not in ("0x", "0X"):
        raise ValueError("hex string without 0x prefix")
    if len(value) % 2:
        raise ValueError("hex string of odd length")
    decoded = _from_hex(value[2:])
    if decoded is None:
        raise ValueError("invalid hex string")
    return decoded


def _from_hex(digits: str) -> bytes | None:
    """Decode an even number of hex digits; None where there are other characters."""
    try:
        decoded = bytes.fromhex(digits)
    except ValueError:
        return None
    return decoded if 2 * len(decoded) == len(digits) else None


# -- quantities


def _quantity_problem(text: str, bits: int) -> str:
    """Why a text is no quantity of so many bits, in geth's words; empty if it is one."""
    if not text:
        return "empty hex string"
    if text[:2] not in ("0x", "0X"):
        return "hex string without 0x prefix"
    digits = text[2:]
    if not digits:
        return 'hex string "0x"'
    if len(digits) > 1 and digits[0] == "0":
        return "hex number with leading zero digits"
    if len(digits) > bits // 4:
        return f"hex number > {bits} bits"
    if any(digit not in "0123456789abcdefABCDEF" for digit in digits):
        return "invalid hex string"
    return ""


def quantity(params: Params, index: int, go_type: str = "hexutil.Uint64", bits: int = 64) -> int:
    """A number with as many bits as given."""
    return decode_quantity(required(params, index), index, go_type, bits)


def decode_quantity(value: object, index: int, go_type: str, bits: int = 64) -> int:
    """A number with as many bits as given, out of a part of an argument."""
    if not isinstance(value, str):
        raise invalid(index, f"json: cannot unmarshal non-string into Go value of type {go_type}")
    if not value:
        return 0  # as geth's hexutil
    problem = _quantity_problem(value, bits)
    if problem:
        raise invalid(index, f"json: cannot unmarshal {problem} into Go value of type {go_type}")
    return int(value, 16)


def decimal_or_hex(params: Params, index: int) -> int:
    """A number of 64 bits as hex or, as old callers send it, in decimal (`eth_feeHistory`'s first)."""
    value = required(params, index)
    if type(value) is int and 0 <= value <= UINT64_MAX:
        return value
    if isinstance(value, str):
        if len(value) <= 19 and value.isascii() and value.isdecimal():
            return int(value)
        if not _quantity_problem(value, 64):
            return int(value, 16)
    written = value if isinstance(value, str) else encode(value, index).decode()
    raise invalid(index, f'invalid hex or decimal integer "{written[:80]}"')


def integer(params: Params, index: int, go_type: str, maximum: int) -> int:
    """A number as JSON writes it, which is how Otterscan sends them; quantities are taken too."""
    value = required(params, index)
    if type(value) is int and 0 <= value <= maximum:
        return value
    if isinstance(value, str) and not _quantity_problem(value, 64) and int(value, 16) <= maximum:
        return int(value, 16)
    found = f"number {value}" if type(value) is int else _kind(value)
    raise invalid(index, f"json: cannot unmarshal {found} into Go value of type {go_type}")


# -- blocks


def block_id(params: Params, index: int, default: BlockId = Tag.LATEST) -> BlockId:
    """A block by tag, number, hash or EIP-1898 object; the default where it is absent."""
    value = params[index] if index < len(params) else None
    if value == "latest":
        return Tag.LATEST
    if value is None:
        return default
    if isinstance(value, dict):
        return _block_object(value, index)
    if not isinstance(value, str):
        kind = (
            "bool" if isinstance(value, bool) else "array" if isinstance(value, list) else "number"
        )
        raise invalid(index, f"json: cannot unmarshal {kind} into Go value of type string")
    if len(value) == 66:
        return BlockHash(Hash32(_fixed(value, 32, "common.Hash", index)))
    return _number(value, index, "blocknumber too high")


def required_block_id(params: Params, index: int) -> BlockId:
    """A block by tag, number, hash or EIP-1898 object, which must be there."""
    required(params, index)
    return block_id(params, index)


def block_number(params: Params, index: int) -> BlockId:
    """A block by tag or number."""
    value = required(params, index)
    text = value if isinstance(value, str) else str(value)
    return _number(text, index, "block number larger than int64")


def own_block_number(params: Params, index: int) -> BlockId:
    """A block by tag, quantity or JSON integer: methods that are no other client's take all three."""
    if isinstance(required(params, index), str):
        return block_number(params, index)
    return integer(params, index, "uint64", INT64_MAX)


def _block_object(value: dict[str, object], index: int) -> BlockId:
    number, block_hash = value.get("blockNumber"), value.get("blockHash")
    canonical = value.get("requireCanonical")
    if number is not None and block_hash is not None:
        raise invalid(
            index, "cannot specify both BlockHash and BlockNumber, choose one or the other"
        )
    if canonical is not None and not isinstance(canonical, bool):
        raise invalid(index, "requireCanonical must be a boolean")
    if block_hash is not None:
        return BlockHash(Hash32(_fixed(block_hash, 32, "common.Hash", index)), bool(canonical))
    if number is None:
        raise invalid(index, "must specify either BlockHash or BlockNumber")
    text = number if isinstance(number, str) else str(number)
    return _number(text, index, "blocknumber too high")


def _number(text: str, index: int, too_high: str) -> BlockId:
    tag = _TAGS.get(text)
    if tag is not None:
        return tag
    problem = _quantity_problem(text, 64)
    if problem:
        raise invalid(index, problem)
    number = int(text, 16)
    if number > INT64_MAX:
        raise invalid(index, too_high)
    return number


# -- others


def boolean(params: Params, index: int, *, default: bool | None = None) -> bool:
    """True or false; the default, if there is one, where it is absent."""
    value = optional(params, index)
    if value is None and default is not None:
        return default
    if value is None:
        raise missing(index)
    if not isinstance(value, bool):
        raise invalid(index, f"json: cannot unmarshal {_kind(value)} into Go value of type bool")
    return value


def text(params: Params, index: int, go_type: str = "string") -> str:
    """A string."""
    value = required(params, index)
    if not isinstance(value, str):
        raise unfit(value, index, go_type)
    return value


def unfit(value: object, index: int, go_type: str) -> RpcError:
    """The error for a value of another kind than wanted."""
    return invalid(index, f"json: cannot unmarshal {_kind(value)} into Go value of type {go_type}")


def json_object(params: Params, index: int, go_type: str) -> bytes:
    """An object, as JSON text again."""
    value = required(params, index)
    if not isinstance(value, dict):
        raise invalid(
            index, f"json: cannot unmarshal {_kind(value)} into Go value of type {go_type}"
        )
    return encode(value, index)


def optional_json_object(params: Params, index: int, go_type: str) -> bytes | None:
    """An object, as JSON text again; None where it is absent."""
    return None if optional(params, index) is None else json_object(params, index, go_type)


def encode(value: object, index: int) -> bytes:
    """JSON text of a part of an argument. Raises RpcError when it is nested too deeply."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise invalid(index, str(error)) from error


def storage_key(value: object, index: int) -> tuple[bytes, int]:
    """A storage slot, 32 bytes, and how many bytes were given: short forms are allowed."""
    if not isinstance(value, str):
        raise invalid(index, f"json: cannot unmarshal {_kind(value)} into Go value of type string")
    digits = value[2:] if value[:2] in ("0x", "0X") else value
    if len(digits) % 2:
        digits = "0" + digits
    if len(digits) > 64:
        raise RpcError(
            INVALID_PARAMS,
            f'unable to decode storage key: "{value[:80]}": storage key too long (want at most 32 bytes)',
        )
    decoded = _from_hex(digits)
    if decoded is None:
        raise RpcError(
            INVALID_PARAMS,
            f'unable to decode storage key: "{value[:80]}": invalid hex in storage key',
        )
    return decoded.rjust(32, b"\0"), len(decoded)


def _kind(value: object) -> str:
    """What Go calls a JSON value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, dict) else "array"
