"""The native engine makes of derived attributes what the rules say: headers, deposits, limits, the start of the budget."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from deploy.accounts import FundedAccount
from deploy.rollup_genesis import l2_genesis
from node.contracts.addresses import L1_BLOCK
from node.eth.headers import Header, decode_header, header_of_block
from node.eth.primitives import Address, BlockNumber
from node.execution.adapter import RevmEngine
from node.execution.engine import BlockResult, L2Attributes
from node.rollup.batches import DecodedBlock, content_of
from node.rollup.budget import BEACON_ROOTS, BLOCK_HASHES, always_touched, witness_bytes
from node.rollup.derivation import BlockAttributes, BlockInput, Origin, attributes_of, blocks_of
from node.rollup.headers import Execution, genesis_header, header_of
from node.rollup.outputs import output_of
from tests.kit.execution_chain import SENDER, header_bytes
from tests.kit.rollup import (
    GENESIS_TIME,
    PARAMETERS,
    ModelInbox,
    encode_batch,
    l1_block,
    model_decode_batch,
    portal_log,
)
from tests.kit.rollup_chain import sign_l2

DEPOSITED = Address(b"\xd0" * 20)
"""Who is called by deposits."""


@dataclass(slots=True)
class DerivedChain:
    """An L2 that is derived on the native engine, block by block."""

    engine: RevmEngine
    """Holds the states."""
    blocks: list[BlockResult]
    """From genesis on."""

    @property
    def head(self) -> Header:
        """The newest header."""
        return header_of_block(self.blocks[-1].block)

    def derive(self, block: BlockInput, origin: Origin) -> tuple[BlockAttributes, bool]:
        """Add a block; gives its attributes and whether it holds its transactions."""
        attributes = attributes_of(PARAMETERS, self.head, block, origin)
        derived = self.engine.derive(
            header_bytes(self.blocks[-1].block),
            told(attributes),
            attributes.deposits,
            attributes.transactions,
            b"",
        )
        self.engine.commit(derived.result)
        self.blocks.append(derived.result)
        return attributes, derived.is_full

    def l1_block_word(self, slot: int) -> int:
        """A word of L1Block's storage."""
        root = self.head.state_root
        return int.from_bytes(self.engine.storage(root, L1_BLOCK, slot.to_bytes(32)))


def told(attributes: BlockAttributes) -> L2Attributes:
    return L2Attributes(
        timestamp=attributes.timestamp,
        mix_hash=attributes.mix_hash,
        parent_beacon_block_root=attributes.parent_beacon_block_root,
    )


@pytest.fixture
def chain() -> Iterator[DerivedChain]:
    document = l2_genesis(
        PARAMETERS,
        [FundedAccount(address=SENDER.address, private_key="0x" + "11" * 32)],
        time=GENESIS_TIME,
        l1_base_fee_wei=10**9,
    )
    engine = RevmEngine(json.dumps(document).encode())
    yield DerivedChain(engine, [engine.genesis()])
    engine.close()


def said(
    number: int, origin: int, advances: bool, *raws: bytes, claimed: int = GENESIS_TIME + 60
) -> BlockInput:
    return BlockInput(
        number=BlockNumber(number),
        origin_number=BlockNumber(origin),
        advances_origin=advances,
        claimed_timestamp=claimed,
        transactions=raws,
    )


def execution_of(header: Header) -> Execution:
    return Execution(
        state_root=header.state_root,
        transactions_root=header.transactions_root,
        receipts_root=header.receipts_root,
        logs_bloom=header.logs_bloom,
        gas_used=header.gas_used,
        message_passer_root=header.withdrawals_root,
    )


def test_the_genesis_header_is_that_of_the_rules(chain: DerivedChain) -> None:
    header = chain.head
    assert header == genesis_header(
        PARAMETERS, GENESIS_TIME, header.state_root, header.withdrawals_root
    )
    assert output_of(header).block_hash == chain.blocks[0].block_hash


