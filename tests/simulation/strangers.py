"""Unsafe blocks signed with a foreign key: they lack nothing else, so that a node which does not look at the signature follows them.

forged(node, parameters) -> the block's hash and the message that claims it
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node.eth.headers import header_of_block
from node.eth.primitives import BlockNumber, Hash32
from node.execution.adapter import RevmEngine
from node.rollup.derivation import BlockInput, attributes_of
from node.rollup.parameters import RollupParameters
from node.rollup.unsafe import (
    UnsafeBlock,
    UnsafeBlocks,
    encode_body,
    encode_message,
    signing_message,
    unsafe_domain,
)
from sequencer.app.core import RollupNode
from sequencer.deriving.executing import derive_block
from tests.kit.transfers import sender, sign_transfer

STRANGER: Final = sender("simulated stranger")
"""Whose transfer is in no block but those of the foreign key."""

STRANGERS_HOST: Final = "stranger"
"""The computer from which they are gossiped."""

GENERATION: Final = 1 << 60
"""Above every generation of the sequencer's: taken for its own, such a block would replace what is followed."""

KEY: Final = Ed25519PrivateKey.from_private_bytes(b"\x66" * 32)
"""Of the stranger."""


def forged(node: RollupNode, parameters: RollupParameters) -> tuple[Hash32, bytes] | None:
    """A block on a node's head and its message; None if the head's origin is not on this node's L1 any more."""
    head = node.chain.head
    name = node.chain.origin_of(head.hash)
    origin = None if name is None else node.l1.origin_by_hash(name.hash)
    if origin is None:
        return None
    raw = sign_transfer(
        STRANGER,
        nonce=0,
        to=b"\x66" * 20,
        value=1,
        max_fee_per_gas=10**9,
        max_priority_fee_per_gas=0,
        chain_id=parameters.chain_id,
    )
    block_input = BlockInput(
        number=BlockNumber(head.header.number + 1),
        origin_number=origin.number,
        advances_origin=False,
        claimed_timestamp=head.header.timestamp,
        transactions=(raw,),
    )
    engine = node.deriver._engine
    assert isinstance(engine, RevmEngine)
    derived = derive_block(
        engine, head.header, attributes_of(parameters, head.header, block_input, origin)
    )
    block = UnsafeBlock(
        timestamp=header_of_block(derived.result.block).timestamp,
        origin_number=origin.number,
        origin_hash=origin.hash,
        transactions=(raw,),
        block_hash=Hash32(derived.result.block_hash),
    )
    run = UnsafeBlocks(
        generation=GENERATION,
        first_number=block_input.number,
        parent_hash=head.hash,
        blocks=(block,),
    )
    body = encode_body(run)
    domain = unsafe_domain(parameters.chain_id, Hash32(engine.genesis().block_hash))
    return block.block_hash, encode_message(body, KEY.sign(signing_message(domain, body)))
