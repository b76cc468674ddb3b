"""Length of data after FastLZ, as op-revm's `flz_compress_len` and op-geth's `FlzCompressLen` count it.

Source: op-revm 20.0.0, src/fast_lz.rs, itself after solady's JavaScript.
"""

from __future__ import annotations

from typing import Final

INTERCEPT: Final = 42_585_600
SLOPE: Final = 836_500
LEAST: Final = 100_000_000
SIGNATURE_BYTES: Final = 68


def compressed_length(data: bytes) -> int:
    """Bytes that FastLZ leaves."""
    place, anchor, size = 2, 0, 0
    limit = max(len(data) - 13, 0)
    table = [0] * 8192
    while place < limit:
        while True:
            three = three_at(data, place)
            earlier, table[entry_of(three)] = table[entry_of(three)], place
            distance = place - earlier
            if place >= limit:
                break
            place += 1
            if distance < 8192 and three == three_at(data, earlier):
                break
        if place >= limit:
            break
        place -= 1
        if place > anchor:
            size = _literals(place - anchor, size)
        agreeing = _compare(data, earlier + 3, place + 3, limit + 9)
        size = _match(agreeing, size)
        place += agreeing
        for _ in range(2):
            table[entry_of(three_at(data, place))] = place
            place += 1
        anchor = place
    return _literals(len(data) - anchor, size)


def estimated_size(compressed: int) -> int:
    """Millionths of a byte (Fjord)."""
    return max(LEAST, compressed * SLOPE - INTERCEPT)


def l1_fee(
    compressed: int,
    *,
    base_fee: int,
    base_fee_scalar: int,
    blob_base_fee: int,
    blob_base_fee_scalar: int,
) -> int:
    """Wei (Fjord)."""
    scaled = base_fee * 16 * base_fee_scalar + blob_base_fee * blob_base_fee_scalar
    return estimated_size(compressed) * scaled // 10**12


def three_at(data: bytes | bytearray, place: int) -> int:
    """Three bytes as a number."""
    return int.from_bytes(data[place : place + 3], "little")


def entry_of(three: int) -> int:
    """Where the table keeps three bytes."""
    return ((three * 2654435769) >> 19) & 8191


def _literals(count: int, size: int) -> int:
    size += 33 * (count // 32)
    return size + count % 32 + 1 if count % 32 else size


def _match(agreeing: int, size: int) -> int:
    further = agreeing - 1
    size += 3 * (further // 262)
    return size + 3 if further % 262 >= 6 else size + 2


def _compare(data: bytes, there: int, here: int, end: int) -> int:
    """How many bytes agree; the first that differs is counted as well."""
    agreeing, most = 0, end - here
    while agreeing < most:
        agreeing += 1
        if data[there + agreeing - 1] != data[here + agreeing - 1]:
            break
    return agreeing
