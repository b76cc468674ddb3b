"""STEP once more, by other people's libraries: pyrlp, eth-abi, brotli, eth-utils, hashlib, and nothing of `node.rollup`.

    input > eth_abi words, pyrlp tail > the same rules, said again from the text of node/rollup/README.md > the engine

Slow, and it gives no reasons: an output root, or None. What it shares with the real one is the engine that executes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import brotli  # type: ignore[import-untyped]
import rlp  # type: ignore[import-untyped]
from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError, EncodingError
from eth_abi.packed import encode_packed
from eth_utils.crypto import keccak

from node.errors import MissingState
from node.execution.adapter import RevmEngine
from node.execution.engine import L2Attributes
from node.rollup.parameters import RollupParameters

FIXED: Final = [
    "bytes32",
    "bytes32",
    "uint64",
    "uint8",
    "bytes32",
    "uint64",
    "uint32",
    "uint64",
    "uint64",
    "bytes32",
]
DEPOSITED: Final = keccak(b"TransactionDeposited(address,address,uint256,bytes)")
DEPOSITOR: Final = bytes.fromhex("deaddeaddeaddeaddeaddeaddeaddeaddead0001")
L1_BLOCK: Final = bytes.fromhex("4200000000000000000000000000000000000015")
ATTRIBUTES: Final = [
    "bytes4",
    "uint32",
    "uint32",
    "uint64",
    "uint64",
    "uint64",
    "uint256",
    "uint256",
    "bytes32",
    "bytes32",
    "uint32",
    "uint64",
]
UPDATE_FRACTION: Final = 11_684_671
"""Of the blob base fee on L1 (BPO2)."""

Tree = bytes | list["Tree"]


class Refused(Exception):
    """The input proves nothing."""


def must(holds: bool) -> None:
    """Refuse unless it holds."""
    if not holds:
        raise Refused


def second_step(parameters: RollupParameters, engine: RevmEngine, data: bytes) -> bytes | None:
    """The output root, or None where the input proves none."""
    try:
        return _Attempt(parameters, engine).root(data)
    except (Refused, DecodingError, EncodingError, rlp.exceptions.RLPException, MissingState):
        return None


@dataclass(frozen=True, slots=True)
class _Attempt:
    parameters: RollupParameters
    engine: RevmEngine

    def root(self, data: bytes) -> bytes:
        must(320 <= len(data) <= 352 * 1024)
        words = cast(
            tuple[bytes, bytes, int, int, bytes, int, int, int, int, bytes],
            decode(FIXED, data[:320]),
        )
        config, pre, number, kind, batch_hash, first, count, previous, last, origins = words
        must(config == self.parameters.config_hash())
        tail = rlp.decode(data[320:])
        must(isinstance(tail, list) and len(tail) == 8)
        must(all(isinstance(one, bytes) for one in tail[:6]))
        must(all(isinstance(one, list) and len(one) <= 8_192 for one in tail[6:]))
        must(all(isinstance(one, bytes) for many in tail[6:] for one in many))
        parent_header, batch, hashes, origin_header, request, digests, nodes, codes = tail
        advances = last - previous
        must(kind in (0, 1) and 1 <= count <= 512 and first >= 1 and first + count < 1 << 64)
        must(0 <= advances <= min(count, 256) and first <= number < first + count)
        must(kind == 0 or (count == advances and batch_hash == bytes(32) and batch == b""))
        must(kind == 1 or keccak(batch) == batch_hash)
        must(len(hashes) == 32 * (advances + 1) and keccak(hashes) == origins)
        parent = _header(parent_header)
        must(_number(parent[8]) == number - 1 and keccak(_output(parent)) == pre)
        must(_number(parent[9]) == self.parameters.gas_limit)
        must(_number(parent[15], 256) == self.parameters.base_fee_wei)
        entries = self._entries(kind, batch, count, advances)
        place = number - first
        claimed, is_new, raws = entries[place]
        steps = sum(one[1] for one in entries[: place + 1])
        must(keccak(origin_header) == hashes[32 * steps : 32 * steps + 32])
        origin = _header(origin_header)
        must(_number(origin[8]) == previous + steps)
        deposits: list[bytes] = []
        if is_new:
            must(len(digests) % 32 == 0 and (request != b"" or digests == b""))
            tips = digests + hashlib.sha256(request).digest() if request else b""
            must(hashlib.sha256(tips).digest() == origin[20])
            deposits = [self._attributes(origin, keccak(origin_header))]
            deposits += _users(keccak(origin_header), request)
        drifted = min(_number(origin[11]) + self.parameters.max_drift_seconds, (1 << 64) - 1)
        time = max(_number(parent[11]), _number(origin[11]), min(claimed, drifted))
        fits = sum(map(len, raws)) <= self.parameters.transactions_limit_bytes
        told = L2Attributes(
            timestamp=time,
            mix_hash=origin[13],  # type: ignore[arg-type]
            parent_beacon_block_root=origin[19],  # type: ignore[arg-type]
        )
        derived = self.engine.derive_stateless(
            parent_header, told, deposits, raws if fits else [], nodes, codes
        )
        block = rlp.decode(derived.result.block)
        return keccak(_output(block[0]))

    def _entries(
        self, kind: int, batch: bytes, count: int, advances: int
    ) -> list[tuple[int, bool, list[bytes]]]:
        """Claimed time, whether the origin advances, and transactions, of every block of the record."""
        found = None if kind else self._content(batch, count)
        if found is None or sum(one[1] for one in found) != advances:
            return [(0, place < advances, []) for place in range(count)]
        return found

    def _content(self, batch: bytes, count: int) -> list[tuple[int, bool, list[bytes]]] | None:
        if len(batch) > self.parameters.batch_limit_bytes:
            return None
        plain = _inflated(batch, self.parameters.decompressed_limit_bytes)
        if plain is None:
            return None
        try:
            version, blocks = rlp.decode(plain)
            must(version == b"\x01" and isinstance(blocks, list) and len(blocks) == count)
            return [_entry(one) for one in blocks]
        except (Refused, ValueError, TypeError, rlp.exceptions.RLPException):
            return None

    def _attributes(self, origin: list[bytes], origin_hash: bytes) -> bytes:
        values = (
            bytes.fromhex("098999be"),
            self.parameters.l1_base_fee_scalar,
            self.parameters.l1_blob_base_fee_scalar,
            0,
            _number(origin[11]),
            _number(origin[8]),
            _number(origin[15], 256),
            _blob_fee(_number(origin[18])),
            origin_hash,
            self.parameters.batcher.rjust(32, b"\0"),
            self.parameters.operator_fee_scalar,
            self.parameters.operator_fee_constant,
        )
        source = keccak((1).to_bytes(32) + keccak(origin_hash + bytes(32)))
        call = encode_packed(ATTRIBUTES, values)
        return b"\x7e" + _bytes(rlp.encode([source, DEPOSITOR, L1_BLOCK, 0, 0, 1_000_000, 0, call]))


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes)
    return value


def _header(encoded: bytes) -> list[bytes]:
    """The fields of a header, of the sizes that they must have."""
    must(len(encoded) <= 4_096)
    fields = rlp.decode(encoded)
    must(isinstance(fields, list) and len(fields) == 21)
    must(all(isinstance(one, bytes) for one in fields))
    sizes = {
        0: 32,
        1: 32,
        2: 20,
        3: 32,
        4: 32,
        5: 32,
        6: 256,
        13: 32,
        14: 8,
        16: 32,
        19: 32,
        20: 32,
    }
    must(all(len(fields[place]) == size for place, size in sizes.items()))
    must(len(fields[12]) <= 32)
    for place in (8, 9, 10, 11, 17, 18):
        _number(fields[place])
    for place in (7, 15):
        _number(fields[place], 256)
    return cast(list[bytes], fields)


def _number(item: bytes, bits: int = 64) -> int:
    must(item[:1] != b"\0" and 8 * len(item) <= bits)
    return int.from_bytes(item)


def _output(header: list[bytes]) -> bytes:
    return bytes(32) + header[3] + header[16] + keccak(_bytes(rlp.encode(header)))


def _inflated(data: bytes, limit: int) -> bytes | None:
    """One whole brotli stream of at most so many bytes."""
    machine, out, rest = brotli.Decompressor(), b"", data
    try:
        while not machine.is_finished():
            chunk = machine.process(rest, output_buffer_limit=65_536)
            rest, out = b"", out + chunk
            if len(out) > limit:
                return None
            if not chunk and not machine.is_finished() and machine.can_accept_more_data():
                return None
        return _bytes(brotli.decompress(data))
    except brotli.error:
        return None


def _entry(block: Tree) -> tuple[int, bool, list[bytes]]:
    if not isinstance(block, list) or len(block) != 3:
        raise Refused
    time, advance, raws = block
    must(isinstance(time, bytes) and advance in (b"", b"\x01") and isinstance(raws, list))
    must(all(isinstance(raw, bytes) for raw in raws))
    return _number(cast(bytes, time)), advance == b"\x01", cast(list[bytes], raws)


def _blob_fee(excess: int) -> int:
    """EIP-4844's series, and the largest word where it would be more."""
    if excess > 178 * UPDATE_FRACTION:
        return (1 << 256) - 1
    total, term, place = 0, UPDATE_FRACTION, 1
    while term:
        total += term
        term = term * excess // (UPDATE_FRACTION * place)
        place += 1
    return min(total // UPDATE_FRACTION, (1 << 256) - 1)


def _users(origin_hash: bytes, request: bytes) -> list[bytes]:
    """The deposits of a request: what is none is skipped."""
    if request[:1] != b"\x7e" or len(request) > 65_537:
        return []
    items = _cut(request[1:])
    found: list[bytes] = []
    highest, gas, size = -1, 0, 0
    for item in items if items is not None and len(items) <= 16 else []:
        log = _log(item)
        if log is None or log[0] <= highest:
            continue
        highest = log[0]
        fits = gas + log[5] <= 3_000_000 and size + len(log[7]) <= 32_768
        if fits:
            gas, size = gas + log[5], size + len(log[7])
            index, sender, to, mint, value, limit, is_new, data = log
            source = keccak(bytes(32) + keccak(origin_hash + index.to_bytes(32)))
            fields = [source, sender, b"" if is_new else to, mint, value, limit, 0, data]
            found.append(b"\x7e" + _bytes(rlp.encode(fields)))
    return found


def _cut(data: bytes) -> Sequence[bytes] | None:
    """Items one behind the other, their inside unread."""
    items, position = [], 0
    while position < len(data):
        try:
            _, _, length, start = _prefix(data, position)
        except (Refused, rlp.exceptions.DecodingError, IndexError):
            return None
        end = start + length
        if end > len(data):
            return None
        items.append(data[position:end])
        position = end
    return items


def _prefix(data: bytes, position: int) -> tuple[bytes, type, int, int]:
    """What stands before an item's payload, in its shortest form."""
    prefix, kind, length, start = rlp.codec.consume_length_prefix(data, position)
    must(
        length != 1
        or kind is not bytes
        or start == position
        or start >= len(data)
        or data[start] >= 0x80
    )
    return prefix, kind, length, start


def _log(item: bytes) -> tuple[int, bytes, bytes, int, int, int, bool, bytes] | None:
    """Index, sender, to, mint, value, gas, whether it creates, data."""
    try:
        fields = rlp.decode(item)
        index, topics, data = fields
        must(isinstance(index, bytes) and isinstance(topics, list) and isinstance(data, bytes))
        must(len(topics) == 4 and all(isinstance(one, bytes) and len(one) == 32 for one in topics))
        must(topics[0] == DEPOSITED and topics[3] == bytes(32))
        must(topics[1][:12] == topics[2][:12] == bytes(12))
        place = _number(index)
        (opaque,) = decode(["bytes"], data)
        must(encode(["bytes"], [opaque]) == data and len(opaque) >= 73)
    except (
        Refused,
        ValueError,
        TypeError,
        OverflowError,
        DecodingError,
        rlp.exceptions.RLPException,
    ):
        return None
    mint, value, gas = (
        int.from_bytes(part) for part in (opaque[:32], opaque[32:64], opaque[64:72])
    )
    if mint >> 128:
        return None
    return place, topics[1][12:], topics[2][12:], mint, value, gas, opaque[72] != 0, opaque[73:]
