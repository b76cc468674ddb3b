"""Searching a range while the chain changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from node.eth.blocks import Block
from node.eth.hashing import keccak256
from node.eth.primitives import Hash32
from node.rpc import logs
from node.rpc.jsonrpc import SERVER_ERROR, RpcError
from node.rpc.logs import CHANGED_WORDS, SEARCHES_MAX, Criteria, LogSearch
from node.runtime.worker import InlineWorker
from tests.node.rpc.fakes import FakeChain, FakeEngine, make_block

LENGTH = 8


class Changing(FakeChain):
    """A chain that changes before it answers for blooms."""

    def __init__(self) -> None:
        super().__init__(LENGTH)
        self.asked = 0
        self.change: Callable[[int], None] = lambda _: None

    def blooms(self, first: int, last: int) -> list[tuple[Hash32, bytes]]:
        found = super().blooms(first, last)
        self.asked += 1
        self.change(self.asked)
        return found

    def branch(self, length: int, salt: bytes) -> list[Block]:
        """Another chain from block 2 on, with so many blocks in all."""
        blocks = self.canonical[:2]
        while len(blocks) < length:
            blocks.append(make_block(len(blocks), blocks[-1], logs=True, salt=salt))
        self.blocks |= {block.hash: block for block in blocks}
        return blocks


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> Changing:
    monkeypatch.setattr(logs, "PORTION_BLOCKS", 3)
    return Changing()


async def found(chain: Changing, last: int = LENGTH - 1) -> list[bytes]:
    return await LogSearch(chain, FakeEngine(), InlineWorker()).range(Criteria(), 0, last)


def logs_of(blocks: Sequence[Block]) -> list[bytes]:
    return [
        b'{"logOf":"%b","removed":false}' % keccak256(block.rlp).hex().encode()
        for block in blocks
        if any(block.header.logs_bloom)
    ]


@pytest.mark.parametrize("asked", [1, 2, 3])
async def test_all_logs_are_of_one_chain(chain: Changing, asked: int) -> None:
    """Given a reorganisation after some portion, when a range is searched, then the answer is the new chain's, whole."""
    other = chain.branch(LENGTH + 1, b"other")

    def change(times: int) -> None:
        if times == asked:
            chain.canonical = other

    chain.change = change
    assert await found(chain) == logs_of(other[:LENGTH])
    assert chain.asked == asked + 3


async def test_a_branch_that_came_and_went_leaves_no_logs(chain: Changing) -> None:
    """Given a head that leaves its chain and comes back, when a range is searched, then no log is of the other one."""
    first, other = chain.canonical, chain.branch(LENGTH, b"other")

    def change(times: int) -> None:
        chain.canonical = other if times == 1 else first

    chain.change = change
    assert await found(chain) in (logs_of(first), logs_of(other))


async def test_a_range_above_a_head_that_fell_is_refused(chain: Changing) -> None:
    """Given a head that falls below the range's end, when it is searched, then no part is told as the whole."""

    def change(times: int) -> None:
        chain.canonical = chain.branch(LENGTH - 1, b"other")

    chain.change = change
    with pytest.raises(RpcError) as refused:
        await found(chain)
    assert (refused.value.code, str(refused.value)) == (SERVER_ERROR, CHANGED_WORDS)


async def test_a_chain_that_changes_again_and_again_is_given_up(chain: Changing) -> None:
    def change(times: int) -> None:
        chain.canonical = chain.branch(LENGTH, b"%d" % times)

    chain.change = change
    with pytest.raises(RpcError) as refused:
        await found(chain)
    assert (refused.value.code, str(refused.value)) == (SERVER_ERROR, CHANGED_WORDS)
    assert chain.asked == SEARCHES_MAX


async def test_a_head_that_only_grows_disturbs_nobody(chain: Changing) -> None:
    whole = logs_of(chain.canonical)

    def change(times: int) -> None:
        chain.append(make_block(len(chain.canonical), chain.head, logs=True))

    chain.change = change
    assert await found(chain) == whole
    assert chain.asked == 3