def test_every_header_of_a_history_is_that_of_the_rules(chain: DerivedChain) -> None:
    logs = {2: [portal_log(1, sender=b"\xe0" * 20, to=DEPOSITED, mint=5, value=3, gas=50_000)]}
    inbox = ModelInbox(hash_of=lambda number: l1_block(number, logs=logs.get(number, ())).hash)
    batch: list[DecodedBlock] = [
        (GENESIS_TIME + 2, True, [sign_l2(nonce=0)]),
        (GENESIS_TIME + 2, False, [sign_l2(nonce=1), sign_l2(nonce=2)]),
        ((1 << 64) - 1, False, [sign_l2(nonce=3), b"no transaction"]),
        (0, False, [sign_l2(nonce=3)]),
    ]
    inbox.append(encode_batch(batch), blocks=4, origin=1)
    inbox.force_empty(3)
    inbox.append(b"garbage", blocks=2, origin=4)
    fulls = []
    for logged in inbox.logged:
        content = content_of(PARAMETERS, logged.record, logged.batch, model_decode_batch)
        for block in blocks_of(logged.record, content):
            parent = chain.head
            origin = l1_block(block.origin_number, logs=logs.get(block.origin_number, ()))
            attributes, is_full = chain.derive(block, origin)
            fulls.append(is_full)
            header = chain.head
            assert header == header_of(PARAMETERS, parent, attributes, execution_of(header))
    assert fulls == [True, True, False, True, True, True, True, True]
    assert chain.engine.accounts(chain.head.state_root, [DEPOSITED, b"\xe0" * 20]) == [
        (0, 3),
        (1, 2),
    ]


def test_l1block_knows_the_origin_it_was_told(chain: DerivedChain) -> None:
    origin = l1_block(1)
    chain.derive(said(1, 1, True), origin)
    chain.derive(said(2, 1, False), origin)
    header = origin.header
    assert chain.l1_block_word(0) == header.timestamp << 64 | header.number
    assert chain.l1_block_word(1) == header.base_fee_per_gas
    assert chain.l1_block_word(2) == int.from_bytes(origin.hash)
    assert chain.l1_block_word(4) == int.from_bytes(PARAMETERS.batcher)
    assert chain.l1_block_word(7) == 1


def test_transactions_over_the_limit_of_bytes_are_left_out_by_both(chain: DerivedChain) -> None:
    raws = [sign_l2(nonce=nonce, data=bytes(10_000), gas=700_000) for nonce in range(4)]
    attributes, is_full = chain.derive(said(1, 1, True, *raws), l1_block(1))
    assert attributes.transactions == ()
    assert is_full
    alone = chain.engine.derive(
        header_bytes(chain.blocks[0].block), told(attributes), attributes.deposits, raws, b""
    )
    assert not alone.is_full
    assert alone.result.block_hash == chain.blocks[1].block_hash


def test_the_largest_deposits_of_an_l1_block_fit(chain: DerivedChain) -> None:
    logs = [
        portal_log(index, sender=bytes((index + 1,)) * 20, to=DEPOSITED, gas=187_500, mint=1)
        for index in range(16)
    ]
    attributes, is_full = chain.derive(said(1, 1, True), l1_block(1, logs=logs))
    assert is_full
    assert len(attributes.deposits) == 17
    senders = [bytes((index + 1,)) * 20 for index in range(16)]
    assert chain.engine.accounts(chain.head.state_root, senders) == [(1, 1)] * 16


def proven_bytes(chain: DerivedChain, touched: dict[Address, frozenset[int]]) -> list[bytes]:
    """The nodes on the paths of these accounts and slots, by the engine's proofs."""
    root, nodes = chain.head.state_root, []
    for address, slots in touched.items():
        proof = chain.engine.proof(root, address, [slot.to_bytes(32) for slot in sorted(slots)])
        nodes += [*proof.nodes, *(node for _, found in proof.slots for node in found)]
    # What is shorter than a hash lies within its parent.
    return [node for node in nodes if len(node) >= 32]


def test_the_budget_of_an_empty_block_starts_with_what_every_block_touches(
    chain: DerivedChain,
) -> None:
    chain.derive(said(1, 1, True), l1_block(1))
    attributes = attributes_of(PARAMETERS, chain.head, said(2, 1, False), l1_block(1))
    builder = chain.engine.sequence(header_bytes(chain.blocks[-1].block), told(attributes), (), b"")
    touched = dict(always_touched(2, attributes.timestamp, []))
    codes = [
        chain.engine.code(chain.head.state_root, code) for code in (BLOCK_HASHES, BEACON_ROOTS)
    ]
    weight = witness_bytes(proven_bytes(chain, touched), codes, 0)
    assert builder.witness_left == PARAMETERS.witness_limit_bytes - weight


def test_a_header_read_back_is_the_one_that_was_hashed(chain: DerivedChain) -> None:
    chain.derive(said(1, 1, True), l1_block(1))
    encoded = header_bytes(chain.blocks[-1].block)
    assert decode_header(encoded).hash() == chain.blocks[-1].block_hash
