from collections.abc import Callable, Sequence
from os import PathLike
from typing import TypeAlias

from node.errors import InvalidBlock

def keccak256(data: bytes) -> bytes: ...
def decode_batch(
    data: bytes, decompressed_limit: int, block_count: int
) -> list[tuple[int, bool, list[bytes]]] | None: ...
def encode_batch(blocks: Sequence[tuple[int, bool, Sequence[bytes]]], quality: int) -> bytes: ...
def verify_ed25519(items: Sequence[tuple[bytes, bytes, bytes]]) -> list[bool]: ...
def verify_blobs(items: Sequence[tuple[bytes, bytes, bytes]]) -> list[bool]: ...
def prove_blobs(items: Sequence[tuple[bytes, bytes, bytes]]) -> list[bytes | None]: ...
def commit_blob(blob: bytes) -> tuple[bytes, bytes] | None: ...

AccountOut: TypeAlias = tuple[int, int, bytes, bytes]

class NativeTransaction:
    @property
    def hash(self) -> bytes: ...
    @property
    def sender(self) -> bytes: ...
    @property
    def to(self) -> bytes | None: ...
    @property
    def kind(self) -> int: ...
    @property
    def nonce(self) -> int: ...
    @property
    def gas_limit(self) -> int: ...
    @property
    def value(self) -> int: ...
    @property
    def max_fee_per_gas(self) -> int: ...
    @property
    def max_priority_fee_per_gas(self) -> int: ...
    @property
    def max_fee_per_blob_gas(self) -> int: ...
    @property
    def blob_hashes(self) -> list[bytes]: ...
    @property
    def authorities(self) -> list[bytes]: ...
    @property
    def intrinsic_gas(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def raw(self) -> bytes: ...

class BlockResult:
    @property
    def block(self) -> bytes: ...
    @property
    def block_hash(self) -> bytes: ...
    @property
    def state_root(self) -> bytes: ...
    @property
    def gas_used(self) -> int: ...
    @property
    def requests(self) -> list[bytes]: ...
    @property
    def receipts(self) -> bytes: ...
    @property
    def transaction_hashes(self) -> list[bytes]: ...
    @property
    def senders(self) -> list[bytes]: ...
    @property
    def witness(self) -> tuple[list[bytes], list[bytes], list[bytes]] | None: ...
    @property
    def witness_size(self) -> tuple[int, int, int]: ...
    @property
    def seconds(self) -> tuple[float, float, float]: ...

class NativeBuilder:
    def push(self, transactions: Sequence[bytes]) -> list[tuple[str, str]]: ...
    @property
    def gas_left(self) -> int: ...
    @property
    def bytes_left(self) -> int: ...
    @property
    def blobs_left(self) -> int: ...
    @property
    def blob_base_fee(self) -> int: ...
    def seal(self, extra_data: bytes) -> BlockResult: ...

class NativeL2Builder:
    def push(self, transactions: Sequence[bytes]) -> list[tuple[str, str]]: ...
    @property
    def gas_left(self) -> int: ...
    @property
    def bytes_left(self) -> int: ...
    @property
    def witness_left(self) -> int: ...
    def seal(self) -> BlockResult: ...

class NativeEngine:
    def __init__(
        self,
        genesis: bytes,
        *,
        path: str | PathLike[str] | None = None,
        portal: bytes | None = None,
        step: Callable[[bytes, bytes, bool], bytes] | None = None,
        cache_mb: int = 64,
        slack_mb: int = 64,
    ) -> None: ...
    def genesis(self) -> BlockResult: ...
    def has_state(self, root: bytes) -> bool: ...
    def decode(
        self, transactions: Sequence[bytes]
    ) -> list[NativeTransaction | tuple[str, str]]: ...
    def intermediate_roots(
        self,
        parent_root: bytes,
        block: bytes,
        ancestors: bytes,
        *,
        deadline_us: int | None = None,
    ) -> list[bytes]: ...
    def refused_block_json(self, block: bytes) -> bytes: ...
    def blob_transactions(self, block: bytes) -> list[tuple[int, bytes, list[bytes]]]: ...
    def execute(
        self, parent_header: bytes, block: bytes, ancestors: bytes, *, record_witness: bool = False
    ) -> BlockResult: ...
    def import_chain(
        self,
        recent: Sequence[bytes],
        blocks: Sequence[bytes],
        ancestors: bytes,
        total_difficulty: bytes,
    ) -> tuple[list[BlockResult], InvalidBlock | None]: ...
    def merge_at(self, number: int | None) -> None: ...
    def following_header(self, parent_header: bytes, timestamp: int) -> bytes: ...
    def builder(
        self,
        parent_header: bytes,
        timestamp: int,
        fee_recipient: bytes,
        prev_randao: bytes,
        gas_limit: int,
        parent_beacon_block_root: bytes,
        withdrawals: Sequence[tuple[int, int, bytes, int]],
        ancestors: bytes,
    ) -> NativeBuilder: ...
    def derive(
        self,
        parent_header: bytes,
        timestamp: int,
        mix_hash: bytes,
        parent_beacon_block_root: bytes,
        deposits: Sequence[bytes],
        transactions: Sequence[bytes],
        ancestors: bytes,
        *,
        record_witness: bool = False,
    ) -> tuple[BlockResult, bool]: ...
    def derive_stateless(
        self,
        parent_header: bytes,
        timestamp: int,
        mix_hash: bytes,
        parent_beacon_block_root: bytes,
        deposits: Sequence[bytes],
        transactions: Sequence[bytes],
        nodes: Sequence[bytes],
        codes: Sequence[bytes],
    ) -> tuple[BlockResult, bool]: ...
    def sequence(
        self,
        parent_header: bytes,
        timestamp: int,
        mix_hash: bytes,
        parent_beacon_block_root: bytes,
        deposits: Sequence[bytes],
        ancestors: bytes,
    ) -> NativeL2Builder: ...
    def commit(self, result: BlockResult) -> None: ...
    def prune(self, live: Sequence[bytes], from_number: int) -> int: ...
    def walk(self, root: bytes) -> int: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...
    def account(self, root: bytes, address: bytes) -> AccountOut | None: ...
    def accounts(self, root: bytes, addresses: Sequence[bytes]) -> list[tuple[int, int]]: ...
    def storage(self, root: bytes, address: bytes, slot: bytes) -> bytes: ...
    def code(self, root: bytes, address: bytes) -> bytes: ...
    def proof(
        self, root: bytes, address: bytes, slots: Sequence[bytes]
    ) -> tuple[AccountOut, list[bytes], list[tuple[bytes, list[bytes]]]]: ...
    def stateless(
        self,
        parent_header: bytes,
        block: bytes,
        nodes: Sequence[bytes],
        codes: Sequence[bytes],
        headers: Sequence[bytes],
    ) -> BlockResult: ...
    def call(
        self,
        root: bytes,
        header: bytes,
        ancestors: bytes,
        call: bytes,
        *,
        gas_cap: int,
        state_overrides: bytes | None = None,
        block_overrides: bytes | None = None,
        deadline_us: int | None = None,
    ) -> tuple[str, bytes, int]: ...
    def estimate_gas(
        self,
        root: bytes,
        header: bytes,
        ancestors: bytes,
        call: bytes,
        *,
        gas_cap: int,
        state_overrides: bytes | None = None,
        block_overrides: bytes | None = None,
        deadline_us: int | None = None,
    ) -> tuple[str, bytes, int]: ...
    def access_list(
        self,
        root: bytes,
        header: bytes,
        ancestors: bytes,
        call: bytes,
        *,
        gas_cap: int,
        state_overrides: bytes | None = None,
        deadline_us: int | None = None,
    ) -> bytes: ...
    def simulate(
        self,
        root: bytes,
        header: bytes,
        ancestors: bytes,
        request: bytes,
        *,
        gas_cap: int,
        deadline_us: int | None = None,
    ) -> bytes: ...
    def trace_block(
        self,
        parent_root: bytes,
        block: bytes,
        ancestors: bytes,
        options: bytes,
        *,
        deadline_us: int | None = None,
    ) -> bytes: ...
    def trace_transaction(
        self,
        parent_root: bytes,
        block: bytes,
        ancestors: bytes,
        index: int,
        options: bytes,
        *,
        deadline_us: int | None = None,
    ) -> bytes: ...
    def trace_call(
        self,
        root: bytes,
        header: bytes,
        ancestors: bytes,
        call: bytes,
        options: bytes,
        *,
        gas_cap: int = 50_000_000,
        block: bytes | None = None,
        index: int = 0,
        deadline_us: int | None = None,
    ) -> bytes: ...
    def trace_entries(
        self,
        parent_root: bytes,
        block: bytes,
        ancestors: bytes,
        index: int,
        *,
        deadline_us: int | None = None,
    ) -> bytes: ...
    def trace_parties(
        self,
        parent_root: bytes,
        block: bytes,
        ancestors: bytes,
        *,
        deadline_us: int | None = None,
    ) -> bytes: ...
    def execution_witness(self, parent_header: bytes, block: bytes, ancestors: bytes) -> bytes: ...
    def block_json(self, block: bytes, receipts: bytes, *, full: bool) -> bytes: ...
    def header_json(self, header: bytes) -> bytes: ...
    def transaction_json(self, block: bytes, receipts: bytes, index: int) -> bytes: ...
    def pending_json(self, transactions: Sequence[bytes]) -> list[bytes]: ...
    def receipts_json(self, block: bytes, receipts: bytes) -> bytes: ...
    def receipt_json(self, block: bytes, receipts: bytes, index: int) -> bytes: ...
    def logs_json(
        self,
        blocks: Sequence[tuple[bytes, bytes]],
        addresses: Sequence[bytes],
        topics: Sequence[Sequence[bytes]],
        *,
        removed: bool = False,
    ) -> list[bytes]: ...
    def raw_receipts(self, receipts: bytes) -> list[bytes]: ...
    def raw_transactions(self, block: bytes) -> list[bytes]: ...
    def logs(
        self, receipts: bytes, address: bytes, topic: bytes
    ) -> list[tuple[int, list[bytes], bytes]]: ...
    def fee_percentiles(
        self, block: bytes, receipts: bytes, percentiles: Sequence[float]
    ) -> list[int]: ...

class NativeTables:
    def __init__(self, path: str | PathLike[str]) -> None: ...
    def get(self, table: str, key: bytes) -> bytes | None: ...
    def get_many(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]: ...
    def scan(
        self, table: str, start: bytes, end: bytes, limit: int
    ) -> list[tuple[bytes, bytes]]: ...
    def write(
        self, puts: Sequence[tuple[str, bytes, bytes]], deletes: Sequence[tuple[str, bytes]]
    ) -> None: ...
    def close(self) -> None: ...
