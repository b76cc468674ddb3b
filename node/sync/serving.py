"""What this node answers when peers ask: its status, and blocks as they were gossiped.

Answers are bounded by number and by bytes; a request out of bounds is refused and blamed.
Reads go to memory for what is above finality and to the tables for the rest; both are short.
"""

from __future__ import annotations

from node.chain.chain import Chain
from node.eth.primitives import Hash32
from node.p2p.network import Network, PeerId, RequestKind
from node.sync.messages import (
    ANSWER_BYTES_MAX,
    Status,
    decode_range_request,
    decode_root_request,
    encode_blocks,
    encode_status,
    fit,
)


class Server:
    """Answers status, blocks_by_range and blocks_by_root. Make it before the network runs."""

    def __init__(self, chain: Chain, network: Network) -> None:
        self._chain = chain
        network.serve(RequestKind.BLOCKS_BY_RANGE, self.blocks_by_range)
        network.serve(RequestKind.BLOCKS_BY_ROOT, self.blocks_by_root)

    def status(self) -> Status:
        """Where our chain stands."""
        chain = self._chain
        finalized, justified = chain.finalized_checkpoint, chain.justified_checkpoint
        return Status(
            genesis_hash=chain.genesis.hash,
            finalized_epoch=finalized.epoch,
            finalized_hash=finalized.block_hash,
            finalized_number=chain.finalized.header.number,
            justified_epoch=justified.epoch,
            justified_hash=justified.block_hash,
            head_hash=chain.head.hash,
            head_number=chain.head.header.number,
            head_slot=chain.head_slot,
        )

    def encoded_status(self) -> bytes:
        """The same for the wire."""
        return encode_status(self.status())

    async def blocks_by_range(self, peer: PeerId, body: bytes) -> bytes:
        """Canonical blocks from a number on. Raises Rejected."""
        del peer
        first, count = decode_range_request(body)
        envelopes: list[bytes] = []
        size = 0
        for number in range(first, first + count):
            block_hash = self._chain.canonical_hash(number)
            envelope = None if block_hash is None else self._chain.envelope(block_hash)
            if envelope is None or size > ANSWER_BYTES_MAX:
                break
            envelopes.append(envelope)
            size += len(envelope)
        return encode_blocks(fit(envelopes))

    async def blocks_by_root(self, peer: PeerId, body: bytes) -> bytes:
        """A block and its ancestors, ascending; nothing for an unknown one. Raises Rejected."""
        del peer
        root, depth = decode_root_request(body)
        return encode_blocks(fit_newest(self._branch(root, depth)))

    def _branch(self, root: Hash32, depth: int) -> list[bytes]:
        """Envelopes from this block down, newest first, without the genesis block's."""
        envelopes: list[bytes] = []
        size = 0
        block = self._chain.block_by_hash(root)
        while block is not None and block.header.number and len(envelopes) < depth:
            envelope = self._chain.envelope(block.hash)
            if envelope is None or size > ANSWER_BYTES_MAX:
                break
            envelopes.append(envelope)
            size += len(envelope)
            block = self._chain.block_by_hash(block.header.parent_hash)
        return envelopes


def fit_newest(newest_first: list[bytes]) -> list[bytes]:
    """As many as an answer may hold, the newest for certain, in ascending order."""
    return fit(newest_first)[::-1]
