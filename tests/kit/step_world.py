"""Any block of a small rollup with its STEP: a record around it, an L1 origin above it, the witness that it needs.

    StepWorld.open > make (raws, deposits, record) > Stepped (input, block) > commit > make ...

Deliberately absent: contracts of L1. Nothing here was appended anywhere: whoever calls STEP says what the record is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from node.eth.hashing import keccak256, sha256
from node.eth.headers import Header, decode_header, header_of_block
from node.eth.primitives import ZERO_HASH, Address, BlockNumber, Hash32
from node.eth.requests import requests_hash
from node.execution.adapter import RevmEngine, encode_batch
from node.execution.engine import DerivedBlock, L2Attributes, PackedBlock
from node.execution.stepping import step_callable
from node.rollup.derivation import BlockAttributes, BlockInput, Origin, attributes_of
from node.rollup.outputs import output_of
from node.rollup.parameters import RollupParameters
from node.rollup.records import Record, RecordKind, origins_hash
from node.rollup.step import StepInput
from tests.kit.rollup import l1_block
from tests.kit.rollup_chain import RollupChain, rollup_document

PARAMETERS: Final = RollupParameters(
    batcher=Address(b"\x01" * 20), sequencer_key=b"\x02" * 32, witness_limit_bytes=270_336
)
"""Of every world that says nothing else; the limits that the engine knows stand in `step_document`."""

FIRST_NUMBER: Final = 600
"""Number of the genesis block: records may begin before it."""

DEPTH_MAX: Final = 64
"""Of a trie, and of what is forged in one: a node may be made to name itself."""

PREVIOUS_ORIGIN: Final = 40
"""L1 origin below every record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    """A block, and its STEP."""

    given: StepInput
    """What proves it."""
    derived: DerivedBlock
    """What it is."""
    attributes: BlockAttributes
    """What it was executed from."""

    @property
    def output_root(self) -> bytes:
        """What STEP must answer."""
        return output_of(header_of_block(self.derived.result.block)).root()


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """The record in which the block stands."""

    place: int = 0
    """Blocks of the record before it."""
    advances_before: int = 0
    """How many of them advance the origin."""
    blocks_after: int = 0
    """Blocks behind it, none of which advances."""
    kind: RecordKind = RecordKind.BATCH
    """An empty record has as many blocks as advances, and they advance first."""
    batch: bytes | None = None
    """Instead of the batch that would say what the block is."""


def step_document(extra_accounts: Mapping[str, object] | None = None) -> dict[str, object]:
    """The genesis file of the rollup of `PARAMETERS`."""
    document = rollup_document(
        fees=None,
        extra_accounts=extra_accounts,
        witness_limit_bytes=PARAMETERS.witness_limit_bytes,
    )
    return document | {"number": hex(FIRST_NUMBER)}


