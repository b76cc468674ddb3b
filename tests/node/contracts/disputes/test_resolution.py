"""How games end that nobody disproved: windows of finalized blocks, quiet after faults, parents, and proofs of finality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given, settings, strategies as st

from node.consensus.containers import Checkpoint
from node.consensus.state import StateField
from node.eth.hashing import keccak256
from node.eth.headers import decode_header, header_of_block
from node.eth.primitives import Epoch, Hash32
from tests.kit.contract_network import FORCER
from tests.kit.contract_world import Reverted
from tests.kit.dispute_world import (
    ANCHORS,
    BOND,
    BURNT,
    CHALLENGE_WINDOW,
    CHALLENGER_WINS,
    DEFENDER_WINS,
    IN_PROGRESS,
    LIAR,
    PROPOSER,
    QUIET,
    RIVAL,
    DisputeWorld,
    Game,
    wrong_root,
)
from tests.kit.execution_chain import address_of

HOURS_8: Final = 8 * 3_600
"""Seconds."""


def resolvable(world: DisputeWorld, game: Game) -> int:
    """The L1 block that has to be final."""
    return world.network.world.number(game.contract, "resolvableFrom")


def made_in(world: DisputeWorld, game: Game) -> int:
    """The L1 block that made it."""
    return world.network.world.number(game.contract, "createdBlock")


def shown_final(world: DisputeWorld) -> int:
    """The L1 block that the newest proof shows to be final."""
    return world.finalized_header_number(world.states[world.height - 1])


def too_early(world: DisputeWorld, game: Game, needed: int) -> None:
    """It can't be resolved yet, and the reason says from when on."""
    with pytest.raises(Reverted, match=rf"^TooEarly\({needed},\)$"):
        world.resolve(game)
    assert world.status(game) == IN_PROGRESS


# -- windows


def test_a_game_stands_once_its_window_is_final(world: DisputeWorld) -> None:
    """Given a game in block N, then N + 5 final is too early, and N + 6 is enough; its bond is its maker's."""
    game = world.game(6)
    needed = made_in(world, game) + CHALLENGE_WINDOW
    assert resolvable(world, game) == needed
    world.pass_until_final(needed - 1)
    too_early(world, game, needed)
    world.pass_until_final(needed)
    world.resolve(game)
    assert world.status(game) == DEFENDER_WINS
    read = world.network.world.read
    assert read(game.contract, "resolvedBlock") == world.height
    assert (
        read(game.contract, "resolvedAt")
        == header_of_block(world.network.world.chain.head.block).timestamp
    )
    assert read(game.contract, "credit", address_of(PROPOSER)) == BOND


def test_a_fault_of_any_game_keeps_all_others_waiting(world: DisputeWorld) -> None:
    """Given a fault in block F, then F + 2 final is too early for every game, and F + 3 is enough."""
    first, second = world.game(4), world.game(6)
    false = world.game(8, wrong={8: wrong_root()}, sender=LIAR)
    world.pass_until_final(resolvable(world, second) - 1)
    world.prove(false, 8)
    needed = world.height + QUIET
    assert resolvable(world, first) == resolvable(world, second) == needed
    world.pass_until_final(needed - 1)
    too_early(world, first, needed)
    too_early(world, second, needed)
    world.pass_until_final(needed)
    world.resolve(first)
    world.resolve(second)


def test_a_fault_long_ago_delays_nobody(world: DisputeWorld) -> None:
    false = world.game(8, wrong={8: wrong_root()}, sender=LIAR)
    world.prove(false, 8)
    game = world.game(6)
    assert resolvable(world, game) == made_in(world, game) + CHALLENGE_WINDOW


