"""The worst blocks that the rules of a rollup allow: most gas, most witness, most of everything a STEP has to carry.

    witness_world > deposits, calldata, sprays, loops, each up to its limit > WorstBlock > StepInput > one L1 transaction

Deliberately absent: what is too much. Tests and benchmarks compare.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from node.eth import rlp
from node.eth.hashing import keccak256, sha256
from node.eth.headers import Header, decode_header, header_of_block
from node.eth.primitives import Address, BlockNumber, Hash32
from node.execution.adapter import RevmEngine, StepCallable, encode_batch
from node.execution.engine import DerivedBlock, L2Attributes, PackedBlock
from node.execution.stepping import step_callable
from node.rollup.deposits import TRANSACTION_DEPOSITED
from node.rollup.derivation import BlockInput, Origin, attributes_of
from node.rollup.limits import MAX_DEPOSITS, MAX_DEPOSITS_DATA_BYTES, MAX_DEPOSITS_GAS
from node.rollup.outputs import output_of
from node.rollup.parameters import RollupParameters
from node.rollup.records import Record, RecordKind
from node.rollup.step import StepInput
from tests.kit.execution_chain import ETHER, ExecutionChain, word
from tests.kit.transfers import sender, sign_transfer
from tests.kit.witness_world import LOOPER, LOOPER_CODE, SPRAYS, WitnessWorld, assemble, bystander

ADVANCES: Final = 256
"""Origins that the record reaches: as many as one may."""

BLOCKS: Final = 512
"""Blocks of the record: as many as one may have."""

PREVIOUS_ORIGIN: Final = 70_000
"""L1 origin below the record."""

CALLER: Final = sender("caller of STEP")
"""Signs the L1 transactions."""

FORWARDER: Final = b"\xf0" * 20
"""Calls STEP with its input; stores success in slot 0 and the answer in slot 1."""

_FORWARDER = assemble(
    "CALLDATASIZE PUSH0 PUSH0 CALLDATACOPY 32 PUSH0 CALLDATASIZE PUSH0 0x0101 GAS STATICCALL PUSH0 SSTORE"
) + bytes.fromhex("5f5160015500")

TRANSACTION_GAS_MAX: Final = 1 << 24
"""EIP-7825: of one L1 transaction."""

P256_INPUT: Final = bytes.fromhex(
    "4cee90eb86eaa050036147a12d49004b6b9c72bd725d39d4785011fe190f0b4da73bd4903f0ce3b639bbbf6e8e80d169"
    "31ff4bcf5993d58468e8fb19086e8cac36dbcd03009df8c59286b162af3bd7fcc0450c9aa81be5d10d312af6c66b1d60"
    "4aebd3099c618202fcfe16ae7770b0c49ab5eadf74b754204a3bb6060e44eff37618b065f9832de4ca6ca971a7a1adc8"
    "26d0f7c00181a5fb2ddf79ae00b4e10e"
)
"""A valid signature: the first of EIP-7951's tests."""

SLOWEST_INPUT: Final = word(0x100) + P256_INPUT
"""What the looper computes longest for its gas: P256VERIFY (`tests.benchmarks.steps` compares)."""

CROSSING: Final = word(0) + word(12)
"""Large codes to ask for when one of them is too many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstBlock:
    """A block, and its STEP."""

    name: str
    """What it has most of."""
    given: StepInput
    """What proves it."""
    derived: DerivedBlock
    """What it is."""

    @property
    def output_root(self) -> bytes:
        """What STEP must answer."""
        return output_of(header_of_block(self.derived.result.block)).root()


@dataclass(slots=True, kw_only=True)
class WorstBlocks:
    """Makes the next block of a world as bad as it can be."""

    world: WitnessWorld
    """The state below."""
    parameters: RollupParameters
    """The limits; those of the world's genesis file."""
    dice: random.Random
    """For bytes that no compression shortens."""

    def block(
        self, name: str, users: Callable[[Draft], Sequence[bytes]], *, advances: bool
    ) -> WorstBlock:
        """The block of some transactions, after all the deposits there may be if it advances."""
        draft = Draft(self, advances)
        return draft.finish(name, users(draft))

    def noise(self, length: int) -> bytes:
        """Bytes without a zero."""
        return bytes(self.dice.randrange(1, 256) for _ in range(length))


