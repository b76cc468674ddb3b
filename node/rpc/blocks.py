"""From a block id to a block, and to the environment a call runs in.

    BlockId -> Blocks.find | require -> Block
            -> Blocks.environment    -> (state root, header, ancestors) -> engine

`latest` is the head, `safe` the justified block of its state, `finalized` never goes back. After a safety fault neither of
those two means anything, and asking for one is an error. On the L2 `latest` is unsafe, `safe` derived from L1 and `finalized`
derived from final L1 blocks. `pending` is the head's state in the environment of the next slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from node.eth.blocks import Block
from node.rpc.backend import Chain
from node.rpc.jsonrpc import SERVER_ERROR, RpcError
from node.rpc.parameters import BlockHash, BlockId, Tag

ANCESTORS_BYTES_MAX: Final = 256 * 32
"""What BLOCKHASH can reach."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What a simulated call runs on and in."""

    root: bytes
    """State root."""
    header: bytes
    """RLP of the header whose number, time and fees count."""
    ancestors: bytes
    """Hashes below that header, its parent's first."""


class Blocks:
    """Finds blocks; remembers the environments of the head, which most calls ask for."""

    def __init__(self, chain: Chain) -> None:
        self.chain: Final = chain
        """Where blocks come from."""
        self._finalized: Block | None = None
        self._head: tuple[Block, Environment] | None = None
        self._next: tuple[Block, int, Environment] | None = None

    def find(self, block_id: BlockId) -> Block | None:
        """A block, or None where there is none. Raises RpcError for what cannot be answered at all."""
        if block_id is Tag.LATEST or block_id is Tag.PENDING:
            return self.chain.head
        if isinstance(block_id, BlockHash):
            block = self.chain.block_by_hash(block_id.hash)
            if (
                block is not None
                and block_id.require_canonical
                and not self.chain.is_canonical(block.hash)
            ):
                raise RpcError(SERVER_ERROR, "hash is not currently canonical")
            return block
        if isinstance(block_id, Tag):
            return self._tagged(block_id)
        return self.chain.block_by_number(block_id)

    def require(self, block_id: BlockId) -> Block:
        """A block. Raises RpcError, worded as geth does, where there is none."""
        block = self.find(block_id)
        if block is None:
            of_hash = isinstance(block_id, BlockHash)
            raise RpcError(
                SERVER_ERROR, "header for hash not found" if of_hash else "header not found"
            )
        return block

    def environment(self, block_id: BlockId) -> Environment:
        """The state after a block with its own header; the next slot's header for `pending`."""
        if block_id is Tag.PENDING:
            return self.next_environment()
        block = self.require(block_id)
        if self._head is not None and self._head[0] is block:
            return self._head[1]
        found = Environment(
            block.header.state_root, block.header.encode(), self.chain.ancestors(block.hash)
        )
        if block is self.chain.head:
            self._head = (block, found)
        return found

    def next_environment(self) -> Environment:
        """The head's state in the environment of the next slot."""
        head, header = self.chain.head, self.chain.next_header()
        if self._next is not None and self._next[0] is head and self._next[1] == header.timestamp:
            return self._next[2]
        ancestors = (head.hash + self.chain.ancestors(head.hash))[:ANCESTORS_BYTES_MAX]
        found = Environment(head.header.state_root, header.encode(), ancestors)
        self._next = (head, header.timestamp, found)
        return found

    def _tagged(self, tag: Tag) -> Block | None:
        if tag is Tag.EARLIEST:
            return self.chain.block_by_number(0)
        fault = self.chain.safety_fault
        if fault is not None:
            raise RpcError(SERVER_ERROR, f"{tag} block not available: safety fault: {fault}")
        if tag is Tag.SAFE:
            return self.chain.safe
        block = self.chain.finalized
        if self._finalized is None or block.header.number >= self._finalized.header.number:
            self._finalized = block
        return self._finalized


def state_missing(root: bytes) -> RpcError:
    """The error for a state that has been pruned."""
    return RpcError(SERVER_ERROR, f"historical state 0x{root.hex()} is not available")