def test_lies_without_end_keep_everything_waiting_as_long_as_they_are_shown(
    world: DisputeWorld,
) -> None:
    """Given a false game among false games that are proven one by one, then it does not stand before its turn."""
    hidden = world.game(8, wrong={8: wrong_root(99)}, sender=LIAR)
    others = [world.game(8, wrong={1: wrong_root(at)}, sender=LIAR) for at in range(5)]
    for other in others:
        # As late as can be: one block before the game would be resolved.
        world.pass_until_final(shown_final(world) + QUIET - 1)
        world.prove(other, 1)
        too_early(world, hidden, world.height + QUIET)
    world.prove(hidden, 8)
    assert world.status(hidden) == CHALLENGER_WINS


# -- clocks that stop


def test_a_stalled_finality_lets_nothing_stand(world: DisputeWorld) -> None:
    """Given finality that stops behind the game's block, then no number of blocks is enough, until it moves again."""
    game = world.game(6)
    world.stalled_at = made_in(world, game) + CHALLENGE_WINDOW - 1
    world.pass_blocks(300)
    too_early(world, game, made_in(world, game) + CHALLENGE_WINDOW)
    world.stalled_at = None
    world.pass_blocks(2)
    world.resolve(game)
    assert world.status(game) == DEFENDER_WINS


def test_eight_hours_without_a_block_let_nothing_stand(world: DisputeWorld) -> None:
    """Given all processes asleep for eight hours, then a false game is as young as before, and falls to the same proof."""
    false = world.game(8, wrong={5: wrong_root()}, sender=LIAR)
    true = world.game(6)
    chain = world.network.world.chain
    chain.seconds = HOURS_8
    world.pass_blocks(1)
    chain.seconds = 2
    too_early(world, false, made_in(world, false) + CHALLENGE_WINDOW)
    too_early(world, true, made_in(world, true) + CHALLENGE_WINDOW)
    world.pass_blocks(2)
    world.prove(false, 5)
    world.pass_until_final(resolvable(world, true))
    world.resolve(true)
    assert (world.status(false), world.status(true)) == (CHALLENGER_WINS, DEFENDER_WINS)


def test_roots_of_l1_states_are_known_after_a_gap(world: DisputeWorld) -> None:
    """Given eight hours between two blocks, then the state roots of the blocks behind the gap prove finality as ever."""
    game = world.game(6)
    world.pass_until_final(resolvable(world, game))
    chain = world.network.world.chain
    chain.seconds = HOURS_8
    world.pass_blocks(1)
    world.resolve(game)
    assert world.status(game) == DEFENDER_WINS


# -- parents


def test_a_child_waits_for_its_parent(world: DisputeWorld) -> None:
    parent = world.game(4)
    child = world.game(8, parent=parent)
    world.pass_until_final(resolvable(world, child))
    with pytest.raises(Reverted, match=r"^ParentInProgress\(\)$"):
        world.resolve(child)
    world.resolve(parent)
    world.resolve(child)
    assert (world.status(parent), world.status(child)) == (DEFENDER_WINS, DEFENDER_WINS)


