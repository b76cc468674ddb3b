"""What a reverted call says: Solidity's Error(string) and Panic(uint256), worded as geth's abi.UnpackRevert does."""

from __future__ import annotations

from typing import Final

ERROR_SELECTOR: Final = bytes.fromhex("08c379a0")
"""Error(string)."""

PANIC_SELECTOR: Final = bytes.fromhex("4e487b71")
"""Panic(uint256)."""

PANICS: Final = {
    0x00: "generic panic",
    0x01: "assert(false)",
    0x11: "arithmetic underflow or overflow",
    0x12: "division or modulo by zero",
    0x21: "enum overflow",
    0x22: "invalid encoded storage byte array accessed",
    0x31: "out-of-bounds array access; popping on an empty array",
    0x32: "out-of-bounds access of an array or bytesN",
    0x41: "out of memory",
    0x51: "uninitialized function",
}
"""Panic codes of the Solidity compiler."""


def revert_reason(output: bytes) -> str | None:
    """The reason in revert data; None where it holds no standard one."""
    selector, arguments = output[:4], output[4:]
    if selector == PANIC_SELECTOR and len(arguments) >= 32:
        code = int.from_bytes(arguments[:32], "big")
        return PANICS.get(code, f"unknown panic code: {code:#x}")
    if selector != ERROR_SELECTOR or len(arguments) < 64:
        return None
    offset = int.from_bytes(arguments[:32], "big")
    start = offset + 32
    length = int.from_bytes(arguments[offset:start], "big")
    if start > len(arguments) or start + length > len(arguments):
        return None
    return arguments[start : start + length].decode("utf-8", "replace")
