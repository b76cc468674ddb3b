"""What a killed process leaves of the L2's chain, and what the next one makes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given, settings, strategies as st

from node.errors import Corruption
from node.eth.blocks import Block
from node.eth.primitives import Hash32
from node.storage.folder import UnusableFolder
from sequencer import heads
from sequencer.heads import L2Chain
from sequencer.l1.places import L1Ref
from tests.kit.memory_tables import Killed
from tests.sequencer.chains import Folder, Hand, assert_holds

SAVED_S = 2 * heads.SAVE_EVERY_S
"""After so long everything is in the tables."""


async def test_every_appended_block_is_there_after_a_kill(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Given nothing was saved yet, the journal alone gives blocks and receipts again."""
    site = Folder(tmp_path)
    async with site.open() as chain:
        hand = Hand(site.engine, chain)
        blocks = [chain.head] + [hand.append(number % 4) for number in range(8)]
        site.kill()
    async with site.open() as chain:
        assert_holds(chain, site.engine, blocks)
        blocks += [Hand(site.engine, chain).append() for _ in range(3)]
        site.kill()
    async with site.open() as chain:
        assert_holds(chain, site.engine, blocks)


@pytest.mark.parametrize("after", [False, True])
async def test_a_kill_in_the_middle_of_saving_loses_nothing(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, *, after: bool
) -> None:
    site = Folder(tmp_path)
    blocks: list[Block] = []
    async with site.open():
        pass

    async def die() -> None:
        async with site.open(dies_at=(site.disk.writes + 1, after)) as chain:
            hand = Hand(site.engine, chain)
            blocks.extend([chain.head] + [hand.append() for _ in range(5)])
            await trio.sleep(SAVED_S)

    with pytest.raises(BaseExceptionGroup) as raised:
        await die()
    assert raised.group_contains(Killed)
    async with site.open() as chain:
        assert_holds(chain, site.engine, blocks)


async def test_states_that_a_power_loss_took_are_made_again(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    site = Folder(tmp_path)
    async with site.open() as chain:
        hand = Hand(site.engine, chain)
        blocks = [chain.head] + [hand.append(2) for _ in range(5)]
        await trio.sleep(SAVED_S)
        blocks += [hand.append() for _ in range(2)]
        site.kill()
    async with site.open(lost_states=True) as chain:
        assert_holds(chain, site.engine, blocks)
        assert all(site.engine.has_state(one.header.state_root) for one in blocks)  # type: ignore[union-attr]


async def test_another_network_s_folder_is_refused(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    site = Folder(tmp_path)
    async with site.open():
        pass
    site.disk.tables["l2_meta"][b"genesis"] = b"\x01" * 32
    with pytest.raises(UnusableFolder, match="genesis hash of the L2"):
        async with site.open():
            pass


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda tables: tables["l2_blocks"].pop((2).to_bytes(8)), "L2 block 2: a part of it"),
        (lambda tables: tables["l2_meta"].pop(b"heads"), "heads of the L2 are missing"),
        (
            lambda tables: tables["l2_blocks"].update(
                {(2).to_bytes(8): tables["l2_blocks"][(1).to_bytes(8)]}
            ),
            "L2 block 2: the header hashes to something else",
        ),
    ],
)
async def test_damaged_tables_stop_the_process(
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    damage: Callable[[dict[str, dict[bytes, bytes]]], object],
    message: str,
) -> None:
    site = Folder(tmp_path)
    async with site.open() as chain:
        hand = Hand(site.engine, chain)
        hand.append()
        hand.append()
    damage(site.disk.tables)
    with pytest.raises(Corruption, match=message):
        async with site.open():
            pass


async def test_a_journal_that_does_not_follow_stops_the_process(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Given a block in the journal that stands on nothing here, nothing is served."""
    site = Folder(tmp_path)
    async with site.open() as chain:
        hand = Hand(site.engine, chain)
        hand.append()
        chain._journal.append_block(hand.seal(1).block, L1Ref(number=0, hash=Hash32(bytes(32))))
        chain._journal.append_block(hand.seal(2).block, L1Ref(number=0, hash=Hash32(bytes(32))))
        site.kill()
    with pytest.raises(Corruption, match="block 2 does not stand on block 2"):
        async with site.open():
            pass


STEPS = st.one_of(
    st.tuples(st.just("append"), st.integers(0, 2)),
    st.tuples(st.just("append"), st.integers(0, 2)),
    st.tuples(st.just("reset"), st.integers(0, 5)),
    st.tuples(st.just("safe"), st.integers(0, 5)),
    st.tuples(st.just("final"), st.integers(0, 5)),
    st.tuples(st.just("wait"), st.integers(1, 3)),
    st.tuples(st.just("kill"), st.just(0)),
    st.tuples(st.just("restart"), st.just(0)),
)


@settings(max_examples=40)
@given(steps=st.lists(STEPS, min_size=3, max_size=40))
def test_any_history_with_kills_is_what_a_list_would_be(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    """Given appends, resets, moves of the heads, kills and restarts, the chain equals a list; no head is lost that was saved."""
    site = Folder(tmp_path_factory.mktemp("chain"))

    async def run() -> None:
        blocks: list[Block] = []
        left = list(steps)
        while left:
            async with site.open() as chain:
                blocks = blocks or [chain.head]
                assert_holds(chain, site.engine, blocks)
                assert chain.finalized.header.number <= chain.safe.header.number < len(blocks)
                await _live(site, chain, blocks, left)

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))


async def _live(
    site: Folder, chain: L2Chain, blocks: list[Block], left: list[tuple[str, int]]
) -> None:
    """One process, until it is killed or stopped."""
    hand = Hand(site.engine, chain)
    while left:
        step, amount = left.pop(0)
        final, safe = chain.finalized.header.number, chain.safe.header.number
        match step:
            case "append":
                blocks.append(hand.append(amount, salt=amount))
            case "reset":
                number = max(final, len(blocks) - 1 - amount)
                assert [one.hash for one in chain.reset_to(number)] == [
                    one.hash for one in blocks[:number:-1]
                ]
                del blocks[number + 1 :]
            case "safe":
                number = min(max(final, safe + amount - 1), len(blocks) - 1)
                chain.set_safe(number, number)
                assert chain.batch_of(number) is not None or number <= safe
            case "final":
                chain.set_finalized(min(final + amount, safe))
            case "wait":
                await trio.sleep(amount * 0.1)
            case "kill":
                site.kill()
                return
            case _:
                return
    assert_holds(chain, site.engine, blocks)
