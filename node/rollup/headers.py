"""The header of an L2 block: what follows from its parent, its attributes and what execution gave.

    parent header, BlockAttributes, Execution -> header_of -> hash -> outputs

The engine writes headers by these rules; here they are said once more, for STEP and for whoever checks the engine.
Deliberately absent: roots. Tries are the engine's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from node.contracts.addresses import SEQUENCER_FEE_VAULT
from node.eth.headers import Header
from node.eth.primitives import ZERO_HASH, Hash32
from node.rollup.derivation import BlockAttributes
from node.rollup.parameters import RollupParameters

EXTRA_DATA: Final = bytes.fromhex("00000000fa00000006")
"""Holocene: version 0, base fee denominator 250, elasticity 6; tools read it, the constant base fee does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What executing a block gives to its header."""

    state_root: Hash32
    """Of the state after the block."""
    transactions_root: Hash32
    """Of the trie of transactions, deposits included."""
    receipts_root: Hash32
    """Of the trie of receipts."""
    logs_bloom: bytes
    """Bloom filter of all logs; 256 bytes."""
    gas_used: int
    """Gas of all transactions."""
    message_passer_root: Hash32
    """Storage root of L2ToL1MessagePasser after the block."""


def header_of(
    parameters: RollupParameters,
    parent: Header,
    attributes: BlockAttributes,
    execution: Execution,
) -> Header:
    """Build the header of the block on this parent."""
    return Header(
        parent_hash=parent.hash(),
        fee_recipient=SEQUENCER_FEE_VAULT,
        state_root=execution.state_root,
        transactions_root=execution.transactions_root,
        receipts_root=execution.receipts_root,
        logs_bloom=execution.logs_bloom,
        number=parent.number + 1,
        gas_limit=parameters.gas_limit,
        gas_used=execution.gas_used,
        timestamp=attributes.timestamp,
        extra_data=EXTRA_DATA,
        mix_hash=attributes.mix_hash,
        base_fee_per_gas=parameters.base_fee_wei,
        withdrawals_root=execution.message_passer_root,
        parent_beacon_block_root=attributes.parent_beacon_block_root,
    )


def genesis_header(
    parameters: RollupParameters,
    timestamp: int,
    state_root: Hash32,
    message_passer_root: Hash32,
) -> Header:
    """Build the header of block 0: of L1's genesis it knows the timestamp, so its hash depends on nothing else of it."""
    return Header(
        parent_hash=ZERO_HASH,
        fee_recipient=SEQUENCER_FEE_VAULT,
        state_root=state_root,
        number=0,
        gas_limit=parameters.gas_limit,
        gas_used=0,
        timestamp=timestamp,
        extra_data=EXTRA_DATA,
        mix_hash=ZERO_HASH,
        base_fee_per_gas=parameters.base_fee_wei,
        withdrawals_root=message_passer_root,
        parent_beacon_block_root=ZERO_HASH,
    )