def test_a_child_falls_with_its_parent_and_so_do_its_children(world: DisputeWorld) -> None:
    """Given a chain of games on a false one, then each falls in its turn, needs no proof, and pays who showed it."""
    parent = world.game(2, wrong={2: wrong_root()}, sender=LIAR)
    child = world.game(4, parent=parent, sender=LIAR)
    grandchild = world.game(6, parent=child, sender=LIAR)
    world.prove(parent, 2)

    def fall(game: Game) -> None:
        world.network.world.transact(RIVAL, game.contract, "resolve", b"", 0, [], 0)

    with pytest.raises(Reverted, match=r"^ParentInProgress\(\)$"):
        fall(grandchild)
    for game in (child, grandchild):
        fall(game)
        assert world.status(game) == CHALLENGER_WINS
        assert world.network.world.read(game.contract, "credit", address_of(RIVAL)) == BOND // 10
    assert world.network.world.balance(BURNT) == 3 * (BOND - BOND // 10)


def test_an_orphan_is_lost_even_when_its_window_is_over(world: DisputeWorld) -> None:
    """Given a child whose time is up, and a parent that fell in the last moment, then finality changes nothing."""
    parent = world.game(2, wrong={1: wrong_root()}, sender=LIAR)
    child = world.game(8, parent=parent, sender=LIAR)
    world.pass_until_final(resolvable(world, child))
    world.prove(parent, 1)
    world.resolve(child)
    assert world.status(child) == CHALLENGER_WINS


def test_a_fall_by_a_parent_is_no_fault(world: DisputeWorld) -> None:
    """Given orphans that fall one by one, then other games wait for none of them: only proofs count."""
    parent = world.game(2, wrong={2: wrong_root()}, sender=LIAR)
    child = world.game(4, parent=parent, sender=LIAR)
    world.prove(parent, 2)
    fault = world.height
    world.pass_blocks(3)
    world.network.world.transact(RIVAL, child.contract, "resolve", b"", 0, [], 0)
    assert world.network.world.read(ANCHORS, "lastFaultBlock") == fault


# -- proofs of finality


def not_final(world: DisputeWorld, game: Game, *proof: object) -> None:
    """It is no proof."""
    with pytest.raises(Reverted, match=r"^NotFinalized\(\)$"):
        world.network.world.transact(FORCER, game.contract, "resolve", *proof)
    assert world.status(game) == IN_PROGRESS


@pytest.fixture
def due(world: DisputeWorld) -> tuple[DisputeWorld, Game]:
    """A game that the newest proof of finality resolves."""
    game = world.game(6)
    world.pass_until_final(resolvable(world, game))
    return world, game


def test_each_part_of_a_proof_counts(due: tuple[DisputeWorld, Game]) -> None:
    """Given another header, epoch, branch or time, then it proves nothing."""
    world, game = due
    header, epoch, branch, timestamp = world.proof()
    other = world.network.header(world.height)
    flipped = [*branch[:2], keccak256(branch[2]), *branch[3:]]
    swapped = [branch[1], branch[0], *branch[2:]]
    for proof in (
        (other, epoch, branch, timestamp),
        (header[:-1], epoch, branch, timestamp),
        (header + b"\0", epoch, branch, timestamp),
        (b"", epoch, branch, timestamp),
        (header, epoch + 1, branch, timestamp),
        (header, 0, branch, timestamp),
        (header, 2**64 - 1, branch, timestamp),
        (header, epoch, flipped, timestamp),
        (header, epoch, swapped, timestamp),
        (header, epoch, branch[:4], timestamp),
        (header, epoch, [], timestamp),
        (header, epoch, branch, timestamp - 2),
        (header, epoch, branch, timestamp + 1),
        (header, epoch, branch, timestamp + 100),
        (header, epoch, branch, 0),
    ):
        not_final(world, game, *proof)
    too_long: Sequence[bytes] = [*branch, bytes(32)]
    with pytest.raises(Reverted, match=r"^\(\)$"):
        world.network.world.transact(
            FORCER, game.contract, "resolve", header, epoch, too_long, timestamp
        )
    world.resolve(game)


def test_no_other_field_of_the_state_is_a_finalized_block(due: tuple[DisputeWorld, Game]) -> None:
    """Given branches of other fields, the justified checkpoint's among them, then they prove nothing."""
    world, game = due
    header, epoch, _, timestamp = world.proof()
    state = world.states[world.height - 1]
    for name in StateField:
        if name is not StateField.FINALIZED:
            not_final(world, game, header, epoch, state.branch(name), timestamp)


def test_a_justified_block_is_not_final(world: DisputeWorld) -> None:
    """Given a checkpoint that is justified only, then its proof is none, though it lies in the same state."""
    game = world.game(6)
    number = resolvable(world, game)
    world.stalled_at = number - 1
    while world.height < number + 2:
        world.pass_blocks(1)
    justified = Checkpoint(
        epoch=Epoch(number // 2), block_hash=Hash32(world.network.block_hash(number))
    )
    world.change_state = lambda state: replace(state, justified=justified)
    world.pass_blocks(2)
    state = world.states[world.height - 1]
    timestamp = world.proof()[3]
    header = world.network.header(number)
    for name in (StateField.JUSTIFIED, StateField.FINALIZED):
        not_final(world, game, header, number // 2, state.branch(name), timestamp)


def test_an_old_proof_is_no_newer_than_it_was(world: DisputeWorld) -> None:
    """Given the proof of an earlier block, then it is genuine, and shows what was final then."""
    game = world.game(6)
    old = world.proof()
    world.pass_until_final(resolvable(world, game))
    with pytest.raises(Reverted, match=r"^TooEarly"):
        world.network.world.transact(FORCER, game.contract, "resolve", *old)


def test_anyone_may_resolve_with_any_recent_root(due: tuple[DisputeWorld, Game]) -> None:
    """Given a proof made some blocks ago, then it still counts: L1 remembers 8,191 seconds of roots."""
    world, game = due
    proof = world.proof()
    world.pass_blocks(500)
    world.network.world.transact(RIVAL, game.contract, "resolve", *proof)
    assert world.status(game) == DEFENDER_WINS


EPOCHS: Final = [
    0,
    1,
    127,
    128,
    255,
    256,
    2**16 - 1,
    2**16,
    2**24,
    2**32,
    2**40,
    2**48,
    2**56,
    2**64 - 1,
]
"""Each length of an RLP number, and its edges."""


@pytest.mark.parametrize("epoch", EPOCHS)
def test_an_epoch_of_any_size_is_read(due: tuple[DisputeWorld, Game], epoch: int) -> None:
    """Given a finalized checkpoint of any epoch, then its leaf is the one that consensus hashes."""
    world, game = due
    world.change_state = lambda state: replace(
        state, finalized=replace(state.finalized, epoch=Epoch(epoch))
    )
    world.pass_blocks(2)
    world.resolve(game)
    assert world.status(game) == DEFENDER_WINS


@settings(max_examples=25, deadline=None)
@given(number=st.one_of(st.integers(0, 300), st.integers(0, 2**64 - 1)))
def test_a_number_of_any_size_is_read(number: int) -> None:
    """Given a header of any number that is final, then the game compares that number."""
    world = DisputeWorld.open()
    world.append([[]] * 3)
    game = world.game(3)
    needed = resolvable(world, game)
    header = replace(decode_header(world.network.header(3)), number=number).encode()
    world.change_state = lambda state: replace(
        state, finalized=replace(state.finalized, block_hash=keccak256(header))
    )
    world.pass_blocks(2)
    state = world.states[world.height - 1]
    proof = (header, state.finalized.epoch, state.branch(StateField.FINALIZED))
    timestamp = header_of_block(world.network.world.chain.head.block).timestamp
    kit = world.network.world
    if number < needed:
        with pytest.raises(Reverted, match=rf"^TooEarly\({needed},\)$"):
            kit.transact(FORCER, game.contract, "resolve", *proof, timestamp)
    else:
        kit.transact(FORCER, game.contract, "resolve", *proof, timestamp)
    assert world.status(game) == (IN_PROGRESS if number < needed else DEFENDER_WINS)


def test_the_genesis_block_is_final_and_shows_nothing(world: DisputeWorld) -> None:
    """Given nothing but the genesis block final, then its proof is good, and every game is too young."""
    genesis = Checkpoint(epoch=Epoch(0), block_hash=Hash32(world.network.block_hash(0)))
    world.change_state = lambda state: replace(state, finalized=genesis)
    game = world.game(6)
    world.pass_blocks(20)
    assert world.proof()[:2] == (world.network.header(0), 0)
    too_early(world, game, made_in(world, game) + CHALLENGE_WINDOW)