class StepWorld:
    """A rollup that grows by blocks of which each has a STEP."""

    def __init__(self, chain: RollupChain, parameters: RollupParameters) -> None:
        self.chain: Final = chain
        """The rollup."""
        self.parameters: Final = parameters
        """Its rules."""
        self.step: Final = step_callable(chain.engine, parameters)
        """What its L1's precompile calls."""

    @classmethod
    def open(cls, extra_accounts: Mapping[str, object] | None = None) -> StepWorld:
        """A rollup with nothing but its genesis block."""
        engine = RevmEngine(json.dumps(step_document(extra_accounts)).encode())
        return cls(RollupChain(engine, [engine.genesis()]), PARAMETERS)

    @property
    def parent(self) -> Header:
        """The newest block's header."""
        return decode_header(self.chain.header)

    def ask(self, data: bytes) -> bytes:
        """What STEP answers. Raises Rejected."""
        return self.step(data, bytes(20), True)

    def commit(self, stepped: Stepped) -> None:
        """Make a block the newest."""
        self.chain.commit(stepped.derived.result)

    def make(
        self,
        raws: Sequence[bytes] = (),
        *,
        advances: bool = True,
        logs: Sequence[bytes] = (),
        others: Sequence[bytes] = (),
        claimed: int | None = None,
        around: Around | None = None,
        change_origin: Callable[[Header], Header] = lambda header: header,
    ) -> Stepped:
        """The next block: these transactions, and the deposits of these logs of the Portal if it advances."""
        around = around if around is not None else Around()
        parent = self.parent
        claimed = parent.timestamp if claimed is None else claimed
        batch = self._batch(raws, advances, claimed, around)
        total = around.advances_before + advances
        steps = [
            l1_block(PREVIOUS_ORIGIN + one, timestamp=parent.timestamp) for one in range(total + 1)
        ]
        origin = self._origin(steps[-1], logs, others, parent, change_origin)
        hashes = [*(one.hash for one in steps[:-1]), origin.hash]
        is_empty = around.kind is RecordKind.EMPTY
        count = total if is_empty else around.place + 1 + around.blocks_after
        record = Record(
            kind=around.kind,
            batch_hash=ZERO_HASH if is_empty else keccak256(batch),
            first_block=BlockNumber(parent.number + 1 - around.place),
            block_count=count,
            previous_origin=BlockNumber(PREVIOUS_ORIGIN),
            origin=BlockNumber(PREVIOUS_ORIGIN + total),
            origins_hash=origins_hash(hashes),
        )
        has_content = around.batch is None and not is_empty
        block = BlockInput(
            number=BlockNumber(parent.number + 1),
            origin_number=origin.number,
            advances_origin=advances,
            claimed_timestamp=claimed if has_content else 0,
            transactions=tuple(raws) if has_content else (),
        )
        attributes = attributes_of(self.parameters, parent, block, origin)
        derived = self.derive(attributes, record_witness=True)
        assert derived.result.witness is not None
        nodes, codes, _ = derived.result.witness
        digests = requests_digests(others) if logs else requests_digests(others[:-1])
        given = StepInput(
            config_hash=self.parameters.config_hash(),
            pre_root=output_of(parent).root(),
            number=block.number,
            record=record,
            parent_header=self.chain.header,
            batch=b"" if is_empty else batch,
            origin_hashes=b"".join(hashes),
            origin_header=origin.header.encode(),
            last_request=[*others, *origin.requests][-1] if others or logs else b"",
            other_digests=digests,
            nodes=tuple(nodes),
            codes=tuple(codes),
        )
        return Stepped(given=given, derived=derived, attributes=attributes)

    def derive(self, attributes: BlockAttributes, *, record_witness: bool = False) -> DerivedBlock:
        """A block on the newest one; it is not committed."""
        told = L2Attributes(
            timestamp=attributes.timestamp,
            mix_hash=attributes.mix_hash,
            parent_beacon_block_root=attributes.parent_beacon_block_root,
        )
        return self.chain.engine.derive(
            self.chain.header,
            told,
            attributes.deposits,
            attributes.transactions,
            b"",
            record_witness=record_witness,
        )

    def _batch(self, raws: Sequence[bytes], advances: bool, claimed: int, around: Around) -> bytes:
        if around.batch is not None:
            return around.batch
        before = [
            PackedBlock(claimed, place < around.advances_before, (b"before",))
            for place in range(around.place)
        ]
        after = [PackedBlock(claimed, False, (b"after",)) for _ in range(around.blocks_after)]
        return encode_batch([*before, PackedBlock(claimed, advances, tuple(raws)), *after], 1)

    def _origin(
        self,
        bare: Origin,
        logs: Sequence[bytes],
        others: Sequence[bytes],
        parent: Header,
        change: Callable[[Header], Header],
    ) -> Origin:
        ours = (b"\x7e" + b"".join(logs),) if logs else ()
        header = replace(bare.header, requests_hash=requests_hash([*others, *ours]))
        header = change(header)
        return Origin(
            number=BlockNumber(header.number), hash=header.hash(), header=header, requests=ours
        )


def requests_digests(requests: Sequence[bytes]) -> bytes:
    """SHA-256 of each request, joined."""
    return b"".join(map(sha256, requests))


def forged(given: StepInput, header: Header, **changes: object) -> StepInput:
    """The input with another parent, and the pre root that names it."""
    named: dict[str, object] = {
        "parent_header": header.encode(),
        "pre_root": output_of(header).root(),
    }
    return replace(given, **named | changes)  # type: ignore[arg-type]


def replant(
    nodes: Sequence[bytes], root: Hash32, old: bytes, new: bytes
) -> tuple[tuple[bytes, ...], Hash32]:
    """Put another node in place of one of them, and change every name up to the root with it: a state that never was."""
    found, names = list(nodes), {keccak256(old): keccak256(new)}
    found[found.index(old)] = new
    todo = dict(names)
    for _ in range(DEPTH_MAX):
        following = {}
        for place, node in enumerate(found):
            after = node
            for name, by in todo.items():
                after = after.replace(name, by)
            if after != node:
                following[keccak256(node)] = keccak256(after)
                found[place] = after
        if not following:
            break
        names |= following
        todo = following
    return tuple(found), Hash32(names.get(root, root))
