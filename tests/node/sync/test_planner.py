"""The planner asks the right peer for the right blocks, and gives up on those that lie."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, strategies as st

from node.eth.primitives import Hash32
from node.sync.messages import BLOCKS_MAX, Status
from node.sync.planner import (
    ATTEMPTS_MAX,
    PEERS_MAX,
    REST_MAX_MS,
    REST_MS,
    ROOT_REST_MS,
    TASKS_MAX,
    TASKS_OF_STRANGERS_MAX,
    AskStatus,
    FetchRange,
    FetchRoots,
    LocalView,
    SyncState,
    absent,
    best_unknown_head,
    connected,
    delivered,
    failed,
    heard_status,
    plan,
    range_disconnected,
    range_imported,
    retained,
    roots_disconnected,
)

NOW_MS = 1_000_000


def name(number: int) -> Hash32:
    return Hash32(number.to_bytes(32))


def status_at(number: int, *, slot: int | None = None, finalized: int = 0) -> Status:
    return Status(
        genesis_hash=name(0),
        finalized_epoch=finalized // 2,
        finalized_hash=name(finalized),
        finalized_number=finalized,
        justified_epoch=finalized // 2,
        justified_hash=name(finalized),
        head_hash=name(number),
        head_number=number,
        head_slot=number if slot is None else slot,
    )


def view_at(
    number: int, *, finalized: int = 0, wanted: dict[Hash32, str] | None = None
) -> LocalView:
    return LocalView(
        head_number=number,
        head_slot=number,
        lowest_number=finalized,
        current_slot=1_000_000,
        status_every_ms=4_000,
        wanted=wanted or {},
        has_block=lambda root: int.from_bytes(root) <= number,
    )


def with_peers(**statuses: Status | None) -> SyncState:
    state = SyncState()
    for peer, status in statuses.items():
        state = connected(state, peer)
        if status is not None:
            state = heard_status(state, peer, status, NOW_MS)
    return state


def test_a_new_peer_is_asked_for_its_status_once() -> None:
    state, tasks = plan(with_peers(one=None), view_at(5), NOW_MS)

    assert tasks == [AskStatus(peer="one")]
    assert plan(state, view_at(5), NOW_MS)[1] == []


def test_every_peer_is_asked_again_after_an_epoch() -> None:
    state = with_peers(one=status_at(5), two=status_at(5))

    assert plan(state, view_at(5), NOW_MS + 3_999)[1] == []
    assert plan(state, view_at(5), NOW_MS + 4_000)[1] == [
        AskStatus(peer="one"),
        AskStatus(peer="two"),
    ]


def test_a_peer_that_does_not_answer_rests_longer_each_time() -> None:
    state, now_ms = with_peers(one=None), NOW_MS
    rests: list[int] = []
    for _ in range(12):
        state, tasks = plan(state, view_at(5), now_ms)
        assert tasks == [AskStatus(peer="one")]
        state = failed(state, tasks[0], now_ms)
        rests.append(state.peers["one"].rests_until_ms - now_ms)
        now_ms = state.peers["one"].rests_until_ms + 4_000

    assert rests[:4] == [REST_MS, 2 * REST_MS, 4 * REST_MS, 8 * REST_MS]
    assert rests[-1] == REST_MAX_MS


def test_a_missing_parent_is_asked_of_the_peer_that_mentioned_it() -> None:
    state = with_peers(one=status_at(5), two=status_at(5))
    wanted = {name(9): "two"}

    state, tasks = plan(state, view_at(5, wanted=wanted), NOW_MS)

    assert tasks == [FetchRoots(peer="two", root=name(9), depth=1)]
    assert plan(state, view_at(5, wanted=wanted), NOW_MS)[1] == []


def test_the_next_peer_is_asked_when_the_first_has_it_not() -> None:
    state = with_peers(one=status_at(5), two=status_at(5))
    view = view_at(5, wanted={name(9): "two"})
    state, tasks = plan(state, view, NOW_MS)

    state = failed(state, tasks[0], NOW_MS)

    wanted = FetchRoots(peer="one", root=name(9), depth=1, is_owed=False)
    assert plan(state, view, NOW_MS)[1] == [wanted]


def test_a_root_that_nobody_has_rests() -> None:
    peers: dict[str, Status | None] = {f"p{i:02}": status_at(5) for i in range(ATTEMPTS_MAX + 2)}
    state, view = with_peers(**peers), view_at(5, wanted={name(9): "stranger"})
    for _ in range(ATTEMPTS_MAX):
        state, tasks = plan(state, view, NOW_MS)
        assert len(tasks) == 1
        state = failed(state, tasks[0], NOW_MS)

    assert plan(state, view, NOW_MS)[1] == []
    later = NOW_MS + ROOT_REST_MS
    fresh = replace(state, peers=with_peers(**peers).peers)
    assert [task for task in plan(fresh, view, later)[1] if isinstance(task, FetchRoots)] != []


def test_who_never_spoke_of_a_block_need_not_have_it() -> None:
    """Given blocks that do not exist, then who named them rests longer and longer, and nobody else does."""
    state = with_peers(honest=status_at(5), other=status_at(5), stranger=status_at(5))
    now_ms = NOW_MS
    asked: list[str] = []
    for number in range(100, 120):
        view = view_at(5, wanted={name(number): "stranger"})
        for _ in range(3):
            state, tasks = plan(state, view, now_ms)
            for task in tasks:
                if isinstance(task, FetchRoots):
                    asked.append(task.peer)
                    state = absent(state, task, now_ms)
                else:
                    state = delivered(state, task)
        now_ms += 1_000
    assert {"honest", "other", "stranger"} == set(asked)
    assert state.peers["stranger"].failures > 3
    for one in ("honest", "other"):
        assert (state.peers[one].failures, state.peers[one].rests_until_ms) == (0, 0)


def test_who_claims_a_head_and_does_not_have_it_rests() -> None:
    state, [task] = plan(with_peers(liar=status_at(6)), view_at(5), NOW_MS)
    assert isinstance(task, FetchRoots)
    state = absent(state, task, NOW_MS)
    assert state.peers["liar"].failures == 1
    assert not state.peers["liar"].busy


def test_strangers_leave_room_for_configured_peers() -> None:
    """Given strangers that are silent whatever they are asked, then configured peers are asked beside them."""
    strangers = {f"a{number}": status_at(6) for number in range(16)}
    wanted = {name(number): f"a{number}" for number in range(16)}
    view = replace(view_at(5, wanted=wanted), strangers=frozenset(strangers))
    state, tasks = plan(with_peers(**strangers, honest=status_at(5)), view, NOW_MS)
    asked = [task.peer for task in tasks]
    assert sum(peer in strangers for peer in asked) == TASKS_OF_STRANGERS_MAX
    assert "honest" in asked
    state = connected(state, "zealous")
    assert [task.peer for task in plan(state, view, NOW_MS)[1]] == ["zealous"]


def test_a_configured_peers_chain_is_taken_before_a_strangers_better_one() -> None:
    state = with_peers(stranger=status_at(900, finalized=800), honest=status_at(500))
    view = replace(view_at(5), strangers=frozenset({"stranger"}))
    state, tasks = plan(state, view, NOW_MS)
    assert tasks == [FetchRange(peer="honest", first=6, count=64)]


def test_the_head_of_a_close_peer_is_fetched_by_root() -> None:
    state = with_peers(one=status_at(5 + BLOCKS_MAX))

    assert plan(state, view_at(5), NOW_MS)[1] == [
        FetchRoots(peer="one", root=name(5 + BLOCKS_MAX), depth=64)
    ]


def test_a_head_on_a_fork_below_ours_is_fetched_too() -> None:
    fork = replace(status_at(4), head_hash=name(1_004))

    assert plan(with_peers(one=fork), view_at(5), NOW_MS)[1] == [
        FetchRoots(peer="one", root=name(1_004), depth=1)
    ]


def test_a_distant_peer_is_followed_by_ranges_to_its_head() -> None:
    state, view = with_peers(one=status_at(200)), view_at(5)
    state, tasks = plan(state, view, NOW_MS)
    assert tasks == [FetchRange(peer="one", first=6, count=64)]
    assert isinstance(tasks[0], FetchRange)

    state = range_imported(state, tasks[0], 64)
    state, tasks = plan(state, view_at(69), NOW_MS)
    assert tasks == [FetchRange(peer="one", first=70, count=64)]
    assert isinstance(tasks[0], FetchRange)

    state = range_imported(state, tasks[0], 64)
    state, tasks = plan(state, view_at(133), NOW_MS)
    assert tasks == [FetchRange(peer="one", first=134, count=64)]
    assert isinstance(tasks[0], FetchRange)

    state = range_imported(state, tasks[0], 64)
    assert plan(state, view_at(197), NOW_MS)[1] == [FetchRange(peer="one", first=198, count=3)]


def test_a_range_ends_when_nobody_has_more() -> None:
    state, tasks = plan(with_peers(one=status_at(100)), view_at(5), NOW_MS)
    assert isinstance(tasks[0], FetchRange)

    state = range_imported(state, tasks[0], 64)
    state, tasks = plan(state, view_at(100), NOW_MS)

    assert tasks == []
    assert state.ranging is None


def test_a_range_that_does_not_connect_starts_lower_and_lower() -> None:
    state, view = with_peers(one=status_at(9_000)), view_at(6_000, finalized=100)
    firsts: list[int] = []
    for _ in range(5):
        state, tasks = plan(state, view, NOW_MS)
        assert isinstance(tasks[0], FetchRange)
        firsts.append(tasks[0].first)
        state = range_disconnected(state, tasks[0], view)

    assert firsts == [6_001, 5_937, 5_489, 1_905, 101]
    assert state.ranging is None


def test_ancestors_that_do_not_connect_become_64_and_then_a_range() -> None:
    fork = replace(status_at(150), head_hash=name(7_000))
    state, view = with_peers(one=fork), view_at(140)
    state, tasks = plan(state, view, NOW_MS)
    assert tasks == [FetchRoots(peer="one", root=name(7_000), depth=10)]
    assert isinstance(tasks[0], FetchRoots)

    state = roots_disconnected(state, tasks[0], view, NOW_MS)
    state, tasks = plan(state, view, NOW_MS)
    assert tasks == [FetchRoots(peer="one", root=name(7_000), depth=64)]
    assert isinstance(tasks[0], FetchRoots)

    state = roots_disconnected(state, tasks[0], view, NOW_MS)
    state, tasks = plan(state, view, NOW_MS)
    assert tasks == [FetchRange(peer="one", first=77, count=64)]


def test_a_mentioned_block_is_asked_for_alone_at_first() -> None:
    state, view = with_peers(one=status_at(140)), view_at(140, wanted={name(7_000): "one"})
    depths = []
    for _ in range(3):
        state, tasks = plan(state, view, NOW_MS)
        assert isinstance(tasks[0], FetchRoots)
        depths.append(tasks[0].depth)
        state = roots_disconnected(state, tasks[0], view, NOW_MS)
    assert depths == [1, 8, 64]


def test_nothing_is_asked_by_root_while_ranges_bring_blocks() -> None:
    state, tasks = plan(with_peers(one=status_at(500), two=status_at(500)), view_at(5), NOW_MS)
    assert isinstance(tasks[0], FetchRange)
    view = view_at(69, wanted={name(499): "two"})
    assert plan(state, view, NOW_MS)[1] == [FetchRoots(peer="two", root=name(499), depth=1)]

    state = range_imported(state, tasks[0], 64)

    assert plan(state, view, NOW_MS)[1] == [FetchRange(peer="one", first=70, count=64)]


def test_a_range_whose_only_peer_rests_makes_way_for_roots() -> None:
    state, tasks = plan(with_peers(liar=status_at(500), two=status_at(3)), view_at(5), NOW_MS)
    assert isinstance(tasks[0], FetchRange)
    state = failed(range_imported(state, tasks[0], 64), tasks[0], NOW_MS)
    view = view_at(69, wanted={name(70): "two"})

    state, tasks = plan(state, view, NOW_MS)

    assert tasks == [FetchRoots(peer="two", root=name(70), depth=1)]
    assert state.ranging is None


def test_a_range_is_asked_of_the_peer_with_the_best_chain_that_delivers() -> None:
    liar = status_at(900_000, finalized=899_000)
    state, view = with_peers(honest=status_at(300), liar=liar), view_at(5)
    state, tasks = plan(state, view, NOW_MS)
    assert tasks == [FetchRange(peer="liar", first=6, count=64)]

    state = failed(state, tasks[0], NOW_MS)

    state, tasks = plan(state, view, NOW_MS)
    assert tasks == [FetchRange(peer="honest", first=6, count=64)]
    assert best_unknown_head(state, view.has_block) == 300
    assert best_unknown_head(state, lambda root: True) == 0


def test_telling_a_status_does_not_forgive_blocks_that_were_not_delivered() -> None:
    state, tasks = plan(with_peers(liar=status_at(300)), view_at(5), NOW_MS)
    state = failed(state, tasks[0], NOW_MS)
    later = NOW_MS + 60_000

    state, tasks = plan(state, view_at(5), later)
    while not any(isinstance(task, AskStatus) for task in tasks):
        state = failed(state, tasks[0], later)
        later += 60_000
        state, tasks = plan(state, view_at(400), later)
    state = delivered(heard_status(state, "liar", status_at(300), later), tasks[0])

    assert state.peers["liar"].failures > 0
    assert not state.peers["liar"].busy


def test_a_peer_that_left_is_forgotten() -> None:
    state = with_peers(one=status_at(5), two=status_at(5))

    assert set(retained(state, ["two", "three"]).peers) == {"two"}
    assert retained(state, ["one", "two"]) is state


def test_peers_beyond_the_bound_are_not_used() -> None:
    state = SyncState()
    for number in range(PEERS_MAX + 5):
        state = connected(state, f"peer {number}")

    assert len(state.peers) == PEERS_MAX
    assert heard_status(state, f"peer {PEERS_MAX + 1}", status_at(5), NOW_MS) is state


@given(st.integers(min_value=0, max_value=1 << 32))
def test_whatever_peers_do_the_work_stays_bounded(seed: int) -> None:
    dice = Random(seed)
    state, now_ms, under_way = SyncState(), NOW_MS, []
    head = 10
    for _ in range(120):
        now_ms += dice.choice((0, 10, 500, 5_000))
        view = view_at(
            head,
            finalized=max(0, head - 5),
            wanted={name(dice.randrange(500, 600)): "p1" for _ in range(dice.randrange(3))},
        )
        match dice.randrange(4):
            case 0:
                state = connected(state, f"p{dice.randrange(8)}")
            case 1:
                claimed = dice.randrange(1_000)
                finalized = dice.randrange(claimed + 1)
                told = status_at(claimed, finalized=finalized)
                state = heard_status(state, f"p{dice.randrange(8)}", told, now_ms)
            case 2:
                state = retained(state, [f"p{i}" for i in range(8) if dice.random() < 0.8])
            case _:
                head += dice.randrange(40)
        state, tasks = plan(state, view, now_ms)
        under_way += tasks
        busy = [task.peer for task in under_way]
        assert len(busy) <= TASKS_MAX + 8
        assert sum(peer.busy for peer in state.peers.values()) <= TASKS_MAX
        assert sum(isinstance(task, FetchRange) for task in under_way) <= 1
        assert all(1 <= t.count <= BLOCKS_MAX for t in tasks if isinstance(t, FetchRange))
        while under_way and dice.random() < 0.6:
            task = under_way.pop(dice.randrange(len(under_way)))
            match dice.randrange(3), task:
                case 0, _:
                    state = failed(state, task, now_ms)
                case 1, FetchRange():
                    state = range_disconnected(state, task, view)
                case 1, FetchRoots():
                    state = roots_disconnected(state, task, view, now_ms)
                case _, FetchRange():
                    state = range_imported(state, task, dice.randrange(task.count + 1))
                case _, _:
                    state = delivered(state, task)
    assert len(state.roots) <= 256