class Draft:
    """A block whose deposits stand and whose transactions are sought."""

    def __init__(self, blocks: WorstBlocks, advances: bool) -> None:
        self.world: Final = blocks.world
        self.noise: Final = blocks.noise
        self.parameters: Final = blocks.parameters
        self.advances: Final = advances
        self.request: Final = b"\x7e" + b"".join(self._log(n) for n in range(MAX_DEPOSITS))
        self.others: Final = self.noise(96)
        self.origin: Final = self._origin()

    def _log(self, number: int) -> bytes:
        """A deposit that reads what it can, with as much data as sixteen may have."""
        data = word(1 + 331 * number) + word(50)
        data += self.noise(MAX_DEPOSITS_DATA_BYTES // MAX_DEPOSITS - len(data))
        gas = MAX_DEPOSITS_GAS // MAX_DEPOSITS
        opaque = word(10**30 + number) + word(0) + gas.to_bytes(8) + b"\0" + data
        encoded = word(32) + word(len(opaque)) + opaque + bytes(-len(opaque) % 32)
        by = bytes(12) + bystander(700 * number + 5)
        topics = [TRANSACTION_DEPOSITED, by, bytes(12) + SPRAYS["balance"], word(0)]
        return rlp.encode([500 + 3 * number, topics, encoded])

    def _origin(self) -> Origin:
        header = Header(
            parent_hash=Hash32(self.noise(32)),
            fee_recipient=Address(self.noise(20)),
            state_root=Hash32(self.noise(32)),
            transactions_root=Hash32(self.noise(32)),
            receipts_root=Hash32(self.noise(32)),
            logs_bloom=self.noise(256),
            number=PREVIOUS_ORIGIN + ADVANCES,
            gas_limit=120_000_000,
            gas_used=119_999_999,
            timestamp=self._parent.timestamp,
            extra_data=self.noise(32),
            mix_hash=Hash32(self.noise(32)),
            base_fee_per_gas=7 * 10**9,
            withdrawals_root=Hash32(self.noise(32)),
            parent_beacon_block_root=Hash32(self.noise(32)),
            requests_hash=sha256(self.others + sha256(self.request)),
        )
        return Origin(
            number=BlockNumber(header.number),
            hash=header.hash(),
            header=header,
            requests=(self.request,),
        )

    @cached_property
    def _parent(self) -> Header:
        return decode_header(self.world.chain.header)

    def _input(self, users: Sequence[bytes]) -> BlockInput:
        return BlockInput(
            number=BlockNumber(self._parent.number + 1),
            origin_number=self.origin.number,
            advances_origin=self.advances,
            claimed_timestamp=self._parent.timestamp,
            transactions=tuple(users),
        )

    def derive(self, users: Sequence[bytes], *, record_witness: bool = False) -> DerivedBlock:
        """The block with these transactions."""
        attributes = attributes_of(self.parameters, self._parent, self._input(users), self.origin)
        told = L2Attributes(
            timestamp=attributes.timestamp,
            mix_hash=attributes.mix_hash,
            parent_beacon_block_root=attributes.parent_beacon_block_root,
        )
        return self.world.chain.engine.derive(
            self.world.chain.header,
            told,
            attributes.deposits,
            attributes.transactions,
            b"",
            record_witness=record_witness,
        )

    # -- transactions, each as large as it can be beside the others

    def calldata(self) -> bytes:
        """Almost all the bytes that a block may have, none of which can be compressed."""
        length = self.parameters.transactions_limit_bytes - 1_200
        return self.world.sign_at(
            0, 11, bystander(3), self.noise(length), gas=40 * length + 40_000
        )  # fmt: skip

    def gas_left(self, users: Sequence[bytes]) -> int:
        """Gas that one more transaction may have."""
        return self.parameters.gas_limit - self.derive(users).result.gas_used

    def loop(self, data: bytes, gas: int) -> bytes:
        """A transaction that spends all its gas on one precompile."""
        return self.world.sign_at(0, 13, LOOPER, data, gas=gas)

    def spray(
        self, users: Sequence[bytes], name: str = "balance", *, spare_gas: int = 0
    ) -> list[bytes]:
        """These transactions and one more, which touches as much as fits."""
        low, high = 0, 800

        def with_one(count: int) -> list[bytes]:
            data = word(50_000) + word(count)
            return [
                *users,
                self.world.sign_at(0, 9, SPRAYS[name], data, gas=60_000 + 2_800 * count),
            ]

        while low < high:
            middle = (low + high + 1) // 2
            derived = self.derive(with_one(middle))
            fits = derived.is_full
            if fits and derived.result.gas_used + spare_gas <= self.parameters.gas_limit:
                low = middle
            else:
                high = middle - 1
        return with_one(low)

    def finish(self, name: str, users: Sequence[bytes]) -> WorstBlock:
        """The block, the record that yields it, and what proves it."""
        derived = self.derive(users, record_witness=True)
        batch = self._batch(users)
        noise = self.noise(32 * ADVANCES)
        hashes = noise + self.origin.hash
        place = ADVANCES - 1 if self.advances else ADVANCES
        record = Record(
            kind=RecordKind.BATCH,
            batch_hash=keccak256(batch),
            first_block=BlockNumber(self._parent.number + 1 - place),
            block_count=BLOCKS,
            previous_origin=BlockNumber(PREVIOUS_ORIGIN),
            origin=BlockNumber(PREVIOUS_ORIGIN + ADVANCES),
            origins_hash=keccak256(hashes),
        )
        assert derived.result.witness is not None
        nodes, codes, _ = derived.result.witness
        given = StepInput(
            config_hash=self.parameters.config_hash(),
            pre_root=output_of(self._parent).root(),
            number=BlockNumber(self._parent.number + 1),
            record=record,
            parent_header=self.world.chain.header,
            batch=batch,
            origin_hashes=hashes,
            origin_header=self.origin.header.encode(),
            last_request=self.request,
            other_digests=self.others,
            nodes=tuple(nodes),
            codes=tuple(codes),
        )
        return WorstBlock(name=name, given=given, derived=derived)

    def _batch(self, users: Sequence[bytes]) -> bytes:
        """A batch with this block in it that is as long as it may be, posted and decompressed."""
        ours = PackedBlock(self._parent.timestamp, self.advances, tuple(users))
        empty = [PackedBlock(self._parent.timestamp, True, ()) for _ in range(ADVANCES)]
        if self.advances:
            empty.pop()
        rest = [
            PackedBlock(self._parent.timestamp, False, ()) for _ in range(BLOCKS - len(empty) - 2)
        ]
        used = sum(map(len, users)) + 16 * BLOCKS
        noise = self.parameters.batch_limit_bytes - sum(map(len, users)) - 400
        zeros = self.parameters.decompressed_limit_bytes - used - max(noise, 0)
        while True:
            raws = (bytes(zeros), self.noise(max(noise, 0)))
            filler = PackedBlock(self._parent.timestamp, False, raws)
            batch = encode_batch([*empty, ours, filler, *rest], 5)
            if len(batch) <= self.parameters.batch_limit_bytes:
                return batch
            noise -= len(batch) - self.parameters.batch_limit_bytes


def most_gas(draft: Draft) -> list[bytes]:
    """All gas in the slowest loop."""
    return [draft.loop(SLOWEST_INPUT, draft.gas_left([]))]


def most_witness(draft: Draft) -> list[bytes]:
    """All bytes of witness and of transactions, with little gas."""
    return draft.spray([draft.calldata()])


def most_of_both(draft: Draft) -> list[bytes]:
    """All bytes, and the gas that is left in the slowest loop."""
    filled = draft.spray([draft.calldata()])
    gas = draft.gas_left(filled) - 1_000
    # It touches a little itself: it stands before the one that fills the witness, which is sought again.
    looped = [filled[0], draft.loop(SLOWEST_INPUT, max(gas - 200_000, 100_000))]
    return draft.spray(looped)


def most_and_too_much(draft: Draft) -> list[bytes]:
    """As `most_of_both`, and one that crosses: all of it is executed, then the block holds its deposits only."""
    users = most_of_both(draft)
    return [*users, draft.world.sign_at(0, 15, SPRAYS["code"], CROSSING, gas=60_000)]


def worst_blocks(world: WitnessWorld, parameters: RollupParameters) -> list[WorstBlock]:
    """All of them, on the head of a world."""
    makers = WorstBlocks(world=world, parameters=parameters, dice=random.Random(7))
    return [
        makers.block("most gas", most_gas, advances=False),
        makers.block("most witness", most_witness, advances=True),
        makers.block("most of both", most_of_both, advances=True),
        makers.block("most of both, dropped", most_and_too_much, advances=True),
    ]


def host_of(engine: RevmEngine, parameters: RollupParameters) -> ExecutionChain:
    """An L1 whose precompile is the STEP of a rollup."""
    return host_with(step_callable(engine, parameters))


def host_with(step: StepCallable) -> ExecutionChain:
    """An L1 with that precompile, and contracts that call it."""
    return ExecutionChain.open(
        step=step,
        extra_accounts={
            "0x" + FORWARDER.hex(): {"balance": "0x0", "code": "0x" + _FORWARDER.hex()},
            "0x" + LOOPER.hex(): {"balance": "0x0", "code": "0x" + LOOPER_CODE.hex()},
            "0x" + CALLER.address.hex(): {"balance": hex(1_000 * ETHER)},
        },
    )


def step_transaction(data: bytes, *, nonce: int = 0, gas: int = TRANSACTION_GAS_MAX) -> bytes:
    """An L1 transaction that calls STEP through the forwarder."""
    return sign_transfer(CALLER, nonce=nonce, to=FORWARDER, value=0, gas_limit=gas, data=data)


def loop_transaction(data: bytes, *, nonce: int = 0, gas: int) -> bytes:
    """An L1 transaction that spends all its gas on one precompile."""
    return sign_transfer(CALLER, nonce=nonce, to=LOOPER, value=0, gas_limit=gas, data=data)


def answer_of(host: ExecutionChain, root: bytes) -> bytes | None:
    """What the last call of the forwarder was answered; None if it failed."""
    if host.engine.storage(root, FORWARDER, word(0)) != word(1):
        return None
    return host.engine.storage(root, FORWARDER, word(1))
